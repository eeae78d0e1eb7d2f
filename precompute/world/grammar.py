"""From a caption to the claim that it makes: the inverse of `Claim.text`."""

import re

from precompute.world.scene import Claim, Phrase
from precompute.world.vocabulary import (
    BACKGROUNDS,
    BOARDS,
    BY_NAME,
    COLOURS,
    COUNT_WORDS,
    RELATIONS,
    THINGS,
    WORDS,
    is_person,
)

__all__ = ["GRAMMAR", "MOST_PHRASES", "OutsideGrammar", "parse"]

MOST_PHRASES = 3
GRAMMAR = (
    'one to three of "a red car", "three dogs" or "a sign that says "open"", with commas and a last "and" between '
    "them; the first two, if single, may be joined by "
    f'{", ".join(RELATIONS[:-1])} or {RELATIONS[-1]}; then, if you like, "and nothing else" and a place such as "on '
    'the beach"'
)
_PLURALS = {thing.plural: thing.name for thing in THINGS}
_PLACES = {words: name for name, words in BACKGROUNDS.items()}
_RELATION = re.compile(rf"^(.+?) ({'|'.join(map(re.escape, RELATIONS))}) (.+)$")
_BOARD = re.compile(rf'^a ({"|".join(BOARDS)}) that says "([^"]*)"$')


class OutsideGrammar(Exception):
    """A caption outside the small world's grammar; the message names the words."""


def parse(caption: str) -> Claim:
    """What a caption claims.

    Args:
        caption: as `Claim.text` writes it; capitals, a full stop at the end and wide spaces do not matter.

    Returns:
        The claim whose text is the caption.

    Raises:
        OutsideGrammar: no claim has that text, or no scene can keep it.
    """
    text = " ".join(caption.split()).rstrip(".").lower().translate(str.maketrans("“”", '""'))
    rest, background = _place(text)
    *parts, last = rest.rsplit(" and ", 1)
    words = [part for first in parts for part in first.split(", ")] + [last]
    only = len(words) > 1 and words[-1] == "nothing else"
    words = words[:-1] if only else words
    relation = ""
    if found := _RELATION.match(words[0]):
        words[:1] = [found[1], found[3]]
        relation = found[2]
    claim = Claim(tuple(_phrase(word) for word in words), relation=relation, background=background, only=only)
    _check(claim)
    if claim.text() != text:  # "a apple", "a dog and a cat and a cow"
        raise OutsideGrammar(f'"{claim.text()}" is the expected wording')
    return claim


def _place(text: str) -> tuple[str, str]:
    for words, name in _PLACES.items():
        if text.endswith(f" {words}"):
            return text.removesuffix(f" {words}"), name
    return text, ""


def _phrase(words: str) -> Phrase:
    if board := _BOARD.match(words):
        if board[2] not in WORDS:
            raise OutsideGrammar(f'no sign says "{board[2]}" there (it says one of {", ".join(WORDS)})')
        return Phrase(board[1], word=board[2])
    article, _, noun = words.partition(" ")
    many = article in COUNT_WORDS[2:]
    if not noun or not (many or article in ("a", "an")):
        raise OutsideGrammar(f'"{words}" does not begin with a, an or a number from two to six')
    first, _, last = noun.partition(" ")
    colour = first if last and first in COLOURS else None
    name = last if colour else noun
    known = _PLURALS.get(name) if many else name if name in BY_NAME else None
    if known and colour and is_person(known):
        raise OutsideGrammar(f'"{words}" gives a person a colour; people are named by what they do')
    if known is None:
        raise OutsideGrammar(
            f'"{name}" is not {"several" if many else "one"} of its {len(THINGS)} things in one of its {len(COLOURS)} '
            "colours"
        )
    return Phrase(known, COUNT_WORDS.index(article) if many else 1, colour)


def _check(claim: Claim) -> None:
    names = [phrase.name for phrase in claim.phrases]
    kinds = [(phrase.name, phrase.colour) for phrase in claim.phrases]
    twins = [phrase for phrase in claim.phrases if names.count(phrase.name) > 1]
    if len(names) > MOST_PHRASES:
        raise OutsideGrammar(f"it names {len(names)} kinds of things, at most {MOST_PHRASES} can be drawn")
    if len(set(kinds)) < len(kinds) or any(phrase.colour is None for phrase in twins):
        raise OutsideGrammar("it names the same kind of thing twice, not in two colours")
    if claim.relation and any(phrase.count > 1 for phrase in claim.phrases[:2]):
        raise OutsideGrammar(f'"{claim.relation}" stands between single things only')

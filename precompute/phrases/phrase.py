"""One phrase of a prompt, and the forms of it that are embedded."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from precompute.phrases.nouns import singular, with_article
from precompute.phrases.words import ATTRIBUTES, COLLECTIVES, DETERMINERS, NEGATIONS, NOT_VERBS, NUMBERS, SAYING
from tipai_jax.store.categories import MOST_PHRASES

__all__ = ["LARGEST_COUNT", "THINGS", "TOKEN", "Phrase", "at_most", "embedded_forms", "from_words", "noun_kind"]

LARGEST_COUNT = 127
"""A store keeps counts as i8."""
THINGS = ("object", "attribute", "count", "text")
"""The kinds of phrases that name something which can be seen, so that a relation can connect them."""
SINGLE = frozenset(("a", "an", "one", "another", "each", "every", "this"))
QUOTES = "\"“”'‘’"
TOKEN = re.compile(r'["“”][^"“”\n]*["“”]|(?<!\w)[\'‘][^\'‘’\n]+[\'’](?!\w)|\w+(?:[\'’\-]\w+)*|[^\w\s]')
"""A quotation, a word (with hyphens and apostrophes inside), or another sign."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phrase:
    """A part of a prompt that an image can keep or break.

    Attributes:
        text: the words, as the prompt has them: `prompt[start:end] == text` where `start` is not -1.
        start: of the first character in the prompt; -1 where the words do not occur in it.
        end: behind the last character; -1 likewise.
        kind: one of `PHRASE_KINDS`.
        head: the noun in the singular, such as "dog" or "stop sign"; of what names no thing, its words.
        attributes: what is said of it, such as ("blue",), in the order of the prompt.
        count: how many; 1 where no number is said.
        arguments: of a relation, the places of the two phrases that it connects among those of the prompt; -1 for none.
    """

    text: str
    start: int
    end: int
    kind: str
    head: str
    attributes: tuple[str, ...] = ()
    count: int = 1
    arguments: tuple[int, int] = (-1, -1)


def embedded_forms(phrase: Phrase) -> tuple[str, str]:
    """What is embedded of a phrase: in the singular with its attributes, and without them.

    "two blue dogs" gives ("a blue dog", "a dog"); 'a sign that says "open"' gives itself and "a sign". Relations,
    places and others are their words, twice; names and things that are not counted ("coffee") get no article.
    """
    words = " ".join(phrase.text.split())
    if phrase.kind not in THINGS or not phrase.head:
        return words, words
    said = words.lower().split()
    counted = said[0] in DETERMINERS or _number(said[0]) is not None
    counted |= not set(phrase.head.lower().split()) <= set(said)  # a plural
    article = with_article if counted else str
    bare = article(phrase.head)
    if phrase.kind == "text":
        return words, bare
    return article(" ".join((*phrase.attributes, phrase.head))), bare


def noun_kind(count: int | None, attributes: Sequence[str]) -> str:
    """The kind of a noun phrase: `count` if a number is said, `attribute` or `object`."""
    return "object" if count is None and not attributes else "attribute" if count is None else "count"


def from_words(text: str, *, start: int = -1) -> Phrase:
    """A noun phrase of its words alone, such as "two blue dogs".

    Args:
        text: one phrase; nothing in it is a relation or another phrase.
        start: its place in the prompt, -1 if it has none.

    Returns:
        A phrase of the kind `object`, `attribute`, `count` or `text`; `other` if it denies something ("no dogs") or
        names nothing.
    """
    end = start + len(text) if start >= 0 else -1
    found = [match[0] for match in TOKEN.finditer(text)]
    quoted = any(token[0] in QUOTES and len(token) > 2 for token in found)
    tokens = [token for token in found if token[0].isalnum()]
    lower = [token.lower() for token in tokens]
    count, known = None, 0
    while known < len(tokens) and (lower[known] in DETERMINERS or _number(lower[known]) is not None):
        count = _number(lower[known]) if count is None else count
        known += 1
    words = tokens[known:]
    if quoted:  # the thing stands before what links it to its words
        words = words[: next((i for i, word in enumerate(words) if i and word.lower() in SAYING), len(words))]
    if not (words or quoted) or NEGATIONS & set(lower):
        return Phrase(text=text, start=start, end=end, kind="other", head=" ".join(text.split()))
    small = [word.lower() for word in words]
    if small[:1] and small[0] in COLLECTIVES and small[1:2] == ["of"] and len(words) > 2:
        inner = from_words(" ".join(words[2:]))  # of "a stack of 3 plates" the plates are the thing
        if inner.kind in THINGS:
            return dataclasses.replace(inner, text=text, start=start, end=end)
    single = known > 0 and lower[0] in SINGLE and count in (None, 1)
    attributes, head = _attributes_and_head(words, named=known > 0, single=single)
    kind = "text" if quoted else noun_kind(count, attributes)
    return Phrase(text=text, start=start, end=end, kind=kind, head=head, attributes=attributes, count=count or 1)


def at_most(phrases: Sequence[Phrase], prompt: str, *, most: int = MOST_PHRASES) -> tuple[Phrase, ...]:
    """The phrases, of which the last holds all that are too many, as `other`; arguments that went into it are -1."""
    if len(phrases) <= most:
        return tuple(phrases)
    rest = phrases[most - 1 :]
    start = end = -1
    text = ", ".join(phrase.text for phrase in rest)
    if all(phrase.start >= 0 for phrase in rest):
        start, end = min(phrase.start for phrase in rest), max(phrase.end for phrase in rest)
        text = prompt[start:end]
    merged = Phrase(text=text, start=start, end=end, kind="other", head=" ".join(text.split()))
    return (*(_only_below(phrase, most - 1) for phrase in phrases[: most - 1]), merged)


def _only_below(phrase: Phrase, limit: int) -> Phrase:
    first, second = (place if place < limit else -1 for place in phrase.arguments)
    return dataclasses.replace(phrase, arguments=(first, second))


def _number(word: str) -> int | None:
    if word.isdecimal() and word.isascii():
        return max(1, min(int(word[:6]), LARGEST_COUNT))
    return NUMBERS.get(word)


def _attributes_and_head(words: list[str], *, named: bool, single: bool) -> tuple[tuple[str, ...], str]:
    """What is said of a thing, and the thing in the singular.

    Attributes stand before the noun; behind it, only participles do. What follows "of" belongs to the noun ("cup of
    coffee").

    Args:
        words: without determiners and numbers.
        named: a determiner or a number stands before them.
        single: that determiner is one of one thing, so the noun is no plural.
    """
    if not named and len(words) > 1 and all(word[0].isupper() for word in words):  # a name
        return (), " ".join(words)
    small = [word.lower() for word in words]
    noun_end = small.index("of") if "of" in small[1:] else len(small)
    attributes: list[str] = []
    head: list[str] = []
    for i, word in enumerate(small[:noun_end]):
        last = i == noun_end - 1
        participle = len(word) > 4 and word.endswith(("ing", "ed", "shaped")) and word not in NOT_VERBS
        if (participle and not (last and not head)) or (word in ATTRIBUTES and not last):
            attributes.append(word)
        elif word != "and":
            capital = (
                i == 0 and not named and (len(words) == 1 or not words[-1][0].isupper())
            )  # of the sentence, not of a name
            head.append(word if capital else words[i])
    noun = " ".join(head) if single else singular(" ".join(head))
    return tuple(attributes), " ".join([noun, *words[noun_end:]]) if noun else " ".join(words[noun_end:])

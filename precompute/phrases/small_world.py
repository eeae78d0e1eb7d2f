"""The phrases of a caption of the small world, whose grammar says exactly what it claims."""

import re

from precompute.phrases.phrase import Phrase, noun_kind
from precompute.world.grammar import OutsideGrammar, parse
from precompute.world.scene import Claim
from precompute.world.vocabulary import BACKGROUNDS

__all__ = ["world_phrases"]

_GLUE = re.compile(r"[\s,]*(?:and\s+)?", re.IGNORECASE)


def world_phrases(prompt: str) -> list[Phrase] | None:
    """The phrases of a caption in the order of its words; None where it is none of the small world."""
    try:
        claim = parse(prompt)
    except OutsideGrammar:
        return None
    found: list[Phrase] = []
    end = 0
    for words, fields in _parts(claim):
        start = _GLUE.match(prompt, end).end()  # type: ignore[union-attr]  # matches the empty string too
        match = re.compile(_pattern(words), re.IGNORECASE).match(prompt, start)
        if match is None:
            return None
        end = match.end()
        found.append(Phrase(text=match[0], start=start, end=end, **fields))
    return found


def _parts(claim: Claim) -> list[tuple[str, dict]]:
    """The words of each phrase in the order of the caption, and what is known of it."""
    parts = []
    for phrase in claim.phrases:
        attributes = (phrase.colour,) if phrase.colour else ()
        kind = "text" if phrase.word else noun_kind(phrase.count if phrase.count > 1 else None, attributes)
        fields = {"kind": kind, "head": phrase.name, "attributes": attributes, "count": phrase.count}
        parts.append((phrase.text(), fields))
    if claim.relation:
        parts.insert(1, (claim.relation, {"kind": "relation", "head": claim.relation, "arguments": (0, 2)}))
    if claim.only:
        parts.append(("nothing else", {"kind": "other", "head": "nothing else"}))
    if claim.background:
        place = BACKGROUNDS[claim.background]
        parts.append((place, {"kind": "place", "head": place}))
    return parts


def _pattern(words: str) -> str:
    """The words with any spaces between them and any double quotes around a word."""
    return r"\s+".join(re.escape(word).replace('"', '["“”]') for word in words.split())

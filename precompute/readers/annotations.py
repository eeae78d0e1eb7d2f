"""What a pair may say besides its images and scores: the phrases of its prompt, which of them the rejected image
breaks, all objects of both images, and how these are made.

Spans are `[start, end]` in characters of the prompt as the row has it, end exclusive; records have them for the prompt
without the blanks around it.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from precompute.phrases import Phrase, at_most, noun_kind, one_phrase
from precompute.phrases.phrase import LARGEST_COUNT
from precompute.readers.bad_row import BadRow, whole_characters
from tipai_jax.store import PHRASE_KINDS

__all__ = ["SeenObject", "parse_failing", "parse_objects", "parse_phrases", "parse_style"]

SIDES = ("chosen", "rejected")


class SeenObject(NamedTuple):
    """An object in an image of a pair.

    `side` is 0 in the chosen image and 1 in the rejected one; the box is in pixels, x2 and y2 exclusive; `phrase` is
    the span of the words that name it, None where none do; `named` and `wrong` are 1, 0, or -1 where nobody said.
    """

    side: int
    name: str
    attributes: tuple[str, ...]
    x1: float
    y1: float
    x2: float
    y2: float
    phrase: tuple[int, int] | None
    named: int
    wrong: int


def parse_phrases(value: Any, prompt: str, *, skipped: int) -> tuple[Phrase, ...] | None:
    """The phrases that a row gives for its prompt, each a text or an object; None where it gives none.

    Args:
        value: of the field `phrases`.
        prompt: without the blanks around it.
        skipped: number of blanks before it, which spans count.

    Raises:
        BadRow: `bad_phrases`.
    """
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise BadRow("bad_phrases", f"phrases is {str(value)[:40]}, expected a list of texts or objects")
    phrases: list[Phrase] = []
    for entry in value:
        entry = {"text": entry} if isinstance(entry, str) else entry
        phrases.append(_phrase(entry, prompt, skipped=skipped, after=phrases[-1].end if phrases else 0))
    for phrase in phrases:
        if not all(-1 <= place < len(phrases) for place in phrase.arguments):
            raise BadRow("bad_phrases", f"arguments {list(phrase.arguments)} of {len(phrases)} phrases, counted from 0")
    return at_most(phrases, prompt)


def parse_failing(value: Any, prompt: str, *, skipped: int, control: bool) -> tuple[tuple[int, int], ...] | None:
    """The spans of the prompt that the rejected image breaks; None where the row does not say.

    Raises:
        BadRow: `bad_failing_phrases`.
    """
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadRow("bad_failing_phrases", f"failing_phrases is {str(value)[:40]}, expected a list of [start, end]")
    if control and value:
        raise BadRow("bad_failing_phrases", "a control keeps the prompt in both images, yet has failing_phrases")
    return tuple(_span(entry, prompt, skipped=skipped, reason="bad_failing_phrases") for entry in value)


def parse_objects(value: Any, prompt: str, *, skipped: int) -> tuple[SeenObject, ...] | None:
    """All objects of both images; None where the row does not say.

    Raises:
        BadRow: `bad_objects`.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) - set(SIDES):
        raise BadRow("bad_objects", 'objects is not understood, expected {"chosen": [...], "rejected": [...]}')
    found = []
    for side, name in enumerate(SIDES):
        entries = value.get(name, [])
        if not isinstance(entries, list):
            raise BadRow("bad_objects", f"objects of the {name} image are {str(entries)[:40]}, expected a list")
        found += [_object(entry, prompt, side=side, skipped=skipped) for entry in entries]
    return tuple(found)


def parse_style(value: Any) -> tuple[str, str]:
    """How either image is made, a line of words each; "" where the row does not say.

    Raises:
        BadRow: `bad_style`.
    """
    if value is None:
        return "", ""
    lines = [value.get(side) or "" for side in SIDES] if isinstance(value, dict) and not set(value) - set(SIDES) else []
    match lines:
        case [str(chosen), str(rejected)] if "\n" not in chosen + rejected:
            return whole_characters(chosen, "style"), whole_characters(rejected, "style")
    raise BadRow(
        "bad_style", 'style is not understood, expected {"chosen": "words", "rejected": "words"}, one line each'
    )


def _phrase(entry: Any, prompt: str, *, skipped: int, after: int) -> Phrase:
    text = entry.get("text") if isinstance(entry, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise BadRow("bad_phrases", f"a phrase is {str(entry)[:60]}, expected a text, or an object with a text")
    text = whole_characters(text, "phrases")
    if entry.get("start") is None:
        text, start = _find(text.strip(), prompt, max(after, 0))
    else:
        end = entry.get("end")
        end = entry["start"] + len(text) if end is None and _is_whole(entry["start"]) else end
        start, end = _span([entry["start"], end], prompt, skipped=skipped, reason="bad_phrases")
        if prompt[start:end] != text:
            raise BadRow("bad_phrases", f"phrase {text!r} starts at {entry['start']}, where the prompt has other words")
    phrase = one_phrase(text, start=start)
    attributes, count = entry.get("attributes"), entry.get("count")
    checks: dict[str, Callable[[Any], bool]] = {
        "kind": lambda kind: kind in PHRASE_KINDS,
        "head": lambda head: isinstance(head, str) and bool(head.strip()),
        "attributes": _are_texts,
        "count": lambda count: _is_whole(count) and 1 <= count <= LARGEST_COUNT,
        "arguments": lambda both: isinstance(both, list) and len(both) == 2 and all(map(_is_place, both)),
    }
    given = {name: entry[name] for name in checks if entry.get(name) is not None}
    for name, found in given.items():
        if not checks[name](found):
            raise BadRow("bad_phrases", f"{name} of phrase {text!r} is {str(found)[:40]}, see docs/data-format.md")
    if "attributes" in given:
        given["attributes"] = tuple(given["attributes"])
    if "arguments" in given:
        given["arguments"] = tuple(-1 if place is None else place for place in given["arguments"])
    if "kind" not in given and given.keys() & {"head", "attributes", "count"}:
        said = phrase.count if count is None and phrase.kind == "count" else count
        given["kind"] = noun_kind(said, phrase.attributes if attributes is None else attributes)
    return dataclasses.replace(phrase, **given)


def _find(text: str, prompt: str, after: int) -> tuple[str, int]:
    """The words as the prompt has them, behind the phrase before or else anywhere, and where; -1 for nowhere."""
    pattern = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE)
    found = pattern.search(prompt, after) or pattern.search(prompt)
    return (found[0], found.start()) if found else (text, -1)


def _object(entry: Any, prompt: str, *, side: int, skipped: int) -> SeenObject:
    entry = entry if isinstance(entry, dict) else {"name": entry}
    name, corners, attributes = entry.get("name"), entry.get("bbox"), entry.get("attributes") or []
    if not isinstance(name, str) or not name or not _are_texts(attributes):
        raise BadRow("bad_objects", f"an object is {str(entry)[:60]}, expected a name and a list of attributes")
    right = isinstance(corners, list) and len(corners) == 4
    if not right or not all(isinstance(c, int | float) and not isinstance(c, bool) and abs(c) <= 1e9 for c in corners):
        raise BadRow("bad_objects", f"bbox of {name!r} is {str(corners)[:40]}, expected [x1, y1, x2, y2] in pixels")
    x1, y1, x2, y2 = (float(c) for c in corners)
    wrong = entry.get("wrong")
    if x1 >= x2 or y1 >= y2 or not (wrong is None or isinstance(wrong, bool)):
        raise BadRow("bad_objects", f"object {name!r} has an empty bbox, or its wrong is neither true nor false")
    span = entry.get("phrase")
    phrase = None if span is None else _span(span, prompt, skipped=skipped, reason="bad_objects")
    named = -1 if "phrase" not in entry else int(span is not None)
    words = tuple(whole_characters(word, "objects") for word in (name, *attributes))
    return SeenObject(side, words[0], words[1:], x1, y1, x2, y2, phrase, named, -1 if wrong is None else int(wrong))


def _span(value: Any, prompt: str, *, skipped: int, reason: str) -> tuple[int, int]:
    """A span of the row's prompt as one of the prompt without the blanks around it."""
    match value:
        case [start, end] if _is_whole(start) and _is_whole(end):
            if skipped <= start < end <= skipped + len(prompt):
                return start - skipped, end - skipped
    raise BadRow(reason, f"{str(value)[:40]} is no [start, end] of the prompt's {len(prompt)} characters")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_place(value: Any) -> bool:
    return value is None or _is_whole(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word.strip() for word in value)

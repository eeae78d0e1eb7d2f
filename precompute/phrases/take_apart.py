"""From a prompt to its phrases: by the small world's grammar where it applies, else by the chunker."""

import dataclasses
from collections.abc import Iterable

from precompute.phrases.chunker import FUNCTION_WORDS, chunk
from precompute.phrases.phrase import TOKEN, Phrase, at_most
from precompute.phrases.small_world import world_phrases
from precompute.phrases.words import FRAMES, RELATIONS

__all__ = ["coverage", "one_phrase", "take_apart"]


def take_apart(prompt: str) -> tuple[Phrase, ...]:
    """The phrases of a prompt, in order and without overlap.

    Never fails: a prompt that cannot be taken apart is one phrase of the kind `other`, and one without any sign but
    blanks has none. At most `MOST_PHRASES`; the last holds the rest.

    Args:
        prompt: any text; what is found in it satisfies `prompt[phrase.start : phrase.end] == phrase.text`.
    """
    if not prompt.strip():
        return ()
    phrases = world_phrases(prompt) or chunk(prompt) or [_whole(prompt)]
    return at_most(phrases, prompt)


def one_phrase(text: str, *, start: int = -1) -> Phrase:
    """A text that is known to be one phrase, such as "two blue dogs", "left of" or "in a park"; `start` as in `Phrase`.

    One that the chunker would divide is of the kind `other`.
    """
    end = start + len(text) if start >= 0 else -1
    found = chunk(text)
    kind = "relation" if tuple(text.lower().split()) in RELATIONS else "other"
    whole = Phrase(text=text, start=start, end=end, kind=kind, head=" ".join(text.split()))
    if len(found) != 1 or found[0].text != text.strip(" .,;:!?"):
        return whole
    return dataclasses.replace(found[0], text=text, start=start, end=end)


def coverage(prompt: str, phrases: Iterable[Phrase]) -> tuple[int, int]:
    """How many words with a meaning of their own lie inside a phrase, and how many the prompt has.

    Articles, prepositions, conjunctions, pronouns and forms of "to be" are not counted, nor is the "photo" of "a photo
    of".
    """
    spans = [(phrase.start, phrase.end) for phrase in phrases if phrase.start >= 0]
    words = [match for match in TOKEN.finditer(prompt) if any(letter.isalnum() for letter in match[0])]
    small = [match[0].lower() for match in words]
    frame = next((len(frame) for frame in FRAMES if small[: len(frame)] == frame), 0)
    content = [match for match, word in zip(words[frame:], small[frame:]) if word not in FUNCTION_WORDS]
    inside = sum(any(start <= match.start() and match.end() <= end for start, end in spans) for match in content)
    return inside, len(content)


def _whole(prompt: str) -> Phrase:
    text = prompt.strip()
    start = prompt.index(text)
    return Phrase(text=text, start=start, end=start + len(text), kind="other", head=" ".join(text.split()))

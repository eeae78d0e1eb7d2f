"""What a failing phrase looks like instead: the same image judged again with another colour, number or relation in it.

Only that phrase is changed: its altered words are embedded by the text tower as phrases are, and the heads read them in
its place beside the other phrases of the prompt. The alternative of the highest probability is named if the image keeps
it more likely than not, and more likely than the prompt's own phrase.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tipai_jax.auditor.embeddings import EmbeddedImages, EmbeddedPrompts
from tipai_jax.auditor.heads import CompiledHeads, bucket
from tipai_jax.auditor.verdict import Alternative, Verdict
from tipai_jax.errors import UserError
from tipai_jax.evaluation.alternatives import ALTERNATIVES, ASKED_OF, Lists
from tipai_jax.evaluation.calibrators import Calibrator
from tipai_jax.render.phrases import FAILS
from tipai_jax.store import PHRASE_KINDS

if TYPE_CHECKING:
    from precompute.encoders.clip import ClipEncoder
    from precompute.phrases import Phrase

__all__ = ["Asked", "asked_lists", "name_alternatives"]

Asked = bool | Mapping[str, Sequence[str | int]]
PART = 256
"""Verdicts whose alternatives are judged at once."""


def asked_lists(asked: Asked) -> Lists:
    """The lists of alternatives that were asked for; none for False, `ALTERNATIVES` for True.

    Args:
        asked: a mapping is the lists: "number" of whole numbers, "relation" of relations, and any other name, such as
            "colour" or "material", of attributes that exclude each other.

    Raises:
        UserError: a list is none, or holds something else.
    """
    if isinstance(asked, bool):
        return dict(ALTERNATIVES) if asked else {}
    found: Lists = {}
    for name, words in asked.items():
        if isinstance(words, str) or not isinstance(words, Sequence):
            raise UserError(
                f'alternatives: {name!r} is {words!r}; expected a list, such as {{"colour": ["red", "blue"]}}'
            )
        for word in words:
            fine = (
                type(word) is int and 1 <= word <= 127 if name == "number" else isinstance(word, str) and word.strip()
            )
            if not fine:
                wanted = "whole numbers from 1 to 127" if name == "number" else "words"
                raise UserError(f"alternatives: {name!r} holds {word!r}; expected {wanted}")
        found[name] = tuple(word if isinstance(word, int) else " ".join(word.lower().split()) for word in words)
    return found


@dataclass(frozen=True)
class _Candidate:
    """A phrase with one thing changed.

    Attributes:
        verdict: the number of the verdict whose phrase it is.
        phrase: its number among the phrases of the verdict.
        place: the place that the heads read it at.
        what: the name of the list that the word comes from.
        word: what the image may show instead.
        altered: the changed phrase.
        own: the phrase of the prompt.
    """

    verdict: int
    phrase: int
    place: int
    what: str
    word: str
    altered: "Phrase"
    own: "Phrase"


def name_alternatives(
    verdicts: Sequence[Verdict],
    image: np.ndarray,
    prompt: np.ndarray,
    *,
    images: EmbeddedImages,
    prompts: EmbeddedPrompts,
    lists: Lists,
    heads: CompiledHeads,
    encoder: "ClipEncoder",
    calibrator: Calibrator,
) -> tuple[Verdict, ...]:
    """The verdicts, each failing phrase with its alternative where one fits.

    Args:
        verdicts: on the images `image` for the prompts `prompt`, by their numbers.
        image: of each verdict.
        prompt: of each verdict.
        images: the embedded images.
        prompts: the embedded prompts, with phrases.
        lists: what is tried.
        heads: of the auditor; they read phrases.
        encoder: the frozen encoder.
        calibrator: turns the logit of a phrase into the probability that the image keeps it.
    """
    made: list[Verdict] = []
    for start in range(0, len(verdicts), PART):
        part = verdicts[start : start + PART]
        column = prompt[start : start + PART]
        candidates = [
            each for i, verdict in enumerate(part) for each in _candidates(i, verdict, prompts, int(column[i]), lists)
        ]
        altered, candidates = _embedded(candidates, prompts, column, encoder)
        row = image[start : start + PART][[each.verdict for each in candidates]] if candidates else image[:0]
        logit = heads.predict(images, altered, row, np.arange(len(candidates)))["phrase_logit"]
        kept = calibrator(np.array([logit[i, each.place] for i, each in enumerate(candidates)], np.float64))
        made += _named(part, candidates, kept)
    return tuple(made)


def _candidates(
    number: int, verdict: Verdict, prompts: EmbeddedPrompts, column: int, lists: Lists
) -> Iterator[_Candidate]:
    """Every failing phrase of a verdict with each of its alternatives."""
    from precompute.phrases import take_apart

    assert prompts.phrases is not None, "refused in predict"
    places, own = np.flatnonzero(prompts.phrases.present[column]).tolist(), take_apart(verdict.prompt)
    for i, (place, judged) in enumerate(zip(places, verdict.phrases, strict=True)):
        if not judged.fails or place >= len(own) or (own[place].start, own[place].end) != (judged.start, judged.end):
            continue  # the last: phrases that somebody else has found
        for what, word, altered in _altered(own[place], lists):
            yield _Candidate(number, i, place, what, word, altered, own[place])


def _altered(phrase: "Phrase", lists: Lists) -> Iterator[tuple[str, str, "Phrase"]]:
    """A phrase with one attribute, its number or its relation replaced: the name of the list, the word, the phrase."""
    for what, words in lists.items():
        for word in words:
            if isinstance(word, int):
                if phrase.kind == "count" and word != phrase.count:
                    yield what, _in_letters(word), _counted(phrase, word)
            elif what == "relation":
                if _is_spatial(phrase, words) and word != phrase.head.lower():
                    yield what, word, dataclasses.replace(phrase, text=word, head=word)
            elif phrase.kind in ("attribute", "count") and word not in phrase.attributes:
                for old in (each for each in phrase.attributes if each in words):
                    attributes = tuple(word if each == old else each for each in phrase.attributes)
                    text = re.sub(rf"\b{re.escape(old)}\b", word, phrase.text, count=1, flags=re.IGNORECASE)
                    yield what, word, dataclasses.replace(phrase, text=text, attributes=attributes)


def _counted(phrase: "Phrase", count: int) -> "Phrase":
    """Another number of the same things; one of them is named without a number, as prompts do."""
    from precompute.phrases import noun_kind

    return dataclasses.replace(phrase, count=count, kind=noun_kind(count if count > 1 else None, phrase.attributes))


def _is_spatial(phrase: "Phrase", words: Sequence[str | int]) -> bool:
    """Whether a phrase is a relation that one of the list can stand for: a thing may be "in" another one and left of a
    third, so only directions, what excludes them, and the words of the list itself are tried.
    """
    said = phrase.head.lower()
    return phrase.kind == "relation" and (said in ASKED_OF or said in words)


def _in_letters(number: int) -> str:
    from precompute.phrases.words import NUMBERS

    return next((word for word, value in NUMBERS.items() if value == number), str(number))


def _embedded(
    candidates: Sequence[_Candidate], prompts: EmbeddedPrompts, column: np.ndarray, encoder: "ClipEncoder"
) -> tuple[EmbeddedPrompts, list[_Candidate]]:
    """The prompts of the candidates with their one phrase changed, and which candidates these are: words that the
    encoder's vocabulary lacks are left out, for all of them look alike to it.
    """
    from precompute.phrases import embedded_forms

    forms = [embedded_forms(each.altered) for each in candidates]
    own = [embedded_forms(each.own)[0] for each in candidates]
    texts = list(dict.fromkeys([*(text for pair in forms for text in pair), *own]))
    row = {text: place for place, text in enumerate(texts)}
    encoded = encoder.encode_text(texts, batch_size=bucket(len(texts), PART)) if texts else None
    unknown = lambda text: 0 if encoded is None else int(encoded.tokens.unknown[row[text]])
    known = [i for i, (pair, text) in enumerate(zip(forms, own, strict=True)) if unknown(pair[0]) <= unknown(text)]
    kept = [candidates[i] for i in known]
    where = np.array([column[each.verdict] for each in kept], np.int64)
    assert prompts.phrases is not None, "refused in predict"
    fields = {field.name: getattr(prompts.phrases, field.name)[where] for field in dataclasses.fields(prompts.phrases)}
    for i, (candidate, j) in enumerate(zip(kept, known, strict=True)):
        assert encoded is not None, "each candidate has two texts"
        fields["text"][i, candidate.place], fields["bare"][i, candidate.place] = encoded.text[
            [row[t] for t in forms[j]]
        ]
        fields["kind"][i, candidate.place] = PHRASE_KINDS.index(candidate.altered.kind)
        fields["count"][i, candidate.place] = candidate.altered.count
    names = tuple(prompts.prompts[place] for place in where.tolist())
    phrases = dataclasses.replace(prompts.phrases, **fields)
    return EmbeddedPrompts(prompts.text[where], names, prompts.encoder, None, phrases), kept


def _named(verdicts: Sequence[Verdict], candidates: Sequence[_Candidate], kept: np.ndarray) -> list[Verdict]:
    """The verdicts with the best alternative of each phrase, where it beats the phrase and is more likely than not."""
    best: dict[tuple[int, int], Alternative] = {}
    for candidate, chance in zip(candidates, kept.tolist(), strict=True):
        place = (candidate.verdict, candidate.phrase)
        least = best[place].kept if place in best else max(FAILS, verdicts[place[0]].phrases[place[1]].kept)
        if chance > least:
            best[place] = Alternative(what=candidate.what, word=candidate.word, kept=chance)
    made = []
    for i, verdict in enumerate(verdicts):
        phrases = (dataclasses.replace(each, alternative=best.get((i, j))) for j, each in enumerate(verdict.phrases))
        made.append(dataclasses.replace(verdict, phrases=tuple(phrases)))
    return made

"""What a failing phrase looks like instead: the alternatives that are tried, and which of them a store says is true.

An auditor embeds altered words with the text tower. An evaluation has the store alone, so its candidates are those that
the store holds embeddings of: another phrase of its table of phrases, or the same row with another count. The truth
comes from the table of objects. Definitions: docs/metrics.md.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from tipai_jax.evaluation.part_figures import object_rows
from tipai_jax.store import PHRASE_KINDS, ObjectTable, PairTable, PhraseTable, Store

__all__ = [
    "ALTERNATIVES",
    "BrokenPhrase",
    "Candidate",
    "Candidates",
    "Lists",
    "broken_phrases",
    "sampled",
    "usual_truths",
]

Lists = dict[str, tuple[str | int, ...]]
ALTERNATIVES: Lists = {
    "colour": ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"),
    "number": (1, 2, 3, 4, 5, 6),
    "relation": ("left of", "right of", "above", "below"),
}
"""What is tried if nothing else is asked for: words that heads trained on the small world have seen, and that exclude
each other. Relations that they had never seen ("in front of", "inside") got the highest probability of all; "on" and
"next to" got it too, for what lies left of a thing may well be called next to it.
"""
ASKED_OF = frozenset((*ALTERNATIVES["relation"], "on", "next to"))
"""Relations in whose place those of the list are tried."""
COLOURS = frozenset(ALTERNATIVES["colour"])
APART = 0.06
"""Least gap between two things of which one is left of, right of, above or below the other, as a share of what the
encoder saw: nearer ones may as well be called "next to" or "on". In 46,000 pairs of the small world this rule finds all
of the 6,414 wrong relations of these four kinds, and takes 4 of the 2,432 of the other two kinds for one of them.
"""
STEEP = 2.0
"""The centres are so many times further apart along one axis than along the other, or both directions are true."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A phrase with one thing changed, as the heads read it.

    Attributes:
        what: the name of the list that the word comes from.
        word: what the image may show instead.
        row: of `Store.phrases`, whose embeddings are those of the changed phrase.
        kind: of the changed phrase, its number in `PHRASE_KINDS`.
        count: of the changed phrase.
    """

    what: str
    word: str | int
    row: int
    kind: int
    count: int


@dataclass(frozen=True)
class BrokenPhrase:
    """A phrase that a rejected image breaks, where it is known what the image shows instead.

    Attributes:
        pair: row of the pair.
        place: of the phrase among those of the prompt.
        candidates: its alternatives, in the order of `ALTERNATIVES`.
        truth: which of them the image shows.
        own: what the prompt says that may be otherwise: its colours, its number, its relation.
    """

    pair: int
    place: int
    candidates: tuple[Candidate, ...]
    truth: int
    own: tuple[str | int, ...] = ()

    @property
    def what(self) -> str:
        """In what the image departs from the phrase: colour, number or relation."""
        return self.candidates[self.truth].what


class Candidates:
    """The alternatives of the phrases of a store, by their rows in its table and their counts."""

    def __init__(self, table: PhraseTable) -> None:
        self._table = table
        nouns: dict[tuple[str, tuple[str, ...]], int] = {}
        relations: dict[str, int] = {}
        for row, kind in enumerate(table.kind.tolist()):
            if kind == "relation":
                relations.setdefault(table.head[row].lower(), row)
            elif kind in ("object", "attribute", "count"):
                nouns.setdefault((table.bare[row], tuple(table.attributes[row].split())), row)
        self._nouns, self._relations = nouns, relations
        self._known: dict[tuple[int, int], tuple[Candidate, ...]] = {}

    def of(self, row: int, count: int) -> tuple[Candidate, ...]:
        """Everything that is tried in the place of a phrase; a word whose phrase the store lacks is left out.

        Args:
            row: of the table of phrases.
            count: how many things the prompt names, 1 where it says no number.
        """
        if (row, count) not in self._known:
            self._known[row, count] = tuple(self._altered(row, count))
        return self._known[row, count]

    def _altered(self, row: int, count: int) -> Iterator[Candidate]:
        kind = str(self._table.kind[row])
        attributes = tuple(self._table.attributes[row].split())
        number = PHRASE_KINDS.index(kind)
        for what, words in ALTERNATIVES.items():
            for word in words:
                if isinstance(word, int):
                    if kind == "count" and word != count:
                        single = "attribute" if attributes else "object"  # one thing is named without a number
                        named = PHRASE_KINDS.index("count" if word > 1 else single)
                        yield Candidate(what, word, row, named, word)
                elif what == "relation":
                    own = self._table.head[row].lower()
                    if kind == "relation" and own in ASKED_OF and word != own and word in self._relations:
                        yield Candidate(what, word, self._relations[word], number, count)
                elif kind in ("attribute", "count") and word not in attributes:
                    for old in (each for each in attributes if each in words):
                        changed = tuple(word if each == old else each for each in attributes)
                        found = self._nouns.get((self._table.bare[row], changed))
                        if found is not None:
                            yield Candidate(what, word, found, number, count)


def broken_phrases(store: Store, pairs: PairTable) -> list[BrokenPhrase] | None:
    """The broken phrases whose truth is known and among their candidates, in the order of the pairs.

    Left out are those of which two things are true, such as a colour and a number.

    Args:
        store: with phrases.
        pairs: some pairs of it.

    Returns:
        The phrases; None where the data do not say which objects the images show.
    """
    rows = object_rows(store, pairs)
    if rows is None:
        return None
    prompts, candidates, objects = store.prompts, Candidates(store.phrases), store.objects
    found = []
    for pair, place in np.argwhere((pairs.phrase_label == 0) & ~pairs.control[:, None]).tolist():
        prompt = pairs.prompt[pair]
        row = int(prompts.phrase[prompt, place])
        if row < 0:
            continue
        tried = candidates.of(row, int(prompts.phrase_count[prompt, place]))
        shown = rows.which[rows.offsets[pair] : rows.offsets[pair + 1]]
        ends = int(prompts.phrase_subject[prompt, place]), int(prompts.phrase_object[prompt, place])
        truth = _truth(store.phrases.attributes[row].split(), objects, shown, place=place, ends=ends)
        true = [i for i, each in enumerate(tried) if truth.get(each.what) == each.word]
        if len(true) == 1:
            relation = (store.phrases.head[row],) if min(ends) >= 0 else ()
            colours = sorted(COLOURS.intersection(store.phrases.attributes[row].split()))
            own = (*relation, *colours, int(prompts.phrase_count[prompt, place]))
            found.append(BrokenPhrase(pair, place, tried, true[0], own))
    return found


def usual_truths(phrases: Sequence[BrokenPhrase]) -> dict[tuple[str | int, ...], str | int]:
    """What images most often show in the place of phrases that say the same: what a guess from the prompt would name.

    Args:
        phrases: of the training split.

    Returns:
        The word by `BrokenPhrase.own`; of equally frequent ones the first met.
    """
    seen: defaultdict[tuple[str | int, ...], Counter[str | int]] = defaultdict(Counter)
    for each in phrases:
        seen[each.own][each.candidates[each.truth].word] += 1
    return {own: words.most_common(1)[0][0] for own, words in seen.items()}


def sampled(phrases: Sequence[BrokenPhrase], *, most: int, seed: int) -> list[BrokenPhrase]:
    """At most so many of the phrases of each kind of departure, at random, in their order."""
    rng, chosen = np.random.default_rng(seed), []
    for what in ALTERNATIVES:
        of_kind = [i for i, each in enumerate(phrases) if each.what == what]
        chosen += rng.permutation(of_kind)[:most].tolist()
    return [phrases[int(i)] for i in sorted(chosen)]


def _truth(
    attributes: Sequence[str],
    objects: ObjectTable,
    shown: Int[np.ndarray, " m"],
    *,
    place: int,
    ends: tuple[int, int],
) -> Mapping[str, str | int]:
    """What a rejected image shows in the place of a phrase, by the name of the list; what is not known is not there.

    Args:
        attributes: of the phrase.
        objects: the table.
        shown: the rows of the objects in the image.
        place: of the phrase in its prompt.
        ends: the places of the phrases that it connects, -1 for none.
    """
    if min(ends) >= 0:
        relation = _relation(objects, *(shown[objects.phrase[shown] == end] for end in ends))
        return {"relation": relation} if relation else {}
    mine, truth = shown[objects.phrase[shown] == place], {}
    own = COLOURS.intersection(attributes)
    theirs = [COLOURS.intersection(str(objects.attributes[row]).split()) for row in mine.tolist()]
    wrong = {frozenset(theirs[i]) for i in np.flatnonzero(objects.wrong[mine] == 1)}
    if len(own) == 1 and len(wrong) == 1 and len(colours := next(iter(wrong))) == 1:
        truth["colour"] = next(iter(colours))
    if (objects.named[shown] >= 0).all():  # else nobody knows which of them the phrase means
        truth["number"] = sum(own <= each for each in theirs)
    return truth


def _relation(objects: ObjectTable, subject: Int[np.ndarray, " s"], other: Int[np.ndarray, " o"]) -> str:
    """Where the one thing of the subject lies from the one of the object; "" where that is not clear."""
    if len(subject) != 1 or len(other) != 1:
        return ""
    a, b = ([getattr(objects, name)[row[0]] for name in ("x1", "y1", "x2", "y2")] for row in (subject, other))
    across, down = ((a[i] + a[i + 2] - b[i] - b[i + 2]) / 2 for i in (0, 1))
    axis = int(abs(down) > abs(across))
    gap = max(a[axis] - b[axis + 2], b[axis] - a[axis + 2])
    if gap < APART or max(abs(across), abs(down)) < STEEP * min(abs(across), abs(down)):
        return ""
    return ("left of" if across < 0 else "right of", "above" if down < 0 else "below")[axis]

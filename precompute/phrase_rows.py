"""The phrases of all prompts of a data set as rows of the store's table of phrases, and the columns that point to them.

They depend on the data and on the parser alone, so every worker numbers them alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from precompute.phrases import Phrase, coverage, embedded_forms
from precompute.phrases.parser import OWN, Parse, find_parser
from precompute.readers.records import PairRecord, Source
from tipai_jax.files.atomic import canonical_json, sha256_bytes

__all__ = [
    "PhraseEntry",
    "PhraseIndex",
    "index_phrases",
    "phrase_columns",
    "phrase_labels",
    "prompt_lists",
    "with_phrases",
]


class PhraseEntry(NamedTuple):
    """A row of the table of phrases; the fields are those of `PhraseTable`."""

    phrase: str
    bare: str
    head: str
    attributes: str
    kind: str


@dataclass(frozen=True)
class PhraseIndex:
    """The phrases of all prompts.

    Attributes:
        by_prompt: the phrases of each prompt.
        rows: the row of each of them in the table.
        entries: the table: each distinct (phrase, bare, kind) once, in the order of first appearance.
        content_words: number of words with a meaning in all prompts.
        covered_words: how many of them lie in a phrase.
    """

    by_prompt: Mapping[str, tuple[Phrase, ...]]
    rows: Mapping[str, tuple[int, ...]]
    entries: tuple[PhraseEntry, ...]
    content_words: int
    covered_words: int

    @property
    def digest(self) -> str:
        """sha256 over all phrases of all prompts."""
        fields = ("text", "start", "end", "kind", "head", "attributes", "count", "arguments")
        values = {
            prompt: [[getattr(phrase, name) for name in fields] for phrase in phrases]
            for prompt, phrases in self.by_prompt.items()
        }
        return sha256_bytes(canonical_json(values))


def with_phrases(source: Source, parser: str = OWN) -> Source:
    """The data set with the phrases of its prompts; its identity covers them.

    Args:
        source: as read.
        parser: what takes prompts apart, see `find_parser`. Phrases that the data give are kept.

    Raises:
        UserError: there is no such parser.
    """
    name, parse = find_parser(parser)
    index = index_phrases(source.records, parse)
    identity = {**source.identity, "phrases": {"parser": name, "sha256": index.digest}}
    return replace(source, phrases=index, identity=identity)


def index_phrases(records: Sequence[PairRecord], parse: Parse) -> PhraseIndex:
    """Take every unique prompt apart, and number the phrases."""
    given = {record.prompt: record.phrases for record in records if record.phrases is not None}
    prompts = list(dict.fromkeys(record.prompt for record in records))
    parsed = [prompt for prompt in prompts if prompt not in given]
    found = {**given, **dict(zip(parsed, parse(parsed), strict=True))}
    by_prompt = {prompt: found[prompt] for prompt in prompts}
    numbers: dict[tuple[str, str, str], int] = {}
    entries: list[PhraseEntry] = []
    rows = {}
    for prompt, phrases in by_prompt.items():
        own = []
        for phrase in phrases:
            words, bare = embedded_forms(phrase)
            row = numbers.setdefault((words, bare, phrase.kind), len(entries))
            if row == len(entries):
                entries.append(PhraseEntry(words, bare, phrase.head, " ".join(phrase.attributes), phrase.kind))
            own.append(row)
        rows[prompt] = tuple(own)
    counted = np.array([coverage(prompt, phrases) for prompt, phrases in by_prompt.items()]).reshape(-1, 2).sum(0)
    return PhraseIndex(by_prompt, rows, tuple(entries), content_words=int(counted[1]), covered_words=int(counted[0]))


def phrase_columns(entries: Sequence[PhraseEntry]) -> pa.Table:
    """The parquet columns of a shard of phrases."""
    ids = [sha256_bytes(canonical_json([entry.phrase, entry.bare, entry.kind]))[:16] for entry in entries]
    columns = {"phrase_id": pa.array(ids, pa.string())}
    columns |= {
        name: pa.array([getattr(entry, name) for entry in entries], pa.string()) for name in PhraseEntry._fields
    }
    return pa.table(columns)


def prompt_lists(prompts: Sequence[str], index: PhraseIndex) -> dict[str, pa.Array]:
    """The columns of a shard of prompts that say which phrases each has; lists, in the order of the prompt."""
    phrases = [index.by_prompt[prompt] for prompt in prompts]

    def column(value: Callable[[Phrase], int], kind: pa.DataType) -> pa.Array:
        return pa.array([[value(phrase) for phrase in own] for own in phrases], pa.list_(kind))

    return {
        "phrase": pa.array([list(index.rows[prompt]) for prompt in prompts], pa.list_(pa.int32())),
        "phrase_count": column(lambda phrase: phrase.count, pa.int8()),
        "phrase_start": column(lambda phrase: phrase.start, pa.int32()),
        "phrase_end": column(lambda phrase: phrase.end, pa.int32()),
        "phrase_subject": column(lambda phrase: phrase.arguments[0], pa.int8()),
        "phrase_object": column(lambda phrase: phrase.arguments[1], pa.int8()),
    }


def phrase_labels(record: PairRecord, phrases: Sequence[Phrase]) -> list[int]:
    """For each phrase of the prompt: 1 if the rejected image keeps it, 0 if it breaks it, -1 if nobody knows.

    A phrase is broken if its span overlaps one that fails; a control keeps all, which says nothing to heads where no
    pair says what fails: then nobody knows. A relation that does not fail itself is
    unknown where one of the things that it connects fails: a cow left of the dog is no cat left of the dog.
    """
    if record.failing is None:
        return [-1] * len(phrases)
    if record.control:
        return [1] * len(phrases)
    labels = [_label(phrase, record.failing) for phrase in phrases]
    unsure = [any(place >= 0 and labels[place] != 1 for place in phrase.arguments) for phrase in phrases]
    return [-1 if label == 1 and doubt else label for label, doubt in zip(labels, unsure)]


def _label(phrase: Phrase, failing: tuple[tuple[int, int], ...]) -> int:
    if not failing:
        return 1
    if phrase.start < 0:  # its words are not in the prompt
        return -1
    return int(not any(start < phrase.end and phrase.start < end for start, end in failing))

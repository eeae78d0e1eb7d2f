"""The canonical records that every reader produces, and the rules for pairs.

A pair that breaks a rule is rejected with a reason. What breaks a rule for all pairs together is fatal: duplicate ids,
or a group or a prompt in two splits.
"""

import dataclasses
import hashlib
import string
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from precompute.phrases import Phrase
from precompute.readers.annotations import SeenObject, parse_failing, parse_objects, parse_phrases, parse_style
from precompute.readers.bad_row import BadRow, whole_characters
from tipai_jax.errors import UserError
from tipai_jax.store import CATEGORIES, DIFFICULTIES, SPLITS, category_index, is_split

if TYPE_CHECKING:
    from precompute.phrase_rows import PhraseIndex

__all__ = ["BadRow", "PairRecord", "PixelBox", "Reject", "Source", "check_together", "hashed_split", "parse_row"]

MOST_SCORE = 1e30
"""The largest absolute score; the difference of two must be a finite f32."""


class PixelBox(NamedTuple):
    """A wrong region in pixels of the rejected image; x2 and y2 are exclusive, `category` is an index of CATEGORIES."""

    x1: float
    y1: float
    x2: float
    y2: float
    category: int
    absent: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRecord:
    """One usable pair of a data set. Images are named by keys that the `Source` can open.

    `row` is the number of the pair, counted from 1: in `pairs.jsonl` that of its line. `boxes` is None where the pair
    is not annotated. `categories` holds the positions in which the rejected image fails, None where unknown. `split` is
    one of SPLITS, or shift-NAME. `phrases` are those that the data give for the prompt, `failing` the spans of its
    characters that the rejected image breaks, `objects` all objects of both images, `style` how either is made ("":
    unknown); None where the data do not say. `sha256` are the hashes the images must have, None where not stated.
    """

    row: int
    pair_id: str
    prompt: str
    chosen: str
    rejected: str
    chosen_score: float
    rejected_score: float
    boxes: tuple[PixelBox, ...] | None
    categories: tuple[int, ...] | None
    split: str
    group: str
    difficulty: str = ""
    kind: str = ""
    control: bool = False
    unseen: bool = False
    phrases: tuple[Phrase, ...] | None = None
    failing: tuple[tuple[int, int], ...] | None = None
    objects: tuple[SeenObject, ...] | None = None
    style: tuple[str, str] = ("", "")
    sha256: tuple[str, str] | None = None
    has_split: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """A pair that cannot be used: its number, its id if it has one, the reason as a code and as a sentence."""

    row: int
    pair_id: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image before it is opened: its size in bytes, its last change (0: not known), its origin and style."""

    size: int
    changed_ns: int = 0
    generator: str = ""
    seed: int = -1
    style: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set, read but for its images.

    Attributes:
        records: usable pairs in order.
        rejects: the others.
        rows: number of all pairs.
        identity: kind, sha256, number of pairs (`rows`) and limit of the input; no paths.
        small_world_only: drawn scenes only.
        images: the file of every key of `records`.
        read_image: the bytes of a key; safe to call from several threads; raises OSError.
        folder: from which relative image paths start; None where there are no files.
        phrases: those of all prompts, once they are taken apart; None before, and for stores without phrases.
    """

    records: list[PairRecord]
    rejects: list[Reject]
    rows: int
    identity: dict[str, Any]
    small_world_only: bool
    images: dict[str, ImageFile]
    read_image: Callable[[str], bytes] = field(repr=False)
    folder: Any = None
    phrases: "PhraseIndex | None" = field(default=None, repr=False)


def hashed_split(name: str) -> str:
    """The split of a group or prompt without one: 80 % train, 10 % validation, 10 % test, by its sha256."""
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    return "train" if place < 0.8 else "validation" if place < 0.9 else "test"


def parse_row(value: Any, row: int) -> PairRecord:
    """Check one pair and make a record of it; the images' keys are their names in it.

    Args:
        value: a decoded JSON object of the pairs format.
        row: see `PairRecord`.

    Raises:
        BadRow: with the reason.
    """
    if not isinstance(value, dict):
        raise BadRow("not_an_object", f"expected a JSON object, found {type(value).__name__}")
    said = _text(value, "prompt")
    prompt, skipped = said.strip(), len(said) - len(said.lstrip())
    if not prompt:
        raise BadRow("empty_prompt", "the prompt is empty")
    chosen_score, rejected_score = _score(value, "chosen_score"), _score(value, "rejected_score")
    if rejected_score > chosen_score:
        raise BadRow("scores_reversed", f"rejected_score {rejected_score:g} is above chosen_score {chosen_score:g}")
    control = _flag(value, "control")
    named = _categories(value.get("category"))
    boxes = _boxes(value.get("unfaithful_patches"), named)
    if control and boxes:
        raise BadRow("control_with_boxes", "a control keeps the prompt in both images, yet has unfaithful_patches")
    if named is None and boxes:
        named = tuple(sorted({box.category for box in boxes}))
    group = _label(value, "group") or prompt
    split = value.get("split") or ""
    if split and not (isinstance(split, str) and is_split(split)):
        raise BadRow("unknown_split", f"split {split!r}, expected one of {', '.join(SPLITS)} or shift-NAME")
    difficulty = value.get("difficulty") or ""
    if difficulty and difficulty not in DIFFICULTIES:
        raise BadRow("unknown_difficulty", f"difficulty {difficulty!r}, expected one of {', '.join(DIFFICULTIES)}")
    return PairRecord(
        row=row,
        pair_id=_text(value, "pair_id"),
        prompt=prompt,
        chosen=_text(value, "chosen_image"),
        rejected=_text(value, "rejected_image"),
        chosen_score=chosen_score,
        rejected_score=rejected_score,
        boxes=boxes,
        categories=() if control else named,
        split=split or hashed_split(group),
        group=group,
        difficulty=difficulty,
        kind=_label(value, "kind"),
        control=control,
        unseen=_flag(value, "unseen_combination"),
        phrases=parse_phrases(value.get("phrases"), prompt, skipped=skipped),
        failing=parse_failing(value.get("failing_phrases"), prompt, skipped=skipped, control=control),
        objects=parse_objects(value.get("objects"), prompt, skipped=skipped),
        style=parse_style(value.get("style")),
        sha256=_hashes(value.get("sha256")),
        has_split=bool(split),
    )


def check_together(records: list[PairRecord], where: str) -> list[PairRecord]:
    """Check the rules for all pairs together: ids are unique, pairs that share a group or a prompt are in one split.

    Args:
        records: all usable pairs.
        where: the name of the input, for messages.

    Returns:
        The records; one without a split has the split of the pairs that it shares a group or a prompt with.

    Raises:
        UserError: a rule is broken; the first such pairs are named.
    """
    ids = Counter(record.pair_id for record in records)
    if repeated := [pair_id for pair_id, count in ids.items() if count > 1]:
        numbers = [str(record.row) for record in records if record.pair_id == repeated[0]]
        raise UserError(
            f"{where}: {len(repeated)} pair_id occur more than once, such as {repeated[0]!r} in pairs "
            f"{', '.join(numbers[:4])}; every pair needs its own"
        )
    _check_phrases(records, where)
    return _linked_splits(records, where)


def _check_phrases(records: list[PairRecord], where: str) -> None:
    """A prompt has the same phrases in all pairs that give some."""
    first: dict[str, PairRecord] = {}
    for record in records:
        if record.phrases is not None and (one := first.setdefault(record.prompt, record)).phrases != record.phrases:
            raise UserError(
                f"{where}: the phrases of prompt {record.prompt[:80]!r} differ between pair {one.row} and pair "
                f"{record.row}; give all pairs of a prompt the same, or only one of them any"
            )


def _linked_splits(records: list[PairRecord], where: str) -> list[PairRecord]:
    """One split for all pairs that share a group or a prompt, directly or through other pairs: the one that a pair of
    them states, else that of the smallest group name, so that a group which shares no prompt is hashed by its own.
    """
    parent = list(range(len(records)))  # a forest; what follows is true of its roots
    stating = [record if record.has_split else None for record in records]
    smallest = [record.group for record in records]

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    seen: dict[tuple[str, str], int] = {}
    for i, record in enumerate(records):
        for what, name in (("group", record.group), ("prompt", record.prompt)):
            first, other = root(seen.setdefault((what, name), i)), root(i)
            if first == other:
                continue
            one, two = stating[first], stating[other]
            if one is not None and two is not None and one.split != two.split:
                raise UserError(
                    f"{where}: {what} {name[:80]!r} is in two splits, {one.split} (pair {one.row}) and {two.split} "
                    f"(pair {two.row}); give all pairs of a group, and all of a prompt, the same split"
                )
            parent[other] = first
            stating[first] = one or two
            smallest[first] = min(smallest[first], smallest[other])
    settled = []
    for i, record in enumerate(records):
        stated = stating[root(i)]
        split = hashed_split(smallest[root(i)]) if stated is None else stated.split
        settled.append(record if record.split == split else dataclasses.replace(record, split=split))
    return settled


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    if text is None:
        raise BadRow("missing_field", f"field {key!r} is missing")
    if not isinstance(text, str) or not text:
        raise BadRow("bad_field", f"field {key!r} is {text!r}, expected a text that is not empty")
    return whole_characters(text, key)


def _label(value: Mapping[str, Any], key: str) -> str:
    """A text that may be left out."""
    return whole_characters(str(value.get(key) or ""), key)


def _score(value: Mapping[str, Any], key: str) -> float:
    score = value.get(key)
    if score is None:
        raise BadRow("missing_field", f"field {key!r} is missing")
    if isinstance(score, bool) or not isinstance(score, int | float) or not abs(score) <= MOST_SCORE:
        raise BadRow(
            "bad_score", f"field {key!r} is {str(score)[:40]}, expected a finite number of at most {MOST_SCORE:g}"
        )
    return float(score)


def _flag(value: Mapping[str, Any], key: str) -> bool:
    flag = value.get(key, False)
    if not isinstance(flag, bool):
        raise BadRow("bad_field", f"field {key!r} is {flag!r}, expected true or false")
    return flag


def _categories(value: Any) -> tuple[int, ...] | None:
    names = [value] if isinstance(value, str) else value
    if not names:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRow(
            "unknown_category", f"category {value!r}, expected one of {', '.join(CATEGORIES)} or a list of them"
        )
    return tuple(sorted({_category(name) for name in names}))


def _category(name: str) -> int:
    try:
        return category_index(name)
    except KeyError as error:
        raise BadRow("unknown_category", error.args[0]) from None


def _boxes(value: Any, named: tuple[int, ...] | None) -> tuple[PixelBox, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadRow("bad_box", f"unfaithful_patches is {type(value).__name__}, expected a list")
    return tuple(_box(entry, named) for entry in value)


def _box(entry: Any, named: tuple[int, ...] | None) -> PixelBox:
    corners = entry.get("bbox") if isinstance(entry, dict) else None
    if (
        not isinstance(corners, list)
        or len(corners) != 4
        or not all(isinstance(c, int | float) and not isinstance(c, bool) and abs(c) <= 1e9 for c in corners)
    ):
        raise BadRow("bad_box", f"bbox is {corners!r}, expected [x1, y1, x2, y2] in pixels")
    x1, y1, x2, y2 = (float(c) for c in corners)
    if x1 >= x2 or y1 >= y2:
        raise BadRow("bad_box", f"bbox {corners} is empty, expected x1 < x2 and y1 < y2")
    category = entry.get("category")
    if category is None and named is not None and len(named) == 1:
        return PixelBox(x1, y1, x2, y2, named[0], _flag(entry, "absent"))
    if not isinstance(category, str):
        raise BadRow(
            "unknown_category", f"the category of a box is {category!r}, expected one of {', '.join(CATEGORIES)}"
        )
    return PixelBox(x1, y1, x2, y2, _category(category), _flag(entry, "absent"))


def _hashes(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    pair = [value.get("chosen"), value.get("rejected")] if isinstance(value, dict) else value
    match pair:
        case [str(chosen), str(rejected)] if _is_sha256(chosen) and _is_sha256(rejected):
            return chosen.lower(), rejected.lower()
    raise BadRow("bad_field", 'sha256 is not understood, expected {"chosen": hex, "rejected": hex}')


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set(string.hexdigits)

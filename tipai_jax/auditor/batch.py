"""Many images into one parquet file, which the same command brings up to date.

    OUT                       a row for each image and prompt in the order of the input, written last and whole
    OUT.parts/plan.json       which auditor is writing OUT from which input; another one is refused
    OUT.parts/00000.parquet   rows judged since, PART at a time, whole or not there at all

A row is known by its `input_digest`: image, path, size and time of change of the file, and prompt. Rows that OUT or its
parts hold already are taken over, so an interrupted command continues where it stopped, and an added or changed image
or prompt is the only thing that is judged. A row that cannot be judged has the reason in the column `error`.
"""

import functools
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tipai_jax.errors import UserError, first_line
from tipai_jax.files.atomic import canonical_json, sha256_bytes, write_file
from tipai_jax.files.lock import alone_in
from tipai_jax.store import CATEGORIES

if TYPE_CHECKING:
    from precompute.encoders.images import Prepared
    from tipai_jax.auditor.api import Auditor
    from tipai_jax.auditor.verdict import Verdict

__all__ = ["PART", "Outcome", "Row", "audit_rows", "folder_rows", "table_rows"]

PART = 256
IMAGES = (".png", ".jpg", ".jpeg", ".webp")
BOX = pa.struct(
    [
        ("x1", pa.int32()),
        ("y1", pa.int32()),
        ("x2", pa.int32()),
        ("y2", pa.int32()),
        ("risk", pa.float32()),
    ]
)
PHRASE = pa.struct([("text", pa.string()), ("kept", pa.float32()), ("fails", pa.bool_()), ("alternative", pa.string())])
SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("prompt", pa.string()),
        ("score", pa.float64()),
        ("logit", pa.float64()),
        ("prediction", pa.string()),
        ("level", pa.float64()),
        ("sentence", pa.string()),
        *((f"reason_{name}", pa.float64()) for name in CATEGORIES),
        ("consistent", pa.bool_()),
        ("phrases", pa.list_(PHRASE)),
        ("failing", pa.string()),
        ("boxes", pa.list_(BOX)),
        ("patch_score", pa.list_(pa.float32())),
        ("unknown_tokens", pa.int32()),
        ("small_world_only", pa.bool_()),
        ("encoder_digest", pa.string()),
        ("heads_digest", pa.string()),
        ("input_digest", pa.string()),
        ("error", pa.string()),
    ]
)
PLAN = "tipai_jax.plan"
VERSION = 3
"""Of the files; raised whenever rows of an earlier version cannot be taken over."""


@dataclass(frozen=True)
class Row:
    """An image and its prompt.

    Attributes:
        image: as the input names it.
        path: the file; the folder of the table where the input names none.
        prompt: "" where the input has none.
    """

    image: str
    path: Path
    prompt: str

    def digest(self) -> str:
        """What tells this row from one that was judged before: another file, other content or another prompt."""
        try:
            found = self.path.stat()
            stamp = [str(self.path.resolve()), found.st_size, found.st_mtime_ns] if self.image else []
        except (OSError, ValueError):  # ValueError: a null byte in the name
            stamp = [str(self.path.absolute()), None, None]
        return sha256_bytes(canonical_json([self.image, *stamp, self.prompt]))


@dataclass(frozen=True)
class Outcome:
    """What `audit_rows` did.

    Attributes:
        rows: rows of the file.
        judged: rows judged by this call, those that failed included; equal rows count once.
        failed: rows of the file whose `error` is set.
    """

    rows: int
    judged: int
    failed: int


def folder_rows(folder: Path, prompt: str) -> list[Row]:
    """Every image below a folder, in the order of their names.

    Raises:
        UserError: there is none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGES and path.is_file())
    if not found:
        raise UserError(f"{folder}: no image in it; expected files that end in {', '.join(IMAGES)}")
    return [Row(str(path.relative_to(folder)), path, prompt) for path in found]


def table_rows(table: Path) -> list[Row]:
    """The rows of a CSV, JSONL or parquet file with the columns image (a path, relative to the table's folder) and
    prompt; an empty one is a row that `audit_rows` gives an error.

    Raises:
        UserError: the file or a column is missing or cannot be read.
    """
    from pyarrow import csv
    from pyarrow import json as jsonl

    readers = {
        ".csv": lambda: csv.read_csv(
            table, convert_options=csv.ConvertOptions(column_types={"image": pa.string(), "prompt": pa.string()})
        ),
        ".jsonl": lambda: jsonl.read_json(table),
        ".parquet": lambda: pq.read_table(table),
    }
    try:
        read = readers[table.suffix.lower()]()
        found = {
            name: [column for each, column in zip(read.column_names, read.columns) if each == name]
            for name in ("image", "prompt")
        }
        if twice := [name for name, columns in found.items() if len(columns) > 1]:
            raise UserError(f"{table}: two columns {twice[0]!r}; expected one image and one prompt")
        if missing := [name for name, columns in found.items() if not columns]:
            raise UserError(
                f"{table}: no column {missing[0]!r}, only {', '.join(read.column_names)}; expected image and prompt"
            )
        images, prompts = (columns[0].to_pylist() for columns in found.values())
    except OSError as error:
        raise UserError(f"{table}: cannot be read ({error.strerror or error})") from None
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:  # the latter: not UTF-8
        raise UserError(
            f"{table}: not a {table.suffix[1:].upper()} file that can be read ({first_line(error)})"
        ) from None
    for name, values in (("image", images), ("prompt", prompts)):
        if wrong := [value for value in values if not isinstance(value, str | None)]:
            raise UserError(f"{table}: column {name!r} holds {wrong[0]!r}; expected text")
    return [Row(image or "", table.parent / (image or ""), prompt or "") for image, prompt in zip(images, prompts)]


def audit_rows(
    auditor: "Auditor",
    rows: Sequence[Row],
    *,
    source: str,
    out: Path,
    retry_errors: bool = False,
    alternatives: bool = False,
) -> Outcome:
    """Bring a parquet file up to date with the rows of an input.

    Args:
        auditor: judges the rows that neither the file nor its parts hold.
        rows: of the input.
        source: names the input. An existing file of another input is replaced only if this one has all its rows.
        out: the parquet file.
        retry_errors: judge also the rows whose `error` is set; by default these are judged again only when the image
            or the prompt has changed.
        alternatives: whether to look for what each failing phrase looks like instead, see `Auditor.score`.

    Raises:
        UserError: the file is none of this auditor, level and choice of alternatives, or holds rows of another input;
            or another process is writing it, or it cannot be written.
    """
    parts = out.with_name(out.name + ".parts")
    plan = {
        "version": VERSION,
        "heads": auditor.digests.heads,
        "level": auditor.level,
        "alternatives": alternatives,
        "source": sha256_bytes(source.encode()),
    }
    digests = [row.digest() for row in rows]
    _rows_before(out, plan, digests)  # what is refused leaves no folder behind
    with alone_in(parts, what="the folder of the parts", doing="judging", option="--out"):
        try:
            before, kept = _rows_before(out, plan, digests), _rows_of_parts(parts, plan)
            known = _places([*before, *kept], retry_errors=retry_errors)
            todo = {digest: row for digest, row in zip(digests, rows) if digest not in known}
            if todo:
                _judge(auditor, todo, parts, plan)
            if todo or kept or not before or before[0].column("input_digest").to_pylist() != digests:
                _write_out(out, plan, [*before, *_rows_of_parts(parts, plan)], digests)
            else:
                print(f"{out}: judged already, nothing to do", file=sys.stderr)
        except OSError as error:
            raise UserError(
                f"{error.filename or out}: {error.strerror or error}; what is judged is kept: run the same command"
                " again, or name another --out"
            ) from None
        shutil.rmtree(parts, ignore_errors=True)
    return Outcome(len(rows), len(todo), _failed(out))


def _rows_before(out: Path, plan: Mapping[str, Any], digests: Iterable[str]) -> list[pa.Table]:
    """The file as it is, or nothing where there is none.

    Raises:
        UserError: it was made by another auditor or at another level, or it is of another input and has rows that this
            one has not.
    """
    if not out.exists():
        return []
    theirs = _plan_of(out)
    if theirs is None or theirs.get("version") != plan["version"]:
        raise UserError(f"{out}: exists and is no result of this version of the command; name another --out")
    for name, what in (
        ("heads", "another auditor"),
        ("level", "another --level"),
        ("alternatives", "another choice of --alternatives"),
    ):
        if theirs[name] != plan[name]:
            raise UserError(f"{out}: exists and was judged with {what}; name another --out, or remove it")
    table = pq.read_table(out)
    if theirs["source"] != plan["source"] and (
        lost := set(table.column("input_digest").to_pylist()).difference(digests)
    ):
        raise UserError(
            f"{out}: exists and holds {len(lost)} rows of another input that would be lost; name another --out, or"
            " remove it"
        )
    return [table]


def _rows_of_parts(parts: Path, plan: Mapping[str, Any]) -> list[pa.Table]:
    """The rows judged by an interrupted command, oldest first.

    Raises:
        UserError: they belong to another command.
    """
    if not (parts / "plan.json").exists():
        return []
    if json.loads((parts / "plan.json").read_text()) != plan:
        raise UserError(
            f"{parts}: rows of an interrupted command with another input, auditor or level; name another --out, or"
            " remove that folder to begin anew"
        )
    return [pq.read_table(file) for file in sorted(parts.glob("[0-9]*.parquet"))]


def _places(tables: Sequence[pa.Table], *, retry_errors: bool) -> dict[str, int]:
    """Where the row of each digest is in the tables joined, the last one of several."""
    found, start = {}, 0
    for table in tables:
        digests, errors = table.column("input_digest").to_pylist(), table.column("error").to_pylist()
        for i, (digest, error) in enumerate(zip(digests, errors)):
            if error is None or not retry_errors:
                found[digest] = start + i
        start += len(table)
    return found


def _judge(auditor: "Auditor", todo: Mapping[str, Row], parts: Path, plan: Mapping[str, Any]) -> None:
    """Judge rows, given by their digests, into new parts."""
    from tqdm import tqdm

    _ = auditor.encoder  # an encoder that cannot be loaded is no fault of an image
    write_file(parts / "plan.json", (json.dumps(plan, indent=1) + "\n").encode())
    digests, rows, first = list(todo), list(todo.values()), len(list(parts.glob("[0-9]*.parquet")))
    with tqdm(total=len(rows), unit="image", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        for number, start in enumerate(range(0, len(rows), PART)):
            some = rows[start : start + PART]
            named = zip(
                _judged(auditor, some, alternatives=plan["alternatives"]), digests[start : start + PART], strict=True
            )
            judged = [{**each, "input_digest": digest} for each, digest in named]
            _write(parts / f"{first + number:05d}.parquet", pa.Table.from_pylist(judged, schema=SCHEMA))
            if bar.disable:
                print(f"{start + len(some)} of {len(rows)} images", file=sys.stderr, flush=True)
            bar.update(len(some))


def _judged(auditor: "Auditor", rows: Sequence[Row], *, alternatives: bool) -> list[dict[str, Any]]:
    """The verdicts on some rows; those that cannot be judged hold the reason instead."""
    made: list[dict[str, Any]] = [{"image": _text(row.image), "prompt": row.prompt} for row in rows]
    fine, images = [], []
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        for i, found in enumerate(pool.map(functools.partial(_prepared, auditor), rows)):
            if isinstance(found, UserError):
                made[i]["error"] = _text(str(found))
            else:
                images.append(found)
                fine.append(i)
    prompts = [rows[i].prompt for i in fine]
    verdicts = auditor.score(auditor.embed_prepared(images), prompts, alternatives=alternatives)
    for i, verdict in zip(fine, verdicts, strict=True):
        made[i] |= _columns(verdict)
    return made


def _prepared(auditor: "Auditor", row: Row) -> "Prepared | UserError":
    """The image of a row as the encoder takes it, or why the row cannot be judged."""
    try:
        if not row.image:
            raise UserError("no image; expected the path of a JPEG, PNG or WEBP file")
        if not row.prompt.strip():
            raise UserError(f"the prompt is {row.prompt!r}; expected words")
        return auditor.prepare(row.path)
    except UserError as error:
        return error


def _columns(verdict: "Verdict") -> dict[str, Any]:
    return {
        "score": verdict.score,
        "logit": verdict.logit,
        "prediction": verdict.prediction,
        "level": verdict.level,
        "sentence": verdict.sentence,
        **{f"reason_{name}": value for name, value in verdict.reasons.items()},
        "consistent": verdict.consistent,
        "phrases": [
            {
                "text": each.text,
                "kept": each.kept,
                "fails": each.fails,
                "alternative": each.alternative and each.alternative.word,
            }
            for each in verdict.phrases
        ],
        "failing": verdict.failing.text if verdict.failing else None,
        "boxes": [vars(box) for box in verdict.boxes],
        "patch_score": verdict.patch_score.reshape(-1).tolist(),
        "unknown_tokens": verdict.unknown_tokens,
        "small_world_only": verdict.small_world_only,
        "encoder_digest": verdict.digests.encoder,
        "heads_digest": verdict.digests.heads,
    }


def _write_out(out: Path, plan: Mapping[str, Any], tables: Sequence[pa.Table], digests: Sequence[str]) -> None:
    """Write the rows of the digests, in their order, out of the tables that hold them."""
    place_of = _places(tables, retry_errors=False)
    joined = pa.concat_tables([SCHEMA.empty_table(), *tables]).combine_chunks()
    ordered = joined.take(pa.array([place_of[digest] for digest in digests], pa.int64()))
    aside = out.with_name(f".{out.name}.part")
    pq.write_table(ordered.replace_schema_metadata({PLAN: json.dumps(plan)}), aside)
    os.replace(aside, out)


def _write(file: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_file(file, sink.getvalue().to_pybytes())


def _plan_of(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads((pq.read_schema(file).metadata or {}).get(PLAN.encode(), b"null"))
    except (OSError, pa.ArrowInvalid, ValueError):
        return None


def _failed(file: Path) -> int:
    column = pq.read_table(file, columns=["error"]).column("error")
    return len(column) - column.null_count


def _text(words: str) -> str:
    """The name of a file as text; bytes of it that are no UTF-8 are spelt out."""
    return words.encode(errors="backslashreplace").decode()

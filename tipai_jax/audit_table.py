"""Thousands of pictures to one parquet file: read in parts, each part written when it is done, resumed where it
stopped.

    OUT.parts/plan.json       what is being judged by whom; another plan in the same place is refused
    OUT.parts/00000.parquet   the verdicts of the first PART rows, whole or not there at all
    OUT                       all of them in order, written last; then the parts go

Owns these files and what a row of the result holds. A picture that cannot be judged gets its reason into the column
`error`, and stops nothing.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tipai_jax.errors import UserError
from tipai_jax.lock import alone_in
from tipai_jax.store import CATEGORIES
from tipai_jax.store.durable import canonical_json, sha256_bytes, write_file

if TYPE_CHECKING:
    from tipai_jax.auditor import Auditor
    from tipai_jax.verdict import Verdict

__all__ = ["PART", "Row", "audit_rows", "folder_rows", "table_rows"]

PART = 256
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
BOX = pa.struct(
    [
        ("x1", pa.int32()),
        ("y1", pa.int32()),
        ("x2", pa.int32()),
        ("y2", pa.int32()),
        ("importance", pa.float32()),
        ("risk", pa.float32()),
    ]
)
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
        ("boxes", pa.list_(BOX)),
        ("patch_score", pa.list_(pa.float32())),
        ("encoder_digest", pa.string()),
        ("heads_digest", pa.string()),
        ("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class Row:
    """A picture and its prompt; `image` is what the input called it, `path` where it lies."""

    image: str
    path: Path
    prompt: str


def folder_rows(folder: Path, prompt: str) -> list[Row]:
    """Every picture below a folder, in the order of their names.

    Raises:
        UserError: there is none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    if not found:
        raise UserError(f"{folder}: no picture in it; expected files that end in {', '.join(PICTURES)}")
    return [Row(str(path.relative_to(folder)), path, prompt) for path in found]


def table_rows(table: Path) -> list[Row]:
    """The rows of a CSV, JSONL or parquet file with the columns image (a path, from the table's folder on) and prompt.

    Raises:
        UserError: the file or a column is missing, or a row has no words.
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
            name: [column.to_pylist() for each, column in zip(read.column_names, read.columns) if each == name]
            for name in ("image", "prompt")
        }
    except OSError as error:
        raise UserError(f"{table}: cannot be read ({error.strerror or error})") from None
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:  # the latter: not UTF-8
        raise UserError(
            f"{table}: not a {table.suffix[1:].upper()} file that can be read ({str(error).splitlines()[0]})"
        ) from None
    if twice := [name for name, columns in found.items() if len(columns) > 1]:
        raise UserError(f"{table}: two columns {twice[0]!r}; expected one image and one prompt")
    if missing := [name for name, columns in found.items() if not columns]:
        raise UserError(
            f"{table}: no column {missing[0]!r}, only {', '.join(read.column_names)}; expected image and prompt"
        )
    rows = list(zip(*(columns[0] for columns in found.values())))
    for number, (image, prompt) in enumerate(rows, start=1):
        if not isinstance(image, str) or not image or not isinstance(prompt, str) or not prompt.strip():
            raise UserError(
                f"{table}: row {number} has image {image!r} and prompt {prompt!r}; expected a path and words"
            )
    return [Row(image, table.parent / image, prompt) for image, prompt in rows]


def audit_rows(auditor: "Auditor", rows: Sequence[Row], *, out: Path) -> int:
    """Judge all rows into one parquet file; the same call goes on where an earlier one stopped.

    Args:
        auditor: who judges.
        rows: what is judged.
        out: the parquet file.

    Returns:
        How many rows could not be judged.

    Raises:
        UserError: the parts of another call lie there, another process is writing them, or the file cannot be written.
    """
    parts = out.with_name(out.name + ".parts")
    said = [[_text(row.image), row.prompt, *_stamp(row.path)] for row in rows]
    plan = {
        "rows": len(rows),
        "inputs": sha256_bytes(canonical_json(said)),
        "heads": auditor.digests.heads,
        "level": auditor.level,
        "part": PART,
    }
    if _is_done(out, plan):
        print(f"{out}: judged already, nothing to do", file=sys.stderr)
        return _failed([out])
    with alone_in(parts, what="the folder of the parts", doing="judging", option="--out"):
        try:
            if not _is_done(out, plan):  # another process may have come to its end meanwhile
                _judge_into(out, parts, plan, auditor, rows)
        except OSError as error:
            raise UserError(
                f"{error.filename or out}: {error.strerror or error}; what is judged is kept: run the same command"
                " again, or name another --out"
            ) from None
        shutil.rmtree(parts, ignore_errors=True)
    return _failed([out])


def _is_done(out: Path, plan: dict[str, Any]) -> bool:
    """Whether the file is there and holds just this.

    Raises:
        UserError: it holds something else.
    """
    if out.exists() and _plan_of(out) != plan:
        raise UserError(
            f"{out}: is there and holds something else (other pictures, prompts or another auditor); name another"
            " --out, or remove it"
        )
    return out.exists()


def _judge_into(out: Path, parts: Path, plan: dict[str, Any], auditor: "Auditor", rows: Sequence[Row]) -> None:
    """Write the parts that are missing, then the file."""
    from tqdm import tqdm

    if (parts / "plan.json").exists() and json.loads((parts / "plan.json").read_text()) != plan:
        raise UserError(
            f"{parts}: parts of other pictures, prompts or another auditor; name another --out, or remove that folder"
            " to begin anew"
        )
    write_file(parts / "plan.json", (json.dumps(plan, indent=1) + "\n").encode())
    files = []
    with tqdm(total=len(rows), unit="picture", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        for start in range(0, len(rows), PART):
            files.append(parts / f"{start // PART:05d}.parquet")
            some = rows[start : start + PART]
            if not files[-1].exists():
                _write(files[-1], pa.Table.from_pylist(_judged(auditor, some), schema=SCHEMA))
                if bar.disable:
                    print(f"{min(start + PART, len(rows))} of {len(rows)} pictures", file=sys.stderr, flush=True)
            bar.update(len(some))
    with pq.ParquetWriter(
        aside := out.with_name(f".{out.name}.part"), SCHEMA.with_metadata({"tipai_jax.plan": json.dumps(plan)})
    ) as writer:
        for file in files:
            writer.write_table(pq.read_table(file))
    os.replace(aside, out)


def _stamp(path: Path) -> list[Any]:
    """What tells a picture from another one of the same name: where it lies, its size and when it was written."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return [str(path.absolute()), None, None]
    return [str(path.resolve()), found.st_size, found.st_mtime_ns]


def _plan_of(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads((pq.read_schema(file).metadata or {}).get(b"tipai_jax.plan", b"null"))
    except (OSError, pa.ArrowInvalid, ValueError):
        return None


def _failed(files: Sequence[Path]) -> int:
    return sum(
        len(column) - column.null_count for file in files for column in pq.read_table(file, columns=["error"]).columns
    )


def _write(file: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_file(file, sink.getvalue().to_pybytes())


def _judged(auditor: "Auditor", rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The verdicts of some rows; those whose picture cannot be read hold the reason instead."""
    made: list[dict[str, Any]] = [{"image": _text(row.image), "prompt": row.prompt} for row in rows]
    fine, pictures = [], []
    for i, row in enumerate(rows):
        try:
            pictures.append(auditor.prepare(row.path))
            fine.append(i)
        except UserError as error:
            made[i]["error"] = _text(str(error))
    if fine:
        for i, verdict in zip(
            fine, auditor.score(auditor.embed_prepared(pictures), [rows[i].prompt for i in fine]), strict=True
        ):
            made[i] |= _columns(verdict)
    return made


def _text(words: str) -> str:
    """The name of a file as text; bytes of it that are no UTF-8 are spelt out."""
    return words.encode(errors="backslashreplace").decode()


def _columns(verdict: "Verdict") -> dict[str, Any]:
    return {
        "score": verdict.score,
        "logit": verdict.logit,
        "prediction": verdict.prediction,
        "level": verdict.level,
        "sentence": verdict.sentence,
        **{f"reason_{name}": value for name, value in verdict.reasons.items()},
        "consistent": verdict.consistent,
        "boxes": [vars(box) for box in verdict.boxes],
        "patch_score": verdict.patch_score.reshape(-1).tolist(),
        "encoder_digest": verdict.digests.encoder,
        "heads_digest": verdict.digests.heads,
    }

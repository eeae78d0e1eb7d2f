"""The command that judges pictures: one, a few, or thousands.

    python -m tipai_jax.audit PICTURE... --prompt "a red car on the beach" [--auditor runs/quickstart] [--json] [--out
    FOLDER]
    python -m tipai_jax.audit FOLDER --prompt "..." --out audit.parquet
    python -m tipai_jax.audit pairs.csv --out audit.parquet
    python -m tipai_jax.audit data/poc/catalog.db

Pictures one by one are told of in words, and their overlays written; a folder or a table (CSV, JSONL or parquet with
the columns image and prompt)
goes to one parquet file; of a catalogue (`precompute/generate.py`) every picture gets a score there. Owns the command
line and the words; what is said is the auditor's, the table is `audit_table.py`'s. Imports late, so
that `--help` answers at once.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tipai_jax.errors import Parser, UserError, run_main, whole_number

if TYPE_CHECKING:
    from tipai_jax.auditor.api import Auditor
    from tipai_jax.auditor.verdict import Verdict

__all__ = ["Request", "main", "parse", "told"]

PROG = "python -m tipai_jax.audit"
TABLES = (".csv", ".jsonl", ".parquet")
CATALOG = "catalog.db"
QUICKSTART = "runs/quickstart"


@dataclass(frozen=True)
class Request:
    """What is to be judged, and by whom. `out` is a folder for overlays, or the parquet file of many."""

    inputs: tuple[Path, ...]
    prompt: str | None
    auditor: str
    encoder: str | None
    device: str | None
    level: float
    json: bool
    out: Path
    batch_size: int

    @property
    def catalog(self) -> bool:
        """Whether this is a catalogue."""
        return self.inputs[0].name == CATALOG

    @property
    def many(self) -> bool:
        """Whether this is a folder or a table."""
        return len(self.inputs) == 1 and (self.inputs[0].is_dir() or self.inputs[0].suffix.lower() in TABLES)


def parse(argv: Sequence[str]) -> Request:
    """The request of a command line.

    Raises:
        UserError: an unknown option, or inputs and prompt that do not fit together.
        SystemExit: with code 0, after `--help`.
    """
    parser = Parser(prog=PROG, description="Say how well pictures keep a prompt, where they fail and why.")
    add = parser.add_argument
    kinds = (
        "pictures; or one folder of them; or one .csv, .jsonl or .parquet with image and prompt; or the catalog.db of"
        " generate.py"
    )
    add("inputs", nargs="+", type=Path, metavar="PICTURE", help=kinds)
    add("--prompt", help="what the pictures were to show (a table has its own)")
    add(
        "--auditor",
        default=QUICKSTART,
        help="folder of a trained and evaluated run, or of a saved auditor, or a hub id (default: runs/quickstart)",
    )
    add("--encoder", help="name or folder of the frozen encoder (default: the one the heads were trained on)")
    add("--device", choices=("cpu", "cuda"), help="of the encoder (default: cuda if there is one)")
    add(
        "--level",
        type=float,
        default=0.9,
        help=(
            "of the conformal prediction: share of pictures of either kind whose set of answers holds the right one"
            " (default: 0.9)"
        ),
    )
    add(
        "--json",
        action="store_true",
        help=(
            "JSON on stdout instead of words: an object a picture; of a folder, table or catalogue one object that"
            " counts"
        ),
    )
    add(
        "--out",
        type=Path,
        help=(
            "folder of the overlays (default: audit), or the parquet file of a folder or table (default: audit.parquet)"
        ),
    )
    add("--batch-size", type=whole_number(1), default=32, help="pictures a forward pass, at most (default: 32)")
    asked = parser.parse_args(list(argv))
    if not 0.0 < asked.level < 1.0:
        raise UserError(f"--level {asked.level:g}: expected a share above 0 and below 1, such as 0.9")
    inputs = tuple(asked.inputs)
    request = Request(**{**vars(asked), "inputs": inputs, "out": asked.out or Path("audit")})
    tables = [path for path in inputs if path.suffix.lower() in TABLES or path.name == CATALOG]
    if len(inputs) > 1 and (tables or any(path.is_dir() for path in inputs)):
        raise UserError(
            f"{(tables or inputs)[0]}: a folder, a table or a catalogue is judged alone; give it as the only input"
        )
    if tables and asked.prompt is not None:
        raise UserError(f"--prompt: {tables[0]} names a prompt for each picture; leave the option away")
    if not tables and (asked.prompt is None or not asked.prompt.strip()):
        raise UserError(
            '--prompt is missing: what were the pictures to show? for example --prompt "a red car on the beach"'
        )
    if request.catalog:
        return request
    if request.many:
        out = asked.out or Path("audit.parquet")
        if out.suffix.lower() != ".parquet":
            raise UserError(
                f"--out {out}: a folder or a table goes to a parquet file; expected a name that ends in .parquet"
            )
        if out.is_dir():
            raise UserError(f"--out {out}: is a folder; name a file in it, such as {out / 'audit.parquet'}")
        return Request(**{**vars(request), "out": out})
    for path in inputs:
        if not path.is_file():
            raise UserError(
                f"{path}: no such file; expected a JPEG, PNG or WEBP picture, a folder, or a table"
                f" ({', '.join(TABLES)})"
            )
    if request.out.exists() and not request.out.is_dir():
        raise UserError(f"--out {request.out}: is a file; the overlays of pictures go to a folder, name another")
    return request


def told(verdict: "Verdict", name: str, overlay: Path | None) -> str:
    """A verdict in a few lines of plain text."""
    reasons = ", ".join(f"{reason} {value:.2f}" for reason, value in verdict.reasons.items())
    lines = [
        f"{name}: {verdict.score:.3f} for {verdict.prompt!r}",
        f"  {verdict.sentence}",
        f"  at level {verdict.level:g}: {verdict.prediction}; broken in: {reasons}",
    ]
    for box in verdict.boxes:
        lines.append(
            f"  region {box.x1},{box.y1} to {box.x2},{box.y2}: {box.importance:.0%} of the risk found, at most"
            f" {box.risk:.2f}"
        )
    if verdict.unknown_tokens:
        lines.append(f"  {verdict.unknown_tokens} pieces of the prompt are not in the encoder's vocabulary")
    if overlay is not None:
        lines.append(f"  overlay: {overlay}")
    return "\n".join(lines)


def _few(request: Request, auditor: "Auditor") -> int:
    """Judge pictures that were named, write their overlays and tell of them in the order of their names on the command
    line.
    """
    assert request.prompt is not None
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {request.out}: cannot be made ({error.strerror}); name another folder") from None
    verdicts = auditor.score(list(request.inputs), request.prompt)
    taken: set[str] = set()
    for path, verdict in zip(request.inputs, verdicts, strict=True):
        name, number = f"{path.stem}_audit.png", 1
        while name in taken:  # pictures of one name from several folders
            number += 1
            name = f"{path.stem}_{number}_audit.png"
        taken.add(name)
        overlay = request.out / name
        verdict.overlay(path).save(overlay)
        if request.json:
            print(json.dumps({"image": str(path), "overlay": str(overlay), **verdict.as_json()}), flush=True)
        else:
            print(told(verdict, str(path), overlay), flush=True)
    if verdicts[0].small_world_only and not request.json:
        print("note: this auditor knows drawn scenes only; what it says of photographs means nothing", file=sys.stderr)
    return 0


def _catalog(request: Request, auditor: "Auditor") -> int:
    from tipai_jax.auditor.catalog import AUDITOR, audit_catalog
    from tipai_jax.store.catalog import open_catalog

    folder = request.inputs[0].parent
    with open_catalog(folder) as catalog:
        judged = audit_catalog(auditor, catalog)
    if request.json:
        print(json.dumps({"catalog": str(request.inputs[0]), "judged": judged, "heads_digest": auditor.digests.heads}))
    else:
        print(
            f"{request.inputs[0]}: {judged} pictures judged now; best and worst: python precompute/pairs.py --data"
            f" {folder} --scorer {AUDITOR}@{auditor.digests.heads[:8]}"
        )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Judge what the command line names; 0 when everything was judged, 1 where some rows of a folder or table could not
    be.
    """
    request = parse(sys.argv[1:] if argv is None else argv)
    from tipai_jax.auditor.api import Auditor

    options = {
        "encoder": request.encoder,
        "device": request.device,
        "level": request.level,
        "batch_size": request.batch_size,
    }
    auditor = Auditor.from_pretrained(request.auditor, **options)
    if request.catalog:
        return _catalog(request, auditor)
    if not request.many:
        return _few(request, auditor)
    from tipai_jax.auditor.batch import audit_rows, folder_rows, table_rows

    path = request.inputs[0]
    rows = folder_rows(path, request.prompt) if path.is_dir() else table_rows(path)
    failed = audit_rows(auditor, rows, out=request.out)
    if request.json:
        print(json.dumps({"out": str(request.out), "rows": len(rows), "failed": failed}))
    else:
        print(
            f"{request.out}: {len(rows) - failed} pictures judged"
            + (f", {failed} could not be: see the column error" if failed else "")
        )
    return 1 if failed else 0


def console() -> int:
    """Run the command `tipai-audit`; returns its exit code, see `run_main`."""
    return run_main(main)


if __name__ == "__main__":
    raise SystemExit(run_main(main))

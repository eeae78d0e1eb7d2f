"""The command that judges images: some by name, a folder or a table of them, or a catalogue.

    python -m tipai_jax.audit IMAGE... --prompt "a red car on the beach" [--auditor RUN] [--json] [--out FOLDER]
    python -m tipai_jax.audit FOLDER --prompt "..." --out audit.parquet [--retry-errors]
    python -m tipai_jax.audit pairs.csv --out audit.parquet [--retry-errors] [--alternatives]
    python -m tipai_jax.audit data/poc/catalog.db

Images that are named are described in words, and their overlays written. A folder or a table (CSV, JSONL or parquet
with the columns image and prompt) goes to one parquet file; run again, the command judges only what is new or changed.
Of a catalogue (`precompute/generate.py`) every image gets a score there. Large libraries are imported after the
arguments are read, so that `--help` answers at once.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tipai_jax.errors import Parser, UserError, run_main, whole_number

if TYPE_CHECKING:
    from tipai_jax.auditor.api import Auditor
    from tipai_jax.auditor.verdict import Verdict

__all__ = ["Request", "describe", "main", "parse"]

PROG = "python -m tipai_jax.audit"
TABLES = (".csv", ".jsonl", ".parquet")
CATALOG = "catalog.db"
QUICKSTART = "runs/quickstart"


@dataclass(frozen=True)
class Request:
    """What is to be judged, and by which auditor. `out` is a folder for overlays, or the parquet file."""

    inputs: tuple[Path, ...]
    prompt: str | None
    auditor: str
    encoder: str | None
    device: str | None
    level: float
    json: bool
    out: Path
    batch_size: int
    retry_errors: bool
    alternatives: bool

    @property
    def is_catalog(self) -> bool:
        """Whether the input is a catalogue."""
        return self.inputs[0].name == CATALOG

    @property
    def is_batch(self) -> bool:
        """Whether the input is a folder or a table."""
        return len(self.inputs) == 1 and (self.inputs[0].is_dir() or self.inputs[0].suffix.lower() in TABLES)


def parse(argv: Sequence[str]) -> Request:
    """The request of a command line.

    Raises:
        UserError: an unknown option, or inputs and options that do not fit together.
        SystemExit: with code 0, after `--help`.
    """
    parser = Parser(prog=PROG, description="Judge how well images keep a prompt, where they fail and why.")
    add = parser.add_argument
    kinds = (
        "images; or one folder of them; or one .csv, .jsonl or .parquet with image and prompt; or the catalog.db of"
        " generate.py"
    )
    add("inputs", nargs="+", type=Path, metavar="IMAGE", help=kinds)
    add("--prompt", help="what the images should show (a table has its own)")
    add(
        "--auditor",
        default=QUICKSTART,
        help="folder of a trained and evaluated run, or of a saved auditor, or a hub id (default: runs/quickstart)",
    )
    add("--encoder", help="name or folder of the frozen encoder (default: the one the heads were trained on)")
    add("--device", choices=("cpu", "cuda"), help="of the encoder (default: cuda if there is one)")
    level = (
        "of the conformal prediction: share of the images of either kind whose set of predictions holds the right one"
        " (default: 0.9, which is 90 %%)"
    )
    add("--level", type=float, default=0.9, help=level)
    lines = (
        "JSON on stdout instead of words: an object per image; of a folder, table or catalogue one object with counts"
    )
    add("--json", action="store_true", help=lines)
    out = "folder of the overlays (default: audit), or the parquet file of a folder or table (default: audit.parquet)"
    add("--out", type=Path, help=out)
    add("--batch-size", type=whole_number(1), default=32, help="images per forward pass, at most (default: 32)")
    retry = "of a folder or table: judge the rows whose error is set again, changed or not"
    add("--retry-errors", action="store_true", help=retry)
    what = "of a folder or table: say also what each failing phrase looks like instead, as for named images; slower"
    add("--alternatives", action="store_true", help=what)
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
        raise UserError(f"--prompt: {tables[0]} names a prompt for each image; leave the option away")
    if not tables and (asked.prompt is None or not asked.prompt.strip()):
        raise UserError(
            '--prompt is missing: what should the images show? for example --prompt "a red car on the beach"'
        )
    if asked.retry_errors and (request.is_catalog or not request.is_batch):
        raise UserError("--retry-errors: only the parquet file of a folder or table has errors; leave the option away")
    if asked.alternatives and (request.is_catalog or not request.is_batch):
        raise UserError("--alternatives: named images have them anyway, a catalogue holds none; leave the option away")
    if request.is_catalog:
        return request
    if request.is_batch:
        out = asked.out or Path("audit.parquet")
        if out.suffix.lower() != ".parquet":
            raise UserError(
                f"--out {out}: a folder or a table goes to a parquet file; expected a name that ends in .parquet"
            )
        if out.is_dir():
            raise UserError(f"--out {out}: is a folder; name a file in it, such as {out / 'audit.parquet'}")
        return replace(request, out=out)
    for path in inputs:
        if not path.is_file():
            raise UserError(
                f"{path}: no such file; expected a JPEG, PNG or WEBP image, a folder, or a table ({', '.join(TABLES)})"
            )
    if request.out.exists() and not request.out.is_dir():
        raise UserError(f"--out {request.out}: is a file; the overlays of images go to a folder, name another")
    return request


def describe(verdict: "Verdict", name: str, overlay: Path | None) -> str:
    """A verdict in a few lines of plain text.

    Args:
        verdict: on the image.
        name: of the image, as it was given.
        overlay: where its overlay is, or None.
    """
    from tipai_jax.auditor.verdict import percent

    reasons = ", ".join(f"{reason} {value:.2f}" for reason, value in verdict.reasons.items())
    lines = [
        f"{name}: score {verdict.score:.3f}",
        f"  prompt: {' '.join(verdict.prompt.split())}",
        f"  {verdict.sentence}",
        f"  prediction at level {percent(verdict.level)}: {verdict.prediction}",
        f"  probability that it breaks the prompt in: {reasons}",
    ]
    if verdict.phrases:
        said = (f'"{each.text}" {each.kept:.2f}{" (fails)" if each.fails else ""}' for each in verdict.phrases)
        lines.append(f"  probability that it keeps each phrase: {', '.join(said)}")
    for box in verdict.boxes:
        lines.append(f"  region {box.x1},{box.y1} to {box.x2},{box.y2}: highest risk {box.risk:.2f}")
    if verdict.unknown_tokens:
        lines.append(f"  tokens of the prompt that are not in the encoder's vocabulary: {verdict.unknown_tokens}")
    if overlay is not None:
        lines.append(f"  overlay: {overlay}")
    return "\n".join(lines)


def _audit_images(request: Request, auditor: "Auditor") -> int:
    """Judge images that were named, write their overlays and describe them in the order of the command line."""
    assert request.prompt is not None
    verdicts = auditor.score(list(request.inputs), request.prompt, alternatives=True)
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {request.out}: cannot be made ({error.strerror}); name another folder") from None
    taken: set[str] = set()
    for path, verdict in zip(request.inputs, verdicts, strict=True):
        name, number = f"{path.stem}_audit.png", 1
        while name in taken:  # images of one name from several folders
            number += 1
            name = f"{path.stem}_{number}_audit.png"
        taken.add(name)
        overlay = request.out / name
        verdict.overlay(path, words=True).save(overlay)
        if request.json:
            print(json.dumps({"image": str(path), "overlay": str(overlay), **verdict.as_json()}), flush=True)
        else:
            print(describe(verdict, str(path), overlay), flush=True)
    return 0


def _audit_catalog(request: Request, auditor: "Auditor") -> int:
    from tipai_jax.auditor.catalog import AUDITOR, audit_catalog
    from tipai_jax.store.catalog import open_catalog

    folder = request.inputs[0].parent
    with open_catalog(folder) as catalog:
        judged = audit_catalog(auditor, catalog)
    if request.json:
        print(json.dumps({"catalog": str(request.inputs[0]), "judged": judged, "heads_digest": auditor.digests.heads}))
    else:
        print(
            f"{request.inputs[0]}: {judged} images judged now; best and worst: python precompute/pairs.py --data"
            f" {folder} --scorer {AUDITOR}@{auditor.digests.heads[:8]}"
        )
    return 0


def _audit_batch(request: Request, auditor: "Auditor") -> int:
    from tipai_jax.auditor.batch import audit_rows, folder_rows, table_rows

    path = request.inputs[0]
    rows = folder_rows(path, request.prompt or "") if path.is_dir() else table_rows(path)
    source = json.dumps([str(path.resolve()), request.prompt])
    how = {"retry_errors": request.retry_errors, "alternatives": request.alternatives}
    done = audit_rows(auditor, rows, source=source, out=request.out, **how)
    if request.json:
        print(json.dumps({"out": str(request.out), **vars(done)}))
    else:
        failed = f"; {done.failed} rows have no verdict: see the column error" if done.failed else ""
        print(f"{request.out}: {done.rows} rows, {done.judged} of them judged now{failed}")
    return 1 if done.failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Judge what the command line names; 0 when everything was judged, 1 where some rows of a folder or table could not
    be.
    """
    request = parse(sys.argv[1:] if argv is None else argv)
    from tipai_jax.auditor.api import Auditor

    auditor = Auditor.from_pretrained(
        request.auditor,
        encoder=request.encoder,
        device=request.device,
        level=request.level,
        batch_size=request.batch_size,
    )
    audit = _audit_catalog if request.is_catalog else _audit_batch if request.is_batch else _audit_images
    code = audit(request, auditor)
    if not request.json:
        for note in auditor.notes:
            print(f"note: {note}", file=sys.stderr)
    return code


def console() -> int:
    """Run the command `tipai-audit`; returns its exit code, see `run_main`."""
    return run_main(main)


if __name__ == "__main__":
    raise SystemExit(run_main(main))

"""The report of an evaluation: `report.html`, one file to open, mail or print, made of what lies in the run's folder.

    python -m tipai_jax.report --workdir runs/base [--record runs/base/eval-other.json]

The page is a function of the record, the run's `log.jsonl` and the sheets alone: the same files give the same bytes.

    WORKDIR/eval.json  log.jsonl  report/best-01.webp ...   ->   WORKDIR/report.html
    FOLDER/NAME.json              FOLDER/report-NAME/ ...   ->   FOLDER/report-NAME.html
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tipai_jax.errors import UserError

__all__ = ["RECORD", "read_record", "report_folder", "report_path", "write_report"]

RECORD = "eval.json"
NEEDED = (
    "command",
    "commands",
    "versions",
    "split",
    "n_examples",
    "layout",
    "targets",
    "baselines",
    "not_measured",
    "best_and_worst",
)
"""What a record must hold to be shown."""


def report_path(record: Path) -> Path:
    """The report of a record: beside it, `report.html` for `eval.json` and `report-NAME.html` for `NAME.json`."""
    return record.with_name("report.html" if record.name == RECORD else f"report-{record.stem}.html")


def report_folder(record: Path) -> Path:
    """The folder of the sheets that a record's report shows."""
    return report_path(record).with_suffix("")


def write_report(record: Path, *, workdir: Path) -> Path:
    """Write the report of a record, unless just this one is there already.

    Args:
        record: `eval.json` or another file of `tipai_jax.evaluate`.
        workdir: the folder of the run, for its log.

    Returns:
        The path of the report.

    Raises:
        UserError: the record is missing, damaged or of another version, or the report cannot be written.
    """
    from tipai_jax.files.atomic import write_file
    from tipai_jax.report.page import render
    from tipai_jax.training.metric_log import read_log

    content = read_record(record, workdir)
    path = report_path(record)
    written = datetime.fromtimestamp(record.stat().st_mtime, UTC)  # the record itself holds no clock
    page = render(
        content,
        name=workdir.resolve().name,
        date=written.date().isoformat(),
        log=read_log(workdir),
        sheets=_read_sheets(content, report_folder(record)),
    ).encode("utf-8", "replace")
    try:
        if not (path.is_file() and path.read_bytes() == page):
            write_file(path, page)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); the record itself is whole: {record}") from None
    return path


def read_record(path: Path, workdir: Path) -> dict[str, Any]:
    """The record of an evaluation; `workdir` is the folder of its run, for the command that would make it.

    Raises:
        UserError: it is not there, cannot be read, or was written by another version.
    """
    again = f"evaluate again: python -m tipai_jax.evaluate --workdir {workdir}"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such record; evaluate first: python -m tipai_jax.evaluate --workdir {workdir}"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a record ({error}); {again}") from None
    missing = [name for name in NEEDED if not isinstance(record, dict) or name not in record]
    if missing:
        raise UserError(
            f"{path}: has no {missing[0]}, so it is no record of this version of tipai_jax.evaluate; {again}"
        )
    return record


def _read_sheets(record: Mapping[str, Any], folder: Path) -> dict[str, bytes]:
    """The sheets that are there, by the name that the record calls them; never a file outside the folder."""
    names = [entry["sheet"] for side in record["best_and_worst"].values() for entry in side if entry["sheet"]]
    found = {}
    for name in names:
        path = folder / Path(name).name
        if path.is_file():
            found[name] = path.read_bytes()
    return found

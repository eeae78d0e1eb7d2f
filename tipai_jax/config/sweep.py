"""A sweep: many runs that differ in hyperparameters only, trained together as one compiled program.

The grid (`--sweep.seeds 8`, `--sweep.optim.peak-lr 5e-5,1e-4`), the names of its members, and their table. Each member
is a config of its own with a folder of its own below the sweep's, and whatever is true of a run is true of it.
"""

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tipai_jax.config.checks import meant
from tipai_jax.config.records import fields_of, replace_field, swept_fields, to_json
from tipai_jax.config.schema import RunConfig, option_of
from tipai_jax.errors import UserError
from tipai_jax.files.nested import flatten

__all__ = ["RECORD", "Grid", "begin_sweep", "members_of", "read_grid", "read_sweep", "sweep_table", "take_sweep"]

RECORD = "sweep.json"
"""In the sweep's folder: the grid and the names of the members."""

Grid = dict[str, tuple[Any, ...]]


def take_sweep(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The `--sweep...` arguments of a command line, name -> text, and the arguments that are left."""
    swept: dict[str, str] = {}
    rest: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        if not argument.startswith("--sweep"):
            rest.append(argument)
            continue
        option, equals, value = argument.partition("=")
        value = value if equals else next(arguments, "")
        name = option.removeprefix("--sweep").removeprefix(".").replace("-", "_")
        swept[name] = value
    return swept, rest


def read_grid(swept: Mapping[str, str], config: RunConfig) -> Grid:
    """The values of each setting of a sweep around a config.

    Raises:
        UserError: a setting that cannot be swept, or values that cannot be read; one line.
    """
    known = ("seeds", *swept_fields(config))
    hints = {name: hint for name, hint, _, _ in fields_of(config)}
    grid: Grid = {}
    for name, text in swept.items():
        option = option_of(f"sweep.{name}")
        if name not in known:
            there = [option_of(f"sweep.{each}") for each in known]
            raise UserError(
                f"{option} cannot be swept: the members share one compiled program{meant(option, there)}"
                f" (there is {', '.join(there)})"
            )
        grid[name] = _values(option, name, text, kind=int if name == "seeds" or hints[name] is int else float)
    return grid


def _values(option: str, name: str, text: str, *, kind: type) -> tuple[Any, ...]:
    """The values of one setting; `--sweep.seeds 8` becomes 0 to 7, counted from the config's seed later."""
    try:
        values = tuple(kind(each) for each in text.split(","))
    except ValueError:
        values = ()
    if name == "seeds":
        if len(values) != 1 or values[0] < 1:
            raise UserError(f"{option}: expected how many seeds, for example {option} 8; got {text!r}")
        return tuple(range(values[0]))
    if not values or len(set(values)) < len(values):
        raise UserError(
            f"{option}: expected different numbers with commas between them, for example {option} 0.5,1,2; got {text!r}"
        )
    return values


def members_of(config: RunConfig, grid: Grid) -> list[RunConfig]:
    """The configs of every combination, each with a folder of its own below `config.workdir`, such as
    `peak_lr-0.0001_seed-3`.

    Raises:
        UserError: a value that the config does not allow.
    """
    members = []
    for values in itertools.product(*grid.values()):
        changes = dict(zip(grid, values, strict=True))
        if "seeds" in changes:
            changes["seed"] = config.seed + changes.pop("seeds")
        name = "_".join(f"{setting.split('.')[-1]}-{_text(value)}" for setting, value in changes.items())
        member = config
        for setting, value in {**changes, "workdir": str(Path(config.workdir) / name)}.items():
            member = replace_field(member, setting, value)
        members.append(member)
    return members


def _text(value: float | int) -> str:
    """A value in full, so that two values never share a folder: 1, 0.0001, 5e-05."""
    return str(value).removesuffix(".0")


def begin_sweep(config: RunConfig, grid: Grid, members: Sequence[RunConfig]) -> None:
    """Write `sweep.json` into the sweep's folder, or see that it is the same sweep that is gone on with.

    Raises:
        UserError: the folder holds a single run, or another sweep.
    """
    from tipai_jax.files.atomic import write_file

    folder = Path(config.workdir)
    record = {
        "grid": {name: list(values) for name, values in grid.items()},
        "members": [Path(member.workdir).name for member in members],
    }
    if (folder / "checkpoints").exists():
        raise UserError(f"{folder}: holds a single run; give the sweep another --workdir")
    if (folder / RECORD).exists() and (known := json.loads((folder / RECORD).read_text())) != record:
        raise UserError(
            f"{folder}: holds another sweep ({', '.join(known['members'])}); give that one to go on with it, or another"
            " --workdir"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / RECORD, f"{json.dumps(record, indent=1)}\n".encode())


def read_sweep(folder: Path) -> tuple[Grid, list[Path]] | None:
    """The grid of a sweep's folder and the folders of its members; None if it is no sweep's."""
    if not (folder / RECORD).exists():
        return None
    record = json.loads((folder / RECORD).read_text())
    return {name: tuple(values) for name, values in record["grid"].items()}, [
        folder / name for name in record["members"]
    ]


def sweep_table(
    members: Sequence[RunConfig], grid: Grid, figures: Sequence[dict[str, float | None] | None], *, title: str
) -> str:
    """A Markdown table: for each setting the mean of each figure over its seeds, and the standard deviation (n - 1)
    beside it.

    Args:
        members: the configs, as `members_of` gives them.
        grid: the grid.
        figures: name -> value for each member; None for one that failed, which is left out of the means and counted.
        title: of the first column.
    """
    names = list(dict.fromkeys(name for each in figures if each for name in each))
    rows: dict[tuple[Any, ...], list[dict[str, float | None] | None]] = {}
    for config, each in zip(members, figures, strict=True):
        settings = flatten(to_json(config))
        rows.setdefault(tuple(settings[name] for name in grid if name != "seeds"), []).append(each)
    lines = [f"| {' | '.join([title, 'seeds', *names])} |", "|---|" + "---|" * (1 + len(names))]
    for setting, group in rows.items():
        fine = [each for each in group if each is not None]
        swept = [name.split(".")[-1] for name in grid if name != "seeds"]
        head = ", ".join(f"{name} {_text(value)}" for name, value in zip(swept, setting, strict=True)) or "all"
        counted = f"{len(fine)}" + (f" ({len(group) - len(fine)} failed)" if len(fine) < len(group) else "")
        cells = [_cell([each.get(name) for each in fine]) for name in names]
        lines.append(f"| {' | '.join([head, counted, *cells])} |")
    return "\n".join(lines)


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = statistics.fmean(known)
    return f"{mean:.4f}" + (f" ± {statistics.stdev(known):.4f}" if len(known) > 1 else "")

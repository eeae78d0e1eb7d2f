"""A sweep: many runs that differ in numbers only, trained together as one compiled program.

Owns the grid (`--sweep.seeds 8`, `--sweep.optim.peak-lr 5e-5,1e-4`), the names of its members and which settings can be
swept. Each member is a config of its own with a folder of its own below the sweep's, and whatever is true of a run is
true of
it. Knows nothing of how they are trained.
"""

import dataclasses
import difflib
import itertools
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tipai_jax.config import Config
from tipai_jax.errors import UserError

__all__ = ["RECORD", "SWEPT", "Grid", "begin_sweep", "members_of", "read_sweep", "sweep_table", "take_sweep"]

RECORD = "sweep.json"
"""In the sweep's folder: the grid and the names of the members."""

SWEPT = (
    "loss.pair",
    "loss.patch",
    "loss.faithfulness",
    "loss.saliency",
    "loss.reason",
    "optim.peak_lr",
    "optim.weight_decay",
    "optim.warmup_steps",
    "optim.clip_norm",
    "data.start_fraction",
    "data.full_at_epoch",
)
"""Settings that are numbers and shape nothing; beside them the seed, by `--sweep.seeds`."""
WHOLE = ("optim.warmup_steps", "data.full_at_epoch")

Grid = dict[str, tuple[Any, ...]]


def take_sweep(argv: Sequence[str]) -> tuple[Grid, list[str]]:
    """The grid of a command line, and the arguments that are left.

    Raises:
        UserError: a setting that cannot be swept, or values that cannot be read; one line.
    """
    grid: Grid = {}
    rest: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        if not argument.startswith("--sweep"):
            rest.append(argument)
            continue
        option, equals, value = argument.partition("=")
        value = value if equals else next(arguments, "")
        name = option.removeprefix("--sweep").removeprefix(".").replace("-", "_")
        if name not in ("seeds", *SWEPT):
            near = difflib.get_close_matches(name, ("seeds", *SWEPT), n=1)
            known = ", ".join(f"--sweep.{each.replace('_', '-')}" for each in ("seeds", *SWEPT))
            meant = f"; did you mean --sweep.{near[0].replace('_', '-')}?" if near else ""
            raise UserError(
                f"{option} cannot be swept: the members share one compiled program{meant} (there is {known})"
            )
        grid[name] = _values(option, name, value)
    return grid, rest


def _values(option: str, name: str, text: str) -> tuple[Any, ...]:
    """The values of one setting; `--sweep.seeds 8` becomes 0 to 7, counted from the config's seed later."""
    kind = int if name == "seeds" or name in WHOLE else float
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


def members_of(config: Config, grid: Grid) -> list[Config]:
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
        name = "_".join(f"{setting.split('.')[-1]}-{value:g}" for setting, value in changes.items())
        members.append(_changed(config, {**changes, "workdir": str(Path(config.workdir) / name)}))
    return members


def _changed(config: Config, changes: dict[str, Any]) -> Config:
    for setting, value in changes.items():
        room, _, field = setting.rpartition(".")
        if room:
            config = dataclasses.replace(config, **{room: dataclasses.replace(getattr(config, room), **{field: value})})
        else:
            config = dataclasses.replace(config, **{field: value})
    return config


def begin_sweep(config: Config, grid: Grid, members: Sequence[Config]) -> None:
    """Write `sweep.json` into the sweep's folder, or see that it is the same sweep that is gone on with.

    Raises:
        UserError: the folder holds a single run, or another sweep.
    """
    from tipai_jax.store.durable import (
        write_file,
    )  # late: the store's room brings numpy, and --help is not to wait for it

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
    members: Sequence[Config], grid: Grid, figures: Sequence[dict[str, float | None] | None], *, title: str
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
        rows.setdefault(tuple(_setting(config, name) for name in grid if name != "seeds"), []).append(each)
    lines = [f"| {' | '.join([title, 'seeds', *names])} |", "|---|" + "---|" * (1 + len(names))]
    for setting, group in rows.items():
        fine = [each for each in group if each is not None]
        swept = [name.split(".")[-1] for name in grid if name != "seeds"]
        head = ", ".join(f"{name} {value:g}" for name, value in zip(swept, setting, strict=True)) or "all"
        counted = f"{len(fine)}" + (f" ({len(group) - len(fine)} failed)" if len(fine) < len(group) else "")
        cells = [_cell([each[name] for each in fine]) for name in names]
        lines.append(f"| {' | '.join([head, counted, *cells])} |")
    return "\n".join(lines)


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = statistics.fmean(known)
    return f"{mean:.4f}" + (f" ± {statistics.stdev(known):.4f}" if len(known) > 1 else "")


def _setting(config: Config, name: str) -> Any:
    room, _, field = name.rpartition(".")
    return getattr(getattr(config, room), field)

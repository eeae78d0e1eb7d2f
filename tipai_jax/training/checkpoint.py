"""Checkpoints of a run: written by Orbax, sealed by us, the best and the last kept.

    WORKDIR/checkpoints/00001500/        what Orbax wrote: params, opt_state, step, and frozen parameters if there are
    any
    WORKDIR/checkpoints/00001500.json    the seal, written last: sha256 of every file, the config, the record of the run

A step without a seal does not exist, so neither a half-written checkpoint nor a stray folder can become the latest
one; Orbax does not notice a flipped bit, so every file is hashed before it is read. Saving is synchronous: a state is
a few MB and takes a fifth of a second.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from tipai_jax.errors import UserError
from tipai_jax.files.atomic import sha256_file, write_file
from tipai_jax.parallel import processes
from tipai_jax.training.state import TrainState

__all__ = ["Checkpoints", "Seal"]

FORMAT = 1


@dataclass(frozen=True)
class Seal:
    """What is known of a checkpoint without reading its arrays.

    Attributes:
        step: steps done.
        score: the validation figure that "best" goes by; None if the state was not validated.
        record: whatever the run wants back: its config, its store, its log.
        files: path below the step's folder -> sha256.
    """

    step: int
    score: float | None
    record: dict[str, Any]
    files: dict[str, str]


class Checkpoints:
    """The checkpoints of one run.

    Args:
        workdir: the folder of the run.
    """

    def __init__(self, workdir: Path) -> None:
        self.folder = workdir / "checkpoints"

    def seals(self) -> list[Seal]:
        """All sealed checkpoints, oldest first.

        Raises:
            UserError: a seal cannot be read.
        """
        return sorted((_read_seal(path) for path in self.folder.glob("*.json")), key=lambda seal: seal.step)

    def last(self) -> Seal | None:
        """The latest checkpoint."""
        return next(reversed(self.seals()), None)

    def best(self) -> Seal | None:
        """The validated checkpoint of the highest score; of equal ones the later."""
        scored = [seal for seal in self.seals() if seal.score is not None]
        return max(scored, key=lambda seal: (seal.score, seal.step), default=None)

    def save(self, state: TrainState, *, score: float | None, record: dict[str, Any]) -> None:
        """Write and seal a state, then drop those that are neither the best nor the last.

        Args:
            state: the state; every number in it must be finite, a checkpoint never holds a NaN.
            score: its validation figure, if it was validated.
            record: plain JSON, kept in the seal.
        """
        step = int(state.step)
        bad = [
            jax.tree_util.keystr(path)
            for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(state))
            if not np.isfinite(leaf).all()
        ]
        assert not bad, f"step {step}: not finite: {bad[0]}"
        target = self.folder / f"{step:08d}"
        seal_path = target.with_suffix(".json")
        there = seal_path.exists() and _hashes(target) == _read_seal(seal_path).files  # then only its record is new
        processes.wait("all have looked")
        if not there:
            if processes.first():
                self.folder.mkdir(parents=True, exist_ok=True)
                seal_path.unlink(missing_ok=True)
                shutil.rmtree(target, ignore_errors=True)
            processes.wait("what was half there is gone")
            self._write(target, state)
        processes.wait("all is written")
        if processes.first():
            seal = {"format": FORMAT, "step": step, "score": score, "record": record, "files": _hashes(target)}
            write_file(seal_path, json.dumps(seal, indent=1, sort_keys=True).encode())
            self._sweep()
        processes.wait("sealed")

    def _write(self, target: Path, state: TrainState) -> None:
        items = {"params": state.params, "opt_state": state.opt_state, "step": {"step": state.step}}
        items |= {"frozen": state.frozen} if state.frozen else {}
        ocp.save_checkpointables(str(target.absolute()), items)

    def restore(self, seal: Seal, like: TrainState) -> TrainState:
        """The state of a checkpoint, with the shapes, types and shardings of `like`.

        Raises:
            UserError: a file is missing or has changed since it was written; the line names it.
        """
        target = self._verified(seal)
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), like)
        items = {"params": shapes.params, "opt_state": shapes.opt_state, "step": {"step": shapes.step}}
        items |= {"frozen": shapes.frozen} if shapes.frozen else {}
        loaded = ocp.load_checkpointables(str(target), items)
        frozen = loaded["frozen"] if shapes.frozen else {}
        return TrainState(loaded["step"]["step"], loaded["params"], frozen, loaded["opt_state"])

    def restore_params(self, seal: Seal, like: tuple[Any, Any], sharding: jax.sharding.Sharding) -> tuple[Any, Any]:
        """The parameters of a checkpoint, (trained, frozen) as in `like`, placed by `sharding`; see `restore`."""
        target = self._verified(seal)
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), like)
        trained, frozen = shapes
        items = {"params": trained, **({"frozen": frozen} if frozen else {})}
        loaded = ocp.load_checkpointables(str(target), items)
        return loaded["params"], loaded["frozen"] if frozen else {}

    def _verified(self, seal: Seal) -> Path:
        target = (self.folder / f"{seal.step:08d}").absolute()
        found = _hashes(target)
        for name in sorted(seal.files.keys() | found.keys()):
            if name not in found:
                raise UserError(f"{target / name}: missing from the checkpoint; {self._way_on(seal)}")
            if found[name] != seal.files.get(name):
                raise UserError(
                    f"{target / name}: not what was written (sha256 differs), the file is damaged; {self._way_on(seal)}"
                )
        return target

    def _way_on(self, seal: Seal) -> str:
        others = [str(other.step) for other in self.seals() if other.step != seal.step]
        away = f"move {seal.step:08d} and {seal.step:08d}.json in {self.folder} away"
        return f"{away} to go on from step {others[-1]}" if others else f"{away} to begin again"

    def _sweep(self) -> None:
        keep = {seal.step for seal in (self.best(), self.last()) if seal is not None}
        for seal in self.seals():
            if seal.step not in keep:
                (self.folder / f"{seal.step:08d}.json").unlink()
                shutil.rmtree(self.folder / f"{seal.step:08d}", ignore_errors=True)
        for left in self.folder.glob("*orbax-checkpoint-tmp*"):  # what a killed save left behind
            shutil.rmtree(left, ignore_errors=True)


def _read_seal(path: Path) -> Seal:
    try:
        seal = json.loads(path.read_text())
        if seal["format"] != FORMAT:
            raise UserError(
                f"{path}: checkpoint format {seal['format']!r}, this program reads {FORMAT}; train again into another"
                " workdir"
            )
        return Seal(int(seal["step"]), seal["score"], seal["record"], seal["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not the seal of a checkpoint ({error}); move it and the folder beside it away"
        ) from None


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}

"""A finished run as others use it: loaded from its folder, and its heads applied to the examples of a store."""

import dataclasses
import shlex
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from flax import nnx

from tipai_jax.config.records import from_json
from tipai_jax.data.batches import Columns, gather
from tipai_jax.errors import UserError
from tipai_jax.parallel.mesh import make_placement
from tipai_jax.store import Fingerprint, Store
from tipai_jax.tasks.build import make_task
from tipai_jax.tasks.task import Task
from tipai_jax.training.checkpoint import Checkpoints
from tipai_jax.training.setup import sha256_of_leaves
from tipai_jax.training.state import join_frozen, split_frozen
from tipai_jax.training.step import split_heads

__all__ = ["Run", "embed_command", "load_run", "predict"]


@dataclass(frozen=True)
class Run:
    """A trained run.

    Attributes:
        config: as resolved when it was trained.
        task: made from that config.
        model: the heads, switched to evaluation.
        step: steps that made these parameters.
        score: their score on validation (`Task.select`), None if they were saved in mid-epoch.
        store: of the store it was trained from: "path", "digest", "encoder" (the fingerprint's fields) and
            "small_world_only".
        workdir: its folder.
    """

    config: Any
    task: Task
    model: Any
    step: int
    score: float | None
    store: dict[str, Any]
    workdir: Path

    def check_encoder(self, store: Store) -> None:
        """Refuse a store that was not embedded as the run's was; the same weights in another dtype are noted on stderr.

        Raises:
            UserError: another encoder, or other settings of it; what differs, and the embed command that fits.
        """
        ours, theirs = Fingerprint.from_json(self.store["encoder"]), store.manifest.encoder
        if ours.digest == theirs.digest:
            return
        differing = theirs.differences(ours)
        named = {name: values for name, values in differing.items() if name != "files_digest"}
        shown = "; ".join(f"{name} {there}, the run's {here}" for name, (there, here) in named.items())
        same_files = bool(ours.files_digest) and ours.files_digest == theirs.files_digest
        if same_files and differing.keys() <= {"name", "dtype"}:
            print(
                f"note: {store.path} was embedded in {theirs.dtype}, {self.workdir} trained on {ours.dtype} "
                "by the same encoder; figures may differ slightly",
                file=sys.stderr,
            )
            return
        if "files_digest" in differing:
            shown = "; ".join(filter(None, (shown, "other weights, configuration, tokenizer or preprocessing")))
        elif differing.keys() == {"dtype"}:
            shown += "; only the number format seems to differ, the rest of what was recorded is equal"
        elif not differing:
            shown = "equal name, patches, dtype and sizes, but other weights, configuration, tokenizer or preprocessing"
        raise UserError(
            f"{store.path}: embedded otherwise than what {self.workdir} was trained on ({shown}; "
            f"digests {theirs.digest[:12]} and {ours.digest[:12]}); "
            f"train on this store, or embed the data as the run needs it: {embed_command(store, ours)}"
        )


def embed_command(store: Store, encoder: Fingerprint | None = None) -> str:
    """The command that embeds a store's data: as it was, or with another encoder into a folder beside it.

    FOLDER or tfds:NAME stands where it is not known below this folder where the data lie, FOLDER/NAME for an encoder
    of which only the name of the folder is known.
    """
    manifest, folder, unknown = store.manifest, store.data_folder, "FOLDER"
    if manifest.data["kind"] == "tfds":
        unknown = "tfds:NAME"
    near = folder is not None and folder.is_relative_to(Path.cwd())
    wanted, out = encoder or manifest.encoder, [str(store.path)]
    if encoder is not None:
        theirs = manifest.encoder
        parts = ((wanted.name, theirs.name), (wanted.patches, theirs.patches), (wanted.dtype, theirs.dtype))
        out += [ours.rsplit("/", 1)[-1] for ours, other in parts if ours != other] or [wanted.digest[:8]]
    local = wanted.name != "tiny" and "/" not in wanted.name
    options = {
        "data": folder.relative_to(Path.cwd()) if folder is not None and near else unknown,
        "encoder": f"FOLDER/{wanted.name}" if local else wanted.name,
        "patches": wanted.patches,
        "dtype": wanted.dtype,
        "device": manifest.device,
        "limit": manifest.data.get("limit"),
        "out": "-".join(out),
    }
    given = [part for name, value in options.items() if value is not None for part in (f"--{name}", str(value))]
    return shlex.join(["python", "precompute/embed.py", *given])


def load_run(workdir: str | Path, which: Literal["best", "last"] = "best") -> Run:
    """Load the parameters of a run, verified against the hashes written with them.

    Args:
        workdir: folder that `tipai_jax.train` wrote.
        which: the checkpoint of the highest score on validation, or the last.

    Raises:
        UserError: no run there, no checkpoint of that kind, or a damaged file.
    """
    workdir = Path(workdir)
    checkpoints = Checkpoints(workdir)
    seal = checkpoints.best() if which == "best" else checkpoints.last()
    if seal is None:
        begun = " (one was begun; the same train command goes on)" if checkpoints.last() else ""
        command = f"python -m tipai_jax.train --config FILE --store STORE --workdir {workdir}"
        raise UserError(f"{workdir}: no finished checkpoint here{begun}; train first: {command}")
    config = from_json(seal.record["config"])
    task, encoder = make_task(config), Fingerprint.from_json(seal.record["store"]["encoder"])
    shapes = nnx.eval_shape(lambda: task.build(encoder, seed=config.seed))
    _, evaluation, like = split_heads(shapes)
    placement = make_placement(jax.local_devices()[:1])
    trained, frozen = checkpoints.restore_params(seal, split_frozen(like, task.frozen), placement.replicated)
    if sha256_of_leaves(frozen) != seal.record.get("frozen_sha256"):
        raise UserError(f"{workdir}: the frozen parameters are not those that the run began with; train again")
    model = nnx.merge(evaluation, join_frozen(trained, frozen))
    return Run(config, task, model, seal.step, seal.score, seal.record["store"], workdir)


def predict(task: Task, model: Any, columns: Columns, *, batch_size: int = 64) -> dict[str, np.ndarray]:
    """The heads' output for every example, in order.

    Args:
        task: whose `forward` is applied; its output is a dataclass of arrays [b, ...].
        model: heads in evaluation mode (`load_run(...).model`).
        columns: of the examples, on the host.
        batch_size: examples at a time; the last batch is padded, so there is one compilation.

    Returns:
        Each field of the output as an array [n, ...]; one that these heads leave None is not there.
    """
    graph, params = nnx.split(model, nnx.Param)
    n, pending = columns.n, []
    assert n, "an empty split was refused earlier"
    for start in range(0, n, batch_size):
        row = np.arange(start, start + batch_size)
        batch = gather(columns, np.minimum(row, n - 1), row < n)
        pending.append(
            _forward(task, graph, nnx.to_pure_dict(params), batch)
        )  # not waited for: the next is gathered meanwhile
    fields = [field.name for field in dataclasses.fields(pending[0]) if getattr(pending[0], field.name) is not None]
    done = jax.device_get([{name: getattr(each, name) for name in fields} for each in pending])
    return {name: np.concatenate([each[name] for each in done])[:n] for name in fields}


@partial(jax.jit, static_argnums=(0, 1))
def _forward(task: Task, graph: nnx.GraphDef[Any], params: Any, batch: Any) -> Any:
    return task.forward(nnx.merge(graph, params), batch, key=None)

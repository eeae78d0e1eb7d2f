"""A finished run as others use it: loaded from its folder, and asked for its opinion on pairs.

Owns the way from a run's folder to a model, and batched prediction. Knows nothing of metrics, of calibration or of
how the run was trained.
"""

import shlex
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float

from tipai_jax.checkpoint import Checkpoints
from tipai_jax.config import Config, from_json
from tipai_jax.data.batches import AnyArray
from tipai_jax.errors import UserError
from tipai_jax.heads.auditor_heads import AuditorHeads, AuditorOutput
from tipai_jax.sharding import make_placement
from tipai_jax.store import Fingerprint, PairTable, Store
from tipai_jax.tasks.auditor import build_heads
from tipai_jax.train_step import split_heads

__all__ = ["Run", "load_run", "predict"]


@dataclass(frozen=True)
class Run:
    """A trained run.

    Attributes:
        config: as resolved when it was trained.
        model: the heads, switched to evaluation.
        step: steps that made these parameters.
        score: their global pair AUC on validation, None if they were saved in mid-epoch.
        store: of the store it was trained from: "path", "digest", "encoder" (the fingerprint's fields) and
            "small_world_only".
        workdir: its folder.
    """

    config: Config
    model: AuditorHeads
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
            f"train on this store, or embed the data as the run needs it: {_embed_command(store, ours)}"
        )


def _embed_command(store: Store, encoder: Fingerprint) -> str:
    """The command that embeds a store's data with an encoder, beside the store; capitals stand for unknown names."""
    data, theirs = store.manifest.data, store.manifest.encoder
    folder = store.data_folder
    if folder is not None and folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    local = encoder.name != "tiny" and "/" not in encoder.name
    parts = ((encoder.name, theirs.name), (encoder.patches, theirs.patches), (encoder.dtype, theirs.dtype))
    named = [ours.rsplit("/", 1)[-1] for ours, other in parts if ours != other]
    options = {
        "data": folder or ("tfds:NAME" if data.get("kind") == "tfds" else "FOLDER"),
        "encoder": f"FOLDER/{encoder.name}" if local else encoder.name,
        "patches": encoder.patches,
        "dtype": encoder.dtype,
        "limit": data.get("limit"),
        "out": "-".join([str(store.path), *(named or [encoder.digest[:8]])]),
    }
    given = [part for name, value in options.items() if value is not None for part in (f"--{name}", str(value))]
    return shlex.join(["python", "precompute/embed.py", *given])


def load_run(workdir: str | Path, which: Literal["best", "last"] = "best") -> Run:
    """Load the parameters of a run, verified against the hashes written with them.

    Args:
        workdir: folder that `tipai_jax.train` wrote.
        which: the checkpoint of the highest validation pair AUC, or the last.

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
    config, encoder = from_json(seal.record["config"]), seal.record["store"]["encoder"]
    shapes = nnx.eval_shape(lambda: build_heads(config.model, d=encoder["d"], k=encoder["k"], seed=config.seed))
    _, evaluation, like = split_heads(shapes)
    params = checkpoints.restore_params(seal, like, make_placement(jax.local_devices()[:1]).copied)
    return Run(config, nnx.merge(evaluation, params), seal.step, seal.score, seal.record["store"], workdir)


def predict(
    model: AuditorHeads, store: Store, pairs: PairTable, *, batch_size: int = 64
) -> dict[str, Float[np.ndarray, "n ..."]]:
    """What the heads say of pairs, before any calibration; index 0 of axis 1 is the chosen image, 1 the rejected one.

    Args:
        model: heads in evaluation mode (`load_run(...).model`).
        store: where the pairs' embeddings lie.
        pairs: which pairs, for example `store.pairs.select(store.pairs.split == "test")`.
        batch_size: pairs at a time; the last batch is padded, so there is one compilation.

    Returns:
        "global_logit" f32[n, 2], "patch_logit" f32[n, 2, k], "risk" f32[n, 2, k] in 0..1, "reason_logit" f32[n, 2, 5].
    """
    graph, params = nnx.split(model, nnx.Param)
    n, pending = len(pairs), []
    for start in range(0, n, batch_size):
        rows = np.minimum(np.arange(start, start + batch_size), n - 1)
        picture = np.stack([pairs.chosen[rows], pairs.rejected[rows]], axis=1)
        inputs = store.text.take(pairs.prompt[rows]), store.image.take(picture), store.patches.take(picture)
        pending.append(
            _judge(graph, nnx.to_pure_dict(params), *inputs)
        )  # not waited for: the next is gathered meanwhile
    k = store.manifest.encoder.k
    shapes = {"global_logit": (2,), "patch_logit": (2, k), "risk": (2, k), "reason_logit": (2, 5)}
    done = [jax.device_get({name: getattr(each, name) for name in shapes}) for each in pending]
    return {
        name: np.concatenate([np.zeros((0, *shape), np.float32), *(each[name] for each in done)])[:n]
        for name, shape in shapes.items()
    }


@partial(jax.jit, static_argnums=0)
def _judge(
    graph: nnx.GraphDef[Any],
    params: Any,
    text: Float[AnyArray, "b d"],
    image: Float[AnyArray, "b 2 d"],
    patches: Float[AnyArray, "b 2 k d"],
) -> AuditorOutput:
    return nnx.merge(graph, params)(text, image, patches)

"""The compiled part of a run: one step, a chunk of steps in one dispatch, and the evaluation of a chunk.

Owns the step's arithmetic and its record. A step is a pure function of (state, batch): the gradient of the task's loss
on the global batch, one AdamW update, and the figures of the step, every one of which the host checks for NaN later.
Knows nothing of files, of the order of data or of when to stop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float

from tipai_jax.data.batches import PairBatch
from tipai_jax.data.pipeline import Source
from tipai_jax.heads.auditor_heads import AuditorHeads
from tipai_jax.metrics.sums import Sums
from tipai_jax.tasks.auditor import AuditorTask
from tipai_jax.train_state import TrainState

__all__ = ["NORMS", "Steps", "make_steps", "make_update", "split_heads"]

NORMS = ("grad_norm", "update_norm", "param_norm")

Record = dict[str, Float[Array, "*s"]]


def split_heads(model: AuditorHeads) -> tuple[nnx.GraphDef[Any], nnx.GraphDef[Any], Any]:
    """(graph for training, graph for evaluation, parameters as a pure dict); the heads hold nothing but parameters."""
    model.train()
    training, params, rest = nnx.split(model, nnx.Param, ...)
    model.eval()
    evaluation, _, _ = nnx.split(model, nnx.Param, ...)
    assert not jax.tree.leaves(rest), "the heads hold state that no checkpoint would keep"
    return training, evaluation, nnx.to_pure_dict(params)


def make_update(
    task: AuditorTask, optimizer: optax.GradientTransformation, graph: nnx.GraphDef[Any], *, seed: int, dropout: bool
) -> Callable[[TrainState, PairBatch], tuple[TrainState, Record]]:
    """The step as a function of (state, batch), not yet compiled.

    Its record: the loss, each term, and the norms of gradient, update and new parameters.
    """

    def loss(params: Any, batch: PairBatch, step: Array) -> tuple[Float[Array, ""], dict[str, Sums]]:
        key = jax.random.fold_in(jax.random.key(seed), step) if dropout else None
        sums = task.losses(task.forward(nnx.merge(graph, params), batch, dropout=key), batch)
        return task.total(sums), sums

    def update(state: TrainState, batch: PairBatch) -> tuple[TrainState, Record]:
        (total, sums), grads = jax.value_and_grad(loss, has_aux=True)(state.params, batch, state.step)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        record = {"loss": total, **{name: each.mean for name, each in sums.items()}}
        record |= {name: optax.tree.norm(tree) for name, tree in zip(NORMS, (grads, updates, params))}
        return TrainState(state.step + 1, params, opt_state), record

    return update


@dataclass(frozen=True)
class Steps:
    """The compiled functions of a run. Each is traced once; `traces` counts.

    Attributes:
        train: (state, columns, elements [s, ...], live [s]) -> (state, record [s]). The state given is donated. The
            record of a step that is not live is zero.
        evaluate: (params, columns, elements, live) -> sums of each term and of "global_pair_auc" over the chunk.
        traces: name of the function -> times it was traced.
    """

    train: Callable[..., tuple[TrainState, Record]]
    evaluate: Callable[..., dict[str, Sums]]
    traces: dict[str, int]


def make_steps(
    task: AuditorTask, optimizer: optax.GradientTransformation, model: AuditorHeads, source: Source, *, seed: int, dropout: bool
) -> Steps:
    """Compile-on-first-call functions that run whole chunks from this source."""
    training, evaluation, _ = split_heads(model)
    update = make_update(task, optimizer, training, seed=seed, dropout=dropout)
    traces = {"train": 0, "evaluate": 0}

    def train(state: TrainState, columns: Any, elements: Any, live: Bool[Array, " s"]) -> tuple[TrainState, Record]:
        traces["train"] += 1
        idle = {name: jnp.zeros(()) for name in ("loss", *task.terms, *NORMS)}

        def one(state: TrainState, each: tuple[Any, Array]) -> tuple[TrainState, Record]:
            element, alive = each
            return jax.lax.cond(alive, update, lambda state, batch: (state, idle), state, source.batch(columns, element))

        return jax.lax.scan(one, state, (elements, live))

    def evaluate(params: Any, columns: Any, elements: Any, live: Bool[Array, " s"]) -> dict[str, Sums]:
        traces["evaluate"] += 1

        def one(sums: dict[str, Sums], element: Any) -> tuple[dict[str, Sums], None]:
            batch = source.batch(columns, element)
            output = task.forward(nnx.merge(evaluation, params), batch)
            more = {**task.losses(output, batch), "global_pair_auc": task.validation(output, batch)}
            return {name: each.merge(more[name]) for name, each in sums.items()}, None

        nothing = {name: Sums(jnp.zeros(()), jnp.zeros(())) for name in (*task.terms, "global_pair_auc")}
        return jax.lax.scan(one, nothing, elements)[0]

    return Steps(jax.jit(train, donate_argnums=0), jax.jit(evaluate), traces)

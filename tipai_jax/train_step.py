"""The compiled part of a run: one step, a chunk of steps in one dispatch, and the evaluation of a chunk.

Owns the step's arithmetic and its record. A step is a pure function of (state, batch): the gradient of the task's loss
on the global batch, one AdamW update, and the figures of the step, every one of which the host checks for NaN later.
Knows nothing of files, of the order of data or of when to stop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int

from tipai_jax.data.batches import PairBatch
from tipai_jax.data.pipeline import Source
from tipai_jax.heads.auditor_heads import AuditorHeads
from tipai_jax.metrics.sums import Sums
from tipai_jax.numbers import Numbers
from tipai_jax.optim import make_optimizer
from tipai_jax.tasks.auditor import AuditorTask
from tipai_jax.train_state import TrainState

__all__ = ["NORMS", "Steps", "make_steps", "make_update", "split_heads"]

NORMS = ("grad_norm", "update_norm", "param_norm")
"""Of gradient, update and new parameters. A dispatch looks at them once, at its last step: at every step they would
cost it a tenth.
"""

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
    task: AuditorTask, graph: nnx.GraphDef[Any], *, dropout: bool
) -> Callable[..., tuple[TrainState, Record]]:
    """The step as a function of (state, numbers, batch, look), not yet compiled.

    Its record: the loss, each term, and the norms of gradient, update and new parameters, which are zero if `look` is
        false.
    """

    def loss(params: Any, numbers: Numbers, batch: PairBatch, step: Array) -> tuple[Float[Array, ""], dict[str, Sums]]:
        key = jax.random.fold_in(jax.random.key(numbers.seed), step) if dropout else None
        sums = task.losses(task.forward(nnx.merge(graph, params), batch, dropout=key), batch)
        return task.total(sums, numbers.weights), sums

    def norms(grads: Any, updates: Any, params: Any) -> Record:
        return {name: optax.tree.norm(tree) for name, tree in zip(NORMS, (grads, updates, params))}

    def update(
        state: TrainState, numbers: Numbers, batch: PairBatch, look: Array | bool = True
    ) -> tuple[TrainState, Record]:
        (total, sums), grads = jax.value_and_grad(loss, has_aux=True)(state.params, numbers, batch, state.step)
        optimizer = make_optimizer(lr=numbers.lr, weight_decay=numbers.weight_decay, clip_norm=numbers.clip_norm)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        record = {"loss": total, **{name: each.mean for name, each in sums.items()}}
        record |= jax.lax.cond(look, norms, lambda *_: dict.fromkeys(NORMS, jnp.zeros(())), grads, updates, params)
        return TrainState(state.step + 1, params, opt_state), record

    return update


def _guarded(
    update: Callable[..., tuple[TrainState, Record]], terms: Sequence[str]
) -> Callable[..., tuple[TrainState, Record]]:
    """The step of a member of a sweep: (state, numbers, batch, look, step) -> (state, record).

    A step whose figures are not finite changes nothing, and since the state's own count then stays behind, none after
    it does: the member is
    frozen. (A gradient that is not finite while the loss is shows in the loss of the step after it, or in the norms of
    the last.) In the same
    way a member that was saved later than the others waits until they have caught up.
    """

    def advance(
        state: TrainState, numbers: Numbers, batch: PairBatch, look: Array, step: Array
    ) -> tuple[TrainState, Record]:
        moved, record = update(state, numbers, batch, look)
        due = state.step == step
        fine = jnp.all(jnp.stack([jnp.isfinite(record[name]) for name in ("loss", *terms, "grad_norm")]))
        keep = lambda new, old: jnp.where(due & fine, new, old)
        return jax.tree.map(keep, moved, state), {name: jnp.where(due, value, 0.0) for name, value in record.items()}

    return advance


@dataclass(frozen=True)
class Steps:
    """The compiled functions of a run, or of all members of a sweep. Each is traced once; `traces` counts.

    Attributes:
        train: (state, numbers, columns, elements [s, ...], step [s]) -> (state, record). The state given is donated.
            The record holds loss and
            terms of every step, [s], zero for one that was not run (number -1), and the norms of the last one that was.
            In a sweep of m: state
            [m, ...], record [s, m] and [m].
        evaluate: (params, columns, elements, step) -> sums of each term and of "global_pair_auc" over the chunk, [m] in
            a sweep.
        traces: name of the function -> times it was traced.
    """

    train: Callable[..., tuple[TrainState, Record]]
    evaluate: Callable[..., dict[str, Sums]]
    traces: dict[str, int]


def make_steps(
    task: AuditorTask,
    model: AuditorHeads,
    source: Source,
    *,
    copied: NamedSharding,
    dropout: bool,
    members: int = 1,
    one_order: bool = True,
) -> Steps:
    """Compile-on-first-call functions that run whole chunks from this source.

    Args:
        task: its terms are those that are computed.
        model: gives the graph; the parameters are in the state.
        source: of the batches.
        copied: where results go, a copy on every device.
        dropout: whether the heads drop anything.
        members: of a sweep; each is the run alone, mapped over by `jax.vmap`.
        one_order: the members meet the same batches, which are then gathered once.
    """
    training, evaluation, _ = split_heads(model)
    update = make_update(task, training, dropout=dropout)
    traces = {"train": 0, "evaluate": 0}
    if members == 1:
        shape, advance = (), lambda state, numbers, batch, look, step: update(state, numbers, batch, look)
    else:
        shape, advance = (
            (members,),
            jax.vmap(_guarded(update, list(task.terms)), in_axes=(0, 0, None if one_order else 0, None, None)),
        )

    def train(
        state: TrainState, numbers: Numbers, columns: Any, elements: Any, step: Int[Array, " s"]
    ) -> tuple[TrainState, Record]:
        traces["train"] += 1
        idle = {name: jnp.zeros(shape) for name in ("loss", *task.terms, *NORMS)}

        def one(state: TrainState, each: tuple[Any, Array]) -> tuple[TrainState, Record]:
            element, number = each
            batch = source.batch(columns, element)
            return jax.lax.cond(
                number >= 0, advance, lambda state, *_: (state, idle), state, numbers, batch, number == last, number
            )

        last = jnp.max(step)
        state, record = jax.lax.scan(one, state, (elements, step))
        return state, {name: values.sum(axis=0) if name in NORMS else values for name, values in record.items()}

    def measure(params: Any, batch: PairBatch) -> dict[str, Sums]:
        output = task.forward(nnx.merge(evaluation, params), batch)
        return {**task.losses(output, batch), "global_pair_auc": task.validation(output, batch)}

    measure_all = measure if members == 1 else jax.vmap(measure, in_axes=(0, None))

    def evaluate(params: Any, columns: Any, elements: Any, step: Int[Array, " s"]) -> dict[str, Sums]:
        traces["evaluate"] += 1

        def one(sums: dict[str, Sums], element: Any) -> tuple[dict[str, Sums], None]:
            more = measure_all(params, source.batch(columns, element))
            return {name: each.merge(more[name]) for name, each in sums.items()}, None

        nothing = {name: Sums(jnp.zeros(shape), jnp.zeros(shape)) for name in (*task.terms, "global_pair_auc")}
        return jax.lax.scan(one, nothing, elements)[0]

    return Steps(
        jax.jit(train, donate_argnums=0, out_shardings=copied), jax.jit(evaluate, out_shardings=copied), traces
    )

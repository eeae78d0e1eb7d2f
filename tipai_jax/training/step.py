"""The compiled part of a run: one step, a chunk of steps in one dispatch, and the evaluation of a chunk.

A step is a pure function of (state, batch): the gradient of the task's loss on the global batch, one AdamW update, and
the figures of the step, every one of which the host checks for NaN later.
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

from tipai_jax.data.pipeline import Source
from tipai_jax.metrics.sums import Collected, Sums
from tipai_jax.tasks.task import Hyper, Task
from tipai_jax.training.hyperparameters import Hyperparameters
from tipai_jax.training.optim import make_optimizer
from tipai_jax.training.state import TrainState, join_frozen

__all__ = ["NORMS", "Steps", "make_steps", "make_update", "split_heads"]

NORMS = ("grad_norm", "update_norm", "param_norm")
"""Of gradient, update and new parameters; computed once a dispatch, at its last step: at every step they would cost it
a tenth."""

Record = dict[str, Float[Array, "*s"]]
Update = Callable[..., tuple[TrainState, Record]]


def split_heads(model: nnx.Module) -> tuple[nnx.GraphDef[Any], nnx.GraphDef[Any], Any]:
    """(graph for training, graph for evaluation, parameters as a pure dict); the heads hold nothing but parameters."""
    model.train()
    training, params, rest = nnx.split(model, nnx.Param, ...)
    model.eval()
    evaluation, _, _ = nnx.split(model, nnx.Param, ...)
    assert not jax.tree.leaves(rest), "the heads hold state that no checkpoint would keep"
    return training, evaluation, nnx.to_pure_dict(params)


def _mean(term: Sums | Array) -> Array:
    return term.mean if isinstance(term, Sums) else term


def make_update(task: Task, graph: nnx.GraphDef[Any]) -> Update:
    """The step as a function of (state, hyperparameters, batch, norms_wanted), not yet compiled.

    Its record: the loss, each term, and the norms of gradient, update and new parameters, which are zero unless wanted.
    """

    def loss(params: Any, frozen: Any, hyper: Hyper, batch: Any, key: Array | None) -> tuple[Float[Array, ""], Record]:
        output = task.forward(nnx.merge(graph, join_frozen(params, frozen)), batch, key=key)
        terms = {name: _mean(term) for name, term in task.losses(output, batch, hyper).items()}
        return sum((hyper.weights[name] * term for name, term in terms.items()), start=jnp.zeros(())), terms

    def norms(grads: Any, updates: Any, params: Any) -> Record:
        return {name: optax.tree.norm(tree) for name, tree in zip(NORMS, (grads, updates, params), strict=True)}

    def update(
        state: TrainState, hyper: Hyperparameters, batch: Any, norms_wanted: Array | bool = True
    ) -> tuple[TrainState, Record]:
        key = jax.random.fold_in(jax.random.key(hyper.seed), state.step) if task.random else None
        gradient = jax.value_and_grad(loss, has_aux=True)
        (total, terms), grads = gradient(state.params, state.frozen, hyper.at(state.step), batch, key)
        optimizer = make_optimizer(lr=hyper.lr, weight_decay=hyper.weight_decay, clip_norm=hyper.clip_norm)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        record = {"loss": total, **terms}
        nothing = lambda *_: dict.fromkeys(NORMS, jnp.zeros(()))
        record |= jax.lax.cond(norms_wanted, norms, nothing, grads, updates, params)
        return TrainState(state.step + 1, params, state.frozen, opt_state), record

    return update


def _guarded(update: Update, terms: Sequence[str]) -> Update:
    """The step of a member of a sweep: (state, hyperparameters, batch, norms_wanted, step) -> (state, record).

    A step whose figures are not finite changes nothing, and since the state's own count then stays behind, none after
    it does: the member stands still. (A gradient that is not finite while the loss is shows in the loss of the step
    after it, or in the norms of the last.) In the same way a member that was saved later than the others waits until
    they have caught up.
    """

    def advance(
        state: TrainState, hyper: Hyperparameters, batch: Any, norms_wanted: Array, step: Array
    ) -> tuple[TrainState, Record]:
        moved, record = update(state, hyper, batch, norms_wanted)
        due = state.step == step
        fine = jnp.all(jnp.stack([jnp.isfinite(record[name]) for name in ("loss", *terms, "grad_norm")]))
        keep = lambda new, old: jnp.where(due & fine, new, old)
        return jax.tree.map(keep, moved, state), {name: jnp.where(due, value, 0.0) for name, value in record.items()}

    return advance


@dataclass(frozen=True)
class Steps:
    """The compiled functions of a run, or of all members of a sweep. Each is traced once; `traces` counts.

    Attributes:
        train: (state, hyperparameters, columns, elements [s, ...], step [s]) -> (state, record). The state given is
            donated. The record holds loss and terms of every step, [s], zero for one that was not run (number -1), and
            the norms of the last one that was. In a sweep of m: state [m, ...], record [s, m] and [m].
        evaluate: (state, hyperparameters, at, columns, elements, step) -> (sums over the chunk, collected values
            [s, b, ...]) of each term and validation figure, with the hyperparameters of step `at`; in a sweep of m
            sums [m] and values [s, m, b, ...].
        traces: name of the function -> times it was traced.
    """

    train: Update
    evaluate: Callable[..., tuple[dict[str, Sums], dict[str, Collected]]]
    traces: dict[str, int]


def make_steps(
    task: Task,
    model: nnx.Module,
    source: Source,
    *,
    terms: Sequence[str],
    replicated: NamedSharding,
    members: int = 1,
    one_order: bool = True,
) -> Steps:
    """Compile-on-first-call functions that run whole chunks from this source.

    Args:
        task: what is trained.
        model: gives the graph; the parameters are in the state.
        source: of the batches.
        terms: of the loss, those that are computed.
        replicated: where results go.
        members: of a sweep; each is the run alone, mapped over by `jax.vmap`.
        one_order: the members meet the same batches, which are then gathered once.
    """
    training, evaluation, _ = split_heads(model)
    update = make_update(task, training)
    traces = {"train": 0, "evaluate": 0}
    if members == 1:
        shape: tuple[int, ...] = ()
        advance: Update = lambda state, hyper, batch, norms_wanted, step: update(state, hyper, batch, norms_wanted)
    else:
        shape = (members,)
        advance = jax.vmap(_guarded(update, terms), in_axes=(0, 0, None if one_order else 0, None, None))

    def train(
        state: TrainState, hyper: Hyperparameters, columns: Any, elements: Any, step: Int[Array, " s"]
    ) -> tuple[TrainState, Record]:
        traces["train"] += 1
        idle = {name: jnp.zeros(shape) for name in ("loss", *terms, *NORMS)}

        def one(state: TrainState, each: tuple[Any, Array]) -> tuple[TrainState, Record]:
            element, number = each
            batch = source.batch(columns, element)
            stay = lambda state, *_: (state, idle)
            return jax.lax.cond(number >= 0, advance, stay, state, hyper, batch, number == last, number)

        last = jnp.max(step)
        state, record = jax.lax.scan(one, state, (elements, step))
        return state, {name: values.sum(axis=0) if name in NORMS else values for name, values in record.items()}

    def measure(
        state: TrainState, hyper: Hyperparameters, at: Array, batch: Any
    ) -> tuple[dict[str, Sums], dict[str, Collected]]:
        output, now = (
            task.forward(nnx.merge(evaluation, join_frozen(state.params, state.frozen)), batch, key=None),
            hyper.at(at),
        )
        real = jnp.any(batch.valid).astype(jnp.float32)
        once = lambda term: term if isinstance(term, Sums) else Sums(jnp.where(real > 0, term, 0.0), real)
        figures = task.validation(output, batch)
        sums = {name: once(term) for name, term in task.losses(output, batch, now).items()}
        assert not figures.keys() & {"loss", *sums} and "loss" not in sums, (
            "a figure has the name of a term or the loss"
        )
        sums |= {name: each for name, each in figures.items() if isinstance(each, Sums)}
        return sums, {name: each for name, each in figures.items() if isinstance(each, Collected)}

    measure_all = measure if members == 1 else jax.vmap(measure, in_axes=(0, 0, None, None))

    def evaluate(
        state: TrainState, hyper: Hyperparameters, at: Array, columns: Any, elements: Any
    ) -> tuple[dict[str, Sums], dict[str, Collected]]:
        traces["evaluate"] += 1
        measured = lambda element: measure_all(state, hyper, at, source.batch(columns, element))

        def one(sums: dict[str, Sums], element: Any) -> tuple[dict[str, Sums], dict[str, Collected]]:
            more, collected = measured(element)
            return {name: each.merge(more[name]) for name, each in sums.items()}, collected

        first = jax.tree.map(lambda leaf: leaf[0], elements)
        nothing = jax.tree.map(jnp.zeros_like, measured(first)[0])  # the shapes alone; XLA drops the computation
        return jax.lax.scan(one, nothing, elements)

    return Steps(
        jax.jit(train, donate_argnums=0, out_shardings=replicated),
        jax.jit(evaluate, out_shardings=replicated),
        traces,
    )

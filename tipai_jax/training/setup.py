"""Everything of a run, or of a sweep, that does not change from step to step: put together once, from configs and a
store.

The members of a sweep differ in hyperparameters only (`config/sweep.py` sees to that), so all else is common.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tipai_jax.config.records import to_json
from tipai_jax.config.schema import RunConfig
from tipai_jax.data.batches import Columns
from tipai_jax.data.pipeline import (
    Chunk,
    Order,
    Resident,
    Source,
    chunk_length,
    chunk_of_steps,
    chunks_in_order,
    make_source,
)
from tipai_jax.metrics.sums import Collected
from tipai_jax.parallel.mesh import make_placement
from tipai_jax.parallel.processes import agreed
from tipai_jax.store import Store
from tipai_jax.tasks.build import make_task
from tipai_jax.training.hyperparameters import Hyperparameters, hyperparameters_of, stack, terms_in_use
from tipai_jax.training.interrupt import Interrupt
from tipai_jax.training.optim import make_optimizer
from tipai_jax.training.state import TrainState, init_state, split_frozen
from tipai_jax.training.step import Steps, make_steps, split_heads

__all__ = ["Member", "Setup", "sha256_of_leaves"]


@dataclass(frozen=True)
class Member:
    """A run of its own: the only one, or one of a sweep.

    Attributes:
        config: the run.
        order: in which it meets the examples.
        hyper: its hyperparameters.
        weights: of the terms of its loss at every step, in float64.
        record: its config, its store and the hash of its frozen parameters, as they are written into the run and into
            every checkpoint.
    """

    config: RunConfig
    order: Order
    hyper: Hyperparameters
    weights: dict[str, Float[np.ndarray, " steps"]]
    record: dict[str, Any]

    @property
    def terms(self) -> list[str]:
        """The terms of the loss that are computed."""
        return list(self.weights)


def sha256_of_leaves(tree: Any) -> str | None:
    """sha256 over the paths, shapes and bytes of all leaves; None for a tree without any."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    if not leaves:
        return None
    hashed = hashlib.sha256()
    for path, leaf in leaves:
        value = np.ascontiguousarray(leaf)
        hashed.update(f"{jax.tree_util.keystr(path)} {value.shape} {value.dtype}\n".encode())
        hashed.update(value.tobytes())
    return hashed.hexdigest()


class Setup:
    """Everything of a run that does not change from step to step.

    Args:
        configs: the run, or the members of a sweep: they may differ in `workdir` and in hyperparameters.
        store: the opened store of `config.store`.
        devices: what to train on, by default every local device.

    Raises:
        UserError: store, config and devices do not go together.
    """

    def __init__(
        self, configs: RunConfig | Sequence[RunConfig], store: Store, *, devices: Sequence[Any] | None = None
    ) -> None:
        configs = [configs] if isinstance(configs, RunConfig) else list(configs)
        self.config = config = configs[0]
        self.task = make_task(config)
        columns, held_out = self.task.columns(store, "train"), self.task.columns(store, "validation")
        self.placement = make_placement(devices)
        self.placement.check_batch(config.data.batch_size)
        orders = [self.task.order(columns, each) for each in configs]
        self.per_epoch = orders[0].steps_per_epoch
        self.total = self.per_epoch * config.data.epochs
        self.one_order = len({each.key for each in orders}) == 1
        self.orders = orders[: 1 if self.one_order else None]

        encoder = store.manifest.encoder
        models = [self.task.build(encoder, seed=each.seed) for each in configs]
        schedules = [self.task.schedules(each, steps=self.total) for each in configs]
        self.terms = terms_in_use(schedules)
        hypers = [
            hyperparameters_of(each, schedule, total_steps=self.total, terms=self.terms)
            for each, schedule in zip(configs, schedules, strict=True)
        ]
        lr, weight_decay, clip_norm = hypers[0].lr, config.optim.weight_decay, config.optim.clip_norm
        optimizer = make_optimizer(lr=lr, weight_decay=weight_decay, clip_norm=clip_norm)
        parameters = [split_frozen(split_heads(model)[2], self.task.frozen) for model in models]
        states = [init_state(trained, frozen, optimizer) for trained, frozen in parameters]
        self.members = [
            Member(
                each, order, hyper, {name: schedule.weights[name] for name in self.terms}, _record(each, store, frozen)
            )
            for each, order, hyper, schedule, (_, frozen) in zip(
                configs, orders, hypers, schedules, parameters, strict=True
            )
        ]
        self.initial = self.placement.replicate(self.stack(states))
        self.hyper = self.placement.replicate(hypers[0] if len(hypers) == 1 else stack(hypers))

        self.source: Source = make_source(columns, self.placement, kind=config.data.placement)
        self.validation: Source = make_source(
            held_out, self.placement, kind="resident" if isinstance(self.source, Resident) else "streaming"
        )
        size, most = config.data.batch_size, config.data.steps_per_dispatch
        self.length = chunk_length(self.source, columns, batch_size=size * len(self.orders), steps_per_dispatch=most)
        self.validation_chunks = chunks_in_order(held_out.n, batch_size=size, length=self.length)
        self.steps: Steps = make_steps(
            self.task,
            models[0],
            self.source,
            terms=self.terms,
            replicated=self.placement.replicated,
            members=len(configs),
            one_order=self.one_order,
        )
        self.about = self._summary(columns, held_out)

    def _summary(self, columns: Columns, held_out: Columns) -> str:
        """What is trained on what, in a line."""
        together = f"{len(self.members)} members together; " if len(self.members) > 1 else ""
        devices = f"{self.placement.devices} {jax.default_backend()} device{'s' * (self.placement.devices > 1)}"
        return (
            f"{together}{columns.n:,} {self.task.unit} to train on, {held_out.n:,} for validation; "
            f"{self.per_epoch:,} steps an epoch, {self.total:,} in all; {self.source.name} on {devices}"
        )

    def stack(self, states: Sequence[Any]) -> Any:
        """The trees of all members as the steps take them: with one more axis in front, unless there is but one."""
        return states[0] if len(states) == 1 else jax.tree.map(lambda *each: jnp.stack(each), *states)

    def unstack(self, tree: Any) -> list[Any]:
        """The trees that `stack` was given."""
        if len(self.members) == 1:
            return [tree]
        return [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(len(self.members))]

    def steps_from(self, first: int) -> int:
        """Steps of the chunk that starts at `first`."""
        return min(self.length, self.per_epoch - first % self.per_epoch)

    def chunk_starts(self, first: int) -> list[int]:
        """Where the chunks from `first` to the end of the run start."""
        starts = []
        while first < self.total:
            starts.append(first)
            first += self.steps_from(first)
        return starts

    def chunk(self, first: int) -> Chunk:
        """The chunk that starts at `first`."""
        return chunk_of_steps(self.orders, first, steps=self.steps_from(first), length=self.length)

    def stops_at(self, step: int) -> bool:
        """Whether the run is measured and saved after `step` steps."""
        return step == self.total or step % (self.per_epoch * self.config.checkpoint.every_epochs) == 0

    def train(self, state: TrainState, elements: Any, step: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        """One chunk, dispatched; the state given is donated."""
        return self.steps.train(state, self.hyper, self.source.columns, elements, step)

    def validate(self, state: TrainState, step: int, stop: Interrupt) -> list[dict[str, float]] | None:
        """For each member the loss, its terms and the task's figures on the validation split; None after a signal.

        Args:
            state: after `step` steps.
            step: the loss weighs its terms as in the step before.
            stop: is asked between two dispatches.
        """
        at = max(step - 1, 0)
        now, sums, collected = self.placement.replicate(np.asarray(at, np.int32)), None, []
        for elements, _ in self.validation.chunks(self.validation_chunks.__getitem__, len(self.validation_chunks)):
            more, kept = self.steps.evaluate(state, self.hyper, now, self.validation.columns, elements)
            sums = more if sums is None else {name: each.merge(more[name]) for name, each in sums.items()}
            collected.append(kept)
            if agreed(bool(stop)):
                return None
        assert sums is not None, "an empty validation split was refused earlier"
        means: dict[str, Any] = jax.device_get({name: each.mean for name, each in sums.items()})
        parts: list[dict[str, Collected]] = jax.device_get(collected)
        figures = []
        for number, (member, each) in enumerate(zip(self.members, self.unstack(means), strict=True)):
            found = {name: float(value) for name, value in each.items()}
            found |= {
                name: Collected.compute([self._of_member(part[name], number) for part in parts]) for name in parts[0]
            }
            weighted = {name: float(weights[at]) * found[name] for name, weights in member.weights.items()}
            figures.append({"loss": sum(weighted.values()), **found})
        return figures

    def _of_member(self, part: Collected, number: int) -> Collected:
        """What was collected for one member: arrays [s, b, ...]."""
        return part if len(self.members) == 1 else jax.tree.map(lambda leaf: leaf[:, number], part)


def _record(config: RunConfig, store: Store, frozen: Any) -> dict[str, Any]:
    """The config, the store and the frozen parameters of a run, as they are written into every checkpoint."""
    place = {
        "path": str(store.path),
        "digest": store.manifest.digest,
        "encoder": asdict(store.manifest.encoder),
        "small_world_only": store.manifest.small_world_only,
    }
    return {"config": to_json(config), "store": place, "frozen_sha256": sha256_of_leaves(frozen)}

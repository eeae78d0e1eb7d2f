"""Everything of a run, or of a sweep, that does not change from step to step: put together once, from configs and a
store.

Owns the wiring of pairs, devices, heads, optimiser and compiled steps, and where a run's chunks and stops lie. Knows
nothing of files that a run writes. The members of a sweep differ in numbers only (`sweep.py` sees to that), so all else
is common.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tipai_jax.config import Config, to_json
from tipai_jax.data.batches import host_columns
from tipai_jax.data.curriculum import PairOrder
from tipai_jax.data.pipeline import Chunk, Source, chunk_length, make_source, plan_in_order, plan_steps
from tipai_jax.data.splits import split_pairs
from tipai_jax.interrupt import Interrupt
from tipai_jax.numbers import Numbers, numbers_of, stack_numbers
from tipai_jax.optim import make_optimizer
from tipai_jax.processes import agreed
from tipai_jax.sharding import make_placement
from tipai_jax.store import PairTable, Store
from tipai_jax.tasks.auditor import TERMS, AuditorTask, build_heads
from tipai_jax.train_state import TrainState, init_state
from tipai_jax.train_step import Steps, make_steps, split_heads

__all__ = ["Member", "Setup"]


@dataclass(frozen=True)
class Member:
    """A run of its own: the only one, or one of a sweep.

    Attributes:
        config: the run.
        order: in which it meets the pairs.
        numbers: of the run.
        terms: the terms of its loss and their weights.
        record: its config and its store, as they are written into the run and into every checkpoint.
    """

    config: Config
    order: PairOrder
    numbers: Numbers
    terms: dict[str, float]
    record: dict[str, Any]


class Setup:
    """Everything of a run that does not change from step to step.

    Args:
        configs: the run, or the members of a sweep: they may differ in `workdir` and in numbers that shape nothing.
        store: the opened store of `config.store`.
        devices: what to train on, by default every local device.

    Raises:
        UserError: store, config and devices do not go together.
    """

    def __init__(
        self, configs: Config | Sequence[Config], store: Store, *, devices: Sequence[jax.Device] | None = None
    ) -> None:
        configs = [configs] if isinstance(configs, Config) else list(configs)
        self.config = config = configs[0]
        train, validation = split_pairs(store, "train"), split_pairs(store, "validation")
        self.placement = make_placement(devices)
        self.placement.check_batch(config.data.batch_size)
        self.per_epoch = -(-len(train) // config.data.batch_size)
        self.total = self.per_epoch * config.data.epochs
        self.task = AuditorTask(
            replace(config.loss, **{name: max(getattr(each.loss, name) for each in configs) for name in TERMS})
        )
        self.members = [self._member(each, train, store) for each in configs]
        self.one_order = len({(each.seed, each.data.start_fraction, each.data.full_at_epoch) for each in configs}) == 1
        self.orders = [each.order for each in self.members[: 1 if self.one_order else None]]

        encoder = store.manifest.encoder
        models = [build_heads(each.model, d=encoder.d, k=encoder.k, seed=each.seed) for each in configs]
        optimizer = make_optimizer(lr=self.lr, weight_decay=config.optim.weight_decay, clip_norm=config.optim.clip_norm)
        states = [init_state(split_heads(model)[2], optimizer) for model in models]
        self.initial = self.placement.copy(self.stack(states))
        numbers = [each.numbers for each in self.members]
        self.numbers = self.placement.copy(numbers[0] if len(numbers) == 1 else stack_numbers(numbers))

        columns = host_columns(store, train), host_columns(store, validation)
        self.source: Source = make_source(columns[0], self.placement, kind=config.data.placement)
        self.validation: Source = make_source(columns[1], self.placement, kind=self.source.name)
        size, most = config.data.batch_size, config.data.steps_per_dispatch
        self.length = chunk_length(self.source, columns[0], batch_size=size * len(self.orders), steps_per_dispatch=most)
        self.validation_plans = plan_in_order(len(validation), batch_size=size, length=self.length)
        self.steps: Steps = make_steps(
            self.task,
            models[0],
            self.source,
            copied=self.placement.copied,
            dropout=config.model.dropout > 0,
            members=len(configs),
            one_order=self.one_order,
        )
        together = f"{len(configs)} members together; " if len(configs) > 1 else ""
        self.about = (
            f"{together}{len(train):,} pairs to train on, {len(validation):,} for validation; {self.per_epoch:,} steps"
            f" an epoch, {self.total:,} in all; {self.source.name} on {self.placement.devices} {jax.default_backend()}"
            f" device{'s' * (self.placement.devices > 1)}"
        )

    def _member(self, config: Config, train: PairTable, store: Store) -> Member:
        order = PairOrder(
            train.margin,
            train.control,
            batch_size=config.data.batch_size,
            seed=config.seed,
            start_fraction=config.data.start_fraction,
            full_at_epoch=config.data.full_at_epoch,
        )
        assert order.steps_per_epoch == self.per_epoch
        place = {
            "path": str(store.path),
            "digest": store.manifest.digest,
            "encoder": asdict(store.manifest.encoder),
            "small_world_only": store.manifest.small_world_only,
        }
        terms = {name: getattr(config.loss, name) for name in self.task.terms}
        numbers = numbers_of(config, total_steps=self.total, terms=list(terms))
        return Member(config, order, numbers, terms, {"config": to_json(config), "store": place})

    @property
    def lr(self) -> Float[np.ndarray, " steps"]:
        """The learning rate of each step of the first run."""
        return self.members[0].numbers.lr

    @property
    def order(self) -> PairOrder:
        """The order in which the first run meets its pairs."""
        return self.orders[0]

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

    def firsts(self, first: int) -> list[int]:
        """Where the chunks from `first` to the end of the run start."""
        starts = []
        while first < self.total:
            starts.append(first)
            first += self.steps_from(first)
        return starts

    def plan(self, first: int) -> Chunk:
        """The chunk that starts at `first`."""
        return plan_steps(self.orders, first, steps=self.steps_from(first), length=self.length)

    def stops_at(self, step: int) -> bool:
        """Whether the run is measured and saved after `step` steps."""
        return step == self.total or step % (self.per_epoch * self.config.checkpoint.every_epochs) == 0

    def train(self, state: TrainState, elements: Any, step: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        """One chunk, dispatched; the state given is donated."""
        return self.steps.train(state, self.numbers, self.source.columns, elements, step)

    def validate(self, params: Any, stop: Interrupt) -> list[dict[str, float]] | None:
        """For each member the loss, its terms and the global pair AUC on the validation split; None if a signal came in
        between.
        """
        merged: dict[str, Any] | None = None
        for elements, step in self.validation.chunks(self.validation_plans.__getitem__, len(self.validation_plans)):
            sums = self.steps.evaluate(params, self.validation.columns, elements, step)
            merged = sums if merged is None else {name: each.merge(sums[name]) for name, each in merged.items()}
            if agreed(bool(stop)):
                return None
        assert merged is not None, "an empty validation split was refused earlier"
        every = self.unstack(jax.device_get({name: sums.mean for name, sums in merged.items()}))
        figures = [{name: float(value) for name, value in each.items()} for each in every]
        loss = lambda member, each: sum(weight * each[name] for name, weight in member.terms.items())
        return [{"loss": loss(member, each), **each} for member, each in zip(self.members, figures, strict=True)]

"""Everything of a run that does not change from step to step: put together once, from a config and a store.

Owns the wiring of pairs, devices, heads, optimiser and compiled steps, and where a run's chunks and stops lie. Knows
nothing of files that a run writes.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from tipai_jax.config import Config, to_json
from tipai_jax.data.batches import host_columns
from tipai_jax.data.curriculum import PairOrder
from tipai_jax.data.pipeline import Chunk, Source, chunk_length, make_source, plan_in_order, plan_steps
from tipai_jax.data.splits import split_pairs
from tipai_jax.interrupt import Interrupt
from tipai_jax.optim import make_optimizer, make_schedule
from tipai_jax.sharding import local_placement
from tipai_jax.store import Store
from tipai_jax.tasks.auditor import AuditorTask, build_heads
from tipai_jax.train_state import init_state
from tipai_jax.train_step import Steps, make_steps, split_heads

__all__ = ["Setup"]


class Setup:
    """Everything of a run that does not change from step to step.

    Args:
        config: the run.
        store: the opened store of `config.store`.
        devices: what to train on, by default every local device.

    Raises:
        UserError: store, config and devices do not go together.
    """

    def __init__(self, config: Config, store: Store, *, devices: Sequence[jax.Device] | None = None) -> None:
        self.config, self.workdir = config, Path(config.workdir)
        train, validation = split_pairs(store, "train"), split_pairs(store, "validation")
        self.placement = local_placement(devices)
        self.placement.check_batch(config.data.batch_size)
        self.order = PairOrder(
            train.margin,
            train.control,
            batch_size=config.data.batch_size,
            seed=config.seed,
            start_fraction=config.data.start_fraction,
            full_at_epoch=config.data.full_at_epoch,
        )
        self.per_epoch = self.order.steps_per_epoch
        self.total = self.per_epoch * config.data.epochs
        self.lr = np.asarray(make_schedule(config.optim, total_steps=self.total)(np.arange(self.total)))
        optimizer = make_optimizer(config.optim, total_steps=self.total)
        encoder = store.manifest.encoder
        model = build_heads(config.model, d=encoder.d, k=encoder.k, seed=config.seed)
        self.task = AuditorTask(config.loss)
        self.initial = self.placement.copy(init_state(split_heads(model)[2], optimizer))

        columns = host_columns(store, train), host_columns(store, validation)
        self.source: Source = make_source(columns[0], self.placement, kind=config.data.placement)
        self.validation: Source = make_source(columns[1], self.placement, kind=self.source.name)
        sizes = {"batch_size": config.data.batch_size, "steps_per_dispatch": config.data.steps_per_dispatch}
        self.length = chunk_length(self.source, columns[0], **sizes)
        self.validation_plans = plan_in_order(len(validation), batch_size=config.data.batch_size, length=self.length)
        self.steps: Steps = make_steps(self.task, optimizer, model, self.source, seed=config.seed, dropout=config.model.dropout > 0)
        self.record = {
            "config": to_json(config),
            "store": {
                "path": str(store.path),
                "digest": store.manifest.digest,
                "encoder": asdict(encoder),
                "small_world_only": store.manifest.small_world_only,
            },
        }
        self.about = (
            f"{len(train):,} pairs to train on, {len(validation):,} for validation; {self.per_epoch:,} steps an epoch, {self.total:,} in all; "
            f"{self.source.name} on {self.placement.devices} {jax.default_backend()} device{'s' * (self.placement.devices > 1)}"
        )

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
        return plan_steps(self.order, first, steps=self.steps_from(first), length=self.length)

    def stops_at(self, step: int) -> bool:
        """Whether the run is measured and saved after `step` steps."""
        return step == self.total or step % (self.per_epoch * self.config.checkpoint.every_epochs) == 0

    def validate(self, params: Any, stop: Interrupt) -> dict[str, float] | None:
        """The loss, its terms and the global pair AUC on the validation split; None if a signal came in between."""
        merged: dict[str, Any] | None = None
        for elements, live in self.validation.chunks(self.validation_plans.__getitem__, len(self.validation_plans)):
            sums = self.steps.evaluate(params, self.validation.columns, elements, live)
            merged = sums if merged is None else {name: each.merge(sums[name]) for name, each in merged.items()}
            if stop:
                return None
        assert merged is not None, "an empty validation split was refused earlier"
        figures = {name: float(each) for name, each in jax.device_get({name: sums.mean for name, sums in merged.items()}).items()}
        return {"loss": sum(weight * figures[name] for name, weight in self.task.terms.items()), **figures}

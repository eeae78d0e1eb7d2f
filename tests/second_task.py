"""A second task, for the tests of the seam: which half-space a prompt's embedding lies in. Another table than pairs,
a split of its own, other figures, a frozen layer, a weight that changes within a run, a loss that is no mean, a figure
that is no mean.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tipai_jax.config.schema import RunConfig, TargetFields, swept
from tipai_jax.data.batches import Columns
from tipai_jax.data.curriculum import CurriculumOrder
from tipai_jax.data.splits import examples_of_split
from tipai_jax.evaluation.inference import predict
from tipai_jax.evaluation.targets import of_figure
from tipai_jax.losses import reduce
from tipai_jax.metrics.ranking import roc_auc
from tipai_jax.metrics.sums import Collected
from tipai_jax.tasks.task import FigureSpec, Layout, Schedules, Section


@dataclass(frozen=True)
class HalvesLoss:
    """Weights."""

    square: float = swept(1.0)
    """Weight of the squared error."""
    spread: float = swept(0.5)
    """Weight of the spread of the outputs at the last step; it grows from 0."""


@dataclass(frozen=True)
class HalvesTargets(TargetFields):
    """Targets."""

    auc: float = 0.7
    """ROC-AUC above this."""


@dataclass(frozen=True, kw_only=True)
class HalvesConfig(RunConfig):
    """A run of the second task."""

    task: ClassVar[str] = "halves"
    file: ClassVar[str] = "halves.py"

    loss: HalvesLoss = field(default_factory=HalvesLoss)
    targets: HalvesTargets = field(default_factory=HalvesTargets)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PromptBatch:
    text: Any
    label: Any
    valid: Any
    row: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Output:
    value: Any


class Heads(nnx.Module):
    def __init__(self, d, *, rngs):
        self.trunk = nnx.Linear(d, d, rngs=rngs)
        self.score = nnx.Linear(d, 1, rngs=rngs)

    def __call__(self, text):
        return Output(self.score(jnp.tanh(4 * self.trunk(text.astype(jnp.float32))))[:, 0])


def auc_of(values):
    return float(roc_auc(values["value"], values["label"]))


@dataclass(frozen=True)
class HalvesTask:
    config: HalvesConfig
    name = "halves"
    unit = "prompts"
    random = False

    def columns(self, store, split):
        twentieth = np.arange(len(store.prompts)) * 20 // len(store.prompts)
        splits = np.select([twentieth < 15, twentieth < 19], ["train", "validation"], "test")
        prompt = examples_of_split(splits, split, store=store.path, unit=self.unit).astype(np.int32)
        label = (store.text.take(prompt)[:, 0] > 0).astype(np.int8)
        ease = np.abs(store.text.take(prompt)[:, 0]).astype(np.float32)
        return Columns(
            PromptBatch,
            {"text": store.text},
            (("text", "text"),),
            {"text": prompt},
            {"label": label},
            len(prompt),
            {"ease": ease},
        )

    def order(self, columns, config):
        none = np.zeros(columns.n, bool)
        data = config.data
        shares = {"start_fraction": data.start_fraction, "full_at_epoch": data.full_at_epoch}
        return CurriculumOrder(columns.host["ease"], none, batch_size=data.batch_size, seed=config.seed, **shares)

    def build(self, encoder, *, seed):
        return Heads(encoder.d, rngs=nnx.Rngs(seed))

    def frozen(self, path):
        return path.startswith("trunk.")

    def schedules(self, config, *, steps):
        grown = config.loss.spread * np.arange(1, steps + 1) / steps
        return Schedules(
            {"square": np.full(steps, config.loss.square), "spread": grown}, {"shift": np.full(steps, 0.5)}
        )

    def forward(self, model, batch, *, key):
        return model(batch.text)

    def losses(self, output, batch, hyper):
        error = (output.value - (batch.label - hyper.extra["shift"])) ** 2
        valid = batch.valid.astype(jnp.float32)
        mean = jnp.sum(valid * output.value) / jnp.sum(valid).clip(1)
        spread = jnp.sum(valid * (output.value - mean) ** 2) / jnp.sum(valid).clip(1)
        return {"square": reduce(error, batch.valid), "spread": -spread}

    def validation(self, output, batch):
        right = (output.value > 0) == (batch.label == 1)
        kept = {"value": output.value, "label": batch.label}
        return {"accuracy": reduce(right.astype(jnp.float32), batch.valid), "auc": Collected(kept, batch.valid, auc_of)}

    def select(self, figures):
        return figures["auc"] - 0.1 * (1 - figures["accuracy"])

    def figures(self):
        return Layout(
            title="evaluation of half-spaces",
            intervals="none",
            sections=(
                Section(key="only", title="Halves", text="How well they are told apart.", notes=("AUC: a note.",)),
            ),
            figures=(
                FigureSpec(key="auc", label="ROC-AUC of halves", section="only", headline=True),
                FigureSpec(key="rank.*", label="mean rank, {}", section="only", better="lower", format=".2f"),
            ),
        )


class HalvesEvaluator:
    def __init__(self, inputs):
        self.inputs = inputs

    def evaluate(self):
        columns = self.inputs.run.task.columns(self.inputs.store, self.inputs.split)
        found = predict(self.inputs.run.task, self.inputs.run.model, columns)["value"]
        label = columns.values["label"]
        figure = lambda value: {"value": float(value), "ci95": None, "n": len(label)}
        self.inputs.progress("predictions")
        return {
            "n_examples": len(label),
            "auc": figure(roc_auc(found, label)),
            "rank": {"upper": figure(2.0), "lower": None},
            "baselines": {},
        }

    def draw(self, *, count, data, sheets, best_and_worst):
        return {}

    @staticmethod
    def targets(record, asked):
        return [of_figure("ROC-AUC of halves", record["auc"], ">", asked.auc)]

    @staticmethod
    def calibrated(run, workdir):
        return True

"""The evaluator of a task."""

from tipai_jax.evaluation.auditor import AuditorEvaluator
from tipai_jax.evaluation.evaluator import Evaluator
from tipai_jax.tasks.auditor import AuditorTask
from tipai_jax.tasks.task import Task

__all__ = ["EVALUATORS", "evaluator_of"]

EVALUATORS: dict[type, type[Evaluator]] = {AuditorTask: AuditorEvaluator}
"""The class of an evaluator for each class of tasks."""


def evaluator_of(task: Task) -> type[Evaluator]:
    """The class that evaluates runs of this task."""
    return EVALUATORS[type(task)]

"""The task of a config."""

from tipai_jax.config.auditor import AuditorConfig
from tipai_jax.config.schema import RunConfig
from tipai_jax.tasks.auditor import AuditorTask
from tipai_jax.tasks.task import Task

__all__ = ["TASKS", "make_task"]

TASKS: dict[type[RunConfig], type] = {AuditorConfig: AuditorTask}
"""The class of a task for each class of configs; a task is made from its config."""


def make_task(config: RunConfig) -> Task:
    """The task that a config describes."""
    return TASKS[type(config)](config)

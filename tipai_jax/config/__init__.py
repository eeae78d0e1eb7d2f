"""Every choice a run can make, as frozen dataclasses; from a config file, the command line or JSON to one of them.

These are the names that config files import. Standard library only, so that `--help` answers at once.
"""

import sys
from typing import Any

from tipai_jax.config.auditor import AuditorConfig, LossConfig, ModelConfig, TargetsConfig
from tipai_jax.config.schema import CheckpointConfig, DataConfig, LogConfig, OptimConfig, RunConfig
from tipai_jax.heads.inputs import InputFeatures
from tipai_jax.renamed import CLASSES

__all__ = [
    "AuditorConfig",
    "CheckpointConfig",
    "DataConfig",
    "InputFeatures",
    "LogConfig",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "TargetsConfig",
]


def __getattr__(name: str) -> Any:
    """A class by its old name, with a note."""
    if name not in CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    print(f"note: {name} of {__name__} is called {CLASSES[name]} now", file=sys.stderr)
    return globals().setdefault(name, globals()[CLASSES[name]])

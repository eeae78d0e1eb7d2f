"""Every choice a run can make, as frozen dataclasses; from a config file, the command line or JSON to one of them.

These are the names that config files import. Standard library only, so that `--help` answers at once.
"""

from tipai_jax.config.auditor import AuditorConfig, LossConfig, ModelConfig, TargetsConfig
from tipai_jax.config.schema import CheckpointConfig, DataConfig, LogConfig, OptimConfig, RunConfig
from tipai_jax.heads.inputs import InputFeatures

Config = AuditorConfig
"""The name of `AuditorConfig` before there were other tasks; understood until version 0.3."""

SeesConfig = InputFeatures
"""The old name of `InputFeatures`; understood until version 0.3."""

__all__ = [
    "AuditorConfig",
    "CheckpointConfig",
    "Config",
    "DataConfig",
    "InputFeatures",
    "LogConfig",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "SeesConfig",
    "TargetsConfig",
]

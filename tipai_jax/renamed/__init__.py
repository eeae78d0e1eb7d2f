"""Names of earlier versions that are still understood, with a note on stderr, and fields that are gone. All of them go
with version 0.3.
"""

from typing import Any

FIELDS: dict[str, dict[str, str]] = {
    "ModelConfig": {"global_sees": "global_inputs", "patch_sees": "patch_inputs", "reason_sees": "reason_inputs"},
    "TargetsConfig": {"global_pair_auc": "pair_auc", "blind_at_chance": "ablations_at_chance"},
}
"""Class of the config -> old name of a field -> present name."""

CLASSES = {"Config": "AuditorConfig", "SeesConfig": "InputFeatures"}
"""Old name of a class of `tipai_jax.config` -> present name."""

REMOVED: dict[str, dict[str, Any]] = {
    "ModelConfig": {"attention_width": 128, "saliency": "interpolate"},
    "InputFeatures": {"global_image": False, "position": False, "attention": False},
}
"""Class of the config -> field that is gone -> the value at which nothing was different without it."""

GONE = "is gone: tipai_jax 0.1.0 was the last that knew it; take that version, or leave it out and train again"
"""What is said of another value of such a field."""

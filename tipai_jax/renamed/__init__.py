"""Names of earlier versions that are still understood, with a note on stderr. All of them go with version 0.3."""

FIELDS: dict[str, dict[str, str]] = {
    "ModelConfig": {"global_sees": "global_inputs", "patch_sees": "patch_inputs", "reason_sees": "reason_inputs"},
    "TargetsConfig": {"global_pair_auc": "pair_auc", "blind_at_chance": "ablations_at_chance"},
}
"""Class of the config -> old name of a field -> present name."""

CLASSES = {"Config": "AuditorConfig", "SeesConfig": "InputFeatures"}
"""Old name of a class of `tipai_jax.config` -> present name."""

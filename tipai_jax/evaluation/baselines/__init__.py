"""What a user would try before training heads of this project, measured by the same figures on the same embeddings.

Each baseline gives `Predictions`: the frozen encoder's cosine, a closed-form ridge probe, and heads that read only
the prompt or only the image, which must stay at chance on pairs, or the data have a shortcut.
"""

from tipai_jax.evaluation.baselines.ablations import ABLATIONS, AblationHeads, fit_ablation
from tipai_jax.evaluation.baselines.ridge import RidgeProbe, ridge_probe
from tipai_jax.evaluation.baselines.zero_shot import zero_shot_cosine

__all__ = ["ABLATIONS", "AblationHeads", "RidgeProbe", "fit_ablation", "ridge_probe", "zero_shot_cosine"]

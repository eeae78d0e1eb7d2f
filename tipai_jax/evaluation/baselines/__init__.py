"""What a user would try before training heads of this project, measured by the same figures on the same embeddings.

The frozen encoder's cosines, a closed-form ridge probe, and heads that read only the prompt or only the image (which
must stay at chance on pairs, or the data have a shortcut) give `Predictions`. Two more are not even fitted to images,
and stand beside the few figures that they pass: a guess at the broken phrase from the kinds of phrases in the prompt,
and a map of where objects are.
"""

from tipai_jax.evaluation.baselines.ablations import ABLATIONS, AblationHeads, fit_ablation
from tipai_jax.evaluation.baselines.object_mask import object_mask
from tipai_jax.evaluation.baselines.phrase_rates import PhraseRates, phrase_rates
from tipai_jax.evaluation.baselines.ridge import RidgeProbe, ridge_probe
from tipai_jax.evaluation.baselines.zero_shot import zero_shot_cosine, zero_shot_phrases

__all__ = [
    "ABLATIONS",
    "AblationHeads",
    "PhraseRates",
    "RidgeProbe",
    "fit_ablation",
    "object_mask",
    "phrase_rates",
    "ridge_probe",
    "zero_shot_cosine",
    "zero_shot_phrases",
]

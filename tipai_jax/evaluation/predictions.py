"""The predictions of a scorer on pairs: the one form in which heads and baselines hand them to the evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["Predictions"]


@dataclass(frozen=True)
class Predictions:
    """Predictions on `b` pairs; index 0 is the chosen image, 1 the rejected one. What a scorer does not predict is
    None.

    Attributes:
        global_logit: logit of "the image keeps the prompt".
        patch_logit: logit of "this patch is faithful".
        risk: risk of a patch, 0 to 1, before it is enlarged.
        reason_logit: logit of "the image breaks the prompt in this category".
        phrase_logit: logit of "the image keeps this phrase", in the places of `PairTable.phrase_label`; what stands at
            a place without a phrase means nothing.
    """

    global_logit: Float[np.ndarray, "b 2"]
    patch_logit: Float[np.ndarray, "b 2 k"] | None = None
    risk: Float[np.ndarray, "b 2 k"] | None = None
    reason_logit: Float[np.ndarray, "b 2 c"] | None = None
    phrase_logit: Float[np.ndarray, "b 2 p"] | None = None

    @classmethod
    def from_heads(cls, arrays: Mapping[str, np.ndarray]) -> "Predictions":
        """From `tipai_jax.evaluation.inference.predict`, which names them as the heads do."""
        return cls(
            **{name: np.asarray(arrays[name], np.float32) for name in cls.__dataclass_fields__ if name in arrays}
        )

    def finite(self) -> Bool[np.ndarray, " b"]:
        """Whether every number that is predicted of a pair is finite."""
        every = (self.global_logit, self.patch_logit, self.risk, self.reason_logit, self.phrase_logit)
        parts = [part for part in every if part is not None]
        return np.all([np.isfinite(part).reshape(len(part), -1).all(axis=1) for part in parts], axis=0)

"""What a scorer says about pairs: the one shape in which heads and baselines hand their opinions to the evaluation.

It owns the shape and nothing else. A scorer that has no opinion on something leaves it None.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["Predictions"]


@dataclass(frozen=True)
class Predictions:
    """Opinions on `b` pairs; index 0 is the chosen image, 1 the rejected one.

    `score`: logit of "the image keeps the prompt". `patch`: logit of "this patch is faithful". `risk`: risk of a patch,
    0 to 1, before it is enlarged. `reason`: logit of "the image breaks the prompt in this category".
    """

    score: Float[np.ndarray, "b 2"]
    patch: Float[np.ndarray, "b 2 k"] | None = None
    risk: Float[np.ndarray, "b 2 k"] | None = None
    reason: Float[np.ndarray, "b 2 c"] | None = None

    @classmethod
    def from_mapping(cls, arrays: Mapping[str, np.ndarray]) -> "Predictions":
        """From `tipai_jax.predict.predict`, which names them as the heads do."""
        return cls(
            score=np.asarray(arrays["global_logit"], np.float32),
            patch=np.asarray(arrays["patch_logit"], np.float32),
            risk=np.asarray(arrays["risk"], np.float32),
            reason=np.asarray(arrays["reason_logit"], np.float32),
        )

"""The ridge probe: the best linear reading of `[t, v, t * v]`, in closed form.

It is what a user would try in an afternoon instead of training heads, on the very same embeddings.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tipai_jax.evaluation.baselines.embeddings import pair_embeddings
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.metrics import pair_auc, roc_auc
from tipai_jax.store import PairTable, Store

__all__ = ["PENALTIES", "Probe", "fit_probe", "fit_ridge", "ridge_probe"]

#: Penalties tried, as shares of the mean variance of a feature times the number of examples.
PENALTIES = tuple(10.0**power for power in (-5, -4, -3, -2, -1, 0, 1))


@dataclass(frozen=True)
class Probe:
    """`w_text . t + w_image . v + w_product . (t * v) + bias`, one column a target."""

    text: Float[np.ndarray, "d m"]
    image: Float[np.ndarray, "d m"]
    product: Float[np.ndarray, "d m"]
    bias: Float[np.ndarray, " m"]

    def __call__(self, text: Float[np.ndarray, "b d"], image: Float[np.ndarray, "b n d"]) -> Float[np.ndarray, "b n m"]:
        """Values for each of `n` embeddings against its prompt; nothing of size 3d is ever built."""
        mixed = self.image[None] + self.product[None] * text[:, :, None]
        return np.matmul(image, mixed) + (text @ self.text + self.bias)[:, None, :]


def fit_ridge(
    features: Float[np.ndarray, "n f"], targets: Float[np.ndarray, "n m"]
) -> list[tuple[Float[np.ndarray, "f m"], Float[np.ndarray, " m"]]]:
    """Ridge regression with a free intercept, for every penalty of `PENALTIES` from one eigendecomposition.

    Args:
        features: one row an example.
        targets: one column a target.

    Returns:
        `(weights, intercepts)` for each penalty, in order.
    """
    middle, level = features.mean(axis=0, dtype=np.float64), targets.mean(axis=0, dtype=np.float64)
    centred = features - middle.astype(features.dtype)
    gram = (centred.T @ centred).astype(np.float64)
    right = (centred.T @ (targets - level).astype(features.dtype)).astype(np.float64)
    values, vectors = np.linalg.eigh(gram)
    unit = max(float(values.clip(0).mean()), 1e-12)
    turned = vectors.T @ right
    fits = []
    for penalty in PENALTIES:
        weights = vectors @ (turned / (values.clip(0) + penalty * unit)[:, None])
        fits.append((weights, level - middle @ weights))
    return fits


def fit_probe(
    text: Float[np.ndarray, "n d"],
    image: Float[np.ndarray, "n d"],
    targets: Float[np.ndarray, "n m"],
    *,
    quality: Callable[[Probe], list[float]],
) -> tuple[Probe, list[float]]:
    """The probe whose every target has the penalty that is best on validation.

    Args:
        text: the prompt of each example.
        image: its image or patch.
        targets: one column a target.
        quality: of a probe on validation, one number a target, higher is better.

    Returns:
        The probe, and the penalty of each target.
    """
    d = text.shape[1]
    probes = [
        Probe(
            *(weights[part * d : (part + 1) * d].astype(np.float32) for part in range(3)), bias=bias.astype(np.float32)
        )
        for weights, bias in fit_ridge(np.concatenate([text, image, text * image], axis=1), targets)
    ]
    scores = np.nan_to_num(np.array([quality(probe) for probe in probes]), nan=-1.0)
    best = scores.argmax(axis=0)
    pick = lambda name: np.stack([getattr(probes[b], name)[..., m] for m, b in enumerate(best)], axis=-1)
    return Probe(pick("text"), pick("image"), pick("product"), pick("bias")), [PENALTIES[b] for b in best]


def ridge_probe(
    store: Store, *, train: PairTable, validation: PairTable, seed: int, patch_rows: int = 24_000
) -> "RidgeProbe":
    """Fit both probes: one on whole images (faithful, and the five categories), one on patches.

    Args:
        store: holds the embeddings.
        train: the pairs to fit on; controls are left out.
        validation: the pairs on which penalties are chosen (pair AUC for the score, ROC-AUC for the rest).
        seed: of the sample of patches.
        patch_rows: how many patches are fitted on at most, half of them unfaithful.

    Returns:
        The fitted baseline, to be called on pairs.
    """
    train, validation = (pairs.select(~pairs.control) for pairs in (train, validation))
    text, images = _read(store, train)
    n = len(text)
    targets = np.zeros((n, 2, 1 + train.category.shape[1]), np.float32)
    targets[:, 0, 0] = 1.0
    targets[:, 1, 1:] = train.category == 1
    held_text, held_images = _read(store, validation)

    def quality(probe: Probe) -> list[float]:
        scores = probe(held_text, held_images)
        broken = np.concatenate([np.zeros_like(validation.category), validation.category == 1])
        flat = np.concatenate([scores[:, 0], scores[:, 1]])
        return [
            float(pair_auc(scores[:, 0, 0], scores[:, 1, 0])),
            *(float(roc_auc(flat[:, 1 + c], broken[:, c])) for c in range(broken.shape[1])),
        ]

    whole, _ = fit_probe(
        np.repeat(text, 2, axis=0), images.reshape(2 * n, -1), targets.reshape(2 * n, -1), quality=quality
    )
    return RidgeProbe(whole, _patch_probe(store, train, validation, seed=seed, most=patch_rows))


@dataclass(frozen=True)
class RidgeProbe:
    """The fitted baseline; `patch` is None where no training patch is known to be unfaithful."""

    whole: Probe
    patch: Probe | None

    def __call__(self, store: Store, pairs: PairTable) -> Predictions:
        """Predictions for pairs; the scores are regression values, so only their order and calibrated form
        mean anything."""
        wholes, parts = [], []
        for text, images, patches in pair_embeddings(store, pairs):
            wholes.append(self.whole(text, images))
            if self.patch is not None:
                b, two, k, d = patches.shape
                parts.append(self.patch(text, patches.reshape(b, two * k, d)).reshape(b, two, k))
        values = np.concatenate(wholes)
        patch = np.concatenate(parts) if parts else None
        return Predictions(
            global_logit=values[..., 0],
            patch_logit=patch,
            risk=None if patch is None else (1.0 - patch).clip(0.0, 1.0),
            reason_logit=values[..., 1:],
        )


def _read(store: Store, pairs: PairTable) -> tuple[np.ndarray, np.ndarray]:
    """Prompts f32[b, d] and both images f32[b, 2, d] of pairs."""
    both = np.stack([pairs.chosen, pairs.rejected], axis=1)
    return store.text.take(pairs.prompt).astype(np.float32), store.image.take(both).astype(np.float32)


def _patch_probe(store: Store, train: PairTable, validation: PairTable, *, seed: int, most: int) -> Probe | None:
    """The probe on patches of rejected and chosen images, from a sample with as many unfaithful as faithful ones."""
    rng = np.random.default_rng((seed, 0x71D6E))

    def sample(pairs: PairTable, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        places = [np.argwhere(pairs.patch_label == label) for label in (0, 1)]
        size = min(most // 2, *(len(part) for part in places))
        if size == 0:
            return None
        pair, side, cell = np.concatenate([rng.permutation(part)[:size] for part in places]).T
        order = np.argsort(pair, kind="stable")
        pair, side, cell = pair[order], side[order], cell[order]
        label = pairs.patch_label[pair, side, cell].astype(np.float32)
        images = np.where(side == 0, pairs.chosen[pair], pairs.rejected[pair])
        parts = [
            store.patches.take(images[at : at + 4096])[np.arange(len(images[at : at + 4096])), cell[at : at + 4096]]
            for at in range(0, len(images), 4096)
        ]
        return store.text.take(pairs.prompt[pair]).astype(np.float32), np.concatenate(parts).astype(np.float32), label

    fitted, held = sample(train, most), sample(validation, most // 4)
    if fitted is None or held is None:
        return None
    quality = lambda probe: [float(roc_auc(probe(held[0], held[1][:, None])[:, 0, 0], held[2].astype(np.int8)))]
    return fit_probe(fitted[0], fitted[1], fitted[2][:, None], quality=quality)[0]

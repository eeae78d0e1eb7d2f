import jax.numpy as jnp
import numpy as np
import pytest

from tipai_jax.losses import reduce
from tipai_jax.metrics import pair_wins


@pytest.mark.parametrize("batch", [7, 16, 64])
def test_the_same_metric_at_any_batch_size(batch):
    rng = np.random.default_rng(0)
    chosen, rejected = np.round(rng.normal(size=(2, 100)), 1).astype(np.float32)
    weight = (rng.random(100) > 0.2).astype(np.float32)
    whole = pair_wins(chosen, rejected)
    merged = None
    for start in range(0, 100, batch):
        part = slice(start, start + batch)
        sums = reduce(pair_wins(jnp.asarray(chosen[part]), jnp.asarray(rejected[part])), jnp.asarray(weight[part]))
        merged = sums if merged is None else merged.merge(sums)
    assert float(merged.mean) == pytest.approx((whole * weight).sum() / weight.sum(), rel=1e-6)


def test_dividing_each_batch_first_would_be_wrong():
    uneven = [reduce(jnp.array([1.0, 1.0, 1.0]), jnp.ones(3)), reduce(jnp.array([0.0]), jnp.ones(1))]
    assert float(uneven[0].merge(uneven[1]).mean) == 0.75

"""A hard-negative caption is broken by its scene, in one way; the judge is that of the world's own tests."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from precompute.tiny_clip.negatives import negatives
from precompute.world.square import CATEGORIES, sample

spec = importlib.util.spec_from_file_location("judge", Path(__file__).parents[1] / "world" / "test_square.py")
judge = importlib.util.module_from_spec(spec)
spec.loader.exec_module(judge)


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_is_broken_by_its_scene(category):
    rng = np.random.default_rng(1)
    for _ in range(25):
        square = sample(rng, category=category, difficulty="medium", banned=frozenset())
        for claim, scene in zip(square.claims, square.scenes):
            made = negatives(rng, claim, scene, number=3)
            assert len(made) == 3
            for wrong in made:
                assert wrong.text() != claim.text()
                assert judge.broken(wrong, scene), (claim.text(), wrong.text())

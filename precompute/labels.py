"""The names of splits and difficulties, in their order; those of the categories are `tipai_jax.store`'s."""

__all__ = ["DIFFICULTIES", "SPLITS"]

SPLITS = ("train", "validation", "test")
DIFFICULTIES = ("easy", "medium", "hard")

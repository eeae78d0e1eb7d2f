"""Training of the default encoder: the architecture of a small CLIP, its batches, losses and evaluation.

`scripts/train_tiny_clip.py` uses it; the trained encoder in `precompute/assets/tiny_clip` is read like any other CLIP.
"""

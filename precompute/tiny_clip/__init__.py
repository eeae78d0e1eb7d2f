"""The default encoder in the making: the shape of a small CLIP, the batches it is trained on, its losses and its
examination.

`scripts/train_tiny_clip.py` trains with it; the finished encoder in `precompute/assets/tiny_clip` is read like any
other CLIP.
"""

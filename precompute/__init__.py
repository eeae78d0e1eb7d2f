"""Everything that runs before a store exists, in PyTorch.

It imports no jax, and of `tipai_jax` only `errors`, `hub`, `store` and `render`.
"""

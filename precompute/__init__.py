"""PyTorch: everything that runs before a store exists. Imports nothing of jax, and of `tipai_jax` only the store and
the error line.
"""

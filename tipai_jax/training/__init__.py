"""The training loop and all that a run writes; it trains any task (`tipai_jax.tasks.task`)."""

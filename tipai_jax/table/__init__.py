"""The old name of the command `python -m tipai_jax.report.tables`."""

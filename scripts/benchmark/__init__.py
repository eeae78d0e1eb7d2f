"""The benchmark's parts: what is measured, what it is measured against, and how it is told. `scripts/bench.py` puts
them together.
"""

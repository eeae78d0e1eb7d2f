"""The benchmark's parts: what is measured, what it is measured against, and how it is reported. `scripts/bench.py` puts
them together.
"""

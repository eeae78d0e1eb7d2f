"""What a head sees when nothing else is asked for: the plan, text and image (for the patch head: text and patch).

The choice itself is `tipai_jax/sees.py`, which a config can import without jax.
"""

from tipai_jax.sees import Sees

__all__ = ["PLAN", "Sees"]

PLAN = Sees()

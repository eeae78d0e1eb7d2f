"""The demo from a checkout: python scripts/demo.py [--auditor RUN] ...; the same as python -m tipai_jax.demo."""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: modules are found in the repository, not in this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tipai_jax.demo.__main__ import console

if __name__ == "__main__":
    raise SystemExit(console())

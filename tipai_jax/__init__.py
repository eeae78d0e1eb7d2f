"""An auditor of text-to-image faithfulness: how well an image keeps its prompt, where it fails, and why.

Importing this package costs nothing: `Auditor` is loaded when it is first asked for, and the packages below it are
imported by name.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tipai_jax.auditor.api import Auditor

__all__ = ["Auditor", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Auditor":
        from tipai_jax.auditor.api import Auditor

        return Auditor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

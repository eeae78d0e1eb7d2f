"""An auditor of text-to-image faithfulness: how well an image keeps its prompt, where it fails, and why.

Importing this package costs nothing: the rooms (`store`, `heads`, `losses`, `metrics`, ...) are imported by name.
"""

__version__ = "0.1.0"

"""Re-hashing a whole store, because neither memory maps nor checkpoints notice a flipped bit.

Owns the comparison with the manifest. Knows nothing of what the files mean.
"""

from pathlib import Path

from tipai_jax.errors import UserError
from tipai_jax.store.durable import sha256_file
from tipai_jax.store.manifest import Manifest
from tipai_jax.store.reader import open_store

__all__ = ["verify"]


def verify(path: str | Path) -> Manifest:
    """Read every file of a store and compare its hash with the manifest.

    Returns:
        The manifest, whose own digest holds too.

    Raises:
        UserError: naming the first file that differs.
    """
    store = open_store(path)
    for shard in store.manifest.shards:
        for name, entry in sorted(shard.files.items()):
            if sha256_file(store.path / name) != entry["sha256"]:
                raise UserError(f"{store.path / name}: the content differs from what was written (sha256); delete the store and embed again")
    return store.manifest

"""The mesh over the local devices and the placements on it: a copy on each, or the batch cut between them.

Owns the one axis, "data". Losses are written on the global batch, so nothing else needs to know of devices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tipai_jax.errors import UserError

__all__ = ["Placement", "local_placement"]


@dataclass(frozen=True)
class Placement:
    """Where arrays go: whole on every device (`copied`), or the batch cut between them."""

    mesh: Mesh
    copied: NamedSharding

    @property
    def devices(self) -> int:
        """Number of devices."""
        return self.mesh.size

    def copy(self, tree: Any) -> Any:
        """Every leaf on every device. Host arrays must not be written to afterwards."""
        return jax.device_put(tree, self.copied)

    def cut_batch(self, tree: Any, *, axis: int = 1) -> Any:
        """Every leaf, such as [steps, b, ...], cut along the axis of the batch. Host arrays must not be written to afterwards."""
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec(*(None,) * axis, "data")))

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that the devices cannot share evenly.

        Raises:
            UserError: with the batch sizes on either side that would do.
        """
        if batch_size % self.devices:
            below = batch_size // self.devices * self.devices
            near = " or ".join(str(size) for size in (below, below + self.devices) if size)
            raise UserError(f"data.batch_size is {batch_size}, which {self.devices} devices cannot share evenly; take {near}")


def local_placement(devices: Sequence[jax.Device] | None = None) -> Placement:
    """The placement over the given devices, by default every local one."""
    chosen = np.asarray(jax.local_devices() if devices is None else devices)
    mesh = Mesh(chosen, ("data",), axis_types=(AxisType.Auto,))
    return Placement(mesh, NamedSharding(mesh, PartitionSpec()))

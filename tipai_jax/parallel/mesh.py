"""The mesh over the devices of all processes and the placements on it: replicated, or the batch sharded.

There is one axis, "data". Losses are written on the global batch, so nothing else needs to know of devices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tipai_jax.errors import UserError

__all__ = ["Placement", "make_placement"]


@dataclass(frozen=True)
class Placement:
    """Where arrays go: whole on every device (`replicated`), or the batch sharded over them."""

    mesh: Mesh
    replicated: NamedSharding

    @property
    def devices(self) -> int:
        """Number of devices."""
        return self.mesh.size

    def replicate(self, tree: Any) -> Any:
        """Every leaf on every device. Host arrays must not be written to afterwards, and are the same in
        every process.
        """
        return self._put(tree, self.replicated)

    def shard_batch(self, tree: Any, *, axis: int = 1, own: bool = False) -> Any:
        """Every leaf, such as [steps, b, ...], sharded along the axis of the batch. Host arrays must not be written to
        afterwards.

        Args:
            tree: numpy arrays.
            axis: of the batch.
            own: the arrays hold only this process's share (`share`), not the whole batch.
        """
        sharding = NamedSharding(self.mesh, PartitionSpec(*(None,) * axis, "data"))
        if own and jax.process_count() > 1:
            whole = lambda leaf: (*leaf.shape[:axis], leaf.shape[axis] * jax.process_count(), *leaf.shape[axis + 1 :])
            with jax.transfer_guard("allow"):  # meant, but jax counts it as implicit
                return jax.tree.map(
                    lambda leaf: jax.make_array_from_process_local_data(sharding, leaf, whole(leaf)), tree
                )
        return self._put(tree, sharding)

    def share(self, batch_size: int) -> slice:
        """The places in a batch that the devices of this process hold."""
        each = batch_size // jax.process_count()
        return slice(jax.process_index() * each, (jax.process_index() + 1) * each)

    def _put(self, tree: Any, sharding: NamedSharding) -> Any:
        if jax.process_count() == 1:
            return jax.device_put(tree, sharding)

        def place(leaf: Any) -> jax.Array:
            if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
                return leaf  # it is where it should be
            host = np.asarray(leaf)
            return jax.make_array_from_callback(host.shape, sharding, lambda place: np.asarray(host[place]))

        with jax.transfer_guard("allow"):  # meant, but jax counts it as implicit
            return jax.tree.map(place, tree)

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that the devices cannot share evenly.

        Raises:
            UserError: with the batch sizes on either side that would do.
        """
        if batch_size % self.devices:
            below = batch_size // self.devices * self.devices
            near = " or ".join(str(size) for size in (below, below + self.devices) if size)
            raise UserError(
                f"data.batch_size is {batch_size}, which {self.devices} devices cannot share evenly; take {near}"
            )


def make_placement(devices: Sequence[Any] | None = None) -> Placement:
    """The placement over the given devices, by default every one of every process."""
    chosen = np.asarray(jax.devices() if devices is None else devices)
    mesh = Mesh(chosen, ("data",), axis_types=(AxisType.Auto,))
    return Placement(mesh, NamedSharding(mesh, PartitionSpec()))

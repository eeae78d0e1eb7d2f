"""Many processes as one run: found by SLURM or by plain environment variables, and agreeing on what they do.

A process alone costs nothing. All processes see the same workdir and store; the first one writes, Orbax saves from
all.

    JAX_COORDINATOR_ADDRESS=host:port JAX_NUM_PROCESSES=2 JAX_PROCESS_ID=0 python -m tipai_jax.train ...
    srun --ntasks=2 python -m tipai_jax.train ...
"""

from collections.abc import Mapping

import jax

from tipai_jax.errors import UserError

__all__ = ["agreed", "first", "start", "wait"]

PLAIN = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def start(environment: Mapping[str, str]) -> None:
    """Join the other processes of this run, if the environment names any; to be called before a device is touched.

    Raises:
        UserError: the variables are not whole, or make no sense.
    """
    given = {name: environment[name] for name in PLAIN if environment.get(name)}
    if not given:
        if int(environment.get("SLURM_STEP_NUM_TASKS") or 1) > 1:  # of this srun, not of the allocation that it runs in
            _use_gloo()
            jax.distributed.initialize()
        return
    try:
        count, number = int(given["JAX_NUM_PROCESSES"]), int(given["JAX_PROCESS_ID"])
        if not (0 <= number < count and ":" in given["JAX_COORDINATOR_ADDRESS"]):
            raise ValueError
    except (KeyError, ValueError):
        shown = ", ".join(f"{name}={value}" for name, value in given.items())
        raise UserError(
            f"{shown}: a run of many processes needs {', '.join(PLAIN)}, such as host:1234, 2 and 0"
        ) from None
    if count > 1:
        _use_gloo()
        address = given["JAX_COORDINATOR_ADDRESS"]
        jax.distributed.initialize(coordinator_address=address, num_processes=count, process_id=number)


def _use_gloo() -> None:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")


def first() -> bool:
    """Whether this process is the one that writes and talks."""
    return jax.process_index() == 0


def agreed(flag: bool) -> bool:
    """Whether the flag is up in any process; every one has to ask at the same point."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(flag).any())


def wait(where: str) -> None:
    """Until every process is here; `where` names the point, the same in all of them."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(where)

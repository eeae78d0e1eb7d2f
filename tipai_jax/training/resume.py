"""The resume rule: a run goes on from its last checkpoint only where it would have gone without the interruption.

The same command is enough, for everything that a step depends on is known from the seal of the checkpoint: the config
and the store must be those of the seal (`config.schema.FREE_FIELDS` may change), and which examples a step holds is a
pure function of seed and step (`data.curriculum`). So a resumed run ends bit for bit as one that was never interrupted.
"""

from tipai_jax.config.records import differences, from_json
from tipai_jax.config.schema import RunConfig
from tipai_jax.errors import UserError
from tipai_jax.store import Store
from tipai_jax.training.checkpoint import Seal

__all__ = ["check_same_run"]


def check_same_run(last: Seal, config: RunConfig, store: Store) -> None:
    """Refuse to go on with another config or another store.

    Raises:
        UserError: with every field that differs.
    """
    changed = differences(from_json(last.record["config"]), config)
    if last.record["store"]["digest"] != store.manifest.digest:
        changed.append(f"store digest: {last.record['store']['digest'][:12]} -> {store.manifest.digest[:12]}")
    if changed:
        raise UserError(
            f"{config.workdir}: holds a run of another config ({'; '.join(changed)}); give that config to go on with"
            " it, or another --workdir"
        )

"""A model's folder from a hub id: what is on this machine is found without the network, and without a network the
answer comes within seconds.
"""

from collections.abc import Callable
from pathlib import Path

from tipai_jax.errors import UserError, first_line

__all__ = ["hub_folder", "is_hub_id", "no_such_folder"]

_CONNECT_SECONDS = 5.0


def is_hub_id(name: str) -> bool:
    """Whether a name is taken for a hub id: `OWNER/NAME`, where no folder OWNER stands here; else a folder was meant,
    and nobody else's model is asked for.
    """
    return _looks_so(name) and not Path(name).parent.exists()


def no_such_folder(name: str) -> str:
    """What is wrong with a name that is neither a folder nor taken for a hub id."""
    return (
        f"no such folder (a folder {name.split('/')[0]} stands here, so no hub id is meant)"
        if _looks_so(name)
        else "no such folder"
    )


def _looks_so(name: str) -> bool:
    return (
        name.count("/") == 1
        and not name.startswith((".", "/", "~"))
        and all(0 < len(part) <= 96 for part in name.split("/"))
    )


def hub_folder(
    name: str,
    *,
    kind: str,
    find: Callable[[], Path],
    whole: Callable[[Path], bool],
    fetch: Callable[[], Path],
    hint: str,
) -> Path:
    """The folder of a model that is on disk or can be fetched.

    Args:
        name: the hub id.
        kind: what it is, for messages.
        find: gives the folder on disk; raises OSError or ValueError where there is none.
        whole: whether everything needed is in it.
        fetch: downloads what is missing and gives the folder.
        hint: how to go on without a network.

    Raises:
        UserError: it is nowhere to be had.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = find()
        if whole(folder):
            return folder
    except (LocalEntryNotFoundError, ValueError, OSError):
        pass
    if HF_HUB_OFFLINE:
        raise UserError(f"{kind} {name}: not on this machine, and HF_HUB_OFFLINE forbids fetching it; {hint}")
    try:
        HfApi().model_info(
            name, timeout=_CONNECT_SECONDS
        )  # one request: a hub that cannot be reached is noticed at once
        return fetch()
    except Exception as error:  # whatever the client raises, the user can only do one thing about it
        raise UserError(
            f"{kind} {name}: not on this machine and not to be fetched ({first_line(error)}); {hint}"
        ) from None

"""One process at a time in a folder: a lock that the system takes back when its holder ends, however it ends."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from tipai_jax.errors import UserError

__all__ = ["alone_in"]


@contextlib.contextmanager
def alone_in(folder: Path, *, what: str, doing: str, option: str) -> Iterator[None]:
    """Hold the lock on a folder, which is made if need be.

    Args:
        folder: the file `.lock` in it is held.
        what: the folder in words, such as "the folder of a run".
        doing: what a holder does, such as "training".
        option: by which another folder can be chosen.

    Raises:
        UserError: another process holds it, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{folder}: cannot be used as {what} ({error.strerror}); choose another {option}") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another process is {doing} here; wait for it, or choose another {option}"
            ) from None
        except OSError as error:  # a file system without locks
            raise UserError(f"{folder}: cannot be locked ({error.strerror}); choose another {option}") from None
        yield

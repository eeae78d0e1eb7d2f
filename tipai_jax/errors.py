"""The one way in which a mistake of the user reaches the user: a line on stderr and exit code 2.

Every room may import this file, so it imports nothing but the standard library. It owns the exception and the
wrapper around a command's `main`; it knows nothing of what the commands do.
"""

import sys
from collections.abc import Callable

__all__ = ["UserError", "run_main"]


class UserError(Exception):
    """Something the user can mend. The message is one line: what, where, what was expected, how to go on."""


def run_main(main: Callable[[], int | None]) -> int:
    """Run a command and turn its end into an exit code.

    Args:
        main: the command; returns its exit code, or None for 0.

    Returns:
        The exit code of `main`; 2 after a `UserError`, whose message is printed as `error: ...` on stderr; 130 after
        an interrupt from the keyboard. Any other exception is a defect of ours and keeps its traceback.
    """
    try:
        return main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130

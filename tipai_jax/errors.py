"""The one way in which a mistake of the user reaches the user: a line on stderr and exit code 2.

Everything may import this file, so it imports nothing but the standard library.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["Parser", "UserError", "first_line", "run_main", "whole_number"]


class UserError(Exception):
    """Something the user can mend. The message is one line: what, where, what was expected, how to go on."""


def first_line(error: Exception) -> str:
    """What another library's exception says, for a message of one line.

    Returns:
        The first line of its message, 200 characters of it at most; the name of its class where the message is empty.
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


class Parser(argparse.ArgumentParser):
    """A command line of which every mistake is a `UserError`, and whose options are written out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse complains of: `--option value: what was expected`."""
        raise UserError(
            f"{re.sub(r'^argument (.+?): ', lambda found: f'{found[1]} ', message)} (see {self.prog} --help)"
        )


def whole_number(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `least`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text}: expected a whole number from {least}")
        return int(text)

    return read


def run_main(main: Callable[[], int | None]) -> int:
    """Run a command and turn its end into an exit code.

    Args:
        main: the command; returns its exit code, or None for 0.

    Returns:
        The exit code of `main`; 2 after a `UserError`, whose message is printed as `error: ...` on stderr; 130 after
        an interrupt from the keyboard; 141 where the reader of our output has gone (`... | head`). Any other exception
        is a defect of ours and keeps its traceback.
    """
    try:
        code = main() or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to say at the exit
        return 141
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130

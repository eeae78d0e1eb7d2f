"""SIGINT and SIGTERM as a flag that the loop looks at where it can stop well.

The second signal is no longer caught, for those who cannot wait.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupt"]

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Context in which a first SIGINT or SIGTERM only sets `signal`. Outside the main thread it catches nothing."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._catch) for each in CAUGHT}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell reports it; 0 if there was none."""
        return 0 if self.signal is None else 128 + self.signal

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before = {}

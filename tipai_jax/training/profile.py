"""A profile of some steps on demand (`--profile 10:20`): a trace that TensorBoard and Perfetto open.

A dispatch holds many steps, so the window is widened to whole dispatches; it ends when the device is done with the
last of them.
"""

from pathlib import Path

import jax

__all__ = ["Trace"]


class Trace:
    """The profiler around a window of steps.

    Args:
        workdir: the trace goes into its folder `profile`.
        window: "FIRST:LAST", steps counted from 0, or None for no trace.
    """

    def __init__(self, workdir: Path, window: str | None) -> None:
        self.folder = workdir / "profile"
        self._first, self._last = (int(end) for end in window.split(":")) if window else (-1, -1)
        self._running = False

    def before(self, step: int, count: int) -> None:
        """Called before the steps from `step` on are dispatched."""
        if not self._running and step <= self._first < step + count:
            jax.profiler.start_trace(self.folder, create_perfetto_trace=True)
            self._running = True

    def over(self, step: int) -> bool:
        """Whether the window ends with the steps before `step`; wait for the device, then `close`."""
        return self._running and step > self._last

    def close(self) -> str:
        """End the trace, if it runs; returns what to tell the person who watches, "" if there is nothing to tell."""
        if not self._running:
            return ""
        self._running, self._first = False, -1
        jax.profiler.stop_trace()
        return (
            f"profile: {self.folder}, for TensorBoard (--logdir {self.folder}) or, the file perfetto_trace.json.gz in"
            " it, for ui.perfetto.dev"
        )

"""A running demo for tests: the real server in a process of its own, which may connect to nothing but this machine."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

GUARDED = """
import gc, runpy, signal, socket, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # the background jobs of a shell are started without it

def guard(name):
    plain = getattr(socket.socket, name)
    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            print("OUTSIDE", address, file=sys.stderr, flush=True)
            raise OSError("blocked")
        return plain(self, address)
    setattr(socket.socket, name, guarded)

COUNTED = ("SessionState", "ScoredImage", "ProcessCompletedMessage")

def count(*_):
    gc.collect()
    names = [type(each).__name__ for each in gc.get_objects()]
    print("COUNT", *(f"{name}={names.count(name)}" for name in COUNTED), flush=True)

guard("connect"), guard("connect_ex")
signal.signal(signal.SIGUSR1, count)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Server:
    """A running demo.

    Attributes:
        url: its address.
        temporary: the folder for temporary files that it was given.
        process: its process.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.temporary, self._out, self._err = folder / "tmp", folder / "out.txt", folder / "err.txt"
        self.temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT)}
        environment |= {"JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-c", GUARDED, str(ROOT / "scripts/demo.py"), "--port", "0", *arguments]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=err)
        self.url = self._wait_for(r"^open (http://127\.0\.0\.1:\d+)")[-1]

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self._out.read_text() + self._err.read_text()

    def counts(self) -> dict[str, int]:
        """How many objects of each class in `COUNTED` above it holds in memory now."""
        before = self.output.count("COUNT ")
        self.process.send_signal(signal.SIGUSR1)
        line = self._wait_for(r"^COUNT (.+)\n", more_than=before)[-1]
        return {name: int(number) for name, number in (pair.split("=") for pair in line.split())}

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Interrupt it, as Ctrl-C does; returns its exit status. One that does not end is killed and fails the test."""
        self.process.send_signal(how)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()

    def _wait_for(self, pattern: str, *, more_than: int = 0) -> list[str]:
        """Wait until lines that it printed match a pattern more often than so many times; returns the matches."""
        for _ in range(1200):
            if len(found := re.findall(pattern, self.output, re.M)) > more_than:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"it never printed {pattern}: {self.output}")

"""A whole run in a process of its own: how long `fit` takes, and the most memory that the process held.

python -m scripts.benchmark.whole STORE WORKDIR --placement streaming --epochs 3
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.shapes import Shape

__all__ = ["Whole", "run_whole"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Whole:
    """A run of a few epochs.

    Attributes:
        start: seconds of everything but the further epochs, from the opening of the store to the last checkpoint,
            compilation included.
        epoch: seconds of each further epoch: of validation, log and checkpoint as well.
        resident: bytes of memory held at most, the system's cache of the store's files not counted (what the kernel
            calls RssAnon).
    """

    start: float
    epoch: float
    resident: int

    def projected(self, epochs: int) -> float:
        """Seconds of a run of so many epochs."""
        return self.start + self.epoch * (epochs - 1)


def run_whole(store: Path, workdir: Path, shape: Shape, *, placement: str, epochs: int = 3) -> Whole:
    """Run it in a fresh process, so that nothing else is in its memory."""
    command = [sys.executable, "-m", "scripts.benchmark.whole", str(store), str(workdir), "--placement", placement]
    sizes = ["--epochs", str(epochs), "--batch", str(shape.batch), "--pairs", str(shape.pairs)]
    done = subprocess.run([*command, *sizes], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return Whole(**json.loads(done.stdout.splitlines()[-1]))


class _Memory(threading.Thread):
    """Reads this process's memory ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0

    def read(self) -> None:
        lines = Path("/proc/self/status").read_text().splitlines()
        self.most = max(self.most, next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")))

    def run(self) -> None:
        while True:
            self.read()
            time.sleep(0.1)


def main() -> None:
    """Run, and print the answer as the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--placement", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--pairs", type=int, required=True)
    args = parser.parse_args()

    from scripts.benchmark.ours import config_of, seconds_at

    memory = _Memory()
    memory.start()
    began = time.perf_counter()
    config = config_of(Shape(batch=args.batch), args.store, args.workdir, placement=args.placement, epochs=args.epochs)
    at = seconds_at(config, every=-(-args.pairs // args.batch))
    took = time.perf_counter() - began
    memory.read()
    epoch = (at[-1] - at[0]) / (args.epochs - 1)
    print(json.dumps({"start": took - epoch * (args.epochs - 1), "epoch": epoch, "resident": memory.most}))


if __name__ == "__main__":
    main()

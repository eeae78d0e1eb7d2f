"""Train the default encoder: a small CLIP, trained on the small world and nothing else.

    python scripts/train_tiny_clip.py --minutes 60 --out runs/tiny_clip/encoder

Scenes are freshly drawn, never read from disk. Interrupted, the same command goes on from `WORKDIR/last.pt`. The card
in the folder names the command that makes exactly its weights; it has to run with the same torch, on a processor of the
same family, while the numbers of threads and of loaders make no difference.
"""

import argparse
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from precompute.compute import check_device
from precompute.encoders.dtypes import fast_dtype
from precompute.tiny_clip.card import export
from precompute.tiny_clip.examples import Batches
from precompute.tiny_clip.training import Training
from tipai_jax.errors import Parser, run_main, whole_number

STEPS, EVERY, KEPT = 10_000, 50, 250
TIMED = (10, 60)
"""With --minutes, the time between these steps of the run decides how many there are; they lie in the warm-up."""
SMOKE = {"steps": 3, "batch": 8, "examine": 2, "loaders": 0}


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Collects the signals to stop that come within the block, so that no step is left half done."""
    got: list[int] = []
    before = {name: signal.signal(name, lambda name, _: got.append(name)) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def ignore_interrupts(_worker: int) -> None:
    """A key that is pressed goes to the workers as well; they end with the process that they draw for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def batches(args: argparse.Namespace, steps: range) -> torch.utils.data.DataLoader:
    """The batches of some steps in their order, drawn ahead by worker processes."""
    ahead = {"prefetch_factor": 4, "multiprocessing_context": "spawn"} if args.loaders else {}
    return torch.utils.data.DataLoader(
        Batches(seed=args.seed, size=args.batch),
        batch_size=None,
        sampler=steps,
        num_workers=args.loaders,
        worker_init_fn=ignore_interrupts,
        **ahead,
    )


def train(args: argparse.Namespace, training: Training) -> None:
    """Train up to the last step.

    Raises:
        KeyboardInterrupt: it was asked to stop; what was done is on disk.
    """
    file, recipe = args.workdir / "last.pt", training.recipe
    first, drawing, times = training.step, 0.0, [time.monotonic()]
    with interrupts() as stop:
        for batch in batches(args, range(first, recipe.get("steps", 10**9))):
            drawing += time.monotonic() - times[-1]
            terms = training.advance(batch)
            times.append(time.monotonic())
            done, seconds = training.step - first, times[-1] - times[0]
            if "steps" not in recipe and done == TIMED[1]:
                each = (times[TIMED[1]] - times[TIMED[0]]) / (TIMED[1] - TIMED[0])
                recipe["steps"] = training.step + max(1, int((60 * args.minutes - seconds) / each))
            steps = recipe.get("steps")
            if training.step % EVERY == 0 or training.step == steps:
                ahead = f"/{steps}, {(steps - training.step) * seconds / done / 60:.0f} min left" if steps else ""
                values = ", ".join(f"{name} {value:.3f}" for name, value in terms.items())
                rate = f"{done * args.batch / seconds:.0f} scenes/s, {drawing / seconds:.0%} of the time without any"
                print(f"step {training.step}{ahead}: {values}; {rate}", flush=True)
            if stop or training.step % KEPT == 0 or training.step == steps:
                training.save(file)
            if stop:
                raise KeyboardInterrupt
            if training.step == steps:
                break


def main() -> None:
    """Parse the command line, train, export."""
    parser = Parser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--workdir", type=Path, default=Path("runs/tiny_clip"), help="of last.pt (default: runs/tiny_clip)")
    add("--out", type=Path, help="the encoder's folder (default: WORKDIR/encoder); precompute/assets/tiny_clip is ours")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=whole_number(1), default=STEPS, help=f"default: {STEPS}")
    length.add_argument("--minutes", type=whole_number(1), help="in place of --steps: as many as fit in")
    add("--batch", type=whole_number(2), default=128, help="scenes a step (default: 128)")
    add("--rate", type=float, default=1e-3, help="highest learning rate (default: 1e-3)")
    add("--seed", type=whole_number(0), default=0, help="of weights and scenes (default: 0)")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of products; auto measures")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--threads", type=whole_number(1), default=os.cpu_count() or 1, help="that train (default: one a core)")
    add("--loaders", type=whole_number(0), default=1, help="processes that draw scenes (default: 1)")
    add("--examine", type=whole_number(1), default=400, help="squares a cell of the card's tables (default: 400)")
    add("--smoke", action="store_true", help=f"try everything in seconds: {SMOKE}")
    args = parser.parse_args()
    if args.smoke:
        vars(args).update(SMOKE, minutes=None)
    check_device(args.device)
    args.workdir.mkdir(parents=True, exist_ok=True)
    recipe = {"seed": args.seed, "batch": args.batch, "rate": args.rate}
    recipe |= {} if args.minutes else {"steps": args.steps}
    recipe |= {} if args.precision == "auto" else {"precision": args.precision}
    training = Training(recipe, device=args.device, threads=args.threads)
    if (args.workdir / "last.pt").exists():
        training.restore(args.workdir / "last.pt")
        print(f"goes on after step {training.step}", flush=True)
    training.recipe.setdefault("precision", fast_dtype(training.device))
    if training.step != training.recipe.get("steps"):
        train(args, training)
    export(training.model.cpu().eval(), args.out or args.workdir / "encoder", training.recipe, number=args.examine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))

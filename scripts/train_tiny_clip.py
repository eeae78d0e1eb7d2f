"""Train the default encoder: a small CLIP, trained on the small world and nothing else.

Scenes are freshly drawn, never read from disk. Interrupted, the same command goes on from `WORKDIR/last.pt`. The card
in the folder names the command that makes exactly its weights; it needs the same torch and a processor of the same
family, while the numbers of threads and of loaders make no difference.
"""

import argparse
import os
import time
from pathlib import Path

import torch

from precompute.compute import check_device
from precompute.tiny_clip.card import export
from precompute.tiny_clip.examples import Batches
from precompute.tiny_clip.training import Recipe, Training
from tipai_jax.errors import Parser, run_main, whole_number

STEPS, EVERY = 4_200, 50  # by default; from one checkpoint to the next
SMOKE = {"steps": 3, "batch": 8, "examine": 2, "loaders": 0}


def train(args: argparse.Namespace, training: Training) -> None:
    """Train up to the last step, on batches that worker processes draw ahead."""
    first, steps, waited, began = training.step, training.recipe.steps, 0.0, time.monotonic()
    ahead = {"prefetch_factor": 4, "multiprocessing_context": "spawn"} if args.loaders else {}
    order = {"batch_size": None, "sampler": range(first, steps), "num_workers": args.loaders}
    asked = began
    for batch in torch.utils.data.DataLoader(Batches(seed=args.seed, size=args.batch), **order, **ahead):
        waited += time.monotonic() - asked
        contrast, phrases = training.advance(batch)
        asked = time.monotonic()
        if training.step == steps or training.step % EVERY == 0:
            done, seconds = training.step - first, asked - began
            values = f"contrast {contrast:.3f}, phrases {phrases:.3f}; {done * args.batch / seconds:.0f} scenes/s"
            left = f"{(steps - training.step) * seconds / done / 60:.0f} minutes left"
            print(f"step {training.step} of {steps}: {values}, {waited / seconds:.0%} waiting; {left}", flush=True)
            training.save(args.workdir / "last.pt")


def main() -> None:
    """Parse the command line, train, export."""
    parser = Parser(description=__doc__.splitlines()[0] if __doc__ else None)
    add = parser.add_argument
    add("--workdir", type=Path, default=Path("runs/tiny_clip"), help="of the checkpoint (default: runs/tiny_clip)")
    add("--out", type=Path, help="the encoder's folder (default: WORKDIR/encoder); ours: precompute/assets/tiny_clip")
    add("--steps", type=whole_number(1), default=STEPS, help=f"default: {STEPS}")
    add("--batch", type=whole_number(4), default=128, help="scenes a step (default: 128)")
    add("--rate", type=float, default=4e-3, help="highest learning rate (default: 4e-3)")
    add("--seed", type=whole_number(0), default=0, help="of weights and scenes (default: 0)")
    add("--precision", choices=("float32", "bfloat16"), help="of products (default: the faster one, measured)")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--threads", type=whole_number(1), default=os.cpu_count() or 1, help="that train (default: one a core)")
    add("--loaders", type=whole_number(0), default=1, help="processes that draw scenes (default: 1)")
    add("--examine", type=whole_number(1), default=400, help="squares a cell of the card's tables (default: 400)")
    add("--smoke", action="store_true", help="try everything in seconds: three steps of eight scenes")
    args = parser.parse_args()
    vars(args).update(SMOKE if args.smoke else {})
    check_device(args.device)
    args.workdir.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(args.seed, args.batch, args.rate, args.steps, args.precision)
    training = Training(recipe, device=args.device, threads=args.threads)
    training.restore(args.workdir / "last.pt")
    print(f"{training.step} steps are done", flush=True)
    if training.step != training.recipe.steps:
        train(args, training)
    export(training.model.cpu().eval(), args.out or args.workdir / "encoder", training.recipe, number=args.examine)


if __name__ == "__main__":
    raise SystemExit(run_main(main))

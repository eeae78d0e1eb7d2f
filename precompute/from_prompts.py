"""From prompts and a generator to a folder that can be embedded: the first steps of `embed.py --generator`, one after
the other.

Owns their order and what they cannot be joined with. Each step is the one of the command of its name and knows what it
has done.
"""

import argparse
from pathlib import Path

from tipai_jax.errors import UserError

__all__ = ["check_alone", "make_pictures"]

BY_HAND = "make them first with precompute/generate.py, score.py and pairs.py --jsonl, then embed --data"


def check_alone(args: argparse.Namespace) -> None:
    """Refuse what cannot be done before there are pictures.

    Raises:
        UserError: an option of `embed.py` that contradicts `--generator`.
    """
    if args.dry_run:
        raise UserError(f"--dry-run: there are no pictures yet to estimate from; {BY_HAND}")
    if args.worker[1] > 1:
        raise UserError(f"--worker: pictures are made by one process; {BY_HAND} in parts")
    if args.data and args.data.startswith("tfds:"):
        raise UserError(f"--data {args.data}: with --generator it names the folder that pictures are made in")


def make_pictures(args: argparse.Namespace) -> Path:
    """Generate, score and pair, as far as that is not done; returns the folder, which then holds `pairs.jsonl`."""
    from precompute.generate import default_prompts, find_generator, generate
    from precompute.generators import SCENES
    from precompute.pairs import PAIRS_FILE, make_pairs
    from precompute.prompt_file import read_prompts
    from precompute.score import score

    model = args.generator or SCENES
    folder = Path(args.data or Path("data") / (args.out.absolute().name if args.out else f"poc-{Path(model).name}"))
    generate(read_prompts(args.prompts or default_prompts(model)), find_generator(model), folder)
    scorer = score(
        folder,
        encoder=args.encoder,
        patches=args.patches,
        dtype=args.dtype,
        device=args.device,
        batch_size=args.batch_size,
    )
    make_pairs(folder, scorer=f"{scorer.name}@{scorer.digest}", jsonl=folder / PAIRS_FILE, sheets=False)
    return folder

"""Train the default encoder: a small CLIP, trained on the small world and nothing else.

    python scripts/train_tiny_clip_before.py --out precompute/assets/tiny_clip

Scenes are freshly drawn, never read from disk, and leave out the combinations of object and colour that the test
split keeps for itself. The same command resumes from `workdir/last.pt`, with another number of steps as well: up to
three fifths of the lower number both are the same run. `--export-only` writes the folder from the last checkpoint.
Several processes train together, each on its part of the squares, when `torchrun` starts them:

    OMP_NUM_THREADS=1 torchrun --standalone --nproc-per-node 2 scripts/train_tiny_clip_before.py --squares 128 --steps 3725
    --out precompute/assets/tiny_clip
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerFast

from precompute.tiny_clip.batches import CROWDED_STEPS, LOOSE, Stream, make_batch
from precompute.tiny_clip.exam import examine, table, trials
from precompute.tiny_clip.losses import losses
from precompute.tiny_clip.muon import optimizers
from precompute.tiny_clip.precision import PRECISIONS, choose, prepare
from precompute.tiny_clip.shape import (
    GRID,
    JOINT,
    MEAN,
    SIDE,
    STD,
    build_model,
    build_tokenizer,
    to_pixels,
    whiten_patches,
)
from precompute.tiny_clip.together import agree, average_gradients, begin_alike, join
from tipai_jax.errors import Parser, UserError, run_main, whole_number
from tipai_jax.files.atomic import sha256_file

STEPS = 7450


def pace(step: int, total: int) -> float:
    """Share of the learning rate: 150 steps of warm-up, constant, then to zero as a half cosine over the last two
    fifths.
    """
    tail = max(0.0, (step - 0.6 * total) / (0.4 * total))
    return min(1.0, (step + 1) / 150) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, tail)))


CARD = """# tiny_clip: the default encoder

**Small world only.** This CLIP was trained on scenes of recoloured OpenMoji pictograms drawn by `precompute/world`
and on nothing else. It knows no photographs; every store, run and image made with it carries the stamp
`small_world_only`.

- Shape: `transformers.CLIPModel`, {millions:.2f} million parameters, {side} px, {grid}x{grid} patches,
  joint width {joint}, weights f16.
- Data: {scenes:,} freshly drawn scenes ({steps:,} steps of {batch}) and crops of them:
  {crowded:,} steps of crowds without captions, then {captioned:.0%} of the scenes easy and medium ones with
  captions, two and two each other's hard negatives, and the others hard ones without captions. The combinations of
  object and colour that the test split keeps for itself never occurred.
- Made by `{command}`.
- Pictograms: OpenMoji, CC BY-SA 4.0.

Measured on {n} unseen pairs a cell.

## An image prefers its own caption to the one that differs in one thing

{captions}

## A caption prefers its own image to the one that differs in one thing (zero-shot pair AUC)

{pairs}
"""


def export(
    model: CLIPModel,
    tokenizer: PreTrainedTokenizerFast,
    out: Path,
    *,
    scenes: int,
    steps: int,
    number: int,
    command: str,
) -> None:
    """Write the folder that `--encoder tiny` reads: weights in f16, configuration, tokenizer, preprocessing, card and
    figures.
    """
    out.mkdir(parents=True, exist_ok=True)
    half = CLIPModel(model.config)
    half.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    results = examine(half.eval(), tokenizer, trials(number))
    for result in results:
        print(result)
    save_file(
        {name: value.half().contiguous() for name, value in half.state_dict().items() if "position_ids" not in name},
        out / "model.safetensors",
        {"format": "pt"},
    )
    (out / "model.safetensors").chmod(0o644)
    half.config.save_pretrained(out)
    tokenizer.save_pretrained(out)
    CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        resample=4,
        image_mean=list(MEAN),
        image_std=list(STD),
        do_convert_rgb=True,
    ).save_pretrained(out)
    digest = sha256_file(out / "model.safetensors")
    figures = {"steps": steps, "scenes": scenes, "weights_sha256": digest, "rows": results}
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "README.md").write_text(
        CARD.format(
            millions=sum(p.numel() for p in model.parameters()) / 1e6,
            side=SIDE,
            grid=GRID,
            joint=JOINT,
            scenes=scenes,
            steps=steps,
            batch=scenes // max(steps, 1),
            crowded=min(steps, CROWDED_STEPS),
            captioned=1 - LOOSE,
            command=command,
            n=results[0]["n"],
            captions=table(results, "caption_accuracy"),
            pairs=table(results, "pair_auc"),
        )
    )


@dataclass
class State:
    """What training changes, and the file that it is kept in."""

    model: CLIPModel
    optimizers: list[torch.optim.Optimizer]
    recipe: dict[str, float]
    file: Path
    step: int = 0

    def save(self) -> None:
        """Write the file, whole or not at all."""
        part = self.file.with_suffix(".part")
        kept = {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "recipe": self.recipe,
        }
        torch.save(kept, part)
        part.replace(self.file)

    def restore(self, device: torch.device) -> None:
        """Go on from the file, if it is there.

        Raises:
            UserError: it is of another recipe.
        """
        if not self.file.exists():
            return
        kept = torch.load(self.file, map_location=device, weights_only=True)
        if kept["recipe"] != self.recipe:
            raise UserError(
                f"{self.file}: trained with {kept['recipe']}, asked for {self.recipe}; give the same, or another"
                " --workdir"
            )
        self.model.load_state_dict(kept["model"])
        for optimizer, values in zip(self.optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        self.step = kept["step"]
        print(f"resumed at step {self.step}")


def begin(
    args: argparse.Namespace, tokenizer: PreTrainedTokenizerFast, *, device: torch.device, dtype: torch.dtype
) -> tuple[State, list[list[float]]]:
    """A fresh or a resumed state, and the highest learning rate of each optimizer's groups."""
    torch.manual_seed(args.seed)
    model = build_model(tokenizer)
    first = make_batch(np.random.default_rng([args.seed, 0, 0, 7]), tokenizer, number=128, crowded=False)
    whiten_patches(model, to_pixels(first["images"]))
    model.to(device)
    prepare(model)
    state = State(
        model,
        optimizers(model, rate=args.rate, dtype=dtype),
        {"squares": args.squares, "processes": join()[1], "rate": args.rate, "seed": args.seed},
        args.workdir / "last.pt",
    )
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in state.optimizers]
    args.workdir.mkdir(parents=True, exist_ok=True)
    state.restore(device)
    begin_alike(model)
    return state, peaks


def train(args: argparse.Namespace, tokenizer: PreTrainedTokenizerFast) -> State:
    """Train, or go on training, up to `args.steps`."""
    device = torch.device(args.device)
    rank, processes = join()
    dtype = agree(choose(args.precision, device))  # a matter of the clock, so not to be left to each
    if not rank:
        print(f"matrix products in {dtype}", flush=True)
    if args.squares % processes:
        raise UserError(
            f"--squares {args.squares} cannot be shared by {processes} processes; give a multiple of {processes}"
        )
    state, peaks = begin(args, tokenizer, device=device, dtype=dtype)
    if args.export_only or state.step >= args.steps:
        return state
    loader = torch.utils.data.DataLoader(
        Stream(seed=args.seed, first=state.step, last=args.steps, squares=args.squares // processes, rank=rank),
        batch_size=None,
        num_workers=args.loaders,
        prefetch_factor=4 if args.loaders else None,
        multiprocessing_context="spawn" if args.loaders else None,
    )
    every, log, began, first = (
        trials(min(40, args.examine)),
        (args.workdir / "log.jsonl").open("a"),
        time.monotonic(),
        state.step,
    )
    write_line = lambda line: print(json.dumps({"step": state.step, **line}), file=log, flush=True)
    for batch in loader:
        share = pace(state.step, args.steps)
        for optimizer, highest in zip(state.optimizers, peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, highest, strict=True):
                group["lr"] = peak * share
        terms = losses(state.model, {name: value.to(device, non_blocking=True) for name, value in batch.items()}, dtype)
        state.model.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        average_gradients(state.model)
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
        for optimizer in state.optimizers:
            optimizer.step()
        state.step += 1
        if rank:
            continue
        if state.step % 50 == 0:
            rate = (state.step - first) * 2 * args.squares / (time.monotonic() - began)
            write_line(
                {
                    "lr": args.rate * share,
                    **{name: round(value.item(), 4) for name, value in terms.items()},
                    "scenes_per_s": round(rate, 1),
                }
            )
        if state.step % 250 == 0 or state.step == args.steps:
            state.save()
            results = examine(state.model.eval(), tokenizer, every)
            state.model.train()
            write_line({"accuracy": {f"{r['category']}/{r['difficulty']}": r["caption_accuracy"] for r in results}})
    return state


def main() -> None:
    """Parse the command line, train, export."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--workdir", type=Path, default=Path("runs/tiny_clip"), help="checkpoint and log (default: runs/tiny_clip)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help=(
            "the encoder's folder (default: WORKDIR/encoder); precompute/assets/tiny_clip is the one that is committed"
        ),
    )
    parser.add_argument("--steps", type=whole_number(1), default=STEPS, help=f"default: {STEPS}")
    parser.add_argument(
        "--rate",
        type=float,
        default=2e-3,
        help="learning rate of AdamW at its height; Muon's is four times as high (default: 2e-3)",
    )
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the weights and of the scenes (default: 0)")
    parser.add_argument("--squares", type=whole_number(1), default=64, help="squares a step: twice as many scenes")
    parser.add_argument("--examine", type=whole_number(1), default=400, help="squares a cell of the card's tables")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--precision",
        default="auto",
        choices=("auto", *PRECISIONS),
        help="of the layers' matrix products; auto measures",
    )
    parser.add_argument("--loaders", type=whole_number(0), default=1, help="processes that draw scenes")
    parser.add_argument(
        "--export-only", action="store_true", help="write --out from the last checkpoint, without training"
    )
    args = parser.parse_args()
    args.out = args.out or args.workdir / "encoder"
    tokenizer = build_tokenizer()
    state = train(args, tokenizer)
    rank, processes = join()
    if rank:
        return
    start = "python" if processes == 1 else f"torchrun --standalone --nproc-per-node {processes}"
    command = (
        f"{start} scripts/train_tiny_clip_before.py --steps {args.steps} --squares {args.squares} --rate {args.rate:g} --seed"
        f" {args.seed} --out {args.out}"
    )
    export(
        state.model.cpu().eval(),
        tokenizer,
        args.out,
        scenes=state.step * 2 * args.squares,
        steps=state.step,
        number=args.examine,
        command=command,
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))

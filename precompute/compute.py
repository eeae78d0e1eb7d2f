"""What a frozen model computes with, as commands offer it: device, number format, images a pass.

Owns the options and their defaults. Knows no model.
"""

import argparse
from collections.abc import Mapping

from tipai_jax.errors import UserError, whole_number

__all__ = ["BATCH", "DTYPE", "add_encoder_options", "best_device", "check_device", "choose_dtype"]

BATCH = {"cpu": 64, "cuda": 256}
DTYPE = {"cpu": "float32", "cuda": "float16"}


def add_encoder_options(parser: argparse.ArgumentParser, *, batch: Mapping[str, int] = BATCH, kept: str = "") -> None:
    """The options that say which encoder computes, and in what; `batch`: the default sizes, `kept`: a remark on the
    dtype.
    """
    add = parser.add_argument
    add(
        "--encoder",
        help=(
            "tiny, a local CLIP folder or a hub id (default: tiny for drawn scenes, openai/clip-vit-large-patch14"
            " otherwise)"
        ),
    )
    add(
        "--patches",
        choices=("dense", "crops", "raw", "tiles"),
        help=(
            "how patches are embedded (default: what the encoder's config names; else raw for a small-world encoder,"
            " dense otherwise)"
        ),
    )
    add(
        "--dtype",
        choices=("float32", "float16", "bfloat16", "auto"),
        help=(
            "what the encoder computes in (default: float32 on cpu, float16 on cuda; auto on a cpu: bfloat16 where"
            f" that is measured to be twice as fast{kept})"
        ),
    )
    add("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    add(
        "--batch-size",
        type=whole_number(1),
        help=f"images a forward pass (default: {batch['cpu']} on cpu, {batch['cuda']} on cuda)",
    )


def best_device() -> str:
    """`cuda` if torch can use one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(device: str, *, go_on: str = "") -> None:
    """Refuse a device that is not there.

    Raises:
        UserError: it is cuda, and torch can use none; the message ends in `go_on`.
    """
    if device == "cuda" and best_device() != "cuda":
        raise UserError(f"device cuda: this machine has none that torch can use; take --device cpu{go_on}")


def choose_dtype(wanted: str | None, device: str, *, parts: int = 1) -> str:
    """What a model computes in, by so many workers.

    Raises:
        UserError: it is left to be measured by more than one.
    """
    if wanted == "auto" and device == "cpu":
        if parts > 1:
            raise UserError(
                "--dtype auto: every worker would measure for itself, and they must compute in the same; say --dtype"
                " float32 or bfloat16"
            )
        import torch

        from precompute.encoders.dtypes import fast_dtype

        return fast_dtype(torch.device(device))
    return DTYPE[device] if wanted in (None, "auto") else wanted

"""Command line options for a frozen model: device, number format (dtype), batch size, and their defaults; and how often
a command shows how far it is.
"""

import argparse
import sys
from collections.abc import Mapping

from tipai_jax.errors import UserError, whole_number

__all__ = [
    "BATCH",
    "DTYPE",
    "add_encoder_options",
    "bar_seconds",
    "best_device",
    "check_device",
    "choose_batch",
    "choose_dtype",
]

BATCH = {"cpu": 64, "cuda": 256}
SHARES = {"cpu": 16, "cuda": 1}
"""The data are divided into at least this many batches: on a CPU one for each of up to 16 threads."""
CROP_BYTES = {"cpu": 2**28, "cuda": 2**32}
"""Memory for the enlarged crops of a batch, on a CPU in each thread."""
DTYPE = {"cpu": "float32", "cuda": "float16"}


def add_encoder_options(
    parser: argparse.ArgumentParser, *, batch: Mapping[str, int] = BATCH, kept: str = "", fewer: str = ""
) -> None:
    """Add the options that choose an encoder and how it computes.

    Args:
        parser: of the command.
        batch: the default batch size of each device.
        kept: a remark on --dtype.
        fewer: a remark on --batch-size.
    """
    add = parser.add_argument
    add(
        "--encoder",
        help="tiny, a local CLIP folder or a hub id (default: tiny for drawn scenes, "
        "openai/clip-vit-large-patch14 otherwise)",
    )
    add(
        "--patches",
        choices=("dense", "crops", "raw", "tiles"),
        help="how patches are embedded (default: what the encoder's config names; else raw for a small-world encoder, "
        "dense otherwise)",
    )
    add(
        "--dtype",
        choices=("float32", "float16", "bfloat16", "auto"),
        help="number format of the encoder (default: float32 on cpu, float16 on cuda; auto on a cpu: bfloat16 where "
        f"that is measured to be twice as fast{kept})",
    )
    add("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    add(
        "--batch-size",
        type=whole_number(1),
        help=f"images per forward pass (default: {batch['cpu']} on cpu, {batch['cuda']} on cuda{fewer})",
    )


def bar_seconds() -> float:
    """Seconds between two drawings of a progress bar, tqdm's `mininterval`; in a log file each drawing is a line."""
    return 0.5 if sys.stderr.isatty() else 10.0


def best_device() -> str:
    """`cuda` if torch can use one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(device: str, *, go_on: str = "") -> None:
    """Refuse a device that torch cannot use.

    Args:
        device: cpu or cuda.
        go_on: more advice, for the end of the message.

    Raises:
        UserError: it is cuda, and torch finds no CUDA device.
    """
    if device == "cuda" and best_device() != "cuda":
        raise UserError(f"--device cuda: torch finds no CUDA device on this machine; take --device cpu{go_on}")


def choose_batch(device: str, *, most: int, patches: str, image_size: int, cells: int) -> tuple[int, str]:
    """The default number of images per forward pass; the same on every machine, as it is part of a store's plan.

    Args:
        device: cpu or cuda.
        most: number of images or of prompts in the data, whichever is larger.
        patches: the patch mode.
        image_size: side of the encoder's input in pixels.
        cells: patches per image.

    Returns:
        The number, and why it is smaller than `BATCH`; "" where it is not.
    """
    size, why = BATCH[device], ""
    if (fitting := max(1, -(-most // SHARES[device]))) < size:
        few = f"there are only {most} images or prompts"
        size, why = fitting, f"{few}, and small batches keep more threads busy and are padded less"
    image_bytes = 4 * 3 * image_size**2 * cells
    if patches == "crops" and (fitting := max(1, CROP_BYTES[device] // image_bytes)) < size:
        size, why = fitting, f"the crops of an image take {image_bytes / 1e6:.0f} MB"
    return size, why


def choose_dtype(wanted: str | None, device: str, *, parts: int = 1) -> str:
    """The number format that a model computes in.

    Args:
        wanted: as given to --dtype.
        device: cpu or cuda.
        parts: number of workers.

    Raises:
        UserError: `auto` on a CPU with several workers, which might measure different speeds.
    """
    if wanted == "auto" and device == "cpu":
        if parts > 1:
            raise UserError(
                "--dtype auto: every worker would measure for itself, but all must use the same number format; "
                "give --dtype float32 or --dtype bfloat16"
            )
        import torch

        from precompute.encoders.dtypes import fast_dtype

        return fast_dtype(torch.device(device))
    return DTYPE[device] if wanted in (None, "auto") else wanted

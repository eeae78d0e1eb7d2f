"""What an embedding run would take: rows, bytes, disk, and seconds from two real batches.

Owns the estimates. Writes nothing.
"""

import shutil
import time
from pathlib import Path

from precompute.encoders.folder import EncoderFolder
from precompute.pipeline import image_batches, load_encoder
from precompute.readers.records import Source
from precompute.shards import Work
from tipai_jax.errors import UserError
from tipai_jax.store import Plan
from tipai_jax.store.writer import check_plan

__all__ = ["check_disk", "print_forecast", "store_bytes"]


def store_bytes(plan: Plan, works: list[Work]) -> int:
    """About how many bytes the shards will take."""
    encoder = plan.encoder
    row = {"prompts": 2 * encoder.d + 200, "images": 2 * encoder.d * (1 + encoder.k) + 200}
    return sum(len(work.keys) * row[work.table] for work in works)


def check_disk(out: Path, plan: Plan, works: list[Work]) -> None:
    """Refuse to begin what will not fit.

    Raises:
        UserError: fewer bytes are free than the shards take.
    """
    needed, free = store_bytes(plan, works), _free_bytes(out)
    if needed > free:
        raise UserError(
            f"{out}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; choose an --out on a larger"
            " disk"
        )


def _free_bytes(out: Path) -> int:
    there = next(parent for parent in (out.absolute(), *out.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def print_forecast(
    source: Source, folder: EncoderFolder, plan: Plan, works: list[Work], *, out: Path, threads: int
) -> None:
    """Print what a run would take; nothing is written.

    Args:
        source: the data.
        folder: the encoder's files.
        plan: what the store would be written from.
        works: its shards.
        out: where it would lie.
        threads: preparing (and on a CPU encoding) threads.
    """
    check_plan(out, plan)
    rows = {table: sum(len(work.keys) for work in works if work.table == table) for table in ("prompts", "images")}
    print(f"rows      {source.rows}: {len(source.records)} pairs, {len(source.rejects)} rejects so far")
    print(
        f"to encode {rows['images']} images, {rows['prompts']} prompts with {plan.encoder.name}"
        f" ({plan.encoder.patches}, {plan.encoder.dtype}, {plan.device})"
    )
    print(f"bytes     {store_bytes(plan, works) / 1e6:.1f} MB into {out}, {_free_bytes(out) / 1e6:.1f} MB free")
    encoder = load_encoder(folder, plan)
    images = [work for work in works if work.table == "images"]
    spent: list[float] = []
    for _, batch in zip(range(2), image_batches(images, source, encoder, threads=1)):
        began = time.perf_counter()
        if batch.rows is None:
            encoder.encode_images([item.prepared for item in batch.opened if item.prepared is not None])
        encoded = batch.encoded if batch.rows else time.perf_counter() - began
        shared = (batch.read + encoded) / threads if batch.rows else max(batch.read / threads, encoded)
        spent.append(shared / len(batch.opened))
    began = time.perf_counter()
    some = [key for work in works if work.table == "prompts" for key in work.keys][: 2 * encoder.batch_size]
    encoder.encode_text(some)
    text = (time.perf_counter() - began) / len(some)
    image = spent[-1]  # the first batch also warms up
    print(
        f"estimate  {rows['images'] * image + rows['prompts'] * text:.0f} s from two real batches ({1 / image:.0f}"
        " images/s)"
    )

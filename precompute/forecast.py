"""What an embedding run would take: bytes, disk, and an estimate of its seconds from a few images and texts."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from precompute.encoders.clip import ClipEncoder
from precompute.encoders.folder import EncoderFolder
from precompute.opened import open_image
from precompute.pipeline import blank, check_plan_device, load_encoder, unique_texts
from precompute.readers.records import Source
from precompute.shards import Work
from tipai_jax.errors import UserError
from tipai_jax.store import Plan
from tipai_jax.store.writer import check_plan

__all__ = ["BUDGET", "Probe", "check_disk", "print_forecast", "probe", "run_seconds", "store_bytes"]

LONGEST_PASS = 30.0
"""Seconds of a forward pass; a longer one shows no progress for too long, and an interruption loses it."""
BUDGET = 3.0
"""Seconds that the probe of a table may take, unless a single image or prompt takes longer."""


@dataclass(frozen=True)
class Probe:
    """A measurement of some images or prompts: how many (`rows`), and the seconds that reading (on the CPU) and
    encoding took for each.
    """

    rows: int
    read: float
    encoded: float

    @property
    def seconds(self) -> float:
        """Seconds of an image or a prompt."""
        return self.read + self.encoded


def probe(
    keys: Sequence[str], measure: Callable[[Sequence[str]], tuple[float, float]], *, most: int, budget: float
) -> Iterator[Probe]:
    """Measure one image or prompt, then twice as many each time, as long as the time allows.

    Args:
        keys: of the images or prompts; each is measured once at most.
        measure: the seconds that reading and encoding take for some of them together.
        most: size of the largest measurement, that of a batch of the run.
        budget: seconds; the next measurement is left out if it would probably exceed them.

    Yields:
        One measurement after the other. The first also warms up, so the last one is the best.
    """
    first, size, spent = 0, 1, 0.0
    while part := keys[first : first + size]:
        read, encoded = measure(part)
        found = Probe(len(part), read / len(part), encoded / len(part))
        yield found
        first, spent = first + len(part), spent + read + encoded
        if len(part) >= most:
            return
        size = min(2 * size, most)
        if spent + size * found.seconds > budget:
            return


def run_seconds(works: Sequence[Work], found: Probe, *, batch: int, threads: int, cpu: bool) -> float:
    """About how long a run works on the shards of one table.

    Args:
        works: the shards.
        found: what an image or a prompt takes on one core, or on the GPU.
        batch: images or prompts of a forward pass; the last pass of a shard is padded.
        threads: threads of the run.
        cpu: the encoder runs on the CPU, a pass (for texts a shard) in each thread; else one after the other.
    """
    passes = sum(-(-len(work.keys) // batch) for work in works)
    if not cpu:
        return passes * batch * max(found.read / threads, found.encoded)
    parallel = len(works) if works and works[0].table != "images" else passes
    return passes * batch * found.seconds / max(1, min(threads, os.cpu_count() or 1, parallel))


def shorter_pass(found: Probe, *, batch: int) -> str:
    """Which batch size keeps a forward pass within `LONGEST_PASS`, in words; "" where this one does.

    A run does not lower it by itself, for then the store would depend on how busy the machine was.
    """
    seconds = batch * found.seconds
    if seconds <= LONGEST_PASS or batch == 1:
        return ""
    fits = max(1, int(LONGEST_PASS / found.seconds))
    return f"{batch} in a forward pass take {seconds:.0f} s without progress; --batch-size {fits} shows it sooner"


def store_bytes(plan: Plan, works: list[Work]) -> int:
    """About how many bytes the shards will take."""
    encoder = plan.encoder
    texts = {"prompts": 2 * encoder.d + 200, "phrases": 4 * encoder.d + 200}
    bytes_of = {**texts, "images": 2 * encoder.d * (1 + encoder.k) + 200}
    return sum(len(work.keys) * bytes_of[work.table] for work in works)


def check_disk(out: Path, plan: Plan, works: list[Work]) -> None:
    """Refuse to begin shards that will not fit on the disk.

    Raises:
        UserError: fewer bytes are free than the shards take.
    """
    needed, free = store_bytes(plan, works), _free_bytes(out)
    if needed > free:
        raise UserError(
            f"{out}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; "
            "choose an --out on a larger disk"
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
        out: its folder.
        threads: threads of the run, which prepare images and on a CPU encode them.

    Raises:
        UserError: the folder holds a store of another plan, or the encoder or its device is not available.
    """
    check_plan(out, plan)
    check_plan_device(plan)
    names = ["images", "prompts", *(["phrases"] if source.phrases else [])]
    tables = {table: [work for work in works if work.table == table] for table in names}
    keys = {table: [key for work in those for key in work.keys] for table, those in tables.items()}
    entries = {entry.phrase: entry for work in works for entry in work.entries}
    print(f"pairs     {source.rows}: {len(source.records)} usable, {len(source.rejects)} rejects so far")
    print(
        f"to encode {', '.join(f'{len(those)} {table}' for table, those in keys.items())} with {plan.encoder.name} "
        f"({plan.encoder.patches}, {plan.encoder.dtype}, {plan.device}, {plan.micro_batch} a forward pass)"
    )
    print(f"bytes     {store_bytes(plan, works) / 1e6:.1f} MB into {out}, {_free_bytes(out) / 1e6:.1f} MB free")
    print(f"loading   {folder.name}", flush=True)
    encoder = load_encoder(folder, plan)
    cpu = encoder.device.type == "cpu"
    measures = {
        "images": lambda part: _measure_images(part, source, encoder),
        "prompts": lambda part: _measure_texts(part, encoder),
        "phrases": lambda part: _measure_texts(unique_texts([entries[key] for key in part]), encoder),
    }
    total, parts = 0.0, []
    before = torch.get_num_threads()
    try:
        if cpu:
            torch.set_num_threads(1)  # as in every thread of a run
        for table, measure in ((table, measures[table]) for table in names):
            passes = 1 + encoder.fingerprint.k if table == "images" and encoder.fingerprint.patches == "crops" else 1
            print(
                f"probing   {table}" + (f", one of the {passes} forward passes that each takes" if passes > 1 else ""),
                flush=True,
            )
            found = None
            for found in probe(keys[table], measure, most=encoder.batch_size, budget=BUDGET):
                print(f"          {found.rows} together: {found.seconds:.3g} s each", flush=True)
            if found is not None:
                found = replace(found, encoded=passes * found.encoded)
                seconds = run_seconds(tables[table], found, batch=encoder.batch_size, threads=threads, cpu=cpu)
                parts.append(
                    f"{len(keys[table])} {table} in {seconds:.1f} s "
                    f"({found.seconds:.3g} s each on {'one core' if cpu else 'the GPU'})"
                )
                total += seconds
                if note := shorter_pass(found, batch=encoder.batch_size):
                    print(f"note      {table}: {note}")
    finally:
        torch.set_num_threads(before)
    print(f"estimate  {total:.1f} s with {threads} threads: {', '.join(parts)}")


def _measure_images(keys: Sequence[str], source: Source, encoder: ClipEncoder) -> tuple[float, float]:
    began = time.perf_counter()
    opened = [open_image(key, source, encoder.preparation).prepared or blank(encoder.preparation) for key in keys]
    read = time.perf_counter()
    if encoder.fingerprint.patches == "crops":  # an image takes 50 passes of one size: one of them is enough to measure
        encoder.encode_whole(opened)
    else:
        encoder.encode_images(opened, batch_size=len(keys))
    return read - began, time.perf_counter() - read


def _measure_texts(texts: Sequence[str], encoder: ClipEncoder) -> tuple[float, float]:
    began = time.perf_counter()
    encoder.encode_text(list(texts), batch_size=len(texts))
    return 0.0, time.perf_counter() - began

"""The command that turns images and prompts into a store: python precompute/embed.py [--data ...] [--encoder ...] [--out ...].

Owns the command line, the defaults and what is printed. Everything heavy is imported after the arguments are read, so
that --help answers at once. Run again after a kill, it goes on where it stopped and ends in the same digest.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):  # run as a file: the repository, not this folder, is what modules are found in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tipai_jax.errors import UserError, run_main

if TYPE_CHECKING:
    from precompute.encoders.clip import ClipEncoder
    from precompute.encoders.folder import EncoderFolder
    from precompute.readers.records import Source
    from precompute.shards import Work
    from tipai_jax.store import Manifest, Plan, Shard
    from tipai_jax.store.writer import StoreWriter

SCENES = Path("data/scenes")
SCENE_PAIRS = 20_000
BATCH = {"cpu": 64, "cuda": 256}
DTYPE = {"cpu": "float32", "cuda": "float16"}


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; no argument is needed."""
    parser = argparse.ArgumentParser(prog="precompute/embed.py", description="Embed prompts and images once with a frozen CLIP and write them to a store.")
    add = parser.add_argument
    add("--data", help=f"folder with pairs.jsonl, or tfds:NAME (default: {SCENES}, drawn first if it is missing)")
    add("--encoder", help="tiny, a local CLIP folder or a hub id (default: tiny for drawn scenes, openai/clip-vit-large-patch14 otherwise)")
    add("--out", type=Path, help="folder of the store (default: store/ and the name of the data)")
    add("--patches", choices=("dense", "crops", "raw"), help="how patches are embedded (default: what the encoder's config names, else dense)")
    add("--dtype", choices=("float32", "float16", "bfloat16"), help="what the encoder computes in (default: float32 on cpu, float16 on cuda)")
    add("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    add("--batch-size", type=_positive, help="images a forward pass (default: 64 on cpu, 256 on cuda)")
    add("--threads", type=_positive, help="threads that read and decode (default: one a core, at most 16)")
    add("--images-per-shard", type=_positive, help="unit of work and of retry (default: 1024)")
    add("--worker", type=_worker, default=(1, 1), metavar="I/N", help="do part I of N, counted from 1; start all N, the last one writes the manifest")
    add("--limit", type=_positive, help="read only the first so many rows")
    add("--allow-rejects", type=_share, default=0.01, metavar="FRACTION", help="largest share of unusable rows that is let pass (default: 0.01)")
    add("--data-dir", help="where tfds data sets lie")
    add("--dry-run", action="store_true", help="print rows, bytes, free disk and an estimate from two real batches; write nothing")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Embed; returns 0."""
    args = parse_arguments(arguments)
    if args.data is None:
        args.data = str(SCENES)
        if not SCENES.exists():
            _draw_scenes(dry_run=args.dry_run)
    args.out = args.out or Path("store") / _name_of(args.data)

    from precompute.encoders.folder import PHOTO_ENCODER, TINY, find_encoder
    from precompute.readers import read_source
    from precompute.shards import cut_shards

    source = read_source(args.data, limit=args.limit, data_dir=args.data_dir)
    folder = find_encoder(args.encoder or (TINY if source.small_world_only else PHOTO_ENCODER))
    _stop_if_rejected(args, source, source.rejects)
    plan = _plan(args, source, folder)
    works = cut_shards(source, plan.shard_rows)
    if args.dry_run:
        return _dry_run(args, source, folder, plan, works)
    if manifest := _finished(args.out, plan, works, source):
        print(f"{args.out}: complete already, nothing to do (digest {manifest.digest})")
        return 0

    from tipai_jax.store.writer import StoreWriter

    writer = StoreWriter(args.out, plan)
    _note_source(writer, source)
    made = _embed(args, source, folder, writer, works)
    manifest = _finish(args, source, writer, works, made, folder)
    if manifest is None:
        return 0
    _print_summary(args.out, manifest)
    return 0


def _draw_scenes(*, dry_run: bool) -> None:
    if dry_run:
        raise UserError(f"{SCENES}: not drawn yet, so there is nothing to estimate from; draw it with: python precompute/scenes.py --out {SCENES}")
    from precompute.scenes import draw

    print(f"{SCENES} is missing: drawing {SCENE_PAIRS} pairs of scenes (python precompute/scenes.py --out {SCENES} --pairs {SCENE_PAIRS} --seed 0)")
    draw(SCENES, pairs=SCENE_PAIRS, seed=0)


def _plan(args: argparse.Namespace, source: "Source", folder: "EncoderFolder") -> "Plan":
    """What the store is written from; what the command line leaves open is taken from a store that was begun."""
    from tipai_jax.store.manifest import Plan, load_plan

    begun = load_plan(args.out) if args.out.is_dir() else None
    device = args.device or (begun.device if begun else _best_device())
    dtype = args.dtype or (begun.encoder.dtype if begun else DTYPE[device])
    patches = args.patches or folder.default_patches
    encoder = folder.fingerprint(patches=patches, dtype=dtype)
    rows = {"prompts": 8192, "images": args.images_per_shard or (begun.shard_rows["images"] if begun else 1024)}
    return Plan(
        encoder=encoder,
        data=source.identity,
        small_world_only=encoder.small_world_only or source.small_world_only,
        micro_batch=args.batch_size or (begun.micro_batch if begun else BATCH[device]),
        device=device,
        shard_rows=rows,
    )


def _finished(out: Path, plan: "Plan", works: "list[Work]", source: "Source") -> "Manifest | None":
    """The manifest of a store that is already what was asked for.

    Raises:
        UserError: a store of something else is there, or images have changed since it was made.
    """
    from precompute.shards import committed_shard
    from tipai_jax.store.manifest import MANIFEST, load_manifest
    from tipai_jax.store.writer import StoreWriter, check_plan

    check_plan(out, plan)
    if not (out / MANIFEST).exists():
        return None
    manifest = load_manifest(out)
    writer = StoreWriter(out, plan)
    for work in works:
        if committed_shard(writer, work, source, rehash=False) is None:
            raise UserError(f"{out}: shard {work.index} of {work.table} is damaged or its {work.table} have changed since; delete the store and embed again")
    return manifest


def _load(args: argparse.Namespace, folder: "EncoderFolder", plan: "Plan") -> "ClipEncoder":
    import torch

    from precompute.encoders.clip import load_clip

    if plan.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda: this machine has none that torch can use; take --device cpu (and another --out, if the store was begun on cuda)")
    if plan.device == "cpu" and plan.encoder.dtype != "float32":
        print(f"note: {plan.encoder.dtype} on a CPU is very slow; --dtype float32 is the fast one", file=sys.stderr)
    return load_clip(folder, patches=plan.encoder.patches, dtype=plan.encoder.dtype, device=plan.device, batch_size=plan.micro_batch)


def _embed(
    args: argparse.Namespace, source: "Source", folder: "EncoderFolder", writer: "StoreWriter", works: "list[Work]"
) -> "dict[tuple[str, int], Shard]":
    """Make this worker's shards that are not there yet; returns all that this run made or checked by hash."""
    from precompute.shards import committed_shard

    part, parts = args.worker
    known, todo = {}, []
    for i, work in enumerate(works):
        if i % parts == part - 1:
            shard = committed_shard(writer, work, source, rehash=True)
            if shard is None:
                todo.append(work)
            else:
                known[work.table, work.index] = shard
    if known:
        print(f"going on: {len(known)} shards are there, {len(todo)} to do")
    if not todo:
        return known
    from tqdm import tqdm

    from precompute.pipeline import embed_images, embed_prompts

    _check_disk(args.out, writer.plan, todo)
    encoder = _load(args, folder, writer.plan)
    prompts, images = ([work for work in todo if work.table == table] for table in ("prompts", "images"))
    rows = sum(len(work.keys) for work in todo)
    slow = 0.5 if sys.stderr.isatty() else 10.0
    with tqdm(total=rows, unit="row", mininterval=slow, desc="embedding", smoothing=0.1) as bar:
        made = embed_prompts(prompts, encoder, writer, done=bar.update, report=bar.write)
        made += embed_images(images, source, encoder, writer, threads=_threads(args), done=bar.update, report=bar.write)
    return known | {(shard.table, shard.index): shard for shard in made}


def _finish(
    args: argparse.Namespace,
    source: "Source",
    writer: "StoreWriter",
    works: "list[Work]",
    made: "dict[tuple[str, int], Shard]",
    folder: "EncoderFolder",
) -> "Manifest | None":
    """Pairs, rejects and the manifest, once all shards of all workers are there; None before that."""
    from precompute.pair_rows import build_pairs, check_rejects, image_rows, prompt_rows, reject_columns
    from precompute.shards import committed_shard

    open_works = [work for work in works if writer.committed(work.table, work.index, work.content) is None]
    shards = [made.get((work.table, work.index)) or committed_shard(writer, work, source, rehash=True) for work in works if work not in open_works]
    if open_works or None in shards:
        there = len(works) - len(open_works) - shards.count(None)
        print(f"{args.out}: {there} of {len(works)} shards are there; the last worker to finish (or the same command again) writes the manifest")
        return None
    encoder = writer.plan.encoder
    images = image_rows(args.out, sum(work.table == "images" for work in works))
    prompts, chunked, unknown = prompt_rows(args.out, sum(work.table == "prompts" for work in works))
    problems = _problems([key for work in works if work.table == "images" for key in work.keys if key not in images], source, folder, encoder.patches)
    pairs, late = build_pairs(source.records, images=images, prompts=prompts, problems=problems, encoder=encoder)
    rejects = source.rejects + late
    shards.append(writer.commit("rejects", 0, content="", columns=reject_columns(rejects)))
    reasons = check_rejects(rejects, rows=source.rows, allowed=args.allow_rejects, listed=args.out / "rejects/00000.parquet")
    from tipai_jax.store.pairs import to_arrow

    shards.append(writer.commit("pairs", 0, content="", columns=to_arrow(pairs)))
    counts = {"pairs": len(pairs), "prompts": len(prompts), "images": len(images), "rejects": len(rejects)}
    counts |= {"prompts_in_chunks": chunked, "prompts_with_unknown_words": unknown}
    splits = {name: int((pairs.split == name).sum()) for name in ("train", "validation", "test")}
    return writer.finish(shards, splits=splits, counts=counts, reject_reasons=reasons)


def _problems(keys: list[str], source: "Source", folder: "EncoderFolder", patches: str) -> dict[str, str]:
    """Why images could not be embedded, by looking at them once more: they are few, and nothing had to be kept about them."""
    if not keys:
        return {}
    from precompute.encoders.images import Preparation
    from precompute.pipeline import open_image

    preparation = Preparation.from_config(folder.processor, image_size=folder.vision("image_size", 224), crop_source=0)
    return {key: open_image(key, source, preparation).problem or f"{key!r} could not be read" for key in keys}


def _stop_if_rejected(args: argparse.Namespace, source: "Source", rejects: list) -> None:
    """End early when the rows alone, without a look into the images, show too many rejects."""
    from precompute.pair_rows import check_rejects, reject_columns
    from tipai_jax.store.columns import table_bytes
    from tipai_jax.store.durable import write_file
    from tipai_jax.store.manifest import MANIFEST

    listed = args.out / "rejects/00000.parquet"
    try:
        check_rejects(rejects, rows=source.rows, allowed=args.allow_rejects, listed=listed)
    except UserError:
        if not (args.out / MANIFEST).exists() and not args.out.is_file():  # a finished store keeps its own list
            write_file(listed, table_bytes(reject_columns(rejects)))
        raise


def _store_bytes(plan: "Plan", works: "list[Work]") -> int:
    encoder = plan.encoder
    row = {"prompts": 2 * encoder.d + 200, "images": 2 * encoder.d * (1 + encoder.k) + 200}
    return sum(len(work.keys) * row[work.table] for work in works)


def _check_disk(out: Path, plan: "Plan", works: "list[Work]") -> None:
    needed, free = _store_bytes(plan, works), _free_bytes(out)
    if needed > free:
        raise UserError(f"{out}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; choose an --out on a larger disk")


def _free_bytes(out: Path) -> int:
    there = next(parent for parent in (out.absolute(), *out.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def _dry_run(args: argparse.Namespace, source: "Source", folder: "EncoderFolder", plan: "Plan", works: "list[Work]") -> int:
    """Print what a run would take; nothing is written."""
    from precompute.pipeline import prepared_batches
    from tipai_jax.store.writer import check_plan

    check_plan(args.out, plan)
    rows = {table: sum(len(work.keys) for work in works if work.table == table) for table in ("prompts", "images")}
    print(f"rows      {source.rows} in {args.data}: {len(source.records)} pairs, {len(source.rejects)} rejects so far")
    print(f"to encode {rows['images']} images, {rows['prompts']} prompts with {plan.encoder.name} ({plan.encoder.patches}, {plan.encoder.dtype}, {plan.device})")
    print(f"bytes     {_store_bytes(plan, works) / 1e6:.1f} MB into {args.out}, {_free_bytes(args.out) / 1e6:.1f} MB free")
    encoder = _load(args, folder, plan)
    threads, size = _threads(args), encoder.batch_size
    images = [work for work in works if work.table == "images"]
    encode = read = 0.0
    count = 0
    for i, batch in zip(range(2), prepared_batches(images, source, encoder.preparation, batch_size=size, threads=1)):
        good = [item.prepared for item in batch.opened if item.prepared is not None]
        began = time.perf_counter()
        encoder.encode_images(good)
        if i == 1 or encode == 0.0:  # the first one also warms up, so the second one counts where there is one
            encode, read, count = time.perf_counter() - began, batch.seconds, len(batch.opened)
    began = time.perf_counter()
    some = [key for work in works if work.table == "prompts" for key in work.keys][: 2 * size]
    encoder.encode_text(some)
    text = (time.perf_counter() - began) / max(1, len(some))
    each = max(encode / size, read / max(1, count) / threads) if plan.device == "cuda" else encode / size + read / max(1, count) / threads
    print(f"estimate  {rows['images'] * each + rows['prompts'] * text:.0f} s from two real batches ({1 / max(each, 1e-9):.0f} images/s)")
    return 0


def _print_summary(out: Path, manifest: "Manifest") -> None:
    counts, encoder = manifest.counts, manifest.encoder
    splits = ", ".join(f"{name} {count}" for name, count in manifest.splits.items())
    print(f"{out}: {counts['pairs']} pairs ({splits}), {counts['images']} images, {counts['prompts']} prompts; {encoder.name}, {encoder.patches} patches")
    if counts["rejects"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in manifest.reject_reasons.items())
        print(f"left out  {counts['rejects']} rows ({reasons}), listed in {out / 'rejects/00000.parquet'}")
    if counts["prompts_in_chunks"]:
        print(f"note      {counts['prompts_in_chunks']} prompts are longer than the encoder reads: encoded in chunks and averaged")
    if counts["prompts_with_unknown_words"]:
        print(f"note      {counts['prompts_with_unknown_words']} prompts hold words that the encoder does not know")
    if manifest.small_world_only:
        print("note      small world only: says nothing of photographs")
    print(f"digest    {manifest.digest}")


def _note_source(writer: "StoreWriter", source: "Source") -> None:
    folder = None if source.folder is None else os.path.relpath(Path(source.folder).resolve(), writer.path.resolve())
    writer.note_source({"data": folder})


def _name_of(data: str) -> str:
    return data.split(":")[1] if data.startswith("tfds:") else Path(data).resolve().name


def _threads(args: argparse.Namespace) -> int:
    return args.threads or min(16, os.cpu_count() or 1)


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return number


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, got {text}")
    return share


def _worker(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"expected I/N with 1 <= I <= N, got {text}")
    return int(part), int(parts)


if __name__ == "__main__":
    raise SystemExit(run_main(main))

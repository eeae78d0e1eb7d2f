"""The command that embeds images and prompts into a store.

    python precompute/embed.py [--data ...] [--encoder ...] [--out ...]

Run again after a kill, it continues where it stopped and ends in the same digest; run again on a finished store, it
repeats the shards that are missing or damaged. Large libraries are imported after the arguments are read, so that
--help answers at once.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):  # run as a file: modules are found from the repository on, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from precompute.compute import BATCH, add_encoder_options, bar_seconds, best_device, choose_batch, choose_dtype
from precompute.from_prompts import check_options, make_images
from tipai_jax.errors import Parser, UserError, run_main, whole_number

if TYPE_CHECKING:
    from precompute.encoders.folder import EncoderFolder
    from precompute.readers.records import Source
    from precompute.shards import Work
    from tipai_jax.store import Manifest, Plan, Shard
    from tipai_jax.store.writer import StoreWriter

SCENES = Path("data/scenes")
SCENE_PAIRS = 40_000
LAUNCHERS = (
    "RANK",
    "WORLD_SIZE",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_MIN",
    "SLURM_ARRAY_TASK_COUNT",
    "SLURM_ARRAY_TASK_STEP",
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; no argument is required.

    Raises:
        UserError: an unknown option, or a value that does not fit.
    """
    parser = Parser(
        prog="precompute/embed.py",
        description="Embed prompts and images once with a frozen CLIP and write them to a store.",
    )
    add = parser.add_argument
    add(
        "--data",
        help=f"folder with pairs.jsonl, or tfds:NAME (default: {SCENES}, drawn first if it is missing); with "
        "--generator the folder that images are written to (default: data/ and the name of the store)",
    )
    add(
        "--prompts",
        type=Path,
        help="file of prompts to generate images for first (default with --generator: that of generate.py)",
    )
    add(
        "--generator",
        metavar="MODEL",
        help="generate images first, as generate.py --model does, and embed the best and the worst image of each "
        "prompt by zero-shot scores as a pair (default with --prompts: scenes)",
    )
    add("--out", type=Path, help="folder of the store (default: store/ and the name of the data)")
    add_encoder_options(
        parser,
        kept="; a store that was begun keeps its own",
        fewer=", fewer for little data and for crops; a store that was begun keeps its own",
    )
    add(
        "--phrases",
        default="own",
        metavar="PARSER",
        help="what takes prompts apart into phrases: own (default), spacy or spacy:MODEL, if you have it; phrases that "
        "the data give are kept",
    )
    add("--threads", type=whole_number(1), help="threads that read and decode (default: one per core, at most 16)")
    add("--images-per-shard", type=whole_number(1), help="images per shard, the unit of work (default: 1024)")
    add(
        "--worker",
        type=_worker,
        metavar="I/N",
        help="do part I of N, counted from 1; start all N, the last one writes the manifest (default: from RANK and "
        "WORLD_SIZE, from SLURM_ARRAY_TASK_ID, or everything)",
    )
    add("--limit", type=whole_number(1), metavar="N", help="read only the first N pairs")
    add(
        "--allow-rejects",
        type=_share,
        default=0.01,
        metavar="FRACTION",
        help="largest share of unusable pairs that is accepted (default: 0.01)",
    )
    add("--data-dir", help="folder of TFDS data sets (default: that of TFDS)")
    add(
        "--dry-run",
        action="store_true",
        help="print pairs, bytes, free disk and an estimate from a few images and prompts; write nothing",
    )
    args = parser.parse_args(arguments)
    args.worker = args.worker or worker_of(os.environ)
    if args.generator or args.prompts:
        check_options(args)
    return args


def worker_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """This worker's number, counted from 1, and the number of workers, from a launcher's environment variables.

    torchrun's RANK and WORLD_SIZE count within a task of SLURM's array.

    Raises:
        UserError: the variables contradict each other.
    """
    given = {name: environment[name] for name in LAUNCHERS if environment.get(name)}
    try:
        number = {name: int(value) for name, value in given.items()}
        rank, world = (number["RANK"], number["WORLD_SIZE"]) if {"RANK", "WORLD_SIZE"} <= given.keys() else (0, 1)
        task, tasks = 0, 1
        if "SLURM_ARRAY_TASK_ID" in given:
            step = number.get("SLURM_ARRAY_TASK_STEP", 1)
            task, tasks = (
                (number["SLURM_ARRAY_TASK_ID"] - number["SLURM_ARRAY_TASK_MIN"]) // step,
                number["SLURM_ARRAY_TASK_COUNT"],
            )
        if not (0 <= rank < world and 0 <= task < tasks):
            raise ValueError
    except (ValueError, KeyError, ZeroDivisionError):
        shown = ", ".join(f"{name}={value}" for name, value in given.items())
        raise UserError(
            f"{shown}: does not tell which part of the work this is; give --worker I/N, or --worker 1/1 for everything"
        ) from None
    return task * world + rank + 1, tasks * world


def main(arguments: list[str] | None = None) -> int:
    """Embed; returns 0."""
    args = parse_arguments(arguments)
    if args.generator or args.prompts:
        args.data = str(make_images(args))
    if args.data is None:
        args.data = str(SCENES)
        if not (SCENES / "pairs.jsonl").exists():
            _draw_scenes(dry_run=args.dry_run)
    args.threads = args.threads or min(16, os.cpu_count() or 1)
    args.out = args.out or Path("store") / _name_of(args.data)

    from precompute.encoders.folder import PHOTO_ENCODER, TINY, find_encoder
    from precompute.readers import read_source
    from precompute.shards import cut_shards

    source = read_source(args.data, limit=args.limit, data_dir=args.data_dir)
    folder = find_encoder(args.encoder or (TINY if source.small_world_only else PHOTO_ENCODER))
    _stop_if_rejected(args, source, source.rejects)
    source = _with_phrases(args, source)
    plan = _plan(args, source, folder)
    works = cut_shards(source, plan.shard_rows)
    if args.dry_run:
        from precompute.forecast import print_forecast

        print_forecast(source, folder, plan, works, out=args.out, threads=args.threads)
        return 0
    if manifest := _finished(args.out, plan, works, source):
        print(f"{args.out}: complete already, nothing to do (digest {manifest.digest})")
        return 0

    from tipai_jax.store.manifest import PLAN
    from tipai_jax.store.writer import StoreWriter

    if not (args.out / PLAN).exists():  # a store is not begun for a device that is not there
        from precompute.pipeline import check_plan_device

        check_plan_device(plan)
    writer = StoreWriter(args.out, plan)
    _note_source(writer, source, folder)
    made = _embed(args, source, folder, writer, works)
    from precompute.finish import finish

    manifest = finish(source, folder, writer, works, made=made, allowed=args.allow_rejects)
    if manifest is not None:
        _print_summary(args.out, manifest)
    return 0


def _draw_scenes(*, dry_run: bool) -> None:
    if dry_run:
        raise UserError(
            f"{SCENES}: not drawn yet, so there is nothing to estimate from; "
            f"draw it with: python precompute/scenes.py --out {SCENES}"
        )
    from precompute.scenes import draw

    print(
        f"{SCENES} is missing: drawing {SCENE_PAIRS} pairs of scenes "
        f"(python precompute/scenes.py --out {SCENES} --pairs {SCENE_PAIRS} --seed 0)"
    )
    draw(SCENES, pairs=SCENE_PAIRS, seed=0)


def _with_phrases(args: argparse.Namespace, source: "Source") -> "Source":
    """The data with the phrases of its prompts, unless the store was begun by a version that knew none."""
    from precompute.phrase_rows import with_phrases
    from tipai_jax.store.manifest import load_plan

    begun = load_plan(args.out) if args.out.is_dir() else None
    if begun is not None and "phrases" not in begun.shard_rows:
        print(f"note      {args.out} was begun without phrases and gets none; for phrases choose another --out")
        return source
    return with_phrases(source, args.phrases)


def _plan(args: argparse.Namespace, source: "Source", folder: "EncoderFolder") -> "Plan":
    """The plan of the store; what the command line leaves open is taken from a store that was begun, else a default."""
    from precompute.shards import unique_keys
    from tipai_jax.store.manifest import Plan, load_plan

    begun = load_plan(args.out) if args.out.is_dir() else None
    device = args.device or (begun.device if begun else best_device())
    dtype = (
        begun.encoder.dtype
        if begun and args.dtype in (None, "auto")
        else choose_dtype(args.dtype, device, parts=args.worker[1])
    )
    patches = args.patches or folder.default_patches
    encoder = folder.fingerprint(patches=patches, dtype=dtype)
    if begun and not begun.encoder.files_digest:  # begun before this was recorded: the plan stays what it is
        encoder = replace(encoder, files_digest="")
    if (micro_batch := args.batch_size or (begun.micro_batch if begun else None)) is None:
        most = max(len(keys) for table, keys in unique_keys(source).items() if table != "phrases")
        micro_batch, why = choose_batch(
            device, most=most, patches=patches, image_size=encoder.image_size, cells=encoder.k
        )
        if why:
            print(f"note      --batch-size {micro_batch} is used instead of {BATCH[device]}: {why}")
    shard_rows = {"prompts": 2048, "images": args.images_per_shard or (begun.shard_rows["images"] if begun else 1024)}
    if source.phrases is not None:
        shard_rows["phrases"] = 2048
    return Plan(
        encoder=encoder,
        data=source.identity,
        small_world_only=encoder.small_world_only or source.small_world_only,
        micro_batch=micro_batch,
        device=device,
        shard_rows=shard_rows,
    )


def _finished(out: Path, plan: "Plan", works: "list[Work]", source: "Source") -> "Manifest | None":
    """The manifest of a store that is already finished and whole; None where shards have to be made.

    Raises:
        UserError: the folder holds a store of another plan, or images have changed since it was made.
    """
    from precompute.shards import committed_shard
    from tipai_jax.store.manifest import MANIFEST, load_manifest
    from tipai_jax.store.writer import StoreWriter, check_plan

    check_plan(out, plan)
    if not (out / MANIFEST).exists():
        return None
    manifest = load_manifest(out)
    writer = StoreWriter(out, plan)
    lost = [
        (shard.table, shard.index)
        for shard in manifest.shards
        if writer.committed(shard.table, shard.index, shard.content) != shard
    ]
    made_of = {(shard.table, shard.index): shard.content for shard in manifest.shards if shard.table in plan.shard_rows}
    whole = [work for work in works if (work.table, work.index) not in lost]
    if made_of != {(work.table, work.index): work.content for work in works} or any(
        committed_shard(writer, work, source, rehash=False) is None for work in whole
    ):
        raise UserError(f"{out}: images have changed since they were embedded; delete the store and embed again")
    if lost:
        print(f"{out}: missing or damaged, embedded again: {', '.join(f'{table} {index}' for table, index in lost)}")
    return None if lost else manifest


def _embed(
    args: argparse.Namespace, source: "Source", folder: "EncoderFolder", writer: "StoreWriter", works: "list[Work]"
) -> "dict[tuple[str, int], Shard]":
    """Embed this worker's shards that are not there yet; returns all that this run made or checked by hash."""
    from precompute.shards import committed_shard

    part, parts = args.worker
    if parts > 1:
        print(f"worker {part} of {parts}")
    known, todo = {}, []
    for i, work in enumerate(works):
        if i % parts == part - 1:
            shard = committed_shard(writer, work, source, rehash=True)
            if shard is None:
                todo.append(work)
            else:
                known[work.table, work.index] = shard
    if known:
        print(f"resuming: {len(known)} shards are there, {len(todo)} to do")
    if not todo:
        return known
    from tqdm import tqdm

    from precompute.forecast import check_disk
    from precompute.pipeline import embed_images, embed_phrases, embed_prompts, load_encoder

    check_disk(args.out, writer.plan, todo)
    encoder = load_encoder(folder, writer.plan)
    prompts, phrases, images = (
        [work for work in todo if work.table == table] for table in ("prompts", "phrases", "images")
    )
    total = sum(len(work.keys) for work in todo)
    with tqdm(total=total, unit="item", mininterval=bar_seconds(), desc="embedding", smoothing=0.1) as bar:
        options = {"threads": args.threads, "done": bar.update, "report": bar.write}
        made = embed_prompts(prompts, source, encoder, writer, **options)
        made += embed_phrases(phrases, encoder, writer, **options)
        made += embed_images(images, source, encoder, writer, **options)
    return known | {(shard.table, shard.index): shard for shard in made}


def _stop_if_rejected(args: argparse.Namespace, source: "Source", rejects: list) -> None:
    """End early when too many pairs are rejected before any image is opened; a dry run writes no list."""
    from precompute.pair_rows import check_rejects, reject_columns
    from tipai_jax.files.atomic import write_file
    from tipai_jax.store.columns import table_bytes
    from tipai_jax.store.manifest import MANIFEST

    listed = None if args.dry_run else args.out / "rejects/00000.parquet"
    try:
        check_rejects(rejects, pairs=source.rows, allowed=args.allow_rejects, listed=listed)
    except UserError:
        finished = (args.out / MANIFEST).exists()  # it keeps its own list
        if listed is not None and not finished and not args.out.is_file():
            write_file(listed, table_bytes(reject_columns(rejects)))
        raise


def _print_summary(out: Path, manifest: "Manifest") -> None:
    counts, encoder = manifest.counts, manifest.encoder
    splits = ", ".join(f"{name} {count}" for name, count in manifest.splits.items())
    print(
        f"{out}: {counts['pairs']} pairs ({splits}), {counts['images']} images, {counts['prompts']} prompts; "
        f"{encoder.name}, {encoder.patches} patches, computed in {encoder.dtype}"
    )
    if "phrases" in counts:
        share = counts["content_words_in_phrases"] / max(1, counts["content_words"])
        print(f"phrases   {counts['phrases']} different ones, which hold {share:.1%} of the prompts' content words")
    if counts["rejects"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in manifest.reject_reasons.items())
        print(f"left out  {counts['rejects']} pairs ({reasons}), listed in {out / 'rejects/00000.parquet'}")
    if counts["prompts_in_chunks"]:
        print(
            f"note      {counts['prompts_in_chunks']} prompts are longer than the encoder reads: "
            "encoded in chunks and averaged"
        )
    if unknown := counts.get("prompts_with_unknown_tokens") or counts.get("prompts_with_unknown_words"):
        print(f"note      {unknown} prompts hold words that are not in the encoder's vocabulary")
    if manifest.small_world_only:
        print("note      drawn scenes only: nothing follows for photographs")
    print(f"digest    {manifest.digest}")


def _note_source(writer: "StoreWriter", source: "Source", encoder: "EncoderFolder") -> None:
    relative = lambda path: os.path.relpath(Path(path).resolve(), writer.path.resolve())
    local = encoder.name == encoder.path.resolve().name  # a hub id and `tiny` are found by their names
    data = None if source.folder is None else relative(source.folder)
    writer.note_source({"data": data, "encoder": relative(encoder.path) if local else None})


def _name_of(data: str) -> str:
    from precompute.readers import TFDS_PREFIX
    from precompute.readers.tfds import data_set_name

    return data_set_name(data.removeprefix(TFDS_PREFIX)) if data.startswith(TFDS_PREFIX) else Path(data).resolve().name


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a share from 0 to 1")
    return share


def _worker(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text}: expected I/N with 1 <= I <= N")
    return int(part), int(parts)


def console() -> int:
    """Run the command `tipai-embed`; returns its exit code, see `run_main`."""
    return run_main(main)


if __name__ == "__main__":
    raise SystemExit(run_main(main))

"""How fast training and embedding are on this machine, against a plain PyTorch loop and against what the machine can
do.

    python scripts/bench.py [--json FILE] [--plot FILE] [--device gpu] [--only step phrases whole sweep images grow]

Everything is made up here: random embeddings, drawn images. Candidates take turns, so that a busy machine hits all of
    them; what is claimed are ratios within
this one call. A row that this machine cannot measure stays empty. How each is made stands in `scripts/benchmark`.
"""

import json
import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.benchmark.rows import Row, at_least, at_most, markdown
from scripts.benchmark.shapes import Shape, step_flops
from tipai_jax.errors import Parser, run_main

VALIDATED = 2_500
"""Pairs that a run of 20,000 is validated on: an eighth, as the plan's split has it."""
PLAN = Shape(pairs=4_096, validation=VALIDATED)
"""d 768, 49 patches, batches of 32; 1 GB of embeddings."""
PLAN_EPOCH = 625
"""Steps of an epoch of 20,000 pairs: so often a run is validated and saved."""
WHOLE = replace(PLAN, pairs=20_000)
"""The training that the plan estimates; 3 GB."""


TINY = Shape(d=160, batch=128, pairs=4_096, validation=64)
"""The quickstart's embeddings and batches."""


class Bench:
    """A call's sizes, folder and device.

    Args:
        folder: of the random stores and the runs; stores are kept for the next call.
        quick: sizes that only show that everything runs. Otherwise short candidates take five turns, whole runs two.
        gpu: on a GPU.
    """

    def __init__(self, folder: Path, *, quick: bool, gpu: bool) -> None:
        self.folder, self.quick, self.gpu = folder, quick, gpu
        self.rounds, self.turns = (1, 1) if quick else (5, 2)
        self.shape = Shape(d=64, k=9, batch=8, hidden=32, pairs=64) if quick else PLAN

    def store(self, shape: Shape):
        """A random store of this shape."""
        from scripts.benchmark.synthetic import write_store

        return write_store(self.folder / f"store-{shape.d}-{shape.k}-{shape.pairs}-{shape.validation}", shape)

    def setup(self, shape: Shape, *, members: int = 1, placement: str = "resident", dtype: str = "float32"):
        """A run, put together but not begun."""
        from scripts.benchmark.ours import config_of
        from tipai_jax.training.setup import Setup

        config = config_of(shape, self.store(shape).path, self.folder / "run", placement=placement, dtype=dtype)
        return Setup(
            [replace(config, seed=i, workdir=str(self.folder / f"run{i}")) for i in range(members)], self.store(shape)
        )

    def scratch(self) -> Path:
        """A folder for a run that nobody keeps."""
        shutil.rmtree(self.folder / "scratch", ignore_errors=True)
        return self.folder / "scratch"


def step(bench: Bench) -> list[Row]:
    """The step and the loop, against the reference and against the machine's limit."""
    from scripts.benchmark.machine import measure_limit
    from scripts.benchmark.ours import input_only, loop_seconds, step_only
    from scripts.benchmark.rounds import alternate, clocked, ratio
    from scripts.benchmark.theirs import arrays_of, whole_loop

    shape, store = bench.shape, bench.store(bench.shape)
    device = "cuda" if bench.gpu else "cpu"
    run, rounded = bench.setup(shape), bench.setup(shape, dtype="bfloat16")
    steps, compiling = step_only(run)
    arrays = arrays_of(store)
    eager = clocked(whole_loop(arrays, shape, device=device), steps=32)
    candidates = {
        "reference": eager,
        "reference, bfloat16": clocked(whole_loop(arrays, shape, device=device, dtype="bfloat16"), steps=32),
    }
    try:
        candidates["reference, compiled"] = clocked(whole_loop(arrays, shape, device=device, compiled=True), steps=32)
    except Exception as error:  # torch.compile needs a C++ compiler; without one it raises errors of many types
        print(f"torch.compile does not work here ({str(error).splitlines()[0][:120]})", file=sys.stderr)
    limits = []

    def limit() -> list[float]:
        limits.append(measure_limit(shape, rounds=3))
        return [limits[-1].step_seconds(shape)]

    every = 1 if bench.quick else round(PLAN_EPOCH / (shape.pairs / shape.batch))
    candidates |= {
        "ours, the step alone": clocked(steps, steps=96, group=run.length),
        "limit": limit,
        "ours, input alone": clocked(input_only(run), steps=32, group=run.length),
        "ours, end to end": lambda: [loop_seconds(shape, store, bench.scratch(), every=every)],
        "ours, bfloat16, the step alone": clocked(step_only(rounded)[0], steps=96, group=rounded.length),
        "ours, bfloat16, end to end": lambda: [
            loop_seconds(shape, store, bench.scratch(), every=every, dtype="bfloat16")
        ],
    }
    found = alternate(candidates, rounds=bench.rounds)
    rows = [
        Row(
            f"{name}: a step",
            timing.median * 1e3,
            "ms",
            detail={"rounds_ms": [1e3 * each for each in timing.rounds], "pairs_per_s": shape.batch / timing.median},
        )
        for name, timing in found.items()
    ]
    for which in ("", "bfloat16, "):
        times, least, most = ratio(found[f"ours, {which}end to end"], found["reference"])
        rows.append(
            at_least(f"{which}end to end, times as fast as the float32 reference", times, 3.5, least=least, most=most)
        )
    same = ratio(found["ours, bfloat16, end to end"], found["reference, bfloat16"])[0]
    rows.append(Row("bfloat16, end to end, times as fast as the bfloat16 reference", same))
    rows.append(
        Row(
            "what the float32 limit itself would be, times as fast as the reference",
            ratio(found["limit"], found["reference"])[0],
        )
    )
    if "reference, compiled" in found:
        rows.append(
            Row(
                "end to end, times as fast as the compiled reference",
                ratio(found["ours, end to end"], found["reference, compiled"])[0],
            )
        )
    share = ratio(found["ours, the step alone"], found["limit"])[0]
    best = max(limits, key=lambda each: each.flops)
    rows.append(
        at_least(
            "the step alone, share of the limit",
            100 * share,
            90,
            "%",
            flops=best.flops,
            bytes_per_s=best.bytes,
            needed_flops=step_flops(shape),
        )
    )
    over = ratio(found["ours, the step alone"], found["ours, end to end"])[0] - 1
    rows.append(at_most("log, validation and checkpoints over the bare step", 100 * over, 5, "%"))
    return [*rows, Row("compilation and the first steps", compiling, "s")]


def phrases(bench: Bench) -> list[Row]:
    """The step of the phrase heads (`base.py`) against the same model and losses in PyTorch."""
    from scripts.benchmark.ours import phrases_config_of, step_only
    from scripts.benchmark.phrase_reference import PhraseLoop
    from scripts.benchmark.rounds import alternate, clocked, ratio
    from tipai_jax.training.setup import Setup

    shape = bench.shape if bench.quick else TINY
    store = bench.store(shape)
    run = Setup(phrases_config_of(shape, store.path, bench.folder / "run"), store)
    candidates = {
        "the same model in PyTorch": clocked(PhraseLoop(store, shape.batch, "cuda" if bench.gpu else "cpu"), steps=16),
        "phrase heads": clocked(step_only(run)[0], steps=16, group=run.length),
    }
    found = alternate(candidates, rounds=bench.rounds)
    times, least, most = ratio(found["phrase heads"], found["the same model in PyTorch"])
    rows = [
        Row(f"{name}: a step", each.median * 1e3, "ms", detail={"pairs_per_s": shape.batch / each.median})
        for name, each in found.items()
    ]
    return [*rows, at_least("phrase heads, times as fast as in PyTorch", times, 1, least=least, most=most)]


def whole(bench: Bench) -> list[Row]:
    """20,000 pairs for 20 epochs, projected from a tenth of them; and what the streaming path holds in memory."""
    from scripts.benchmark.whole import run_whole

    shape = bench.shape if bench.quick else WHOLE
    store = bench.store(shape)
    size = sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file())
    rounds = [
        {name: run_whole(store.path, bench.scratch(), shape, placement=name) for name in ("resident", "streaming")}
        for _ in range(bench.turns)
    ]
    found = {
        name: sorted((each[name] for each in rounds), key=lambda whole: whole.epoch)[len(rounds) // 2]
        for name in rounds[0]
    }
    resident = found["resident"].projected(20)
    over = statistics.median(each["streaming"].projected(20) / each["resident"].projected(20) for each in rounds) - 1
    return [
        at_most(
            "20,000 pairs x 20 epochs, resident, projected", resident / 60, 7, "min", epoch_s=found["resident"].epoch
        ),
        at_most(
            "the same memory-mapped (files in the page cache), over the resident one",
            100 * over,
            15,
            "%",
            epoch_s=found["streaming"].epoch,
        ),
        at_most("memory of the streaming path", found["streaming"].resident / 1e9, 1.5, "GB", store_gb=size / 1e9),
        Row("memory of the resident path", found["resident"].resident / 1e9, "GB"),
        at_most("the whole of it on a GPU", found["resident"].projected(20) if bench.gpu else None, 15, "s"),
    ]


def sweep(bench: Bench) -> list[Row]:
    """Eight runs as one program against one run."""
    from scripts.benchmark.ours import step_only
    from scripts.benchmark.rounds import alternate, clocked, ratio

    one, eight = bench.setup(bench.shape), bench.setup(bench.shape, members=8)
    found = alternate(
        {
            "one": clocked(step_only(one)[0], steps=32, group=one.length),
            "eight": clocked(step_only(eight)[0], steps=16, group=eight.length),
        },
        rounds=bench.rounds,
    )
    times = ratio(found["one"], found["eight"])[0]
    cpu = at_most("eight runs together, over eight times one run", None if bench.gpu else times / 8, 1.15, "x")
    return [cpu, at_most("eight runs together on a GPU, over one run", times if bench.gpu else None, 2, "x")]


def images(bench: Bench) -> list[Row]:
    """Embedding, against a loop that takes one image and one crop after the other."""
    from precompute.encoders.folder import find_encoder
    from scripts.benchmark.images import draw_images, embedded, one_by_one
    from scripts.benchmark.rounds import alternate, ratio
    from scripts.benchmark.vit import LARGE, images_per_second, peak_of, vit_flops

    number = 16 if bench.quick else 1024
    device = "cuda" if bench.gpu else "cpu"
    drawn, folder = draw_images(number), find_encoder("tiny")
    counts = {"dense": number, "raw": number, "crops": max(8, number // 16)}
    ours = {
        name: embedded(folder, drawn, patches=name, number=count, batch_size=64, device=device)
        for name, count in counts.items()
    }
    loop = one_by_one(folder, drawn, number=2 if bench.quick else 8, device=device)
    found = alternate({**ours, "one by one": loop}, rounds=bench.rounds)
    rate = peak = None
    if bench.gpu:
        import torch

        rate, peak = (
            images_per_second(LARGE, device=device, batch_size=256, batches=10),
            peak_of(torch.cuda.get_device_name()),
        )
    share = None if rate is None or peak is None else 100 * rate * vit_flops(LARGE) / peak
    return [
        *[Row(f"images a second, {name}", 1 / timing.median, "") for name, timing in found.items()],
        at_least("crops, times as fast as one by one", ratio(found["crops"], found["one by one"])[0], 2),
        at_least("dense, times as fast as crops", ratio(found["dense"], found["crops"])[0], 20),
        at_most("dense, share of the time in which the encoder waits", 100 * ours["dense"].waiting, 5, "%"),
        Row("dense, share of the work that is reading and resizing", 100 * ours["dense"].preparing, "%"),
        Row("ViT-L/14, random weights, bf16, on a GPU: images a second", rate),
        at_least("ViT-L/14, share of the GPU's stated peak", share, 50, "%"),
    ]


def grow(bench: Bench) -> list[Row]:
    """What a step costs as batch, patches, width and pairs grow: per FLOP it must stay the same."""
    from scripts.benchmark.ours import step_only
    from scripts.benchmark.rounds import alternate, clocked
    from scripts.benchmark.whole import run_whole

    base = replace(
        bench.shape, pairs=bench.shape.pairs if bench.quick else 1024, validation=64
    )  # a dispatch of 16 steps of 32 and more
    sizes = (8, 16) if bench.quick else (16, 32, 64, 128, 256)
    shapes = {
        f"batch {size}": replace(bench.shape, batch=size) for size in sizes
    }  # 16 steps of 256 are all pairs of the plan's shape
    shapes |= {} if bench.quick else {f"K {k}": replace(base, k=k) for k in (49, 256)}
    shapes |= {} if bench.quick else {f"d {d}": replace(base, d=d) for d in (512, 768, 1024)}
    runs = {name: bench.setup(shape) for name, shape in shapes.items()}
    found = alternate(
        {name: clocked(step_only(run)[0], steps=16, group=run.length) for name, run in runs.items()},
        rounds=bench.rounds,
    )
    rates = {name: step_flops(shapes[name]) / timing.median / 1e9 for name, timing in found.items()}
    rows = [
        Row(f"{name}: a step", timing.median * 1e3, "ms", detail={"gflop_per_s": rates[name]})
        for name, timing in found.items()
    ]
    rows.append(
        at_most("cost of a FLOP, dearest size over cheapest", max(rates.values()) / min(rates.values()), 1.5, "x")
    )
    sizes = (32, 64) if bench.quick else (5_000, 20_000)
    made = [replace(bench.shape, pairs=n) for n in sizes]
    held = [
        run_whole(bench.store(shape).path, bench.scratch(), shape, placement="streaming", epochs=2) for shape in made
    ]
    growth = held[1].resident / held[0].resident
    rows.append(at_most(f"memory of the streaming path, {sizes[1]:,} pairs over {sizes[0]:,}", growth, 1.1, "x"))
    per_pair = [(each.epoch / n) for each, n in zip(held, sizes, strict=True)]
    rows.append(
        at_most(f"seconds of a pair, {sizes[1]:,} pairs over {sizes[0]:,}", per_pair[1] / per_pair[0], 1.1, "x")
    )
    return rows


PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "step": step,
    "phrases": phrases,
    "whole": whole,
    "sweep": sweep,
    "images": images,
    "grow": grow,
}


def main() -> int:
    """Measure what is asked for and print the table. The exit code is 1 where a row does not hold."""
    parser = Parser(prog="scripts/bench.py", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts (default: all)")
    parser.add_argument("--json", type=Path, help="write rows, machine and versions there")
    parser.add_argument("--plot", type=Path, help="draw the rows there (PNG or SVG; needs the extra [bench])")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument(
        "--workdir",
        type=Path,
        default=Path("runs/bench"),
        help="random stores and scratch runs (default: runs/bench; up to 5 GB)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to see that everything runs; the figures mean nothing"
    )
    args = parser.parse_args()
    import os

    os.environ.setdefault("JAX_PLATFORMS", "cuda" if args.device == "gpu" else "cpu")

    from scripts.benchmark.machine import count_table, describe
    from tipai_jax.files.atomic import write_file

    bench, parts = Bench(args.workdir, quick=args.quick, gpu=args.device == "gpu"), {}
    print(count_table(bench.shape), "\n", flush=True)
    for name in args.only:
        parts[name] = PARTS[name](bench)
        print(f"{name}\n\n{markdown(parts[name])}\n", flush=True)
    if args.json:
        record = {
            "machine": describe(),
            "quick": args.quick,
            "parts": {name: [row.as_json() for row in rows] for name, rows in parts.items()},
        }
        write_file(args.json, (json.dumps(record, indent=1) + "\n").encode())
    if args.plot:
        from scripts.benchmark.plot import plot

        plot(parts, args.plot)
    return int(any(row.holds is False for rows in parts.values() for row in rows))


if __name__ == "__main__":
    raise SystemExit(run_main(main))

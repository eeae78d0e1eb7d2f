"""Random pairs to be judged by eye: python scripts/look.py [--split test] [--pairs 20] [--seed 7].

Draws one sheet a pair into WORKDIR/look: both images, plain (what is truly wrong in black) and under their heatmaps
with the boxes found, and above them the auditor's score and sentence for each. The pairs are drawn by chance from those
of the split that are no controls, so that nobody chooses what is shown. Everything is judged from the images,
through the public API.
"""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the repository, not this folder, is what modules are found in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tipai_jax.errors import Parser, run_main, whole_number

SIDE = 300


def look(workdir: Path, *, split: str = "test", pairs: int, seed: int, data: Path | None = None) -> list[Path]:
    """Draw the sheets.

    Args:
        workdir: of a trained and evaluated run.
        split: of the store of the run.
        pairs: how many, at most all.
        seed: of the draw.
        data: folder of the images; where they were embedded from if None.

    Returns:
        The paths of the sheets, in the order of the pairs in the store.

    Raises:
        UserError: no run, no store, no such split or no images.
    """
    import numpy as np

    from tipai_jax import Auditor
    from tipai_jax.evaluation.inference import load_run
    from tipai_jax.evaluation.run import data_folder
    from tipai_jax.render import Mark, Panel, draw_marks, panel_sheet
    from tipai_jax.render.images import fit_size, open_image
    from tipai_jax.store import CATEGORIES, open_store
    from tipai_jax.tasks.auditor import pairs_of_split

    store = open_store(load_run(workdir).store["path"])
    folder = data_folder(store, data, needed=True)
    table, auditor = pairs_of_split(store, split), Auditor.from_pretrained(workdir)
    choice = np.flatnonzero(~table.control)
    drawn = np.sort(np.random.default_rng(seed).choice(choice, min(pairs, len(choice)), replace=False)).tolist()
    sheets = []
    for number, index in enumerate(drawn, start=1):
        prompt = str(store.prompts.prompt[table.prompt[index]])
        paths = [folder / str(store.images.path[image]) for image in (table.chosen[index], table.rejected[index])]
        truth = [Mark(box.x1, box.y1, box.x2, box.y2, dashed=box.absent) for box in table.boxes[index]]
        panels, lines = [], []
        for name, path, marks, verdict in zip(
            ("chosen", "rejected"), paths, ([], truth), auditor.score(paths, prompt), strict=True
        ):
            size = fit_size(verdict.size, SIDE)
            image, small = open_image(path).resize(size), verdict.at_size(size)
            panels += [
                Panel(draw_marks(image, marks), name, ""),
                Panel(small.overlay(image), f"{name}, heatmap", ""),
            ]
            lines.append(f"{name}: {verdict.score:.2f}. {verdict.sentence}")
        broken = ", ".join(each for each, state in zip(CATEGORIES, table.category[index]) if state == 1)
        facts = f"pair {table.pair_id[index]}, {table.difficulty[index]}; broken: {broken} ({table.kind[index]})"
        sheets.append(workdir / "look" / f"{split}-seed-{seed}-{number:02d}.png")
        sheets[-1].parent.mkdir(parents=True, exist_ok=True)
        panel_sheet(
            f"{number}. {prompt}", [facts, *lines], panels, side=SIDE, ends=("no risk (no colour)", "at risk")
        ).save(sheets[-1])
        print(sheets[-1], flush=True)
    return sheets


def main() -> int:
    """Draw what the command line asks for; returns 0."""
    parser = Parser(
        prog="scripts/look.py",
        description="Draw random test pairs with heatmaps, boxes and sentences, to be judged by eye.",
    )
    parser.add_argument(
        "--workdir",
        type=Path,
        default=Path("runs/quickstart"),
        help="of a trained and evaluated run (default: runs/quickstart)",
    )
    parser.add_argument("--split", default="test", help="of the store, such as shift-style (default: test)")
    parser.add_argument("--pairs", type=whole_number(1), default=20, help="how many (default: 20)")
    parser.add_argument("--seed", type=whole_number(0), default=7, help="of the draw (default: 7)")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="folder of the images (default: where they were embedded from)"
    )
    args = parser.parse_args()
    look(args.workdir, split=args.split, pairs=args.pairs, seed=args.seed, data=args.data)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))

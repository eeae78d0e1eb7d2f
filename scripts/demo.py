"""The demo, a page on this machine: python scripts/demo.py [--auditor runs/quickstart] [--model scenes] [--data
data/poc] [--port 7860].

Type a prompt: four pictures are made and judged, the best is set against the worst, and the worst is looked at patch by
    patch. Or judge a picture of your own, or
browse a catalogue that `generate.py` and `score.py` made. It owns the command line; the parts stand in
`scripts/demo_app`. Needs the extra: pip install -e '.[demo]'.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the repository, not this folder, is what modules are found in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from precompute.generators import DIFFUSION_MODEL, SCENES
from precompute.prompt_file import read_prompts
from tipai_jax.errors import Parser, UserError, run_main, whole_number

EXAMPLES = Path(__file__).resolve().parent / "demo_app" / "examples.json"
MOST_EXAMPLES = 30


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; no argument is needed.

    Raises:
        UserError: an unknown option, or a value that does not fit.
    """
    parser = Parser(
        prog="scripts/demo.py",
        description=(
            "A page on this machine: make pictures for a prompt, see which keeps it best, where the worst fails, and"
            " why."
        ),
    )
    add = parser.add_argument
    add(
        "--auditor",
        default="runs/quickstart",
        help="folder of a trained and evaluated run, or of a saved auditor, or a hub id (default: runs/quickstart)",
    )
    add(
        "--model",
        default=SCENES,
        help=(
            f"what makes pictures: {SCENES}, which draws, or a text-to-image model of diffusers: a hub id such as"
            f" {DIFFUSION_MODEL}, or a folder (default: {SCENES})"
        ),
    )
    add("--data", type=Path, default=Path("data/poc"), help="folder of the catalogue to browse (default: data/poc)")
    add("--port", type=whole_number(0), default=7860, help="of 127.0.0.1; 0 for any free one (default: 7860)")
    add(
        "--examples",
        type=Path,
        default=EXAMPLES,
        help=f"prompts to choose from, a file as generate.py reads it (default: {EXAMPLES.name} beside the demo)",
    )
    args = parser.parse_args(arguments)
    if args.port > 65535:
        raise UserError(f"--port {args.port}: expected a whole number from 0 to 65535")
    return args


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until it is interrupted; returns 0."""
    args = parse_arguments(arguments)
    examples = read_prompts(args.examples)
    if len(examples) > MOST_EXAMPLES:
        raise UserError(f"{args.examples}: {len(examples)} prompts; expected at most {MOST_EXAMPLES} examples")
    if find_spec("gradio") is None:
        raise UserError(
            "the demo needs Gradio, which is not installed here: source .venv/bin/activate first, or python -m pip"
            " install -c constraints.txt -e '.[demo]'"
        )
    from scripts.demo_app.serve import reserve, serve

    with reserve(args.port) as at:
        print("loading the auditor ...", flush=True)
        from precompute.generate import find_generator
        from scripts.demo_app.desk import Desk
        from tipai_jax.auditor import Auditor

        desk = Desk(Auditor.from_pretrained(args.auditor), find_generator(args.model))
        print(desk.generator.load(), flush=True)
        serve(desk, examples, args.data, at=at)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))

"""The demo, a page on this machine: python -m tipai_jax.demo [--auditor runs/quickstart] [--data data/poc].

Type a prompt: four images are made and scored, the best is set against the worst, and the worst is analysed patch by
patch. Or score an image of your own, or browse a catalogue that `generate.py` and `score.py` made. `tipai-demo` and
`python scripts/demo.py` are the same command. It needs the extra: pip install -e '.[demo]'.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

from precompute.generators import DIFFUSION_MODEL, SCENES
from precompute.prompt_file import read_prompts
from tipai_jax.errors import Parser, UserError, run_main, whole_number

EXAMPLES = Path(__file__).resolve().with_name("examples.json")
MAX_EXAMPLES = 30
DESCRIPTION = "A page on this machine: make images for a prompt, see which keeps it best, and where the worst fails."
HELP = {
    "auditor": "folder of a trained and evaluated run, or of a saved auditor, or a hub id (default: runs/quickstart)",
    "encoder": "name or folder of the auditor's frozen encoder, where it is not the one that the auditor names",
    "model": f"image generator: {SCENES}, which draws, or a text-to-image model of diffusers: a hub id such as "
    f"{DIFFUSION_MODEL}, or a folder (default: {SCENES})",
    "data": "folder of the catalogue to browse (default: data/poc)",
    "port": "port of 127.0.0.1; 0 for any free one (default: 7860)",
    "examples": f"prompts to choose from, a file as generate.py reads it (default: {EXAMPLES.name} beside the demo)",
}


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; no argument is needed.

    Raises:
        UserError: an unknown option, or a value that does not fit.
    """
    parser = Parser(prog="python -m tipai_jax.demo", description=DESCRIPTION)
    parser.add_argument("--auditor", default="runs/quickstart", help=HELP["auditor"])
    parser.add_argument("--encoder", default=None, help=HELP["encoder"])
    parser.add_argument("--model", default=SCENES, help=HELP["model"])
    parser.add_argument("--data", type=Path, default=Path("data/poc"), help=HELP["data"])
    parser.add_argument("--port", type=whole_number(0), default=7860, help=HELP["port"])
    parser.add_argument("--examples", type=Path, default=EXAMPLES, help=HELP["examples"])
    args = parser.parse_args(arguments)
    if args.port > 65535:
        raise UserError(f"--port {args.port}: expected a whole number from 0 to 65535")
    return args


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until it is interrupted; returns 0."""
    args = parse_arguments(arguments)
    examples = read_prompts(args.examples)
    if len(examples) > MAX_EXAMPLES:
        raise UserError(f"{args.examples}: {len(examples)} prompts; expected at most {MAX_EXAMPLES} examples")
    if find_spec("gradio") is None:
        install = "source .venv/bin/activate first, or python -m pip install -c constraints.txt -e '.[demo]'"
        raise UserError(f"the demo needs Gradio, which is not installed here: {install}")
    from tipai_jax.demo.serve import reserve, serve

    with reserve(args.port) as at:
        print("loading the auditor ...", flush=True)
        from precompute.generate import find_generator
        from tipai_jax.auditor.api import Auditor
        from tipai_jax.demo.service import DemoService

        service = DemoService(Auditor.from_pretrained(args.auditor, encoder=args.encoder), find_generator(args.model))
        print(service.load(), flush=True)
        serve(service, examples, args.data, at=at)
    return 0


def console() -> int:
    """Run the command `tipai-demo`; returns its exit code, see `run_main`."""
    return run_main(main)


if __name__ == "__main__":
    raise SystemExit(console())

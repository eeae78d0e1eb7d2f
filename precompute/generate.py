"""The command that generates images for prompts.

    python precompute/generate.py [--prompts FILE] [--model scenes | HUB_ID | FOLDER] [--out FOLDER]

It writes `images/{prompt_id}_{seed}.png` and their rows in `catalog.db`. A folder holds the images of one generator
with one setting. Images and their rows are written one at a time, so that the same command finishes an interrupted run.
"""

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

if __package__ in (None, ""):  # run as a file: modules are found from the repository on, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from precompute.compute import bar_seconds
from precompute.generators import DIFFUSION_MODEL, SCENES
from precompute.prompt_file import PROMPTS, SCENE_PROMPTS, Prompt, read_prompts
from tipai_jax.errors import Parser, UserError, run_main, whole_number

if TYPE_CHECKING:
    from precompute.generators import Generator, Made
    from tipai_jax.store.catalog import Catalog, CatalogImage

__all__ = ["FOLDER", "PER_PROMPT", "find_generator", "generate", "image_id"]

FOLDER = Path("data/poc")
PER_PROMPT = 4
DIFFUSION_OPTIONS = ("steps", "guidance", "size", "device", "dtype")


class DiffusionOptions(TypedDict, total=False):
    """The options of `DiffusionGenerator`, by the names in `DIFFUSION_OPTIONS`; None stands for the default."""

    steps: int | None
    guidance: float | None
    size: int | None
    device: str | None
    dtype: str | None


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; no argument is required.

    Raises:
        UserError: an unknown option, or a value that does not fit.
    """
    parser = Parser(
        prog="precompute/generate.py",
        description="Generate images for prompts, by a diffusers model or by drawing scenes of the small world. Drawn "
        "scenes keep or break their prompt by chance, and the truth is recorded.",
    )
    add = parser.add_argument
    add(
        "--prompts",
        type=Path,
        help=f'JSON list of {{"prompt_id", "prompt", "category"}} (default: {SCENE_PROMPTS.name} for scenes, '
        f"{PROMPTS.name} otherwise, both in precompute/assets)",
    )
    add(
        "--model",
        default=SCENES,
        help=f"{SCENES}, which draws, or a text-to-image model of diffusers: a hub id such as {DIFFUSION_MODEL}, "
        f"or a folder (default: {SCENES})",
    )
    add(
        "--per-prompt",
        type=whole_number(1),
        default=PER_PROMPT,
        help=f"images per prompt, with the seeds 0, 1, ... (default: {PER_PROMPT})",
    )
    add("--out", type=Path, default=FOLDER, help=f"the folder to write (default: {FOLDER})")
    add(
        "--broken",
        type=_chances,
        metavar="P or CATEGORY=P,...",
        help=f"{SCENES}: probability that an image breaks its prompt, for all categories or for some (default: 0.5)",
    )
    add("--steps", type=whole_number(1), help="diffusers: denoising steps (default: the pipeline's own)")
    add("--guidance", type=_guidance, help="diffusers: guidance scale (default: the pipeline's own)")
    add("--size", type=whole_number(8), help="diffusers: side of an image in pixels (default: the pipeline's own)")
    add("--device", choices=("cpu", "cuda"), help="diffusers (default: cuda if there is one)")
    add(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="diffusers (default: float32 on cpu, float16 on cuda)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Generate the images; returns 0."""
    args = parse_arguments(arguments)
    prompts = read_prompts(args.prompts or default_prompts(args.model))
    options = {name: getattr(args, name) for name in (*DIFFUSION_OPTIONS, "broken")}
    generate(prompts, find_generator(args.model, **options), args.out, per_prompt=args.per_prompt)
    return 0


def default_prompts(model: str) -> Path:
    """The project's own file of prompts for a generator."""
    return SCENE_PROMPTS if model == SCENES else PROMPTS


def find_generator(
    model: str, *, broken: dict[str, float] | None = None, **diffusion: Unpack[DiffusionOptions]
) -> "Generator":
    """The generator of a name.

    Args:
        model: `scenes`, a hub id or a folder.
        broken: for scenes, the probability by category that an image breaks its prompt.
        diffusion: for a diffusers model, see `DiffusionOptions`.

    Raises:
        UserError: it is not available, or an option belongs to the other kind of generator.
    """
    if model == SCENES:
        if given := [name for name, value in diffusion.items() if value is not None]:
            raise UserError(
                f"--{given[0]}: only for diffusers models, --model {SCENES} draws; "
                f"leave it out, or name a model such as {DIFFUSION_MODEL}"
            )
        from precompute.generators.scenes import SceneGenerator

        return SceneGenerator(broken)
    if broken is not None:
        raise UserError(f"--broken: only for --model {SCENES}; leave it out with --model {model}")
    from precompute.generators.diffusion import DiffusionGenerator

    return DiffusionGenerator(model, **diffusion)


def image_id(prompt: Prompt, seed: int) -> str:
    """The name of an image."""
    return f"{prompt.prompt_id}_{seed}"


def generate(prompts: Sequence[Prompt], generator: "Generator", out: Path, *, per_prompt: int = PER_PROMPT) -> int:
    """Generate the images that are not there yet.

    Args:
        prompts: of the images.
        generator: of the images.
        out: the folder of the catalogue.
        per_prompt: images per prompt, with the seeds 0, 1, ...

    Returns:
        The number of images generated now.

    Raises:
        UserError: a prompt that the generator cannot use, or a folder that holds something else.
    """
    from tqdm import tqdm

    from tipai_jax.store.catalog import CATALOG, open_catalog

    generator.check(prompts)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / CATALOG).exists())):
        raise UserError(f"{out}: is not empty and holds no {CATALOG}; choose another --out")
    wanted = [(prompt, seed) for prompt in prompts for seed in range(per_prompt)]
    with open_catalog(out, create=True) as catalog:
        known = {image.image_id: image for image in catalog.images()}
        _check_same(out, generator, prompts, list(known.values()))
        todo = [(prompt, seed) for prompt, seed in wanted if not _whole(out, known.get(image_id(prompt, seed)))]
        if not todo:
            print(f"{out}: complete already, {len(wanted)} images ({generator.label})")
            return 0
        if generator.notice:
            _write_notice(out, generator)
        if len(todo) < len(wanted):
            print(f"resuming: {len(wanted) - len(todo)} images are there, {len(todo)} to generate")
        print(generator.load())
        doing = "drawing" if generator.drawn else "generating"
        for prompt, seed in tqdm(todo, desc=doing, unit="image", mininterval=bar_seconds()):
            _put(catalog, generator, prompt, seed)
        _print_summary(catalog, wanted)
    return len(todo)


def _check_same(out: Path, generator: "Generator", prompts: Sequence[Prompt], known: "list[CatalogImage]") -> None:
    """Refuse a folder whose images are of another generator, other settings or other prompts of the same names."""
    settings = _settings(generator)
    if other := next(
        (image for image in known if (image.generator, image.settings) != (generator.label, settings)), None
    ):
        differs = (
            f"by {other.generator}"
            if other.generator != generator.label
            else f"with {other.settings} instead of {settings}"
        )
        raise UserError(f"{out}: holds images made {differs}; choose another --out for those of {generator.label}")
    words = {image.prompt_id: image.prompt for image in known}
    for prompt in prompts:
        if words.get(prompt.prompt_id, prompt.prompt) != prompt.prompt:
            raise UserError(
                f'{out}: prompt {prompt.prompt_id} is "{words[prompt.prompt_id]}" there, not "{prompt.prompt}"; '
                "choose another prompt_id or another --out"
            )


def _settings(generator: "Generator") -> str:
    from tipai_jax.files.atomic import canonical_json

    return canonical_json(dict(generator.settings)).decode()


def _whole(out: Path, image: "CatalogImage | None") -> bool:
    """Whether the file of an image is there and unchanged."""
    from tipai_jax.files.atomic import sha256_file

    return image is not None and (out / image.path).is_file() and sha256_file(out / image.path) == image.sha256


def _put(catalog: "Catalog", generator: "Generator", prompt: Prompt, seed: int) -> None:
    """Generate one image and write its file, then its row, without which the image does not count."""
    from tipai_jax.files.atomic import sha256_bytes, write_file
    from tipai_jax.store.catalog import CatalogImage

    made = generator.make(prompt, seed)
    data = _png(made, generator, prompt, seed)
    path = f"images/{image_id(prompt, seed)}.png"
    write_file(catalog.folder / path, data)
    truth = made.truth
    catalog.put_image(
        CatalogImage(
            image_id=image_id(prompt, seed),
            sha256=sha256_bytes(data),
            prompt_id=prompt.prompt_id,
            prompt=prompt.prompt,
            category=prompt.category,
            seed=seed,
            path=path,
            generator=generator.label,
            settings=_settings(generator),
            drawn=generator.drawn,
            broken=truth.broken if truth else None,
            broken_category=truth.category if truth else "",
            kind=truth.kind if truth else "",
            boxes=truth.boxes if truth else (),
        )
    )


def _png(made: "Made", generator: "Generator", prompt: Prompt, seed: int) -> bytes:
    """The bytes of a PNG whose metadata name the prompt, the seed and the generator."""
    from PIL.PngImagePlugin import PngInfo

    metadata = PngInfo()
    metadata.add_itxt("prompt_id", prompt.prompt_id)
    metadata.add_itxt("prompt", prompt.prompt)
    metadata.add_itxt("seed", str(seed))
    metadata.add_itxt("generator", generator.label)
    metadata.add_itxt("settings", _settings(generator))
    if generator.notice:
        metadata.add_itxt("Copyright", generator.notice)
    buffer = io.BytesIO()
    made.image.convert("RGB").save(buffer, "png", pnginfo=metadata)
    return buffer.getvalue()


def _write_notice(out: Path, generator: "Generator") -> None:
    """Write the licence of drawn images, and the file that marks them and all that is made from them as drawn."""
    from tipai_jax.files.atomic import write_file

    world = {"small_world_only": generator.drawn, "generator": generator.label, **generator.settings}
    write_file(out / "world.json", (json.dumps(world, indent=1) + "\n").encode())
    write_file(out / "ATTRIBUTION.md", (generator.notice + "\n").encode())


def _print_summary(catalog: "Catalog", wanted: list[tuple[Prompt, int]]) -> None:
    named = {image_id(prompt, seed) for prompt, seed in wanted}
    images = [image for image in catalog.images() if image.image_id in named]
    print(
        f"{catalog.folder}: {len(images)} images of {len({image.prompt_id for image in images})} prompts "
        f"by {images[0].generator}"
    )
    known = [image for image in images if image.broken is not None]
    if known:
        broken = [image.broken_category for image in known if image.broken]
        parts = ", ".join(f"{category} {broken.count(category)}" for category in sorted(set(broken)))
        print(
            f"truth: {len(known) - len(broken)} keep their prompt, {len(broken)} break it"
            f"{f' ({parts})' if parts else ''}"
        )


def _chances(text: str) -> dict[str, float]:
    """Read `0.5`, or `object=0.3,text=0.8`: a probability by category."""
    from tipai_jax.store import CATEGORIES

    entries = text.split(",") if "=" in text else [f"{category}={text}" for category in CATEGORIES]
    chances = {}
    for entry in entries:
        category, _, number = entry.partition("=")
        try:
            chances[category] = float(number)
        except ValueError:
            chances[category] = -1.0
        if category not in CATEGORIES or not 0 <= chances[category] <= 1:
            raise argparse.ArgumentTypeError(
                f"{text}: expected a probability from 0 to 1, or CATEGORY=P,... with {', '.join(CATEGORIES)}"
            )
    return chances


def _guidance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 100")
    return value


if __name__ == "__main__":
    raise SystemExit(run_main(main))

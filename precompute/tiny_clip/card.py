"""The folder of a trained small CLIP: weights in f16, configuration, tokenizer, preprocessing, card and figures."""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file
from transformers import CLIPImageProcessorPil, CLIPModel

from precompute.encoders.folder import GRID
from precompute.tiny_clip.exam import Row, examine, style_table, table, trials
from precompute.tiny_clip.shape import JOINT, MEAN, SIDE, STD, build_tokenizer
from precompute.tiny_clip.training import Recipe
from tipai_jax.files.atomic import sha256_file

CARD = """# tiny_clip: the default encoder

**Small world only.** This CLIP was trained on scenes of recoloured OpenMoji pictograms drawn by `precompute/world`
and on nothing else. It knows no photographs; every store, run and image made with it carries the stamp
`small_world_only`.

- Shape: `transformers.CLIPModel`, {millions:.2f} million parameters, {side} px, {grid}x{grid} patches,
  joint width {joint}, weights f16.
- Data: {scenes:,} freshly drawn scenes ({steps:,} steps of {batch}), each with one caption. The combinations of object
  and colour that the test split keeps for itself never occurred.
- Losses: images against captions, and the patches of each thing against phrases such as "a red car" and "a car". No
  hard negatives.
- Made by `{command}`.
- SHA-256 of `model.safetensors`: `{sha256}`.
- Pictograms: OpenMoji, CC BY-SA 4.0.

Measured on {n} unseen pairs a cell.

## An image prefers its own caption to the one that differs in one thing

{captions}

## A caption prefers its own image to the one that differs in one thing (zero-shot pair AUC)

{pairs}
{styles}"""


def made_by(recipe: Recipe) -> str:
    """The command that makes the weights of a recipe."""
    return "python scripts/train_tiny_clip.py " + " ".join(
        f"--{name} {value}" for name, value in asdict(recipe).items()
    )


def export(model: CLIPModel, out: Path, recipe: Recipe, *, number: int) -> None:
    """Write the folder that `--encoder tiny` reads.

    Args:
        model: trained.
        out: the folder.
        recipe: of its training.
        number: squares of a cell of the card's tables.
    """
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    model.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    found = examine(model, tokenizer, trials(number))
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    model.config.save_pretrained(out)
    tokenizer.save_pretrained(out)
    CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        resample=4,
        image_mean=list(MEAN),
        image_std=list(STD),
        do_convert_rgb=True,
    ).save_pretrained(out)
    write_card(out, recipe, found, parameters=sum(p.numel() for p in model.parameters()))


def write_card(out: Path, recipe: Recipe, rows: list[Row], *, parameters: int) -> None:
    """Write README.md and figures.json beside weights that are there."""
    scenes, digest = recipe.steps * recipe.batch, sha256_file(out / "model.safetensors")
    figures = {"recipe": asdict(recipe), "scenes": scenes, "weights_sha256": digest, "rows": rows}
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    styles = style_table(rows)
    (out / "README.md").write_text(
        CARD.format(
            millions=parameters / 1e6,
            side=SIDE,
            grid=GRID,
            joint=JOINT,
            scenes=scenes,
            steps=recipe.steps,
            batch=recipe.batch,
            command=made_by(recipe),
            sha256=digest,
            n=rows[0]["n"],
            captions=table(rows, "caption_accuracy"),
            pairs=table(rows, "pair_auc"),
            styles=f"\n## By style of the image\n\n{styles}\n" if styles else "",
        )
    )

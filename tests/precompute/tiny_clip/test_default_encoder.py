"""The committed encoder is what its card says, and its card says enough: the figures in it hold the thresholds that the project set itself."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

FOLDER = Path(__file__).parents[3] / "precompute" / "assets" / "tiny_clip"
FIGURES = json.loads((FOLDER / "figures.json").read_text())
CELLS = {(row["category"], row["difficulty"]): row for row in FIGURES["rows"]}


@pytest.mark.parametrize("category", ["object", "attribute", "counting", "spatial", "text"])
@pytest.mark.parametrize("difficulty", ["easy", "medium"])
def test_a_picture_prefers_its_own_caption(category, difficulty):
    row = CELLS[category, difficulty]
    assert row["n"] >= 400
    assert row["caption_accuracy"] >= (0.85 if category == "text" else 0.95)


def test_hard_is_not_solved_without_training():
    hard = [row["pair_auc"] for (_, difficulty), row in CELLS.items() if difficulty == "hard"]
    assert len(hard) == 5 and sum(hard) / 5 < 0.85


def test_the_folder_is_small_half_precision_and_stamped():
    assert (FOLDER / "model.safetensors").stat().st_size < 16_000_000
    with safe_open(FOLDER / "model.safetensors", "np") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F16"}  # noqa: SIM118
    assert json.loads((FOLDER / "config.json").read_text())["tipai_small_world_only"] is True
    card = (FOLDER / "README.md").read_text()
    assert "Small world only" in card and f"{FIGURES['steps']:,} steps" in card and "CC BY-SA 4.0" in card

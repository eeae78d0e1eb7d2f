"""The committed encoder is what its card states, and the figures in the card meet the project's thresholds."""

import hashlib
import json
from pathlib import Path

import pytest
from safetensors import safe_open
from transformers import AutoTokenizer, CLIPModel

from precompute.encoders.folder import find_encoder
from precompute.tiny_clip.exam import examine, table, trials

FOLDER = Path(__file__).parents[3] / "precompute" / "assets" / "tiny_clip"
FIGURES = json.loads((FOLDER / "figures.json").read_text())
CELLS = {(row["category"], row["difficulty"]): row for row in FIGURES["rows"] if "category" in row}


@pytest.mark.parametrize("category", ["object", "attribute", "counting", "text"])
@pytest.mark.parametrize("difficulty", ["easy", "medium"])
def test_an_image_prefers_its_own_caption(category, difficulty):
    row = CELLS[category, difficulty]
    assert row["n"] >= 400
    assert row["caption_accuracy"] >= 0.85


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_relations_are_left_to_the_heads(difficulty):
    """No caption of the training differs from another in its relation alone; the cosine is near chance, and says so."""
    assert 0.5 < CELLS["spatial", difficulty]["caption_accuracy"] < 0.65


def test_hard_is_not_solved_without_training():
    hard = [row["pair_auc"] for (_, difficulty), row in CELLS.items() if difficulty == "hard"]
    assert len(hard) == 5 and sum(hard) / 5 < 0.85


def test_the_folder_is_small_half_precision_and_stamped():
    assert (FOLDER / "model.safetensors").stat().st_size < 16_000_000
    with safe_open(FOLDER / "model.safetensors", "np") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F16"}  # noqa: SIM118
    assert json.loads((FOLDER / "config.json").read_text())["tipai_small_world_only"] is True
    assert hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest() == FIGURES["weights_sha256"]
    assert find_encoder("tiny").default_patches == "tiles"
    card = (FOLDER / "README.md").read_text()
    assert all(table(FIGURES["rows"], key) in card for key in ("caption_accuracy", "pair_auc"))
    assert "Small world only" in card and "CC BY-SA 4.0" in card


def test_the_weights_do_what_the_figures_say():
    """The first unseen squares of each cell: within three standard deviations of the card, or of one wrong in 40."""
    rows = examine(CLIPModel.from_pretrained(FOLDER).float().eval(), AutoTokenizer.from_pretrained(FOLDER), trials(20))
    cells = [row for row in rows if "category" in row]
    assert len(cells) == 15
    for row in cells:
        known = min(CELLS[row["category"], row["difficulty"]]["caption_accuracy"], 1 - 1 / 40)
        assert abs(row["caption_accuracy"] - known) <= 3 * (known * (1 - known) / row["n"]) ** 0.5, row

"""The training script as a whole, in seconds, and the card that it writes."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from precompute.encoders.folder import EncoderFolder, find_encoder
from precompute.tiny_clip.exam import style_table, table
from precompute.tiny_clip.training import Training
from tipai_jax.errors import UserError
from tipai_jax.files.atomic import sha256_file

ROOT = Path(__file__).parents[2]


def run(*options):
    """Call the script's `main`."""
    spec = importlib.util.spec_from_file_location("train_tiny_clip", ROOT / "scripts" / "train_tiny_clip.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train_tiny_clip.py", *map(str, options)])
        script.main()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    before, workdir = torch.get_num_threads(), tmp_path_factory.mktemp("tiny_clip")
    run("--smoke", "--workdir", workdir)
    yield workdir
    torch.set_num_threads(before)


def check_card(folder):
    """Card, figures and weights of an encoder's folder belong together, and the card has the command."""
    figures, card = json.loads((folder / "figures.json").read_text()), (folder / "README.md").read_text()
    digest = sha256_file(folder / "model.safetensors")
    assert figures["weights_sha256"] == digest and f"`{digest}`" in card
    command = " ".join(f"--{name} {value}" for name, value in figures["recipe"].items())
    assert f"Made by `python scripts/train_tiny_clip.py {command}`" in card
    assert set(figures["recipe"]) == {"seed", "batch", "rate", "steps", "precision"}
    assert f"{figures['scenes']:,} freshly drawn scenes ({figures['recipe']['steps']:,} steps" in card
    assert all(table(figures["rows"], key) in card for key in ("caption_accuracy", "pair_auc"))
    assert style_table(figures["rows"]) in card


def test_a_small_training_makes_an_encoder(trained):
    folder = trained / "encoder"
    check_card(folder)
    encoder = find_encoder(str(folder))
    assert isinstance(encoder, EncoderFolder) and encoder.small_world_only and encoder.default_patches == "tiles"
    with safe_open(folder / "model.safetensors", "np") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"F16"}  # noqa: SIM118


def test_the_command_of_the_card_makes_the_same_weights(trained, tmp_path, monkeypatch):
    """With another number of threads, and interrupted after two steps, of which the first was kept."""
    card = (trained / "encoder" / "README.md").read_text()
    options = re.search(r"train_tiny_clip\.py (.*?)`", card)[1].split()
    options += ["--examine", 2, "--loaders", 0, "--threads", 3, "--workdir", tmp_path]
    advance, kept = Training.advance, Training.save

    def interrupted(training, batch):
        advance(training, batch)
        if training.step == 1:
            kept(training, tmp_path / "last.pt")
            return [0.0, 0.0]
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(*options)
    monkeypatch.setattr(Training, "advance", advance)
    run(*options)
    same = [sha256_file(folder / "encoder" / "model.safetensors") for folder in (trained, tmp_path)]
    assert same[0] == same[1]


def test_another_recipe_in_the_same_folder_is_refused(trained):
    with pytest.raises(UserError, match="--workdir"):
        run("--smoke", "--seed", "1", "--workdir", trained)


def test_the_committed_weights_are_those_of_their_card():
    check_card(ROOT / "precompute" / "assets" / "tiny_clip")

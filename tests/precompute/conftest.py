"""One random CLIP and one pairs folder for all tests of precompute, and a way to run the command in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from random_clip import write_clip, write_pairs


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """A CLIP folder whose token grid is 7x7."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip")


@pytest.fixture(scope="session")
def fine_clip(tmp_path_factory) -> Path:
    """A CLIP folder whose token grid is 16x16, as that of ViT-L/14."""
    return write_clip(tmp_path_factory.mktemp("clip") / "fine", image_size=64, patch_size=4)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> Path:
    """A folder of 12 pairs over 12 images."""
    return write_pairs(tmp_path_factory.mktemp("data") / "pairs")


@pytest.fixture(autouse=True, scope="session")
def one_core() -> None:
    """Torch waits for its own threads by spinning: on a busy machine two are ten times slower than one."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def embed(clip, capsys) -> Callable[..., str]:
    """Run `embed.py` in this process with the random CLIP; returns what it printed."""
    from precompute.embed import main

    def run(data: Path | str, out: Path, *more: str) -> str:
        capsys.readouterr()
        fixed = [
            "--data",
            str(data),
            "--encoder",
            str(clip),
            "--out",
            str(out),
            "--device",
            "cpu",
            "--batch-size",
            "4",
            "--images-per-shard",
            "5",
            "--threads",
            "2",
        ]
        assert main([*fixed, *more]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="session")
def scored(tmp_path_factory) -> Path:
    """A folder of sixteen drawn images of four prompts, scored by the small encoder; not to be written to."""
    from catalog_world import write_prompts

    from precompute.generate import main as generate
    from precompute.score import main as score

    folder = tmp_path_factory.mktemp("catalog")
    assert generate(["--prompts", str(write_prompts(folder / "prompts.json")), "--out", str(folder / "poc")]) == 0
    assert score(["--data", str(folder / "poc"), "--device", "cpu"]) == 0
    return folder / "poc"


@pytest.fixture
def catalog_copy(scored, tmp_path) -> Path:
    """A copy of `scored` of one's own."""
    import shutil

    return shutil.copytree(scored, tmp_path / "poc")

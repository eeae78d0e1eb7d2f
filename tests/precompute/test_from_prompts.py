"""From prompts to a store in one command: the same store as by the single steps, and the same command goes on."""

import pytest
from catalog_world import write_prompts

from precompute.embed import main as embed
from precompute.generate import main as generate
from precompute.pairs import main as pairs
from precompute.score import main as score
from tipai_jax.errors import UserError
from tipai_jax.store import open_store


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_prompts(tmp_path / "p.json")
    return [
        "--prompts",
        "p.json",
        "--generator",
        "scenes",
        "--device",
        "cpu",
        "--batch-size",
        "8",
        "--threads",
        "1",
        "--out",
        "store/one",
    ]


def test_one_command_ends_where_the_single_steps_end(command, tmp_path, capsys):
    assert embed(command) == 0
    store = open_store(tmp_path / "store/one")
    assert (
        store.manifest.counts["pairs"] == 4
        and store.manifest.small_world_only
        and store.manifest.encoder.name == "tiny"
    )
    assert store.image_path(0).is_file() and (tmp_path / "data/one/catalog.db").exists()
    capsys.readouterr()
    assert embed(command) == 0
    printed = capsys.readouterr().out
    assert (
        "complete already, 16 pictures" in printed
        and "scored already, 16 pictures" in printed
        and "nothing to do" in printed
    )
    steps = ["--data", "data/two", "--device", "cpu", "--batch-size", "8"]
    generate(["--prompts", "p.json", "--out", "data/two"])
    score(steps)
    pairs(["--data", "data/two", "--jsonl", "data/two/pairs.jsonl"])
    embed([*steps, "--threads", "1", "--out", "store/two"])
    assert open_store(tmp_path / "store/two").manifest.digest == store.manifest.digest


def test_the_folder_of_the_pictures_can_be_named(command, tmp_path):
    embed([*command, "--data", "mine"])
    assert (tmp_path / "mine/pairs.jsonl").exists() and not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            ["--dry-run"],
            r"--dry-run: there are no pictures yet to estimate from; make them first with precompute/generate\.py",
        ),
        (["--worker", "1/2"], "--worker: pictures are made by one process; make them first"),
        (["--data", "tfds:x"], "--data tfds:x: with --generator it names the folder that pictures are made in"),
    ],
)
def test_what_cannot_be_joined_is_refused(command, tmp_path, more, line):
    with pytest.raises(UserError, match=line):
        embed([*command, *more])
    assert {path.name for path in tmp_path.iterdir()} == {"p.json"}

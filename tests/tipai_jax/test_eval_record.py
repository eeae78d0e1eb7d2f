"""The commands in a record train the very config they stand beside."""

import dataclasses
import shlex

from eval_world import write_store

from tipai_jax.cli import load_config, parse_config
from tipai_jax.eval_record import _embed_command, train_command


def again(command):
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "tipai_jax.train"]
    return parse_config(words[3:], prog="train", description="")


def test_the_train_command_gives_the_config_back():
    for name in ("base.py", "scenes.py"):
        config = load_config(name)
        assert again(train_command(config)) == config
    plain = load_config("base.py")
    odd = dataclasses.replace(
        plain,
        workdir="runs/a b",
        profile="1:2",
        optim=dataclasses.replace(plain.optim, clip_norm=1.5, peak_lr=1e-7),
        log=dataclasses.replace(plain.log, progress=False),
    )
    assert again(train_command(odd)) == odd
    assert train_command(plain) == "python -m tipai_jax.train --config base.py --store store/scenes --workdir runs/base"


def test_the_embed_command_names_the_encoder_and_never_a_folder_elsewhere(tmp_path, monkeypatch):
    store = write_store(tmp_path / "store", splits={"test": 4}, pictures=tmp_path / "data")
    wanted = "--encoder planted --patches dense --dtype float32 --device cpu"
    assert f"--data FOLDER {wanted}" in _embed_command(store), (
        "the pictures lie outside the folder that the command is run in"
    )
    monkeypatch.chdir(tmp_path)
    assert f"--data data {wanted}" in _embed_command(store)

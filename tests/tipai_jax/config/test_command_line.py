from pathlib import Path

import pytest

from tipai_jax.config.command_line import load_config, parse_config
from tipai_jax.errors import UserError


def parse(*arguments):
    return parse_config(arguments, prog="train", description="Train.")


def test_overrides_on_top_of_a_config_file():
    config = parse(
        "--config=base.py",
        "--optim.peak-lr=3e-4",
        "--workdir",
        "w",
        "--data.batch_size",
        "8",
        "--log.progress",
        "False",
        "--optim.clip-norm=2",
    )
    assert (config.optim.peak_lr, config.workdir, config.data.batch_size, config.log.progress) == (3e-4, "w", 8, False)
    assert config.optim.clip_norm == 2.0 and config.optim.weight_decay == load_config("base").optim.weight_decay


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("--optim.peek-lr=1", "--optim.peak-lr"),
        ("--lr", "--optim.peak-lr"),
        ("--batch-size=3", "--data.batch-size"),
        ("--optm.warmup-steps", "--optim.warmup-steps"),
    ],
)
def test_a_misspelt_option_is_answered_with_what_was_meant(argument, meant):
    with pytest.raises(UserError, match=f"did you mean {meant}") as caught:
        parse(argument)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--optim.peak-lr=fast"], "--optim.peak-lr fast: expected a number (see train --help)"),
        (["--model.heads", "none"], "--model.heads none: expected plan or phrases"),
        (["--model.saliency", "decoder"], "--model.saliency is gone: tipai_jax 0.1.0 was the last that knew it"),
        (["--model.patch-sees.attention=True"], "--model.patch-sees.attention is gone"),
        (["--model.hidden", "64"], "model.hidden is 64, but --model.heads=phrases does not read it"),
        (["--log.progress", "yes"], "--log.progress yes: expected True or False"),
        (["--data.epochs", "many"], "--data.epochs many: expected a whole number"),
        (["--data.epochs", "0"], "data.epochs is 0; allowed is a whole number from 1"),
        (["stray"], "stray"),
        (["--config"], "--config needs the name"),
        (["--config", "bsae.py"], "did you mean base.py"),
        (["--config", str(Path(__file__).parents[3] / "pyproject.toml")], "pyproject.toml: expected a .py file"),
    ],
)
def test_a_mistake_is_one_line(arguments, says):
    with pytest.raises(UserError) as caught:
        parse(*arguments)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "this one does not"),
        ("def get_config(): return 3", "returned a int"),
        ("def get_config(:", "cannot be read as a config"),
        ("import no_such_module", "cannot be read as a config"),
        (
            (
                "from dataclasses import replace\nfrom tipai_jax.config import ModelConfig\ndef get_config(): return"
                " replace(ModelConfig(), hiden=3)"
            ),
            "; did you mean hidden?",
        ),
        (
            ("from tipai_jax.config import InputFeatures\ndef get_config(): return InputFeatures(attention=True)"),
            "'attention'; it is gone: tipai_jax 0.1.0",
        ),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, text, says):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        load_config(str(path))
    assert str(path) in str(caught.value)


def test_help_lists_every_option_with_its_meaning(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_config(["--help"], prog="train", description="Train.")
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "--optim.peak-lr FLOAT (0.004)\n        Learning rate at the end of the warm-up." in shown
    assert "--model.patch-inputs.text BOOL (True)\n        The prompt. " in shown

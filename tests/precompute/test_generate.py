"""Generating images: metadata of the files, resuming an interrupted run, and refusal of foreign folders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from catalog_world import PROMPTS, write_prompts
from PIL import Image
from random_pipeline import write_pipeline

from precompute.generate import main
from precompute.readers import read_source
from precompute.readers.pairs import is_small_world
from tipai_jax.errors import UserError
from tipai_jax.files.atomic import sha256_file
from tipai_jax.store.catalog import CATALOG, open_catalog

COMMAND = [sys.executable, str(Path(__file__).parents[2] / "precompute/generate.py")]


@pytest.fixture
def prompts(tmp_path):
    return write_prompts(tmp_path / "prompts.json")


def images(folder):
    with open_catalog(folder) as catalog:
        return catalog.images()


def files(folder):
    return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}


def test_every_image_is_in_the_catalogue_and_states_that_it_was_drawn(prompts, tmp_path, capsys):
    assert main(["--prompts", str(prompts), "--out", str(tmp_path / "o")]) == 0
    made = images(tmp_path / "o")
    expected = [f"{entry['prompt_id']}_{seed}" for entry in PROMPTS for seed in range(4)]
    assert [image.image_id for image in made] == expected
    assert {path.name for path in (tmp_path / "o/images").iterdir()} == {f"{image.image_id}.png" for image in made}
    for image in made:
        path = tmp_path / "o" / image.path
        assert image.sha256 == sha256_file(path) and image.drawn and "drawn, not generated" in image.generator
        with Image.open(path) as opened:
            assert opened.size == (224, 224) and "drawn, not generated" in opened.info["generator"]
            assert (opened.info["prompt"], opened.info["seed"]) == (
                image.prompt,
                str(image.seed),
            ) and "OpenMoji" in opened.info["Copyright"]
        assert image.broken is not None and bool(image.boxes) == image.broken
    assert "OpenMoji" in (tmp_path / "o/ATTRIBUTION.md").read_text() and is_small_world(tmp_path / "o")
    broken = sum(image.broken for image in made)
    assert f"truth: {16 - broken} keep their prompt, {broken} break it" in capsys.readouterr().out


def test_the_same_command_makes_anew_only_what_is_missing_or_changed(prompts, tmp_path, capsys):
    command = ["--prompts", str(prompts), "--out", str(tmp_path / "o")]
    main(command)
    before, made = files(tmp_path / "o"), images(tmp_path / "o")
    kept = tmp_path / "o/images/c1_0.png"
    changed_at = kept.stat().st_mtime_ns
    (tmp_path / "o/images/c2_1.png").unlink()
    (tmp_path / "o/images/c3_3.png").write_bytes(b"half an image")
    capsys.readouterr()
    main(command)
    assert "resuming: 14 images are there, 2 to generate" in capsys.readouterr().out
    assert files(tmp_path / "o") == before and images(tmp_path / "o") == made and kept.stat().st_mtime_ns == changed_at
    main(command)
    assert "complete already, 16 images" in capsys.readouterr().out
    main([*command, "--per-prompt", "5"])
    assert len(images(tmp_path / "o")) == 20 and {name: files(tmp_path / "o")[name] for name in before} == before


def test_kill_in_the_middle_and_run_again(tmp_path):
    many = write_prompts(
        tmp_path / "many.json",
        [{"prompt_id": f"m{i}", "prompt": "three red apples and a blue cup in a room"} for i in range(40)],
    )
    command = ["--prompts", str(many), "--per-prompt", "5"]
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    process = subprocess.Popen(
        [*COMMAND, *command, "--out", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while len(list(killed.glob("images/*.png"))) < 5 and time.monotonic() < deadline:
        assert process.poll() is None, "it was over before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 5 <= len(list(killed.glob("images/*.png"))) < 200
    assert main([*command, "--out", str(killed)]) == 0 and main([*command, "--out", str(alone)]) == 0
    whole = {name: data for name, data in files(killed).items() if not name.startswith(".")}
    assert whole == files(alone) and images(killed) == images(alone)


def test_one_folder_holds_one_generator_one_setting_and_one_meaning_of_a_prompt(prompts, tmp_path):
    out = ["--out", str(tmp_path / "o")]
    main(["--prompts", str(prompts), *out])
    before = files(tmp_path / "o")
    with pytest.raises(
        UserError,
        match=r'holds images made with .*"attribute":0.5.* instead of .*"attribute":0.2.*choose another --out',
    ):
        main(["--prompts", str(prompts), "--broken", "0.2", *out])
    other = write_prompts(tmp_path / "other.json", [{"prompt_id": "c1", "prompt": "a blue car"}])
    with pytest.raises(
        UserError, match='prompt c1 is "a red car on the beach" there, not "a blue car"; choose another prompt_id'
    ):
        main(["--prompts", str(other), *out])
    assert files(tmp_path / "o") == before


def test_a_folder_with_something_else_is_left_alone(prompts, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o/thesis.txt").write_text("x")
    with pytest.raises(UserError, match=r"is not empty and holds no catalog\.db; choose another --out"):
        main(["--prompts", str(prompts), "--out", str(tmp_path / "o")])
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["thesis.txt"]


def test_a_prompt_that_cannot_be_drawn_is_said_before_anything_is_written(tmp_path):
    some = write_prompts(tmp_path / "p.json", [*PROMPTS, {"prompt_id": "x", "prompt": "a spaceship made of glass"}])
    with pytest.raises(UserError, match='prompt x, "a spaceship made of glass": the small world cannot draw it'):
        main(["--prompts", str(some), "--out", str(tmp_path / "o")])
    assert not (tmp_path / "o").exists()


def test_the_chance_of_a_break_can_differ_by_category(prompts, tmp_path):
    main(["--prompts", str(prompts), "--out", str(tmp_path / "o"), "--broken", "attribute=0,counting=1"])
    broken = {image.image_id: image.broken for image in images(tmp_path / "o")}
    assert not any(broken[f"c1_{seed}"] for seed in range(4)) and all(broken[f"c2_{seed}"] for seed in range(4))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--steps", "3"], "--steps: only for diffusers models, --model scenes draws"),
        (["--device", "cpu"], "--device: only for diffusers models"),
        (["--broken", "1.5"], "--broken 1.5: expected a probability from 0 to 1"),
        (["--broken", "colour=0.5"], "--broken colour=0.5: expected .* object, attribute, counting, spatial, text"),
        (["--broken", "0.5", "--model", "a/b"], "--broken: only for --model scenes"),
        (["--model", "a/b", "--guidance", "much"], "--guidance much: expected a number from 0 to 100"),
        (["--per-prompt", "0"], "--per-prompt 0: expected a whole number from 1"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(arguments, line, tmp_path):
    with pytest.raises(UserError, match=line):
        main(["--out", str(tmp_path / "o"), *arguments])
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_diffusers_model_from_its_folder_through_the_command(tmp_path, capsys):
    model = write_pipeline(tmp_path / "tiny-sd")
    some = write_prompts(
        tmp_path / "p.json",
        [{"prompt_id": "01", "prompt": "a chef cooking in a modern kitchen", "category": "Compositional"}],
    )
    command = [
        "--model",
        str(model),
        "--prompts",
        str(some),
        "--steps",
        "2",
        "--size",
        "32",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main([*command, "--per-prompt", "2"]) == 0
    assert "tiny-sd: StableDiffusionPipeline on cpu in float32" in capsys.readouterr().out
    two = files(tmp_path / "o")
    assert set(two) == {"01_0.png", "01_1.png"} and two["01_0.png"] != two["01_1.png"]
    (tmp_path / "o/images/01_0.png").unlink()
    assert main([*command, "--per-prompt", "3"]) == 0
    assert "resuming: 1 images are there, 2 to generate" in capsys.readouterr().out
    assert {name: files(tmp_path / "o")[name] for name in two} == two
    image = images(tmp_path / "o")[0]
    assert (image.generator, image.drawn, image.broken, image.boxes) == ("tiny-sd", False, None, ()) and json.loads(
        image.settings
    )["steps"] == 2
    assert not (tmp_path / "o/world.json").exists() and (tmp_path / "o" / CATALOG).exists()
    with pytest.raises(UserError, match=r'with .*"steps":2.* instead of .*"steps":3'):
        main([*command[:5], "3", *command[6:]])
    with pytest.raises(UserError, match="holds images made by tiny-sd; choose another --out for those of scenes"):
        main(["--out", str(tmp_path / "o")])
    with pytest.raises(UserError, match=r"pairs\.jsonl: missing"):
        read_source(str(tmp_path / "o"))

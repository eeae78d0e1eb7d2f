import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from random_clip import write_pairs

from precompute.embed import main, worker_of
from precompute.phrases import take_apart
from tipai_jax.errors import UserError
from tipai_jax.store import open_store
from tipai_jax.store.columns import read_table
from tipai_jax.store.verify import verify

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, str(ROOT / "precompute/embed.py")]


def test_from_folder_to_store(embed, pairs, tmp_path):
    printed = embed(pairs, tmp_path / "s")
    store = open_store(tmp_path / "s")
    assert verify(tmp_path / "s").digest in printed
    assert store.manifest.counts == {
        "pairs": 12,
        "prompts": 12,
        "images": 12,
        "rejects": 0,
        "prompts_in_chunks": 0,
        "prompts_with_unknown_tokens": 0,
        "phrases": 17,
        "content_words": 30,
        "content_words_in_phrases": 26,
    }
    assert "17 different ones, which hold 86.7% of the prompts' content words" in printed
    assert store.manifest.splits == {"train": 4, "validation": 4, "test": 4}
    assert store.manifest.encoder.patches == "dense" and not store.manifest.small_world_only
    assert store.image.shape == (12, 24) and store.patches.shape == (12, 49, 24) and store.text.shape == (12, 24)
    assert (
        store.prompts.prompt[store.pairs.prompt[3]]
        == json.loads((pairs / "pairs.jsonl").read_text().splitlines()[3])["prompt"]
    )
    assert store.images.path[store.pairs.chosen[3]] == "images/0001b.png"
    assert store.image_path(0) == (pairs / "images/0000a.png").resolve()
    assert str(tmp_path) not in (tmp_path / "s/manifest.json").read_text()
    assert "nothing to do" in embed(pairs, tmp_path / "s")


def array_task(task: str, first: str, count: str) -> dict[str, str]:
    """Variables of a task of a SLURM array."""
    return {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_MIN": first, "SLURM_ARRAY_TASK_COUNT": count}


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        ({}, (1, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, (4, 4)),
        ({"WORLD_SIZE": "1", "RANK": "0", **array_task("7", "3", "4"), "SLURM_ARRAY_TASK_STEP": "2"}, (3, 4)),
        ({"RANK": "1", "WORLD_SIZE": "2", **array_task("1", "0", "3")}, (4, 6)),
    ],
)
def test_a_launcher_says_which_part(environment, part):
    assert worker_of(environment) == part


def test_a_launcher_that_contradicts_itself():
    with pytest.raises(
        UserError, match=r"RANK=4, WORLD_SIZE=4: does not tell which part of the work this is; give --worker I/N"
    ):
        worker_of({"RANK": "4", "WORLD_SIZE": "4"})


def test_a_launcher_is_checked_where_asserts_are_left_out():
    program = "from precompute.embed import worker_of; worker_of({'RANK': '4', 'WORLD_SIZE': '4'})"
    done = subprocess.run([sys.executable, "-O", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "UserError: RANK=4, WORLD_SIZE=4: does not tell" in done.stderr


def test_workers_end_in_the_same_digest(embed, pairs, tmp_path):
    embed(pairs, tmp_path / "one")
    assert "2 of 5 shards are there" in embed(pairs, tmp_path / "two", "--worker", "2/2")
    embed(pairs, tmp_path / "two", "--worker", "1/2")
    assert open_store(tmp_path / "one").manifest.digest == open_store(tmp_path / "two").manifest.digest


def test_kill_in_the_middle_and_run_again(clip, tmp_path, capsys):
    """kill -9 while shards are being written; the same command then ends in the digest of an undisturbed run."""
    data = write_pairs(tmp_path / "d", pairs=160)
    options = [
        "--data",
        str(data),
        "--encoder",
        str(clip),
        "--device",
        "cpu",
        "--batch-size",
        "2",
        "--images-per-shard",
        "8",
        "--threads",
        "1",
    ]
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    process = subprocess.Popen(
        [*COMMAND, *options, "--out", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while len(list((killed / "commit").glob("images-*"))) < 3 and time.monotonic() < deadline:
        assert process.poll() is None, "it was over before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = len(list((killed / "commit").glob("images-*")))
    assert 3 <= there < 20 and not (killed / "manifest.json").exists()
    # as if the kill had hit between the files of a shard and its sidecar, and inside a file
    (killed / f"images/{there:05d}.safetensors").write_bytes(b"half a shard")
    (killed / "images/.00019.parquet.part-1").write_bytes(b"half a file")
    with pytest.raises(UserError, match="run the same embed command again to finish it"):
        open_store(killed)
    assert main([*options, "--out", str(killed)]) == 0
    assert "resuming: " in capsys.readouterr().out
    assert main([*options, "--out", str(alone)]) == 0
    assert verify(killed).digest == verify(alone).digest
    assert not list(killed.glob("images/.*"))


def test_a_bit_that_flipped_meanwhile_is_mended(embed, pairs, tmp_path):
    embed(pairs, tmp_path / "s")
    digest = open_store(tmp_path / "s").manifest.digest
    (tmp_path / "s/manifest.json").unlink()
    block = tmp_path / "s/images/00001.safetensors"
    data = bytearray(block.read_bytes())
    data[-9] ^= 1
    block.write_bytes(data)
    assert "resuming: 4 shards are there, 1 to do" in embed(pairs, tmp_path / "s")
    assert verify(tmp_path / "s").digest == digest


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (["pairs/00000.parquet"], "pairs 0"),
        (["rejects/00000.parquet", "prompts/00000.safetensors"], "prompts 0, rejects 0"),
        (["images/00001.safetensors", "images/00002.parquet"], "images 1, images 2"),
        (["commit/images-00001.json"], "images 1"),
        (["phrases/00000.safetensors"], "phrases 0"),
    ],
)
@pytest.mark.parametrize("cut", [False, True], ids=["missing", "cut short"])
def test_a_finished_store_is_mended_by_the_same_command(embed, pairs, tmp_path, files, named, cut):
    embed(pairs, tmp_path / "s")
    digest = verify(tmp_path / "s").digest
    for name in files:
        file = tmp_path / "s" / name
        if cut:
            file.write_bytes(file.read_bytes()[:-9])
        else:
            file.unlink()
    printed = embed(pairs, tmp_path / "s")
    assert f"missing or damaged, embedded again: {named}\n" in printed
    assert verify(tmp_path / "s").digest == digest
    assert "nothing to do" in embed(pairs, tmp_path / "s")


def test_mending_with_another_image_is_refused(embed, tmp_path):
    data = write_pairs(tmp_path / "d", pairs=12)
    image, lost = data / "images/0000a.png", tmp_path / "s/images/00000.parquet"
    Image.new("RGB", (56, 56), "red").save(image, compress_level=0)
    size = image.stat().st_size
    embed(data, tmp_path / "s")
    manifest = (tmp_path / "s/manifest.json").read_bytes()
    lost.unlink()  # and with it the hash of the image
    Image.new("RGB", (56, 56), "blue").save(image, compress_level=0)
    assert image.stat().st_size == size
    for _ in range(2):
        with pytest.raises(
            UserError, match=r"what was made again \(images 0\) differs from what was there.* delete the store"
        ):
            embed(data, tmp_path / "s")
    Image.new("RGB", (57, 56), "red").save(image, compress_level=0)
    with pytest.raises(UserError, match="images have changed since"):
        embed(data, tmp_path / "s")
    assert (tmp_path / "s/manifest.json").read_bytes() == manifest


def test_another_encoder_or_other_data_are_refused(embed, pairs, tmp_path):
    embed(pairs, tmp_path / "s")
    with pytest.raises(UserError, match=r"a store of something else is there .*encoder\.patches: 'dense', 'raw'"):
        embed(pairs, tmp_path / "s", "--patches", "raw")
    with pytest.raises(UserError, match=r"data\.sha256: "):
        embed(write_pairs(tmp_path / "other", pairs=12, seed=1), tmp_path / "s")
    with pytest.raises(UserError, match="micro_batch: 4, 8"):
        embed(pairs, tmp_path / "s", "--batch-size", "8")
    assert verify(tmp_path / "s")


def test_what_the_first_run_chose_is_kept(clip, embed, pairs, tmp_path):
    embed(pairs, tmp_path / "s")
    assert main(["--data", str(pairs), "--encoder", str(clip), "--out", str(tmp_path / "s")]) == 0


def test_a_store_of_an_earlier_version_goes_on_as_it_was(embed, pairs, tmp_path, monkeypatch):
    import dataclasses

    from precompute.encoders.folder import EncoderFolder

    now = EncoderFolder.fingerprint
    with monkeypatch.context() as before:
        before.setattr(
            EncoderFolder,
            "fingerprint",
            lambda self, **options: dataclasses.replace(now(self, **options), files_digest=""),
        )
        embed(pairs, tmp_path / "old")
    old = (tmp_path / "old/manifest.json").read_bytes()
    assert b"files_digest" not in old and b"files_digest" not in (tmp_path / "old/plan.json").read_bytes()
    assert "nothing to do" in embed(pairs, tmp_path / "old")
    assert "truncated" in read_table(tmp_path / "old/prompts/00000.parquet").column_names
    assert open_store(tmp_path / "old").prompts.chunked.tolist() == [False] * 12
    for name in ("images/00001.parquet", "prompts/00000.parquet"):
        (tmp_path / "old" / name).unlink()
    assert "embedded again: images 1, prompts 0" in embed(pairs, tmp_path / "old")
    assert (tmp_path / "old/manifest.json").read_bytes() == old
    embed(pairs, tmp_path / "new")
    assert "unknown_tokens" in read_table(tmp_path / "new/prompts/00000.parquet").column_names
    assert "chunked" in read_table(tmp_path / "new/prompts/00000.parquet").column_names
    new = open_store(tmp_path / "new").manifest.encoder
    assert (
        new.files_digest and dataclasses.replace(new, files_digest="") == open_store(tmp_path / "old").manifest.encoder
    )


def test_a_store_finished_with_unknown_words_is_repaired_as_it_was(embed, pairs, tmp_path, monkeypatch):
    """An earlier version called unknown tokens so, in the column and in the counts."""
    with monkeypatch.context() as before:
        for module in ("pipeline", "finish"):
            before.setattr(f"precompute.{module}.unknown_column", lambda writer: "unknown_words")
        embed(pairs, tmp_path / "old")
    old, prompts = (tmp_path / "old/manifest.json").read_bytes(), tmp_path / "old/prompts/00000.parquet"
    assert b'"prompts_with_unknown_words"' in old and "unknown_words" in read_table(prompts).column_names
    assert open_store(tmp_path / "old").prompts.unknown_tokens.tolist() == [0] * 12
    prompts.unlink()
    assert "embedded again: prompts 0" in embed(pairs, tmp_path / "old")
    assert (tmp_path / "old/manifest.json").read_bytes() == old


def test_little_data_are_embedded_in_small_batches_and_a_store_keeps_its_own(clip, pairs, tmp_path, capsys):
    """Twelve images fill a fifth of a batch of 64 and occupy one thread; a store that was begun keeps its plan."""
    command = ["--data", str(pairs), "--encoder", str(clip), "--device", "cpu", "--threads", "2"]
    assert main([*command, "--out", str(tmp_path / "new")]) == 0
    assert "--batch-size 1 is used instead of 64: there are only 12 images or prompts" in capsys.readouterr().out
    assert open_store(tmp_path / "new").manifest.micro_batch == 1
    assert main([*command, "--out", str(tmp_path / "old"), "--batch-size", "64", "--worker", "1/2"]) == 0
    assert main([*command, "--out", str(tmp_path / "old"), "--worker", "2/2"]) == 0
    assert main([*command, "--out", str(tmp_path / "old"), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "is used instead" not in printed and "64 a forward pass" in printed
    assert open_store(tmp_path / "old").manifest.micro_batch == 64


@pytest.mark.parametrize("faster", ["float32", "bfloat16"])
def test_auto_computes_in_what_this_machine_multiplies_fastest_and_keeps_to_it(
    faster, embed, pairs, tmp_path, monkeypatch
):
    monkeypatch.setattr("precompute.encoders.dtypes.fast_dtype", lambda device: faster)
    embed(pairs, tmp_path / "s", "--dtype", "auto")
    assert open_store(tmp_path / "s").manifest.encoder.dtype == faster
    monkeypatch.setattr("precompute.encoders.dtypes.fast_dtype", lambda device: pytest.fail("measured again"))
    assert "nothing to do" in embed(pairs, tmp_path / "s", "--dtype", "auto")
    assert "nothing to do" in embed(pairs, tmp_path / "s")


def test_auto_is_refused_to_workers_who_might_disagree(embed, pairs, tmp_path):
    with pytest.raises(UserError, match="every worker would measure for itself"):
        embed(pairs, tmp_path / "s", "--dtype", "auto", "--worker", "1/2")
    assert not (tmp_path / "s").exists()
    embed(pairs, tmp_path / "s", "--worker", "1/2")
    embed(pairs, tmp_path / "s", "--dtype", "auto", "--worker", "2/2")  # it was begun, so there is nothing to measure
    assert open_store(tmp_path / "s").manifest.encoder.dtype == "float32"


def test_images_that_cannot_be_cut_into_tiles_are_refused_before_anything_is_written(
    clip, embed, pairs, tmp_path, monkeypatch
):
    monkeypatch.setattr("precompute.encoders.folder.TILE_SPAN", 5)  # 56 pixels a side
    with pytest.raises(
        UserError, match="56 pixels a side, --patches tiles needs a multiple of 5; take another --patches"
    ):
        embed(pairs, tmp_path / "s", "--patches", "tiles")
    assert not (tmp_path / "s").exists()


def test_an_image_changed_since_is_refused(embed, tmp_path):
    data = write_pairs(tmp_path / "d", pairs=12)
    embed(data, tmp_path / "s")
    (data / "images/0000a.png").write_bytes((data / "images/0001a.png").read_bytes())
    with pytest.raises(UserError, match="images have changed since"):
        embed(data, tmp_path / "s")


def spoiled(folder: Path) -> Path:
    """200 pairs of which some are unusable, each in another way."""
    changes = [
        {"rejected_image": "images/none.png"},
        {"chosen_score": float("nan")},
        {"unfaithful_patches": [{"bbox": [0, 0, 999, 5], "category": "text"}]},
        {"unfaithful_patches": [{"bbox": [0, 0, 5, 5], "category": "colour"}]},
        {"chosen_image": "../d/../../x.png"},
    ]
    write_pairs(folder, pairs=200, rows=changes)
    half = folder / "images/0099a.png"
    half.write_bytes(half.read_bytes()[:-70])  # in pairs 199 and 200
    return folder


def test_rejects_are_counted_listed_and_limited(embed, tmp_path):
    data = spoiled(tmp_path / "d")
    with pytest.raises(
        UserError, match=r"4 of 200 pairs cannot be used, at most 1\.00% .*missing_image 1.*--allow-rejects 0\.02"
    ):
        embed(data, tmp_path / "s")
    assert not (tmp_path / "s/commit").exists()  # nothing was embedded in vain
    with pytest.raises(UserError, match=r"7 of 200 pairs cannot be used, at most 2\.00%.*damaged_image 2"):
        embed(data, tmp_path / "s", "--allow-rejects", "0.02")
    began = embed(data, tmp_path / "s", "--allow-rejects", "0.04")
    assert "0 to do" in began and "left out  7 pairs" in began
    store = open_store(tmp_path / "s")
    assert store.manifest.rejects == 7 and len(store.pairs) == 193
    assert dict(zip(store.rejects.row.tolist(), store.rejects.reason.tolist())) == {
        1: "missing_image",
        2: "bad_score",
        3: "box_outside",
        4: "unknown_category",
        5: "path_outside",
        199: "damaged_image",
        200: "damaged_image",
    }
    assert "images/0099a.png" not in store.images.path.tolist()


def test_a_dry_run_lists_no_rejects(embed, tmp_path):
    data = spoiled(tmp_path / "d")
    with pytest.raises(
        UserError, match=r"4 of 200 pairs cannot be used.*first: pair 1, .*--allow-rejects 0\.02"
    ) as raised:
        embed(data, tmp_path / "s", "--dry-run")
    assert "listed in" not in str(raised.value) and not (tmp_path / "s").exists()


def test_one_line_and_exit_code_two(tmp_path):
    done = subprocess.run([*COMMAND, "--data", str(tmp_path / "none")], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "x"], "--batch-size x: expected a whole number from 1"),
        (["--allow-rejects", "x"], "--allow-rejects x: expected a share from 0 to 1"),
        (["--allow-rejects", "1.5"], r"--allow-rejects 1\.5: expected a share from 0 to 1"),
        (["--worker", "3/2"], "--worker 3/2: expected I/N with 1 <= I <= N"),
        (["--batch", "4"], "unrecognized arguments: --batch 4"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(arguments, message):
    with pytest.raises(UserError, match=message):
        main(arguments)


def test_too_full_a_disk_is_said_before_the_work(embed, pairs, tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(UserError, match="GB are free"):
        embed(pairs, tmp_path / "s")


def test_long_prompts_and_unknown_tokens_are_reported(embed, tmp_path):
    data = write_pairs(
        tmp_path / "d",
        pairs=4,
        rows=[{"prompt": "a red cat left of the blue dog a sign says stop"}, {"prompt": "a zebra"}],
    )
    printed = embed(data, tmp_path / "s")
    assert "1 prompts are longer than the encoder reads" in printed and "1 prompts hold words" in printed
    store = open_store(tmp_path / "s")
    assert store.prompts.chunked.tolist() == [True, False, False, False]
    np.testing.assert_allclose(np.linalg.norm(store.text.whole().astype(np.float32), axis=1), 1, atol=2e-3)


def test_without_arguments_the_scenes_are_drawn_and_embedded(monkeypatch, tmp_path, clip, capsys):
    import shutil

    from precompute import scenes
    from precompute.encoders import folder

    asked = {}

    def draw(out, *, pairs, seed):
        asked.update(out=out, pairs=pairs, seed=seed)
        write_pairs(out, pairs=4)
        (out / "world.json").write_text('{"small_world_only": true}')

    shutil.copytree(clip, tmp_path / "tiny")
    config = tmp_path / "tiny/config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"tipai_small_world_only": True, "tipai_patches": "raw"})
    )
    monkeypatch.setattr(scenes, "draw", draw)
    monkeypatch.setattr(folder, "TINY_FOLDER", tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert asked == {"out": Path("data/scenes"), "pairs": 40000, "seed": 0}
    assert "drawn scenes only" in capsys.readouterr().out
    store = open_store(tmp_path / "store/scenes")
    assert (
        store.manifest.small_world_only
        and store.manifest.encoder.name == "tiny"
        and store.manifest.encoder.patches == "raw"
    )
    assert main([]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_photographs_default_to_the_large_encoder(monkeypatch, pairs, tmp_path):
    from precompute.encoders import folder

    asked = []
    monkeypatch.setattr(
        folder, "find_encoder", lambda name: asked.append(name) or (_ for _ in ()).throw(UserError("enough"))
    )
    with pytest.raises(UserError, match="enough"):
        main(["--data", str(pairs), "--out", str(tmp_path / "s")])
    assert asked == ["openai/clip-vit-large-patch14"]


def annotated(folder: Path) -> Path:
    """Four pairs of one prompt, with everything that a row can say of phrases."""
    prompt = {"prompt": "a red cat left of two blue dogs", "group": "g", "split": "shift-style"}
    cat = {"name": "cat", "attributes": ["red"], "bbox": [0, 0, 28, 28], "phrase": [0, 9], "wrong": True}
    changes = [
        {**prompt, "failing_phrases": [[0, 9]], "objects": {"chosen": [], "rejected": [cat]}},
        {**prompt, "style": {"chosen": "fill=flat", "rejected": "fill=noisy"}},
        {**prompt, "control": True, "unfaithful_patches": []},
        {"prompt": "a boat", "phrases": [{"text": "boat", "attributes": ["green"]}], "group": "h", "split": "test"},
    ]
    return write_pairs(folder, pairs=4, rows=changes)


def test_phrases_and_objects_are_kept_in_the_store(embed, tmp_path):
    printed = embed(annotated(tmp_path / "d"), tmp_path / "s")
    store = open_store(tmp_path / "s")
    assert "phrases   4 different ones, which hold 100.0% of the prompts' content words" in printed
    assert "shift-style 3)" in printed and store.manifest.splits["shift-style"] == 3
    assert store.phrases.phrase.tolist() == ["a red cat", "left of", "a blue dog", "green boat"]
    assert store.phrases.bare.tolist() == ["a cat", "left of", "a dog", "boat"]
    assert store.phrases.kind.tolist() == ["attribute", "relation", "count", "attribute"]
    assert store.prompts.phrase.tolist() == [[0, 1, 2] + [-1] * 5, [3] + [-1] * 7]
    assert store.prompts.phrase_count.tolist()[0][:4] == [1, 1, 2, -1] and store.prompts.phrase_count.dtype == np.int8
    assert store.prompts.phrase_start.tolist()[0][:3] == [0, 10, 18] and store.prompts.phrase_end[0, 2] == 31
    assert store.prompts.phrase_subject[0, 1] == 0 and store.prompts.phrase_object[0, 1] == 2
    assert store.pairs.phrase_label[:, :3].tolist() == [[0, -1, 1]] + [[-1, -1, -1]] * 3
    assert (store.objects.pair.tolist(), store.objects.name.tolist()) == ([0], ["cat"])
    assert (store.objects.x2.tolist(), store.objects.phrase.tolist(), store.manifest.counts["objects"]) == (
        [0.5],
        [0],
        1,
    )
    styles = dict(zip(store.images.path.tolist(), store.images.style.tolist()))
    assert styles["images/0000b.png"] == "fill=flat" and styles["images/0000a.png"] == "fill=noisy"
    assert styles["images/0001a.png"] == ""


def test_phrases_are_embedded_by_the_text_tower_with_and_without_attributes(embed, clip, tmp_path):
    from precompute.encoders.clip import load_clip
    from precompute.encoders.folder import find_encoder

    embed(annotated(tmp_path / "d"), tmp_path / "s")
    store = open_store(tmp_path / "s")
    encoder = load_clip(find_encoder(str(clip)), patches="raw", batch_size=4)
    for name, rows in (("phrase", store.phrase_text), ("bare", store.phrase_bare)):
        expected = encoder.encode_text(getattr(store.phrases, name).tolist()).text
        np.testing.assert_allclose(rows.whole().astype(np.float32), expected.astype(np.float32), atol=2e-3)
    np.testing.assert_array_equal(store.phrase_text.take(1), store.phrase_bare.take(1))
    assert not np.array_equal(store.phrase_text.take(0), store.phrase_bare.take(0))


def test_a_store_begun_without_phrases_goes_on_without_them(embed, pairs, tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr("precompute.embed._with_phrases", lambda args, source: source)
        embed(pairs, tmp_path / "old")
    old = (tmp_path / "old/manifest.json").read_bytes()
    assert "phrase" not in old.decode()
    for name in ("images/00001.parquet", "prompts/00000.parquet", "pairs/00000.parquet"):
        (tmp_path / "old" / name).unlink()
    printed = embed(pairs, tmp_path / "old")
    assert "was begun without phrases and gets none; for phrases choose another --out" in printed
    assert (tmp_path / "old/manifest.json").read_bytes() == old
    store = open_store(tmp_path / "old")
    assert (store.prompts.phrase == -1).all() and (store.pairs.phrase_label == -1).all()
    assert set(store.images.style) == {""} and len(store.pairs) == 12
    for name in ("phrases", "phrase_text", "phrase_bare"):
        with pytest.raises(
            UserError, match=r"holds no phrases of its prompts.*embed the data again into a new folder$"
        ):
            getattr(store, name)
    with pytest.raises(UserError, match=r"the data say of no image which objects it shows; add `objects`"):
        store.objects  # noqa: B018


def test_other_phrases_are_another_store(embed, pairs, tmp_path, monkeypatch):
    embed(pairs, tmp_path / "s")
    monkeypatch.setattr("precompute.phrases.parser.take_apart", lambda prompt: take_apart(prompt)[:1])
    with pytest.raises(UserError, match=r"a store of something else is there \(data\.phrases\.sha256: "):
        embed(pairs, tmp_path / "s")

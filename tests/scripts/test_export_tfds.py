import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_clip import write_clip, write_pairs

from tipai_jax.errors import UserError
from tipai_jax.store import open_store

SCRIPT = Path(__file__).parents[2] / "scripts/export_tfds.py"


@pytest.fixture(scope="module")
def exporter():
    spec = importlib.util.spec_from_file_location("export_tfds", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "clip")


def embed(clip, out, *data):
    from precompute.embed import main

    assert main(["--encoder", str(clip), "--out", str(out), "--device", "cpu", "--batch-size", "4", *data]) == 0
    return open_store(out)


@pytest.fixture(scope="module")
def store(clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    two = [{"bbox": [3, 4, 20, 30], "category": "text"}, {"bbox": [0, 0, 8, 8], "category": "object", "absent": True}]
    shown = {"chosen": [], "rejected": [{"name": "cat", "bbox": [0, 0, 28, 14], "phrase": [0, 9], "wrong": True}]}
    shift = {"prompt": "a red cat left of two blue dogs", "group": "g", "split": "shift-style"}
    changes = [
        {},
        {"unfaithful_patches": None},
        {"unfaithful_patches": two, "unseen_combination": True},
        {},
        {"control": True, "unfaithful_patches": []},
        {},
        {**shift, "failing_phrases": [[10, 17]], "style": {"chosen": "fill=flat"}},
        {**shift, "failing_phrases": [[0, 9]], "objects": shown},
    ]
    return embed(clip, folder / "store", "--data", str(write_pairs(folder / "pairs", pairs=8, rows=changes)))


@pytest.fixture(scope="module")
def exported(exporter, store, tmp_path_factory):
    out = tmp_path_factory.mktemp("tfds")
    exporter.export(store, out=out, name="my_pairs", embeddings=True)
    return out


def test_data_source_reads_it_without_tensorflow(exported, store):
    code = (
        "import sys, tensorflow_datasets as tfds\n"
        f"source = tfds.data_source('my_pairs', split='train', data_dir={str(exported)!r})\n"
        "print(len(source), source[0]['pair_id'].decode(), source[0]['chosen_image'][:4], 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == [str(store.manifest.splits["train"]), "pair0000", "b'\\x89PNG'", "False"], done.stderr


def test_embeddings_go_along(exported, store):
    import tensorflow_datasets as tfds

    index = int(np.flatnonzero(store.pairs.split == "test")[1])
    example = tfds.data_source("my_pairs", split="test", data_dir=exported)[1]
    np.testing.assert_array_equal(example["patches"][1], store.patches.take(store.pairs.rejected[index]))
    np.testing.assert_array_equal(example["text"], store.text.take(store.pairs.prompt[index]))


def test_embedding_it_again_gives_the_same_pairs(exported, store, clip, tmp_path):
    again = embed(clip, tmp_path / "s", "--data", "tfds:my_pairs", "--data-dir", str(exported))
    order = {pair_id: i for i, pair_id in enumerate(store.pairs.pair_id)}
    pairs = store.pairs.select(np.array([order[pair_id] for pair_id in again.pairs.pair_id]))
    assert len(again.pairs) == 8
    for name in (
        "pair_id",
        "split",
        "margin",
        "category",
        "patch_label",
        "phrase_label",
        "difficulty",
        "control",
        "unseen",
        "annotated",
        "group_name",
    ):
        np.testing.assert_array_equal(getattr(again.pairs, name), getattr(pairs, name), err_msg=name)
    assert dataclasses.replace(again.pairs.boxes, xyxy=pairs.boxes.xyxy) == pairs.boxes
    np.testing.assert_allclose(again.pairs.boxes.xyxy, pairs.boxes.xyxy, atol=1e-6)
    np.testing.assert_array_equal(again.images.sha256[again.pairs.rejected], store.images.sha256[pairs.rejected])
    np.testing.assert_allclose(again.image.take(again.pairs.chosen), store.image.take(pairs.chosen), atol=2e-3)
    both = dict(zip(again.prompts.prompt, again.prompts.phrase_start.tolist()))
    assert both == dict(zip(store.prompts.prompt, store.prompts.phrase_start.tolist()))
    assert sorted(again.phrases.phrase) == sorted(store.phrases.phrase) and len(again.phrases) > 3
    assert again.objects.pair.tolist() == [again.pairs.pair_id.tolist().index("pair0007")]
    for name in ("name", "side", "x2", "y2", "wrong", "named", "phrase"):
        np.testing.assert_array_equal(getattr(again.objects, name), getattr(store.objects, name), err_msg=name)
    assert sorted(again.images.style) == sorted(store.images.style) and "fill=flat" in again.images.style
    assert "shift-style" in again.pairs.split and again.manifest.splits == store.manifest.splits
    assert again.data_folder is None and again.manifest.data["kind"] == "tfds"
    with pytest.raises(UserError, match=r"no folder of images is known \(moved, or embedded from TFDS\)"):
        again.image_path(0)


def test_the_store_of_a_folder_is_named_after_the_data_set(exported, tmp_path, monkeypatch):
    from precompute.embed import _name_of

    folder = exported / "my_pairs/1.0.0"
    assert _name_of("tfds:my_pairs") == _name_of("tfds:my_pairs:1.0.0") == _name_of(f"tfds:{folder}") == "my_pairs"
    monkeypatch.chdir(folder)
    assert _name_of("tfds:.") == "my_pairs"


def test_what_cannot_be_exported_or_read(exporter, exported, store, tmp_path, monkeypatch):
    from precompute.readers import read_source

    with pytest.raises(UserError, match="a data set of that name is there"):
        exporter.export(store, out=exported, name="my_pairs")
    with pytest.raises(UserError, match="expected lower case"):
        exporter.export(store, out=tmp_path, name="My-Pairs")
    with pytest.raises(UserError, match=r"tfds:no_such: not found \("):
        read_source("tfds:no_such", data_dir=str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr("tensorflow_datasets.builder", lambda *_, **__: (_ for _ in ()).throw(ValueError()))
        with pytest.raises(UserError, match=r"tfds:no_such: not found \(ValueError\); name the folder"):
            read_source("tfds:no_such", data_dir=str(tmp_path))
    whole = read_source("tfds:my_pairs", data_dir=str(exported))
    assert whole.rows == 8 and read_source(f"tfds:{exported / 'my_pairs/1.0.0'}").identity == whole.identity
    assert read_source("tfds:my_pairs", data_dir=str(exported), limit=3).rows == 3


def test_the_command(store, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(store.path), "--out", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "tfds.data_source('store_pairs'" in done.stdout
    again = subprocess.run(
        [sys.executable, str(SCRIPT), str(store.path), "--out", str(tmp_path)], capture_output=True, text=True
    )
    assert again.returncode == 2 and again.stderr.count("\n") == 1


def test_a_mistake_on_the_command_line_is_named(exporter):
    with pytest.raises(UserError, match="unrecognized arguments: --embed"):
        exporter.main(["store", "--embed"])

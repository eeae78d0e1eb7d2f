"""Writer, reader and verify together, on a store made by hand without any encoder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tipai_jax.errors import UserError
from tipai_jax.store import Plan, open_store
from tipai_jax.store.manifest import MANIFEST
from tipai_jax.store.pairs import to_arrow
from tipai_jax.store.verify import verify
from tipai_jax.store.writer import StoreWriter

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def modules():
    """The sibling tests' tables, by path: tests are no packages."""
    import importlib.util

    found = {}
    for name in ("test_manifest", "test_pairs"):
        spec = importlib.util.spec_from_file_location(f"store_{name}", Path(__file__).with_name(f"{name}.py"))
        found[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    return found


@pytest.fixture
def plan(modules) -> Plan:
    return modules["test_manifest"].PLAN_


@pytest.fixture
def pairs(modules):
    return modules["test_pairs"].table(4)


def images(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(n)
    return {
        "image": rng.normal(size=(n, 4)).astype(np.float16),
        "patches": rng.normal(size=(n, 49, 4)).astype(np.float16),
    }


def image_columns(n: int) -> pa.Table:
    names = [f"images/{i}.png" for i in range(n)]
    sides = pa.array([224] * n, pa.int32())
    return pa.table(
        {
            "image_id": names,
            "path": names,
            "sha256": names,
            "width": sides,
            "height": sides,
            "generator": [""] * n,
            "seed": [-1] * n,
        }
    )


def prompt_columns(n: int) -> pa.Table:
    numbers = pa.array([5] * n, pa.int32())
    words = {"prompt_id": ["x"] * n, "prompt": ["a red cat"] * n}
    return pa.table({**words, "n_tokens": numbers, "chunked": [False] * n, "unknown_tokens": numbers})


def write(path, plan, pairs, order=(0, 1), further=lambda writer: []):
    writer = StoreWriter(path, plan)
    for index in order:
        n = (3, 2)[index]
        writer.commit("images", index, content=f"c{index}", columns=image_columns(n), arrays=images(n))
    shards = [writer.committed("images", index, f"c{index}") for index in (0, 1)]
    shards.append(
        writer.commit("prompts", 0, content="p", columns=prompt_columns(4), arrays={"text": images(4)["image"]})
    )
    rejects = pa.table({"row": pa.array([7]), "pair_id": ["x"], "reason": ["missing_image"], "detail": ["gone"]})
    shards.append(writer.commit("rejects", 0, content="", columns=rejects))
    shards.append(writer.commit("pairs", 0, content="", columns=to_arrow(pairs)))
    shards += further(writer)
    return writer.finish(shards, splits={"train": 2}, counts={"pairs": 4}, reject_reasons={"missing_image": 1})


def test_what_was_written_is_read(tmp_path, plan, pairs, modules):
    manifest = write(tmp_path / "s", plan, pairs)
    store = open_store(tmp_path / "s")
    assert store.manifest == manifest == verify(tmp_path / "s")
    assert store.image.shape == (5, 4) and store.patches.shape == (5, 49, 4) and store.text.shape == (4, 4)
    np.testing.assert_array_equal(
        store.patches.take(np.array([4, 0])), [images(2)["patches"][1], images(3)["patches"][0]]
    )
    modules["test_pairs"].assert_equal(store.pairs, pairs)
    assert len(store.prompts) == 4 and store.prompts.prompt[0] == "a red cat"
    assert store.images.path[4] == "images/1.png" and store.images.width.dtype == np.int32
    assert store.rejects.reason[0] == "missing_image" and store.manifest.rejects == 1
    assert store.view_box(0) == (0, 0, 224, 224)


def series(writer, widths=(3, 3)):
    """Two shards of a table that only a task of series would know: 2 and 1 rows, an array of f32 and one of i8."""
    shards = []
    for index, (n, width) in enumerate(zip((2, 1), widths)):
        columns = pa.table({"name": [f"s{index}{i}" for i in range(n)], "length": pa.array([4] * n, pa.int32())})
        mean = np.full((n, width), index, np.float32)
        arrays = {"mean": mean, "order": np.arange(n, dtype=np.int8)}
        shards.append(writer.commit("series", index, content=f"s{index}", columns=columns, arrays=arrays))
    return shards


def test_a_table_that_no_other_task_knows_is_read(tmp_path, plan, pairs):
    manifest = write(tmp_path / "s", plan, pairs, further=series)
    store = open_store(tmp_path / "s")
    assert verify(tmp_path / "s") == manifest and len(manifest.of_table("series")) == 2
    columns = store.columns("series")
    assert columns["name"].tolist() == ["s00", "s01", "s10"] and columns["length"].dtype == np.int32
    mean = store.array("series", "mean")
    assert mean.shape == (3, 3) and mean.dtype == np.float32
    assert mean.take([2, 0]).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert store.array("series", "order").whole().tolist() == [0, 1, 0]
    assert store.array("images", "image").shape == store.image.shape  # and so is any other
    assert list(store.columns("rejects")) == ["row", "pair_id", "reason", "detail"]


def test_what_a_store_does_not_hold_or_holds_damaged_is_named(tmp_path, plan, pairs):
    write(tmp_path / "s", plan, pairs, further=series)
    store = open_store(tmp_path / "s")
    with pytest.raises(UserError, match=r"no table 'faces' \(there: images, pairs, prompts, rejects, series\)"):
        store.columns("faces")
    with pytest.raises(UserError, match=r"series/00000\.safetensors: no array 'median' \(there: mean, order\)"):
        store.array("series", "median")
    with pytest.raises(UserError, match=r"pairs/00000\.safetensors: no array 'text' \(there: nothing\)"):
        store.array("pairs", "text")
    for name in ("series/00000.safetensors", "series/00001.parquet"):
        file = tmp_path / "s" / name
        whole = file.read_bytes()
        at = len(whole) - 1 if name.endswith("safetensors") else 8
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(UserError, match=rf"{name}: the content differs .*sha256"):
            verify(tmp_path / "s")
        if name.endswith("parquet"):
            with pytest.raises(UserError, match=rf"{name}: not a readable parquet file"):
                store.columns("series")
        file.write_bytes(whole[:-1])
        with pytest.raises(UserError, match=rf"{name}: \d+ bytes, the manifest says"):
            open_store(tmp_path / "s")
        file.write_bytes(whole)
    write(tmp_path / "t", plan, pairs, further=lambda writer: series(writer, widths=(3, 4)))
    with pytest.raises(UserError, match=r"00001\.safetensors: expected mean float32\[1, 3\], found float32\[1, 4\]"):
        open_store(tmp_path / "t").array("series", "mean")


def test_old_names_of_columns_are_read_beside_the_new_ones(tmp_path, plan, pairs):
    """`chunked` was called `truncated`, and `unknown_tokens` `unknown_words`; a store that was begun then and finished
    now holds both.
    """
    write(tmp_path / "s", plan, pairs)
    writer, new = StoreWriter(tmp_path / "s", plan), prompt_columns(4)
    old = new.set_column(3, "truncated", pa.array([False, True, False, False]))
    old = old.set_column(4, "unknown_words", pa.array([0, 2, 0, 0], pa.int32()))
    arrays = {"text": images(4)["image"]}
    commit = lambda i, columns: writer.commit("prompts", i, content="p", columns=columns, arrays=arrays)
    shards = [commit(0, old), commit(1, new)]
    (tmp_path / "s" / MANIFEST).unlink()
    writer.finish(shards, splits={}, counts={}, reject_reasons={})
    prompts = open_store(tmp_path / "s").prompts
    assert prompts.chunked.tolist() == [False, True, *[False] * 6]
    assert prompts.unknown_tokens.tolist() == [0, 2, 0, 0, *[5] * 4]


def test_the_digest_knows_no_order_and_no_clock(tmp_path, plan, pairs):
    one, two = write(tmp_path / "a", plan, pairs), write(tmp_path / "b", plan, pairs, order=(1, 0))
    StoreWriter(tmp_path / "b", plan).log_timing({"seconds": 1.0})
    assert one.digest == two.digest
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


def test_without_its_sidecar_a_shard_is_not_there(tmp_path, plan):
    writer = StoreWriter(tmp_path / "s", plan)
    shard = writer.commit("images", 0, content="c", columns=image_columns(3), arrays=images(3))
    assert writer.committed("images", 0, "c") == shard
    assert writer.committed("images", 0, "other data") is None
    assert writer.committed("images", 1, "c") is None
    block = tmp_path / "s/images/00000.safetensors"
    data = bytearray(block.read_bytes())
    data[-1] ^= 1
    block.write_bytes(data)
    assert writer.committed("images", 0, "c") == shard  # the size is right: only the hash can tell
    assert writer.committed("images", 0, "c", rehash=True) is None
    block.write_bytes(data[:-1])
    assert writer.committed("images", 0, "c") is None
    sidecar = tmp_path / "s/commit/images-00000.json"
    sidecar.write_text("{")
    assert writer.committed("images", 0, "c") is None


def test_the_sidecar_is_written_last(tmp_path, plan, monkeypatch):
    writer = StoreWriter(tmp_path / "s", plan)
    order = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (order.append(target.name), replace(source, target)))
    writer.commit("images", 0, content="c", columns=image_columns(3), arrays=images(3))
    assert order == ["00000.parquet", "00000.safetensors", "images-00000.json"]


def test_another_plan_is_refused_with_the_fields(tmp_path, plan):
    import dataclasses

    StoreWriter(tmp_path / "s", plan)
    StoreWriter(tmp_path / "s", plan)  # the same again goes on
    with pytest.raises(UserError, match="micro_batch: 64, 32"):
        StoreWriter(tmp_path / "s", dataclasses.replace(plan, micro_batch=32))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/holiday.jpg").write_text("")
    with pytest.raises(UserError, match="not empty and not a store"):
        StoreWriter(tmp_path / "other", plan)
    with pytest.raises(UserError, match="found a file"):
        StoreWriter(tmp_path / "other/holiday.jpg", plan)


def test_damage_is_named(tmp_path, plan, pairs):
    write(tmp_path / "s", plan, pairs)
    block = tmp_path / "s/images/00001.safetensors"
    data = bytearray(block.read_bytes())
    data[-5] ^= 4
    block.write_bytes(data)
    open_store(tmp_path / "s")
    with pytest.raises(UserError, match=r"images/00001\.safetensors: the content differs"):
        verify(tmp_path / "s")
    block.write_bytes(data[:-1])
    with pytest.raises(UserError, match=r"images/00001\.safetensors: \d+ bytes, the manifest says"):
        open_store(tmp_path / "s")
    block.unlink()
    with pytest.raises(UserError, match=r"images/00001\.safetensors: the file is missing"):
        open_store(tmp_path / "s")


def test_the_command_names_every_damaged_shard(tmp_path, plan, pairs):
    write(tmp_path / "s", plan, pairs)

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "tipai_jax.store.verify", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    store = str(tmp_path / "s")
    assert run(store) == (0, [f"{store}: 5 shards, all whole"], "")
    block = tmp_path / "s/images/00001.safetensors"
    data = bytearray(block.read_bytes())
    data[-5] ^= 4
    block.write_bytes(data)
    (tmp_path / "s/images/00000.parquet").unlink()
    (tmp_path / "s/images/00000.safetensors").unlink()
    (tmp_path / "s/prompts/00000.parquet").write_bytes(b"half")
    code, lines, errors = run(store)
    assert code == 2 and errors == ""
    expected = [
        "images/00000.parquet: the file is missing",
        "images/00001.safetensors: the content differs",
        "prompts/00000.parquet: 4 bytes",
    ]
    assert [line.startswith(f"{store}/{what}") for line, what in zip(lines, expected, strict=True)] == [True] * 3
    assert run(str(tmp_path)) == (
        2,
        [],
        (
            f"error: {tmp_path}: no finished store here; make one with: python precompute/embed.py --data FOLDER --out"
            f" {tmp_path}\n"
        ),
    )


def test_what_a_kill_left_is_swept_away(tmp_path, plan, pairs):
    (tmp_path / "s/images").mkdir(parents=True)
    StoreWriter(tmp_path / "t", plan)
    (tmp_path / "s/plan.json").write_bytes((tmp_path / "t/plan.json").read_bytes())
    left = tmp_path / "s/images/.00000.safetensors.part-1"
    left.write_bytes(b"half")
    write(tmp_path / "s", plan, pairs)
    assert not left.exists()


def test_images_are_found_beside_the_store(tmp_path, plan, pairs):
    write(tmp_path / "s", plan, pairs)
    with pytest.raises(UserError, match=r"no folder of images is known \(moved, or embedded from TFDS\)"):
        open_store(tmp_path / "s").image_path(0)
    (tmp_path / "data/images").mkdir(parents=True)
    (tmp_path / "data/images/0.png").write_bytes(b"x")
    (tmp_path / "s/source.json").write_text(json.dumps({"data": "../data"}))
    store = open_store(tmp_path / "s")
    assert store.data_folder == tmp_path / "data" and store.image_path(0).read_bytes() == b"x"
    with pytest.raises(UserError, match=r"1\.png: the image is not there"):
        store.image_path(1)


def test_the_room_needs_neither_jax_nor_torch():
    code = (
        "import sys\nclass Block:\n    def find_spec(self, name, path=None, target=None):\n        if"
        " name.split('.')[0] in"
        " {'jax','flax','optax','torch','transformers','precompute','pyarrow','tensorflow_datasets'}:\n           "
        " raise ImportError('forbidden: ' + name)\nsys.meta_path.insert(0, Block())\nimport pkgutil, importlib,"
        " tipai_jax.store as store\nfor module in pkgutil.iter_modules(store.__path__):"
        " importlib.import_module('tipai_jax.store.' + module.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

import dataclasses

import numpy as np
import pytest
from random_clip import write_pairs

from precompute.encoders.clip import load_clip
from precompute.encoders.folder import find_encoder
from precompute.opened import open_image
from precompute.pipeline import embed_images, embed_prompts, image_batches
from precompute.readers import read_source
from precompute.shards import cut_shards
from tipai_jax.store import Plan
from tipai_jax.store.blocks import map_block
from tipai_jax.store.columns import read_table
from tipai_jax.store.writer import TIMINGS, StoreWriter

ROWS = {"prompts": 8, "images": 5}


@pytest.fixture
def encoder(clip):
    return load_clip(find_encoder(str(clip)), patches="raw", batch_size=3)


def writer_for(path, encoder, source) -> StoreWriter:
    return StoreWriter(
        path,
        Plan(
            encoder=encoder.fingerprint,
            data=source.identity,
            small_world_only=False,
            micro_batch=3,
            device="cpu",
            shard_rows=ROWS,
        ),
    )


def make(path, encoder, source, threads=2):
    works = [work for work in cut_shards(source, ROWS) if work.table == "images"]
    counted, lines = [], []
    shards = embed_images(
        works,
        source,
        encoder,
        writer_for(path, encoder, source),
        threads=threads,
        done=counted.append,
        report=lines.append,
    )
    return shards, counted, lines


def test_shards_cover_unique_images_in_order(pairs, encoder, tmp_path):
    source = read_source(str(pairs))
    shards, counted, lines = make(tmp_path, encoder, source)
    assert [shard.rows for shard in shards] == [5, 5, 2] and sum(counted) == 12 and len(lines) == 3
    names = [
        name
        for i in range(3)
        for name in read_table(tmp_path / f"images/{i:05d}.parquet").column("image_id").to_pylist()
    ]
    assert names == list(dict.fromkeys(key for record in source.records for key in (record.chosen, record.rejected)))
    prepared = [open_image(name, source, encoder.preparation).prepared for name in names[5:10]]
    np.testing.assert_array_equal(
        map_block(tmp_path / "images/00001.safetensors")["patches"], encoder.encode_images(prepared).patches
    )
    assert "read" in lines[0] and "encoded" in lines[0] and "written" in lines[0]
    assert len((tmp_path / TIMINGS).read_text().splitlines()) == 3


def test_the_number_of_threads_changes_no_bit(pairs, encoder, tmp_path):
    source = read_source(str(pairs))
    one, three = (make(tmp_path / str(threads), encoder, source, threads)[0] for threads in (1, 3))
    assert [shard.files for shard in one] == [shard.files for shard in three]


def test_a_damaged_image_is_left_out_and_moves_no_other(tmp_path, encoder):
    folder = write_pairs(tmp_path / "d", pairs=12)
    make(tmp_path / "whole", encoder, read_source(str(folder)))
    damaged = folder / "images/0000b.png"
    damaged.write_bytes(damaged.read_bytes()[:-60])
    source = read_source(str(folder))
    shards, _, _ = make(tmp_path / "hurt", encoder, source)
    assert [shard.rows for shard in shards] == [4, 5, 2]
    before, after = (map_block(tmp_path / which / "images/00000.safetensors")["image"] for which in ("whole", "hurt"))
    np.testing.assert_array_equal(after, np.delete(before, 1, axis=0))
    assert "is not a whole image" in open_image("images/0000b.png", source, encoder.preparation).problem
    assert "cannot be read" in open_image("images/none.png", source, encoder.preparation).problem


def test_threads_stay_a_bounded_way_ahead(pairs, encoder):
    source = read_source(str(pairs))
    read = []
    slow = dataclasses.replace(source, read_image=lambda key: (read.append(key), source.read_image(key))[1])
    works = [work for work in cut_shards(slow, {"prompts": 8, "images": 12}) if work.table == "images"]
    batches = image_batches(works, slow, dataclasses_batch(encoder, 1), threads=1)
    next(batches)
    assert len(read) <= 3  # the one taken, two ahead at most
    batches.close()


def dataclasses_batch(encoder, size):
    encoder.batch_size = size
    return encoder


def test_prompts(pairs, encoder, tmp_path):
    source = read_source(str(pairs))
    works = [work for work in cut_shards(source, {"prompts": 7, "images": 5}) if work.table == "prompts"]
    embed_prompts(
        works,
        source,
        encoder,
        writer_for(tmp_path, encoder, source),
        threads=2,
        done=lambda _: None,
        report=lambda _: None,
    )
    prompts = [
        name
        for i in range(2)
        for name in read_table(tmp_path / f"prompts/{i:05d}.parquet").column("prompt").to_pylist()
    ]
    assert prompts == list(dict.fromkeys(record.prompt for record in source.records))
    text = map_block(tmp_path / "prompts/00001.safetensors")["text"]
    np.testing.assert_allclose(text, encoder.encode_text(prompts[7:]).text, atol=2e-3)

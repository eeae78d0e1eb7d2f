import os

from random_clip import write_pairs

from precompute.readers import read_source
from precompute.shards import committed_shard, cut_shards

ROWS = {"prompts": 100, "images": 5}


def test_shards_are_the_same_for_everybody(tmp_path):
    folder = write_pairs(tmp_path / "d", pairs=12)
    works = cut_shards(read_source(str(folder)), ROWS)
    assert [(work.table, work.index, len(work.keys)) for work in works] == [
        ("prompts", 0, 12),
        ("images", 0, 5),
        ("images", 1, 5),
        ("images", 2, 2),
    ]
    assert cut_shards(read_source(str(folder)), ROWS) == works
    with (folder / "images/0003a.png").open("ab") as file:
        file.write(b"x")
    assert [work.content for work in cut_shards(read_source(str(folder)), ROWS)][1:] != [
        work.content for work in works
    ][1:]


def test_an_image_changed_since_is_noticed(embed, tmp_path):
    from tipai_jax.store.manifest import load_plan
    from tipai_jax.store.writer import StoreWriter

    folder = write_pairs(tmp_path / "d", pairs=12)
    embed(folder, tmp_path / "s")
    writer = StoreWriter(tmp_path / "s", load_plan(tmp_path / "s"))

    def there():
        source = read_source(str(folder))
        return [committed_shard(writer, work, source, rehash=False) is not None for work in cut_shards(source, ROWS)][
            1:
        ]

    assert there() == [True, True, True]
    image = folder / "images/0000b.png"
    data = bytearray(image.read_bytes())
    os.utime(image)  # newer, but the same
    assert there() == [True, True, True]
    data[-1] ^= 1  # as long as before, but another
    image.write_bytes(data)
    assert there() == [False, True, True]

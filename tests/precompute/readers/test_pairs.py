import json

import pytest
from random_clip import write_pairs

from precompute.pair_rows import reject_columns
from precompute.readers import read_source
from precompute.readers.pairs import is_small_world
from precompute.readers.records import hashed_split
from tipai_jax.errors import UserError


def reasons(source) -> list[str]:
    return [reject.reason for reject in source.rejects]


def test_reads_what_is_there(tmp_path):
    folder = write_pairs(tmp_path / "d", pairs=5)
    source = read_source(str(folder))
    assert source.rows == len(source.records) == 5 and not source.rejects
    assert set(source.images) == {f"images/000{i}{letter}.png" for i in range(3) for letter in "ab"}
    assert source.read_image("images/0000a.png") == (folder / "images/0000a.png").read_bytes()
    assert source.images["images/0000a.png"].size == (folder / "images/0000a.png").stat().st_size
    assert source.identity["kind"] == "pairs" and str(tmp_path) not in json.dumps(source.identity)
    assert read_source(str(folder / "pairs.jsonl")).identity == source.identity
    limited = read_source(str(folder), limit=2)
    assert limited.rows == 2 and limited.identity != source.identity


def test_other_spellings_of_a_path_are_one_image(tmp_path):
    folder = write_pairs(tmp_path / "d", pairs=2, rows=[{"chosen_image": "./images/../images/0000a.png"}])
    source = read_source(str(folder))
    assert {record.chosen for record in source.records} | {record.rejected for record in source.records} == set(
        source.images
    )
    assert len(source.images) == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("images/none.png", "missing_image"),
        ("images", "missing_image"),
        ("../secret.png", "path_outside"),
        ("images/../../secret.png", "path_outside"),
        ("/etc/hostname", "path_outside"),
        ("link.png", "path_outside"),
        ("linked/secret.png", "path_outside"),
        ("empty.png", "empty_image"),
        ("images/0000a.png/x", "missing_image"),
        ("nul\0.png", "missing_image"),
    ],
)
def test_paths_that_cannot_be_used(tmp_path, name, reason):
    folder = write_pairs(tmp_path / "d", pairs=4, rows=[{"rejected_image": name}])
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "empty.png").touch()
    source = read_source(str(folder))
    assert reasons(source) == [reason] and source.rejects[0].row == 1 and source.rejects[0].pair_id == "pair0000"
    assert len(source.records) == 3 and all("secret" not in key for key in source.images)


def test_a_link_that_stays_inside_is_fine(tmp_path):
    folder = write_pairs(tmp_path / "d", pairs=2, rows=[{"chosen_image": "link.png"}])
    (folder / "link.png").symlink_to(folder / "images/0000a.png")
    assert not read_source(str(folder)).rejects


def test_what_is_wrong_with_the_whole(tmp_path):
    with pytest.raises(
        UserError,
        match=r"none: no such folder; --data names one that holds pairs\.jsonl \(format: docs/data-format\.md\)$",
    ):
        read_source(str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"pairs\.jsonl: missing; .*\(format: docs/data-format\.md\)$"):
        read_source(str(tmp_path))
    path = tmp_path / "pairs.jsonl"
    for empty in ("", "\n\n  \n"):
        path.write_text(empty)
        with pytest.raises(UserError, match=r"the file is empty; .*\(format: docs/data-format\.md\)$"):
            read_source(str(tmp_path))
    path.write_text('{"pair_id": "a"}\n{"pair_id": ')
    with pytest.raises(UserError, match="line 2 is not JSON"):
        read_source(str(tmp_path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="line 1 is not JSON"):
        read_source(str(tmp_path))


def test_duplicate_ids_are_fatal(tmp_path):
    folder = write_pairs(tmp_path / "d", pairs=4, rows=[{"pair_id": "pair0002"}])
    with pytest.raises(UserError, match="'pair0002' in pairs 1, 3"):
        read_source(str(folder))


def test_nan_scores_and_odd_lines_are_rejects(tmp_path):
    folder = write_pairs(tmp_path / "d", pairs=4, rows=[{"chosen_score": float("nan")}])
    with (folder / "pairs.jsonl").open("a") as file:
        file.write("[1, 2]\n")
    source = read_source(str(folder))
    assert reasons(source) == ["bad_score", "not_an_object"] and [reject.row for reject in source.rejects] == [1, 5]


def test_half_a_character_costs_its_pair(tmp_path):
    """JSON can spell one half of a surrogate pair; no other file can hold it, the list of rejects included."""
    half = "\ud83d"
    folder = write_pairs(
        tmp_path / "d",
        pairs=8,
        rows=[{name: f"cat {half}"} for name in ("pair_id", "prompt", "group", "kind", "chosen_image")],
    )
    source = read_source(str(folder))
    assert reasons(source) == ["bad_field"] * 5 and len(source.records) == 3
    for reject, name in zip(source.rejects, ("pair_id", "prompt", "group", "kind", "chosen_image")):
        assert f"field {name!r} is 'cat \\ud83d', which holds half a surrogate pair" in reject.detail
    assert source.rejects[0].pair_id == "cat \\ud83d"
    reject_columns(source.rejects)


def test_pairs_of_one_prompt_are_in_one_split(tmp_path):
    changes = [{"prompt": "a cat", "group": f"h{i}", "split": None} for i in range(8)]
    source = read_source(str(write_pairs(tmp_path / "d", pairs=8, rows=changes)))
    assert len({hashed_split(f"h{i}") for i in range(8)}) > 1, "groups that would part by themselves"
    assert {record.split for record in source.records} == {hashed_split("h0")}


def test_the_small_world_says_so(tmp_path):
    folder = write_pairs(tmp_path / "d", pairs=2)
    assert not is_small_world(folder) and not read_source(str(folder)).small_world_only
    (folder / "world.json").write_text('{"small_world_only": true}')
    assert is_small_world(folder) and read_source(str(folder)).small_world_only
    (folder / "world.json").write_text("[]")
    assert not is_small_world(folder)

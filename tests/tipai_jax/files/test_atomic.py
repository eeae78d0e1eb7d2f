import os

import pytest

from tipai_jax.files.atomic import canonical_json, sha256_bytes, sha256_file, write_file


def test_canonical_json():
    assert canonical_json({"b": [1, "ä"], "a": None}) == b'{"a":null,"b":[1,"\\u00e4"]}'
    with pytest.raises(ValueError, match=r"not JSON compliant|Out of range"):
        canonical_json(float("nan"))


def test_hash_of_nothing_and_of_a_file(tmp_path):
    assert sha256_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    assert sha256_file(tmp_path / "a") == sha256_bytes(b"abc" * 1_000_000)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "a"
    write_file(path, b"old")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(number))
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
    with pytest.raises(OSError, match="power cut"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert len(synced) == 1  # the data were synced before the rename was tried
    monkeypatch.undo()
    write_file(path, b"new")
    assert path.read_bytes() == b"new"

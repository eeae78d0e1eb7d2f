import dataclasses
import json

import pytest

from scripts.benchmark.synthetic import fingerprint
from tipai_jax.errors import UserError
from tipai_jax.store import Fingerprint, Manifest, Plan, Shard
from tipai_jax.store.manifest import MANIFEST, PLAN, load_manifest, load_plan

FINGERPRINT = fingerprint(name="tiny", digest="ab", d=4, image_size=112, small_world_only=True, view="whole")
PLAN_ = Plan(
    encoder=FINGERPRINT,
    data={"kind": "pairs", "sha256": "cd"},
    small_world_only=True,
    micro_batch=64,
    device="cpu",
    shard_rows={"images": 8, "prompts": 8},
)


def manifest() -> Manifest:
    shard = Shard(
        table="pairs", index=0, rows=2, content="", files={"pairs/00000.parquet": {"bytes": 1, "sha256": "ef"}}
    )
    return Manifest(
        schema_version=1,
        digest="",
        encoder=FINGERPRINT,
        data=PLAN_.data,
        small_world_only=True,
        splits={"train": 2},
        counts={"pairs": 2},
        rejects=0,
        reject_reasons={},
        micro_batch=64,
        device="cpu",
        shards=(shard,),
    ).with_digest()


def test_manifest_round_trip(tmp_path):
    (tmp_path / MANIFEST).write_bytes(manifest().to_bytes())
    assert load_manifest(tmp_path) == manifest()


def test_the_digest_covers_every_field():
    changes = [
        {"splits": {"train": 3}},
        {"rejects": 1},
        {"micro_batch": 32},
        {"encoder": dataclasses.replace(FINGERPRINT, patches="dense")},
        {"shards": ()},
    ]
    digests = {dataclasses.replace(manifest(), **change).with_digest().digest for change in changes}
    assert len(digests | {manifest().digest}) == len(changes) + 1


def test_a_record_made_before_the_files_digest_keeps_its_digest(tmp_path):
    """As written then: no such field, neither in the file nor under the digest."""
    old = manifest()
    assert "files_digest" not in old.to_bytes().decode() and "files_digest" not in json.dumps(PLAN_.to_json())
    (tmp_path / MANIFEST).write_bytes(old.to_bytes())
    assert load_manifest(tmp_path).encoder.files_digest == ""
    known = dataclasses.replace(old, encoder=dataclasses.replace(FINGERPRINT, files_digest="cd")).with_digest()
    assert known.digest != old.digest
    (tmp_path / MANIFEST).write_bytes(known.to_bytes())
    assert load_manifest(tmp_path) == known and load_manifest(tmp_path).encoder.files_digest == "cd"


def test_fingerprints_name_what_differs():
    changed = lambda **fields: dataclasses.replace(FINGERPRINT, **fields)
    assert FINGERPRINT.differences(changed()) == FINGERPRINT.differences(changed(digest="other")) == {}
    found = FINGERPRINT.differences(changed(digest="x", dtype="float16", patches="dense"))
    assert found == {"dtype": ("float32", "float16"), "patches": ("raw", "dense")}
    assert FINGERPRINT.differences(changed(files_digest="cd")) == {}  # one does not know
    assert changed(files_digest="ab").differences(changed(files_digest="cd")) == {"files_digest": ("ab", "cd")}
    assert Fingerprint.from_json(json.loads(json.dumps(dataclasses.asdict(FINGERPRINT)))) == FINGERPRINT


def test_an_altered_manifest_is_refused(tmp_path):
    value = json.loads(manifest().to_bytes())
    value["splits"]["train"] = 3
    (tmp_path / MANIFEST).write_text(json.dumps(value))
    with pytest.raises(UserError, match="altered"):
        load_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({**value, "schema_version": 99}))
    with pytest.raises(UserError, match="schema version 99"):
        load_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(UserError, match="not the manifest"):
        load_manifest(tmp_path)


def test_no_store_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match=r"no finished store here; make one with: python precompute/embed\.py"):
        load_manifest(tmp_path)
    (tmp_path / PLAN).write_text("{}")
    with pytest.raises(UserError, match="run the same embed command again"):
        load_manifest(tmp_path)


def test_plans_name_what_differs(tmp_path):
    other = dataclasses.replace(PLAN_, encoder=dataclasses.replace(FINGERPRINT, name="big", d=768))
    assert PLAN_.differences(PLAN_) == []
    assert PLAN_.differences(other) == ["encoder.d: 4, 768", "encoder.name: 'tiny', 'big'"]
    assert load_plan(tmp_path) is None
    (tmp_path / PLAN).write_text(json.dumps(PLAN_.to_json()))
    assert load_plan(tmp_path) == PLAN_
    (tmp_path / PLAN).write_text("[]")
    with pytest.raises(UserError, match="not the plan"):
        load_plan(tmp_path)

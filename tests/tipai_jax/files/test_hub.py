"""A hub id to a folder: what is whole on disk needs no network, what is not is fetched, and a hub out of reach is said
in a line.
"""

from pathlib import Path
from unittest import mock

import fake_hub
import pytest

from tipai_jax.errors import UserError
from tipai_jax.files.hub import hub_folder, is_hub_id, no_such_folder


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a/b", True), ("a", False), ("a/b/c", False), ("./b", False), ("/b", False), ("~/b", False), ("a/", False)],
)
def test_hub_ids(name, is_one):
    assert is_hub_id(name) == is_one


def test_where_a_folder_was_meant_nobody_elses_model_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("models/mine")
    (tmp_path / "models").mkdir()
    assert not is_hub_id("models/mine") and is_hub_id("others/mine")
    assert no_such_folder("models/mine") == "no such folder (a folder models stands here, so no hub id is meant)"
    assert not is_hub_id("a" * 300 + "/b") and no_such_folder("a" * 300 + "/b") == "no such folder"


def ask(find, whole, fetch):
    return hub_folder("some/model", kind="model", find=find, whole=whole, fetch=fetch, hint="draw instead")


def never():
    pytest.fail("the network was asked for")


def test_what_is_whole_on_disk_is_not_fetched(tmp_path):
    assert ask(lambda: tmp_path, lambda folder: True, never) == tmp_path


@pytest.mark.parametrize(
    "find",
    [lambda: Path("half"), lambda: (_ for _ in ()).throw(OSError("not cached"))],
    ids=["half there", "not there"],
)
def test_what_is_not_whole_is_fetched_after_one_question(monkeypatch, tmp_path, find):
    from huggingface_hub import constants

    asked = fake_hub.replaced(monkeypatch, "model_info")
    assert ask(find, lambda folder: False, lambda: tmp_path) == tmp_path
    asked.assert_called_once_with(mock.ANY, "some/model", timeout=5.0)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match="model some/model: not on this machine, and HF_HUB_OFFLINE forbids fetching it; draw instead"
    ):
        ask(find, lambda folder: False, never)


def test_a_hub_out_of_reach_is_one_line(monkeypatch, tmp_path):
    fake_hub.out_of_reach(monkeypatch, tmp_path)
    with pytest.raises(UserError) as refused:
        ask(lambda: Path("half"), lambda folder: False, never)
    assert (
        str(refused.value)
        == "model some/model: not on this machine and not to be fetched (Network is unreachable); draw instead"
    )

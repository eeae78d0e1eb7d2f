"""The catalogue keeps its rules: scores belong to bytes, prompt and scorer; what contradicts itself is not let in;
other files are refused in a line.
"""

import dataclasses
import sqlite3

import pytest

from tipai_jax.errors import UserError
from tipai_jax.store.catalog import CATALOG, CatalogImage, CatalogPair, CatalogScore, Scorer, open_catalog

CLIP = Scorer(name="zero_shot", digest="ab" * 32, model="tiny, raw patches", rule="cosine, mapped")
AUDITOR = dataclasses.replace(CLIP, name="auditor", digest="cd" * 32)


def image(seed: int = 0, **changes) -> CatalogImage:
    values = {
        "image_id": f"p1_{seed}",
        "sha256": f"{seed:064x}",
        "prompt_id": "p1",
        "prompt": "a red car",
        "category": "attribute",
        "seed": seed,
        "path": f"images/p1_{seed}.png",
        "generator": "scenes (drawn, not generated)",
        "settings": "{}",
        "drawn": True,
    }
    return CatalogImage(**(values | changes))


def score(of: CatalogImage, value: float = 0.5, prompt: str = "a red car") -> CatalogScore:
    return CatalogScore(sha256=of.sha256, prompt=prompt, global_score=value, raw=value, patch_scores=(value, 0.25))


def pair(**changes) -> CatalogPair:
    return CatalogPair(
        **(
            {
                "pair_id": "p1",
                "prompt_id": "p1",
                "prompt": "a red car",
                "chosen_img": "p1_0",
                "rejected_img": "p1_1",
                "c_score": 0.9,
                "r_score": 0.4,
            }
            | changes
        )
    )


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path, create=True) as opened:
        yield opened


def test_what_is_entered_is_there_after_closing(tmp_path):
    truth = image(
        1,
        broken=True,
        broken_category="attribute",
        kind="other colour",
        boxes=({"bbox": [1, 2, 3, 4], "category": "attribute"},),
    )
    with open_catalog(tmp_path, create=True) as catalog:
        catalog.put_image(image(0, broken=False))
        catalog.put_image(truth)
        catalog.put_scores(CLIP, [score(image(0), 0.9), score(image(1), 0.4)])
        catalog.put_pairs(CLIP, [pair()])
    with open_catalog(tmp_path) as catalog:
        assert catalog.images() == [image(0, broken=False), truth]
        assert catalog.scores(CLIP) == {"p1_0": score(image(0), 0.9), "p1_1": score(image(1), 0.4)}
        assert catalog.pairs(CLIP) == [pair()] and catalog.scorers() == [CLIP]
    raw = sqlite3.connect(tmp_path / CATALOG)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",) and raw.execute(
        "PRAGMA user_version"
    ).fetchone() == (1,)
    strict = dict(
        raw.execute("SELECT name, strict FROM pragma_table_list WHERE name IN ('images', 'scores', 'pairs', 'scorers')")
    )
    assert strict == dict.fromkeys(("images", "scores", "pairs", "scorers"), 1)
    raw.close()


def test_scorers_live_side_by_side_and_replace_only_their_own(catalog):
    catalog.put_image(image())
    catalog.put_scores(CLIP, [score(image(), 0.2)])
    catalog.put_scores(AUDITOR, [score(image(), 0.8)])
    catalog.put_scores(CLIP, [score(image(), 0.3)])
    assert catalog.scores(CLIP)["p1_0"].global_score == 0.3 and catalog.scores(AUDITOR)["p1_0"].global_score == 0.8
    assert catalog.find_scorer("auditor") == AUDITOR and catalog.find_scorer("zero_shot@abab") == CLIP
    assert CLIP.full_name == "zero_shot@abababab" and catalog.find_scorer(CLIP.full_name) == CLIP
    catalog.put_scores(dataclasses.replace(CLIP, digest="abcd"), [score(image())])
    with pytest.raises(UserError, match=r"--scorer zero_shot: 2 scorers of that name .* zero_shot@abcd"):
        catalog.find_scorer("zero_shot")
    with pytest.raises(UserError, match=r"--scorer vqa: has scored nothing in .*there are zero_shot@abababab"):
        catalog.find_scorer("vqa")


def test_other_bytes_lose_the_scores_and_pairs_of_the_old_ones(catalog):
    for seed in (0, 1):
        catalog.put_image(image(seed))
    catalog.put_scores(CLIP, [score(image(0), 0.9), score(image(1), 0.4)])
    catalog.put_pairs(CLIP, [pair()])
    catalog.put_image(image(0))  # the same once more: nothing is lost
    assert len(catalog.scores(CLIP)) == 2 and len(catalog.pairs(CLIP)) == 1
    catalog.put_image(image(0, sha256="f" * 64))
    assert list(catalog.scores(CLIP)) == ["p1_1"] and catalog.pairs(CLIP) == []
    assert {entry.sha256 for entry in catalog.images()} == {"f" * 64, f"{1:064x}"}


def test_a_score_against_another_prompt_is_not_the_pictures_own(catalog):
    catalog.put_image(image())
    catalog.put_scores(CLIP, [score(image(), prompt="a blue cat")])
    assert catalog.scores(CLIP) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: c.put_image(image(sha256="short")),
        lambda c: c.put_image(image(path="/elsewhere.png")),
        lambda c: c.put_image(image(seed=-1)),
        lambda c: c.put_image(image(broken=True)),
        lambda c: c.put_image(image(settings="{")),
        lambda c: c.put_image(image(7, image_id="again", sha256=image().sha256)),
        lambda c: c.put_scores(CLIP, [score(image(), 1.5)]),
        lambda c: c.put_scores(CLIP, [score(image(9))]),
        lambda c: c.put_scores(CLIP, [dataclasses.replace(score(image()), patch_scores=())]),
        lambda c: c.put_pairs(CLIP, [pair(c_score=0.3)]),
        lambda c: c.put_pairs(CLIP, [pair(rejected_img="p1_0")]),
        lambda c: c.put_pairs(CLIP, [pair(rejected_img="nobody")]),
        lambda c: c.put_pairs(CLIP, [pair(), pair(pair_id="p2")]),
    ],
)
def test_what_contradicts_itself_is_not_let_in(catalog, wrong):
    for seed in (0, 1):
        catalog.put_image(image(seed))
    before = catalog.images()
    with pytest.raises(sqlite3.IntegrityError):
        wrong(catalog)
    assert catalog.images() == before and catalog.scorers() == [] and catalog.pairs(CLIP) == []


def test_files_that_are_no_catalogue_of_ours_are_refused_in_a_line(tmp_path):
    with pytest.raises(UserError, match=r"catalog.db: no catalogue here; make images first"), open_catalog(tmp_path):
        pass
    (tmp_path / CATALOG).write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(UserError, match=r"cannot be used .*not a database"), open_catalog(tmp_path):
        pass
    (tmp_path / CATALOG).unlink()
    other = sqlite3.connect(tmp_path / CATALOG)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(UserError, match="no catalogue of images"), open_catalog(tmp_path, create=True):
        pass


def test_a_newer_version_is_refused_in_a_line(tmp_path):
    with open_catalog(tmp_path, create=True):
        pass
    newer = sqlite3.connect(tmp_path / CATALOG)
    newer.execute("PRAGMA user_version = 7")
    newer.close()
    with pytest.raises(UserError, match=r"is of version 7, this program reads up to 1"), open_catalog(tmp_path):
        pass

"""What a broken phrase looks like instead: candidates and truth of a small store, and the figures counted by hand."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from eval_world import write_store
from flax import nnx

from tipai_jax.config import AuditorConfig, ModelConfig
from tipai_jax.evaluation import alternative_figures as figures_module
from tipai_jax.evaluation import figure
from tipai_jax.evaluation.alternative_figures import NAMES, alternative_figures, measured_alternatives
from tipai_jax.evaluation.alternatives import (
    ALTERNATIVES,
    BrokenPhrase,
    Candidate,
    Candidates,
    broken_phrases,
    sampled,
    usual_truths,
)
from tipai_jax.evaluation.calibration import Calibration
from tipai_jax.evaluation.calibrators import Platt
from tipai_jax.evaluation.inference import Run, predict
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.store import CATEGORIES, MOST_PHRASES, PHRASE_KINDS, ObjectTable, PhraseTable, open_store
from tipai_jax.store.manifest import Manifest
from tipai_jax.tasks.auditor import AuditorTask, build_heads

PHRASES = (
    ("a red cat", "a cat", "cat", "red", "count"),
    ("a red cat", "a cat", "cat", "red", "attribute"),
    ("a green cat", "a cat", "cat", "green", "attribute"),
    ("a blue cat", "a cat", "cat", "blue", "count"),
    ("a cat", "a cat", "cat", "", "count"),
    ("left of", "left of", "left of", "", "relation"),
    ("Right of", "Right of", "Right of", "", "relation"),
    ("on", "on", "on", "", "relation"),
    ("holding", "holding", "holding", "", "relation"),
    ("an orange dog", "a dog", "dog", "orange", "attribute"),
    ("a small blue cat", "a cat", "cat", "small blue", "attribute"),
    ("a small red cat", "a cat", "cat", "small red", "attribute"),
    ('a sign that says "red"', "a sign", "sign", "red", "text"),
)
RED_CATS, RED_CAT, GREEN_CAT, BLUE_CAT, CATS, LEFT, RIGHT, ON, HOLDING, DOG, SMALL_BLUE, SMALL_RED, SIGN = range(13)
OBJECT, ATTRIBUTE, COUNT, RELATION = (PHRASE_KINDS.index(name) for name in ("object", "attribute", "count", "relation"))
CALIBRATION = Calibration(
    global_score=Platt(),
    patch=Platt(),
    reason=dict.fromkeys(CATEGORIES, Platt()),
    worst_patch=Platt(),
    conformal=None,
    risk_threshold=0.5,
    phrase=Platt(),
)
UPPER, LOWER, FAR = (0.1, 0.1, 0.2, 0.2), (0.12, 0.5, 0.22, 0.6), (0.6, 0.1, 0.7, 0.2)


@pytest.fixture(autouse=True)
def few_groups_are_enough(monkeypatch):
    monkeypatch.setattr(figure, "MIN_GROUPS", 1)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A store without objects."""
    return write_store(tmp_path_factory.mktemp("store"), splits={"test": 20})


def table():
    columns = dict(zip(("phrase", "bare", "head", "attributes", "kind"), zip(*PHRASES, strict=True), strict=True))
    ids = np.array([f"f{i}" for i in range(len(PHRASES))], object)
    return PhraseTable(phrase_id=ids, **{name: np.array(column, object) for name, column in columns.items()})


def thing(side, phrase, box, *, attributes="red", wrong=1, named=1, name="cat"):
    return {"side": side, "phrase": phrase, "box": box, "attributes": attributes} | {
        "wrong": wrong,
        "named": named,
        "name": name,
    }


def make(plain, monkeypatch, prompts, objects):
    """The store with other phrases in the prompts of its first pairs, all broken, and with these objects.

    Args:
        plain: the store.
        monkeypatch: gives back the manifest.
        prompts: of each pair its phrases, (row, count) or (row, subject, object) of a relation.
        objects: of each pair.
    """
    store = open_store(plain.path)
    rows = np.flatnonzero(~plain.pairs.control)[: len(prompts)]
    lists = {name: np.full((len(plain.prompts), MOST_PHRASES), -1) for name in ("phrase", "count", "subject", "object")}
    label = np.full((len(plain.pairs), MOST_PHRASES), -1, np.int8)
    for row, phrases in zip(rows, prompts, strict=True):
        for place, (phrase, *rest) in enumerate(phrases):
            of = plain.pairs.prompt[row], place
            lists["phrase"][of], lists["count"][of] = phrase, rest[0] if len(rest) == 1 else 1
            if len(rest) == 2:
                lists["subject"][of], lists["object"][of] = rest
            label[row, place] = 0
    of_prompt = {"phrase" if name == "phrase" else f"phrase_{name}": values for name, values in lists.items()}
    store.__dict__["prompts"] = dataclasses.replace(plain.prompts, **of_prompt)
    store.__dict__["phrases"] = table()
    store.__dict__["pairs"] = dataclasses.replace(plain.pairs, phrase_label=label)
    flat = [(row, each) for row, some in zip(rows, objects, strict=True) for each in some]
    column = lambda name, dtype: np.array([each[name] for _, each in flat], dtype)
    x1, y1, x2, y2 = np.array([each["box"] for _, each in flat], np.float64).reshape(-1, 4).T
    store.__dict__["objects"] = ObjectTable(
        pair=np.array([row for row, _ in flat], np.int64),
        name=column("name", object),
        attributes=column("attributes", object),
        **{name: column(name, np.int8) for name in ("side", "wrong", "named", "phrase")},
        **{"x1": x1, "y1": y1, "x2": x2, "y2": y2},
    )
    of_table = Manifest.of_table
    some = lambda self, name: of_table(self, "pairs" if name == "objects" else name)
    monkeypatch.setattr(Manifest, "of_table", some)
    return store, store.pairs.select(rows)


def said(candidates):
    return [(each.word, each.row, each.kind, each.count) for each in candidates]


def test_the_candidates_of_each_kind_of_phrase():
    """Colours that the store has no phrase for are left out, and so are those of a sign's word."""
    found = Candidates(table())
    assert said(found.of(RED_CAT, 1)) == [("green", GREEN_CAT, ATTRIBUTE, 1), ("blue", BLUE_CAT, ATTRIBUTE, 1)]
    colours = [("green", GREEN_CAT, COUNT, 3), ("blue", BLUE_CAT, COUNT, 3)]
    numbers = [(n, RED_CATS, ATTRIBUTE if n == 1 else COUNT, n) for n in (1, 2, 4, 5, 6)]
    assert said(found.of(RED_CATS, 3)) == colours + numbers
    assert said(found.of(CATS, 2)) == [(n, CATS, OBJECT if n == 1 else COUNT, n) for n in (1, 3, 4, 5, 6)]
    assert said(found.of(LEFT, 1)) == [("right of", RIGHT, RELATION, 1)]
    assert said(found.of(RIGHT, 1)) == [("left of", LEFT, RELATION, 1)]
    assert said(found.of(ON, 1)) == [("left of", LEFT, RELATION, 1), ("right of", RIGHT, RELATION, 1)]
    assert said(found.of(SMALL_BLUE, 1)) == [("red", SMALL_RED, ATTRIBUTE, 1)], "still a small one"
    assert [found.of(row, 1) for row in (HOLDING, DOG, SIGN)] == [(), (), ()]
    assert [each.what for each in found.of(RED_CATS, 3)] == ["colour"] * 2 + ["number"] * 5


cats = lambda n, **more: [thing(1, 0, UPPER, **more)] * n


@pytest.mark.parametrize(
    ("phrase", "objects", "truth"),
    [
        ((RED_CAT, 1), cats(1, attributes="blue"), "blue"),
        ((RED_CATS, 3), cats(3, attributes="blue fluffy"), "blue"),
        ((RED_CAT, 1), [thing(0, 0, UPPER, attributes="blue")], None),  # in the chosen image
        ((RED_CAT, 1), [thing(1, 1, UPPER, attributes="blue")], None),  # of another phrase
        ((RED_CAT, 1), cats(1, attributes="blue", wrong=0), None),
        ((RED_CAT, 1), cats(1, attributes="blue", wrong=-1), None),
        ((RED_CAT, 1), cats(1, attributes="blue") + cats(1, attributes="green"), None),
        ((RED_CAT, 1), cats(1, attributes="black"), None),  # no such phrase in the store
        ((RED_CAT, 1), cats(1, attributes="black white"), None),
        ((RED_CAT, 1), cats(1, attributes=""), None),
        ((RED_CATS, 3), cats(2), 2),
        ((RED_CATS, 3), [*cats(1), thing(1, -1, FAR, wrong=0, named=0)], 1),
        ((CATS, 2), cats(3, attributes="") + cats(1, attributes="blue"), 4),
        ((RED_CATS, 3), cats(3), None),  # as many as the prompt says
        ((RED_CATS, 3), cats(7), None),  # more than is tried
        ((RED_CAT, 1), cats(2), None),  # the prompt says no number
        ((RED_CATS, 3), [*cats(2), thing(1, -1, FAR, wrong=0, named=-1)], None),  # it may be a third
        ((RED_CATS, 3), cats(2, wrong=0) + cats(1, attributes="blue"), None),  # one is blue, or two are red
        ((RED_CATS, 3), [], None),
    ],
)
def test_what_the_image_shows_instead_of_a_thing(plain, monkeypatch, phrase, objects, truth):
    found = broken_phrases(*make(plain, monkeypatch, [[phrase]], [objects]))
    assert found is not None
    assert [each.candidates[each.truth].word for each in found] == ([] if truth is None else [truth])


@pytest.mark.parametrize(
    ("subject", "other", "truth"),
    [
        (FAR, UPPER, "right of"),
        (UPPER, FAR, "left of"),  # which is the prompt's own
        (LOWER, UPPER, "below"),
        (UPPER, LOWER, "above"),
        ((0.25, 0.1, 0.35, 0.2), UPPER, None),  # they may be next to each other
        ((0.27, 0.1, 0.37, 0.2), UPPER, "right of"),
        ((0.1, 0.19, 0.2, 0.3), UPPER, None),  # one stands on the other
        ((0.6, 0.4, 0.7, 0.5), UPPER, None),  # right of it and below: 0.5 and 0.3
        ((0.6, 0.34, 0.7, 0.44), UPPER, "right of"),  # 0.5 and 0.24
    ],
)
def test_where_a_thing_lies_instead(plain, monkeypatch, subject, other, truth):
    """Of the relations the store holds two of these four, and the prompt says one of the two."""
    prompt = [(RED_CAT, 1), (LEFT, 0, 2), (DOG, 1)]
    objects = [thing(1, 0, subject), thing(1, 2, other), thing(0, 0, LOWER)]
    store, pairs = make(plain, monkeypatch, [prompt], [objects])
    words = np.concatenate([store.phrases.head, ["above", "below"]])
    more = {name: np.concatenate([getattr(store.phrases, name), [""] * 2]) for name in ("attributes", "phrase_id")}
    kinds = np.concatenate([store.phrases.kind, ["relation"] * 2])
    store.__dict__["phrases"] = PhraseTable(head=words, phrase=words, bare=words, kind=kinds, **more)
    found = broken_phrases(store, pairs)
    assert found is not None
    wanted = [] if truth in (None, "left of") else [(1, truth, "relation")]
    assert [(each.place, each.candidates[each.truth].word, each.what) for each in found] == wanted


def test_a_relation_of_several_things_is_not_clear(plain, monkeypatch):
    prompt = [(RED_CATS, 2), (LEFT, 0, 2), (DOG, 1)]
    objects = [thing(1, 0, FAR), thing(1, 0, FAR), thing(1, 2, UPPER)]
    assert broken_phrases(*make(plain, monkeypatch, [prompt], [objects])) == []


def test_controls_kept_phrases_and_other_orders_of_the_pairs(plain, monkeypatch):
    objects = [cats(1, attributes="blue"), cats(1, attributes="green"), cats(1, attributes="blue")]
    store, pairs = make(plain, monkeypatch, [[(RED_CAT, 1)]] * 3, objects)
    label = pairs.phrase_label.copy()
    label[2, 0] = 1
    known = dataclasses.replace(pairs, phrase_label=label)
    words = lambda pairs: [(each.pair, each.candidates[each.truth].word) for each in broken_phrases(store, pairs) or ()]
    assert words(known) == [(0, "blue"), (1, "green")]
    assert words(pairs.select(np.array([1, 0]))) == [(0, "green"), (1, "blue")]
    assert words(dataclasses.replace(pairs, control=np.array([True, False, True]))) == [(1, "green")]


def broken(pair, place, words, truth):
    what = "number" if isinstance(words[0], int) else "relation" if words[0] in ALTERNATIVES["relation"] else "colour"
    own = (3,) if what == "number" else ("white",) if pair == 4 else ()
    return BrokenPhrase(pair, place, tuple(Candidate(what, word, 0, 0, 1) for word in words), truth, own)


def test_the_guess_is_what_was_usual(plain, monkeypatch):
    shown = [cats(1, attributes=each) for each in ("blue", "green", "blue")]
    prompts = [[(RED_CAT, 1)]] * 3 + [[(RED_CATS, 3)]]
    found = broken_phrases(*make(plain, monkeypatch, prompts, [*shown, cats(2)]))
    assert found is not None
    assert [each.own for each in found] == [("red", 1)] * 3 + [("red", 3)]
    assert usual_truths(found) == {("red", 1): "blue", ("red", 3): 2}


def test_a_sample_holds_at_most_so_many_of_each_kind_in_order():
    phrases = [broken(i, 0, ("red",) if i % 3 else (2,), 0) for i in range(30)]
    some = sampled(phrases, most=8, seed=0)
    assert [each.what for each in some].count("colour") == 8 == [each.what for each in some].count("number")
    assert [each.pair for each in some] == sorted({each.pair for each in some})
    assert sampled(phrases, most=8, seed=0) == some != sampled(phrases, most=8, seed=1)
    assert sampled(phrases, most=20, seed=0) == phrases and sampled([], most=3, seed=0) == []


def test_the_figures_by_hand(plain):
    """Six colours: one that the heads keep, one with no likely candidate, and of four that are named three are right.
    Of two numbers one is named, wrongly.
    """
    pairs = plain.pairs.select(np.flatnonzero(~plain.pairs.control)[:8])
    colour = ("red", "blue", "green")
    phrases = [
        broken(0, 1, colour, 0),  # kept
        broken(1, 0, colour, 1),  # nothing likely
        broken(2, 2, colour, 2),  # right
        broken(3, 0, ("blue", "white"), 1),  # right
        broken(4, 0, colour, 0),  # right: the first of equals
        broken(5, 0, colour, 0),  # the second of three
        broken(6, 0, (1, 2, 3, 4), 0),  # wrong
        broken(7, 3, (5, 6), 0),  # less likely than not
    ]
    logit = np.full((8, 2, MOST_PHRASES), 9.0, np.float32)
    for each, own in zip(phrases, (0.1, -2.0, -0.1, -5.0, -1.0, -1.0, -1.0, -1.0), strict=True):
        logit[each.pair, 1, each.place] = own
    answers = [[-1, -1.5, -3], [-3, 1, 2], [-1, 0.1], [2, 2, 1], [0, 3, 1], [-1, 1, 4, 3], [-0.1, -2]]
    asked = []

    def judge(some):
        asked.extend(some)
        return np.concatenate(answers).astype(np.float32)

    how = {"calibration": CALIBRATION, "judge": judge}
    found = measured_alternatives(logit, pairs, phrases, usual={("white",): "red", (3,): 1}, **how)
    assert asked == phrases[1:], "one that is kept is not judged again"
    plain_values = {name: {what: (each["value"], each["n"]) for what, each in found[name].items()} for name in found}
    assert plain_values == {
        "alternative_right": {"colour": (3 / 4, 4), "number": (0.0, 1), "relation": (None, 0)},
        "alternative_guessed": {"colour": (1 / 4, 4), "number": (1.0, 1), "relation": (None, 0)},
        "alternative_named": {"colour": (4 / 5, 5), "number": (1 / 2, 2), "relation": (None, 0)},
    }
    shifted = dataclasses.replace(CALIBRATION, phrase=Platt(1.0, 9.0))
    none = measured_alternatives(logit, pairs, phrases, usual={}, **how | {"calibration": shifted})
    gone = measured_alternatives(logit, pairs, phrases, usual=None, **how)
    assert {each["reason"] for each in gone["alternative_guessed"].values()} == {figures_module.GONE}
    assert gone["alternative_right"] == found["alternative_right"]
    assert all(each["n"] == 0 for name in NAMES for each in none[name].values()), "every phrase is kept"


@pytest.fixture(scope="module")
def run(plain, tmp_path_factory):
    """Heads that read phrases, with random weights: none of them is zero."""
    model = ModelConfig(heads="phrases", width=16, layers=1)
    config = AuditorConfig(model=model, store=str(plain.path), workdir=str(tmp_path_factory.mktemp("run")))
    heads = build_heads(model, d=16, k=49, seed=0)
    graph, params = nnx.split(heads)
    rng = np.random.default_rng(0)
    moved = jax.tree.map(lambda leaf: leaf + rng.normal(0, 0.3, leaf.shape).astype(np.float32), params)
    return Run(config, AuditorTask(config), nnx.merge(graph, moved), 1, None, {}, tmp_path_factory.mktemp("out"))


def test_candidates_are_judged_as_prompts_that_say_so(plain, monkeypatch, run):
    """The logit of each candidate is that of the same image with a prompt whose phrase it is."""
    prompts = [
        [(DOG, 1), (RED_CATS, 3)],
        [(SMALL_RED, 1)],
        [(RED_CAT, 1), (LEFT, 0, 2), (DOG, 1)],
    ]
    objects = [[thing(1, 1, UPPER)] * 2, cats(1, attributes="blue"), [thing(1, 0, FAR), thing(1, 2, UPPER)]]
    store, pairs = make(plain, monkeypatch, prompts, objects)
    phrases = broken_phrases(store, pairs)
    assert phrases is not None and [each.what for each in phrases] == ["number", "colour", "relation"]
    some = [phrases[2], phrases[0], phrases[1]]
    found = figures_module._candidate_logits(run, store, pairs, some)
    wanted = []
    for each in some:
        for candidate in each.candidates:
            lists = {name: getattr(store.prompts, name).copy() for name in ("phrase", "phrase_count")}
            at = pairs.prompt[each.pair], each.place
            kinds = store.phrases.kind.copy()
            kinds[candidate.row] = PHRASE_KINDS[candidate.kind]
            lists["phrase"][at], lists["phrase_count"][at] = candidate.row, candidate.count
            with monkeypatch.context() as patch:
                patch.setitem(store.__dict__, "prompts", dataclasses.replace(store.prompts, **lists))
                patch.setitem(store.__dict__, "phrases", dataclasses.replace(store.phrases, kind=kinds))
                one = run.task.columns_of(store, pairs.select(np.array([each.pair])))
                wanted.append(predict(run.task, run.model, one)["phrase_logit"][0, 1, each.place])
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert len(found) == 1 + 7 + 1 and len({round(float(each), 4) for each in found}) == 9, "all of them differ"


def test_everything_together_and_what_is_missing(plain, monkeypatch, run):
    prompts, objects = [[(RED_CAT, 1)]] * 4, [cats(1, attributes="blue")] * 4
    store, pairs = make(plain, monkeypatch, prompts, objects)
    task = run.task
    ours = Predictions.from_heads(predict(task, run.model, task.columns_of(store, pairs)))
    measure = lambda store, pairs, ours, **changes: alternative_figures(
        run, store, pairs, ours, calibration=dataclasses.replace(CALIBRATION, **changes), training=None, seed=0
    )
    doubting = Platt(0.0, -0.1)
    found = measure(store, pairs, ours, phrase=doubting)
    assert found["alternative_named"]["colour"]["value"] == 0.0 and found["alternative_named"]["colour"]["n"] == 4
    monkeypatch.setattr(figures_module, "MOST", 2)
    assert measure(store, pairs, ours, phrase=doubting)["alternative_named"]["colour"]["n"] == 2
    monkeypatch.setattr(figures_module, "FAILS", -math.inf)
    assert measure(store, pairs, ours)["alternative_named"]["colour"]["n"] == 0, "no phrase fails"

    reason = lambda found: {each["reason"] for name in NAMES for each in found[name].values()}
    assert measure(store, pairs, dataclasses.replace(ours, phrase_logit=None)) == {}
    assert reason(measure(store, pairs, ours, phrase=None)) == {figures_module.NO_CALIBRATOR}
    unknown = dataclasses.replace(pairs, phrase_label=np.full_like(pairs.phrase_label, -1))
    assert reason(measure(store, unknown, ours)) == {figures_module.NO_PHRASES}
    monkeypatch.undo()
    assert reason(measure(plain, pairs, ours)) == {figures_module.NO_OBJECTS}

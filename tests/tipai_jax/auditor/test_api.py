"""The public API on the small encoder, with heads of random weights: shapes, batching, files, digests, and what is
refused.
"""

import dataclasses
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fake_hub
import jax
import numpy as np
import pytest
from auditor_world import CALIBRATION, draw_image, make_bundle, tiny_fingerprint, write_image
from eval_world import write_store
from flax import nnx
from PIL import Image

import tipai_jax
from tipai_jax.auditor.api import Auditor, EmbeddedImages, EmbeddedPrompts
from tipai_jax.auditor.bundle import find_bundle
from tipai_jax.config import AuditorConfig, InputFeatures, ModelConfig
from tipai_jax.errors import UserError
from tipai_jax.evaluation.auditor_figures import figures
from tipai_jax.evaluation.inference import predict
from tipai_jax.evaluation.predictions import Predictions
from tipai_jax.files.nested import nest
from tipai_jax.tasks.auditor import AuditorTask, build_heads, pair_columns
from tipai_jax.tasks.auditor_layout import LAYOUT

PROMPTS = ["a red cat", "two blue dogs left of a tree", "a green car"]


@pytest.fixture(scope="module")
def auditor():
    return Auditor(make_bundle(tiny_fingerprint()), batch_size=4)


@pytest.fixture(scope="module")
def drawn():
    return [draw_image(i) for i in range(5)]


def test_it_is_loaded_when_asked_for():
    assert tipai_jax.Auditor is Auditor
    with pytest.raises(AttributeError, match="no attribute 'Critic'"):
        tipai_jax.Critic  # noqa: B018


def test_paired_pairwise_and_called(auditor, drawn):
    paired = auditor.score(drawn[:3], PROMPTS)
    assert paired.shape == (3,) and paired.score.shape == (3,) and [v.prompt for v in paired] == PROMPTS
    every = auditor.score(drawn, PROMPTS, pairwise=True)
    assert every.shape == (5, 3) and every[2, 1].prompt == PROMPTS[1]
    np.testing.assert_allclose(np.diag(every.logit[:3]), paired.logit, atol=2e-3)
    np.testing.assert_array_equal(auditor(images=drawn, texts=PROMPTS), every.score)
    assert len(np.unique(every.logit.round(4))) > 10  # so that agreement means something
    one = auditor.score(drawn, PROMPTS[0])
    np.testing.assert_allclose(one.logit, every.logit[:, 0], atol=2e-3)


def test_an_image_is_what_it_is_however_it_comes(auditor, tmp_path, drawn):
    path = write_image(tmp_path, 3)
    ways = [path, str(path), path.read_bytes(), Image.open(path), drawn[3]]
    logits = [auditor.score(way, PROMPTS[0]).logit[0] for way in ways]
    np.testing.assert_allclose(logits, logits[0], atol=1e-6)
    embedded = auditor.embed_images(drawn), auditor.embed_prompts(PROMPTS)
    np.testing.assert_allclose(
        auditor.score(*embedded, pairwise=True).logit, auditor.score(drawn, PROMPTS, pairwise=True).logit, atol=1e-6
    )
    assert auditor.score(np.array(Image.open(path).convert("L")), PROMPTS[0])[0].size == (160, 160)


def test_many_at_once_are_each_alone(auditor):
    """More images than a batch, and images of other sizes in between."""
    many = [draw_image(i, size=(120 + 13 * (i % 4), 150)) for i in range(11)]
    together = auditor.score(many, PROMPTS[0])
    alone = [auditor.explain(each, PROMPTS[0]) for each in many]
    np.testing.assert_allclose(together.logit, [v.logit for v in alone], atol=5e-3)
    assert [v.size for v in together] == [each.shape[1::-1] for each in many] == [v.size for v in alone]
    assert [v.heatmap.shape for v in together] == [each.shape[:2] for each in many]


def test_embedding_in_threads_leaves_the_callers_torch_alone(auditor, drawn):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert (
            len(auditor.embed_images(drawn)) == 5 and torch.get_num_threads() == 2
        )  # two batches of four, a thread each
    finally:
        torch.set_num_threads(before)


def test_few_programs_are_compiled(auditor, drawn):
    images, prompts = auditor.embed_images(drawn), auditor.embed_prompts(PROMPTS)
    auditor.score(images, prompts, pairwise=True)
    before = auditor._heads.forward._cache_size()
    for n in (9, 12, 15, 16):
        rows = EmbeddedImages(np.repeat(images.image[:1], n, 0), np.repeat(images.patches[:1], n, 0), images.encoder)
        auditor.score(rows, PROMPTS[0])
    assert auditor._heads.forward._cache_size() == before


def test_rank_is_by_logit(auditor, drawn):
    ranking = auditor.rank(PROMPTS[0], drawn)
    assert sorted(ranking.order) == list(range(5)) and ranking.best == ranking.order[0]
    assert np.all(np.diff(ranking.verdicts.logit[list(ranking.order)]) <= 0)
    assert ranking.scores.tolist() == sorted(ranking.verdicts.score.tolist(), reverse=True)
    best, worst = ranking.verdicts[ranking.order[0]], ranking.verdicts[ranking.order[-1]]
    assert worst < best and best > worst and not best < worst


def test_the_chosen_image_comes_first_as_often_as_the_pair_auc_says(tmp_path):
    """One by one through the public API against the batches of the evaluation, on embeddings of a store."""
    store = write_store(tmp_path, splits={"test": 60})
    bundle = make_bundle(store.manifest.encoder)
    auditor, pairs = Auditor(bundle), store.pairs.select(~store.pairs.control)
    first = []
    for row in range(len(pairs)):
        both = np.array([pairs.chosen[row], pairs.rejected[row]])
        prompt = EmbeddedPrompts(
            store.text.take(pairs.prompt[row : row + 1]), ("as embedded",), store.manifest.encoder.digest
        )
        drawn = EmbeddedImages(store.image.take(both), store.patches.take(both), store.manifest.encoder.digest)
        first.append(auditor.rank(prompt, drawn).best == 0)
    heads = build_heads(bundle.model, d=16, k=49, seed=0)
    nnx.update(heads, nest(bundle.weights))
    heads.eval()
    task = AuditorTask(AuditorConfig(model=bundle.model))
    predicted = Predictions.from_heads(predict(task, heads, pair_columns(store, pairs)))
    assert (
        0.2 < np.mean(first) < 0.8
        and np.mean(first) == figures(predicted, pairs, calibration=CALIBRATION, seed=0)["global_pair_auc"]["value"]
    )


def test_scores_of_other_heads_are_not_compared(auditor, drawn):
    other = Auditor(make_bundle(tiny_fingerprint(), seed=1))
    mine, theirs = auditor.explain(drawn[0], PROMPTS[0]), other.explain(drawn[0], PROMPTS[0])
    with pytest.raises(
        UserError, match=r"these scores cannot be compared: their heads digests are [0-9a-f]{12} and [0-9a-f]{12}"
    ):
        mine < theirs  # noqa: B015
    with pytest.raises(UserError, match="cannot be compared"):
        mine > theirs  # noqa: B015


def test_saved_and_loaded_it_predicts_the_same(auditor, drawn, tmp_path):
    auditor.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    back = Auditor.from_pretrained(tmp_path / "saved")
    assert back.digests == auditor.digests
    here, there = (each.explain(drawn[1], PROMPTS[1]) for each in (auditor, back))
    assert here.as_json() == there.as_json() and not here < there
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "Nothing yet" in card and "Drawn scenes only" in card


def test_the_card_claims_what_was_measured_and_nothing_else(tmp_path):
    figure = {"value": 0.8125, "ci95": [0.75, 0.875], "n": 10}
    evaluation = {
        "split": "test",
        "n_examples": 1234,
        "unit": "pairs",
        "layout": LAYOUT.as_json(),
        "intervals": "95 %",
        "command": "python -m tipai_jax.evaluate --workdir runs/x",
        "not_measured": ["baselines: gone"],
        "global_pair_auc": figure,
        "ece": {"value": None, "ci95": None, "n": 0},
        "conformal": {"0.9": {"coverage": figure, "abstains": figure}},
        "store_digest": "abcdef012345678",
    }
    make_bundle(tiny_fingerprint(), evaluation=evaluation).save(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert (
        "| global pair AUC | 0.812 (0.750 to 0.875) | 10 |" in card and "1,234 pairs of the store abcdef012345" in card
    )
    assert "| conformal coverage at 90 % | 0.812" in card and "runs/x" in card
    (missing,) = [line for line in card.splitlines() if line.startswith("Not measured: ")]
    assert ", patch pair AUC, " in missing and ", ECE, " in missing and missing.endswith(", baselines: gone.")
    assert "global pair AUC," not in missing
    assert "Nothing yet" not in card and "where half of the images keep their prompt." in card
    bundle = make_bundle(tiny_fingerprint())
    few = {"score": {"note": "not calibrated: too few"}}
    bundle = dataclasses.replace(bundle, calibration=dataclasses.replace(bundle.calibration, record=few))
    bundle.save(tmp_path / "few")
    assert "; but score: not calibrated: too few." in (tmp_path / "few" / "README.md").read_text()


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_folder_that_was_changed_is_refused(tmp_path, file):
    make_bundle(tiny_fingerprint()).save(tmp_path)
    data = bytearray((tmp_path / file).read_bytes())
    if file == "config.json":
        data = bytearray(data.replace(b'"risk_threshold": 0.5', b'"risk_threshold": 0.4'))
    else:
        data[-3] ^= 1
    (tmp_path / file).write_bytes(data)
    with pytest.raises(UserError, match="was changed after it was saved"):
        find_bundle(str(tmp_path))


def test_what_is_no_auditor(tmp_path):
    make_bundle(tiny_fingerprint()).save(tmp_path / "a")
    (tmp_path / "a" / "config.json").write_text('{"seed": 0}')
    with pytest.raises(UserError, match="not the config of an auditor"):
        Auditor.from_pretrained(tmp_path / "a")
    (tmp_path / "a" / "config.json").unlink()
    with pytest.raises(UserError, match=r"config.json: missing; an auditor is config.json and model.safetensors"):
        Auditor.from_pretrained(tmp_path / "a")
    with pytest.raises(UserError, match="no finished checkpoint here"):
        Auditor.from_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"nowhere: no such folder; expected that of a trained and evaluated run"):
        Auditor.from_pretrained(str(tmp_path / "nowhere"))


def test_another_encoder_is_refused(tmp_path):
    import dataclasses

    wrong = Auditor(make_bundle(dataclasses.replace(tiny_fingerprint(), digest="f" * 64)))
    with pytest.raises(
        UserError,
        match=r"encoder tiny: digest [0-9a-f]{12}, but the heads were trained on tiny with digest f{12} "
        r"\(other weights, configuration, tokenizer or preprocessing\)",
    ):
        wrong.explain(draw_image(0), "a red cat")


def test_an_encoder_that_is_not_here_is_asked_for_by_its_folder():
    with pytest.raises(
        UserError,
        match=(
            r"encoder my_clip: no such folder; .*; the heads were trained on 'tiny', digest [0-9a-f]{12}: name that"
            r" encoder's folder with --encoder"
        ),
    ):
        Auditor(make_bundle(tiny_fingerprint()), encoder="my_clip").explain(draw_image(0), "a red cat")


def test_a_hub_id_is_asked_for_and_its_absence_reported():
    with pytest.raises(
        UserError,
        match=r"runs/nothing: no trained auditor there yet; make the one of the quickstart with scripts/quickstart.sh",
    ):
        Auditor.from_pretrained("runs/nothing")
    with pytest.raises(
        UserError,
        match=r"auditor nobody/auditor: not on this machine, and HF_HUB_OFFLINE forbids fetching it; name the folder",
    ):
        Auditor.from_pretrained("nobody/auditor")


def test_two_threads_do_not_disturb_each_other(auditor, drawn):
    """Each asks for another number of images, so for other batch sizes of the encoder and of the heads."""
    alone = {n: auditor.score(drawn[:n], PROMPTS[0]).logit for n in (1, 2, 5)}
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda n: (n, auditor.score(drawn[:n], PROMPTS[0]).logit), [1, 5, 2] * 6))
    for n, logit in found:
        np.testing.assert_allclose(logit, alone[n], atol=1e-5)


@pytest.mark.parametrize(
    ("images", "prompts", "message"),
    [
        (["nowhere.png"], "a cat", r"nowhere.png: cannot be read \(No such file or directory\)"),
        (
            [np.zeros((4, 4, 2), np.uint8)],
            "a cat",
            r"image 0 is an array uint8\[4, 4, 2\]; expected a PIL image, an array u8\[height, width\]",
        ),
        ([draw_image(0)], "  ", r"prompt 0 is '  '; expected words"),
        ([draw_image(0)] * 3, ["a cat", "a dog"], r"3 images and 2 prompts; expected as many of both"),
        (
            EmbeddedImages(np.zeros((1, 3)), np.zeros((1, 49, 3)), tiny_fingerprint().digest),
            "a cat",
            r"embeddings of shapes \(1, 3\)",
        ),
        (
            EmbeddedImages(np.zeros((1, 160)), np.zeros((1, 49, 160)), tiny_fingerprint().digest, ((8, 8), (8, 8))),
            "a cat",
            r"1 images \(patches of 1, sizes of 2\)",
        ),
        (
            [draw_image(0)],
            EmbeddedPrompts(np.zeros((2, 160)), ("a cat",), tiny_fingerprint().digest),
            r"2 texts for 1 prompts; expected one each",
        ),
        (
            EmbeddedImages(np.zeros((1, 160)), np.zeros((1, 49, 160)), "0" * 64),
            "a cat",
            r"embeddings of the encoder with digest 000000000000, but",
        ),
    ],
)
def test_what_cannot_be_judged_gets_one_line(auditor, images, prompts, message):
    with pytest.raises(UserError, match=message):
        auditor.score(images, prompts)


def test_a_damaged_file_is_named(auditor, tmp_path):
    path = write_image(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"0.png: .*; expected a whole JPEG, PNG or WEBP image"):
        auditor.explain(path, "a cat")
    with (
        Image.open(path) as half,
        pytest.raises(UserError, match=r"^image 0: .*truncated.*; expected a whole JPEG, PNG or WEBP image$"),
    ):
        auditor.score(half, "a cat")


def test_of_no_images_there_are_no_verdicts():
    """Nothing is loaded for it either: this encoder does not exist."""
    auditor = Auditor(make_bundle(tiny_fingerprint()), encoder="nowhere")
    for none in (
        auditor.score([], []),
        auditor.score([], EmbeddedPrompts(np.zeros((0, 160)), (), auditor.digests.encoder)),
    ):
        assert len(none) == 0 and none.score.shape == none.logit.shape == (0,)
    assert auditor.score([], [], pairwise=True).score.shape == auditor([], []).shape == (0, 0)
    assert auditor.embed_images([]).patches.shape == (0, 49, 160) and auditor.embed_prompts([]).text.shape == (0, 160)


def test_of_no_images_but_a_prompt_there_are_none(auditor):
    assert auditor.score([], "a cat").score.shape == (0,)
    assert auditor.score([], PROMPTS, pairwise=True).score.shape == (0, 3)
    assert auditor.rank("a cat", []).order == ()
    with pytest.raises(UserError, match="1 images and 0 prompts"):
        auditor.score([draw_image(0)], [])


def test_reprs_of_embeddings_are_one_short_line(auditor, drawn):
    assert repr(auditor.embed_images(drawn[:2])) == (
        f"EmbeddedImages(2 images, patches (49, 160), encoder {auditor.digests.encoder[:12]})"
    )
    assert repr(auditor.embed_prompts(PROMPTS)) == (
        f"EmbeddedPrompts(3 prompts, width 160, encoder {auditor.digests.encoder[:12]})"
    )


OTHER_TYPES = """
import json, sys
sys.path.append("tests")
import torch
from auditor_world import make_bundle, draw_image, tiny_fingerprint
from tipai_jax.auditor.api import Auditor
from tipai_jax.errors import UserError

auditor = Auditor(make_bundle(tiny_fingerprint()))
calls = {
    "tensor": lambda: auditor.score(torch.zeros(3, 8, 8), "a cat"),
    "tensors": lambda: auditor.score([torch.zeros(3, 8, 8)], "a cat"),
    "number": lambda: auditor.score(7, "a cat"),
    "none": lambda: auditor.explain(None, "a cat"),
    "list": lambda: auditor.explain([draw_image(0)], "a cat"),
    "bytes of no image": lambda: auditor.explain(b"no image", "a cat"),
    "prompt none": lambda: auditor.score(draw_image(0), None),
    "prompt bytes": lambda: auditor.score(draw_image(0), b"a cat"),
    "prompts none": lambda: auditor.score(draw_image(0), [None]),
}
found = {}
for name, call in calls.items():
    try:
        call()
    except UserError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def test_what_is_no_image_or_prompt_gets_one_line_that_names_what_is():
    """In a process of its own: here the annotations are checked before our own messages are reached."""
    done = subprocess.run(
        [sys.executable, "-c", OTHER_TYPES], capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    accepted = "expected a PIL image, an array u8[height, width] or u8[height, width, 3 or 4], or the path or the bytes"
    for name, words in {
        "tensor": "image 0 is of type torch.Tensor; ",
        "tensors": "image 0 is of type torch.Tensor; ",
        "number": "images is of type int; ",
        "none": "image 0 is of type NoneType; ",
        "list": "image 0 is of type list; ",
    }.items():
        assert found[name].startswith(words + accepted), found[name]
    assert found["bytes of no image"] == (
        "image 0: neither JPEG, PNG nor WEBP; expected a whole JPEG, PNG or WEBP image"
    )
    assert found["prompt none"] == "prompts is of type NoneType; expected a string or a sequence of strings"
    assert found["prompt bytes"] == "prompts is of type bytes; expected a string or a sequence of strings"
    assert found["prompts none"] == "prompt 0 is None; expected words"


def test_a_device_that_is_not_there(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"--device cuda: torch finds no CUDA device .* --device cpu .*device=\"cpu\""):
        Auditor(make_bundle(tiny_fingerprint()), device="cuda").explain(draw_image(0), "a red cat")
    with pytest.raises(UserError, match=r"device is 'gpu'; expected 'cpu', 'cuda' or None"):
        Auditor(make_bundle(tiny_fingerprint()), device="gpu")


def test_what_limits_an_auditor_is_noted():
    bundle = make_bundle(tiny_fingerprint())  # of 40 examples of either kind
    drawn = "this auditor knows drawn scenes only; its scores of photographs mean nothing"
    assert Auditor(bundle).notes == [drawn]
    short = "calibration, conformal: fewer than 99 validation images of each kind: too few for a prediction at 99 %"
    assert Auditor(bundle, level=0.99).notes == [drawn, short]


def test_exported_heads_answer_the_same(auditor, drawn):
    called = jax.export.deserialize(bytearray(auditor.export("stablehlo"))).call
    images, prompts = auditor.embed_images(drawn), auditor.embed_prompts(PROMPTS[:1])
    found = called(np.repeat(prompts.text, 5, 0), images.image, images.patches)
    expected = auditor.score(images, prompts)
    np.testing.assert_allclose(found["global_logit"], expected.logit, atol=1e-5)
    np.testing.assert_allclose(np.asarray(found["risk"]).reshape(5, 7, 7), [v.risk for v in expected], atol=1e-5)
    with pytest.raises(UserError, match="'onnx' is not known"):
        auditor.export("onnx")


def test_pushed_to_a_hub_only_on_demand(auditor, monkeypatch):
    files = []
    create = fake_hub.replaced(monkeypatch, "create_repo", return_value="hub/me/auditor")
    upload = fake_hub.replaced(
        monkeypatch,
        "upload_folder",
        side_effect=lambda api, *, folder_path, **_: files.extend(sorted(os.listdir(folder_path))),
    )
    assert auditor.push_to_hub("me/auditor", token="t") == "hub/me/auditor"
    (client, name), how = create.call_args
    assert client.token == "t" and name == "me/auditor" and how["private"] is True
    assert upload.call_args.kwargs["repo_id"] == "me/auditor"
    assert files == ["README.md", "config.json", "model.safetensors"]


NUMPY_FORWARD = '''
import json, sys
import numpy as np
from safetensors.numpy import load_file

folder, inputs, out = sys.argv[1:]
config, w = json.load(open(f"{folder}/config.json")), load_file(f"{folder}/model.safetensors")
x = {name: value.astype(np.float32) for name, value in np.load(inputs).items()}
text, image, patches = x["text"], x["image"], x["patches"]  # [b, d], [b, d], [b, k, d]
d = text.shape[1]
sigmoid = lambda z: 1 / (1 + np.exp(-z))

def head(name, columns, inputs):
    """Linear on the concatenation of text, image (or patch) and their product; ReLU; Linear."""
    kernel, scale = w[f"{name}.joint.kernel"], d**0.5 if inputs["scale_inputs"] else 1.0
    columns = [text[:, None] if columns.ndim == 3 else text, columns]
    products = [columns[0] * columns[1] * scale**2] if inputs["products"] else []
    blocks = [columns[0] * scale, columns[1] * scale, *products]
    hidden = sum(block @ kernel[i * d : (i + 1) * d] for i, block in enumerate(blocks)) + w[f"{name}.joint.bias"]
    return np.maximum(hidden, 0) @ w[f"{name}.score.kernel"] + w[f"{name}.score.bias"]

model = config["model"]
logit = head("global_head", image, model["global_inputs"])[:, 0]
patch = head("patch_head", patches, model["patch_inputs"])[..., 0]
reason = head("reason_head", image, model["reason_inputs"])
platt = config["calibration"]["global_score"]
score = sigmoid(platt["scale"] * logit + platt["bias"])
np.savez(out, logit=logit, patch=patch, risk=sigmoid(-patch), reason=reason, score=score)
assert not any(name in sys.modules for name in ("jax", "flax", "torch", "tipai_jax"))
'''


def test_the_weights_are_read_without_jax(tmp_path, drawn):
    """A forward pass in numpy, out of the two files alone; calibration included."""
    inputs = InputFeatures(products=True, scale_inputs=True)
    auditor = Auditor(
        make_bundle(
            tiny_fingerprint(), model=ModelConfig(hidden=16, global_inputs=InputFeatures(), patch_inputs=inputs)
        )
    )
    auditor.save_pretrained(tmp_path / "saved")
    images, prompts = auditor.embed_images(drawn), auditor.embed_prompts(["a red cat"] * 5)
    np.savez(tmp_path / "in.npz", text=prompts.text, image=images.image, patches=images.patches)
    command = [
        sys.executable,
        "-c",
        NUMPY_FORWARD,
        str(tmp_path / "saved"),
        str(tmp_path / "in.npz"),
        str(tmp_path / "out.npz"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, expected = np.load(tmp_path / "out.npz"), auditor.score(images, prompts)
    np.testing.assert_allclose(found["logit"], expected.logit, atol=1e-4)
    np.testing.assert_allclose(found["score"], expected.score, atol=1e-4)
    np.testing.assert_allclose(found["risk"].reshape(5, 7, 7), [v.risk for v in expected], atol=1e-4)


def test_prompts_are_embedded_once_and_what_no_vocabulary_holds_is_counted(auditor):
    prompts = auditor.embed_prompts(["a red cat", "a red 猫", "a red cat"])
    assert isinstance(prompts, EmbeddedPrompts) and prompts.unknown[0] == prompts.unknown[2] == 0 < prompts.unknown[1]
    np.testing.assert_array_equal(prompts.text[0], prompts.text[2])

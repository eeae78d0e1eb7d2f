import dataclasses
import json

import jaxtyping
import pytest

import tipai_jax.config
from tipai_jax.config import AuditorConfig, DataConfig, InputFeatures, LossConfig, ModelConfig, OptimConfig
from tipai_jax.config.command_line import load_config, parse_config
from tipai_jax.config.records import differences, for_digest, from_json, model_from_json, model_to_json, to_json
from tipai_jax.errors import UserError
from tipai_jax.renamed import CLASSES, FIELDS, REMOVED


def test_defaults_are_the_plans_table():
    config = AuditorConfig()
    assert (config.data.batch_size, config.data.epochs, config.model.hidden) == (32, 20, 256)
    assert (config.optim.peak_lr, config.optim.weight_decay, config.optim.warmup_steps) == (1e-4, 0.01, 500)
    assert (config.loss.pair, config.loss.patch, config.loss.faithfulness, config.loss.saliency) == (1.0, 1.0, 0.5, 0.1)
    assert (config.loss.score_space, config.loss.patch_over, config.loss.faithfulness_over) == (
        "probability",
        "all",
        "rejected",
    )
    assert config.model.patch_inputs == config.model.global_inputs == InputFeatures()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DataConfig(batch_size=0), "data.batch_size is 0; allowed is a whole number from 1"),
        (lambda: DataConfig(start_fraction=0.0), "data.start_fraction is 0.0"),
        (lambda: OptimConfig(peak_lr=float("nan")), "optim.peak_lr is nan; allowed is a finite number above 0"),
        (lambda: OptimConfig(clip_norm=0.0), "optim.clip_norm is 0.0"),
        (lambda: LossConfig(pair=-1.0), "loss.pair is -1.0"),
        (lambda: ModelConfig(dropout=1.0), "model.dropout is 1.0; allowed is 0 <= dropout < 1"),
        (lambda: ModelConfig(width=30), "model.width is 30; allowed is a positive multiple of 4"),
        (lambda: AuditorConfig(seed=-1), "seed is -1"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_is_allowed(make, says):
    with pytest.raises(UserError) as caught:
        make()
    assert says in str(caught.value) and "\n" not in str(caught.value)


OTHER = {
    "plan": {"width": 32, "layers": 1, "reads": "image"},
    "phrases": {
        "hidden": 64,
        "dropout": 0.1,
        "global_inputs": InputFeatures(products=True),
        "patch_inputs": InputFeatures(products=True),
        "reason_inputs": InputFeatures(),
    },
}


@pytest.mark.parametrize(("heads", "name"), [(heads, name) for heads, values in OTHER.items() for name in values])
def test_a_field_that_the_heads_do_not_read_is_refused(heads, name):
    value = OTHER[heads][name]
    with pytest.raises(UserError) as caught:
        ModelConfig(heads=heads, **{name: value})
    says = f"config: model.{name} is {value}, but --model.heads={heads} does not read it; leave it out"
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)
    other = "phrases" if heads == "plan" else "plan"
    assert getattr(ModelConfig(heads=other, **{name: value}), name) == value


@pytest.fixture
def as_users_run_it(monkeypatch):
    """Without the type checker of the tests, which would see these mistakes first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def test_what_is_neither_true_nor_false(as_users_run_it):
    with pytest.raises(UserError, match=r"model\.\*_inputs\.text is 'yes'; allowed is true or false"):
        InputFeatures(text="yes")


def test_a_choice_that_does_not_exist(as_users_run_it):
    with pytest.raises(UserError, match=r"data.placement is 'disk'; allowed is 'auto' or 'resident' or 'streaming'"):
        DataConfig(placement="disk")


def test_a_whole_number_may_stand_for_a_float(as_users_run_it):
    assert type(OptimConfig(clip_norm=1).clip_norm) is float


def test_json_and_back():
    config = AuditorConfig(
        model=ModelConfig(patch_inputs=InputFeatures(products=True)), optim=OptimConfig(clip_norm=1.0)
    )
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_json_of_another_version_is_refused_by_name():
    record = to_json(AuditorConfig())
    record["optim"]["momentum"] = 0.9
    with pytest.raises(UserError, match=r"optim\.momentum is an unknown field"):
        from_json(record)
    del record["optim"]["momentum"], record["optim"]["peak_lr"]
    with pytest.raises(UserError, match=r"optim\.peak_lr is a field that is missing"):
        from_json(record)


def test_a_run_from_before_a_target_was_thought_of_asks_nothing_of_it():
    record = to_json(AuditorConfig())
    del record["targets"]["conformal"]
    assert from_json(record) == AuditorConfig()
    record["targets"]["beauty"] = 1.0
    with pytest.raises(UserError, match=r"targets\.beauty is an unknown field"):
        from_json(record)


def record_of_before():
    """A run's config as 0.1.0 wrote it, with the attention and the decoder that it knew and did not use."""
    record = to_json(AuditorConfig())
    record["model"] |= {"attention_width": 128, "saliency": "interpolate"}
    for name in ("global_inputs", "patch_inputs", "reason_inputs"):
        record["model"][name] |= {"global_image": False, "position": False, "attention": False}
    return record


def test_a_run_that_did_not_use_what_is_gone_is_read_and_keeps_its_digest():
    record = record_of_before()
    assert from_json(record) == AuditorConfig()
    assert for_digest(AuditorConfig()) == record
    assert model_from_json(record["model"]) == ModelConfig()
    later = ("heads", "width", "layers", "reads")
    before = {name: value for name, value in record["model"].items() if name not in later}
    assert model_to_json(ModelConfig()) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"saliency": "decoder"}, "config: model.saliency is 'decoder', a field that is gone: tipai_jax 0.1.0"),
        ({"attention_width": 64}, "config: model.attention_width is 64, a field that is gone"),
        (
            {"reason_inputs": {"text": True, "image": True, "attention": True}},
            "config: model.reason_inputs.attention is True, a field that is gone",
        ),
    ],
)
def test_a_run_that_used_what_is_gone_is_refused(change, says):
    record = record_of_before()
    record["model"] |= change
    with pytest.raises(UserError) as caught:
        from_json(record)
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)


def test_no_field_is_gone_and_there():
    for kind, gone in REMOVED.items():
        fields = {field.name for field in dataclasses.fields(getattr(tipai_jax.config, kind))}
        assert gone and not fields & set(gone)


def test_only_what_changes_numbers_must_agree():
    old = AuditorConfig()
    moved = dataclasses.replace(
        old, store="elsewhere", workdir="elsewhere", log=dataclasses.replace(old.log, every_steps=7)
    )
    assert differences(old, moved) == []
    new = dataclasses.replace(old, seed=1, optim=dataclasses.replace(old.optim, peak_lr=2e-4))
    assert differences(old, new) == ["seed: 0 -> 1", "optim.peak_lr: 0.0001 -> 0.0002"]


def test_old_names_of_fields_are_understood_with_a_note(capsys):
    inputs = InputFeatures(products=True)
    assert ModelConfig(global_sees=inputs).global_inputs == inputs
    assert dataclasses.replace(ModelConfig(), patch_sees=inputs).patch_inputs == inputs
    record = to_json(AuditorConfig())
    record["model"]["global_sees"] = record["model"].pop("global_inputs")
    record["targets"]["blind_at_chance"] = record["targets"].pop("ablations_at_chance")
    assert from_json(record) == AuditorConfig()
    old = ["--config", "plan.py", "--model.global-sees.products=True", "--targets.blind-at-chance", "False"]
    config = parse_config(old, prog="train", description="")
    assert config.model.global_inputs.products and not config.targets.ablations_at_chance
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 6 and all(line.startswith("note: ") and line.endswith(" now") for line in notes)


def test_old_names_of_classes_are_understood_with_one_note_each(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "from tipai_jax.config import Config, ModelConfig, SeesConfig\n"
        "def get_config():\n"
        "    return Config(model=ModelConfig(global_inputs=SeesConfig(products=True)))\n"
    )
    assert load_config(str(tmp_path / "mine.py")).model.global_inputs.products
    assert capsys.readouterr().err.splitlines() == [
        "note: Config of tipai_jax.config is called AuditorConfig now",
        "note: SeesConfig of tipai_jax.config is called InputFeatures now",
    ]
    with pytest.raises(AttributeError, match="no attribute 'Confg'"):
        tipai_jax.config.Confg  # noqa: B018


def test_every_old_name_has_a_present_one():
    for kind, renamed in FIELDS.items():
        fields = {field.name for field in dataclasses.fields(getattr(tipai_jax.config, kind))}
        assert fields >= set(renamed.values()) and not fields & set(renamed)
    assert set(CLASSES.values()) <= set(tipai_jax.config.__all__)

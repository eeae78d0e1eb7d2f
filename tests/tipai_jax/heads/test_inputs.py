import pytest

from tipai_jax.errors import UserError
from tipai_jax.heads.inputs import DEFAULT_INPUTS, InputFeatures


def test_the_default_is_the_plan():
    assert {name for name, on in vars(DEFAULT_INPUTS).items() if on} == {
        "text",
        "image",
    } and InputFeatures() == DEFAULT_INPUTS


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ({"text": False, "image": False}, "needs an input"),
        ({"text": False, "products": True}, ".text is false"),
        ({"image": False, "products": True}, ".image is false"),
    ],
)
def test_senseless_choices_are_refused_in_one_line(choice, word):
    with pytest.raises(UserError, match=word) as caught:
        InputFeatures(**choice)
    assert str(caught.value).startswith("config: model.*_inputs.") and "\n" not in str(caught.value)

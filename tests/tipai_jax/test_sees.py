import pytest

from tipai_jax.config import SeesConfig
from tipai_jax.errors import UserError
from tipai_jax.heads.sees import PLAN
from tipai_jax.sees import Sees


def test_the_default_is_the_plan():
    assert Sees() == Sees(
        text=True, image=True, products=False, global_image=False, position=False, attention=False, scale_inputs=False
    )


def test_configs_and_heads_speak_of_the_same_thing():
    assert SeesConfig is Sees and Sees() == PLAN


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ({"text": False, "image": False}, "see something"),
        ({"text": False, "products": True}, "products"),
        ({"image": False, "products": True}, "products"),
        ({"image": False, "global_image": True}, "global_image"),
        ({"image": False, "attention": True}, "attention"),
    ],
)
def test_senseless_choices_are_refused_in_one_line(choice, word):
    with pytest.raises(UserError, match=word) as caught:
        Sees(**choice)
    assert str(caught.value).startswith("config: model.*_sees.") and "\n" not in str(caught.value)

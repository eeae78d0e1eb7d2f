"""Files of prompts: what is wrong in one is reported in a line with its place."""

import json

import pytest

from precompute.prompt_file import Prompt, read_prompts
from tipai_jax.errors import UserError


def test_prompts_are_read_in_order_and_a_category_may_be_left_out(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(
        json.dumps(
            [
                {"prompt_id": "b", "prompt": " a red car "},
                {"prompt_id": "a.1-x_y", "prompt": "ein Bär", "category": "object"},
            ]
        ),
        encoding="utf-8",
    )
    assert read_prompts(path) == [Prompt("b", "a red car"), Prompt("a.1-x_y", "ein Bär", "object")]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[", "cannot be read as JSON"),
        ("[]", "expected a list that is not empty"),
        ('{"prompt": "a"}', "expected a list"),
        ('["a red car"]', 'entry 1 is "a red car", expected an object'),
        ('[{"prompt_id": "a"}]', "entry 1: prompt is null, expected a line of text"),
        ('[{"prompt_id": 1, "prompt": "a"}]', "entry 1: prompt_id is 1, expected"),
        ('[{"prompt_id": "a", "prompt": " "}]', 'entry 1: prompt is " "'),
        ('[{"prompt_id": "a", "prompt": "x\\ny"}]', "entry 1: prompt is"),
        ('[{"prompt_id": "a", "prompt": "\\ud800"}]', "entry 1: prompt is"),
        ('[{"prompt_id": "../a", "prompt": "x"}]', "prompt_id '../a' names files"),
        ('[{"prompt_id": "a", "prompt": "x", "seed": 1}]', "field 'seed'; prompt_id, prompt and category are known"),
        (
            '[{"prompt_id": "a", "prompt": "x"}, {"prompt_id": "A", "prompt": "y"}]',
            "entries 1 and 2 share the prompt_id 'A'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path, content, line):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(UserError) as refused:
        read_prompts(path)
    assert line in str(refused.value) and "\n" not in str(refused.value) and "p.json" in str(refused.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: no such file; --prompts names one of the form"):
        read_prompts(tmp_path / "none.json")
    with pytest.raises(UserError, match="cannot be read"):
        read_prompts(tmp_path)

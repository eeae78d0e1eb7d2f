"""Files of prompts: a JSON list of {"prompt_id": "05", "prompt": "a red car on the beach", "category": "attribute"}.

`prompt_id` is unique and names files; `category` is what the prompt tests and may be left out. The project has two
such files, twenty prompts for any generator and twenty in the small world's grammar.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tipai_jax.errors import UserError

__all__ = ["PROMPTS", "SCENE_PROMPTS", "Prompt", "read_prompts"]

PROMPTS = Path(__file__).resolve().parent / "assets" / "prompts.json"
SCENE_PROMPTS = PROMPTS.with_name("scene_prompts.json")
_FORM = '[{"prompt_id": "01", "prompt": "a red car on the beach", "category": "attribute"}, ...]'
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Prompt:
    """A prompt, its unique name, and the category that it tests ("" where not given)."""

    prompt_id: str
    prompt: str
    category: str = ""


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a file, in its order.

    Raises:
        UserError: missing, not of the form, empty, or two prompts of one name.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; --prompts names one of the form {_FORM}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); expected {_FORM}") from None
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: expected a list that is not empty: {_FORM}")
    prompts = [_prompt(path, number, entry) for number, entry in enumerate(entries, start=1)]
    seen: dict[str, int] = {}
    for number, prompt in enumerate(prompts, start=1):
        if (
            first := seen.setdefault(prompt.prompt_id.casefold(), number)
        ) != number:  # file names: some systems ignore case
            raise UserError(
                f"{path}: entries {first} and {number} share the prompt_id {prompt.prompt_id!r}; "
                "give every prompt its own"
            )
    return prompts


def _prompt(path: Path, number: int, entry: object) -> Prompt:
    where = f"{path}: entry {number}"
    if not isinstance(entry, dict):
        raise UserError(f"{where} is {json.dumps(entry)[:60]}, expected an object as in {_FORM}")
    if unknown := sorted(entry.keys() - {"prompt_id", "prompt", "category"}):
        raise UserError(f"{where} has a field {unknown[0]!r}; prompt_id, prompt and category are known")
    values = {name: entry.get(name, "" if name == "category" else None) for name in ("prompt_id", "prompt", "category")}
    for name, value in values.items():
        if (
            not isinstance(value, str)
            or (name != "category" and not value.strip())
            or any(letter < " " or "\ud800" <= letter <= "\udfff" for letter in value)
        ):
            raise UserError(f"{where}: {name} is {json.dumps(value)[:60]}, expected a line of text, as in {_FORM}")
    if not _ID.fullmatch(values["prompt_id"]):
        raise UserError(
            f"{where}: prompt_id {values['prompt_id']!r} names files: expected at most 64 letters, digits, dots, "
            "dashes "
            "and underscores, a letter or digit first"
        )
    return Prompt(values["prompt_id"], values["prompt"].strip(), values["category"].strip())

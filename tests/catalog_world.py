"""Four prompts of the small world and the catalogue of their drawn images, for tests of what works on a catalogue."""

import json
from pathlib import Path

PROMPTS = [
    {"prompt_id": "c1", "prompt": "a red car on the beach", "category": "attribute"},
    {"prompt_id": "c2", "prompt": "three red apples", "category": "counting"},
    {"prompt_id": "c3", "prompt": "a dog left of a cat"},
    {"prompt_id": "c4", "prompt": 'a sign that says "open"', "category": "text"},
]


def write_prompts(path: Path, prompts: list[dict] = PROMPTS) -> Path:
    """Write a file of prompts; returns its path."""
    path.write_text(json.dumps(prompts))
    return path

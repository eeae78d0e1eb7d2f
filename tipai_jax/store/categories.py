"""The names that data may use: how an image can break its prompt, how hard that is to see, which split a pair is in,
what a phrase of a prompt can be.
"""

import re

__all__ = [
    "ALIASES",
    "CATEGORIES",
    "DIFFICULTIES",
    "MOST_PHRASES",
    "PHRASE_KINDS",
    "SPLITS",
    "category_index",
    "is_split",
]

CATEGORIES: tuple[str, ...] = ("object", "attribute", "counting", "spatial", "text")
"""In the one order that every array uses."""

DIFFICULTIES: tuple[str, ...] = ("easy", "medium", "hard")
SPLITS: tuple[str, ...] = ("train", "validation", "test")
"""Beside them a split may be called `shift-NAME`: pairs unlike those of training in one respect, never trained on."""

PHRASE_KINDS: tuple[str, ...] = ("object", "attribute", "count", "relation", "place", "text", "other")
"""What a phrase can be: "a cat", "a red cat", "three cats", "left of", "on the beach", 'a sign that says "open"', and
whatever cannot be taken apart.
"""

MOST_PHRASES = 8
"""Phrases of a prompt that are told apart; the last one holds whatever is left."""

ALIASES: dict[str, str] = {
    "wrong_attribute": "attribute",
    "missing_object": "object",
    "extra_object": "object",
    "wrong_count": "counting",
    "wrong_relation": "spatial",
    "wrong_text": "text",
}


def category_index(name: str) -> int:
    """Position of a category in `CATEGORIES`.

    Args:
        name: one of `CATEGORIES` or of the plan's longer names in `ALIASES`.

    Raises:
        KeyError: the name is neither; the message names it and what is allowed.
    """
    canonical = ALIASES.get(name, name)
    if canonical not in CATEGORIES:
        raise KeyError(f"unknown category {name!r}, expected one of {', '.join(CATEGORIES)}")
    return CATEGORIES.index(canonical)


def is_split(name: str) -> bool:
    """Whether a split may have this name: one of `SPLITS`, or `shift-` and lower-case letters, digits, hyphens."""
    return name in SPLITS or re.fullmatch(r"shift-[a-z0-9]+(-[a-z0-9]+)*", name) is not None

"""The names that data may use: how an image can break its prompt, how hard that is to see, which split a pair is in."""

__all__ = ["ALIASES", "CATEGORIES", "DIFFICULTIES", "SPLITS", "category_index"]

CATEGORIES: tuple[str, ...] = ("object", "attribute", "counting", "spatial", "text")
"""In the one order that every array uses."""

DIFFICULTIES: tuple[str, ...] = ("easy", "medium", "hard")
SPLITS: tuple[str, ...] = ("train", "validation", "test")

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

"""The five ways in which an image can break its prompt, in the one order that every array uses."""

__all__ = ["ALIASES", "CATEGORIES", "category_index"]

CATEGORIES: tuple[str, ...] = ("object", "attribute", "counting", "spatial", "text")

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

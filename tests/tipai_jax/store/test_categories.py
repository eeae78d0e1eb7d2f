import pytest

from tipai_jax.store.categories import ALIASES, CATEGORIES, SPLITS, category_index, is_split


def test_order_and_aliases():
    assert CATEGORIES == ("object", "attribute", "counting", "spatial", "text")
    assert [category_index(name) for name in CATEGORIES] == [0, 1, 2, 3, 4]
    assert category_index("wrong_attribute") == 1
    assert category_index("missing_object") == category_index("extra_object") == 0
    assert category_index("wrong_count") == 2
    assert category_index("wrong_relation") == 3
    assert category_index("wrong_text") == 4
    assert set(ALIASES.values()) == set(CATEGORIES)


def test_unknown_category_says_what_is_allowed():
    with pytest.raises(KeyError, match=r"colour.*object, attribute"):
        category_index("colour")


def test_a_split_is_one_of_three_or_a_shift():
    assert all(map(is_split, (*SPLITS, "shift-style", "shift-renderer-2")))
    assert not any(map(is_split, ("", "dev", "shift", "shift-", "shift-a-", "shift-A", "shift-a\n", "ashift-a")))

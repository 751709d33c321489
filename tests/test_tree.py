"""Trees: what is flattened comes back, and parts are matched with wholes."""

from __future__ import annotations

from typing import Any

import pytest

from arrayad import tree


@pytest.mark.parametrize("whole", [(1.0, None), (None,), (), [None, (2.0, None)], {"b": (1.0, 2.0), "a": None}, None, 3.0])
def test_what_is_flattened_comes_back(whole: Any) -> None:
    leaves, structure = tree.flatten(whole)
    assert tree.unflatten(structure, leaves) == whole


def test_matched_takes_none_for_any_part_and_a_leaf_for_a_leaf_only() -> None:
    whole = ({"a": 1.0, "b": 2.0}, [3.0, None])
    assert tree.matched(({"a": 10.0, "b": None}, [30.0, None]), whole) == [10.0, None, 30.0]
    assert tree.matched((None, [30.0, None]), whole) == [None, None, 30.0]
    assert tree.matched(None, whole) == [None] * 3
    for given in (5.0, (5.0, None), ({"a": 1.0}, None), ({"a": 1.0, "b": (2.0,)}, None), (None, [1.0, 2.0]), (None, None, None)):
        with pytest.raises(ValueError, match="the trees differ"):
            tree.matched(given, whole)


def test_a_structure_shows_the_names_of_its_parts() -> None:
    assert repr(tree.flatten({"b": (1, 2), 3: None})[1]) in (
        "dict(3=NoneType(), b=tuple(*, *))",
        "dict(b=tuple(*, *), 3=NoneType())",
    )

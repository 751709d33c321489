"""Pytrees: nested dicts, lists, tuples, named tuples and dataclasses whose leaves are arrays.

A tree is flattened into its leaves and a `Structure` that puts them back. Dicts are flattened in the order of
their sorted keys where these can be sorted, else in their own; None is a tree without leaves.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Structure(NamedTuple):
    """The shape of a tree: how to build it from its leaves."""

    kind: Any
    keys: tuple[Any, ...]
    children: tuple[Structure, ...]
    leaves: int

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        parts = [repr(child) for child in self.children]
        if self.kind not in REGISTRY and not issubclass(self.kind, tuple | list):
            parts = [f"{key}={part}" for key, part in zip(self.keys, parts, strict=True)]
        return f"{self.kind.__name__}({', '.join(parts)})"


LEAF = Structure(None, (), (), 1)
EMPTY = Structure(type(None), (), (), 0)

LEAVES: set[type] = {int, float, bool, complex, np.ndarray, np.float64, np.float32}
"""Types that are known to be leaves, which spares asking what else they might be."""

REGISTRY: dict[type, tuple[Callable[[Any], tuple[Any, Any]], Callable[[Any, Any], Any]]] = {}


def register(kind: type, flatten: Callable[[Any], tuple[Any, Any]], unflatten: Callable[[Any, Any], Any]) -> None:
    """Teach the trees a container: `flatten(x) -> (children, keys)` and `unflatten(keys, children) -> x`."""
    REGISTRY[kind] = (flatten, unflatten)


def sorted_keys(mapping: dict[Any, Any]) -> tuple[Any, ...]:
    try:
        return tuple(sorted(mapping))
    except TypeError:
        return tuple(mapping)


def split(tree: Any) -> tuple[Any, tuple[Any, ...], list[Any]] | None:
    """(kind, keys, children) of a container; None for a leaf."""
    kind = type(tree)
    if kind in REGISTRY:
        children, keys = REGISTRY[kind][0](tree)
        return kind, tuple(keys), list(children)
    if kind is list or kind is tuple or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        return kind, tuple(range(len(tree))), list(tree)
    if isinstance(tree, dict):
        keys = sorted_keys(tree)
        return kind, keys, [tree[key] for key in keys]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        keys = tuple(field.name for field in dataclasses.fields(tree) if field.init)
        return kind, keys, [getattr(tree, key) for key in keys]
    return None


def join(kind: Any, keys: tuple[Any, ...], children: list[Any]) -> Any:
    """The container of which `split` gave the parts."""
    if kind in REGISTRY:
        return REGISTRY[kind][1](keys, children)
    if kind is list or kind is tuple:
        return kind(children)
    if issubclass(kind, tuple):
        return kind(*children)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return kind(**dict(zip(keys, children, strict=True)))
    result = {} if kind is dict else kind()
    result.update(zip(keys, children, strict=True))
    return result


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree, from left to right, and its structure.

    **Example**

    >>> flatten({"b": [1, 2], "a": 3})
    ([3, 1, 2], dict(a=*, b=list(*, *)))
    """
    if tree.__class__ in LEAVES:
        return [tree], LEAF
    if tree.__class__ is tuple and all(x.__class__ in LEAVES for x in tree):
        return list(tree), flat_tuple(len(tree))
    leaves: list[Any] = []
    return leaves, gather(tree, leaves)


@functools.cache
def flat_tuple(length: int) -> Structure:
    """The structure of a tuple of so many leaves."""
    return Structure(tuple, tuple(range(length)), (LEAF,) * length, length)


def gather(node: Any, leaves: list[Any]) -> Structure:
    """The structure of a tree, whose leaves are appended to `leaves`.  (A nested function would be a reference cycle.)"""
    if node.__class__ in LEAVES:
        leaves.append(node)
        return LEAF
    if node is None:
        return EMPTY
    parts = split(node)
    if parts is None:
        leaves.append(node)
        return LEAF
    kind, keys, children = parts
    structures = tuple(gather(child, leaves) for child in children)
    return Structure(kind, keys, structures, sum(structure.leaves for structure in structures))


def unflatten(structure: Structure, leaves: list[Any]) -> Any:
    """The tree of this structure with these leaves.

    **Raises** `ValueError` when the number of leaves is another.
    """
    if len(leaves) != structure.leaves:
        raise ValueError(f"[tree] {structure.leaves} leaves were needed for {structure}, {len(leaves)} came")
    if structure.kind is tuple and structure.children.count(LEAF) == len(structure.children):
        return tuple(leaves)
    return build(structure, iter(leaves))


def build(node: Structure, leaves: Iterator[Any]) -> Any:
    """The tree of this structure with the next leaves."""
    if node.kind is None:
        return next(leaves)
    if node.kind is type(None):
        return None
    return join(node.kind, node.keys, [build(child, leaves) for child in node.children])


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, from left to right."""
    return flatten(tree)[0]


def map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply `function` to the leaves of `tree`, and to the leaves of `rest`, trees of the same structure.

    **Example**

    >>> map(lambda a, b: a + b, {"x": 1}, {"x": 10})
    {'x': 11}
    """
    first, structure = flatten(tree)
    columns = [first]
    for other in rest:
        others, found = flatten(other)
        if found != structure:
            raise ValueError(f"[tree.map] the trees differ: {structure} and {found}")
        columns.append(others)
    return unflatten(structure, [function(*leaf) for leaf in zip(*columns, strict=True)])


def paths(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, leaf) of every leaf, the path as one would write it in Python: `['w'][0].bias`."""
    parts = None if tree is None else split(tree)
    if tree is not None and parts is None:
        yield prefix, tree
    if parts is not None:
        kind, keys, children = parts
        dotted = dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")
        for key, child in zip(keys, children, strict=True):
            name = f".{kind._fields[key] if hasattr(kind, '_fields') else key}" if dotted else f"[{key!r}]"
            yield from paths(child, prefix + name)


def spread(prefix: Any, tree: Any) -> list[Any]:
    """For each leaf of `tree`, the leaf or None of `prefix` that stands above it or for it.

    **Raises** `ValueError` where `prefix` is no prefix of the tree.

    **Example**

    >>> spread([0, None], [{"a": 1.0, "b": 2.0}, 3.0])
    [0, 0, None]
    """
    above = None if prefix is None else split(prefix)
    if above is None:
        return [prefix] * len(leaves(tree))
    below = None if tree is None else split(tree)
    if below is None or above[:2] != below[:2]:
        raise ValueError(f"the trees differ: {flatten(prefix)[1]} and {flatten(tree)[1]}")
    return [leaf for pair in zip(above[2], below[2], strict=True) for leaf in spread(*pair)]


def matched(given: Any, tree: Any) -> list[Any]:
    """For each leaf of `tree` that of `given`, a tree of the same structure in which None may stand for any part.

    **Raises** `ValueError` where the structures differ.

    **Example**

    >>> matched([None, 2.0], [{"a": 1.0, "b": 2.0}, 3.0])
    [None, None, 2.0]
    """
    if given is None:
        return [None] * len(leaves(tree))
    above, below = split(given), None if tree is None else split(tree)
    if above is None and below is None and tree is not None:
        return [given]
    if above is None or below is None or above[:2] != below[:2]:
        raise ValueError(f"the trees differ: {flatten(given)[1]} and {flatten(tree)[1]}")
    return [leaf for pair in zip(above[2], below[2], strict=True) for leaf in matched(*pair)]

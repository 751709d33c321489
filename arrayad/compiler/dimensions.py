"""Named dimensions: which axes of the arguments vary in length from call to call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import ShapeError
from arrayad.tensor import Tensor


class Dimensions:
    """What `dynamic` says: for each argument that it names, the axes of its arrays that vary, and what they are called.

    Axes of one name have one length.  Lengths of 0 and 1, which broadcast and reduce in ways of their own, are programs of
    their own all the same.
    """

    def __init__(self, dynamic: Any) -> None:
        self.every = dynamic is True
        self.axes: dict[str, dict[int, str]] = {}
        if isinstance(dynamic, Mapping):
            self.axes = {name: named_axes(name, axes) for name, axes in dynamic.items()}
        elif dynamic not in (None, True, False):
            raise TypeError(
                f"[compile] dynamic is {dynamic!r}; True is needed, or a dict from the names of arguments to axes, as in "
                '{"x": 0} or {"x": {0: "batch"}}'
            )

    def sizes(self, names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, int]:
        """The lengths of the named dimensions in a call.

        **Raises** `ShapeError` where axes of one name differ, or an argument has no such axis; `TypeError` for a name that is
        no argument's.
        """
        found: dict[str, int] = {}
        given = dict(zip(names, args, strict=False)) | kwargs
        missing = sorted(self.axes.keys() - given.keys() - set(names))
        if missing:
            raise TypeError(f"[compile] dynamic names {', '.join(missing)}; the arguments are {', '.join(given)}")
        for name, value in given.items():
            if not self.every and name not in self.axes:
                continue
            for path, x in tree.paths(value, name):
                if x.__class__ is Tensor or isinstance(x, np.ndarray):
                    axes = {axis: f"{path}.{axis}" for axis in range(x.ndim)} if self.every else self.axes[name]
                    for axis, word in axes.items():
                        self.add(found, path, x, axis, word)
        return found

    @staticmethod
    def add(found: dict[str, int], path: str, x: Any, axis: int, word: str) -> None:
        """Note the length of one axis."""
        if not -x.ndim <= axis < x.ndim:
            raise ShapeError(f"[compile] argument {path} has {x.ndim} dimensions, and no axis {axis} that could vary")
        size = x.shape[axis]
        if found.setdefault(word, size) != size:
            raise ShapeError(f"[compile] the dimension {word} is {found[word]}, but axis {axis} of argument {path} is {size}")


def named_axes(name: str, axes: Any) -> dict[int, str]:
    """The axes that vary, with their names: of one axis, several, or a dict from axes to names."""
    if isinstance(axes, Mapping):
        return {int(axis): str(word) for axis, word in axes.items()}
    return {axis: f"{name}.{axis}" for axis in ((axes,) if isinstance(axes, int) else tuple(axes))}

"""Named dimensions: which axes of the arguments vary in length from call to call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import ShapeError
from arrayad.tensor import Tensor, handle, is_watched, watch


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

    def arrays(self, names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
        """(name, expression over `args` and `kwargs`, array) of each array that has named dimensions.

        **Raises** `TypeError` for a name that is no argument's.
        """
        missing = sorted(self.axes.keys() - kwargs.keys() - set(names))
        if missing:
            raise TypeError(f"[compile] dynamic names {', '.join(missing)}; the arguments are {', '.join((*names, *kwargs))}")
        given = [(name, f"args[{i}]", x) for i, (name, x) in enumerate(zip(names, args, strict=False))]
        given += [(name, f"kwargs[{name!r}]", x) for name, x in kwargs.items()]
        for name, source, value in given:
            if self.every or name in self.axes:
                for path, x in tree.paths(value):
                    if x.__class__ is Tensor or isinstance(x, np.ndarray):
                        yield name + path, source + path, x

    def words(self, name: str, x: Any) -> dict[int, str]:
        """The names of an array's axes that vary, given the array's own.

        **Raises** `ShapeError` where it has no such axis.
        """
        if self.every:
            return {axis: f"{name}.{axis}" for axis in range(x.ndim)}
        axes = self.axes[name.partition("[")[0].partition(".")[0]]
        for axis in axes:
            if not -x.ndim <= axis < x.ndim:
                raise ShapeError(f"[compile] argument {name} has {x.ndim} dimensions, and no axis {axis} that could vary")
        return {axis % x.ndim: word for axis, word in axes.items()}

    def sizes(self, names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, int]:
        """The lengths of the named dimensions in a call.

        **Raises** `ShapeError` where axes of one name differ.
        """
        found: dict[str, int] = {}
        for name, _, x in self.arrays(names, args, kwargs):
            for axis, word in self.words(name, x).items():
                size = x.shape[axis]
                if found.setdefault(word, size) != size:
                    raise ShapeError(
                        f"[compile] the dimension {word} is {found[word]}, but axis {axis} of argument {name} is {size}"
                    )
        return found

    def free(self, names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, dict[int, str]]:
        """The axes that vary, with their names, by the expression of the array."""
        return {source: self.words(name, x) for name, source, x in self.arrays(names, args, kwargs)}


def resized(args: Any, free: Mapping[str, Mapping[int, str]], sizes: Mapping[str, int], source: str) -> Any:
    """Arguments of other sizes of the named dimensions: what there is, again and again."""

    def leaf(path: str, x: Any) -> Any:
        if path not in free:
            return x
        value = np.asarray(x.value if x.__class__ is Tensor else x)
        for axis, word in free[path].items():
            value = np.take(value, np.arange(sizes[word]) % value.shape[axis], axis=axis)
        if x.__class__ is not Tensor:
            return value
        return watch(handle(value)) if is_watched(x) else handle(value)

    leaves = [leaf(path, x) for path, x in tree.paths(args, source)]
    return tree.unflatten(tree.flatten(args)[1], leaves)


def named_axes(name: str, axes: Any) -> dict[int, str]:
    """The axes that vary, with their names: of one axis, several, or a dict from axes to names."""
    if isinstance(axes, Mapping):
        return {int(axis): str(word) for axis, word in axes.items()}
    return {axis: f"{name}.{axis}" for axis in ((axes,) if isinstance(axes, int) else tuple(axes))}

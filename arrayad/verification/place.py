"""`Place`: a function of floating-point arrays at a point, with the two modes of its derivative there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayad import arbitrary, tree
from arrayad.errors import DTypeError, describe
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, record
from arrayad.transforms.boundary import is_array, parameter_names, result_leaves
from arrayad.transforms.forward import jvp
from arrayad.transforms.reverse import pullback

Array = np.ndarray[Any, Any]

Function = Callable[..., list[Tensor]]


@dataclass(frozen=True)
class Direction:
    """A tangent of one argument: the unit of one element, or a random one of them all, where `index` is None."""

    leaf: int
    index: tuple[int, ...] | None
    tangent: Array


class Place:
    """A function of arrays that returns a list of arrays, all of floating-point numbers, at a point.

    What it returns is taken as one vector, the elements of all results in order.
    """

    def __init__(
        self, function: Function, values: Sequence[Any], names: Sequence[str], results: Sequence[str] | None = None
    ) -> None:
        self.function = function
        self.leaves = list(values)
        self.names = list(names)
        outs = function(*map(handle, self.leaves))
        self.avals = [(y.shape, y.dtype) for y in outs]
        self.base = flat(outs)
        self.results = list(results) if results is not None else [f"result {k + 1}" for k in range(len(outs))]

    @property
    def size(self) -> int:
        """The number of elements of the results."""
        return self.base.size

    @functools.cached_property
    def eps(self) -> float:
        """The relative rounding of the least precise of arguments and results."""
        return max([eps_of(x.dtype) for x in self.leaves] + [eps_of(dtype) for _, dtype in self.avals])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The least precise dtype of arguments and results."""
        return max([x.dtype for x in self.leaves] + [dtype for _, dtype in self.avals], key=eps_of)

    def vector(self, moved: Sequence[Any]) -> Array:
        """The results for other arguments."""
        with np.errstate(all="ignore"):
            return flat(self.function(*map(handle, moved)))

    def pushed(self, direction: Direction, function: Function | None = None) -> Array:
        """The derivative along a direction, by forward mode."""
        x = self.leaves[direction.leaf]
        tangents: list[Any] = [None] * len(self.leaves)
        tangents[direction.leaf] = arbitrary.stored(direction.tangent.astype(x.dtype))
        with np.errstate(all="ignore"):
            found = jvp(function or self.function, tuple(map(handle, self.leaves)), wrapped(tangents))[1]
        return flat(found)

    def pulled(self, cts: Array, function: Function | None = None) -> list[list[Array]]:
        """What each cotangent of the results, a row of `cts`, brings the arguments, by reverse mode."""
        with np.errstate(all="ignore"):
            _, back = pullback("vjp", function or self.function, tuple(map(handle, self.leaves)), says=False)
            return [[numbers(g) for g in back(self.split(ct))] for ct in cts]

    def split(self, ct: Array) -> list[Tensor]:
        """A vector as cotangents of the results."""
        parts, start = [], 0
        for shape, dtype in self.avals:
            count = int(np.prod(shape))
            part = ct[start : start + count].reshape(shape)
            parts.append(handle(arbitrary.stored(part if dtype.kind == "c" or part.dtype.kind != "c" else part.real)))
            start += count
        return parts

    def tape(self) -> Tape:
        """What the function does here."""
        return record(self.function, list(map(handle, self.leaves)), self.names)

    def where(self, k: int) -> str:
        """Element k of the results in words."""
        for name, (shape, _) in zip(self.results, self.avals, strict=True):
            count = int(np.prod(shape))
            if k < count:
                return f"{name}{subscript(tuple(int(i) for i in np.unravel_index(k, shape)))}" if shape else name
            k -= count
        raise IndexError(k)

    def argument(self, direction: Direction) -> str:
        """What moves along a direction, in words."""
        name = self.names[direction.leaf]
        return f"{name} along a random direction" if direction.index is None else f"{name}{subscript(direction.index)}"

    def units(self, leaf: int) -> Iterator[Direction]:
        """The unit directions of every element of an argument, along which complex ones move in both their parts."""
        x = self.leaves[leaf]
        for index in np.ndindex(x.shape):
            yield from self.unit(leaf, index)

    def unit(self, leaf: int, index: tuple[int, ...]) -> Iterator[Direction]:
        """The unit directions of one element."""
        x = self.leaves[leaf]
        for one in (1.0, 1j) if x.dtype.kind == "c" else (1.0,):
            tangent = np.zeros(x.shape, complex if x.dtype.kind == "c" else float)
            tangent[index] = one
            yield Direction(leaf, index, tangent)

    def random(self, leaf: int, rng: np.random.Generator) -> Direction:
        """A random direction of an argument, with elements of the size 1."""
        x = self.leaves[leaf]
        tangent = rng.choice([-1.0, 1.0], x.shape)
        if x.dtype.kind == "c":
            tangent = tangent * np.exp(2j * np.pi * rng.random(x.shape))
        return Direction(leaf, None, np.asarray(tangent))


def place_of(
    name: str, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Place, list[int], tree.Structure]:
    """The function of the floating-point arrays among some arguments, which of their leaves these are, and their structure.

    **Raises** `DTypeError` where there are none, and where no result is of floating-point numbers.
    """
    leaves, structure = tree.flatten(tuple(args))
    words = parameter_names(f, len(args))
    paths = [path for word, arg in zip(words, args, strict=True) for path, _ in tree.paths(arg, word)]
    plain = [value_of(x) for x in leaves]
    smooth = [i for i, x in enumerate(plain) if is_smooth(x)]
    if not smooth:
        came = ", ".join(map(describe, leaves))
        raise DTypeError(
            f"[{name}] the arguments are ({came}), and one at least must be floating-point: write 3.0, or use astype"
        )

    def called(*xs: Tensor) -> Any:
        full = list(leaves)
        for i, x in zip(smooth, xs, strict=True):
            full[i] = x
        return f(*tree.unflatten(structure, full), **kwargs)

    out = called(*(handle(plain[i]) for i in smooth))
    results, _ = result_leaves(name, out)
    kept = [k for k, y in enumerate(results) if y.dtype.kind in "fcO"]
    if not kept:
        raise DTypeError(f"[{name}] the result is {', '.join(map(describe, results))}, which has no derivative")
    names = [path for path, _ in tree.paths(out, "the result")]

    def function(*xs: Tensor) -> list[Tensor]:
        found, _ = result_leaves(name, called(*xs))
        return [found[k] for k in kept]

    return Place(function, [plain[i] for i in smooth], [paths[i] for i in smooth], [names[k] for k in kept]), smooth, structure


def value_of(x: Any) -> Any:
    """The value of a leaf that is an array or a float, as a Tensor holds it; anything else as it is."""
    if x.__class__ is Tensor:
        return x.value
    if isinstance(x, bool | int) or not is_array(x):
        return x
    return arbitrary.stored(np.asarray(x))


def is_smooth(x: Any) -> bool:
    """Whether there are derivatives by a leaf."""
    return x.__class__ is arbitrary.Arbitrary or (isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc")


def numbers(x: Any) -> Array:
    """The elements of a Tensor as an array of NumPy's own class, numbers of mpmath's as objects."""
    value = x.value if x.__class__ is Tensor else x
    return value.array if value.__class__ is arbitrary.Arbitrary else np.asarray(value)


def flat(outs: Sequence[Any]) -> Array:
    """The elements of some Tensors in one vector."""
    return np.concatenate([numbers(y).ravel() for y in outs]) if outs else np.zeros(0)


def wrapped(tangents: list[Any]) -> tuple[Any, ...]:
    """Values as Tensors, None as it is."""
    return tuple(None if t is None else handle(t) for t in tangents)


def eps_of(dtype: np.dtype[Any]) -> float:
    """The relative rounding of a dtype; of mpmath's numbers that of the precision in force."""
    return 10.0 ** (1 - arbitrary.context().dps) if dtype.kind == "O" else float(np.finfo(dtype).eps)


def subscript(index: Sequence[int]) -> str:
    """`[1, 0]`, and nothing for a scalar."""
    return f"[{', '.join(map(str, index))}]" if len(index) else ""


def sizes(x: Array) -> Array:
    """|x| as floats."""
    return as_floats(np.abs(x)) if x.dtype.kind == "O" else np.abs(x)


def as_floats(x: Array) -> Array:
    """Numbers of mpmath's rounded to floats; floats as they are."""
    return x.astype(float) if x.dtype.kind == "O" else x

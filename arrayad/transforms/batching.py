"""`vmap`: a function of one example becomes a function of a batch of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import ShapeError, describe
from arrayad.primitives.broadcasting import for_each
from arrayad.primitives.indexing import getitem
from arrayad.primitives.joining import concat
from arrayad.primitives.shape import permute_dims
from arrayad.readers.batch import batch
from arrayad.shaped import Shaped
from arrayad.tensor import Tensor, freeze, handle
from arrayad.tracing import Tape, record
from arrayad.transforms.boundary import parameter_names, result_leaves


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, *, chunk_size: int | None = None) -> Callable[..., Any]:
    """The function that applies `f` to each example of a batch at once: vmap(f)(x)[b] = f(x[b]).

    `f` is traced once for each call, by the shapes of one example, and every operation runs once on the whole batch.  What does
    not depend on a batched argument is computed once, and shared.

    **Parameters** `in_axes`: the axis of the arguments along which the examples stand, negative ones counted from the last;
    None for an argument that the examples share, which `f` gets as it came (a Python int can be a shape); or a tuple with an
    axis, None or a tree prefix of these for each positional argument.  Keyword arguments are batched along axis 0.
    `out_axes`: where the examples stand in the results, likewise; None for a result that they share.  `chunk_size`: how
    many examples to compute at a time, which bounds the memory.

    **Raises** `ShapeError` where batch sizes differ or there is no such axis; `ValueError` where no argument is batched, or
    a result with out_axis None differs between examples; `AbstractValueError` where `f` branches on the value of an example
    (write `where`, or `cond`); `TypeError` for a result that is no array.

    **Example**

    >>> import arrayad as ad
    >>> ad.vmap(ad.dot, in_axes=(0, None))(ad.tensor([[1.0, 2.0], [3.0, 4.0]]), ad.tensor([1.0, 10.0]))
    Tensor([21., 43.])
    """
    if chunk_size is not None and (isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1):
        raise ValueError(f"[vmap] chunk_size is {chunk_size!r}; a positive int is needed, or None for the whole batch at once")

    @functools.wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        arguments = Arguments(f, in_axes, args, kwargs)
        operands, size = arguments.operands, arguments.size
        results: list[tree.Structure] = []

        def function(*examples: Tensor) -> list[Tensor]:
            positional, named = arguments.of(examples)
            leaves, structure = result_leaves("vmap", f(*positional, **named))
            results.append(structure)
            return leaves

        tape = record(function, [Shaped(x.shape[1:], x.dtype) for x in operands])
        outputs, batched = in_chunks(tape, size, operands, chunk_size)
        return placed(results[0], outputs, batched, size, out_axes)

    return mapped


# --- arguments -----------------------------------------------------------------------------------------------------


class Arguments:
    """The arguments of a call: `operands`, the batched leaves with their `size` examples along axis 0, and what these share.

    An argument whose in_axes is None is passed on itself, so that a generator that `f` draws from moves on.
    """

    def __init__(self, f: Callable[..., Any], in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.names = parameter_names(f, len(args))
        prefixes = self.prefixes(in_axes, len(args))
        self.positions = [i for i, prefix in enumerate(prefixes) if prefix is not None]
        self.args = [shared(x) if prefix is None else x for x, prefix in zip(args, prefixes, strict=True)]
        self.parts = ([args[i] for i in self.positions], kwargs)
        self.leaves, self.structure = tree.flatten(self.parts)
        self.axes: list[int | None] = []
        for i in self.positions:
            self.axes += prefix_axes(f"in_axes of argument {self.names[i]}", prefixes[i], args[i])
        self.axes += [0] * (len(self.leaves) - len(self.axes))
        self.operands = [self.operand(i) for i, axis in enumerate(self.axes) if axis is not None]
        self.size = self.common_size()

    @staticmethod
    def prefixes(in_axes: Any, count: int) -> list[Any]:
        """The entry of in_axes for each positional argument."""
        if in_axes is None or is_axis(in_axes):
            return [in_axes] * count
        if isinstance(in_axes, tuple | list) and len(in_axes) == count:
            return list(in_axes)
        raise ValueError(
            f"[vmap] in_axes is {in_axes!r}; an int, None, or a tuple with an entry for each of {count} positional arguments "
            "is needed"
        )

    def name(self, i: int) -> str:
        """What to call leaf `i`."""
        args, kwargs = self.parts
        named = [(self.names[position], x) for position, x in zip(self.positions, args, strict=True)]
        named += [(key, kwargs[key]) for key in tree.sorted_keys(kwargs)]
        return [name + path for name, x in named for path, _ in tree.paths(x)][i]

    def operand(self, i: int) -> Tensor:
        """Leaf `i` with its examples along axis 0.

        **Raises** `ShapeError` where it has no such axis.
        """
        x, axis = self.leaves[i], self.axes[i]
        ndim = x.ndim if x.__class__ is Tensor or isinstance(x, np.ndarray) else 0
        assert axis is not None
        if not -ndim <= axis < ndim:
            raise ShapeError(
                f"[vmap] argument {self.name(i)} is {describe(x)}, which has no axis {axis} for the examples; "
                "pass an array, another in_axes, or None where the examples share it"
            )
        x = x if x.__class__ is Tensor else handle(freeze(x))
        axis %= ndim
        return permute_dims(x, axes=(axis, *(a for a in range(ndim) if a != axis))) if axis else x

    def common_size(self) -> int:
        """The number of examples, the one length of the batched axes."""
        sizes = {x.shape[0] for x in self.operands}
        if len(sizes) == 1:
            return sizes.pop()
        if not sizes:
            raise ValueError("[vmap] no argument is batched; give one at least an axis in in_axes")
        places = [i for i, axis in enumerate(self.axes) if axis is not None]
        came = ", ".join(f"{self.name(i)} has {x.shape[0]}" for i, x in zip(places, self.operands, strict=True))
        raise ShapeError(f"[vmap] the numbers of examples differ: {came}; the batched axes must have one length")

    def of(self, examples: Iterable[Tensor]) -> tuple[list[Any], dict[str, Any]]:
        """The function's arguments, given the operands of one example."""
        rest = iter(examples)
        leaves = [own(x) if axis is None else next(rest) for x, axis in zip(self.leaves, self.axes, strict=True)]
        batched, kwargs = tree.unflatten(self.structure, leaves)
        args = list(self.args)
        for i, x in zip(self.positions, batched, strict=True):
            args[i] = x
        return args, kwargs


def is_axis(axis: Any) -> bool:
    return isinstance(axis, int | np.integer) and not isinstance(axis, bool)


def prefix_axes(what: str, prefix: Any, whole: Any) -> list[int | None]:
    """The axis of every leaf of a tree, by a prefix of the tree."""
    try:
        axes = tree.spread(prefix, whole)
    except ValueError as error:
        raise ValueError(f"[vmap] {what} is {prefix!r}, which must be a prefix of its tree; {error}") from None
    for axis in axes:
        if not (axis is None or is_axis(axis)):
            raise ValueError(f"[vmap] {what} holds {axis!r}; axes are ints or None")
    return axes


def own(x: Any) -> Any:
    """An array as a Tensor of its own, which may be changed in place; anything else itself."""
    if x.__class__ is Tensor:
        return handle(x.value, x.history)
    return handle(freeze(x)) if isinstance(x, np.ndarray) else x


def shared(x: Any) -> Any:
    """An argument that the examples share, as the function gets it: itself, with Tensors for NumPy's arrays."""
    return tree.map(own, x) if x.__class__ is Tensor or any(isinstance(leaf, np.ndarray) for leaf in tree.leaves(x)) else x


# --- results -------------------------------------------------------------------------------------------------------


def in_chunks(tape: Tape, size: int, operands: list[Tensor], chunk_size: int | None) -> tuple[list[Tensor], list[bool]]:
    """The tape's outputs for a batch of operands, and which of them are a batch; so many examples at a time."""
    flags = [True] * len(operands)
    if chunk_size is None or size <= chunk_size:
        return batch(tape, size, operands, flags)
    parts = []
    for start in range(0, size, chunk_size):
        stop = min(start + chunk_size, size)
        outputs, batched = batch(tape, stop - start, [getitem(x, index=(slice(start, stop),)) for x in operands], flags)
        parts.append(outputs)
    joined = [concat(*ys, axis=0) if flag else ys[0] for ys, flag in zip(zip(*parts, strict=True), batched, strict=True)]
    return joined, batched


def placed(structure: tree.Structure, outputs: list[Tensor], batched: list[bool], size: int, out_axes: Any) -> Any:
    """The result, whose leaves have their examples where `out_axes` says."""
    out = tree.unflatten(structure, outputs)
    if out_axes is None or is_axis(out_axes):
        axes = [out_axes] * len(outputs)
    else:
        axes = prefix_axes("out_axes", out_axes, out)
    moved = []
    for i, (y, flag, axis) in enumerate(zip(outputs, batched, axes, strict=True)):
        if axis is None:
            if flag:
                raise ValueError(
                    f"[vmap] {result_name(out, i)} differs between examples, {describe(y)} of {size}; "
                    "out_axes None is for what they share: give it an axis"
                )
            moved.append(own(y))
            continue
        y = y if flag else for_each(y, size)
        if not -y.ndim <= axis < y.ndim:
            raise ShapeError(f"[vmap] {result_name(out, i)} is {describe(y)} with its batch, which has no axis {axis} for it")
        axis %= y.ndim
        moved.append(permute_dims(y, axes=(*range(1, axis + 1), 0, *range(axis + 1, y.ndim))) if axis else own(y))
    return tree.unflatten(structure, moved)


def result_name(out: Any, i: int) -> str:
    """What to call leaf `i` of the result."""
    return [f"the result{path}" for path, _ in tree.paths(out)][i]

"""Public indexing: `x[...]` and `x[...] = v`, the pure updates `x.at[...]`, `take`, padding, diagonals."""

from __future__ import annotations

from collections.abc import Callable
from operator import index as integer
from typing import Any

import numpy as np

from arrayad.arbitrary import array_in, taken
from arrayad.errors import AbstractValueError, DTypeError, ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.functions.elementwise import maximum, minimum, power
from arrayad.functions.shape import gathered, moveaxis, ravel
from arrayad.namespace import attach, public
from arrayad.primitives import arithmetic
from arrayad.primitives.broadcasting import broadcast_to, reduce_sum
from arrayad.primitives.casting import astype
from arrayad.primitives.comparison import equal, not_equal
from arrayad.primitives.indexing import ARRAY, filled, getitem, misfit, put, repeats, selected_shape, set_at
from arrayad.primitives.selection import where
from arrayad.primitives.shape import reshape
from arrayad.shaped import is_abstract, is_weak, normalize_axis
from arrayad.tape import Traced, recorded
from arrayad.tensor import Tensor, handle, rebind

# --- from NumPy's index to a template and arrays -------------------------------------------------------------------

PLAIN = frozenset((int, type(None), type(Ellipsis)))
BOUND = frozenset((int, type(None)))


def is_plain(part: Any) -> bool:
    """Whether a part of an index is a parameter as it stands."""
    kind = part.__class__
    if kind is slice:
        return part.start.__class__ in BOUND and part.stop.__class__ in BOUND and part.step.__class__ in BOUND
    return kind in PLAIN


def template(key: Any, shape: tuple[int, ...], name: str) -> tuple[tuple[Any, ...], list[Any]]:
    """The template that an index of an array of this shape comes to, and the arrays for its places.

    **Raises** `IndexError` for what is no index, and for a mask of another shape than what it selects from.
    """
    key = key if key.__class__ is tuple else (key,)
    if all(map(is_plain, key)):
        return key, []
    parts = [parsed(part, name) for part in key]
    used = sum(1 if part.__class__ in (int, slice) else consumed(part) for part in parts)
    index: list[Any] = []
    arrays: list[Any] = []
    axis = 0
    for part in parts:
        if part.__class__ is int or part.__class__ is slice:
            axis += 1
        elif part is Ellipsis:
            axis += max(0, len(shape) - used)
        elif part is not None:
            found = places_of(part, shape[axis : axis + part.ndim], name) if part.dtype.kind == "b" else [part]
            arrays += found
            axis += len(found)
            index += [ARRAY] * len(found)
            continue
        index.append(part)
    return tuple(index), arrays


def consumed(part: Any) -> int:
    """The number of axes that an array, None or Ellipsis in an index stands for."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if part.dtype.kind == "b" else 1


def parsed(part: Any, name: str) -> Any:
    """A part of an index as an int, a slice of ints, None, Ellipsis or an array of integers or booleans."""
    if is_plain(part):
        return part
    if part.__class__ is slice:
        bounds = (part.start, part.stop, part.step)
        return slice(*(None if bound is None else bound_of(bound, name) for bound in bounds))
    array = part if part.__class__ is Tensor else np.asarray(part)
    if array.dtype.kind not in "biu" and isinstance(part, list | tuple) and array.size == 0:
        array = array.astype(np.intp)
    if array.dtype.kind not in "biu":
        raise IndexError(
            f"[{name}] an index is made of ints, slices, None, Ellipsis and arrays of integers or booleans; {describe(part)} came"
        )
    if array.ndim == 0 and array.dtype.kind == "b":
        raise IndexError(f"[{name}] a single boolean is no index; use None for a new axis, where for a condition")
    if array.ndim == 0 and not (part.__class__ is Tensor and (part.history is not None or is_abstract(part.value))):
        return int(array)
    return array


def bound_of(bound: Any, name: str) -> int:
    """The bound of a slice as an int, of which shapes follow, so that a trace must be sure of it."""
    return integer(observed(bound, name) if bound.__class__ is Tensor else bound)


def places_of(mask: Any, shape: tuple[int, ...], name: str) -> list[Tensor]:
    """The integer arrays that select what a mask of this shape selects."""
    if mask.shape != shape:
        raise IndexError(f"[{name}] the mask is {describe(mask)}, its axes have the lengths {shape}; they must agree")
    return [handle(places) for places in np.nonzero(observed(mask, name))]


def observed(x: Any, name: str) -> np.ndarray[Any, Any]:
    """The value of an array that a shape depends on; a running trace guards that it is the same when replayed.

    **Raises** `AbstractValueError` where it is known by its shape only.
    """
    if x.__class__ is not Tensor:
        return np.asarray(x)
    if is_abstract(x.value):
        raise AbstractValueError(
            f"[{name}] the shape of the result depends on the values of {describe(x)}, which are not known while "
            "tracing by shapes; use where(mask, x, y), whose shape is the same for every mask, or trace with values"
        )
    entry = recorded(x.history)
    if isinstance(entry, Traced) and entry.trace.open:
        differing = astype(not_equal(x, handle(x.value.copy())), dtype=np.dtype("int64"))
        bool(equal(reduce_sum(differing, axis=tuple(range(x.ndim))), 0))
    return array_in(x.value)


# --- x[...] and x[...] = v -----------------------------------------------------------------------------------------


def item_of(x: Tensor, key: Any) -> Tensor:
    """The elements that NumPy's index `key` selects, as a new value."""
    index, arrays = template(key, x.value.shape, "getitem")
    return getitem(x, *arrays, index=index)


def replace_item(x: Tensor, key: Any, value: Any) -> None:
    """Give the handle `x` a new value, in which `value` stands where `key` points; older results keep the old one."""
    rebind(x, Update(x, key, "setitem").set(value), "setitem")


for method, function in (("__getitem__", item_of), ("__setitem__", replace_item)):
    setattr(Tensor, method, function)


# --- x.at[...] -----------------------------------------------------------------------------------------------------


class At:
    """`x.at`: indexed by what an update is to reach."""

    __slots__ = ("x",)

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __getitem__(self, key: Any) -> Update:
        return Update(self.x, key, "at")


class Update:
    """`x.at[key]`: its methods return a new Tensor and leave `x` as it is.

    **Example**

    >>> import arrayad as ad
    >>> x = ad.tensor([1.0, 2.0, 3.0])
    >>> x.at[1].set(0.0), x.at[[0, 0, 2]].add(1.0), x.at[x > 1].multiply(10)
    (Tensor([1., 0., 3.]), Tensor([3., 2., 4.]), Tensor([ 1., 20., 30.]))
    """

    __slots__ = ("key", "name", "x")

    def __init__(self, x: Tensor, key: Any, name: str) -> None:
        self.x = x
        self.key = key
        self.name = name

    def get(self) -> Tensor:
        """The elements themselves."""
        return item_of(self.x, self.key)

    def set(self, value: Any) -> Tensor:
        """`x` with `value` in their place; of several writes to one element the last stays."""
        return self.combined(None, value)

    def add(self, value: Any) -> Tensor:
        """`x` with `value` added to them; an element that is named twice receives both."""
        value = self.fitting(value)
        if self.mask_of(value) is not None:
            return self.combined(arithmetic.add, value)
        index, arrays = template(self.key, self.x.shape, self.name)
        value = self.spread(value, index, arrays)
        return arithmetic.add(self.x, put(value, *arrays, index=index, shape=self.x.shape))

    def subtract(self, value: Any) -> Tensor:
        """`x` with `value` subtracted from them, as `add` adds."""
        return self.add(arithmetic.negative(self.fitting(value)))

    def multiply(self, value: Any) -> Tensor:
        """`x` with them multiplied by `value`, in turn by all values where an element is named several times."""
        return self.combined(arithmetic.multiply, value)

    def divide(self, value: Any) -> Tensor:
        """`x` with them divided by `value`."""
        return self.combined(arithmetic.divide, value)

    def power(self, exponent: Any) -> Tensor:
        """`x` with them raised to `exponent`."""
        return self.combined(power, exponent)

    def min(self, value: Any) -> Tensor:
        """`x` with the smaller of each of them and `value`."""
        return self.combined(minimum, value)

    def max(self, value: Any) -> Tensor:
        """`x` with the larger of each of them and `value`."""
        return self.combined(maximum, value)

    def fitting(self, value: Any) -> Tensor:
        """The operand of an update in the dtype of `x`.

        **Raises** `DTypeError` where that would lose its fraction or its imaginary part.
        """
        x = self.x
        came = value if value.__class__ is Tensor else np.asarray(value)
        if RANK[came.dtype.kind] > RANK[x.dtype.kind]:
            raise DTypeError(f"[{self.name}] {describe(value)} does not fit into {describe(x)}; use astype")
        return handle(taken(value, x.dtype)) if is_weak(value) else asarray(value, x.dtype)

    def mask_of(self, value: Tensor) -> Any:
        """The mask as a Tensor that broadcasts against `x`, if the index is one mask and `value` a single number."""
        mask = self.key if self.key.__class__ is Tensor or isinstance(self.key, np.ndarray) else None
        if mask is None or value.ndim or mask.dtype.kind != "b" or not mask.ndim:
            return None
        if mask.shape != self.x.shape[: mask.ndim]:
            return None
        return reshape(mask, shape=mask.shape + (1,) * (self.x.ndim - mask.ndim))

    def spread(self, value: Tensor, index: tuple[Any, ...], arrays: list[Any]) -> Tensor:
        """The operand broadcast to the shape that the index selects."""
        shape = selected_shape(self.name, self.x.shape, index, tuple(arrays))
        while value.ndim > len(shape) and value.shape[0] == 1:
            value = reshape(value, shape=value.shape[1:])
        lead = len(shape) - value.ndim
        if lead < 0 or any(n not in (1, m) for n, m in zip(value.shape, shape[lead:], strict=True)):
            raise ShapeError(f"[{self.name}] {describe(value)} does not broadcast to {shape}, what is selected")
        return value if value.shape == shape else broadcast_to(value, shape=shape)

    def combined(self, operation: Callable[[Any, Any], Any] | None, value: Any) -> Tensor:
        """`x` with operation(element, value), or the value itself, in the place of each element."""
        x, value = self.x, self.fitting(value)
        mask = self.mask_of(value)
        if mask is not None:
            return where(mask, value if operation is None else self.same(operation(x, value)), x)
        index, arrays = template(self.key, x.shape, self.name)
        value = self.spread(value, index, arrays)
        if operation is None:
            return set_at(x, value, *arrays, index=index)
        rounds = self.rounds(index, arrays)
        if len(rounds) == 1:
            new = self.same(operation(getitem(x, *arrays, index=index), value))
            return set_at(x, new, *arrays, index=index)
        y, value = ravel(x), ravel(value)
        for writes, targets in rounds:
            new = self.same(operation(getitem(y, targets, index=(ARRAY,)), getitem(value, writes, index=(ARRAY,))))
            y = set_at(y, new, targets, index=(ARRAY,))
        return reshape(y, shape=x.shape)

    def same(self, new: Tensor) -> Tensor:
        """The result of an operation, which must have a dtype that `x` can hold."""
        if RANK[new.dtype.kind] > RANK[self.x.dtype.kind]:
            raise DTypeError(f"[{self.name}] {describe(new)} does not fit into {describe(self.x)}; use astype")
        return asarray(new, self.x.dtype)

    def rounds(self, index: tuple[Any, ...], arrays: list[Any]) -> list[Any]:
        """The writes, and the elements they go to, both counted in C order, in rounds that name no element twice."""
        if not repeats(tuple(arrays)):
            return [None]
        x = self.x
        seen = tuple(observed(array, self.name) for array in arrays)
        try:
            targets = np.arange(x.size).reshape(x.shape)[filled(index, seen)].reshape(-1)
        except IndexError as error:
            raise misfit(self.name, error, x, seen) from None
        order = np.argsort(targets, kind="stable")
        ordered = targets[order]
        turn = np.empty_like(targets)
        turn[order] = np.arange(targets.size) - np.searchsorted(ordered, ordered)
        last = int(turn.max(initial=0))
        if last == 0:
            return [None]
        writes = [np.flatnonzero(turn == i) for i in range(last + 1)]
        return [(handle(chosen), handle(targets[chosen])) for chosen in writes]


RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3, "O": 4}
"""The kinds of dtypes, each of which holds the ones before it."""


def at(x: Tensor) -> Any:
    """`x.at[index]`: updates of the elements that the index selects, which return a new Tensor (see `Update`)."""
    return At(x)


attach("at", property(at))


# --- functions -----------------------------------------------------------------------------------------------------


def index_array(indices: Any, name: str) -> Tensor:
    """Positions as a Tensor of integers."""
    found = asarray(indices)
    if found.size == 0 and isinstance(indices, list | tuple):
        found = astype(found, dtype=np.dtype(np.intp))
    if found.dtype.kind not in "iu":
        raise DTypeError(f"[{name}] indices must be integers, {describe(found)} came; use x[mask] for a boolean mask")
    return found


@public(method=True)
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The elements at integer positions along `axis`; without an axis, among all elements in C order.

    **Raises** `IndexError` for a position out of bounds, `DTypeError` unless `indices` are integers.

    **Example**

    >>> import arrayad as ad
    >>> ad.take([1.0, 2.0, 3.0], [2, 0, 0])
    Tensor([3., 1., 1.])
    """
    x = asarray(x)
    if axis is None:
        x, axis = ravel(x), 0
    lead = (slice(None),) * normalize_axis(axis, x.ndim, "take")
    return getitem(x, index_array(indices, "take"), index=(*lead, ARRAY))


def along(x: Tensor, indices: Any, axis: int, name: str) -> tuple[list[Tensor], int]:
    """Index arrays that vary with `indices` along `axis` and stand still along the others."""
    found = index_array(indices, name)
    axis = normalize_axis(axis, x.ndim, name)
    if found.ndim != x.ndim:
        raise ShapeError(f"[{name}] indices are {describe(found)}, x is {describe(x)}; they must have as many axes")
    for i, (n, m) in enumerate(zip(found.shape, x.shape, strict=True)):
        if i != axis and n not in (1, m):
            came = f"indices are {describe(found)}, x is {describe(x)}"
            raise ShapeError(f"[{name}] {came}; all axes but {axis} must agree, or be 1")
    steps = (np.arange(n).reshape((n,) + (1,) * (x.ndim - 1 - i)) for i, n in enumerate(x.shape))
    return [found if i == axis else handle(step) for i, step in enumerate(steps)], axis


@public(method=True)
def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """An element along `axis` for each position: y[i, j] = x[i, indices[i, j]] for the last axis.

    **Example**

    >>> import arrayad as ad
    >>> ad.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]])
    Tensor([[2.],
            [3.]])
    """
    x = asarray(x)
    arrays, _ = along(x, indices, axis, "take_along_axis")
    return getitem(x, *arrays, index=(ARRAY,) * x.ndim)


@public(method=True)
def nonzero(x: Any) -> tuple[Tensor, ...]:
    """The positions of the elements that are not zero, one array of integers for each axis.

    **Raises** `AbstractValueError` while tracing by shapes: how many there are depends on the values.
    """
    return tuple(handle(places) for places in np.nonzero(np.atleast_1d(observed(asarray(x), "nonzero"))))


@public()
def argwhere(x: Any) -> Tensor:
    """The positions of the elements that are not zero, one in each row.

    **Example**

    >>> import arrayad as ad
    >>> ad.argwhere([[0, 1], [1, 0]])
    Tensor([[0, 1],
            [1, 0]])
    """
    return handle(np.argwhere(observed(asarray(x), "argwhere")))


@public()
def compress(condition: Any, x: Any, axis: int | None = None) -> Tensor:
    """The elements along `axis` where the 1-d `condition` holds; without an axis, among all in C order."""
    chosen = np.flatnonzero(observed(asarray(condition), "compress"))
    return take(x, chosen, axis)


# --- padding and diagonals -----------------------------------------------------------------------------------------


@public()
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    """The array with elements added before and after along each axis.

    **Parameters** `pad_width`: an int, a pair (before, after) for every axis, or such a pair for each; `mode`:
    "constant", "edge", "reflect", "symmetric" or "wrap", as in NumPy; `constant_values`: one number for "constant".

    **Example**

    >>> import arrayad as ad
    >>> ad.pad([1.0, 2.0, 3.0], (1, 2), mode="reflect")
    Tensor([2., 1., 2., 3., 2., 1.])
    """
    x = asarray(x, copy=True)
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    except ValueError:
        raise ShapeError(f"[pad] pad_width {pad_width} does not fit {x.ndim} axes; give a pair for each") from None
    if any(width < 0 for pair in widths for width in pair):
        raise ValueError(f"[pad] pad_width {pad_width} is negative; slice the array to take elements away")
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"[pad] mode {mode!r} is none of constant, edge, reflect, symmetric, wrap")
    if mode != "constant":
        for axis, width in enumerate(widths):
            if width != [0, 0]:
                x = gathered(x, axis, np.pad(np.arange(x.shape[axis]), width, mode=mode))  # type: ignore[call-overload]
        return x
    shape = tuple(before + n + after for n, (before, after) in zip(x.shape, widths, strict=True))
    index = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths, strict=True))
    if is_weak(constant_values) and constant_values == 0:
        return put(x, index=index, shape=shape)
    value = asarray(constant_values, x.dtype)
    if value.ndim:
        raise ShapeError(f"[pad] constant_values must be one number, {describe(value)} came; pad axis by axis")
    return set_at(broadcast_to(value, shape=shape), x, index=index)


@public(method=True)
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of the matrices in `axis1` and `axis2`, as the last axis: y[..., i] = x[i, i + offset, ...].

    **Example**

    >>> import arrayad as ad
    >>> ad.diagonal([[1.0, 2.0], [3.0, 4.0]])
    Tensor([1., 4.])
    """
    x = asarray(x)
    if x.ndim < 2:
        raise ShapeError(f"[diagonal] a matrix, or a stack of them, was needed, {describe(x)} came")
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows_, columns = x.shape[-2:]
    i = np.arange(max(0, min(rows_ + min(offset, 0), columns - max(offset, 0))))
    return getitem(x, handle(i - min(offset, 0)), handle(i + max(offset, 0)), index=(Ellipsis, ARRAY, ARRAY))


@public()
def diag(x: Any, k: int = 0) -> Tensor:
    """The matrix with the 1-d `x` on its diagonal `k`, or the diagonal `k` of the matrix `x`.

    **Example**

    >>> import arrayad as ad
    >>> ad.diag([1.0, 2.0])
    Tensor([[1., 0.],
            [0., 2.]])
    """
    x = asarray(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"[diag] one axis or two were needed, {describe(x)} came; diagonal takes stacks of matrices")
    i, n = np.arange(x.size), x.size + abs(k)
    return put(x, handle(i + max(0, -k)), handle(i + max(0, k)), index=(ARRAY, ARRAY), shape=(n, n))

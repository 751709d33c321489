"""Rows that take elements out of an array and put them into one: `getitem`, `put`, `set_at`.

An index is a template, NumPy's index tuple in which `ARRAY` stands where an integer array goes, and these arrays as
operands: a recorded program replays with other arrays.  The template (ints, slices, None, Ellipsis) is a parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from arrayad.arbitrary import stored
from arrayad.dependence import Links, Rule, everything, moved_by, numbers
from arrayad.errors import describe
from arrayad.primitive import Batching, Primitive, batching, general, nothing, quick
from arrayad.primitives.broadcasting import for_each
from arrayad.primitives.selection import where
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.samples import Samples
from arrayad.shaped import Shaped, aval
from arrayad.tensor import Tensor, handle


class Place(Enum):
    """What stands in a template for an operand."""

    ARRAY = "array"

    def __repr__(self) -> str:
        return self.value


Shape = tuple[int, ...]
Template = tuple[Any, ...]

ARRAY = Place.ARRAY


# --- the kind ------------------------------------------------------------------------------------------------------


class Indexing(Primitive):
    """A row that is linear in its first `smooth` operands; the others are integer arrays, its only residuals."""

    smooth = 1

    def wanted(self, parents: tuple[Any, ...]) -> frozenset[int]:
        if all(parent is None for parent in parents[: self.smooth]):
            return frozenset()
        return frozenset(range(self.smooth, len(parents)))


def indexing(
    name: str,
    doc: str,
    *,
    numpy: Callable[..., Any],
    shape: Callable[..., Any],
    jvp: Callable[..., Any],
    vjp: Callable[..., Any],
    samples: Samples,
    kind: str,
    smooth: int = 1,
    cost: Callable[..., float] = nothing,
    pattern: Rule = everything,
    batch: Batching | None = None,
) -> Callable[..., Tensor]:
    """Declare a row of `smooth` operands and any number of index arrays."""
    row = Indexing(name, doc, numpy, shape, samples)
    row.kind, row.smooth = kind, smooth
    row.jvp, row.vjp, row.cost = jvp, vjp, cost
    row.pattern = partial(pattern, row)
    row.batch = batching(row, batch)

    return quick(row)


def indexed(row: Any, i: int, output: Any, *operands: Any, **params: Any) -> Links:
    """The pattern of a kernel that moves elements to or from where the arrays say, if these are known."""
    smooth, arrays = operands[: row.smooth], operands[row.smooth :]
    if any(array.__class__ is Shaped for array in arrays):
        return None
    return moved_by(lambda *labels: row.numpy(*labels, *arrays, **params), i, smooth)


# --- templates -----------------------------------------------------------------------------------------------------


def filled(index: Template, arrays: tuple[Any, ...]) -> Template:
    """NumPy's index: the template with the arrays in their places."""
    if not arrays:
        return index
    rest = iter(arrays)
    return tuple(next(rest) if part is ARRAY else part for part in index)


def repeats(arrays: tuple[Any, ...]) -> bool:
    """Whether an index with these arrays can name an element twice."""
    return any(array.ndim for array in arrays)


def misfit(name: str, error: IndexError, x: Any, arrays: tuple[Any, ...]) -> IndexError:
    """NumPy's complaint about an index, in our words."""
    came = f"x is {describe(x)}" + "".join(f", indexed by {describe(array)}" for array in arrays)
    return IndexError(f"[{name}] {str(error).rstrip('.')}: {came}")


def selected_shape(name: str, shape: Shape, index: Template, arrays: tuple[Any, ...]) -> Shape:
    """The shape of what an index selects: NumPy's own answer, asked with elements of no bytes."""
    try:
        trial = tuple(np.broadcast_to(np.intp(0), array.shape) for array in arrays)
        return tuple(np.empty(shape, "V0")[filled(index, trial)].shape)
    except IndexError as error:
        raise misfit(name, error, Shaped(shape, "float64"), arrays) from None


def contracted(shape: Shape, index: Template) -> tuple[Shape, Template]:
    """The shape with length 1 along sliced axes, where an index never repeats, and the index that fits it."""
    rest = len(shape) - sum(part is not None and part is not Ellipsis for part in index)
    lengths: list[int] = []
    for part in index:
        if part is Ellipsis:
            lengths += [1] * rest
        elif part is not None:
            lengths.append(1 if part.__class__ is slice else shape[len(lengths)])
    lengths += [1] * (len(shape) - len(lengths))
    return tuple(lengths), tuple(slice(None) if part.__class__ is slice else part for part in index)


def in_order(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arrays in C order under one shape: NumPy then writes through them in that order, whatever their strides."""
    return tuple(map(np.ascontiguousarray, np.broadcast_arrays(*arrays) if len(arrays) > 1 else arrays))


# --- batches -------------------------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """Where NumPy puts the axes that the index arrays make together, in what an index selects.

    They are `rank` axes, with `before` others in front.  Arrays and ints that do not stand side by side, which are not
    `together`, put them first.
    """

    rank: int
    before: int
    together: bool


def layout(index: Template, arrays: Any, batched: Any, ndim: int) -> Layout:
    """The layout of what an example's index selects of an array of `ndim` axes."""
    rank = max((array.ndim - flag for array, flag in zip(arrays, batched, strict=True)), default=0)
    basic = [part is None or part is Ellipsis or part.__class__ is slice for part in index]
    if all(basic):
        return Layout(rank, 0, True)
    first, last = basic.index(False), len(basic) - 1 - basic[::-1].index(False)
    together = not any(basic[first:last])
    rest = ndim - sum(part is not None and part is not Ellipsis for part in index)
    before = sum(rest if part is Ellipsis else 1 for part in index[:first])
    return Layout(rank, before if together else 0, together)


def exchanged(x: Any, lead: int, first: int, second: int) -> Any:
    """Two adjacent groups of axes, which stand behind `lead` others, in the other order."""
    if not (first and second):
        return x
    middle, end = lead + first, lead + first + second
    return permute_dims(x, axes=(*range(lead), *range(middle, end), *range(lead, middle), *range(end, x.ndim)))


def aligned(size: int, arrays: Any, batched: Any, rank: int) -> list[Any]:
    """Index arrays of which those with the batch get axes of length 1 behind it, so that they broadcast."""
    return [
        reshape(array, shape=(size, *(1,) * (rank + 1 - array.ndim), *array.shape[1:])) if flag and array.ndim <= rank else array
        for array, flag in zip(arrays, batched, strict=True)
    ]


def with_grid(size: int, arrays: Any, batched: Any, index: Template, rank: int) -> tuple[list[Any], Template]:
    """The index of a batch: the number of the example, then its own index.  It puts the batch first, then the arrays' axes."""
    grid = handle(np.arange(size).reshape((size, *(1,) * rank)))
    return [grid, *aligned(size, arrays, batched, rank)], (ARRAY, *index)


# --- getitem and its transpose -------------------------------------------------------------------------------------


def get(x: Any, *arrays: Any, index: Template) -> Any:
    try:
        return x[filled(index, arrays)] if arrays else x[index]
    except IndexError as error:
        raise misfit("getitem", error, x, arrays) from None


def get_shape(x: Shaped, *arrays: Any, index: Template) -> Shaped:
    return Shaped(selected_shape("getitem", x.shape, index, arrays), x.dtype)


def get_jvp(tangents: Any, y: Any, x: Any, *arrays: Any, index: Template) -> Any:
    return getitem(tangents[0], *arrays, index=index)


def get_vjp(needed: Any, ct: Any, y: Any, x: Any, *arrays: Any, index: Template) -> Any:
    return (put(ct, *arrays, index=index, shape=x.shape), *(None for array in arrays))


def get_batch(row: Any, size: int, operands: Any, batched: Any, *, index: Template) -> Any:
    x, *arrays = operands
    found, flags = layout(index, arrays, batched[1:], x.ndim - batched[0]), batched[1:]
    if not any(flags):
        y = getitem(x, *arrays, index=(slice(None), *index))
        return y if found.together else exchanged(y, 0, found.rank, 1)
    if not batched[0]:
        return exchanged(getitem(x, *aligned(size, arrays, flags, found.rank), index=index), 0, found.before, 1)
    arrays, index = with_grid(size, arrays, flags, index, found.rank)
    return exchanged(getitem(x, *arrays, index=index), 1, found.rank, found.before)


def to_write(size: int, value: Any, arrays: Any, batched: Any, index: Template, ndim: int) -> tuple[Any, list[Any], Template]:
    """What a batch writes, in the layout of the batch's index, and that index; `batched` is of the value and the arrays."""
    flags = batched[1:]
    found = layout(index, arrays, flags, ndim)
    value = value if batched[0] else for_each(value, size)
    if any(flags):
        return exchanged(value, 1, found.before, found.rank), *with_grid(size, arrays, flags, index, found.rank)
    return value if found.together else exchanged(value, 0, 1, found.rank), list(arrays), (slice(None), *index)


def put_batch(row: Any, size: int, operands: Any, batched: Any, *, index: Template, shape: Shape) -> Any:
    value, arrays, index = to_write(size, operands[0], operands[1:], batched, index, len(shape))
    return put(value, *arrays, index=index, shape=(size, *shape))


CASES: list[Any] = [
    ((5,), {"index": (slice(1, 4),)}),
    ((5,), {"index": (slice(None, None, -2),)}),
    ((5,), {"index": (2,)}),
    ((3, 4), {"index": (-1, None, slice(3, 0, -1))}),
    ((3, 4), {"index": (Ellipsis, 1)}),
    ((2, 3, 4), {"index": (1, Ellipsis, slice(0, 0))}),
    ((0, 3), {"index": (slice(None), 1)}),
    ((), {"index": ()}),
    ((), {"index": (None, Ellipsis)}),
    (((3, 2), (5,)), {"index": (ARRAY,)}),
    (((3,), (2, 4)), {"index": (ARRAY,)}),
    (((3,), ()), {"index": (ARRAY,)}),
    (((3, 4), (5,), (2, 1)), {"index": (ARRAY, ARRAY)}),
    (((3, 4, 3), (5,), (5,)), {"index": (ARRAY, slice(None, None, -1), ARRAY)}),
    (((2, 3, 4), (5,), ()), {"index": (slice(1, None), ARRAY, ARRAY)}),
    (((2, 3, 4), (5,), (5,)), {"index": (slice(None), ARRAY, Ellipsis, ARRAY)}),
    (((3, 4), (0,)), {"index": (slice(None), ARRAY)}),
]
"""Shapes and templates; the arrays hold integers from -2 to 1, so that they repeat."""

getitem = indexing(
    "getitem",
    """The elements that an index selects, as NumPy's indexing selects them: y = x[index].

    `index` is a tuple of ints, slices, None, Ellipsis, and `ARRAY` for each further operand, an array of integers.

    **Raises** `IndexError` for an index out of bounds, or too many of them.
    """,
    numpy=get,
    shape=get_shape,
    jvp=get_jvp,
    vjp=get_vjp,
    batch=get_batch,
    kind="selection",
    pattern=indexed,
    samples=Samples(low=(-3.0, -2, -2), high=(3.0, 2, 2), dtypes={1: "int64", 2: "int64"}, cases=CASES, complex=True),
)


def add_up(x: Any, *arrays: Any, index: Template, shape: Shape) -> Any:
    if not shape:
        return x.reshape(shape)
    total = np.zeros(shape, x.dtype)
    if not repeats(arrays):
        total[filled(index, arrays)] = x if x.ndim else x[()]  # an array of objects would take the 0-d array for an element
    elif total.ndim == 1:
        np.add.at(total, filled(index, arrays), x)
    else:
        # On one axis `np.add.at` has a fast loop: 4,096 rows of 128 into 10,000 take 3 ms so, 11 ms on two axes.
        np.add.at(total.reshape(-1), positions(shape, index, arrays).reshape(-1), x.reshape(-1))
    return total


def positions(shape: Shape, index: Template, arrays: tuple[Any, ...]) -> Any:
    """The place in C order of each element that an index selects; no table of the whole array is made."""
    used = len(shape) if Ellipsis in index else sum(part is not None for part in index)
    key = filled(index, arrays)
    found: Any = 0
    stride = 1
    for axis in reversed(range(used)):
        length = shape[axis]
        along = (np.arange(length) * stride).reshape((length,) + (1,) * (used - 1 - axis))
        found = found + np.broadcast_to(along, shape[:used])[key]
        stride *= length
    rest = int(np.prod(shape[used:], dtype=np.intp))
    return found if used == len(shape) else found[..., None] * rest + np.arange(rest)


def put_shape(x: Shaped, *arrays: Any, index: Template, shape: Shape) -> Shaped:
    return Shaped(shape, x.dtype)


def put_jvp(tangents: Any, y: Any, x: Any, *arrays: Any, index: Template, shape: Shape) -> Any:
    return put(tangents[0], *arrays, index=index, shape=shape)


def put_vjp(needed: Any, ct: Any, y: Any, x: Any, *arrays: Any, index: Template, shape: Shape) -> Any:
    return (getitem(ct, *arrays, index=index), *(None for array in arrays))


def put_cost(output: Shaped, x: Shaped, *arrays: Any, **params: Any) -> float:
    """A sum for each element where index arrays may name one twice; slices name none twice."""
    return float(x.size) if arrays else 0.0


def put_pattern(row: Any, i: int, output: Any, x: Any, *arrays: Any, index: Template, shape: Shape) -> Links:
    if any(array.__class__ is Shaped for array in arrays):
        return None
    return [(numbers(shape), np.asarray(get(numbers(shape), *arrays, index=index)))]


def put_cases() -> list[Any]:
    """The cases of `getitem` turned round."""
    cases: list[Any] = []
    for shapes, params in CASES:
        first, *arrays = shapes if shapes and isinstance(shapes[0], tuple) else (shapes,)
        chosen = selected_shape("put", first, params["index"], tuple(Shaped(a, "int64") for a in arrays))
        cases.append(((chosen, *arrays), {**params, "shape": first}))
    return cases


put = indexing(
    "put",
    """Zeros of `shape` with each element of the operand added where the index points: the transpose of `getitem`.

    y = 0; y[index] += x, where what an index array names twice receives both.
    """,
    numpy=add_up,
    shape=put_shape,
    jvp=put_jvp,
    vjp=put_vjp,
    batch=put_batch,
    kind="linear",
    cost=put_cost,
    pattern=put_pattern,
    samples=Samples(low=(-3.0, -2, -2), high=(3.0, 2, 2), dtypes={1: "int64", 2: "int64"}, cases=put_cases(), complex=True),
)


# --- set_at --------------------------------------------------------------------------------------------------------


def overwrite(x: Any, value: Any, *arrays: Any, index: Template) -> Any:
    y = np.array(x)
    if repeats(arrays):
        arrays, value = in_order(arrays), np.ascontiguousarray(value).reshape(value.shape)
    try:
        y[filled(index, arrays)] = value if value.ndim else value[()]  # as above
    except IndexError as error:
        raise misfit("set_at", error, x, arrays) from None
    return y


def first_shape(x: Shaped, *rest: Any, index: Template) -> Shaped:
    return x


def zeros(x: Any) -> Tensor:
    """Zeros like an abstract value, which take no memory."""
    return handle(stored(np.broadcast_to(np.zeros((), x.dtype), x.shape)))


def set_jvp(tangents: Any, y: Any, x: Any, value: Any, *arrays: Any, index: Template) -> Any:
    t, u = (zeros(aval(like)) if t is None else t for t, like in zip(tangents[:2], (x, value), strict=True))
    return set_at(t, u, *arrays, index=index)


def set_vjp(needed: Any, ct: Any, y: Any, x: Any, value: Any, *arrays: Any, index: Template) -> Any:
    by_x = by_value = None
    if needed[0]:
        by_x = set_at(ct, zeros(Shaped(value.shape, ct.dtype)), *arrays, index=index)
    if needed[1]:
        by_value = getitem(ct, *arrays, index=index)
        if repeats(arrays):
            by_value = where(last_writes(*arrays, index=index, shape=x.shape), by_value, 0.0)
    return (by_x, by_value, *(None for array in arrays))


def set_batch(row: Any, size: int, operands: Any, batched: Any, *, index: Template) -> Any:
    x, value, *arrays = operands
    x = x if batched[0] else for_each(x, size)
    value, arrays, index = to_write(size, value, arrays, batched[1:], index, x.ndim - 1)
    return set_at(x, value, *arrays, index=index)


def set_cases() -> list[Any]:
    """The cases of `getitem` with what they select between the array and the index arrays."""
    return [((kw["shape"], chosen, *arrays), {"index": kw["index"]}) for (chosen, *arrays), kw in put_cases()]


set_at = indexing(
    "set_at",
    """`x1` with `x2`, which has the selected shape, in the place of what the index selects: y = x1; y[index] = x2.

    The operands after these are the index's arrays.  Where they name an element twice the last in C order stays.

    **Kinks** the derivative by what was overwritten is 0 to every order.
    """,
    numpy=overwrite,
    shape=first_shape,
    jvp=set_jvp,
    vjp=set_vjp,
    batch=set_batch,
    kind="selection",
    smooth=2,
    pattern=indexed,
    samples=Samples(
        low=(-3.0, -3.0, -2, -2), high=(3.0, 3.0, 2, 2), dtypes={2: "int64", 3: "int64"}, cases=set_cases(), complex=True
    ),
)


def is_last(*arrays: Any, index: Template, shape: Shape) -> Any:
    lengths, small = contracted(shape, index)
    key = filled(small, in_order(arrays) if repeats(arrays) else arrays)
    writer = np.zeros(lengths, np.intp)
    chosen = writer[key].shape
    order = np.arange(int(np.prod(chosen, dtype=np.intp))).reshape(chosen)
    writer[key] = order
    return np.asarray(writer[key] == order)


def is_last_shape(*arrays: Any, index: Template, shape: Shape) -> Shaped:
    lengths, small = contracted(shape, index)
    return Shaped(selected_shape("last_writes", lengths, small, arrays), bool)


def last_batch(row: Any, size: int, operands: Any, batched: Any, *, index: Template, shape: Shape) -> Any:
    found = layout(index, operands, batched, len(shape))
    arrays, index = with_grid(size, operands, batched, index, found.rank)
    return exchanged(last_writes(*arrays, index=index, shape=(size, *shape)), 1, found.rank, found.before)


last_writes = general(
    "last_writes",
    """Whether each write of `set_at` into an array of `shape` is the one that stays; of length 1 on sliced axes.""",
    numpy=is_last,
    shape=is_last_shape,
    batch=last_batch,
    samples=Samples(
        low=-2,
        high=2,
        dtypes={0: "int64", 1: "int64"},
        cases=[
            (((5,),), {"index": (ARRAY,), "shape": (3, 2)}),
            (((3, 2), (2,)), {"index": (ARRAY, slice(1, None), ARRAY), "shape": (3, 4, 2)}),
            (((0,),), {"index": (Ellipsis, ARRAY), "shape": (2, 3)}),
        ],
    ),
)

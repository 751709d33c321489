"""Elements taken of what was put together, and put together of what was taken: basic indices, of slices and ints."""

from __future__ import annotations

from typing import Any

from arrayad.primitives.arithmetic import add, subtract
from arrayad.primitives.casting import astype
from arrayad.primitives.indexing import getitem, put, set_at
from arrayad.primitives.joining import concat
from arrayad.primitives.shape import reshape
from arrayad.rewrites.units import PLUS_ZERO
from arrayad.rewriting import Match, rewrite, row_of, sample
from arrayad.tracing import aval_of

Shape = tuple[int, ...]
Spans = list[tuple[int, int, int, bool]]
"""Of each axis the start, the step and the number of elements taken, and whether the axis stays."""


def spans(index: tuple[Any, ...], shape: Shape) -> Spans | None:
    """What a basic index without new axes takes along each axis; None for any other."""
    if any(not (part.__class__ is slice or part is Ellipsis or part.__class__ is int) for part in index):
        return None
    if Ellipsis in index:
        place = index.index(Ellipsis)
        missing = len(shape) - (len(index) - 1)
        index = (*index[:place], *(slice(None),) * missing, *index[place + 1 :])
    index = (*index, *(slice(None),) * (len(shape) - len(index)))
    found: Spans = []
    for part, n in zip(index, shape, strict=True):
        if part.__class__ is int:
            found.append((part % n if n else 0, 1, 1, False))
        else:
            numbers = range(*part.indices(n))
            found.append((numbers.start, numbers.step, len(numbers), True))
    return found


def as_index(found: Spans) -> tuple[Any, ...]:
    """The index that takes these spans."""
    return tuple(span_index(*span) for span in found)


def span_index(start: int, step: int, count: int, stays: bool) -> Any:
    """The part of an index that takes one span."""
    if not stays:
        return start
    if count == 0:
        return slice(0, 0)
    stop = start + step * count
    return slice(start, stop if stop >= 0 else None, step if step != 1 else None)


def composed(outer: Spans, inner: Spans) -> Spans:
    """The spans of an index into what another has taken."""
    rest = iter(outer)
    found: Spans = []
    for start, step, count, stays in inner:
        if not stays:
            found.append((start, step, count, stays))
            continue
        first, by, number, remains = next(rest)
        found.append((start + step * first, step * by, number, remains))
    return found


def both_spans(m: Match, shape: Shape, middle: Shape, outer: Any, inner: Any) -> Spans | None:
    """The spans of an index `outer` into what `inner` takes of an array."""
    first, second = spans(inner, shape), spans(outer, middle)
    return None if first is None or second is None else composed(second, first)


def taken_at_once(m: Match) -> Any:
    found = both_spans(m, aval_of(m["x"]).shape, m.inner[0].output.shape, m.params["index"], m.inner[0].params["index"])
    return None if found is None else m(getitem, m["x"], index=as_index(found))


rewrite(
    "Elements taken of elements taken.",
    (getitem, (getitem, "x")),
    to=taken_at_once,
    samples=[
        sample(lambda x: getitem(getitem(x, index=(slice(1, None),)), index=(slice(None, None, -2),)), (7,)),
        sample(lambda x: getitem(getitem(x, index=(1, slice(0, 3))), index=(slice(1, None),)), (2, 4)),
    ],
)


def put_at_once(m: Match) -> Any:
    inner = m.inner[0].params
    found = both_spans(m, m.output.shape, inner["shape"], inner["index"], m.params["index"])
    return None if found is None else m(put, m["x"], index=as_index(found), shape=m.output.shape)


rewrite(
    "Elements put into what is put into zeros.",
    (put, (put, "x")),
    to=put_at_once,
    samples=[
        sample(lambda x: put(put(x, index=(slice(1, 3),), shape=(4,)), index=(slice(None, None, 2),), shape=(8,)), (2,)),
        sample(lambda x: put(put(x, index=(1,), shape=(3, 2)), index=(slice(0, 3),), shape=(4, 2)), (2,)),
    ],
)

rewrite(
    "What was put into zeros, or written, taken out again.",
    (getitem, (put, "x")),
    (getitem, (set_at, "base", "x")),
    when=lambda m: (
        m.params["index"] == m.inner[0].params["index"] and spans(m.params["index"], m.inner[0].output.shape) is not None
    ),
    to=lambda m: m(astype, m["x"], dtype=m.output.dtype),
    samples=[
        sample(lambda x: getitem(put(x, index=(slice(1, 3),), shape=(4,)), index=(slice(1, 3),)), (2,)),
        sample(lambda b, x: getitem(set_at(b, x, index=(1,)), index=(1,)), (3, 2), (2,)),
    ],
)


def same_place(m: Match) -> bool:
    """Whether two arrays of zeros have had something put into one place, each element of which is named once."""
    one, other = m.inner
    return (
        one.params["index"] == other.params["index"]
        and spans(one.params["index"], m.output.shape) is not None
        and aval_of(m["x"]) == aval_of(m["y"])
    )


rewrite(
    "Sums and differences of what is put into one place.",
    (add, (put, "x"), (put, "y")),
    (subtract, (put, "x"), (put, "y")),
    when=same_place,
    to=lambda m: m(put, m(m.row, m["x"], m["y"]), index=m.inner[0].params["index"], shape=m.output.shape),
    samples=[
        sample(lambda x, y: put(x, index=(slice(1, 4),), shape=(5,)) + put(y, index=(slice(1, 4),), shape=(5,)), (3,), (3,)),
        sample(lambda x, y: put(x, index=(1,), shape=(3, 2)) - put(y, index=(1,), shape=(3, 2)), (2,), (2,)),
    ],
)


def side_by_side(m: Match) -> Any:
    """The joined array of two that are put beside each other, plus 0.0, in its place: a sum with 0.0 has no -0.0."""
    one, other = m.inner
    shape = m.output.shape
    first, second = spans(one.params["index"], shape), spans(other.params["index"], shape)
    if first is None or second is None or not all(span[1] == 1 and span[3] for span in (*first, *second)):
        return None
    apart = [a for a, (p, q) in enumerate(zip(first, second, strict=True)) if p != q]
    if len(apart) != 1:
        return None
    (axis,) = apart
    (start, _, count, _), (begin, _, number, _) = first[axis], second[axis]
    if start + count != begin and begin + number != start:
        return None
    x, y = (m["x"], m["y"]) if start < begin else (m["y"], m["x"])
    both = m(add, m(concat, x, y, axis=axis), zero_like(m))
    first[axis] = (min(start, begin), 1, count + number, True)
    return both if aval_of(both).shape == shape else m(put, both, index=as_index(first), shape=shape)


def zero_like(m: Match) -> Any:
    """The zero that a sum begins with."""
    return 0.0 if m.output.dtype.kind == "f" else 0


rewrite(
    "A sum of two arrays of zeros into which something is put side by side is zeros with the two joined.",
    (add, (put, "x"), (put, "y")),
    when=lambda m: m.output.dtype.kind in "iuf" and aval_of(m["x"]).dtype == aval_of(m["y"]).dtype,
    to=side_by_side,
    samples=[
        sample(lambda x, y: put(x, index=(slice(2, 5),), shape=(5,)) + put(y, index=(slice(0, 2),), shape=(5,)), (3,), (2,)),
        sample(
            lambda x, y: put(x, index=(slice(0, 2),), shape=(3, 2)) + put(y, index=(slice(2, 3),), shape=(3, 2)), (2, 2), (1, 2)
        ),
        sample(lambda x, y: put(x, index=(slice(2, 4),), shape=(5,)) + put(y, index=(slice(1, 2),), shape=(5,)), (2,), (1,)),
    ],
)


def without_zeros(m: Match) -> Any:
    """The sum with 0.0 of joined arrays, one of which was such a sum."""
    (joined,) = m.inner
    parts = []
    for x in joined.inputs:
        entry = m.graph.producer(x)
        inner = None if entry is None or entry.primitive is not row_of(add) else added_to_zero(m, entry)
        parts.append(x if inner is None else inner)
    if all(x is y for x, y in zip(parts, joined.inputs, strict=True)):
        return None
    return m(add, m(concat, *parts, axis=joined.params["axis"]), zero_like(m))


def added_to_zero(m: Match, entry: Any) -> Any:
    """What is added to 0.0 in a sum, None if it is no such sum."""
    x, y = entry.inputs
    for one, other in ((x, y), (y, x)):
        number = m.graph.uniform(one)
        if number is not None and PLUS_ZERO.test(number) and aval_of(other) == entry.output:
            return other
    return None


rewrite(
    "A sum with 0.0 of joined arrays, one of which has had 0.0 added before.",
    (add, (concat, ...), PLUS_ZERO),
    (add, PLUS_ZERO, (concat, ...)),
    when=lambda m: m.output.dtype.kind == "f" and m.inner[0].output == m.output,
    to=without_zeros,
    samples=[sample(lambda x, y: concat(x + 0.0, y, axis=0) + 0.0, (3,), (3,))],
)


def within_one(m: Match) -> Any:
    """The part of one of the joined arrays that an index takes, if it takes of one alone."""
    (joined,) = m.inner
    axis = joined.params["axis"]
    found = spans(m.params["index"], joined.output.shape)
    if found is None or m.output.size == 0:
        return None
    start, step, count, stays = found[axis]
    low, high = sorted((start, start + step * (count - 1)))
    before = 0
    for x in joined.inputs:
        length = aval_of(x).shape[axis]
        if before <= low and high < before + length:
            found[axis] = (start - before, step, count, stays)
            taken = m(getitem, x, index=as_index(found))
            return m(astype, taken, dtype=m.output.dtype)
        before += length
    return None


rewrite(
    "A part of one of several joined arrays.",
    (getitem, (concat, ...)),
    to=within_one,
    samples=[
        sample(lambda x, y: getitem(concat(x, y, axis=0), index=(slice(3, 5),)), (3,), (2,)),
        sample(lambda x, y: getitem(concat(x, y, axis=1), index=(slice(None), 1)), (3, 2), (3, 1)),
    ],
)


def neighbours(m: Match) -> Any:
    """The joined arrays, with those that are taken of one array next to each other as one."""
    axis = m.params["axis"]
    found: list[Any] = []
    changed = False
    for x in m.inputs:
        entry = m.graph.producer(x)
        if (
            entry is not None
            and entry.primitive is row_of(concat)
            and entry.params["axis"] == axis
            and entry.output.dtype == m.output.dtype
        ):
            found += entry.inputs
            changed = True
            continue
        joined = merged(m, found[-1], x, axis) if found else None
        if joined is None:
            found.append(x)
        else:
            found[-1], changed = joined, True
    return m(concat, *found, axis=axis) if changed else None


def merged(m: Match, x: Any, y: Any, axis: int) -> Any:
    """Two parts of one array that lie side by side there, as one part."""
    one, other = m.graph.producer(x), m.graph.producer(y)
    if one is None or other is None or not one.primitive is other.primitive is row_of(getitem):
        return None
    if len(one.inputs) != 1 or len(other.inputs) != 1 or not m.graph.same(one.inputs[0], other.inputs[0]):
        return None
    shape = aval_of(one.inputs[0]).shape
    first, second = spans(one.params["index"], shape), spans(other.params["index"], shape)
    if first is None or second is None or not all(span[3] for span in first):
        return None
    if first[:axis] + first[axis + 1 :] != second[:axis] + second[axis + 1 :]:
        return None
    (start, step, count, _), (begin, by, number, stays) = first[axis], second[axis]
    if not stays or step != by or begin != start + step * count:
        return None
    first[axis] = (start, step, count + number, True)
    return m(getitem, one.inputs[0], index=as_index(first))


rewrite(
    "Neighbouring parts of one array, joined.",
    (concat, ...),
    to=neighbours,
    samples=[
        sample(lambda x: concat(getitem(x, index=(slice(0, 2),)), getitem(x, index=(slice(2, 5),)), axis=0), (5,)),
        sample(lambda x, y: concat(concat(x, y, axis=0), x, axis=0), (2,), (3,)),
    ],
)


def drops_ones(m: Match) -> bool:
    """Whether an index takes everything but axes of length 1."""
    found = spans(m.params["index"], aval_of(m["x"]).shape)
    return found is not None and all(
        (start, step, count) == (0, 1, n) for (start, step, count, _), n in zip(found, aval_of(m["x"]).shape, strict=True)
    )


rewrite(
    "An index that drops axes of length 1 is a reshape.",
    (getitem, "x"),
    when=drops_ones,
    to=lambda m: m(reshape, m["x"], shape=m.output.shape),
    samples=[sample(lambda x: getitem(x, index=(0,)), (1, 3))],
)

"""`Primitive`: the row that declares an operation, and the kinds that fill in what follows from the rest.

Everything about a primitive stands in its row: documentation, shape rule, kernel, derivative, C text, LaTeX, cost and the
inputs that it is tested on.  `linear`, `bilinear` and `general` rows are declared here; the elementwise kind, whose rows
build a fast path of their own, in `arrayad.elementwise`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from arrayad.arbitrary import among, by_kernel
from arrayad.binding import bind
from arrayad.dependence import Rule, everything
from arrayad.modes import MODES
from arrayad.samples import Samples
from arrayad.series import convolution
from arrayad.shaped import Shaped, aval
from arrayad.tape import Entry, merge, next_serial
from arrayad.tensor import Tensor


class Undefined:
    """The tangent of an output that has none there: `DerivativeError` is raised where somebody uses it, if anybody does."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


Operation = Callable[..., Tensor]
"""The function that applies a row."""

Batching = Callable[..., Any]
"""A batching rule as a declaration takes it: `rule(row, size, operands, batched, **params)`."""

TABLE: dict[str, Primitive] = {}
"""Every primitive by name, in the order of declaration."""


class Primitive:
    """A row of the table.  Readers ask its columns; they never ask its name.

    `numpy(*values, **params)` is the kernel, `shape(*avals, **params)` the shape rule.  `jvp(tangents, y, *xs, **params)` gives
    the output's tangent of the operands' (None where constant); `vjp(needed, ct, y, *xs, **params)` the operands' cotangents
    of the output's (None where not needed).  Rules are written in operations and see a `Shaped` for what was not kept.
    `taylor(order, y, *xs, **params)`, where the JVP would not do, gives the recurrence of the output's series (see `Series`).
    `batch(size, operands, batched, **params)` gives the outputs of a batch of `size` examples, along axis 0: so do the operands
    that are `batched`, at least one; all examples share the others.  `inline(*avals, **params)`, of a row of several outputs
    that stands for a program of the user's, gives its tape, None where there is none.  `unfold(run, *operands, **params)`, of a
    row that holds programs, gives its outputs by operations, `run(tape, operands)` being those of a program; None where their
    number hangs on values.  The kernel of a row that `calls_back` runs functions of the user's, whose errors are passed on as
    they are.
    """

    kind = "general"
    takes_weak = False
    is_view = False
    calls_back = False
    differentiable = True

    def __init__(self, name: str, doc: str, numpy: Callable[..., Any], shape: Callable[..., Any], samples: Samples) -> None:
        if name in TABLE:
            raise ValueError(f"[{name}] there is a primitive of this name already")
        self.name = name
        self.doc = doc
        self.numpy = numpy
        self.shape = shape
        self.samples = samples
        self.apply: Callable[..., Any]
        self.jvp: Callable[..., Any] | None = None
        self.vjp: Callable[..., Any] | None = None
        self.needs: tuple[frozenset[int], ...] = ()
        self.latex: str | None = None
        self.text: str | None = None
        self.cost: Callable[..., float] = elements_of_output
        self.taylor: Callable[..., Any] | None = None
        self.batch: Callable[..., Any] | None = None
        self.inline: Callable[..., Any] | None = None
        self.unfold: Callable[..., Any] | None = None
        self.pattern: Callable[..., Any] = functools.partial(everything, self)
        TABLE[name] = self

    def __repr__(self) -> str:
        return self.name

    def compute(self, *values: Any, **params: Any) -> Any:
        """The value of the operation, by the kernel that suits the operands."""
        try:
            return self.numpy(*values, **params)
        except (TypeError, ValueError):
            if not among(values):
                raise
        return by_kernel(self.numpy, values, params)

    def kernel(self, *avals: Any) -> Callable[..., Any]:
        """What computes the operation on operands of these shapes, for programs that run many times."""
        return self.compute

    def wanted(self, parents: tuple[Any, ...]) -> frozenset[int]:
        """Which of operands 0 … n-1 and output n the derivative needs, of an entry with these parents."""
        needs = self.needs if len(self.needs) == len(parents) else self.needs * len(parents)
        found = [need for parent, need in zip(parents, needs, strict=True) if parent is not None]
        wanted = frozenset().union(*found)
        return frozenset(i if i >= 0 else len(parents) for i in wanted)

    def release(self, entry: Entry) -> None:
        """Forget what was kept for the derivative of an entry."""
        entry.residuals = None

    def operand_names(self, count: int) -> tuple[str, ...]:
        """`x`, or `x1`, `x2`, …"""
        return operand_names(count)


def every_operand(parents: tuple[Any, ...]) -> frozenset[int]:
    """The residuals of a row of any number of operands whose rules need all of them: `row.wanted`."""
    return frozenset(range(len(parents)))


OUTPUT = -1
"""The position of the output among the residuals that a row declares."""


def operand_names(count: int) -> tuple[str, ...]:
    """What the operands of a row are called: `x`, or `x1`, `x2`, …"""
    return ("x",) if count == 1 else tuple(f"x{i + 1}" for i in range(count))


def elements_of_output(output: Shaped, *operands: Any, **params: Any) -> float:
    """The usual cost: one operation for each element of the output."""
    return output.size


def nothing(output: Shaped, *operands: Any, **params: Any) -> float:
    """The cost of moving data: no floating-point operation."""
    return 0


def folding(output: Shaped, *operands: Any, **params: Any) -> float:
    """The cost of a reduction: one operation for each element that goes in but the first of each that comes out."""
    return max(0, math.prod(operands[0].shape) - output.size)


def operation(primitive: Primitive) -> Operation:
    """The function that applies a row, with the row's name and documentation.  It carries the row as `.primitive`."""

    def apply(*args: Any, **params: Any) -> Any:
        return bind(primitive, args, params)

    return named(apply, primitive)


NOTHING_KEPT = (None, None)


def quick(row: Primitive) -> Operation:
    """The function of a row that keeps nothing of its first operand: one Python frame for a lone Tensor where no mode is on."""
    numpy = row.numpy

    def apply(x: Any, /, *rest: Any, **params: Any) -> Any:
        if rest or x.__class__ is not Tensor or MODES:
            return bind(row, (x, *rest), params)
        h = x.history
        if h is not None and h.__class__ is not Entry:
            return bind(row, (x,), params)
        v = x.value
        try:
            y = numpy(v, **params)
        except (ValueError, TypeError):
            return bind(row, (x,), params)
        out = Tensor()
        out.value = y
        if h is None or y.dtype.kind not in "fcO":
            out.history = None
            return out
        out.history = e = Entry()
        e.serial = next_serial()
        e.primitive = row
        e.parents = (h,)
        e.params = params
        e.residuals = NOTHING_KEPT
        e.avals = (aval(v),)
        e.scopes = h.scopes
        return out

    return named(apply, row)


def quick_pair(row: Primitive) -> Operation:
    """The function of a bilinear row: one Python frame for two Tensors where no mode is on."""
    numpy = row.numpy

    def apply(x1: Any, x2: Any, /, **params: Any) -> Any:
        if x1.__class__ is not Tensor or x2.__class__ is not Tensor or MODES:
            return bind(row, (x1, x2), params)
        h1, h2 = x1.history, x2.history
        if (h1 is not None and h1.__class__ is not Entry) or (h2 is not None and h2.__class__ is not Entry):
            return bind(row, (x1, x2), params)
        v1, v2 = x1.value, x2.value
        try:
            y = numpy(v1, v2, **params)
        except (ValueError, TypeError):
            return bind(row, (x1, x2), params)
        out = Tensor()
        out.value = y
        if h1 is None and h2 is None:
            out.history = None
            return out
        out.history = e = Entry()
        e.serial = next_serial()
        e.primitive = row
        e.parents = (h1, h2)
        e.params = params
        e.residuals = (None if h2 is None else v1, None if h1 is None else v2, None)
        e.avals = (aval(v1), aval(v2))
        e.scopes = merge(h.scopes for h in (h1, h2) if h is not None)
        return out

    return named(apply, row)


def named(apply: Callable[..., Any], primitive: Primitive) -> Operation:
    apply.__name__ = apply.__qualname__ = primitive.name
    apply.__doc__ = primitive.doc
    apply.primitive = primitive  # type: ignore[attr-defined]
    primitive.apply = apply
    return apply


def linear(
    name: str,
    doc: str,
    *,
    numpy: Callable[..., Any],
    shape: Callable[..., Any],
    transpose: Callable[..., Any],
    samples: Samples,
    cost: Callable[..., float] = nothing,
    selects: bool = False,
    view: bool = False,
    pattern: Rule = everything,
    batch: Batching | None = None,
) -> Operation:
    """Declare a row that is linear in its one operand.

    `transpose(ct, x, **params)`, with `x` the operand's abstract value, gives the operand's cotangent.  A row that
    `selects` leaves elements of the operand out, whose cotangents are structural zeros; the output of a `view` is in the
    operand's memory, so that it costs nothing.
    """
    row = Primitive(name, doc, numpy, shape, replace(samples, complex=samples.complex is not False))
    row.is_view = view
    row.kind = "selection" if selects else "linear"
    row.pattern = functools.partial(pattern, row)
    row.batch = batching(row, batch)
    row.needs = (frozenset(),)
    row.cost = cost
    apply = quick(row)

    def jvp(tangents: Any, y: Any, x: Any, **params: Any) -> Any:
        return apply(tangents[0], **params)

    def vjp(needed: Any, ct: Any, y: Any, x: Any, **params: Any) -> Any:
        return (transpose(ct, aval(x), **params),)

    row.jvp, row.vjp = jvp, vjp
    return apply


def bilinear(
    name: str,
    doc: str,
    *,
    numpy: Callable[..., Any],
    shape: Callable[..., Any],
    transposes: tuple[Callable[..., Any], Callable[..., Any]],
    samples: Samples,
    cost: Callable[..., float],
    pattern: Rule = everything,
    batch: Batching | None = None,
) -> Operation:
    """Declare a row that is linear in each of its two operands.

    `transposes[0](ct, x1, x2, **params)` gives the cotangent of `x1`, of which it knows shape and dtype only, and
    `transposes[1]` that of `x2` likewise.
    """
    row = Primitive(name, doc, numpy, shape, replace(samples, complex=samples.complex is not False))
    row.kind = "bilinear"
    row.needs = (frozenset((1,)), frozenset((0,)))
    row.pattern = functools.partial(pattern, row)
    row.batch = batching(row, batch)
    row.cost = cost
    apply = quick_pair(row)

    def jvp(tangents: Any, y: Any, x1: Any, x2: Any, **params: Any) -> Any:
        t1, t2 = tangents
        first = None if t1 is None else apply(t1, x2, **params)
        second = None if t2 is None else apply(x1, t2, **params)
        return second if first is None else first if second is None else first + second

    def taylor(order: int, y: Any, x1: Any, x2: Any, **params: Any) -> Any:
        return lambda k: convolution(functools.partial(apply, **params), x1, x2, k)

    def vjp(needed: Any, ct: Any, y: Any, x1: Any, x2: Any, **params: Any) -> Any:
        return tuple(
            transpose(ct, x1, x2, **params) if need else None for need, transpose in zip(needed, transposes, strict=True)
        )

    row.jvp, row.vjp, row.taylor = jvp, vjp, taylor
    return apply


def general(
    name: str,
    doc: str,
    *,
    numpy: Callable[..., Any],
    shape: Callable[..., Any],
    samples: Samples,
    jvp: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    residuals: tuple[int, ...] = (),
    cost: Callable[..., float] = elements_of_output,
    kind: str = "general",
    pattern: Rule = everything,
    batch: Batching | None = None,
) -> Operation:
    """Declare a row by its two rules; without them it has no derivative (its result is an integer, or piecewise constant).

    `residuals` lists the positions that the rules need: 0, 1, … for operands, `OUTPUT` for the output.  A row of `kind`
    "selection" leaves elements of its operands out, whose cotangents are structural zeros; one of kind "reduction" reduces its
    operand over `axis` by a derivative that may be infinite, which the structural zeros of its cotangent take no part in.
    """
    row = Primitive(name, doc, numpy, shape, samples)
    row.kind = kind
    row.pattern = functools.partial(pattern, row)
    row.batch = batching(row, batch)
    row.jvp, row.vjp = jvp, vjp
    row.differentiable = vjp is not None
    row.needs = (frozenset(residuals),)
    row.cost = cost
    return operation(row)


def batching(row: Primitive, rule: Batching | None) -> Callable[..., Any] | None:
    """The column `batch` of a rule that takes the row first: rows that differ in nothing else share it."""
    return None if rule is None else functools.partial(rule, row)


def alike(row: Primitive, size: int, operands: Any, batched: Any, /, **params: Any) -> Any:
    """The batching rule of a row of one operand to which the axes are all one."""
    return row.apply(*operands, **params)


def like_first(x: Shaped, *rest: Any, **params: Any) -> Shaped:
    """The shape rule of a row whose output has the shape and dtype of its first operand."""
    return x


def shape_by_trial(numpy: Callable[..., Any]) -> Callable[..., Shaped]:
    """A shape rule that asks NumPy with operands that take no memory: for rows that move elements and compute nothing."""

    @functools.wraps(numpy)
    def shape(*operands: Any, **params: Any) -> Shaped:
        trial = [np.broadcast_to(np.zeros((), x.dtype), x.shape) if isinstance(x, Shaped) else x for x in operands]
        return aval(np.asarray(numpy(*trial, **params)))

    return shape

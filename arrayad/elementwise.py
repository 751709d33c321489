"""The elementwise kind: rows of one, two or three operands that broadcast, with a fast path of one Python frame.

A row gives its NumPy kernel, its C expression and one partial derivative for each operand.  A partial is a function
whose parameter names say which residuals it needs: `x` (or `x1`, `x2`, …) are operands, `y` is the output.  From the
partials follow both rules, the residuals, and the kernels of the reverse pass in NumPy and in C.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.arbitrary import EXTENDED, UFUNCS, by_text, filled
from arrayad.binding import bind
from arrayad.dependence import Links, same_element
from arrayad.modes import MODES
from arrayad.namespace import attach_operator, expose
from arrayad.primitive import OUTPUT, Operation, Primitive, named, operand_names, operation
from arrayad.samples import Samples
from arrayad.shaped import WEAK, Shaped, aval, is_weak
from arrayad.tape import Entry, Unfollowed, merge, next_serial
from arrayad.tensor import Tensor
from arrayad.weights import BASIC, weight_of

Partial = Callable[..., Any] | None

LARGE = kernels.LARGE
NO_PARAMS: dict[str, Any] = {}


def one() -> float:
    """The partial of a sum: the cotangent passes unchanged."""
    return 1.0


def minus_one() -> float:
    """The partial of a subtrahend."""
    return -1.0


class Elementwise(Primitive):
    """A row that computes each element of its output from the same element of its broadcast operands.

    `partials[i]` is the derivative by operand i, None where there is none.  `positions[i]` are the residuals that the
    derivative by operand i takes, in the order of its cotangent kernel's arguments.
    """

    kind = "elementwise"
    takes_weak = True

    def __init__(
        self,
        name: str,
        doc: str,
        numpy: Callable[..., Any],
        samples: Samples,
        partials: tuple[Partial, ...],
    ) -> None:
        super().__init__(name, doc, numpy, self.broadcast, samples)
        self.arity = len(partials)
        self.partials = partials
        self.differentiable = any(partial is not None for partial in partials)
        self.c: str | None = None
        self.mpmath: str | None = None
        self.python: str | None = None
        self.sympy: str | None = None
        self.own_weight: float | None = None
        self.cost = self.cost_by_weight
        self.positions = tuple(map(self.residual_positions, range(self.arity)))
        self.needs = tuple(map(frozenset, self.positions))
        self.pulls: list[Any] | None = None
        self.jvp, self.vjp = self.push_rule, self.pull_rule
        self.pattern = self.pattern_by
        self.batch = self.batch_rule
        self.large = kernels.elementwise(name, numpy)
        self.dtypes: dict[tuple[Any, ...], Any] = {}

    def compute(self, *values: Any, **params: Any) -> Any:
        size = max((x.size for x in values if not is_weak(x)), default=0)
        try:
            return self.large(*values) if size >= self.large.threshold else self.numpy(*values)
        except TypeError:
            found = by_text(self.name, self.mpmath, operand_names(self.arity), self.numpy, values)
            if found is None:
                raise
            return found

    def kernel(self, *avals: Any) -> Callable[..., Any]:
        arrays = [x for x in avals if not is_weak(x)]
        if any(x.dtype.char in EXTENDED for x in arrays):
            return self.compute
        return self.large if max((x.size for x in arrays), default=0) >= self.large.threshold else self.numpy

    def residual_positions(self, i: int) -> tuple[int, ...]:
        """The positions of the residuals that the derivative by operand i takes, operands first."""
        partial = self.partials[i]
        return () if partial is None else self.positions_of(parameters(partial))

    def positions_of(self, parameters: Iterable[str]) -> tuple[int, ...]:
        """The positions, among operands and output, of the residuals with these names."""
        names = [*operand_names(self.arity), "y"]
        positions = sorted({names.index(name) for name in parameters})
        return tuple(i if i < self.arity else OUTPUT for i in positions)

    def broadcast(self, *operands: Any) -> Shaped:
        """The shape rule: NumPy's broadcasting, and NumPy's promotion as its kernel shows it on one element."""
        shape = np.broadcast_shapes(*(() if is_weak(x) else x.shape for x in operands))
        key = tuple(x.__class__ if is_weak(x) else x.dtype for x in operands)
        if key not in self.dtypes:
            with np.errstate(all="ignore"):
                self.dtypes[key] = self.compute(
                    *(x.__class__(1) if is_weak(x) else filled((1,), 1, x.dtype) for x in operands)
                ).dtype
        return Shaped(shape, self.dtypes[key])

    def residual_dtype(self, position: int, dtype: str) -> str:
        """The dtype of a residual where the floating-point operands are of `dtype`."""
        return self.samples.dtypes.get(position, dtype)

    def call_by_name(self, function: Callable[..., Any], residuals: tuple[Any, ...]) -> Any:
        """Call a partial with the residuals that its parameters name; `residuals` has the output last."""
        values = dict(zip((*operand_names(self.arity), "y"), residuals, strict=True))
        return function(*(values[name] for name in parameters(function)))

    def factor(self, i: int, ct: Any, residuals: tuple[Any, ...]) -> Any:
        """The cotangent, or tangent, times the partial by operand i."""
        partial = self.partials[i]
        assert partial is not None
        if partial is one:
            return ct
        if partial is minus_one:
            return -ct
        return ct * self.call_by_name(partial, residuals)

    def selected(self, i: int, residuals: tuple[Any, ...]) -> Any:
        """The mask of what the row selects of operand i; None if it takes every element."""
        return None

    @functools.cached_property
    def weight(self) -> float:
        """What an element costs: what the formula weighs, unless the row states it; at least as much as a sum."""
        if self.own_weight is not None:
            return self.own_weight
        return max(BASIC, weight_of(self.mpmath)) if self.mpmath is not None else BASIC

    def cost_by_weight(self, output: Any, *operands: Any, **params: Any) -> float:
        """The column `cost`."""
        return self.weight * float(output.size)

    def pattern_by(self, i: int, output: Any, *operands: Any) -> Links:
        """The column `pattern`: the element of the same place, where there is a partial."""
        return [] if self.partials[i] is None else same_element(self, i, output, *operands)

    def batch_rule(self, size: int, operands: Any, batched: Any) -> Any:
        """The batching rule: examples of fewer axes than others get axes of length 1, behind the batch, so that they align."""
        ranks = [-1 if is_weak(x) else x.ndim - flag for x, flag in zip(operands, batched, strict=True)]
        rank = max(ranks)
        return self.apply(
            *(
                x.reshape((size, *(1,) * (rank - own), *x.shape[1:])) if flag and own < rank else x
                for x, flag, own in zip(operands, batched, ranks, strict=True)
            )
        )

    def push_rule(self, tangents: Any, y: Any, *xs: Any) -> Any:
        """The JVP: the sum of tangents times partials."""
        terms = [self.factor(i, t, (*xs, y)) for i, t in enumerate(tangents) if t is not None and self.partials[i] is not None]
        total = terms[0] if terms else None
        for term in terms[1:]:
            total = total + term
        return total

    def pull_rule(self, needed: Any, ct: Any, y: Any, *xs: Any) -> Any:
        """The VJP: the cotangent times each partial, at the output's shape (the sweep undoes broadcasting)."""
        return tuple(
            self.factor(i, ct, (*xs, y)) if need and self.partials[i] is not None else None for i, need in enumerate(needed)
        )


def parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's positional parameters."""
    code = function.__code__
    return tuple(code.co_varnames[: code.co_argcount])


def elementwise(
    name: str,
    doc: str,
    *,
    numpy: Callable[..., Any],
    partials: tuple[Partial, ...],
    samples: Samples | None = None,
    c: str | None = None,
    latex: str | None = None,
    text: str | None = None,
    mpmath: str | None = None,
    python: str | None = None,
    sympy: str | None = None,
    weight: float | None = None,
    operator: str | None = None,
    public: bool = True,
    taylor: Callable[..., Any] | None = None,
    kind: type[Elementwise] = Elementwise,
    **columns: Any,
) -> Operation:
    """Declare an elementwise row and return the function that applies it.

    `c` is the C expression of an element in the operands' names, with `M(f)` for the libm function of the element's
    type and `C(v)` for a literal of it; `latex` and `text` the formula with `{x}` for operands; `mpmath` the exact
    function, a Python expression of `mp` and the operands, by which numbers of mpmath's are computed, and of which the forms in
    NumPy and SymPy follow; `python` an expression of `np` with `{x}` for operands, `sympy` one of `sp`, where these would not do;
    `taylor` the recurrence of its series, where the partials would not do; `weight` what an element costs, where that is not what
    the formula `mpmath` weighs (`arrayad.weights`); `operator` the Python operator that it is, as in `"add"`; a row that is not
    `public` serves rules alone; `columns` what a `kind` of its own takes beside these.
    """
    row = kind(name, doc, numpy, samples or Samples(), partials, **columns)
    row.c, row.latex, row.text, row.mpmath, row.taylor, row.own_weight = c, latex, text, mpmath, taylor, weight
    row.python, row.sympy = python, sympy
    ufunc = getattr(numpy, "__wrapped__", numpy)  # of a kernel that refuses complex numbers
    if isinstance(ufunc, np.ufunc):
        UFUNCS.setdefault(ufunc, (name, mpmath, operand_names(row.arity)))
    apply = (unary, binary, operation)[row.arity - 1](row) if row.differentiable else undifferentiated(row)
    if public:
        expose(apply, method=row.arity == 1, numpy=numpy.__name__ if isinstance(numpy, np.ufunc) else name)
    if operator is not None:
        attach_operator(operator, apply)
    return apply


def undifferentiated(row: Elementwise) -> Operation:
    """The function of a row without derivatives: recorded in traces alone."""
    numpy, large, threshold, arity = row.numpy, row.large, row.large.threshold, row.arity

    def apply(*args: Any) -> Any:
        if len(args) != arity:
            raise TypeError(f"[{row.name}] {arity} operands were needed, {len(args)} came")
        values = []
        for x in args:
            if x.__class__ is Tensor and (x.history is None or x.history.__class__ is Entry):
                values.append(x.value)
                if x.history is not None:
                    Unfollowed.count += 1
            elif x.__class__ in WEAK:
                values.append(x)
            else:
                return bind(row, args, NO_PARAMS)
        out = Tensor()
        try:
            out.value = large(*values) if getattr(values[0], "size", 0) >= threshold else numpy(*values)
        except (ValueError, TypeError):
            return bind(row, args, NO_PARAMS)
        out.history = None
        return out

    return named(apply, row)


def unary(row: Elementwise) -> Operation:
    """The function of a row of one operand: one Python frame where the operand is a Tensor and no mode is on.

    What NumPy refuses goes to `bind`, which says why, or computes with what is no array of NumPy's (`arrayad.arbitrary`).
    """
    numpy, large, threshold = row.numpy, row.large, row.large.threshold
    keep_x, keep_y = 0 in row.needs[0], OUTPUT in row.needs[0]

    def apply(x: Any, /) -> Any:
        if x.__class__ is not Tensor or MODES:
            return bind(row, (x,), NO_PARAMS)
        h = x.history
        if h is not None and h.__class__ is not Entry:
            return bind(row, (x,), NO_PARAMS)
        v = x.value
        try:
            y = numpy(v) if v.size < threshold else large(v)
        except (ValueError, TypeError):
            return bind(row, (x,), NO_PARAMS)
        out = Tensor()
        out.value = y
        if h is None:
            out.history = None
            return out
        out.history = e = Entry()
        e.serial = next_serial()
        e.primitive = row
        e.parents = (h,)
        e.params = NO_PARAMS
        e.residuals = (v if keep_x else None, y if keep_y else None)
        e.avals = None
        e.scopes = h.scopes
        return out

    return named(apply, row)


def binary(row: Elementwise) -> Operation:
    """The function of a row of two operands, Tensors or Python numbers: one Python frame where no mode is on."""
    numpy, large, threshold = row.numpy, row.large, row.large.threshold
    (x1_for_1, x2_for_1, y_for_1), (x1_for_2, x2_for_2, y_for_2) = (
        tuple(position in need for position in (0, 1, OUTPUT)) for need in row.needs
    )
    keeps = any(row.needs)
    nothing = (None, None, None)

    def apply(x1: Any, x2: Any, /) -> Any:
        if MODES:
            return bind(row, (x1, x2), NO_PARAMS)
        h1 = h2 = None
        c1, c2 = x1.__class__, x2.__class__
        if c1 is Tensor:
            v1, h1 = x1.value, x1.history
            if c2 is Tensor:
                v2, h2 = x2.value, x2.history
                if h2 is not None and h2.__class__ is not Entry:
                    return bind(row, (x1, x2), NO_PARAMS)
            elif c2 is float or c2 is int:
                v2 = x2
            else:
                return bind(row, (x1, x2), NO_PARAMS)
            if h1 is not None and h1.__class__ is not Entry:
                return bind(row, (x1, x2), NO_PARAMS)
            small = v1.size < threshold
        elif c2 is Tensor and (c1 is float or c1 is int):
            v1, v2, h2 = x1, x2.value, x2.history
            if h2 is not None and h2.__class__ is not Entry:
                return bind(row, (x1, x2), NO_PARAMS)
            small = v2.size < threshold
        else:
            return bind(row, (x1, x2), NO_PARAMS)
        try:
            y = numpy(v1, v2) if small else large(v1, v2)
        except (ValueError, TypeError):
            return bind(row, (x1, x2), NO_PARAMS)
        out = Tensor()
        out.value = y
        if h1 is None and h2 is None:
            out.history = None
            return out
        out.history = e = Entry()
        e.serial = next_serial()
        e.primitive = row
        e.parents = (h1, h2)
        e.params = NO_PARAMS
        if keeps and c1 is not c2:  # a Python number is kept in the dtype that it took
            if c1 is Tensor:
                v2 = y.dtype.type(v2)
            else:
                v1 = y.dtype.type(v1)
        if not keeps:
            e.residuals = nothing
        elif h2 is None:
            e.residuals = (v1 if x1_for_1 else None, v2 if x2_for_1 else None, y if y_for_1 else None)
        elif h1 is None:
            e.residuals = (v1 if x1_for_2 else None, v2 if x2_for_2 else None, y if y_for_2 else None)
        else:
            e.residuals = (
                v1 if x1_for_1 or x1_for_2 else None,
                v2 if x2_for_1 or x2_for_2 else None,
                y if y_for_1 or y_for_2 else None,
            )
        if c1 is c2 and (v1.shape != v2.shape or v1.dtype is not v2.dtype):
            e.avals = (aval(v1), aval(v2))
        else:
            e.avals = None
        if h2 is None or (h1 is not None and h1.scopes is h2.scopes):
            e.scopes = h1.scopes  # type: ignore[union-attr]  # one of the two is recorded
        else:
            e.scopes = h2.scopes if h1 is None else merge((h1.scopes, h2.scopes))
        return out

    return named(apply, row)

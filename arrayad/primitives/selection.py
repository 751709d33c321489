"""Rows that take each element from one operand or another: `where`, maxima and minima, relu.

The cotangent of an element that was not selected is a structural zero: zero to every order, whatever infinity it meets
on the way back (docs/kinks.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise, Partial, elementwise, one, parameters
from arrayad.kernels.real import ordered
from arrayad.primitives.comparison import equal, greater, greater_equal, less, less_equal, logical_not
from arrayad.samples import Samples


class Selection(Elementwise):
    """An elementwise row that selects: `selects[i]` tells from the residuals which elements of operand i were taken."""

    kind = "selection"

    def __init__(
        self,
        name: str,
        doc: str,
        numpy: Callable[..., Any],
        samples: Samples,
        partials: tuple[Partial, ...],
        selects: tuple[Partial, ...],
    ) -> None:
        self.selects = selects
        super().__init__(name, doc, numpy, samples, partials)

    def residual_positions(self, i: int) -> tuple[int, ...]:
        functions = [function for function in (self.partials[i], self.selects[i]) if function is not None]
        return self.positions_of(name for function in functions for name in parameters(function))

    def factor(self, i: int, ct: Any, residuals: tuple[Any, ...]) -> Any:
        return where(self.selected(i, residuals), super().factor(i, ct, residuals), 0.0)

    def selected(self, i: int, residuals: tuple[Any, ...]) -> Any:
        function = self.selects[i]
        return None if function is None else self.call_by_name(function, residuals)


def choose(condition: Any, x1: Any, x2: Any) -> Any:
    """NumPy's `where`, by the promotion of its ufuncs, for which Python numbers are weak."""
    return np.where(condition, x1, x2)


class Choice(Selection):
    """The row `where`, whose last operand is taken where the condition does not hold."""

    def factor(self, i: int, ct: Any, residuals: tuple[Any, ...]) -> Any:
        return where(residuals[0], 0.0, ct) if i == 2 else super().factor(i, ct, residuals)

    def push_rule(self, tangents: Any, y: Any, *xs: Any) -> Any:
        """The choice of the tangents."""
        return where(xs[0], *(0.0 if t is None else t for t in tangents[1:]))


where = elementwise(
    "where",
    """`x2` where the condition `x1` holds, else `x3`: y[i] = x2[i] if x1[i] else x3[i].

    **Kinks** the derivative by what was not taken is 0 to every order, also where it is nan or infinite.
    """,
    numpy=choose,
    c="(x1 ? x2 : x3)",
    partials=(None, one, one),
    selects=(None, lambda x1: x1, lambda x1: logical_not(x1)),
    kind=Choice,
    latex=r"\begin{{cases}} {x2} & {x1} \\ {x3} \end{{cases}}",
    mpmath="x2 if x1 else x3",
    samples=Samples(dtypes={0: "bool"}, complex=True),
)


class Extremum(Selection):
    """A selection of the larger or the smaller of two operands, which share the derivative where they tie."""

    def factor(self, i: int, ct: Any, residuals: tuple[Any, ...]) -> Any:
        x1, x2, _ = residuals
        return super().factor(i, where(equal(x1, x2), 0.5 * ct, ct), residuals)


maximum = elementwise(
    "maximum",
    """The larger of two elements: y[i] = max(x1[i], x2[i]); nan if either is.

    **Kinks** elements that tie share the derivative, one half each.
    """,
    numpy=ordered(np.maximum),
    c="NAME(maximum)(x1, x2)",
    partials=(one, one),
    selects=(lambda x1, x2: greater_equal(x1, x2), lambda x1, x2: less_equal(x1, x2)),
    kind=Extremum,
    latex=r"\max({x1}, {x2})",
    mpmath="max(x1, x2)",
    public=False,
)

minimum = elementwise(
    "minimum",
    """The smaller of two elements: y[i] = min(x1[i], x2[i]); nan if either is.

    **Kinks** elements that tie share the derivative, one half each.
    """,
    numpy=ordered(np.minimum),
    c="NAME(minimum)(x1, x2)",
    partials=(one, one),
    selects=(lambda x1, x2: less_equal(x1, x2), lambda x1, x2: greater_equal(x1, x2)),
    kind=Extremum,
    latex=r"\min({x1}, {x2})",
    mpmath="min(x1, x2)",
    public=False,
)

at_least = elementwise(
    "at_least",
    """Each element, or the bound where the element lies below: y[i] = max(x1[i], x2[i]), with `x2` a constant.

    **Kinks** the bound takes the tie: the derivative at x1 = x2 is 0.
    """,
    numpy=ordered(np.maximum),
    c="NAME(maximum)(x1, x2)",
    partials=(one, None),
    selects=(lambda x1, x2: greater(x1, x2), None),
    kind=Selection,
    latex=r"\max({x1}, {x2})",
    mpmath="max(x1, x2)",
    public=False,
)

at_most = elementwise(
    "at_most",
    """Each element, or the bound where the element lies above: y[i] = min(x1[i], x2[i]), with `x2` a constant.

    **Kinks** the bound takes the tie: the derivative at x1 = x2 is 0.
    """,
    numpy=ordered(np.minimum),
    c="NAME(minimum)(x1, x2)",
    partials=(one, None),
    selects=(lambda x1, x2: less(x1, x2), None),
    kind=Selection,
    latex=r"\min({x1}, {x2})",
    mpmath="min(x1, x2)",
    public=False,
)

relu = elementwise(
    "relu",
    """Rectified linear unit: y[i] = max(x[i], 0).

    **Kinks** the derivative at 0 is 0.
    """,
    numpy=ordered(lambda x: np.maximum(x, 0)),
    c="NAME(maximum)(x, C(0.0))",
    partials=(one,),
    selects=(lambda x: greater(x, 0.0),),
    kind=Selection,
    latex=r"\operatorname{{relu}}({x})",
    mpmath="max(x, 0)",
    samples=Samples(avoid=(0.0,)),
    public=False,
)

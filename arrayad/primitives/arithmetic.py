"""Sums, products, quotients, remainders, squares and roots of elements."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from arrayad.elementwise import elementwise, minus_one, one
from arrayad.kernels.real import of_real, ordered
from arrayad.samples import Samples
from arrayad.series import Rule, Series, convolution, total

ENTIRE = Samples(complex=True)
QUOTIENT = Samples(low=(-3.0, 0.5), high=(3.0, 4.0), complex=True)

add = elementwise(
    "add",
    """Sum of the elements: y[i] = x1[i] + x2[i].""",
    numpy=np.add,
    c="x1 + x2",
    partials=(one, one),
    latex="{x1} + {x2}",
    text="{x1} + {x2}",
    mpmath="x1 + x2",
    samples=ENTIRE,
    operator="add",
)

subtract = elementwise(
    "subtract",
    """Difference of the elements: y[i] = x1[i] - x2[i].""",
    numpy=np.subtract,
    c="x1 - x2",
    partials=(one, minus_one),
    latex="{x1} - {x2}",
    text="{x1} - {x2}",
    mpmath="x1 - x2",
    samples=ENTIRE,
    operator="sub",
)


def multiply_series(order: int, y: Series, x1: Series, x2: Series) -> Rule:
    return lambda k: convolution(operator.mul, x1, x2, k)


multiply = elementwise(
    "multiply",
    """Product of the elements: y[i] = x1[i] x2[i].""",
    numpy=np.multiply,
    c="x1 * x2",
    partials=(lambda x2: x2, lambda x1: x1),
    latex="{x1} {x2}",
    text="{x1} · {x2}",
    mpmath="x1 * x2",
    samples=ENTIRE,
    taylor=multiply_series,
    operator="mul",
)


def divide_series(order: int, y: Series, x1: Series, x2: Series) -> Rule:
    """y x2 = x1, solved for the last coefficient of y."""

    def rule(k: int) -> Any:
        terms = (x2[i] * y[k - i] for i in range(1, k + 1) if not (x2[i] is None or y[k - i] is None))
        known = None if x2.is_constant else total(terms)
        rest = x1[k] if known is None else -known if x1[k] is None else x1[k] - known
        return None if rest is None else rest / x2[0]

    return rule


divide = elementwise(
    "divide",
    """Quotient of the elements: y[i] = x1[i] / x2[i]; integers become float64.""",
    numpy=np.divide,
    c="x1 / x2",
    partials=(lambda x2: reciprocal(x2), lambda x2, y: -y / x2),
    latex=r"\frac{{{x1}}}{{{x2}}}",
    text="{x1} / {x2}",
    mpmath="x1 / x2",
    taylor=divide_series,
    samples=QUOTIENT,
    operator="truediv",
)

floor_divide = elementwise(
    "floor_divide",
    """Largest integer not above the quotient: y[i] = floor(x1[i] / x2[i]).""",
    numpy=np.floor_divide,
    c="NAME(floor_divide)(x1, x2)",
    partials=(None, None),
    latex=r"\lfloor {x1} / {x2} \rfloor",
    mpmath="mp.floor(x1 / x2)",
    samples=Samples(low=(-3.0, 0.5), high=(3.0, 4.0)),
    operator="floordiv",
)

remainder = elementwise(
    "remainder",
    """Remainder of the sign of the divisor: y[i] = x1[i] - x2[i] floor(x1[i] / x2[i]).

    **Kinks** at multiples of `x2` the derivative is that of the piece to which the value belongs.
    """,
    numpy=np.remainder,
    c="NAME(mod)(x1, x2)",
    partials=(one, lambda x1, x2: -floor_divide(x1, x2)),
    latex=r"{x1} \bmod {x2}",
    text="{x1} mod {x2}",
    mpmath="x1 - x2 * mp.floor(x1 / x2)",
    samples=Samples(low=(0.1, 1.0), high=(0.9, 4.0)),
    operator="mod",
)


def ratio_kernel(x1: Any, x2: Any) -> Any:
    if np.all(x2):
        return np.divide(x1, x2)
    nowhere = np.equal(x2, 0)
    y = np.where(nowhere, 0, np.divide(x1, np.where(nowhere, 1, x2)))
    return y.astype(np.divide(np.ones_like(x1), np.ones_like(x2)).dtype, copy=False)


ratio = elementwise(
    "ratio",
    """Quotient that is 0 where the divisor is 0, as a direction in the origin: y[i] = x1[i] / x2[i].

    **Kinks** where x2 = 0 its derivatives are what those of the quotient are, infinite or nan: what was infinitely steep in
    the origin stays so, and a product of 0 with it has no value.
    """,
    numpy=ratio_kernel,
    c="(x2 == C(0.0) ? C(0.0) : x1 / x2)",
    partials=(lambda x2: reciprocal(x2), lambda x2, y: -y / x2),
    latex=r"\frac{{{x1}}}{{{x2}}}",
    text="{x1} / {x2}",
    mpmath="x1 / x2 if x2 else 0 * x2",
    taylor=divide_series,
    samples=QUOTIENT,
    public=False,
)

negative = elementwise(
    "negative",
    """Each element with the other sign: y[i] = -x[i].""",
    numpy=np.negative,
    c="-x",
    partials=(minus_one,),
    latex="-{x}",
    text="-{x}",
    mpmath="-x",
    samples=ENTIRE,
    operator="neg",
)

positive = elementwise(
    "positive",
    """Each element as it is: y[i] = +x[i].""",
    numpy=np.positive,
    c="+x",
    partials=(one,),
    latex="{x}",
    text="{x}",
    mpmath="+x",
    samples=ENTIRE,
    operator="pos",
)

absolute = elementwise(
    "abs",
    """Absolute value: y[i] = |x[i]|.

    **Kinks** 0 at 0, the middle of the subdifferential [-1, 1].
    """,
    numpy=of_real(np.absolute),
    c="M(fabs)(x)",
    partials=(lambda x: sign(x),),
    latex=r"\left|{x}\right|",
    text="|{x}|",
    mpmath="abs(x)",
    samples=Samples(avoid=(0.0,)),
    public=False,
)

sign = elementwise(
    "sign",
    """-1, 0 or 1 by the sign of the real element; nan stays nan.  Piecewise constant, so its derivative is 0.""",
    numpy=ordered(np.sign),
    c="NAME(sign)(x)",
    partials=(None,),
    latex=r"\operatorname{{sign}}({x})",
    mpmath="mp.sign(x)",
    public=False,
)

reciprocal = elementwise(
    "reciprocal",
    """One over each element: y[i] = 1 / x[i].  Integers become float64, unlike NumPy's, which round to 0.""",
    numpy=lambda x: np.divide(1.0, x),
    c="C(1.0) / x",
    partials=(lambda y: -square(y),),
    latex=r"\frac{{1}}{{{x}}}",
    text="1 / {x}",
    mpmath="1 / x",
    samples=Samples(low=0.5, high=4.0, complex=True),
)

square = elementwise(
    "square",
    """Square of each element: y[i] = x[i]².""",
    numpy=np.square,
    c="x * x",
    partials=(lambda x: 2.0 * x,),
    latex="{x}^2",
    text="{x}²",
    mpmath="x * x",
    samples=ENTIRE,
)

sqrt = elementwise(
    "sqrt",
    """Nonnegative square root: y[i] = √x[i]; nan below 0.

    **Kinks** the derivative at 0 is inf, its limit from above.
    """,
    numpy=np.sqrt,
    c="M(sqrt)(x)",
    partials=(lambda y: 0.5 / y,),
    latex=r"\sqrt{{{x}}}",
    text="√{x}",
    mpmath="mp.sqrt(x)",
    samples=Samples(low=0.5, high=5.0, complex=True),
)

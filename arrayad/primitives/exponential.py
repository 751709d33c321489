"""Exponentials, logarithms, logistic functions and powers of elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.constants import written
from arrayad.elementwise import elementwise
from arrayad.kernels import special
from arrayad.primitives.arithmetic import reciprocal
from arrayad.primitives.comparison import logical_and
from arrayad.primitives.selection import where
from arrayad.primitives.trigonometric import tanh
from arrayad.samples import Samples
from arrayad.series import Rule, Series, total, whole_power
from arrayad.shaped import is_abstract

ENTIRE = Samples(complex=True)
POSITIVE = Samples(low=0.2, high=5.0, complex=True)
TAILS = Samples(low=-40.0, high=40.0)
LN2 = written("0.69314718055994530941723212145817656807550013436026", "mp.ln2")
LOG2_OF_E = written("1.4426950408889634073599246810018921374266459541530", "1 / mp.ln2")
LOG10_OF_E = written("0.43429448190325182765112891891660508229439700580367", "1 / mp.ln10")

exp = elementwise(
    "exp",
    """Exponential of each element: y[i] = e ^ x[i].""",
    numpy=np.exp,
    c="M(exp)(x)",
    partials=(lambda y: y,),
    latex="e^{{{x}}}",
    mpmath="mp.exp(x)",
    samples=ENTIRE,
)

exp2 = elementwise(
    "exp2",
    """Power of two: y[i] = 2 ^ x[i].""",
    numpy=np.exp2,
    c="M(exp2)(x)",
    partials=(lambda y: LN2 * y,),
    latex="2^{{{x}}}",
    text="2^{x}",
    mpmath="mp.power(2, x)",
    samples=ENTIRE,
)

expm1 = elementwise(
    "expm1",
    """Exponential less one, with all digits near 0: y[i] = e ^ x[i] - 1.""",
    numpy=np.expm1,
    c="M(expm1)(x)",
    partials=(lambda x: exp(x),),
    latex="e^{{{x}}} - 1",
    mpmath="mp.expm1(x)",
    samples=ENTIRE,
)

log = elementwise(
    "log",
    """Natural logarithm: y[i] = ln x[i]; -inf at 0, nan below.

    **Kinks** the derivative at 0 is inf.
    """,
    numpy=np.log,
    c="M(log)(x)",
    partials=(lambda x: reciprocal(x),),
    latex=r"\ln {x}",
    mpmath="mp.log(x)",
    samples=POSITIVE,
)

log1p = elementwise(
    "log1p",
    """Logarithm of one plus the element, with all digits near 0: y[i] = ln(1 + x[i]).""",
    numpy=np.log1p,
    c="M(log1p)(x)",
    partials=(lambda x: reciprocal(1.0 + x),),
    latex=r"\ln(1 + {x})",
    mpmath="mp.log1p(x)",
    samples=Samples(low=-0.7, high=5.0, complex=True),
)

log2 = elementwise(
    "log2",
    """Logarithm to the base 2: y[i] = log2 x[i].""",
    numpy=np.log2,
    c="M(log2)(x)",
    partials=(lambda x: LOG2_OF_E / x,),
    latex=r"\log_2 {x}",
    mpmath="mp.log(x, 2)",
    samples=POSITIVE,
)

log10 = elementwise(
    "log10",
    """Logarithm to the base 10: y[i] = log10 x[i].""",
    numpy=np.log10,
    c="M(log10)(x)",
    partials=(lambda x: LOG10_OF_E / x,),
    latex=r"\log_{{10}} {x}",
    mpmath="mp.log10(x)",
    samples=POSITIVE,
)

sigmoid = elementwise(
    "sigmoid",
    """Logistic function, with all digits in both tails: y[i] = 1 / (1 + e ^ -x[i]).""",
    numpy=special.expit,
    c="NAME(sigmoid)(x)",
    partials=(lambda x: sigmoid_derivative(x),),
    latex=r"\sigma({x})",
    mpmath="1 / (1 + mp.exp(-x))",
    samples=TAILS,
)

sigmoid_derivative = elementwise(
    "sigmoid_derivative",
    """Derivative of the logistic function, with all digits in both tails: y[i] = s(x[i]) s(-x[i]).""",
    numpy=special.sigmoid_prime,
    c="M(exp)(-M(fabs)(x)) / (C(1.0) + M(exp)(-M(fabs)(x)) * (C(2.0) + M(exp)(-M(fabs)(x))))",
    partials=(lambda x, y: -y * tanh(0.5 * x),),
    latex=r"\sigma'({x})",
    mpmath="1 / (2 + mp.exp(-x) + mp.exp(x))",
    samples=TAILS,
    public=False,
)

softplus = elementwise(
    "softplus",
    """Smooth relu, without overflow: y[i] = ln(1 + e ^ x[i]).""",
    numpy=special.softplus,
    c="NAME(softplus)(x)",
    partials=(lambda x: sigmoid(x),),
    latex=r"\operatorname{{softplus}}({x})",
    mpmath="mp.log1p(mp.exp(x))",
    python="np.logaddexp(0.0, {x})",
    samples=TAILS,
)


def share_of_first(x1: Any, x2: Any) -> Any:
    """e^x1 / (e^x1 + e^x2), one half where both are the same infinity."""
    return sigmoid(where(x1 == x2, 0.0, x1 - x2))


def share_of_second(x1: Any, x2: Any) -> Any:
    """e^x2 / (e^x1 + e^x2), one half where both are the same infinity."""
    return sigmoid(where(x1 == x2, 0.0, x2 - x1))


logaddexp = elementwise(
    "logaddexp",
    """Logarithm of a sum of exponentials, without overflow: y[i] = ln(e ^ x1[i] + e ^ x2[i]).

    Where the result passes through 0 it is right to the last place of the larger operand, not of its own.

    **Kinks** where both operands are the same infinity, they share the derivative.
    """,
    numpy=np.logaddexp,
    c="NAME(logaddexp)(x1, x2)",
    partials=(share_of_first, share_of_second),
    latex=r"\ln(e^{{{x1}}} + e^{{{x2}}})",
    mpmath="mp.log(mp.exp(x1) + mp.exp(x2))",
    samples=Samples(low=0.0, high=6.0),
)


def power_slope_kernel(x1: Any, x2: Any) -> Any:
    """For exponents between -1 and 1 by (x2 x1^x2) / x1, where x1^(x2 - 1) overflows first, and x2 - 1 is rounded."""
    if np.all(np.abs(x2) >= 1):
        return x2 * np.power(x1, x2 - 1)
    dtype = np.result_type(x1, x2, 0.0)
    x1, x2 = np.asarray(x1, dtype), np.asarray(x2, dtype)
    small = (np.abs(x2) < 1) & (x1 != 0)
    base = np.where(x2 == 0, np.ones_like(x1), x1)
    y = x2 * np.power(base, np.where(small, x2, x2 - 1))
    return np.where(small, y / base, y)


def power_slope_by_base(x1: Any, x2: Any) -> Any:
    return x2 * power_slope(where(logical_and(x1 == 0.0, x2 == 0.0), 1.0, x1), x2 - 1.0)


def power_slope_by_exponent(x1: Any, x2: Any) -> Any:
    p = power(x1, x2 - 1.0)
    return p + x2 * (p * log(where(logical_and(x1 == 0.0, x2 > 1.0), 1.0, x1)))


power_slope = elementwise(
    "power_slope",
    """Derivative of the power by its base: y[i] = x2[i] x1[i] ^ (x2[i] - 1), and 0 where x2 = 0, also at x1 = 0.""",
    numpy=power_slope_kernel,
    c="NAME(power_slope)(x1, x2)",
    partials=(power_slope_by_base, power_slope_by_exponent),
    latex="{x2} {x1}^{{{x2} - 1}}",
    text="{x2} · {x1}^({x2} - 1)",
    mpmath="x2 * mp.power(x1, x2 - 1)",
    samples=Samples(low=(1.1, 0.1), high=(3.0, 3.0), complex=True),
    public=False,
)


def power_by_exponent(x1: Any, y: Any) -> Any:
    """y log x1, and 0 where y = 0, the limit at x1 = 0."""
    return y * log(where(y == 0.0, 1.0, x1))


def power_series(order: int, y: Series, x1: Series, x2: Series) -> Rule | None:
    """x1 y' = x2 y x1' for a constant exponent; by products for a small whole one, since x1 may begin with 0."""
    if not x2.is_constant:
        return None
    exponent = whole_number(x2[0])
    if exponent is not None:
        return whole_power(x1, exponent).__getitem__ if exponent else lambda k: None

    def rule(k: int) -> Any:
        terms = ((i * (x2[0] + 1.0) - k) * x1[i] * y[k - i] for i in range(1, k + 1) if not (x1[i] is None or y[k - i] is None))
        found = total(terms)
        return None if found is None else found / (k * x1[0])

    return rule


def whole_number(x: Any) -> int | None:
    """A constant exponent as an int, if it is a small whole number that can be seen."""
    if x.history is not None or is_abstract(x.value) or x.size != 1:
        return None
    value = x.value.item()
    return int(value.real) if value in range(64) else None


power = elementwise(
    "power",
    """Power of the elements: y[i] = x1[i] ^ x2[i]; nan for a negative base and a fractional exponent.

    **Kinks** by x1 at x2 = 0: 0, also at x1 = 0.  By x2 at x1 = 0: 0 where y = 0 (x2 > 0), -inf at x2 = 0.  For x1 < 0
    the derivative by x2 is nan.
    """,
    numpy=np.power,
    c="M(pow)(x1, x2)",
    partials=(lambda x1, x2: power_slope(x1, x2), power_by_exponent),
    latex="{x1}^{{{x2}}}",
    text="{x1}^{x2}",
    mpmath="mp.power(x1, x2)",
    taylor=power_series,
    samples=Samples(low=(0.5, -2.0), high=(3.0, 3.0), complex=True),
    public=False,
)

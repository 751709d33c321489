"""Trigonometric and hyperbolic functions of elements, and their inverses.  Angles are in radians."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.elementwise import elementwise
from arrayad.kernels import sinc as circular
from arrayad.kernels import special
from arrayad.kernels.real import of_real
from arrayad.primitives.arithmetic import ratio, reciprocal, sqrt, square
from arrayad.primitives.comparison import logical_and
from arrayad.primitives.selection import where
from arrayad.samples import Samples
from arrayad.weights import ELEMENTARY

WIDE = Samples(low=-10.0, high=10.0, complex=True)
ENTIRE = Samples(complex=True)
OPEN_INTERVAL = Samples(low=-0.9, high=0.9, complex=True)

sin = elementwise(
    "sin",
    """Sine of each element: y[i] = sin(x[i]), x in radians.""",
    numpy=np.sin,
    c="M(sin)(x)",
    partials=(lambda x: cos(x),),
    latex=r"\sin({x})",
    mpmath="mp.sin(x)",
    samples=WIDE,
)

cos = elementwise(
    "cos",
    """Cosine of each element: y[i] = cos(x[i]), x in radians.""",
    numpy=np.cos,
    c="M(cos)(x)",
    partials=(lambda x: -sin(x),),
    latex=r"\cos({x})",
    mpmath="mp.cos(x)",
    samples=WIDE,
)

tan = elementwise(
    "tan",
    """Tangent of each element: y[i] = tan(x[i]), x in radians.""",
    numpy=np.tan,
    c="M(tan)(x)",
    partials=(lambda y: 1.0 + square(y),),
    latex=r"\tan({x})",
    mpmath="mp.tan(x)",
    samples=Samples(low=-1.2, high=1.2, complex=True),
)

sinc = elementwise(
    "sinc",
    """Normalised sinc: y[i] = sin(π x[i]) / (π x[i]); 1 at 0, and 0 at the other whole numbers exactly.""",
    numpy=circular.sinc,
    partials=(lambda x: sinc_derivative(1, x),),
    latex=r"\frac{{\sin(\pi {x})}}{{\pi {x}}}",
    mpmath="mp.sincpi(x)",
)

# Far from 0 by Leibniz's rule, whose terms cancel near it; there by the power series, which cancels far from it.
SINC_DERIVATIVE = (
    "sum(mp.binomial(x1, k) * mp.factorial(k) * (-1) ** k * mp.pi ** (x1 - k - 1) / x2 ** (k + 1)"
    " * (mp.sinpi(x2), mp.cospi(x2), -mp.sinpi(x2), -mp.cospi(x2))[(x1 - k) % 4] for k in range(int(x1) + 1))"
    " if abs(x2) > x1 + 1 else"
    " (-1) ** (int(x1) // 2) * mp.pi**x1 / (x1 + 1) * mp.hyp1f2((x1 + 1) / 2, 0.5, (x1 + 3) / 2, -((mp.pi * x2) ** 2) / 4)"
    " if x1 % 2 == 0 else"
    " (-1) ** ((int(x1) + 1) // 2) * mp.pi ** (x1 + 1) * x2 / (x1 + 2)"
    " * mp.hyp1f2((x1 + 2) / 2, 1.5, (x1 + 4) / 2, -((mp.pi * x2) ** 2) / 4)"
)

SINC_DERIVATIVE_BY_LEIBNIZ = (
    "sum((-1) ** k * sp.ff(x1, k) * sp.pi ** (x1 - k - 1) / x2 ** (k + 1) * sp.sin(sp.pi * (x2 + sp.Rational(x1 - k, 2)))"
    " for k in range(x1 + 1))"
)

sinc_derivative = elementwise(
    "sinc_derivative",
    """Derivatives of sinc, also at 0: y[i] = π^n ∫ t^n cos(π x2[i] t + n π/2) dt from 0 to 1, n = x1[i] = 0, 1, …""",
    numpy=circular.sinc_derivative,
    partials=(None, lambda x1, x2: sinc_derivative(x1 + 1, x2)),
    latex=r"\operatorname{{sinc}}^{{({x1})}}({x2})",
    mpmath=SINC_DERIVATIVE,
    sympy=SINC_DERIVATIVE_BY_LEIBNIZ,
    samples=Samples(low=(0, -0.5), high=(4, 0.5), dtypes={0: "int64"}),
    weight=ELEMENTARY,
    public=False,
)

asin = elementwise(
    "asin",
    """Inverse sine: sin(y[i]) = x[i], y in [-π/2, π/2]; nan outside [-1, 1].

    **Kinks** the derivative at ±1 is inf.
    """,
    numpy=np.arcsin,
    c="M(asin)(x)",
    partials=(lambda x: reciprocal(sqrt((1.0 - x) * (1.0 + x))),),
    latex=r"\arcsin({x})",
    mpmath="mp.asin(x)",
    samples=OPEN_INTERVAL,
)

acos = elementwise(
    "acos",
    """Inverse cosine: cos(y[i]) = x[i], y in [0, π]; nan outside [-1, 1].

    **Kinks** the derivative at ±1 is -inf.
    """,
    numpy=np.arccos,
    c="M(acos)(x)",
    partials=(lambda x: -reciprocal(sqrt((1.0 - x) * (1.0 + x))),),
    latex=r"\arccos({x})",
    mpmath="mp.acos(x)",
    samples=OPEN_INTERVAL,
)

atan = elementwise(
    "atan",
    """Inverse tangent: tan(y[i]) = x[i], y in (-π/2, π/2).""",
    numpy=np.arctan,
    c="M(atan)(x)",
    partials=(lambda x: lorentzian(x),),
    latex=r"\arctan({x})",
    mpmath="mp.atan(x)",
    samples=ENTIRE,
)


LARGE = 1e15
"""From here on 1 + x² is x² in every dtype."""


def lorentzian_kernel(x: Any) -> Any:
    if np.all(np.abs(x) <= LARGE):
        return 1.0 / (1.0 + np.square(x))
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        return np.where(np.abs(x) > LARGE, (1.0 / x) / x, 1.0 / (1.0 + np.square(x)))


lorentzian = elementwise(
    "lorentzian",
    """Derivative of the inverse tangent, without overflow of the square: y[i] = 1 / (1 + x[i]²).""",
    numpy=lorentzian_kernel,
    c="(M(fabs)(x) > C(1e15) ? (C(1.0) / x) / x : C(1.0) / (C(1.0) + x * x))",
    partials=(lambda x, y: -2.0 * (x * y) * y,),
    latex=r"\frac{{1}}{{1 + {x}^2}}",
    text="1 / (1 + {x}²)",
    mpmath="1 / (1 + x * x)",
    samples=ENTIRE,
    public=False,
)


@of_real
def over_square_kernel(x1: Any, x2: Any) -> Any:
    """By the quotient of the smaller and the larger, whose square can neither over- nor underflow where it counts."""
    dtype = np.result_type(x1, x2, 0.0)
    x1, x2 = np.asarray(x1, dtype), np.asarray(x2, dtype)
    size1, size2 = np.abs(x1), np.abs(x2)
    large = np.maximum(size1, size2)
    if not np.all(large):
        large = np.where(large == 0, np.ones_like(large), large)
    with np.errstate(under="ignore", over="ignore"):
        q = np.minimum(size1, size2) / large
        return x1 / large / large / (1 + q * q)


def in_origin(x1: Any, x2: Any) -> Any:
    return logical_and(x1 == 0.0, x2 == 0.0)


def over_square_by_first(x1: Any, x2: Any, y: Any) -> Any:
    other = over_square(x2, x1)
    return where(in_origin(x1, x2), np.nan, (other - y) * (other + y))


def over_square_by_second(x1: Any, x2: Any, y: Any) -> Any:
    return where(in_origin(x1, x2), np.nan, -2.0 * (y * over_square(x2, x1)))


over_square = elementwise(
    "over_square",
    """Coordinate over the square of the distance: y[i] = x1[i] / (x1[i]² + x2[i]²), without overflow of the squares.

    **Kinks** 0 in the origin; its derivatives there are nan.
    """,
    numpy=over_square_kernel,
    c="NAME(over_square)(x1, x2)",
    partials=(over_square_by_first, over_square_by_second),
    latex=r"\frac{{{x1}}}{{{x1}^2 + {x2}^2}}",
    text="{x1} / ({x1}² + {x2}²)",
    mpmath="x1 / (x1 * x1 + x2 * x2) if x1 or x2 else 0 * x1",
    samples=Samples(low=(0.2, -3.0), high=(3.0, 3.0)),
    public=False,
)

atan2 = elementwise(
    "atan2",
    """Angle of the point (x2, x1) from the positive first axis: y[i] in [-π, π], tan(y[i]) = x1[i] / x2[i].

    **Kinks** 0 at the origin; along the negative first axis the derivative is that of either side.
    """,
    numpy=np.arctan2,
    c="M(atan2)(x1, x2)",
    partials=(lambda x1, x2: over_square(x2, x1), lambda x1, x2: -over_square(x1, x2)),
    latex=r"\operatorname{{atan2}}({x1}, {x2})",
    mpmath="mp.atan2(x1, x2)",
    samples=Samples(low=(0.2, -3.0), high=(3.0, 3.0)),
)


hypot = elementwise(
    "hypot",
    """Length of the hypotenuse, without overflow: y[i] = √(x1[i]² + x2[i]²).

    **Kinks** 0 at the origin, the middle of the subdifferential; the second derivative there is nan.
    """,
    numpy=np.hypot,
    c="M(hypot)(x1, x2)",
    partials=(lambda x1, y: ratio(x1, y), lambda x2, y: ratio(x2, y)),
    latex=r"\sqrt{{{x1}^2 + {x2}^2}}",
    mpmath="mp.hypot(x1, x2)",
)

sinh = elementwise(
    "sinh",
    """Hyperbolic sine: y[i] = (e ^ x[i] - e ^ -x[i]) / 2.""",
    numpy=np.sinh,
    c="M(sinh)(x)",
    partials=(lambda x: cosh(x),),
    latex=r"\sinh({x})",
    mpmath="mp.sinh(x)",
    samples=ENTIRE,
)

cosh = elementwise(
    "cosh",
    """Hyperbolic cosine: y[i] = (e ^ x[i] + e ^ -x[i]) / 2.""",
    numpy=np.cosh,
    c="M(cosh)(x)",
    partials=(lambda x: sinh(x),),
    latex=r"\cosh({x})",
    mpmath="mp.cosh(x)",
    samples=ENTIRE,
)

tanh = elementwise(
    "tanh",
    """Hyperbolic tangent: y[i] = sinh(x[i]) / cosh(x[i]).""",
    numpy=np.tanh,
    c="M(tanh)(x)",
    partials=(lambda x: sech2(x),),
    latex=r"\tanh({x})",
    mpmath="mp.tanh(x)",
    samples=ENTIRE,
)


def sech2_kernel(x: Any) -> Any:
    """Of complex numbers by e^-2|x|, which cannot overflow, where |x| has the sign that makes its real part positive."""
    if getattr(x, "dtype", None) is None or x.dtype.kind != "c":
        return special.sech2(x)
    with np.errstate(under="ignore"):
        e = np.exp(-2.0 * np.where(x.real < 0, -x, x))
        return 4.0 * e / np.square(1.0 + e)


sech2_kernel.passes = special.PASSES  # type: ignore[attr-defined]

sech2 = elementwise(
    "sech2",
    """Derivative of the hyperbolic tangent, with all digits in the tails: y[i] = 1 / cosh(x[i])².""",
    numpy=sech2_kernel,
    c="NAME(sech2)(x)",
    partials=(lambda x, y: -2.0 * y * tanh(x),),
    latex=r"\operatorname{{sech}}^2({x})",
    mpmath="1 / mp.cosh(x) ** 2",
    samples=ENTIRE,
    public=False,
)

asinh = elementwise(
    "asinh",
    """Inverse hyperbolic sine: sinh(y[i]) = x[i].""",
    numpy=np.arcsinh,
    c="M(asinh)(x)",
    partials=(lambda x: asinh_derivative(x),),
    latex=r"\operatorname{{arsinh}}({x})",
    mpmath="mp.asinh(x)",
    samples=ENTIRE,
)


def asinh_derivative_kernel(x: Any) -> Any:
    if getattr(x, "dtype", None) is not None and x.dtype.kind == "c":
        return 1.0 / np.sqrt((1.0 + 1j * x) * (1.0 - 1j * x))
    return 1.0 / np.hypot(1.0, x)


asinh_derivative = elementwise(
    "asinh_derivative",
    """Derivative of the inverse hyperbolic sine, without overflow of the square: y[i] = 1 / √(1 + x[i]²).""",
    numpy=asinh_derivative_kernel,
    c="C(1.0) / M(hypot)(C(1.0), x)",
    partials=(lambda x, y: -(x * y) * square(y),),
    latex=r"\frac{{1}}{{\sqrt{{1 + {x}^2}}}}",
    text="1 / √(1 + {x}²)",
    mpmath="1 / mp.sqrt(1 + x * x)",
    samples=ENTIRE,
    public=False,
)

acosh = elementwise(
    "acosh",
    """Inverse hyperbolic cosine: cosh(y[i]) = x[i], y ≥ 0; nan below 1.

    **Kinks** the derivative at 1 is inf.
    """,
    numpy=np.arccosh,
    c="M(acosh)(x)",
    partials=(lambda x: reciprocal(sqrt(x - 1.0) * sqrt(x + 1.0)),),
    latex=r"\operatorname{{arcosh}}({x})",
    mpmath="mp.acosh(x)",
    samples=Samples(low=1.2, high=5.0, complex=True),
)

atanh = elementwise(
    "atanh",
    """Inverse hyperbolic tangent: tanh(y[i]) = x[i]; ±inf at ±1, nan outside.

    **Kinks** the derivative at ±1 is inf.
    """,
    numpy=np.arctanh,
    c="M(atanh)(x)",
    partials=(lambda x: reciprocal((1.0 - x) * (1.0 + x)),),
    latex=r"\operatorname{{artanh}}({x})",
    mpmath="mp.atanh(x)",
    samples=OPEN_INTERVAL,
)

"""Trigonometric and hyperbolic functions of elements, and their inverses.  Angles are in radians."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.elementwise import elementwise
from arrayad.kernels import special
from arrayad.primitives.arithmetic import reciprocal, sqrt, square
from arrayad.primitives.selection import where
from arrayad.samples import Samples

WIDE = Samples(low=-10.0, high=10.0)
OPEN_INTERVAL = Samples(low=-0.9, high=0.9)

sin = elementwise(
    "sin",
    """Sine of each element: y[i] = sin(x[i]), x in radians.""",
    numpy=np.sin,
    c="M(sin)(x)",
    partials=(lambda x: cos(x),),
    latex=r"\sin({x})",
    mpmath="mp.sin(x)",
    samples=WIDE,
    cost=15,
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
    cost=15,
)

tan = elementwise(
    "tan",
    """Tangent of each element: y[i] = tan(x[i]), x in radians.""",
    numpy=np.tan,
    c="M(tan)(x)",
    partials=(lambda y: 1.0 + square(y),),
    latex=r"\tan({x})",
    mpmath="mp.tan(x)",
    samples=Samples(low=-1.2, high=1.2),
    cost=20,
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
    cost=20,
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
    cost=20,
)

atan = elementwise(
    "atan",
    """Inverse tangent: tan(y[i]) = x[i], y in (-π/2, π/2).""",
    numpy=np.arctan,
    c="M(atan)(x)",
    partials=(lambda x: reciprocal(1.0 + square(x)),),
    latex=r"\arctan({x})",
    mpmath="mp.atan(x)",
    cost=20,
)


def angle_by_first(x1: Any, x2: Any) -> Any:
    """x2 / (x1² + x2²), scaled by the hypotenuse so that nothing overflows; 0 at the origin."""
    r = hypot(x1, x2)
    safe = where(r == 0.0, 1.0, r)
    return x2 / safe / safe


def angle_by_second(x1: Any, x2: Any) -> Any:
    r = hypot(x1, x2)
    safe = where(r == 0.0, 1.0, r)
    return -x1 / safe / safe


atan2 = elementwise(
    "atan2",
    """Angle of the point (x2, x1) from the positive first axis: y[i] in [-π, π], tan(y[i]) = x1[i] / x2[i].

    **Kinks** 0 at the origin; along the negative first axis the derivative is that of either side.
    """,
    numpy=np.arctan2,
    c="M(atan2)(x1, x2)",
    partials=(angle_by_first, angle_by_second),
    latex=r"\operatorname{{atan2}}({x1}, {x2})",
    mpmath="mp.atan2(x1, x2)",
    samples=Samples(low=(0.2, -3.0), high=(3.0, 3.0)),
    cost=30,
)


def hypotenuse_partial(x: Any, y: Any) -> Any:
    return x / where(y == 0.0, 1.0, y)


hypot = elementwise(
    "hypot",
    """Length of the hypotenuse, without overflow: y[i] = √(x1[i]² + x2[i]²).

    **Kinks** 0 at the origin, the middle of the subdifferential.
    """,
    numpy=np.hypot,
    c="M(hypot)(x1, x2)",
    partials=(lambda x1, y: hypotenuse_partial(x1, y), lambda x2, y: hypotenuse_partial(x2, y)),
    latex=r"\sqrt{{{x1}^2 + {x2}^2}}",
    mpmath="mp.hypot(x1, x2)",
    cost=10,
)

sinh = elementwise(
    "sinh",
    """Hyperbolic sine: y[i] = (e ^ x[i] - e ^ -x[i]) / 2.""",
    numpy=np.sinh,
    c="M(sinh)(x)",
    partials=(lambda x: cosh(x),),
    latex=r"\sinh({x})",
    mpmath="mp.sinh(x)",
    cost=20,
)

cosh = elementwise(
    "cosh",
    """Hyperbolic cosine: y[i] = (e ^ x[i] + e ^ -x[i]) / 2.""",
    numpy=np.cosh,
    c="M(cosh)(x)",
    partials=(lambda x: sinh(x),),
    latex=r"\cosh({x})",
    mpmath="mp.cosh(x)",
    cost=20,
)

tanh = elementwise(
    "tanh",
    """Hyperbolic tangent: y[i] = sinh(x[i]) / cosh(x[i]).""",
    numpy=np.tanh,
    c="M(tanh)(x)",
    partials=(lambda x: sech2(x),),
    latex=r"\tanh({x})",
    mpmath="mp.tanh(x)",
    cost=20,
)

sech2 = elementwise(
    "sech2",
    """Derivative of the hyperbolic tangent, with all digits in the tails: y[i] = 1 / cosh(x[i])².""",
    numpy=special.sech2,
    c="NAME(sech2)(x)",
    partials=(lambda x, y: -2.0 * y * tanh(x),),
    latex=r"\operatorname{{sech}}^2({x})",
    mpmath="1 / mp.cosh(x) ** 2",
    cost=20,
    public=False,
)

asinh = elementwise(
    "asinh",
    """Inverse hyperbolic sine: sinh(y[i]) = x[i].""",
    numpy=np.arcsinh,
    c="M(asinh)(x)",
    partials=(lambda x: reciprocal(hypot(1.0, x)),),
    latex=r"\operatorname{{arsinh}}({x})",
    mpmath="mp.asinh(x)",
    cost=20,
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
    samples=Samples(low=1.2, high=5.0),
    cost=20,
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
    cost=20,
)

"""The error function and its complement."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.elementwise import elementwise
from arrayad.kernels import special
from arrayad.samples import Samples

TWO_OVER_ROOT_PI = 1.1283791670955126


def split(x: Any) -> tuple[Any, Any]:
    """|x|, at most 32, where e^(-x²) is 0 long since, and the multiple of 1/16 next to it, whose square is exact."""
    a = np.minimum(np.abs(x), 32)
    return a, np.floor(a * 16 + 0.5) / 16


def gaussian_kernel(x: Any) -> Any:
    a, h = split(x)
    with np.errstate(under="ignore"):
        return np.exp(-h * h) * np.exp(-(a - h) * (a + h))


A = "(M(fabs)(x) > C(32.0) ? C(32.0) : M(fabs)(x))"
H = f"(M(floor)({A} * C(16.0) + C(0.5)) * C(0.0625))"

gaussian = elementwise(
    "gaussian",
    """The bell curve, with all digits in the tails: y[i] = e ^ -x[i]².

    Rounding x² would cost x²/2 ulp, so x = h + (x - h) with h² exact: y = e^(-h²) e^(-(x - h)(x + h)).
    """,
    numpy=gaussian_kernel,
    c=f"M(exp)(-{H} * {H}) * M(exp)(-({A} - {H}) * ({A} + {H}))",
    partials=(lambda x, y: -2.0 * x * y,),
    latex="e^{{-{x}^2}}",
    mpmath="mp.exp(-x * x)",
    cost=25,
    public=False,
)

erf = elementwise(
    "erf",
    """Error function: y[i] = 2/√π ∫ e^(-t²) dt from 0 to x[i].""",
    numpy=special.erf,
    c="M(erf)(x)",
    partials=(lambda x: TWO_OVER_ROOT_PI * gaussian(x),),
    latex=r"\operatorname{{erf}}({x})",
    mpmath="mp.erf(x)",
    samples=Samples(low=-3.0, high=3.0),
    cost=20,
)

erfc = elementwise(
    "erfc",
    """Complementary error function, with all digits in the tail: y[i] = 1 - erf(x[i]).""",
    numpy=special.erfc,
    c="M(erfc)(x)",
    partials=(lambda x: -TWO_OVER_ROOT_PI * gaussian(x),),
    latex=r"\operatorname{{erfc}}({x})",
    mpmath="mp.erfc(x)",
    samples=Samples(low=-3.0, high=3.0),
    cost=20,
)

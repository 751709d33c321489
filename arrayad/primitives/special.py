"""The error function and its relatives, the logarithm of gamma and its derivatives, Bessel functions, x log y."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.constants import written
from arrayad.elementwise import elementwise
from arrayad.kernels import bessel, gamma, special
from arrayad.kernels.real import of_real
from arrayad.primitives.arithmetic import absolute, square
from arrayad.primitives.comparison import logical_and
from arrayad.primitives.exponential import exp, log
from arrayad.primitives.selection import where
from arrayad.samples import Samples

ROOT_HALF = written("0.70710678118654752440084436210484903928483593768847", "mp.sqrt(mp.mpf(0.5))")
ROOT_INVERSE_TWO_PI = written("0.39894228040143267793994605993438186847585863116493", "1 / mp.sqrt(2 * mp.pi)")
TWO_OVER_ROOT_PI = written("1.1283791670955125738961589031215451716881012586580", "2 / mp.sqrt(mp.pi)")
ROOT_PI_OVER_TWO = written("0.88622692545275801364908374167057259139877472806119", "mp.sqrt(mp.pi) / 2")


def split(x: Any) -> tuple[Any, Any]:
    """|x|, at most 128, where e^(-x²) is 0 long since, and the multiple of 1/16 next to it, whose square is exact."""
    a = np.minimum(np.abs(x), 128)
    return a, np.floor(a * 16 + 0.5) / 16


@of_real
def gaussian_kernel(x: Any) -> Any:
    """In float32 by float64, whose square of x is exact."""
    with np.errstate(under="ignore"):
        if getattr(x, "dtype", None) == np.float32:
            return np.exp(-np.square(x, dtype=np.float64)).astype(np.float32)
        a, h = split(x)
        return np.exp(-h * h) * np.exp(-(a - h) * (a + h))


gaussian = elementwise(
    "gaussian",
    """The bell curve, with all digits in the tails: y[i] = e ^ -x[i]².

    Rounding x² would cost x²/2 ulp, so x = h + (x - h) with h² exact: y = e^(-h²) e^(-(x - h)(x + h)).
    """,
    numpy=gaussian_kernel,
    c="NAME(gaussian)(x)",
    partials=(lambda x, y: -2.0 * (x * y),),
    latex="e^{{-{x}^2}}",
    mpmath="mp.exp(-(x * x))",
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
)

gelu = elementwise(
    "gelu",
    """Gaussian error linear unit, with all digits in the tail: y[i] = x[i] Φ(x[i]), Φ the normal distribution function.""",
    numpy=special.gelu,
    c="NAME(gelu)(x)",
    partials=(lambda x: gelu_derivative(x),),
    latex=r"{x} \Phi({x})",
    mpmath="x * mp.erfc(-x / mp.sqrt(2)) / 2",
    public=False,
)

gelu_derivative = elementwise(
    "gelu_derivative",
    """Derivative of gelu, with all digits in the tail: y[i] = Φ(x[i]) + x[i] φ(x[i]), φ = Φ'.""",
    numpy=special.gelu_prime,
    c="NAME(gelu_derivative)(x)",
    partials=(lambda x: (2.0 - square(x)) * (ROOT_INVERSE_TWO_PI * gaussian(ROOT_HALF * x)),),
    latex=r"(\Phi({x}) + {x} \Phi'({x}))",
    mpmath="mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-(x * x) / 2) / mp.sqrt(2 * mp.pi)",
    samples=Samples(low=-0.5, high=3.0),
    public=False,
)

erfinv = elementwise(
    "erfinv",
    """Inverse of the error function: erf(y[i]) = x[i]; ±inf at ±1, nan outside [-1, 1].

    **Kinks** the derivative at ±1 is inf.
    """,
    numpy=special.erfinv,
    partials=(lambda y: ROOT_PI_OVER_TWO * exp(square(y)),),
    latex=r"\operatorname{{erf}}^{{-1}}({x})",
    mpmath="mp.erfinv(x)",
    samples=Samples(low=-0.9, high=0.9),
)

# --- gamma -------------------------------------------------------------------------------------------------------------

lgamma = elementwise(
    "lgamma",
    """Logarithm of the absolute value of the gamma function: y[i] = ln |Γ(x[i])|; inf at 0, -1, -2, …""",
    numpy=gamma.lgamma,
    partials=(lambda x: digamma(x),),
    latex=r"\ln\left|\Gamma({x})\right|",
    mpmath="mp.re(mp.loggamma(x))",
    sympy="sp.log(sp.Abs(sp.gamma(x)))",
    samples=Samples(low=0.2, high=6.0),
)

digamma = elementwise(
    "digamma",
    """Derivative of lgamma: y[i] = Γ'(x[i]) / Γ(x[i]); -inf at 0, nan at -1, -2, …, where its sides have different signs.""",
    numpy=gamma.digamma,
    partials=(lambda x: polygamma(1, x),),
    latex=r"\psi({x})",
    mpmath="mp.digamma(x)",
    samples=Samples(low=0.2, high=6.0),
)

polygamma = elementwise(
    "polygamma",
    """Derivatives of digamma: y[i] = d^n/dx^n ψ at x2[i], of order n = x1[i], a whole number from 0 to 150, else nan.""",
    numpy=gamma.polygamma,
    partials=(None, lambda x1, x2: polygamma(x1 + 1, x2)),
    latex=r"\psi^{{({x1})}}({x2})",
    mpmath="mp.psi(int(x1), x2)",
    samples=Samples(low=(0, 0.5), high=(4, 4.0), dtypes={0: "int64"}),
)

# --- Bessel functions ----------------------------------------------------------------------------------------------------

i0 = elementwise(
    "i0",
    """Modified Bessel function of the first kind, order 0: y[i] = 1/π ∫ e^(x[i] cos t) dt from 0 to π.""",
    numpy=bessel.i0,
    partials=(lambda x: i1(x),),
    latex="I_0({x})",
    mpmath="mp.besseli(0, x)",
)

i1 = elementwise(
    "i1",
    """Modified Bessel function of the first kind, order 1, the derivative of i0: y[i] = 1/π ∫ e^(x[i] cos t) cos t dt.""",
    numpy=bessel.i1,
    partials=(lambda x: 0.5 * (i0(x) + bessel_i(2, x)),),
    latex="I_1({x})",
    mpmath="mp.besseli(1, x)",
)

bessel_i = elementwise(
    "bessel_i",
    """Modified Bessel functions of the first kind: y[i] = I_n(x2[i]), n = x1[i], a whole number from 0 to 80, else nan.""",
    numpy=bessel.bessel_i,
    partials=(None, lambda x1, x2: 0.5 * (bessel_i(absolute(x1 - 1), x2) + bessel_i(x1 + 1, x2))),
    latex="I_{{{x1}}}({x2})",
    mpmath="mp.besseli(x1, x2)",
    samples=Samples(low=(0, -3.0), high=(4, 3.0), dtypes={0: "int64"}),
    public=False,
)

# --- products with logarithms ----------------------------------------------------------------------------------------------


def xlogy_kernel(x1: Any, x2: Any) -> Any:
    dtype = np.result_type(x1, x2, 0.0)
    x1, x2 = np.asarray(x1, dtype), np.asarray(x2, dtype)
    if np.all(x1):
        return x1 * np.log(x2)
    return x1 * np.log(np.where((x1 == 0) & ~np.isnan(x2), np.ones((), dtype), x2))


xlogy = elementwise(
    "xlogy",
    """Product with a logarithm: y[i] = x1[i] ln x2[i], and 0 where x1 = 0, also at x2 = 0.

    **Kinks** at x1 = x2 = 0 the derivative by x1 is -inf, its limit, and that by x2 is 0.
    """,
    numpy=xlogy_kernel,
    c="(x1 == C(0.0) && x2 == x2 ? C(0.0) : x1 * M(log)(x2))",
    partials=(
        lambda x2: log(x2),
        lambda x1, x2: x1 / where(logical_and(x1 == 0.0, x2 == 0.0), 1.0, x2),
    ),
    latex=r"{x1} \ln {x2}",
    mpmath="x1 * mp.log(x2) if x1 else 0 * x2",
    samples=Samples(low=(-3.0, 0.2), high=(3.0, 5.0), complex=True),
)

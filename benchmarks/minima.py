"""Ten standard problems of unconstrained minimisation, for the tests and the benchmark of `ad.optim.minimize`.

**Source** Moré, Garbow & Hillstrom, Testing unconstrained optimization software, ACM Trans. Math. Softw. 7 (1981): the numbers
are theirs.  The data of the logistic regression are scikit-learn's breast-cancer data (Wolberg, Street & Mangasarian, 1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import arrayad as ad


class Problem(NamedTuple):
    """A function with its standard start.

    `residuals` gives what it is the sum of squares of, where it is one; `minima` are the points where it is least, `value` what
    it is there.
    """

    name: str
    f: Callable[[Any], Any]
    x0: Any
    residuals: Callable[[Any], Any] | None
    minima: tuple[Any, ...]
    value: float


def squares(name: str, residuals: Callable[[Any], Any], x0: Any, *minima: Any) -> Problem:
    """A sum of squares that comes down to 0."""

    def f(x: Any) -> Any:
        r = residuals(x)
        return ad.sum(r * r)

    return Problem(name, f, np.asarray(x0, np.float64), residuals, tuple(np.asarray(x, np.float64) for x in minima), 0.0)


def rosenbrock(x: Any) -> Any:
    """Number 1."""
    return ad.stack([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def extended_rosenbrock(x: Any) -> Any:
    """Number 21: pairs that do not know each other."""
    return ad.concatenate([10.0 * (x[1::2] - x[::2] ** 2), 1.0 - x[::2]])


def beale(x: Any) -> Any:
    """Number 5."""
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1.0 - x[1] ** np.arange(1.0, 4.0))


def powell_singular(x: Any) -> Any:
    """Number 13: the Hessian is singular at the minimum."""
    return ad.stack(
        [
            x[0] + 10.0 * x[1],
            math.sqrt(5.0) * (x[2] - x[3]),
            (x[1] - 2.0 * x[2]) ** 2,
            math.sqrt(10.0) * (x[0] - x[3]) ** 2,
        ]
    )


def wood(x: Any) -> Any:
    """Number 14."""
    return ad.stack(
        [
            10.0 * (x[1] - x[0] ** 2),
            1.0 - x[0],
            math.sqrt(90.0) * (x[3] - x[2] ** 2),
            1.0 - x[2],
            math.sqrt(10.0) * (x[1] + x[3] - 2.0),
            (x[1] - x[3]) / math.sqrt(10.0),
        ]
    )


def helical_valley(x: Any) -> Any:
    """Number 7: a valley that winds around the third axis."""
    turn = ad.arctan(x[1] / x[0]) / (2.0 * math.pi) + ad.where(x[0] < 0.0, 0.5, 0.0)
    return ad.stack([10.0 * (x[2] - 10.0 * turn), 10.0 * (ad.hypot(x[0], x[1]) - 1.0), x[2]])


def brown_badly_scaled(x: Any) -> Any:
    """Number 4: the minimum is at 10⁶ and 2·10⁻⁶."""
    return ad.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0])


def broyden_tridiagonal(x: Any) -> Any:
    """Number 30."""
    padded = ad.pad(x, 1)
    return (3.0 - 2.0 * x) * x - padded[:-2] - 2.0 * padded[2:] + 1.0


def variably_dimensioned(x: Any) -> Any:
    """Number 25."""
    total = ad.sum(np.arange(1.0, x.shape[0] + 1.0) * (x - 1.0))
    return ad.concatenate([x - 1.0, ad.stack([total, total * total])])


def logistic_regression() -> Problem:
    """Whether a tumour is benign: the mean log loss of a linear model of thirty standardised measurements, and |w|²/200."""
    from sklearn.datasets import load_breast_cancer

    x, labels = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    signs = 2.0 * labels - 1.0

    def loss(model: Any) -> Any:
        margins = signs * (x @ model["w"] + model["b"])
        return ad.mean(ad.logaddexp(0.0, -margins)) + 0.005 * ad.sum(model["w"] ** 2)

    return Problem("logistic regression", loss, {"w": np.zeros(30), "b": 0.0}, None, (), 0.0995913754847055)


def standard_problems(n: int = 1000) -> list[Problem]:
    """The ten, in the order of the table; extended Rosenbrock has n unknowns, Broyden's function at most 100."""
    k = min(n, 100)
    j = np.arange(1.0, 11.0)
    return [
        squares("Rosenbrock", rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
        squares("Beale", beale, [1.0, 1.0], [3.0, 0.5]),
        squares("Powell singular", powell_singular, [3.0, -1.0, 0.0, 1.0], np.zeros(4)),
        squares("Wood", wood, [-3.0, -1.0, -3.0, -1.0], np.ones(4)),
        squares("helical valley", helical_valley, [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        squares("Brown badly scaled", brown_badly_scaled, [1.0, 1.0], [1e6, 2e-6]),
        squares(f"extended Rosenbrock, n = {n}", extended_rosenbrock, np.tile([-1.2, 1.0], n // 2), np.ones(n)),
        squares(f"Broyden tridiagonal, n = {k}", broyden_tridiagonal, -np.ones(k)),
        squares("variably dimensioned, n = 10", variably_dimensioned, 1.0 - j / 10.0, np.ones(10)),
        logistic_regression(),
    ]

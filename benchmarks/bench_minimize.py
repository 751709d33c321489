"""`ad.optim.minimize` beside SciPy's methods on ten standard problems: evaluations, minima, orders of convergence.

python benchmarks/bench_minimize.py            the tables
python benchmarks/bench_minimize.py --picture  the methods on Rosenbrock's function, as docs/pictures/minimize.png

Both sides stop at the first gradient whose largest element is no larger than 1e-5.  An evaluation is a value or a gradient; of a
trust region SciPy asks for values alone at points that it refuses, and so do we.  Products with the Hessian, and Hessians, are
counted beside.
"""

from __future__ import annotations

import argparse
import math
import warnings
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import table
from minima import Problem, rosenbrock, standard_problems

import arrayad as ad
from arrayad.optim import least_squares, minimize

GTOL = 1e-5
PAIRS = {
    "bfgs": "BFGS",
    "l-bfgs": "L-BFGS-B",
    "cg": "CG",
    "newton": "Newton-CG",
    "newton-cg": "Newton-CG",
    "trust-region": "trust-exact",
    "trust-region-cg": "trust-ncg",
}
"""Our methods, and SciPy's that do the same; of a line search with the Hessian it has the one by conjugate gradients alone."""

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "minimize.png"


class Spent(NamedTuple):
    """What a run has cost, and where it has come to."""

    evaluations: int
    second: int
    value: float
    order: float
    converged: bool


class Arrived(Exception):
    """A gradient within the tolerance."""


class Counted:
    """A problem as functions of vectors that count their calls."""

    def __init__(self, problem: Problem) -> None:
        self.bridge = ad.optim.scipy_problem(problem.f, problem.x0)
        self.first = self.second = 0
        self.value = math.nan

    def fun(self, x: Any) -> float:
        self.first += 1
        return self.bridge.fun(x)

    def jac(self, x: Any) -> Any:
        self.first += 1
        g = self.bridge.jac(x)
        if np.abs(g).max() <= GTOL:
            self.value = self.bridge.fun(x)
            raise Arrived
        return g

    def hess(self, x: Any) -> Any:
        self.second += 1
        return self.bridge.hess(x)

    def hessp(self, x: Any, v: Any) -> Any:
        self.second += 1
        return self.bridge.hessp(x, v)


def by_scipy(problem: Problem, method: str) -> Spent:
    """SciPy's method, with tolerances that do not end it before ours."""
    from scipy import optimize

    counted = Counted(problem)
    options: dict[str, Any] = {"gtol": GTOL / 10, "maxiter": 20_000}
    given: dict[str, Any] = {}
    if method == "L-BFGS-B":
        options |= {"ftol": 0.0, "maxfun": 100_000}
    if method == "Newton-CG":
        options = {"xtol": 1e-14, "maxiter": 20_000}
    if method in ("Newton-CG", "trust-ncg"):
        given = {"hessp": counted.hessp}
    if method == "trust-exact":
        given = {"hess": counted.hess}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimize.minimize(counted.fun, counted.bridge.x0, jac=counted.jac, method=method, options=options, **given)
    except Arrived:
        return Spent(counted.first, counted.second, counted.value, math.nan, True)
    return Spent(counted.first, counted.second, math.nan, math.nan, False)


def by_ours(problem: Problem, method: str) -> Spent:
    found = minimize(problem.f, problem.x0, method, gtol=GTOL)
    e = found.evaluations
    return Spent(e.value + e.gradient, e.hvp + e.hessian, found.value, found.order, found.converged)


def squares_by_scipy(problem: Problem) -> Spent:
    """MINPACK's Levenberg-Marquardt: residuals and Jacobians."""
    from scipy import optimize

    jacobian = ad.jacobian(problem.residuals)
    count = 0
    value = math.nan

    def residuals(x: Any) -> Any:
        nonlocal count
        count += 1
        return np.asarray(problem.residuals(ad.tensor(x)))

    def derivative(x: Any) -> Any:
        nonlocal count, value
        count += 1
        j, r = np.asarray(jacobian(x)), np.asarray(problem.residuals(ad.tensor(x)))
        if np.abs(j.T @ r).max() <= GTOL:
            value = r @ r / 2
            raise Arrived
        return j

    try:
        optimize.least_squares(residuals, problem.x0, derivative, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    except Arrived:
        return Spent(count, 0, value, math.nan, True)
    return Spent(count, 0, math.nan, math.nan, False)


def squares_by_ours(problem: Problem) -> Spent:
    found = least_squares(problem.residuals, problem.x0, "lm", gtol=GTOL)
    e = found.evaluations
    return Spent(e.total, 0, found.value, found.order, found.converged)


def rows_of(problems: list[Problem], ours: Any, scipys: Any) -> tuple[list[tuple[str, ...]], int]:
    """The rows of a table, and in how many of them we have spent more."""
    rows, more = [], 0
    for problem in problems:
        mine, theirs = ours(problem), scipys(problem)
        same = not theirs.converged or abs(mine.value - theirs.value) <= 1e-7
        more += not mine.converged or (theirs.converged and mine.evaluations > theirs.evaluations)
        rows.append(
            (
                problem.name,
                f"{mine.evaluations}" if mine.converged else "stopped",
                f"{theirs.evaluations}" if theirs.converged else "stopped",
                f"{mine.second}" if mine.second else "",
                f"{theirs.second}" if theirs.second else "",
                f"{mine.value:.1e}",
                "yes" if same else "NO",
                f"{mine.order:.1f}",
            )
        )
        print(".", end="", flush=True)
    print("\r", end="")
    return rows, more


HEAD = ("evaluations, second", "ours", "SciPy", "2nd", "SciPy", "f", "same", "order")


def tables(names: list[str], n: int) -> None:
    problems = standard_problems(n)
    for name in names:
        if name == "lm":
            squares = [problem for problem in problems if problem.residuals is not None]
            rows, more = rows_of(squares, squares_by_ours, squares_by_scipy)
            scipys = 'least_squares(method="lm")'
        else:
            scipys = PAIRS[name]
            rows, more = rows_of(problems, partial(by_ours, method=name), partial(by_scipy, method=scipys))
        print(table(rows, (f"{name} beside {scipys}", *HEAD[1:])))
        print(f"more evaluations than SciPy in {more} of {len(rows)}\n", flush=True)


def picture(path: Path = PICTURE) -> None:
    """The gradient's norm against evaluations, of all methods on Rosenbrock's function."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    def f(x: Any) -> Any:
        r = rosenbrock(x)
        return ad.sum(r * r)

    x0 = np.array([-1.2, 1.0])
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), width_ratios=(1.25, 1.0), layout="constrained")
    grid = np.meshgrid(np.linspace(-1.7, 1.4, 300), np.linspace(-0.6, 1.7, 300))
    levels = 100.0 * (grid[1] - grid[0] ** 2) ** 2 + (1.0 - grid[0]) ** 2
    right.contour(*grid, np.log10(levels + 1e-3), levels=14, colors="0.75", linewidths=0.6)
    colors = dict(
        zip(("gradient-descent", "cg", "bfgs", "l-bfgs", "newton", "trust-region", "lm"), plt.cm.tab10.colors, strict=False)
    )
    for name, color in colors.items():
        options: dict[str, Any] = {"gtol": 1e-12, "history": True, "max_iterations": 200}
        found = least_squares(rosenbrock, x0, **options) if name == "lm" else minimize(f, x0, name, **options)
        values = np.maximum(np.array(found.history.value) * (2.0 if name == "lm" else 1.0), 1e-22)
        left.semilogy(found.history.evaluations, values, "-o", color=color, label=name, markersize=2.5, linewidth=1.2)
        if name in ("gradient-descent", "bfgs", "newton", "lm"):
            path_taken = np.array([np.asarray(x) for x in found.history.x])
            right.plot(path_taken[:, 0], path_taken[:, 1], "-o", color=color, label=name, markersize=2.5, linewidth=1.0)
    left.set(
        xlabel="values and gradients",
        ylabel="f(x)",
        xlim=(0, 180),
        ylim=(1e-21, 1e8),
        title="Rosenbrock's function, from (-1.2, 1)",
    )
    left.grid(alpha=0.3)
    left.legend(fontsize=8, loc="upper right", ncols=2)
    right.plot(1.0, 1.0, "k*", markersize=9)
    right.set(xlabel="x[0]", ylabel="x[1]", xlim=(-1.7, 1.4), ylim=(-0.6, 1.7), title="the way of some")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=95)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", default=[*PAIRS, "lm"], help="some of: " + ", ".join([*PAIRS, "lm"]))
    parser.add_argument("--size", type=int, default=1000, help="the unknowns of the extended Rosenbrock function")
    parser.add_argument("--picture", action="store_true", help="draw the figure of the documentation")
    chosen = parser.parse_args()
    picture() if chosen.picture else tables(chosen.methods, chosen.size)

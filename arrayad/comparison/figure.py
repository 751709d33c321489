"""The figure of a comparison: errors against the step, cost against the number of inputs, size against the order."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.comparison.growth import Family, growth
from arrayad.comparison.problem import Problem
from arrayad.comparison.truth import reason
from arrayad.comparison.ways import formula
from arrayad.extras import extra
from arrayad.functions.reduction import sum as sum_of
from arrayad.numerical import error_curve
from arrayad.tracing import Tape, is_member

ORDERS = range(6)
"""The orders whose derivatives are measured."""


SCHEMES = ("forward", "central", "central 4", "richardson 6", "complex")
"""The difference schemes whose errors are shown."""

LENGTHS = (1, 10, 100, 1_000, 10_000)
"""The numbers of inputs whose gradients are timed."""

LIMIT = 1.0
"""Seconds beyond which the gradient is timed along a sample of directions."""

SHOWN = ("forward mode", "central differences", "central differences, batched")
"""The ways whose cost is shown beside that of the function and of reverse mode."""


SWOLLEN = 10
"""From this ratio on sizes are drawn on a logarithmic scale."""


def draw(problem: Problem, path: str | os.PathLike[str] | None) -> Any:
    """The panels, written to `path` if there is one."""
    figure = extra("compare", "matplotlib.figure", "plot").Figure(figsize=(14, 4.4), layout="constrained")
    for axes, panel in zip(figure.subplots(1, 3), (errors, cost, sizes), strict=True):
        try:
            panel(problem, axes)
        except Exception as error:  # of the user's program: the panel says why it is empty
            axes.text(0.5, 0.5, f"cannot:\n{reason(error)}", ha="center", va="center", wrap=True, transform=axes.transAxes)
    figure.suptitle(f"{problem.name}: four ways to its derivative")
    if path is not None:
        figure.savefig(path, dpi=100)
    return figure


def errors(problem: Problem, axes: Any) -> None:
    """The error of each difference scheme against its step, above that of automatic differentiation."""
    error_curve(problem.of_tuple, problem.chosen, SCHEMES).plot(axes)
    axes.set_title("differences: truncation and round-off", fontsize=10)


def cost(problem: Problem, axes: Any) -> None:
    """The time of a gradient against the number of inputs."""
    growth(family(problem), LENGTHS, ways=SHOWN, limit=LIMIT).plot(axes)
    axes.set_title("cost of a gradient of n inputs", fontsize=10)


def family(problem: Problem) -> Family:
    """The function of n numbers: that of a longer array, or the sum of a function of a number over n of them.

    **Raises** `ValueError` where it is neither.
    """
    if len(problem.inputs) != 1 or problem.inputs[0].ndim > 1 or len(problem.results) != 1:
        raise ValueError("it has one form only: not a function of one number, or of one list of any length")
    x = problem.inputs[0]

    def function(xs: Any) -> Any:
        return sum_of(problem.uncounted(*tree.unflatten(problem.structure, [xs])))

    return lambda n: (function, np.resize(x, n))


def sizes(problem: Problem, axes: Any) -> None:
    """The operations of the derivatives as formulas, shared and written out, against their order."""
    found = formula(problem)
    shared, written = [], []
    for order in ORDERS:
        if order:
            found = found.diff(found.names[0])
        shared.append(found.operations)
        written.append(written_out(found.tape))
    axes.plot(ORDERS, written, "s--", color="C1", label="written out")
    axes.plot(ORDERS, shared, "o-", color="C0", label="with its sharing")
    if max(written) > SWOLLEN * max(1, *shared):
        axes.set_yscale("symlog")
    axes.set_xticks(ORDERS)
    axes.set_xlabel(f"order of the derivative by {found.names[0]}")
    axes.set_ylabel("operations")
    axes.set_title("size of the formula", fontsize=10)
    axes.grid(True, which="major", linewidth=0.3)
    axes.legend(fontsize=8)


def written_out(tape: Tape) -> int:
    """The operations of a tape's formulas with nothing shared: each use of a value counts what the value takes."""
    counts: dict[Any, int] = {}

    def count(x: Any) -> int:
        return counts.get(x.history, 0) if is_member(x, tape) else 0

    for entry in tape.entries:
        counts[entry] = 1 + sum(map(count, entry.inputs))
    return sum(map(count, tape.outputs))

"""`compare`: the derivative of one function in all four ways, and in both modes, with the digits and the cost of each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import context
from arrayad.comparison.figure import draw
from arrayad.comparison.problem import SECONDS, Array, Measured, Problem, measure, plain
from arrayad.comparison.truth import DIGITS, Truth, agreeing, is_rounded, reason, truth, whole
from arrayad.comparison.units import duration
from arrayad.comparison.ways import WAYS, Way, by_hand_ways
from arrayad.extras import extra

LARGEST = 1000
"""So many inputs at most: each costs the reference two evaluations in 150 digits."""


@dataclass(frozen=True)
class Outcome:
    """What one way gave, the Jacobian as a matrix, and what that cost; or why it cannot be gone.

    `digits` are right in every element, None where all are kinks or the truth is nan; `all_right` says that each is the number of
    its dtype nearest to the truth; `worst` names the element with the fewest.  `evaluations` of the function for one derivative,
    `seconds` for one at best, and their `ratio` to the function's own; `memory` in bytes, at its peak; `operations` the length
    of the program.
    """

    way: str
    method: str
    derivative: Array | None = None
    digits: float | None = None
    all_right: bool = False
    worst: str = ""
    evaluations: int | None = None
    seconds: float | None = None
    ratio: float | None = None
    memory: int | None = None
    operations: int | None = None
    note: str = ""
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """The ways to the derivative of one function at one point, side by side; printed, it is a table.

    `value` is the function's, `own` what an evaluation of it costs, `truth` what the derivatives are held to.
    """

    name: str
    point: str
    value: Any
    own: Measured
    truth: Truth
    outcomes: list[Outcome]
    problem: Problem = field(repr=False, compare=False)

    def __str__(self) -> str:
        return "\n".join([*self.head(), "", *self.table(), "", *self.notes()])

    def __getitem__(self, method: str) -> Outcome:
        """The outcome of the method of this name."""
        return next(outcome for outcome in self.outcomes if outcome.method == method)

    def head(self) -> list[str]:
        """The function, its value, and the truth."""
        shape = self.truth.matrix.shape
        lines = [f"{self.name} at {self.point}", f"value {self.value}, in {duration(self.own.seconds)}"]
        lines.append(f"derivative, by {self.truth.method}" + (":" if shape == (1, 1) else f", {shape[0]} × {shape[1]} numbers"))
        if shape == (1, 1):
            lines.append(f"  {context().nstr(self.truth.matrix.item(), DIGITS if not self.truth.why else 17)}")
        return lines

    def table(self) -> list[str]:
        """A line for each way that could be gone."""
        rows, last = [], ""
        for outcome in self.outcomes:
            if not outcome.why:
                rows.append(("" if outcome.way == last else outcome.way, *columns(outcome)))
                last = outcome.way
        return aligned([HEAD, *rows])

    def notes(self) -> list[str]:
        """The agreement of arbitrary precision, kinks, and why a way could not be gone."""
        lines = []
        if self.truth.agreement:
            modes = " and ".join(f"{digits:.0f} digits in {mode} mode" for mode, digits in self.truth.agreement.items())
            lines.append(f"Automatic differentiation in {DIGITS + 10} digits agrees with these differences to {modes}.")
        if self.truth.why:
            lines.append(f"No more digits are known than extrapolated differences give: {self.truth.why}")
        if np.any(self.truth.kinks):
            where = ", ".join(self.problem.elements[j] for j in np.flatnonzero(np.any(self.truth.kinks, axis=0))[:5])
            lines.append(f"There is a kink in {where}: the derivatives from its two sides differ, so that digits say nothing.")
        lines += [f"{outcome.way}, {outcome.method}: {outcome.note}" for outcome in self.outcomes if outcome.note]
        lines += [f"{outcome.way}, {outcome.method}: cannot, {outcome.why}" for outcome in self.outcomes if outcome.why]
        return lines

    def json(self) -> str:
        """Everything that the table says, for machines: numbers in full, times in seconds, memory in bytes."""
        return json.dumps(
            {
                "function": self.name,
                "point": self.point,
                "value": [np.asarray(y).tolist() for y in self.problem.results],
                "seconds": self.own.seconds,
                "memory": self.own.memory,
                "reference": {
                    "method": self.truth.method,
                    "derivative": [[context().nstr(x, DIGITS) for x in row] for row in self.truth.matrix],
                    "digits": self.truth.digits.tolist(),
                    "kinks": self.truth.kinks.tolist(),
                    "agreement": self.truth.agreement,
                    "why": self.truth.why,
                },
                "ways": [as_json(outcome) for outcome in self.outcomes],
            },
            indent=2,
            allow_nan=False,
        )

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """One figure: error against step, cost against the number of inputs, size of the expression against order.

        **Parameters** `path`: where to write it, by its suffix; without one, the figure is returned alone.

        **Raises** `ImportError` without the extra `plot`.
        """
        return draw(self.problem, path)


HEAD = ("way", "method", "derivative", "digits", "evaluations", "time", "ratio", "memory", "operations")


def compare(
    f: Callable[..., Any],
    *args: Any,
    by_hand: Callable[..., Any] | None = None,
    names: Sequence[str] = (),
    seconds: float = SECONDS,
) -> Comparison:
    """Differentiate a function at a point by hand, numerically, symbolically and automatically, and measure each.

    **Parameters** `f`: a function of trees of arrays, the result floats; `args`: the point; arguments that are no trees of floats
    are passed on; `by_hand`: the derivative that you worked out, a function of the same arguments that returns what `grad` does
    (of several arguments, a tuple), or what `jacobian` does where the result is an array; that of `manual` is taken without it.
    `names`: of the arguments, where the function does not say.  `seconds`: how long each way is timed, if it takes no longer.

    **Returns** a `Comparison`, which prints as a table: for each way the derivative (of many, where the fewest digits are right),
    the decimal digits that are right in all of it, the evaluations of `f`, the time and the memory that it took, the ratio of
    this time to that of `f`, and the length of the program that computes it.  `.outcomes` are the numbers, `.json()` all of
    them as text, `.plot(path)` draws a figure.

    The digits are those of a reference that uses no derivative rule (`numerical.reference`), and arbitrary-precision automatic
    differentiation must agree with it.  Where the function cannot compute in 150 digits, extrapolated differences
    stand for it.

    **Raises** `DTypeError` where no argument is floating-point; `ValueError` for more than 1,000 inputs; `ImportError` without
    the extra `precision`.

    **Example**

    >>> import arrayad as ad
    >>> found = ad.compare(lambda x: ad.sin(x**2 + 1), 0.5)
    >>> found["reverse mode"].digits > 15, 9 < found["central, order 2"].digits < 13
    (True, True)
    """
    extra("compare", "mpmath", "precision")
    problem = Problem(f, args, names)
    if problem.size > LARGEST:
        raise ValueError(f"[compare] there are {problem.size:,} inputs; at most {LARGEST:,} are compared: take fewer of them")
    own = measure(lambda: problem(*problem.chosen), seconds)
    true = truth(problem)
    ways = [*by_hand_ways(problem, by_hand), *WAYS]
    outcomes = [gone(way, problem, true, own, seconds) for way in ways]
    point = ", ".join(f"{name} = {short(x)}" for name, x in zip(problem.names, problem.args, strict=False))
    return Comparison(problem.name, point, short(problem.value), own, true, outcomes, problem)


def gone(way: Way, problem: Problem, true: Truth, own: Measured, seconds: float) -> Outcome:
    """What a way gives, and what it costs; an error says why it cannot be gone."""
    try:
        prepared = way.prepare(problem)
        found, counted = problem.evaluations_of(prepared.run)
        matrix = problem.matrix(found)
        measured = measure(prepared.run, seconds)
    except Exception as error:  # of the user's program too: it is the reason
        return Outcome(way.way, way.method, why=reason(error))
    digits = np.minimum(agreeing(matrix, true.matrix), true.digits)
    digits = np.where(true.kinks | np.isnan(digits), np.inf, digits)
    i, j = np.unravel_index(np.argmin(digits), digits.shape) if digits.size else (0, 0)
    return Outcome(
        way.way,
        way.method,
        matrix,
        None if np.all(np.isinf(digits)) else float(digits[i, j]),
        not true.why and not np.all(np.isinf(digits)) and is_rounded(matrix, true.matrix),
        problem.element(int(i), int(j)),
        counted if prepared.evaluations is None else prepared.evaluations,
        measured.seconds,
        measured.seconds / own.seconds,
        measured.memory,
        prepared.operations,
        note=prepared.note,
    )


# --- text --------------------------------------------------------------------------------------------------------------


def columns(outcome: Outcome) -> tuple[str, ...]:
    """What the table says of an outcome."""
    assert outcome.derivative is not None and outcome.seconds is not None and outcome.memory is not None
    alone = outcome.derivative.size == 1
    return (
        outcome.method,
        f"{outcome.derivative.item():.17g}" if alone else outcome.worst,
        "—" if outcome.digits is None else "all" if outcome.all_right else whole(outcome.digits),
        f"{outcome.evaluations:,}",
        duration(outcome.seconds),
        f"{outcome.ratio:.3g}",
        f"{outcome.memory / 1024:,.1f} kB",
        "" if outcome.operations is None else f"{outcome.operations:,}",
    )


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows in columns, words to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def short(value: Any) -> str:
    """A value in one line: numbers in full, arrays by their ends."""
    with np.printoptions(precision=6, threshold=8, linewidth=100):
        return tree_text(value)


def tree_text(value: Any) -> str:
    """A tree of arrays in one line."""
    leaves, structure = tree.flatten(value)
    texts = [repr(float(x)) if isinstance(x, float) else " ".join(str(np.asarray(plain(x))).split()) for x in leaves]
    return texts[0] if structure.kind is None else str(tree.unflatten(structure, texts)).replace("'", "")


def as_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome in numbers and text."""
    found = {part.name: getattr(outcome, part.name) for part in fields(outcome)}
    if outcome.derivative is not None:
        found["derivative"] = [[finite(x) for x in row] for row in outcome.derivative.tolist()]
    return found


def finite(x: float) -> float | str:
    """A number, or its name where JSON has none for it."""
    return x if np.isfinite(x) else str(x)

"""`error_curve`: the error of differences against the step, falling with truncation and rising with round-off, by scheme."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.errors import ShapeError
from arrayad.numerical.problem import COMPLEX, RIDDERS, Direction, Options, Problem, check_options
from arrayad.numerical.sampling import joined
from arrayad.numerical.stencil import Array
from arrayad.tensor import freeze, handle
from arrayad.transforms.forward import jvp

SCHEMES = ("forward", "backward", "central", "central 4", "central 6", "central 8", "richardson 6", "complex")

STEPS = 10.0 ** -np.arange(0.0, 16.25, 0.25)
"""Four to a decade, from 1 to 10⁻¹⁶."""

LINES = (("-", "o"), ("--", "x"), ("-", "s"), ("-", "^"), ("-", "D"), ("-", "v"), (":", "*"), ("--", "+"))
"""Styles and markers of the curves, told apart where one lies upon another."""

Scheme = str | tuple[Any, ...]


@dataclass(frozen=True)
class ErrorCurve:
    """The errors of difference schemes over a range of steps, at one place.

    **Parameters** `x`: the place; `reference`: the derivative that they are compared with, `source` where it is from, and
    `floor` the error of the AD result beside it, half a unit of rounding at least; `steps`: h.  All others are dicts by the
    scheme's name: `errors`, at each step, the largest of all results; `truncation` and `roundoff`: the parts c hᵖ and r / h
    of these, fitted; `observed_order`: the slope of the truncation error, nan where the sweep does not show one; `best_step`
    and `best_error`: the least error found.
    """

    x: Any
    reference: Any
    source: str
    floor: float
    steps: Array
    errors: dict[str, Array]
    truncation: dict[str, Array]
    roundoff: dict[str, Array]
    observed_order: dict[str, float]
    best_step: dict[str, float]
    best_error: dict[str, float]

    def __str__(self) -> str:
        width = max(map(len, self.errors), default=6)
        lines = [f"{'scheme':{width}}  {'order':>5}  {'best h':>8}  {'error':>8}  {'truncation':>10}  {'round-off':>9}"]
        for name in self.errors:
            best = int(np.argmin(np.abs(self.steps - self.best_step[name])))
            lines.append(
                f"{name:{width}}  {self.observed_order[name]:5.2f}  {self.best_step[name]:8.1e}  {self.best_error[name]:8.1e}  "
                f"{self.truncation[name][best]:10.1e}  {self.roundoff[name][best]:9.1e}"
            )
        return "\n".join([*lines, f"reference: {self.source}"])

    __repr__ = __str__

    def plot(self, axes: Any = None, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the errors against the step, both axes logarithmic: a V for each scheme, with the AD result as the floor.

        **Parameters** `axes`: of matplotlib, new ones if omitted; `path`: where to write the figure.

        **Returns** the axes.

        **Raises** `ImportError` without matplotlib (`pip install "arrayad[plot]"`).
        """
        axes = new_axes() if axes is None else axes
        for number, (name, errors) in enumerate(self.errors.items()):
            drawn = np.where(np.isfinite(errors), np.maximum(errors, self.floor), np.nan)
            style, marker = LINES[number % len(LINES)]
            axes.loglog(self.steps, drawn, style, marker=marker, markersize=3, linewidth=1.2, color=f"C{number}", label=name)
        axes.axhline(self.floor, color="black", linestyle="--", linewidth=1.0, label=f"AD ({self.floor:.0e})")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, self.floor / 5), high)
        axes.set_xlabel("step h")
        axes.set_ylabel("error of the derivative")
        axes.grid(True, which="major", linewidth=0.3)
        axes.legend(fontsize=8, ncols=2)
        if path is not None:
            axes.figure.savefig(os.fspath(path), dpi=110)
        return axes


def new_axes() -> Any:
    """The axes of a figure of its own.

    **Raises** `ImportError` without matplotlib.
    """
    try:
        figure = import_module("matplotlib.figure")
    except ImportError:
        raise ImportError('[plot] the package matplotlib is needed: pip install "arrayad[plot]"') from None
    return figure.Figure(figsize=(7.0, 4.6), layout="constrained").add_subplot()


def error_curve(
    f: Callable[..., Any],
    x: Any,
    schemes: Sequence[Scheme] | None = None,
    reference: Any = None,
    *,
    direction: Any = None,
    steps: Any = None,
    vectorized: bool | None = None,
    args: Sequence[Any] = (),
) -> ErrorCurve:
    """The error of the derivative of `f` at `x` by differences, over a range of steps, for several schemes.

    error(h) ≈ c hᵖ + r / h: a formula of order p is off by truncation, which falls with h, and by round-off, which grows

    **Parameters** `schemes`: names as of `derivative`, with the order behind: "central 4", or ("central", 4); or the offsets
    of a stencil.  `reference`: the derivative, or a function of `x` that gives it; without it, forward mode's, and for a
    function that arrayad cannot look into, that by extrapolated differences.  `direction`: along which to differentiate, like
    `x`; 1 for a number, at random for arrays.  `steps`: those to try, four to a decade from 1 to 10⁻¹⁶ if
    omitted.  `vectorized`, `args`: as of `derivative`.

    **Returns** an `ErrorCurve`: printed it is a table; `plot` draws it.

    **Example**

    >>> import arrayad as ad
    >>> curve = ad.numerical.error_curve(ad.sin, 1.0, schemes=("forward", "central", "complex"))
    >>> print(curve)
    scheme   order    best h     error  truncation  round-off
    forward   1.00   5.6e-09   ...
    """
    problem = Problem("error_curve", f, x, Options(vectorized=vectorized, args=args))
    tried = STEPS if steps is None else np.sort(np.asarray(steps, np.float64).ravel())[::-1]
    if not tried.size or not np.all(np.isfinite(tried) & (tried > 0)):
        raise ValueError("[error_curve] steps must be positive numbers")
    chosen = problem.along(random_direction(problem) if direction is None else direction)
    exact, source, floor = known(problem, chosen, reference)
    found = {}
    for scheme in SCHEMES if schemes is None else schemes:
        label, options = named(scheme)
        errors = swept(problem, chosen, options, tried, exact)
        order = 2 if options.kind == COMPLEX else options.rule(1).order
        found[label] = Fit.of(errors, tried, order, float(np.max(np.abs(exact), initial=0.0)), chosen.line.least)
    return ErrorCurve(
        x=x,
        reference=problem.arranged(exact),
        source=source,
        floor=floor,
        steps=tried,
        **{field: {label: getattr(fit, field) for label, fit in found.items()} for field in Fit._fields},
    )


def random_direction(problem: Problem) -> Any:
    """A direction like the argument: 1 for a number, of length 1 and drawn from seed 0 for arrays."""
    size = problem.places.size
    drawn = np.random.default_rng(0).standard_normal(size) if size > 1 else np.ones(size)
    vector = drawn / max(1e-300, float(np.linalg.norm(drawn)))
    return problem.like_argument(vector, ())


def named(scheme: Scheme) -> tuple[str, Options]:
    """The name of a scheme and what it stands for: "central 4", ("central", 4), the offsets of a stencil."""
    if isinstance(scheme, str):
        name, _, order = scheme.partition(" ")
        if order and not order.isdecimal():
            raise ValueError(f'[error_curve] a scheme is {scheme!r}; behind its name stands its order, if anything: "central 4"')
        options = Options(name, int(order) if order else None)
    elif len(scheme) == 2 and isinstance(scheme[0], str):
        options = Options(*scheme)
    else:
        options = Options(scheme)
    check_options("error_curve", options)
    if options.kind == RIDDERS:
        raise ValueError("[error_curve] the scheme ridders has no one step to sweep; take richardson of some order")
    label = scheme if isinstance(scheme, str) else " ".join(map(str, scheme)) if isinstance(scheme[0], str) else str(scheme)
    return label, options


def swept(problem: Problem, chosen: Direction, options: Options, steps: Array, exact: Array) -> Array:
    """The error with each step, the largest of all results; where the function cannot be evaluated, nan."""
    tasks = []
    for h in steps:
        direction = chosen._replace(line=chosen.line._replace(step=float(h)))
        tasks.append(problem.task([direction], 1, options))
    with np.errstate(all="ignore"):
        return np.array([np.max(np.abs(found.value - exact), initial=0.0) for found in problem.answered(tasks)])


def known(problem: Problem, chosen: Direction, reference: Any) -> tuple[Array, str, float]:
    """The derivative along the direction, in one vector, where it is from, and how far AD is from it.

    What AD is off by is half a unit of rounding at least, since no number of the dtype is nearer.
    """
    sampled = problem.sampled
    automatic = forward(problem, chosen)
    if reference is not None:
        given = reference(problem.sampled.given) if callable(reference) else reference
        exact = np.concatenate([np.ravel(np.asarray(y, np.result_type(sampled.dtype, np.float64))) for y in tree.leaves(given)])
        if exact.shape != sampled.bases[0].shape:
            raise ShapeError(f"[error_curve] the reference has {exact.size} elements, the derivative {sampled.bases[0].size}")
        source = "as given"
    elif automatic is not None:
        exact, source = automatic, "forward-mode AD"
    else:
        (found,) = problem.answered([problem.task([chosen], 1, Options(RIDDERS))])
        exact, source = found.value, f"extrapolated differences, off by {np.max(found.error, initial=0.0):.0e}"
    rounding = 0.5 * sampled.eps * float(np.max(np.abs(exact), initial=0.0))
    off = 0.0 if automatic is None else float(np.max(np.abs(automatic - exact), initial=0.0))
    return exact, source, max(off, rounding, float(np.finfo(np.float64).tiny))


def forward(problem: Problem, chosen: Direction) -> Array | None:
    """The derivative along the direction by forward mode; None where arrayad cannot look into the function."""
    sampled = problem.sampled
    vector = np.zeros(problem.places.shape, chosen.by.dtype)
    vector[chosen.where] = chosen.by
    tangents = [t.astype(x.dtype) for t, x in zip(tree.leaves(problem.like_argument(vector, ())), sampled.leaves, strict=True)]
    try:
        _, out = jvp(sampled.of_leaves, tuple(map(handle, map(freeze, sampled.leaves))), tuple(tangents))
        found = joined([np.asarray(y.value) for y in tree.leaves(out)])
    except Exception:  # whatever the function cannot do with Tensors: it is the differences that are asked for
        return None
    return found if found.shape == sampled.bases[0].shape else None


class Fit(NamedTuple):
    """What a sweep over steps shows."""

    errors: Array
    truncation: Array
    roundoff: Array
    observed_order: float
    best_step: float
    best_error: float

    @classmethod
    def of(cls, errors: Array, steps: Array, order: int, size: float, least: float) -> Fit:
        """Separate the errors with steps, the longest first: c hᵖ to the one side of the least, r / h to the other.

        `order`: p; `size`: that of the derivative; `least`: shorter steps do nothing.
        """
        there = np.isfinite(errors)
        if not there.any():
            nothing = np.full(steps.shape, np.nan)
            return cls(errors, nothing, nothing, np.nan, np.nan, np.nan)
        best = int(np.argmin(np.where(there, errors, np.inf)))
        shorter = there & (steps < steps[best]) & (steps > least)
        r = float(np.sqrt(np.mean((errors[shorter] * steps[shorter]) ** 2))) if shorter.any() else 0.0
        roundoff = r / steps
        falling = there & (steps > steps[best]) & (errors > 10.0 * roundoff) & (errors < 0.1 * size)
        c = float(np.median(errors[falling] / steps[falling] ** order)) if falling.any() else 0.0
        return cls(errors, c * steps**order, roundoff, slope(errors, steps, falling), float(steps[best]), float(errors[best]))


def slope(errors: Array, steps: Array, falling: Array) -> float:
    """The order that a sweep shows: the median slope between neighbours, of those half with the shorter steps."""
    pairs = np.flatnonzero(falling[:-1] & falling[1:])
    pairs = pairs[len(pairs) // 2 :]
    if not pairs.size:
        return float("nan")
    return float(np.median(np.log(errors[pairs] / errors[pairs + 1]) / np.log(steps[pairs] / steps[pairs + 1])))

"""A step along a descent direction that satisfies the strong Wolfe conditions.

φ(a) = f(x + a d);  φ(a) <= φ(0) + c1 a φ'(0)  and  |φ'(a)| <= c2 |φ'(0)|

**Source** Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), algorithms 3.5 and 3.6; where values differ by rounding
alone, slopes decide: Hager & Zhang, A new conjugate gradient method with guaranteed descent, SIAM J. Optim. 16 (2005), section 4.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from arrayad.optim.minimizers.objective import Point, Problem
from arrayad.optim.minimizers.running import Stalled
from arrayad.optim.minimizers.space import Array

TRIALS = 50
DECREASE = 1e-4
CURVATURE = 0.9


class Sample(NamedTuple):
    """φ at a step, its slope where it is known, and the point."""

    step: float
    value: float
    slope: float | None
    point: Point


def search(
    problem: Problem,
    start: Point,
    direction: Array,
    first: float,
    *,
    decrease: float = DECREASE,
    curvature: float = CURVATURE,
    longest: float = math.inf,
    eager: bool = True,
    stretch: float = 10.0,
) -> Point | None:
    """A point on the ray that satisfies the conditions, or is the lowest found after many trials; None if none is lower.

    **Parameters** `first`: the step to try first.  `longest`: the last that may be tried, and is taken if φ still falls there.
    `eager`: ask for the slope also where the value is too high already, for the sake of a better next trial.
    `stretch`: by how much a step may grow from trial to trial.
    A trial where the function or its gradient is not finite counts as too long.

    **Raises** `Stalled` where φ falls as far as steps can grow.
    """
    slope, noise = start.slope(direction), problem.noise(start)
    low, high, before = Sample(0.0, start.value, slope, start), None, None
    step, width = min(first, longest), math.inf
    for _ in range(TRIALS):
        point = problem.at(start.x + step * direction)
        if np.array_equal(point.x, low.point.x):
            break
        if point.value == -math.inf:
            return point
        is_lower = point.value <= start.value + decrease * step * slope or abs(point.value - start.value) <= noise
        trial = sampled(step, point, direction, is_lower or eager)
        at = trial.slope
        if is_lower and at is not None and (abs(at) <= -curvature * slope or (step >= longest and at < 0)):
            return point
        if not is_lower or at is None or trial.value > low.value + noise:
            high = trial
        else:
            if high is None:
                before = low
                high = low if at > 0 else None
            elif at * (high.step - low.step) >= 0:
                high = low
            low = trial
        if high is not None:
            step, width = interpolated(low, high, width)
        elif before is not None:
            step = min(extended(before, low, stretch), longest)
    else:
        if high is None:
            raise Stalled(message=f"f falls along a line without an end, to {low.value:.1e} after a step of {low.step:.1e}")
    return low.point if low.step > 0 and low.value < start.value else None


def sampled(step: float, point: Point, direction: Array, with_slope: bool) -> Sample:
    """A trial: of infinite value where the value, or the gradient that was asked for, is not finite."""
    if math.isfinite(point.value) and (not with_slope or np.isfinite(point.gradient).all()):
        return Sample(step, point.value, point.slope(direction) if with_slope else None, point)
    return Sample(step, math.inf, None, point)


def extended(before: Sample, low: Sample, stretch: float) -> float:
    """A step beyond the last: the minimum of the cubic through both, at least 1.1, at most `stretch` strides further."""
    stride = low.step - before.step
    guess = cubic(before, low)
    further = guess - low.step if math.isfinite(guess) and guess > low.step else stretch * stride
    return low.step + min(max(further, 1.1 * stride), stretch * stride)


def interpolated(low: Sample, high: Sample, width: float) -> tuple[float, float]:
    """A step between two, and how wide the bracket is that it splits."""
    now = abs(high.step - low.step)
    if high.value == math.inf:
        return low.step + 0.2 * (high.step - low.step), math.inf
    guess = quadratic(low, high) if high.slope is None else cubic(low, high)
    share = (guess - low.step) / (high.step - low.step)
    if not math.isfinite(share) or now > 0.66 * width:
        share = 0.5
    return low.step + min(max(share, 0.1), 0.9) * (high.step - low.step), now


def quadratic(a: Sample, b: Sample) -> float:
    """Where the parabola through a, its slope there and b is least; nan where it has no minimum."""
    assert a.slope is not None
    h = b.step - a.step
    bend = b.value - a.value - a.slope * h
    return a.step - a.slope * h * h / (2.0 * bend) if bend > 0 else math.nan


def cubic(a: Sample, b: Sample) -> float:
    """Where the cubic through a and b with their slopes is least; nan where it has no minimum."""
    assert a.slope is not None and b.slope is not None
    h = b.step - a.step
    d1 = a.slope + b.slope - 3.0 * (b.value - a.value) / h
    inside = d1 * d1 - a.slope * b.slope
    if not inside >= 0:
        return math.nan
    d2 = math.copysign(math.sqrt(inside), h)
    below = b.slope - a.slope + 2.0 * d2
    return b.step - h * (b.slope + d2 - d1) / below if below else math.nan

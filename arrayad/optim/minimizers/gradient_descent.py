"""Gradient descent, its steps found by a line search.

**Source** Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), section 3.3; the first length that is tried: Barzilai &
Borwein, Two-point step size gradient methods, IMA J. Numer. Anal. 8 (1988), equation 5.
"""

from __future__ import annotations

import math

from arrayad.optim.minimizers.line_search import search
from arrayad.optim.minimizers.objective import Objective, Point
from arrayad.optim.minimizers.quasi_newton import first_step
from arrayad.optim.minimizers.running import Stalled


class GradientDescent:
    """d = -g, of which the length s·s / s·y of the last step is tried first.

    Converges linearly: the error shrinks at each step by a factor that comes near 1 as the Hessian's condition grows.
    """

    name = "gradient-descent"

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.length: float | None = None

    def advance(self, point: Point) -> Point:
        direction = -point.gradient
        first = first_step(direction) if self.length is None else self.length
        new = search(self.objective, point, direction, first)
        if new is None:
            decrease = math.inf if self.length is None else -point.slope(direction) * self.length / 2
            raise Stalled(decrease)
        if new.value > -math.inf:
            s, y = new.x - point.x, new.gradient - point.gradient
            self.length = float(s @ s) / float(s @ y) if s @ y > 0 else None
        return new

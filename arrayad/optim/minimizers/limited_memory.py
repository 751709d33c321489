"""L-BFGS: a quasi-Newton method that remembers the last steps instead of a matrix.

**Source** Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comp. 35 (1980); Liu & Nocedal, On the limited
memory BFGS method for large scale optimization, Math. Program. 45 (1989).
"""

from __future__ import annotations

from collections import deque

from arrayad.optim.minimizers.objective import Objective
from arrayad.optim.minimizers.quasi_newton import QuasiNewton
from arrayad.optim.minimizers.space import Array


class LimitedMemory(QuasiNewton):
    """H is made of the last pairs anew at each step, from (y·s / y·y) I of the last.

    **Parameters** `memory`: how many pairs.
    """

    name = "l-bfgs"

    def __init__(self, objective: Objective, memory: int = 10) -> None:
        super().__init__(objective)
        check_memory(objective.name, memory)
        self.pairs: deque[tuple[Array, Array, float]] = deque(maxlen=memory)

    def forget(self) -> None:
        self.pairs.clear()

    def remember(self, s: Array, y: Array) -> None:
        self.pairs.append((s, y, 1.0 / float(s @ y)))

    def times_inverse(self, g: Array) -> Array:
        q = g.copy()
        weights = []
        for s, y, rho in reversed(self.pairs):
            weight = rho * float(s @ q)
            q -= weight * y
            weights.append(weight)
        if self.pairs:
            s, y, rho = self.pairs[-1]
            q /= rho * float(y @ y)
        for (s, y, rho), weight in zip(self.pairs, reversed(weights), strict=True):
            q += (weight - rho * float(y @ q)) * s
        return q


def check_memory(name: str, memory: int) -> None:
    """**Raises** `ValueError` for a memory that holds nothing."""
    if memory < 1:
        raise ValueError(f"[{name}] memory is {memory}; it must be at least 1")

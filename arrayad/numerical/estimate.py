"""`Estimate`: a derivative by differences with all that is known about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayad import tree


@dataclass(frozen=True)
class Estimate:
    """A derivative by differences, what it is off by, and how it was found.

    **Parameters** `value`: the derivative, an array or a tree of arrays; `truncation` and `roundoff`: estimates of both
    errors of each element, trees like `value`; `step`: the step that each element was found with, likewise; `evaluations`:
    how often the function was evaluated; `scheme`: what it was found by, and `noise`: the relative error of the function's
    values that was assumed, or measured.
    """

    value: Any
    truncation: Any
    roundoff: Any
    evaluations: int
    step: Any
    scheme: str
    noise: float

    @property
    def error(self) -> Any:
        """Both errors together, a tree like `value`."""
        return tree.map(lambda t, r: t + r, self.truncation, self.roundoff)

    def __str__(self) -> str:
        leaves = [np.asarray(leaf) for leaf in tree.leaves(self.value)]
        worst = {name: largest(getattr(self, name)) for name in ("error", "truncation", "roundoff")}
        lone = len(leaves) == 1 and leaves[0].ndim == 0
        value = shown(leaves[0][()], worst["error"]) if lone else str(self.value)
        steps = [float(h) for leaf in tree.leaves(self.step) for h in np.ravel(leaf) if math.isfinite(h)]
        span = f"{min(steps):.1e}" if steps else "none"
        if steps and max(steps) > min(steps):
            span += f" to {max(steps):.1e}"
        return (
            f"{value} ± {worst['error']:.0e}\n"
            f"truncation {worst['truncation']:.1e}, round-off {worst['roundoff']:.1e}{'' if lone else ' (the largest)'}\n"
            f"{self.scheme}, step {span}, {self.evaluations:,} evaluations, noise {self.noise:.1e}"
        )

    __repr__ = __str__


def largest(errors: Any) -> float:
    """The largest of a tree of errors."""
    return max((float(np.max(leaf, initial=0.0)) for leaf in map(np.asarray, tree.leaves(errors))), default=0.0)


def shown(value: Any, error: float) -> str:
    """A number to the digits that its error leaves it."""
    size = abs(value)
    if not (np.isfinite(value) and size > 0 and math.isfinite(error)):
        return f"{value:.6g}"
    digits = 17 if error == 0 else math.floor(math.log10(size)) - math.floor(math.log10(error)) + 1
    return f"{value:.{min(max(digits, 1), 17)}g}"

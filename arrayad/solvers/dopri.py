"""The pair of Dormand and Prince, orders 5 and 4, with Shampine's dense output of order 4, as programs made of the field.

A field is a program of the captures, the state and the time that gives the state's derivative.  Times and steps are 0-d and in
float64 at least, whatever the state is in.

**Source** Dormand & Prince, A family of embedded Runge-Kutta formulae, J. Comput. Appl. Math. 6 (1980); Hairer, Nørsett & Wanner,
Solving Ordinary Differential Equations I, 2nd ed. (1993), table II.5.2 and section II.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.control.program import Program
from arrayad.primitives.arithmetic import add, multiply
from arrayad.primitives.casting import astype
from arrayad.shaped import Shaped
from arrayad.tensor import Tensor

ORDER = 5
NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    WEIGHTS,
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
DENSE = (
    -12715105075 / 11282082432,
    0.0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
)
STABILITY = 3.3
"""How far the method's stability region reaches along the negative real axis."""

State = list[Any]


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the parts of a complex number; of a real one its own."""
    return np.zeros((), dtype).real.dtype


def clock_of(state: Sequence[Shaped]) -> Shaped:
    """The abstract value of a time or step for a state."""
    return Shaped((), np.result_type(np.float64, *(real_dtype(x.dtype) for x in state)))


class Pair:
    """The formulas on a field, whose first inputs are `captures`; each method gives a program, made once."""

    def __init__(self, field: Program, captures: int) -> None:
        self.field = field
        self.captures = captures
        self.state = field.avals[captures:-1]
        self.clock = clock_of(self.state)

    def combined(self, y: State, h: Tensor, weights: Sequence[float], slopes: list[State]) -> State:
        """y + h Σ weights[i] slopes[i]."""
        return [add(leaf, change) for leaf, change in zip(y, self.change(h, weights, slopes), strict=True)]

    def change(self, h: Tensor, weights: Sequence[float], slopes: list[State]) -> State:
        """h Σ weights[i] slopes[i]."""
        leaves = zip(*slopes, strict=True)
        return [multiply(astype(h, dtype=real_dtype(k[0].dtype)), self.weighted(weights, k)) for k in leaves]

    @staticmethod
    def weighted(weights: Sequence[float], terms: Sequence[Tensor]) -> Tensor:
        """The sum of the terms whose weights are not 0."""
        first, *rest = [multiply(x, w) for w, x in zip(weights, terms, strict=True) if w]
        for x in rest:
            first = add(first, x)
        return first

    def slope(self, captured: Sequence[Tensor], y: State, t: Tensor) -> State:
        return self.field(*captured, *y, astype(t, dtype=self.field.avals[-1].dtype))

    def stages(
        self, captured: Sequence[Tensor], y: State, t: Tensor, h: Tensor, count: int, first: State | None = None
    ) -> tuple[list[State], list[State]]:
        """The first `count` slopes, and where they are taken; the first may be known."""
        slopes, points = [first or self.slope(captured, y, t)], [y]
        for i in range(1, count):
            points.append(self.combined(y, h, STAGES[i], slopes))
            slopes.append(self.slope(captured, points[i], add(t, multiply(h, NODES[i]))))
        return slopes, points

    def parts(self, operands: Sequence[Tensor]) -> tuple[Sequence[Tensor], State, Sequence[Tensor]]:
        """Captures, state, and what stands behind them."""
        end = self.captures + len(self.state)
        return operands[: self.captures], list(operands[self.captures : end]), operands[end:]

    def derive(self, key: str, function: Any, extra: int) -> Program:
        """The program of captures, state and `extra` times."""
        return self.field.derive(("pair", self.captures, key), function, [*self.field.avals[:-1], *[self.clock] * extra])

    def step(self) -> Program:
        """The state after a step, of (t, h)."""

        def function(*operands: Tensor) -> State:
            captured, y, (t, h) = self.parts(operands)
            slopes, _ = self.stages(captured, y, t, h, 6)
            return self.combined(y, h, WEIGHTS, slopes)

        return self.derive("step", function, 2)

    def attempt(self) -> Program:
        """What an integrator asks of a step, of the captures, the state, its slope and (t, h).

        Gives the state and the slope behind the step, the error, and the dense output's last term; then the point and the slope
        of the stage before the last, which with the last tell how stiff the field is.
        """

        def function(*operands: Tensor) -> State:
            captured, y, (*first, t, h) = self.parts(operands)
            slopes, points = self.stages(captured, y, t, h, 7, first)
            error, last = (self.change(h, weights, slopes) for weights in (ERROR, DENSE))
            return [*points[6], *slopes[6], *error, *last, *points[5], *slopes[5]]

        avals = [*self.field.avals[:-1], *self.state, self.clock, self.clock]
        return self.field.derive(("pair", self.captures, "attempt"), function, avals)

    def start(self) -> Program:
        """The slope at (t)."""

        def function(*operands: Tensor) -> State:
            captured, y, (t,) = self.parts(operands)
            return self.slope(captured, y, t)

        return self.derive("start", function, 1)

    def dense(self) -> Program:
        """The state within a step (t, h), at the time t + share · h."""

        def function(*operands: Tensor) -> State:
            captured, y, (t, h, share) = self.parts(operands)
            slopes, points = self.stages(captured, y, t, h, 7)
            last = self.change(h, DENSE, slopes)
            found = []
            for leaf, *rest in zip(y, points[6], slopes[0], slopes[6], last, strict=True):
                dtype = real_dtype(leaf.dtype)
                found.append(interpolated(astype(share, dtype=dtype), astype(h, dtype=dtype), leaf, *rest))
            return found

        return self.derive("dense", function, 3)


def interpolated(share: Any, h: Any, before: Any, after: Any, slope: Any, end_slope: Any, last: Any) -> Any:
    """The dense output, for Tensors and for arrays: the Hermite cubic of both ends and a term of degree 4."""
    change = after - before
    bend = h * slope - change
    rest = 1.0 - share
    return before + share * (change + rest * (bend + share * (change - h * end_slope - bend + rest * last)))

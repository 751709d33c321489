"""How far rounding may carry a derivative: the program is run again with a little noise on every intermediate value.

A relative change of size δ in each value, of random sign, changes a derivative as rounding does, δ / eps times as much; the sweep
goes through the same noise, since what it multiplies with is noisy too.

**Source** the idea is that of stochastic arithmetic: Vignes, A stochastic arithmetic for reliable scientific computation,
Mathematics and Computers in Simulation 35 (1993).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad import arbitrary
from arrayad.binding import bind
from arrayad.elementwise import Elementwise
from arrayad.readers.replay import evaluate
from arrayad.shaped import Bundle
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, aval_of, is_member
from arrayad.verification.place import Array, Function, Place, eps_of, numbers, sizes

SAMPLES = 3
MARGIN = 50
"""Derivatives may be off by so many times what the noise makes of one rounding in each operation."""


class Noise:
    """Functions like that of a place, each with noise of its own; `scale` is what their differences are to be multiplied with.

    What an operation gives is multiplied with noise.  The operands of one that mixes elements otherwise than by sums of products
    (a decomposition, a softmax, a loop) get noise of the size of their largest element, as such algorithms are stable by norm.
    """

    def __init__(self, place: Place, tape: Tape | None, rng: np.random.Generator) -> None:
        self.place, self.tape, self.rng = place, tape, rng
        dtypes = [entry.output.dtype for entry in tape.entries if is_float(entry.output)] if tape is not None else []
        self.dtype = max([place.dtype, *dtypes], key=eps_of)
        self.eps = eps_of(self.dtype)
        self.size = math.sqrt(self.eps)
        self.scale = self.eps / self.size
        with np.errstate(all="ignore"):
            self.values = {} if tape is None else evaluate(tape, list(map(handle, place.leaves)))

    def function(self) -> Function:
        """The function with noise on its arguments, and on the operands and the result of each operation."""
        given = [self.factor(x.shape, x.dtype, 1.0) for x in self.place.leaves]
        tape = self.tape
        if tape is None:
            return lambda *xs: self.place.function(*(x * factor for x, factor in zip(xs, given, strict=True)))
        factors = {
            entry: self.factor(entry.output.shape, entry.output.dtype, weight)
            for entry in tape.entries
            if is_float(entry.output) and (weight := roundings(entry))
        }
        shifts = {entry: [self.shift(x, tape) for x in entry.inputs] for entry in tape.entries if mixes(entry)}
        return lambda *xs: rerun(tape, [x * factor for x, factor in zip(xs, given, strict=True)], factors, shifts)

    def factor(self, shape: tuple[int, ...], dtype: np.dtype[Any], weight: float) -> Tensor:
        """1 + δ ξ with ξ = ±1 at random, in a dtype."""
        return handle(self.noise(shape, dtype, weight, 1))

    def shift(self, x: Any, tape: Tape) -> Tensor | None:
        """δ ξ max|x| for an operand that was computed, None for a constant."""
        if not is_member(x, tape) or not is_float(aval_of(x)) or not x.size:
            return None
        size = sizes(numbers(self.values[x.history]))
        largest = float(np.max(size, where=np.isfinite(size), initial=0.0))
        return handle(self.noise(x.shape, x.dtype, largest, 0)) if largest else None

    def noise(self, shape: tuple[int, ...], dtype: np.dtype[Any], weight: float, around: int) -> Any:
        """Random signs times δ times a weight, around a number, as a Tensor holds them."""
        signs = self.rng.choice([-1.0, 1.0], shape)
        if dtype.kind == "O":
            return arbitrary.of(around + arbitrary.of(signs).array * arbitrary.number(self.size * weight))
        return np.asarray(around + weight * min(self.size * eps_of(dtype) / self.eps, 0.01) * signs, dtype)

    def spread(self, samples: list[Array], found: Array) -> Array:
        """What one rounding in each operation makes of a derivative, given samples with noise: elementwise; inf if unknown."""
        with np.errstate(all="ignore"):
            changes = [np.asarray(np.abs(sample - found), float) for sample in samples]
            spread = np.median(np.stack(changes), axis=0) * self.scale
        return np.where(np.isnan(spread), np.inf, spread)


def is_float(output: Any) -> bool:
    """Whether an entry's output is one array of floating-point numbers."""
    return output.__class__ is not Bundle and output.dtype.kind in "fcO"


def roundings(entry: Any) -> float:
    """How often an operation rounds each element, as sums of that many terms have it on average; 0 where it only moves them."""
    row, output = entry.primitive, entry.output
    if isinstance(row, Elementwise):
        return 1.0
    cost = row.cost(output, *map(aval_of, entry.inputs), **entry.params)
    return math.sqrt(max(cost / max(output.size, 1), 1.0)) if cost else 0.0


def mixes(entry: Any) -> bool:
    """Whether an operation mixes the elements of its operands otherwise than by sums of products."""
    row = entry.primitive
    return row.kind not in ("linear", "bilinear", "selection") and not isinstance(row, Elementwise) and roundings(entry) > 0


def rerun(tape: Tape, operands: list[Any], factors: dict[Any, Tensor], shifts: dict[Any, list[Tensor | None]]) -> list[Tensor]:
    """The outputs of a tape with values multiplied by factors, and operands shifted, whatever its guards say."""
    values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))

    def value_at(x: Any) -> Any:
        return values[x.history] if is_member(x, tape) else x

    for entry in tape.entries:
        xs = list(map(value_at, entry.inputs))
        if entry in shifts:
            xs = [x if shift is None else x + shift for x, shift in zip(xs, shifts[entry], strict=True)]
        y = bind(entry.primitive, tuple(xs), entry.params)
        values[entry] = y * factors[entry] if entry in factors else y
    outs = [value_at(y) for y in tape.outputs]
    return [y if y.__class__ is Tensor else handle(arbitrary.stored(np.asarray(y))) for y in outs]


def traced(place: Place) -> tuple[Tape | None, list[str]]:
    """What the function does, or why that cannot be recorded."""
    try:
        return place.tape(), []
    except Exception as error:  # what a user's function raises in a trace may be anything
        return None, [f"note: the function cannot be traced, so that no operation can be suspected: {str(error).splitlines()[0]}"]

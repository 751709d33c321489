"""A derivative to be found by differences: its directions, what a scheme asks along each, how the answers are put together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.numerical.estimate import Estimate
from arrayad.numerical.extrapolation import extrapolated
from arrayad.numerical.noise import NoiseLevel, sampled_noise
from arrayad.numerical.sampling import Move, Sampled, operand
from arrayad.numerical.stencil import Array, Formula, formula
from arrayad.numerical.step import (
    COMPLEX_STEP,
    Asking,
    Difference,
    Displacement,
    Line,
    Noise,
    answers,
    mixed,
    relative_noise,
)

Scheme = str | Sequence[float]

RIDDERS = "ridders"
COMPLEX = "complex"


class Options(NamedTuple):
    """How differences are taken."""

    scheme: Scheme = "central"
    order: int | None = None
    step: Any = None
    bounds: Any = None
    noise: float | str | None = None
    vectorized: bool | None = None
    args: Sequence[Any] = ()
    holomorphic: bool = False

    @property
    def kind(self) -> str:
        """The scheme's name; "stencil" where it is given by its offsets."""
        return self.scheme if isinstance(self.scheme, str) else "stencil"

    def rule(self, derivatives: int) -> Formula:
        """The formula; beside the complex step, which differentiates once, that for the other derivatives."""
        if self.kind in (COMPLEX, RIDDERS):
            return formula("central", 4, derivatives)
        return formula(self.scheme, self.order, derivatives)

    @property
    def name(self) -> str:
        """What the scheme is called."""
        names = {COMPLEX: "complex step", RIDDERS: "extrapolated central differences (Ridders)"}
        return names.get(self.kind) or self.rule(1).name


class Direction(NamedTuple):
    """A direction from place `origin`: the elements `where` of the argument move by multiples of `by`, along `line`."""

    origin: int
    where: Array
    by: Array
    line: Line


class Task(NamedTuple):
    """A derivative along some directions, and along `imaginary` by the complex step."""

    directions: tuple[Direction, ...]
    imaginary: Direction | None
    asking: Asking[Any]

    def move(self, place: Displacement) -> Move | None:
        """What moves; None for nothing."""
        parts: list[tuple[Array, Array]] = [(d.where, a * d.by) for d, a in zip(self.directions, place, strict=True) if a]
        if self.imaginary is not None:
            parts.append((self.imaginary.where, self.line_step * 1j * self.imaginary.by))
        if not parts:
            return None
        origin = (*self.directions, *([self.imaginary] if self.imaginary else []))[0].origin
        if len(parts) == 1:
            return Move(origin, *parts[0])
        where = np.unique(np.concatenate([where for where, _ in parts]))
        by = np.zeros(where.shape, np.result_type(*(b for _, b in parts)))
        for indices, b in parts:
            by[np.searchsorted(where, indices)] += b
        return Move(origin, where, by)

    @property
    def line_step(self) -> float:
        """The complex step."""
        assert self.imaginary is not None
        return COMPLEX_STEP if self.imaginary.line.step is None else self.imaginary.line.step


class Problem:
    """A function at a place, or at several, whose derivatives are asked for."""

    def __init__(self, name: str, f: Callable[..., Any], x: Any, options: Options, *, each: bool = False) -> None:
        check_options(name, options)
        self.name, self.options, self.each = name, options, each
        self.sampled = Sampled(name, f, x, options.args, options.vectorized, each)
        self.is_complex = any(leaf.dtype.kind == "c" for leaf in self.sampled.leaves)
        if self.is_complex and options.kind == COMPLEX:
            raise DTypeError(f"[{name}] the complex step is for real arguments; these are complex: take another scheme")
        self.places = self.sampled.origins.ravel()
        low, high = (-np.inf, np.inf) if options.bounds is None else options.bounds
        self.low, self.high = self.spread("bounds", low), self.spread("bounds", high)
        self.check_bounds()
        self.steps = None if options.step is None or name in ("directional", "noise_level") else self.spread("step", options.step)
        if self.steps is not None and not np.all(self.steps > 0):
            raise ValueError(f"[{name}] step is {options.step}; it must be positive")
        self.noises: list[Noise] = []
        self.measure_noise()

    # --- what is given ------------------------------------------------------------------------------------------------

    def spread(self, what: str, given: Any) -> Array:
        """A number, an array or a tree of them for each element of the argument."""
        try:
            parts = tree.spread(given, tree.unflatten(self.sampled.structure, self.sampled.leaves))
            wide = [np.broadcast_to(np.asarray(g, np.float64), x.shape) for g, x in zip(parts, self.sampled.leaves, strict=True)]
        except ValueError as error:
            raise ValueError(f"[{self.name}] {what} must be a number, or fit the argument: {error}") from None
        return np.concatenate([w.ravel() for w in wide]) if wide else np.zeros(0)

    def check_bounds(self) -> None:
        if self.options.bounds is None:
            return
        if self.is_complex:
            raise DTypeError(f"[{self.name}] complex arguments have no bounds")
        if not np.all(self.low < self.high):
            raise ValueError(f"[{self.name}] bounds are {self.options.bounds}; low must be less than high")
        if np.any((self.places < self.low) | (self.places > self.high)):
            raise ValueError(f"[{self.name}] the argument lies outside of the bounds {self.options.bounds}")

    def check_holomorphic(self) -> None:
        """**Raises** `DTypeError` for complex results of complex arguments not said to be holomorphic, and the converse."""
        result = self.sampled.dtype.kind == "c"
        if self.is_complex and result and not self.options.holomorphic:
            raise DTypeError(
                f"[{self.name}] argument and result are complex; say holomorphic=True if the function is, "
                "or take real and imaginary parts"
            )
        if self.options.holomorphic and not (self.is_complex and result):
            raise DTypeError(
                f"[{self.name}] holomorphic=True is for functions from complex arrays to complex arrays; some are real"
            )

    # --- directions ---------------------------------------------------------------------------------------------------

    def line(self, where: Array, by: Array, step: float | None = None) -> Line:
        """The line on which these elements move; of complex ones, the size is what matters."""
        x = self.places[where]
        if self.is_complex:
            x, by = np.abs(x), np.abs(by)
        if step is None and self.steps is not None:
            step = float(np.min(self.steps[where] / np.abs(by)))
        return Line(x, by, self.low[where], self.high[where], step)

    def unit(self, i: int, by: complex = 1.0) -> Direction:
        """The direction of element number i, which is a place of its own for `each`."""
        where, sizes = np.array([i]), np.array([by])
        line = self.line(where, sizes)
        return Direction(i, np.array([0]), sizes, line) if self.each else Direction(0, where, sizes, line)

    def along(self, direction: Any) -> Direction:
        """A direction given as a tree like the argument."""
        leaves, structure = tree.flatten(direction)
        shapes = [np.shape(d) for d in leaves]
        if structure != self.sampled.structure or shapes != [x.shape for x in self.sampled.leaves]:
            raise ShapeError(
                f"[{self.name}] the direction is ({', '.join(map(describe, leaves))}), the argument "
                f"({', '.join(map(describe, self.sampled.leaves))}); they must be alike"
            )
        flat = [np.ravel(operand(self.name, "the direction", d)) for d in leaves]
        vector = np.concatenate(flat) if flat else np.zeros(0)
        if np.iscomplexobj(vector) and not self.is_complex:
            raise DTypeError(f"[{self.name}] the direction is complex, the argument real")
        (where,) = np.nonzero(vector)
        return Direction(0, where, vector[where], self.line(where, vector[where], self.options.step))

    # --- answers ------------------------------------------------------------------------------------------------------

    def task(self, directions: Sequence[Direction], derivatives: int = 1, options: Options | None = None) -> Task:
        """The derivative along directions, `derivatives` times along each, as these options or the problem's have it."""
        options, first = options or self.options, directions[0]
        base, noise = self.sampled.bases[first.origin], self.noises[first.origin]
        rest = tuple(directions)
        if options.kind == COMPLEX:
            rest = rest if derivatives > 1 else rest[1:]
            rule = options.rule(max(1, derivatives - 1))
            return Task(rest, first, turned([d.line for d in rest], rule, noise))
        lines = [d.line for d in rest]
        if options.kind == RIDDERS:
            return Task(rest, None, extrapolated(lines[0], base, noise, derivatives))
        return Task(rest, None, mixed(lines, options.rule(derivatives), base, noise))

    def answered(self, tasks: Sequence[Task]) -> list[Any]:
        """What comes of all tasks; what they ask for in one round is evaluated in one batch."""

        def evaluate(wanted: list[tuple[int, Displacement]]) -> list[Array]:
            moves = [tasks[i].move(place) for i, place in wanted]
            found = iter(self.sampled.at([move for move in moves if move is not None]))
            values = []
            for (i, _), move in zip(wanted, moves, strict=True):
                task = tasks[i]
                if move is None:
                    values.append(self.sampled.bases[task.directions[0].origin])
                elif task.imaginary is None:
                    values.append(next(found))
                else:
                    values.append(self.imaginary_part(next(found)) / task.line_step)
            return values

        return answers([task.asking for task in tasks], evaluate)

    def imaginary_part(self, y: Array) -> Array:
        """**Raises** `TypeError` where a function gave real numbers for complex ones."""
        if np.isrealobj(y):
            raise TypeError(
                f"[{self.name}] the function returned real numbers at complex ones, so the complex step sees nothing; "
                'use scheme "central"'
            )
        return np.asarray(y.imag)

    def measure_noise(self) -> None:
        """Settle what the values are off by, at each place: as said, or as a table of differences tells."""
        given, eps = self.options.noise, self.sampled.eps
        count = len(self.sampled.origins)
        if not isinstance(given, str):
            self.noises = [relative_noise(eps if given is None else float(given))] * count
            return
        directions = [self.unit(i) for i in range(count)] if self.each else [self.random_direction()]
        bases = self.sampled.bases
        tasks = [
            Task((d,), None, sampled_noise(d.line._replace(step=None), base)) for d, base in zip(directions, bases, strict=True)
        ]
        for base, (sigma, found, _) in zip(bases, self.answered(tasks), strict=True):
            sigma = np.where(found & np.isfinite(sigma), sigma, 0.0)
            size = np.abs(base)
            with np.errstate(all="ignore"):
                ratios = np.where(size > 0, sigma / size, 0.0)
            relative = float(np.max(ratios, initial=eps, where=np.isfinite(ratios)))
            self.noises.append(Noise(min(max(relative, eps), 0.1), eps, sigma))

    def random_direction(self) -> Direction:
        """A direction in which all elements move, each in proportion to its size; 1 for one element."""
        where = np.arange(self.places.size)
        by = np.random.default_rng(0).uniform(0.5, 1.0, where.shape) * np.where(where % 2, -1.0, 1.0)
        by = by * np.maximum(np.abs(self.places), 0.1) if where.size > 1 else np.ones(where.shape)
        return Direction(0, where, by, self.line(where, by))

    def noise_level(self, direction: Any) -> NoiseLevel:
        """The noise of the values along a direction, or along one in which all elements move."""
        chosen = self.random_direction() if direction is None else self.along(direction)
        if not self.places.size:
            raise ValueError(f"[{self.name}] the argument is empty")
        line = chosen.line._replace(step=self.options.step)
        (base,) = self.sampled.bases
        ((sigma, found, step),) = self.answered([Task((chosen,), None, sampled_noise(line, base))])
        with np.errstate(all="ignore"):
            relative = sigma / np.abs(base)
        return NoiseLevel(self.arranged(sigma), self.arranged(relative), self.sampled.evaluations, step, bool(np.all(found)))

    # --- the whole ----------------------------------------------------------------------------------------------------

    def columns(self) -> list[Difference]:
        """The derivatives by each element of the argument; by a complex one, those of real and imaginary part in one number."""
        count = self.places.size
        tasks = [self.task([self.unit(i)]) for i in range(count)]
        if not self.is_complex or self.options.holomorphic:
            return self.answered(tasks)
        found = self.answered(tasks + [self.task([self.unit(i, 1j)]) for i in range(count)])
        return [
            Difference(a.value + 1j * b.value, a.truncation + b.truncation, a.roundoff + b.roundoff, a.step)
            for a, b in zip(found[:count], found[count:], strict=True)
        ]

    def second(self) -> list[Difference]:
        """The second derivatives by each pair of elements, row by row."""
        count = self.places.size
        units = [self.unit(i) for i in range(count)]
        pairs = list(itertools.combinations(range(count), 2))
        own = [self.task([u], 2) for u in units]
        if self.options.kind != RIDDERS:
            found = self.answered(own + [self.task([units[i], units[j]]) for i, j in pairs])
            others = found[count:]
        else:
            diagonals = [[self.diagonal(i, j, side) for side in (1.0, -1.0)] for i, j in pairs]
            found = self.answered(own + [self.task([d], 2) for both in diagonals for d in both])
            others = [
                polarized(a, b, float(np.prod(up.by)))
                for a, b, (up, _) in zip(found[count::2], found[count + 1 :: 2], diagonals, strict=True)
            ]
        entries = {(i, i): d for i, d in enumerate(found[:count])} | dict(zip(pairs, others, strict=True))
        return [entries[min(i, j), max(i, j)] for i in range(count) for j in range(count)]

    def diagonal(self, i: int, j: int, side: float) -> Direction:
        """The direction in which two elements move, as far as their sizes are, to one side or to either."""
        where = np.array([i, j])
        sizes = np.abs(self.places[where])
        by = np.where(sizes > 0, sizes, 1.0) * np.array([1.0, side])
        return Direction(0, where, by, self.line(where, by))

    def estimate(self, found: Sequence[Difference], arrange: Callable[[Array, Array], Any] | None = None) -> Estimate:
        """The derivatives found, each a vector of all results, put together.

        **Parameters** `arrange`: takes the derivatives of one array among the results, a row for each of its elements, and
        that array, and gives the array or tree that stands for it.
        """
        outputs = self.sampled.outputs
        empty = np.zeros((sum(y.size for y in outputs), 0))
        whole = Difference(*(np.stack(part, axis=-1) for part in zip(*found, strict=True))) if found else Difference(*[empty] * 4)
        kind = self.sampled.dtype
        value = whole.value.astype(np.result_type(kind, np.complex64) if np.iscomplexobj(whole.value) else kind)
        noise = max((n.relative for n in self.noises), default=self.sampled.eps)
        return Estimate(
            value=self.arranged(value, arrange),
            truncation=self.arranged(whole.truncation, arrange),
            roundoff=self.arranged(whole.roundoff, arrange),
            evaluations=self.sampled.evaluations,
            step=self.arranged(whole.step, arrange),
            scheme=self.options.name,
            noise=noise,
        )

    def arranged(self, part: Array, arrange: Callable[[Array, Array], Any] | None = None) -> Any:
        """What belongs to the elements of the results, along axis 0, as a tree like the result."""
        outputs = self.sampled.outputs
        rows = np.split(part, np.cumsum([y.size for y in outputs])[:-1])
        leaves = [row.reshape(y.shape) if arrange is None else arrange(row, y) for row, y in zip(rows, outputs, strict=True)]
        assert self.sampled.result is not None
        return tree.map(lambda leaf: leaf[()], tree.unflatten(self.sampled.result, leaves))

    def like_argument(self, columns: Array, shape: tuple[int, ...]) -> Any:
        """The tree of derivatives, of an array of this shape, by each array of the argument: along the last axis of `columns`."""
        leaves = self.sampled.leaves
        parts = np.split(columns, np.cumsum([x.size for x in leaves])[:-1], axis=-1)
        return tree.unflatten(
            self.sampled.structure, [part.reshape((*shape, *x.shape)) for part, x in zip(parts, leaves, strict=True)]
        )

    def like_argument_twice(self, square: Array, shape: tuple[int, ...]) -> Any:
        """The tree of trees of second derivatives, by pairs of elements along the last two axes of `square`."""
        leaves = self.sampled.leaves
        parts = np.split(square, np.cumsum([x.size for x in leaves])[:-1], axis=-2)
        rows = [self.like_argument(part, (*shape, *x.shape)) for part, x in zip(parts, leaves, strict=True)]
        return tree.unflatten(self.sampled.structure, rows)


def turned(lines: Sequence[Line], rule: Formula, noise: Noise) -> Asking[Difference]:
    """The complex step's derivative, which is what the values are, differentiated along lines."""
    (slope,) = yield [(0.0,) * len(lines)]
    if lines:
        return (yield from mixed(lines, rule, slope, noise))
    nothing = np.zeros_like(slope)
    return Difference(slope, nothing, noise.of(np.abs(slope)), nothing + COMPLEX_STEP)


def polarized(up: Difference, down: Difference, area: float) -> Difference:
    """The mixed second derivative from those along both diagonals: ∂ᵢ∂ⱼf = (D²₊ - D²₋) / 4."""
    part = 1.0 / (4.0 * area)
    return Difference(
        (up.value - down.value) * part,
        (up.truncation + down.truncation) * part,
        (up.roundoff + down.roundoff) * part,
        up.step,
    )


def check_times(name: str, options: Options, derivatives: int) -> None:
    """**Raises** `ValueError` where the scheme has no derivatives of this order."""
    if isinstance(derivatives, bool) or not isinstance(derivatives, int) or derivatives < 1:
        raise ValueError(f"[{name}] derivatives is {derivatives!r}; a positive int is needed")
    options.rule(derivatives)


def check_options(name: str, options: Options) -> None:
    """**Raises** `ValueError` for a scheme, an order or a noise that there is not."""
    noise = options.noise
    if options.kind in (COMPLEX, RIDDERS) and options.order is not None:
        raise ValueError(f"[{name}] the scheme {options.kind} has no order")
    options.rule(1)
    if isinstance(noise, str) and noise != "estimate":
        raise ValueError(f'[{name}] noise is {noise!r}; a number, "estimate" or None is needed')
    if noise is not None and not isinstance(noise, str) and not 0 < noise < 1:
        raise ValueError(f"[{name}] noise is {noise}; the relative error of the values lies between 0 and 1")

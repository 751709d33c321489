"""How the cost of a gradient grows with the number of inputs: differences and forward mode with it, reverse mode not at all.

A family gives a function of n inputs and a point for every n.  Each way to its gradient is run along all n directions; where that
would take too long, along a sample of them, and the time is scaled to all.

**Source** Baur & Strassen, The complexity of partial derivatives, Theor. Comput. Sci. 22 (1983); Griewank & Walther, Evaluating
Derivatives, 2nd ed. (2008), chapter 4.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from arrayad.comparison.problem import once
from arrayad.comparison.units import duration
from arrayad.extras import extra
from arrayad.functions.creation import tensor
from arrayad.readers.cost import joint_tape, program_cost, tangent_tape
from arrayad.shaped import Shaped
from arrayad.tracing import record
from arrayad.transforms import jvp, value_and_grad, vmap

Function = Callable[[Any], Any]
Family = Callable[[int], tuple[Function, Any]]
Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]
Run = Callable[[Sequence[int]], None]
"""Runs a way along the directions of these numbers."""

SIZES = tuple(10**k for k in range(7))
LIMIT = 10.0
"""Seconds beyond which a sample of the directions is timed."""

SAMPLE = 0.1
"""How large a part of the limit a sample takes."""

BLOCK = 1 << 18
"""Elements of the points, or directions, that are computed as one batch."""

STEP = 6e-6
"""Of the differences, whose error is of no interest here."""

REVERSE = "reverse mode"


class Way(NamedTuple):
    """A way to a gradient: `prepare(f, x, compiled)` gives its `Run`; `runs(k, n)` counts what k of n directions take of it.

    `flops(n, value, both, pushed)` are the weighted operations along all directions, given those of the value, of value and
    gradient, and of value and tangent.
    """

    name: str
    prepare: Callable[[Function, Any, Compiler], Run]
    runs: Callable[[int, int], float]
    flops: Callable[[int, float, float, float], float]


@dataclass(frozen=True)
class Growth:
    """What was found; printed, it is a table.

    `seconds` and `flops` have a list for each way, an element for each of `sizes`; `sampled[way][i]` is the number of directions
    that were timed where that was a sample, else None.  The way "function" is the value alone.
    """

    name: str
    sizes: list[int]
    seconds: dict[str, list[float]]
    sampled: dict[str, list[int | None]]
    flops: dict[str, list[float]]

    def crossover(self, way: str, flops: bool = False) -> int | None:
        """From which number of inputs on reverse mode is cheaper than a way, in time or in weighted operations.

        Between the sizes that were measured it is interpolated on logarithmic scales; None if reverse mode is never cheaper.
        """
        costs = self.flops if flops else self.seconds
        gains = [
            math.log(other / ours) if ours and other else 0.0 for other, ours in zip(costs[way], costs[REVERSE], strict=True)
        ]
        last = max((i for i, gain in enumerate(gains) if gain <= 0), default=-1)
        if last == len(gains) - 1:
            return None
        if last < 0:
            return self.sizes[0]
        low, high = math.log(self.sizes[last]), math.log(self.sizes[last + 1])
        return math.ceil(math.exp(low + (high - low) * -gains[last] / (gains[last + 1] - gains[last])) * (1 + 1e-12))

    def __str__(self) -> str:
        ways = list(self.seconds)
        rows = [["inputs", *ways]]
        for i, n in enumerate(self.sizes):
            rows.append([f"{n:,}", *(self.cell(way, i) for way in ways)])
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = [self.name] + ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
        if any(k is not None for found in self.sampled.values() for k in found):
            lines.append("*: a sample of the directions was timed, and scaled to all")
        return "\n".join([*lines, *self.crossings()])

    def cell(self, way: str, i: int) -> str:
        """A time of the table; the star is for a sample."""
        return duration(self.seconds[way][i]) + ("*" if self.sampled[way][i] is not None else " ")

    def crossings(self) -> list[str]:
        """A line for each way that reverse mode is compared with."""
        lines = []
        for way in self.seconds:
            if way not in ("function", REVERSE):
                n = self.crossover(way)
                lines.append(f"reverse mode is faster than {way} " + ("at no size" if n is None else f"from n = {n:,} on"))
        return lines

    def plot(self, axes: Any = None, path: str | os.PathLike[str] | None = None) -> Any:
        """Time against the number of inputs, on logarithmic scales; samples are hollow, dots stand where reverse mode takes over.

        **Parameters** `axes`: Matplotlib's, to draw into; without them a figure is made.  `path`: where to write it.

        **Returns** the axes.

        **Raises** `ImportError` without the extra `plot`.
        """
        figure = None
        if axes is None:
            figure = extra("growth", "matplotlib.figure", "plot").Figure(figsize=(7.0, 4.6), layout="constrained")
            axes = figure.subplots()
        for k, (way, seconds) in enumerate(self.seconds.items()):
            colour = "0.55" if way == "function" else f"C{k - 1}"
            width = 2.2 if way == REVERSE else 1.3
            axes.loglog(self.sizes, seconds, color=colour, linewidth=width, label=way)
            for sampled in (False, True):
                points = [i for i, count in enumerate(self.sampled[way]) if (count is not None) == sampled]
                axes.plot(
                    [self.sizes[i] for i in points],
                    [seconds[i] for i in points],
                    "o",
                    markersize=4.5,
                    color=colour,
                    markerfacecolor="white" if sampled else colour,
                )
            crossover = None if way in ("function", REVERSE) else self.crossover(way)
            if crossover is not None and crossover > self.sizes[0]:
                axes.axvline(crossover, color=colour, linestyle=":", linewidth=1)
        axes.set_xlabel("inputs n")
        axes.set_ylabel("seconds for a gradient")
        axes.set_title(f"{self.name}; hollow: scaled from a sample", fontsize=10)
        axes.grid(True, which="major", linewidth=0.4, alpha=0.6)
        axes.legend(fontsize=8, framealpha=1.0)
        if path is not None:
            axes.figure.savefig(path, dpi=110)
        return axes

    def record(self) -> dict[str, Any]:
        """The numbers, for machines."""
        ways = [way for way in self.seconds if way not in ("function", REVERSE)]
        return {
            "name": self.name,
            "sizes": self.sizes,
            "seconds": self.seconds,
            "sampled": self.sampled,
            "flops": self.flops,
            "crossover": {way: self.crossover(way) for way in ways},
        }


# --- the ways ----------------------------------------------------------------------------------------------------------


def value(f: Function, x: Any, compiled: Compiler) -> Run:
    run, point = compiled(f), tensor(x)
    return lambda directions: run(point)


def reverse(f: Function, x: Any, compiled: Compiler) -> Run:
    run, point = compiled(value_and_grad(f)), tensor(x)
    return lambda directions: run(point)


def unit(x: Any, i: int, length: float = 1.0) -> Any:
    """The direction of element i."""
    t = np.zeros(x.shape, x.dtype)
    t.reshape(-1)[i] = length
    return t


def forward(f: Function, x: Any, compiled: Compiler) -> Run:
    run, point = compiled(lambda x, t: jvp(f, (x,), (t,))), tensor(x)

    def along(directions: Sequence[int]) -> None:
        for i in directions:
            run(point, tensor(unit(x, i)))

    return along


def central(f: Function, x: Any, compiled: Compiler) -> Run:
    run = compiled(f)

    def along(directions: Sequence[int]) -> None:
        for i in directions:
            h = unit(x, i, STEP)
            run(tensor(x + h))
            run(tensor(x - h))

    return along


def one_sided(f: Function, x: Any, compiled: Compiler) -> Run:
    run = compiled(f)

    def along(directions: Sequence[int]) -> None:
        run(tensor(x))
        for i in directions:
            run(tensor(x + unit(x, i, STEP)))

    return along


def block(n: int) -> int:
    """How many directions make a batch."""
    return max(1, min(n, BLOCK // n))


def units(x: Any, directions: Sequence[int]) -> Any:
    """Directions of elements, one behind the other."""
    t = np.zeros((len(directions), x.size), x.dtype)
    t[np.arange(len(directions)), directions] = 1.0
    return t.reshape((len(directions), *x.shape))


def batches(x: Any, directions: Sequence[int]) -> list[Any]:
    """Directions in batches of one size, the last filled up."""
    size = block(x.size)
    filled = [*directions, *[0] * (-len(directions) % size)]
    return [units(x, filled[i : i + size]) for i in range(0, len(filled), size)]


def forward_in_batches(f: Function, x: Any, compiled: Compiler) -> Run:
    run, point = compiled(lambda x, ts: vmap(lambda t: jvp(f, (x,), (t,))[1])(ts)), tensor(x)

    def along(directions: Sequence[int]) -> None:
        for ts in batches(x, directions):
            run(point, tensor(ts))

    return along


def central_in_batches(f: Function, x: Any, compiled: Compiler) -> Run:
    run = compiled(vmap(f))

    def along(directions: Sequence[int]) -> None:
        for ts in batches(x, directions):
            run(tensor(x + STEP * ts))
            run(tensor(x - STEP * ts))

    return along


def in_batches(k: int, n: int) -> float:
    return math.ceil(k / block(n))


WAYS = [
    Way("function", value, lambda k, n: 1, lambda n, value, both, pushed: value),
    Way(REVERSE, reverse, lambda k, n: 1, lambda n, value, both, pushed: both),
    Way("forward mode", forward, lambda k, n: k, lambda n, value, both, pushed: n * pushed),
    Way("forward mode, batched", forward_in_batches, in_batches, lambda n, value, both, pushed: n * pushed),
    Way("forward differences", one_sided, lambda k, n: k + 1, lambda n, value, both, pushed: (n + 1) * value),
    Way("central differences", central, lambda k, n: 2 * k, lambda n, value, both, pushed: 2 * n * value),
    Way("central differences, batched", central_in_batches, in_batches, lambda n, value, both, pushed: 2 * n * value),
]


# --- measuring ---------------------------------------------------------------------------------------------------------


def timed(way: Way, run: Run, n: int, limit: float, seconds: float) -> tuple[float, int | None]:
    """Seconds along all directions, and of how many that was scaled, if it was."""
    first = [0]
    run(first)
    single = min(once(lambda: run(first)) for _ in range(3))
    if single * way.runs(n, n) / way.runs(1, n) <= limit:
        directions: Sequence[int] = range(n)
        best, spent = math.inf, 0.0
        while spent < seconds or math.isinf(best):
            took = once(lambda: run(directions))
            best, spent = min(best, took), spent + took
        return best, None
    least = max(1, math.floor(limit * SAMPLE / single)) * (block(n) if way.runs is in_batches else 1)
    sample = np.linspace(0, n - 1, min(n, least), dtype=int).tolist()
    return once(lambda: run(sample)) * way.runs(n, n) / way.runs(len(sample), n), len(sample)


def operations(f: Function, x: Any) -> tuple[float, float, float]:
    """The weighted operations of the value, of value and gradient, and of value and tangent, by shapes."""
    tape = record(f, [Shaped(x.shape, x.dtype)])
    return program_cost(tape).flops, program_cost(joint_tape(tape)).flops, program_cost(tangent_tape(tape)).flops


def growth(
    family: Family,
    sizes: Sequence[int] = SIZES,
    *,
    ways: Sequence[str] | None = None,
    name: str = "",
    compiled: Compiler = lambda f: f,
    limit: float = LIMIT,
    seconds: float = 0.05,
) -> Growth:
    """Time the gradient of a family of functions by every way, for growing numbers of inputs.

    **Parameters** `family`: `family(n)` gives (f, x), a function of one array to one number, and an array of n floats.  `sizes`:
    the numbers of inputs, ascending.  `ways`: names of those that are wanted beside "function" and "reverse mode"; all if None.
    `name`: the title.  `compiled`: what is done to each program before it is timed, such as `compile`.  `limit`: seconds beyond
    which a way is timed along a sample of the directions, which takes some tenth of that, and scaled.  `seconds`: how long each
    is repeated.

    **Returns** a `Growth`, which prints as a table with the sizes from which reverse mode wins; `.plot(path=...)` draws it.

    **Raises** `ValueError` for a way that there is not, and where the point has not n elements.

    **Example**

    >>> import numpy as np
    >>> import arrayad as ad
    >>> found = growth(lambda n: (lambda x: ad.sum(ad.sin(x) * x), np.ones(n)), sizes=(1, 10, 100), seconds=0)
    >>> found.flops["reverse mode"], found.flops["central differences"]
    ([35.0, 359.0, 3599.0], [32.0, 3380.0, 339800.0])
    >>> found.crossover("central differences", flops=True)
    2
    """
    unknown = set(ways or ()) - {way.name for way in WAYS}
    if unknown:
        raise ValueError(f"[growth] there is no way {sorted(unknown)}; the ways are {[way.name for way in WAYS]}")
    chosen = [way for way in WAYS if ways is None or way.name in (*ways, "function", REVERSE)]
    times: dict[str, list[tuple[float, int | None]]] = {way.name: [] for way in chosen}
    flops: dict[str, list[float]] = {way.name: [] for way in chosen}
    for n in sizes:
        f, x = family(n)
        x = np.asarray(x)
        if x.size != n:
            raise ValueError(f"[growth] the point for n = {n} has {x.size} elements; family(n) must give one of n")
        counts = operations(f, x)
        for way in chosen:
            times[way.name].append(timed(way, way.prepare(f, x, compiled), n, limit, seconds))
            flops[way.name].append(way.flops(n, *counts))
    seconds_of = {name: [took for took, _ in found] for name, found in times.items()}
    sampled = {name: [count for _, count in found] for name, found in times.items()}
    return Growth(name or "gradient", list(sizes), seconds_of, sampled, flops)

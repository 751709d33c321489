"""`python -m arrayad precision`: how near the derivatives of elementwise functions come to their true values.

The error of a derivative g at a point is given in units of ulp × max(1, κ): ulp is the spacing of the dtype at g (in the
subnormal range the smallest subnormal), and κ = Σ |x[i] ∂g/∂x[i]| / |g| the condition number of g, by which any method
that rounds its operands once may be off.  The truth comes from mpmath: central differences of the row's `mpmath` text with
steps of 2^-100 of the operand or less, in as many bits as the differences cancel.  Since these take a millisecond a point,
all points are looked over first with our own derivatives in 40 digits, which are a hundred times as fast, and those count
that could exceed the largest error found so far.  Needs the extra `arrayad[precision]`.
"""

from __future__ import annotations

import argparse
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.arbitrary import context
from arrayad.elementwise import Elementwise, minus_one, one
from arrayad.extras import extra
from arrayad.functions.creation import asarray, ones_like
from arrayad.namespace import PUBLIC
from arrayad.nn import functional
from arrayad.primitive import OUTPUT, TABLE, operand_names
from arrayad.readers.emit import derivative_tape, numpy_function
from arrayad.transforms import vjp
from arrayad.version import __version__

BOUND = 4.0
"""What every derivative is held to, in units of ulp × max(1, condition number)."""

DTYPES = ("float64", "float32")
STEP = 100
"""Differences take steps of about 2^-STEP, times the operand where that is below 1."""

SURE = 60
"""Differences count as known when as many bits more change none of the first SURE."""

UNEVEN = 0.7310585786300049
"""No step is a power of two, lest kinks at regular distances hide between them."""

HOPELESS = 2.0**50
"""From this condition number on no digit is asked for, and the differences would have none."""

Array = np.ndarray[Any, Any]
Kernel = Callable[[list[Array]], Array]


@dataclass(frozen=True)
class Subject:
    """A derivative under test: of a row, or of a function composed of rows, by one operand.

    `kernel(backend)` gives a function from the operands to the values of function and derivative, or None where the
    backend has no kernel of its own.  `function` is the public one.
    """

    name: str
    operand: str
    mpmath: str
    arity: int
    i: int
    kernel: Callable[[str], Callable[[list[Array]], tuple[Array, Array]] | None]
    integers: dict[int, tuple[int, int]]
    function: Callable[..., Any]


@dataclass
class Worst:
    """The largest error seen, and where."""

    error: float = 0.0
    point: tuple[float, ...] = ()
    points: int = 0


# --- what is measured --------------------------------------------------------------------------------------------------

COMPOSED = {
    "functional.gelu": (functional.gelu, "x * mp.erfc(-x / mp.sqrt(2)) / 2"),
    "functional.silu": (functional.silu, "x / (1 + mp.exp(-x))"),
}
"""Other functions of elements whose derivatives are known for losing digits."""


WITHIN: dict[str, Callable[..., Array]] = {
    "remainder": lambda x1, x2: np.abs(x1 / x2) < 2.0**60,  # beyond, a difference steps over kinks
    "polygamma": lambda x1, x2: x2 > -1000,  # below, mpmath takes minutes for a point
}
"""Where the truth is to be had, if not everywhere."""

LOOKED_OVER: dict[str, Callable[..., Array]] = {"digamma": lambda x: x > -1000}  # of which the derivative is polygamma
"""Where our own derivatives in 40 digits are to be had, if not everywhere."""


def subjects() -> Iterator[Subject]:
    """The derivatives of all public elementwise rows that have a formula in mpmath, but for those that are constant.

    What is not public serves the derivatives of others; its own are second derivatives.
    """
    rows = [row for row in TABLE.values() if isinstance(row, Elementwise) and row.mpmath is not None and row.name in PUBLIC]
    for row in rows:
        for i, partial in enumerate(row.partials):
            if partial not in (None, one, minus_one):
                yield of_row(row, i)
    for name, (function, mpmath) in COMPOSED.items():
        yield of_function(name, function, mpmath)


def of_row(row: Elementwise, i: int) -> Subject:
    """The derivative that the reverse kernels of a row compute."""
    integers = {}
    for position, dtype in row.samples.dtypes.items():
        low, high = row.samples.low, row.samples.high
        integers[position] = (low[position], high[position]) if isinstance(low, tuple) else (low, high)
        assert dtype == "int64"
    name = f"{row.name}_vjp{i + 1}"
    tape = derivative_tape(row, i)

    def kernel(backend: str) -> Any:
        if backend == "numpy":
            forward, reverse = row.numpy, numpy_function(tape, name)
        else:
            both = kernels.elementwise(row.name, row.numpy), kernels.elementwise(name, row.numpy)
            if any(large.arity == 0 for large in both):
                return None
            forward, reverse = map(in_c, both)

        def compute(operands: list[Array]) -> tuple[Array, Array]:
            y = forward(*operands)
            values = [*operands, y]
            residuals = [values[row.arity if position == OUTPUT else position] for position in row.positions[i]]
            return y, reverse(np.ones_like(y), *residuals)

        return compute

    operand = operand_names(row.arity)[i]
    return Subject(row.name, operand, row.mpmath or "", row.arity, i, kernel, integers, row.apply)


def in_c(large: Any) -> Callable[..., Array]:
    """A large kernel that computes in C whatever the size."""
    large.c_threshold = 0

    def compute(*operands: Array) -> Array:
        out = large.in_c(operands)
        assert out is not None, large.name
        return out

    return compute


def of_function(name: str, function: Callable[[Any], Any], mpmath: str) -> Subject:
    """The derivative of a public function, as `vjp` gives it."""

    def kernel(backend: str) -> Any:
        if backend == "c" and kernels.why_not_native is not None:
            return None

        def compute(operands: list[Array]) -> tuple[Array, Array]:
            with kernels.backend("numpy" if backend == "numpy" else "c"):
                y, pull = vjp(function, *operands)
                return np.asarray(y), np.asarray(pull(np.ones_like(operands[0]))[0])

        return compute

    return Subject(name, "x", mpmath, 1, 0, kernel, {}, function)


# --- where it is measured ----------------------------------------------------------------------------------------------


def points(subject: Subject, count: int, dtype: str) -> list[Array]:
    """Seeded operands of both signs: log-spaced over all normal numbers, from 10^-3 to 10^3, and towards ±1."""
    rng = np.random.default_rng([zlib.crc32(subject.name.encode()), count])
    info = np.finfo(dtype)
    whole = (math.log10(float(info.tiny)), math.log10(float(info.max)))
    operands = []
    for position in range(subject.arity):
        if position in subject.integers:
            operands.append(rng.integers(*subject.integers[position], count, endpoint=True))
            continue
        third = count // 3
        wide = 10 ** np.linspace(whole[0], whole[1] - 1e-9, third)
        middle = 10 ** np.linspace(-3, 3, count - 2 * third)
        near_one = 1 + rng.choice([-1.0, 1.0], third) * 10 ** np.linspace(math.log10(float(info.eps)), -0.1, third)
        parts = [rng.permutation(wide), rng.permutation(middle), rng.permutation(near_one)]
        if position:
            alike = np.abs(operands[0][:third:2].astype(float)) / 10 ** rng.uniform(0, 3, len(parts[0][::2]))
            parts[0][::2] = np.maximum(alike, float(info.tiny))
        x = np.concatenate(parts) * rng.choice([-1.0, 1.0], count)
        operands.append(np.clip(x, -float(info.max), float(info.max)).astype(dtype))
    return operands


# --- the truth ---------------------------------------------------------------------------------------------------------


class OutsideError(Exception):
    """The point lies outside the domain of the derivative, or on its edge."""


class Truth:
    """The derivative of a formula of mpmath and its condition number, at one point after another."""

    def __init__(self, subject: Subject, dtype: str) -> None:
        self.mp = context()
        self.i = subject.i
        self.moving = [k for k in range(subject.arity) if k not in subject.integers]
        self.names = operand_names(subject.arity)
        self.program = compile(subject.mpmath, subject.name, "eval")
        info = np.finfo(dtype)
        self.bits = 2 * (info.maxexp - info.minexp + info.nmant + 2 * STEP)

    def value(self, point: list[Any]) -> Any:
        """The formula's value."""
        value = eval(self.program, {"mp": self.mp, **dict(zip(self.names, point, strict=True))})
        if isinstance(value, self.mp.mpc):
            raise OutsideError
        return self.mp.mpf(value)

    def at(self, operands: tuple[Any, ...]) -> tuple[Any, float]:
        """Derivative and condition number.

        **Raises** `OutsideError` where the formula is not real in the neighbourhood, `OverflowError` where mpmath cannot.
        """
        mp = self.mp
        bits, seen = 3 * STEP, mp.zero
        while bits < self.bits:
            with mp.workprec(bits):
                point = [mp.mpf(float(x)) if k in self.moving else int(x) for k, x in enumerate(operands)]
                steps = [mp.ldexp(UNEVEN * min(abs(x), 1), -STEP) if k in self.moving else 0 for k, x in enumerate(point)]
                below, middle, above = (self.value(self.moved(point, steps, {self.i: s})) for s in (-1, 0, 1))
                rise = above - below
                needed = bits + 1
                if rise:
                    lost = mp.mag(middle) - mp.mag(rise) if middle else 0
                    needed = max(lost, 0) + mp.mag(point[self.i]) - mp.mag(steps[self.i]) + STEP
                    if needed <= bits and abs(rise - seen) <= mp.ldexp(abs(rise), -SURE):
                        return rise / (2 * steps[self.i]), self.condition(point, steps, rise, abs(above + below - 2 * middle))
            bits, seen = (bits + SURE, rise) if needed <= bits else (max(needed, 3 * bits // 2), mp.zero)
        return mp.zero, 0.0

    def condition(self, point: list[Any], steps: list[Any], rise: Any, bend: Any) -> float:
        """The condition number, from the function's first and second differences by the operand in question."""
        mp, i = self.mp, self.i
        total = 2 * bend * abs(point[i]) / steps[i]
        for j in self.moving:
            if j != i:
                corners = [self.value(self.moved(point, steps, {i: s, j: t})) for s in (-1, 1) for t in (-1, 1)]
                total += abs(corners[0] - corners[1] - corners[2] + corners[3]) / 2 * abs(point[j]) / steps[j]
        return float(min(total / abs(rise), mp.mpf(10) ** 300))

    def moved(self, point: list[Any], steps: list[Any], by: dict[int, int]) -> list[Any]:
        """The point with operands moved by whole numbers of steps."""
        return [x + by[k] * steps[k] if k in by else x for k, x in enumerate(point)]


def error_of(mp: Any, found: Any, exact: Any, condition: float) -> float:
    """The error in units of ulp × max(1, condition number); a result beyond the largest number must be infinite."""
    info = np.finfo(found.dtype)
    scale = max(1.0, condition)
    largest = mp.mpf(float(info.max))
    if not np.isfinite(found):
        slack = 1 - min(BOUND * scale * float(info.eps), 1)
        return 0.0 if abs(exact) >= largest * slack and (found > 0) == (exact > 0) else math.inf
    magnitude = min(abs(exact), largest)
    unit = max(mp.ldexp(1, mp.mag(magnitude) - 1 - info.nmant) if magnitude else 0, mp.mpf(float(info.smallest_subnormal)))
    return float(abs(mp.mpf(float(found)) - min(max(exact, -largest), largest)) / unit / scale)


# --- the measurement ---------------------------------------------------------------------------------------------------


def measure(subject: Subject, dtype: str, count: int, backends: tuple[str, ...] = ("numpy", "c")) -> dict[str, Worst]:
    """The largest error of each backend that has a kernel, at those of `count` points where the function is finite."""
    operands = points(subject, count, dtype)
    found = {}
    with np.errstate(all="ignore"):
        for backend in backends:
            compute = subject.kernel(backend)
            if compute is not None:
                found[backend] = compute(operands)
    return worst_of(subject, dtype, operands, found)


def worst_of(subject: Subject, dtype: str, operands: list[Array], found: dict[str, tuple[Array, Array]]) -> dict[str, Worst]:
    """The largest error among derivatives (the second of each pair) where the function (the first) is finite."""
    truth = Truth(subject, dtype)
    inside = np.logical_and.reduce([np.isfinite(y) for y, _ in found.values()])
    if subject.name in WITHIN:
        with np.errstate(all="ignore"):
            inside &= WITHIN[subject.name](*operands)
    places = np.flatnonzero(inside)
    near = in_40_digits(subject, [x[places] for x in operands])
    return {backend: largest(truth, operands, g, places, near) for backend, (_, g) in found.items()}


def in_40_digits(subject: Subject, operands: list[Array]) -> Array:
    """The derivative by our own rules in arithmetic of 40 digits; nan where that takes too long."""
    mp, moving = context(), subject.i
    if subject.name in LOOKED_OVER:
        chosen = LOOKED_OVER[subject.name](*operands)
        found = np.full(chosen.shape, mp.nan, object)
        if not chosen.all():
            found[chosen] = in_40_digits(subject, [x[chosen] for x in operands])
            return found
    with mp.workdps(40), np.errstate(all="ignore"):
        exact = [x if k in subject.integers else asarray(x).astype(object) for k, x in enumerate(operands)]
        _, pull = vjp(lambda x: subject.function(*exact[:moving], x, *exact[moving + 1 :]), exact[moving])
        return pull(ones_like(exact[moving]))[0].numpy()


def at_most(g: Array, near: Array) -> Array:
    """The error of each derivative, in ulp, and no less; infinite where 40 digits do not tell."""
    high = near.astype(np.float64)
    low = np.array([float(exact - first) if abs(first) < math.inf else math.nan for exact, first in zip(near, high, strict=True)])
    with np.errstate(all="ignore"):
        size = np.abs(high).astype(g.dtype)
        unit = np.minimum(np.spacing(size), np.spacing(np.nextafter(size, g.dtype.type(0)))).astype(np.float64)
        error = np.abs((g.astype(np.float64) - high) - low) / unit * (1 + 1e-6)
    return np.where(np.isnan(error), np.inf, error)


def largest(truth: Truth, operands: list[Array], g: Array, places: Array, near: Array) -> Worst:
    """The largest error of a backend's derivatives `g`, of which `near` are known in 40 digits."""
    worst = Worst(points=len(places))
    bounds = at_most(g[places], near)
    for place in np.argsort(-bounds, kind="stable"):
        if bounds[place] <= worst.error:
            break
        k = places[place]
        point = tuple(x[k] for x in operands)
        try:
            exact, condition = truth.at(point)
        except (OutsideError, OverflowError):
            continue
        error = error_of(truth.mp, g[k], exact, condition) if condition < HOPELESS else 0.0
        if error > worst.error:
            worst.error, worst.point = error, tuple(map(float, point))
    return worst


# --- the command -------------------------------------------------------------------------------------------------------

COLUMNS = [(backend, dtype) for backend in ("numpy", "c") for dtype in DTYPES]
HEADINGS = ("NumPy, float64", "NumPy, float32", "C, float64", "C, float32")
HEADER = f"{'function':<20}{'by':<4}" + "".join(f"{heading:>16}" for heading in HEADINGS) + "   largest at"

Row = tuple[Subject, dict[tuple[str, str], Worst]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--points", type=int, default=2000, help="points for each derivative and dtype (default 2000)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these functions alone")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the page docs/precision.md, or one like it, too")


def run(options: argparse.Namespace) -> None:
    """Measure, print a line for each derivative, and write the page.

    **Raises** `SystemExit` for a name that is not there, fewer than ten points, where the extra is not installed, and after
    the table where a derivative exceeds the bound.
    """
    extra("precision", "mpmath", "precision")
    if options.points < 10:
        raise SystemExit(f"[precision] --points is {options.points}; at least 10 are needed")
    chosen = [subject for subject in subjects() if not options.only or subject.name in options.only]
    unknown = set(options.only or ()) - {subject.name for subject in chosen}
    if unknown:
        raise SystemExit(f"[precision] no derivative of {', '.join(sorted(unknown))}; there are those that the whole table lists")
    print(HEADER)
    rows = []
    for subject in chosen:
        found = {(b, dtype): w for dtype in DTYPES for b, w in measure(subject, dtype, options.points).items()}
        rows.append((subject, found))
        print(line(subject, found), flush=True)
    if options.write is not None:
        options.write.write_text(page(rows, options.points), encoding="utf-8")
    beyond = [subject.name for subject, found in rows if any(worst.error > BOUND for worst in found.values())]
    if beyond:
        raise SystemExit(f"[precision] beyond {BOUND:g}: {', '.join(beyond)}")


def cells(found: dict[tuple[str, str], Worst]) -> list[str]:
    """The errors as text, nothing where there is no kernel."""
    return [f"{found[column].error:.2f}" if column in found else "" for column in COLUMNS]


def place(found: dict[tuple[str, str], Worst]) -> str:
    """The point of the largest error of all."""
    worst = max(found.values(), key=lambda worst: worst.error)
    return ", ".join(f"{x:.6g}" for x in worst.point)


def line(subject: Subject, found: dict[tuple[str, str], Worst]) -> str:
    """A line of the table."""
    return f"{subject.name:<20}{subject.operand:<4}" + "".join(f"{cell:>16}" for cell in cells(found)) + f"   {place(found)}"


PAGE = """# Precision

The derivative of every elementwise function is within **4 ulp × max(1, κ)** of its true value, in float64 and float32, with the
NumPy and the C kernels, over its whole domain, tails included. ulp is the distance of neighbouring numbers at the derivative
g, in the subnormal range the smallest subnormal; κ = Σ |x[i] ∂g/∂x[i]| / |g| is the condition number of g: the rounding of the
operands alone may cost that many ulp, so no method does much better. The bound does not depend on the machine as long as its
`exp`, `log` and the like keep the error that NumPy and glibc state.

Where the usual formula loses its digits, the derivative is a function of its own. 1 − tanh(x)² has none left at x = 20, where
4 e / (1 + e)², e = exp(−2|x|), has all. exp(−x²) loses x² ulp by the rounding of the square, which is therefore taken in two
parts. x2 x1^(x2 − 1) loses the digits of a small exponent, and 1 / (1 + x²) is 0 too early, where the square overflows.
(cos(πx) − sinc(x)) / x cancels near 0, and Φ(x) + x φ(x), the derivative of gelu, on the left.

## Measured

Written by `python -m arrayad precision --points {points} --write docs/precision.md`: the largest error, in units of
ulp × max(1, κ), of {points:,} points of both signs, a third each log-spaced over all normal numbers, from 10⁻³ to 10³, and
towards ±1. Those count where the function is finite and κ below 2⁵⁰. The truth is mpmath's, by differences in as many bits
as they need, for all points of which derivatives in 40 digits do not show that the error is smaller. Where there is no C
kernel NumPy's serves. arrayad {version}, NumPy {numpy}, instruction set {isa}, vector functions {vector}.

"""

CONSTANT = """
The derivatives of `add`, `subtract`, `negative`, `positive`, `where`, `maximum`, `minimum` and `clip` are exact. The second
derivatives need not keep the bound; the laws hold them to differences.
"""


def page(rows: list[Row], points: int) -> str:
    """docs/precision.md."""
    info = kernels.info()
    head = PAGE.format(points=points, version=__version__, numpy=np.__version__, isa=info["isa"], vector=info["vector_math"])
    table = [f"| function | by | {' | '.join(HEADINGS)} | largest at |", "|---|---|" + "---:|" * len(COLUMNS) + "---|"]
    for subject, found in rows:
        table.append(f"| `{subject.name}` | {subject.operand} | {' | '.join(cells(found))} | {place(found)} |")
    return head + "\n".join(table) + "\n" + CONSTANT

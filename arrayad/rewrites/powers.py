"""Powers by constants, and what guards a single point of one: equal as real numbers everywhere else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.primitives.arithmetic import divide, multiply, negative, ratio, reciprocal, sqrt, square, subtract
from arrayad.primitives.comparison import equal, greater, logical_and
from arrayad.primitives.exponential import exp, log, power, power_slope
from arrayad.primitives.selection import where
from arrayad.rewrites.units import fitted
from arrayad.rewriting import Known, Match, rewrite, sample


def real(m: Match) -> bool:
    return m.output.dtype.kind == "f"


def is_number(v: Any) -> bool:
    return isinstance(v, int | float | np.integer | np.floating) and not isinstance(v, bool) and math.isfinite(v)


C = Known("c", is_number)
ZERO = Known("zero", lambda v: bool(v == 0) and is_number(v))
ONE = Known("one", lambda v: bool(v == 1) and is_number(v))
NAN = Known("nan", lambda v: isinstance(v, float | np.floating) and math.isnan(v))


def exponent(m: Match) -> Any:
    """The constant exponent as a Python number, whole where it is."""
    c = float(m.number("c"))
    return int(c) if c.is_integer() else c


def simpler_power(m: Match) -> Any:
    """The power by the row that is made for it."""
    c = exponent(m)
    if c in (0, 1):
        return m["x"] if c else m.constant(np.ones(m.output.shape, m.output.dtype))
    row = {2: square, 0.5: sqrt, -1: reciprocal}.get(c)
    return None if row is None else m(row, m["x"])


rewrite(
    "A power by 0, ½, 1, 2 or -1 is what it is called otherwise.",
    (power, "x", C),
    when=lambda m: real(m) and hasattr(m["x"], "shape") and m["x"].dtype == m.output.dtype and m["x"].shape == m.output.shape,
    to=simpler_power,
    samples=[sample(lambda x, c=c: power(x, c), (3,)) for c in (0.0, 0.5, 1.0, 2.0, -1.0)],
    exact=False,
)

rewrite(
    "The derivative of a power by its base, for a constant exponent other than 0: c x^(c - 1).",
    (power_slope, "x", C),
    when=lambda m: real(m) and m.number("c") != 0,
    to=lambda m: m(multiply, exponent(m), m(power, m["x"], exponent(m) - 1)),
    samples=[sample(lambda x: power_slope(x, 3.0), (3,))],
    exact=False,
)

rewrite(
    "The derivative of a power by its base, but in the origin.",
    (power_slope, "x", "y"),
    when=lambda m: real(m) and hasattr(m["y"], "shape") and m.graph.uniform(m["y"]) is None,
    to=lambda m: m(multiply, m["y"], m(power, m["x"], m(subtract, m["y"], 1.0))),
    samples=[sample(lambda x, y: power_slope(x, y), (3,), (3,))],
    exact=False,
)

rewrite(
    "y log x, where y guards the point at which x is 0.",
    (multiply, "y", (log, (where, (equal, "y", ZERO), ONE, "x"))),
    when=real,
    to=lambda m: m(multiply, m["y"], m(log, m["x"])),
    samples=[sample(lambda x, y: y * log(where(equal(y, 0.0), 1.0, x)), (3,), (3,))],
    exact=False,
)

rewrite(
    "What is chosen at a single point, so that it has a value there.",
    (where, (equal, "x", ZERO), ONE, "x"),
    (where, (logical_and, (equal, "x", ZERO), (greater, "y", "b")), ONE, "x"),
    (where, (logical_and, (equal, "x", ZERO), (equal, "y", ZERO)), ONE, "x"),
    (where, (logical_and, (equal, "x", ZERO), (equal, "y", ZERO)), ONE, "y"),
    (where, (logical_and, (equal, "y", ZERO), (equal, "z", ZERO)), NAN, "x"),
    when=lambda m: real(m) and hasattr(m["x"], "shape"),
    to=lambda m: fitted(m, m.inputs[2]),
    samples=[
        sample(lambda x: where(equal(x, 0.0), 1.0, x), (3,)),
        sample(lambda x, y: where(logical_and(equal(x, 0.0), greater(y, 1.0)), 1.0, x), (3,), (3,)),
        sample(lambda x, y: where(logical_and(equal(x, 0.0), equal(y, 0.0)), 1.0, y), (3,), (3,)),
        sample(lambda x, y, z: where(logical_and(equal(y, 0.0), equal(z, 0.0)), np.nan, x), (3,), (3,), (3,)),
    ],
    exact=False,
)

rewrite(
    "A quotient that is 0 in the origin is a quotient elsewhere.",
    (ratio, "x", "y"),
    when=real,
    to=lambda m: m(divide, m["x"], m["y"]),
    samples=[sample(lambda x, y: ratio(x, y), (3,), (3,))],
    exact=False,
)

rewrite(
    "e^(c ln x) is x^c.",
    (exp, (multiply, C, (log, "x"))),
    when=real,
    to=lambda m: m(power, m["x"], exponent(m)),
    samples=[sample(lambda x: exp(1.5 * log(x)), (3,))],
    exact=False,
)

rewrite(
    "e^(-ln x) is 1 / x.",
    (exp, (negative, (log, "x"))),
    when=real,
    to=lambda m: m(reciprocal, m["x"]),
    samples=[sample(lambda x: exp(-log(x)), (3,))],
    exact=False,
)

rewrite(
    "x · x^(y - 1) is x^y.",
    (multiply, "x", (power, "x", (subtract, "y", ONE))),
    (multiply, (power, "x", (subtract, "y", ONE)), "x"),
    when=lambda m: real(m) and hasattr(m["y"], "shape"),
    to=lambda m: fitted(m, m(power, m["x"], m["y"])),
    samples=[sample(lambda x, y: x * power(x, y - 1.0), (3,), (3,))],
    exact=False,
)

"""Exponentials, logarithms, roots and quotients: equal as real numbers where both sides are defined, not to the last digit."""

from __future__ import annotations

from arrayad.primitives.arithmetic import absolute, add, divide, multiply, negative, reciprocal, sqrt, square, subtract
from arrayad.primitives.exponential import exp, log, power
from arrayad.rewrites.units import fitted
from arrayad.rewriting import Known, Match, rewrite, sample


def real(m: Match) -> bool:
    return m.output.dtype.kind == "f"


rewrite(
    "exp(log(x)) is x, for x > 0.",
    (exp, (log, "x")),
    when=real,
    to=lambda m: m["x"],
    samples=[sample(lambda x: exp(log(x)), (3,))],
    exact=False,
)

rewrite(
    "log(exp(x)) is x.",
    (log, (exp, "x")),
    when=real,
    to=lambda m: m["x"],
    samples=[sample(lambda x: log(exp(x)), (3,))],
    exact=False,
)

rewrite(
    "√x² is |x|.",
    (sqrt, (square, "x")),
    when=real,
    to=lambda m: m(absolute, m["x"]),
    samples=[sample(lambda x: sqrt(square(x)), (3,))],
    exact=False,
)

rewrite(
    "(√x)² is x, for x ≥ 0.",
    (square, (sqrt, "x")),
    when=real,
    to=lambda m: m["x"],
    samples=[sample(lambda x: square(sqrt(x)), (3,))],
    exact=False,
)

rewrite(
    "A product of exponentials is the exponential of the sum.",
    (multiply, (exp, "x"), (exp, "y")),
    when=lambda m: real(m) and all(map(m.graph.is_alone, m.inner)),
    to=lambda m: m(exp, m(add, m["x"], m["y"])),
    samples=[sample(lambda x, y: exp(x) * exp(y), (3,), (3,))],
    exact=False,
)

rewrite(
    "A product with a reciprocal is a quotient.",
    (multiply, "x", (reciprocal, "y")),
    (multiply, (reciprocal, "y"), "x"),
    when=real,
    to=lambda m: m(divide, m["x"], m["y"]),
    samples=[sample(lambda x, y: x * reciprocal(y), (3,), (3,))],
    exact=False,
)

rewrite(
    "x / x is 1 in a product: (x · y) / y is x, for y other than 0.",
    (divide, (multiply, "x", "y"), "y"),
    (divide, (multiply, "y", "x"), "y"),
    when=lambda m: real(m) and hasattr(m["x"], "shape"),
    to=lambda m: fitted(m, m["x"]),
    samples=[sample(lambda x, y: (x * y) / y, (3,), (3,))],
    exact=False,
)

C = Known("c", lambda v: v.__class__ in (int, float))
D = Known("d", lambda v: v.__class__ in (int, float))

rewrite(
    "Python's numbers in a product are one.",
    (multiply, C, (multiply, D, "x")),
    when=real,
    to=lambda m: m(multiply, m["c"] * m["d"], m["x"]),
    samples=[sample(lambda x: 3.0 * (2.0 * x), (3,))],
    exact=False,
)

rewrite(
    "-(a - b) is b - a.",
    (negative, (subtract, "a", "b")),
    when=real,
    to=lambda m: m(subtract, m["b"], m["a"]),
    samples=[sample(lambda a, b: negative(a - b), (3,), (3,))],
    exact=False,
)

rewrite(
    "A power of a power.",
    (power, (power, "x", C), D),
    when=lambda m: real(m) and m["c"] > 0 and float(m["d"]).is_integer(),
    to=lambda m: m(power, m["x"], m["c"] * m["d"]),
    samples=[sample(lambda x: power(power(x, 1.5), 2.0), (3,))],
    exact=False,
)

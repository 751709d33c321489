"""Choices whose outcome is known, and choices within choices."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.primitives.arithmetic import add, multiply
from arrayad.primitives.casting import astype
from arrayad.primitives.comparison import equal, logical_and, logical_not, logical_or
from arrayad.primitives.selection import where
from arrayad.rewrites.units import fitted
from arrayad.rewriting import Known, Match, rewrite, row_of, sample
from arrayad.shaped import is_weak
from arrayad.tracing import aval_of

MASK = {"dtypes": ["bool", "float64", "float64"]}


def an_array(name: str) -> Any:
    return lambda m: not is_weak(m[name])


rewrite(
    "One thing or the same.",
    (where, "c", "x", "x"),
    when=an_array("x"),
    to=lambda m: fitted(m, m["x"]),
    samples=[sample(lambda c, x: where(c, x, x), (2, 3), (3,), dtypes=["bool", "float64"])],
)

rewrite(
    "A condition that always holds.",
    (where, Known("c", bool), "x", "y"),
    when=an_array("x"),
    to=lambda m: fitted(m, m["x"]),
    samples=[sample(lambda x, y: where(True, x, y), (3,), (2, 3))],
)

rewrite(
    "A condition that never holds.",
    (where, Known("c", lambda v: not v), "x", "y"),
    when=an_array("y"),
    to=lambda m: fitted(m, m["y"]),
    samples=[sample(lambda x, y: where(False, x, y), (3,), (2, 3))],
)

rewrite(
    "Whether a condition, as a number, is 0 or 1.",
    (equal, (astype, "c"), Known("known", lambda v: bool(v == 0 or v == 1))),
    when=lambda m: is_boolean(m),
    to=lambda m: m["c"] if m.number("known") else m(logical_not, m["c"]),
    samples=[sample(lambda c, k=k: equal(astype(c, dtype=np.dtype("int64")), k), (3,), dtypes="bool") for k in (0, 1)],
)

TRUE = Known("known", lambda v: isinstance(v, bool | np.bool_) and bool(v))
FALSE = Known("known", lambda v: isinstance(v, bool | np.bool_) and not v)


def is_boolean(m: Match) -> bool:
    return not is_weak(m["c"]) and aval_of(m["c"]).dtype.kind == "b"


rewrite(
    "A condition with one that is known, which makes no difference.",
    (logical_and, "c", TRUE),
    (logical_and, TRUE, "c"),
    (logical_or, "c", FALSE),
    (logical_or, FALSE, "c"),
    when=is_boolean,
    to=lambda m: fitted(m, m["c"]),
    samples=[
        sample(lambda c: logical_and(c, np.True_), (3,), dtypes="bool"),
        sample(lambda c: logical_or(np.zeros((2, 3), bool), c), (3,), dtypes="bool"),
    ],
)

rewrite(
    "A condition with one that is known, which settles it.",
    (logical_and, "c", FALSE),
    (logical_and, FALSE, "c"),
    (logical_or, "c", TRUE),
    (logical_or, TRUE, "c"),
    to=lambda m: m.constant(np.full(m.output.shape, bool(m.number("known")))),
    samples=[
        sample(lambda c: logical_and(c, np.False_), (3,), dtypes="bool"),
        sample(lambda c: logical_or(np.True_, c), (3,)),
    ],
)

rewrite(
    "The other of two by the opposite condition.",
    (where, (logical_not, "c"), "x", "y"),
    to=lambda m: m(where, m["c"], m["y"], m["x"]),
    samples=[sample(lambda c, x, y: where(logical_not(c), x, y), (3,), (3,), (3,), **MASK)],
)

rewrite(
    "What a choice takes of the same choice.",
    (where, "c", (where, "c", "x", "y"), "z"),
    when=lambda m: fits_alone(m, m["x"]),
    to=lambda m: m(where, m["c"], m["x"], m["z"]),
    samples=[sample(lambda c, x, y: where(c, where(c, x, y), x), (3,), (3,), (3,), **MASK)],
)

rewrite(
    "What a choice leaves to the same choice.",
    (where, "c", "z", (where, "c", "x", "y")),
    when=lambda m: fits_alone(m, m["y"]),
    to=lambda m: m(where, m["c"], m["z"], m["y"]),
    samples=[sample(lambda c, x, y: where(c, y, where(c, x, y)), (3,), (3,), (3,), **MASK)],
)


def alone(m: Match) -> bool:
    """Whether the choices are used here alone, and all are real numbers of the result's shape."""
    return m.output.dtype.kind == "f" and all(
        m.graph.is_alone(entry) and entry.output == m.output for entry in m.inner if entry.primitive is WHERE
    )


WHERE = row_of(where)
ZERO = Known("zero", lambda v: bool(v == 0))

rewrite(
    "A product with a choice between something and 0 is a choice between a product and 0.",
    (multiply, "x", (where, "c", "y", ZERO)),
    (multiply, (where, "c", "y", ZERO), "x"),
    when=lambda m: alone(m) and m.graph.uniform(m["x"]) is None,
    to=lambda m: m(where, m["c"], m(multiply, m["x"], m["y"]), 0.0),
    samples=[sample(lambda c, x, y: x * where(c, y, 0.0), (3,), (3,), (3,), **MASK)],
    exact=False,
)

rewrite(
    "A number times a choice between numbers is a choice between numbers.",
    (multiply, Known("x", lambda v: True), (where, "c", Known("y", lambda v: True), Known("z", lambda v: True))),
    when=alone,
    to=lambda m: m(where, m["c"], *(float(m.number("x")) * float(m.number(name)) for name in ("y", "z"))),
    samples=[sample(lambda c: 2.0 * where(c, 1.0, 0.0), (3,), dtypes="bool")],
    exact=False,
)

rewrite(
    "The sum of two choices by one condition is the choice between two sums.",
    (add, (where, "c", "x", "y"), (where, "c", "v", "w")),
    when=alone,
    to=lambda m: m(where, m["c"], m(add, m["x"], m["v"]), m(add, m["y"], m["w"])),
    samples=[sample(lambda c, x, y: where(c, x, y) + where(c, y, 1.0), (3,), (3,), (3,), **MASK)],
    exact=False,
)


def fits_alone(m: Match, x: Any) -> bool:
    """Whether the dtype and the shape of the result do not hang on the operand that goes."""
    return is_weak(x) or aval_of(x).dtype == m.output.dtype


def within(m: Match) -> Any:
    """The choice without the same choice in an elementwise operation on what it takes."""
    computed, choice = m.inner
    operands = [x if m.graph.producer(x) is not choice else choice.inputs[1] for x in computed.inputs]
    if any(is_weak(x) and not is_weak(old) for x, old in zip(operands, computed.inputs, strict=True)):
        return None
    taken = m(computed.primitive, *operands)
    return m(where, m["c"], taken, m["z"]) if aval_of(taken).dtype == computed.output.dtype else None


rewrite(
    "What a choice takes of an elementwise operation on the same choice is the operation on what that takes.",
    (where, "c", (Elementwise, (where, "c", "x", "y")), "z"),
    (where, "c", (Elementwise, (where, "c", "x", "y"), "v"), "z"),
    (where, "c", (Elementwise, "v", (where, "c", "x", "y")), "z"),
    when=lambda m: m.graph.is_alone(m.inner[0]),
    to=within,
    samples=[
        sample(lambda c, x: where(c, where(c, x, 0.0) * 0.125, 0.0), (3,), (2, 3), dtypes=["bool", "float32"]),
        sample(lambda c, x: where(c, -where(c, x, 0.0), 0.0), (3,), (3,), dtypes=["bool", "float64"]),
    ],
)

"""`pick`: one output of an operation that has several."""

from __future__ import annotations

from typing import Any

from arrayad.primitive import general, nothing
from arrayad.samples import Samples
from arrayad.series import Rule, Series
from arrayad.shaped import Bundle, aval
from arrayad.tensor import Tensor


def part(x: Any, *, index: int) -> Any:
    return x[index]


def pick_jvp(tangents: Any, y: Any, x: Any, *, index: int) -> Any:
    return tangents[0][index]


def pick_vjp(needed: Any, ct: Any, y: Any, x: Any, *, index: int) -> Any:
    return (Bundle(ct if i == index else None for i in range(len(aval(x)))),)


def pick_batch(size: int, operands: Any, batched: Any, *, index: int) -> Any:
    return output(operands[0], index)


def pick_taylor(order: int, y: Series, x: Series, *, index: int) -> Rule:
    return lambda k: None if x[k] is None else x[k][index]


pick = general(
    "pick",
    """Output `index` of an operation that has several.""",
    numpy=part,
    shape=part,
    jvp=pick_jvp,
    vjp=pick_vjp,
    samples=Samples(cases=[]),
    cost=nothing,
)
pick.primitive.taylor = pick_taylor  # type: ignore[attr-defined]
pick.primitive.is_view = True  # type: ignore[attr-defined]
pick.primitive.batch = pick_batch  # type: ignore[attr-defined]


def output(x: Any, index: int) -> Any:
    """Output `index` of a Tensor whose value is a Bundle, or of a Bundle of Tensors."""
    return x[index] if x.__class__ is Bundle else pick(x, index=index)


def outputs(x: Any) -> tuple[Tensor, ...]:
    """All outputs of an operation that has several."""
    return tuple(output(x, i) for i in range(len(x if x.__class__ is Bundle else x.value)))

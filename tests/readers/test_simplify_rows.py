"""Every row of the table, its gradient and its batch keep their bits when their tapes are simplified."""

from __future__ import annotations

from typing import Any

import pytest
from drawing import Case, every_case, is_several, joined
from simplifying import assert_same

import arrayad as ad
from arrayad.readers.simplify import simplify

CASES = every_case()


# What follows a row is a sine: kernels of some rows, such as sech2's, give views, or scalars, other last bits than arrays in
# C order, and rules change which of these they get.


def traced(function: Any, operands: list[Any]) -> None:
    before = ad.trace(function)(*operands)
    after = simplify(before)
    assert len(after) <= len(before)
    assert_same(before, after, operands)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_row_keeps_its_bits(case: Case) -> None:
    """Between operations that rules take away."""

    def function(*xs: Any) -> Any:
        copies = [ad.reshape(ad.reshape(x, (x.size,)), x.shape) for x in xs]
        y, again = case.row.apply(*copies, **case.params), case.row.apply(*xs, **case.params)
        return joined(y), (ad.stop_gradient(joined(again)))

    traced(function, case.operands())


def smooth_operands(case: Case) -> list[int]:
    return [i for i in range(len(case.shapes)) if case.is_smooth_operand(i)]


WITH_GRADIENT = [
    case
    for case in CASES
    if case.row.differentiable
    and not case.complex
    and smooth_operands(case)
    and not is_several(case.row.apply(*case.operands(), **case.params))
]


@pytest.mark.parametrize("case", WITH_GRADIENT, ids=repr)
def test_the_gradient_of_a_row_keeps_its_bits(case: Case) -> None:
    def loss(*xs: Any) -> Any:
        y = case.row.apply(*xs, **case.params)
        return ad.sum(ad.sin(ad.real(y) if y.dtype.kind == "c" else y) * 0.5)

    traced(ad.value_and_grad(loss, tuple(smooth_operands(case))), case.operands())

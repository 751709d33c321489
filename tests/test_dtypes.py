"""float32 stays float32, whatever a Python number or a NumPy scalar is doing beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE
from arrayad.readers.replay import replay

BINARY = [row for row in TABLE.values() if isinstance(row, Elementwise) and row.arity == 2 and row.differentiable]


@pytest.mark.parametrize("row", BINARY, ids=repr)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("number", [2, 2.5])
def test_python_numbers_are_weak(row: Elementwise, side: int, number: float) -> None:
    if row.partials[side] is None:
        pytest.skip("no derivative by this operand")
    x = ad.tensor(np.array([0.5, 0.75], np.float32), requires_grad=True)
    operands = (x, number) if side == 0 else (number, x)
    y = row.apply(*operands)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype == np.float32
    double = ad.tensor(np.array([0.5, 0.75]), requires_grad=True)
    row.apply(*((double, number) if side == 0 else (number, double))).sum().backward()
    np.testing.assert_allclose(x.grad, np.asarray(double.grad), rtol=1e-5)


EXPRESSIONS: dict[str, Callable[[Any], Any]] = {
    "mean": lambda x: ad.mean(x),
    "variance": lambda x: ad.var(x),
    "power": lambda x: ad.sum(x**3 + 2.0**x + x**-0.5),
    "mixed scalars": lambda x: ad.sum((x * 3 - 1.5) / 7 + np.float32(2.0) * x),
    "where": lambda x: ad.sum(ad.where(x > 0.6, x * 2, 1.0)),
    "clip": lambda x: ad.sum(ad.clip(x, 0.0, 0.6) * ad.maximum(x, 0.1)),
    "norm": lambda x: ad.norm(x),
    "gelu": lambda x: ad.sum(ad.nn.functional.gelu(x)),
    "logsumexp": lambda x: ad.logsumexp(x),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_stay_float32_to_second_order(name: str) -> None:
    f, x = EXPRESSIONS[name], np.array([0.5, 0.75], np.float32)
    first = ad.grad(f)
    assert f(ad.tensor(x)).dtype == first(x).dtype == np.float32
    assert ad.grad(lambda x: ad.sum(first(x) * x))(x).dtype == np.float32


def test_what_is_put_beside_and_set_takes_the_dtype_that_is_there() -> None:
    x = np.ones(3, np.float32)
    assert ad.diff(x, prepend=0.0).dtype == ad.clip(x).dtype == np.float32
    leaf = ad.tensor(x, requires_grad=True)
    leaf.grad = np.ones(3)
    assert isinstance(leaf.grad, ad.Tensor) and leaf.grad.dtype == np.float32


@pytest.mark.parametrize("name", ["erf", "sigmoid", "tanh", "softplus", "sin"])
@pytest.mark.parametrize("size", [3, 40_000])
def test_recorded_traced_and_plain_runs_agree_to_the_bit(name: str, size: int) -> None:
    f, x = getattr(ad, name), np.linspace(-3.0, 3.0, size)
    wanted = np.asarray(f(ad.tensor(x)))
    np.testing.assert_array_equal(np.asarray(f(x)), wanted)
    np.testing.assert_array_equal(np.asarray(replay(ad.trace(f)(x), x)), wanted)
    np.testing.assert_array_equal(np.asarray(f(ad.tensor(x, requires_grad=True)).detach()), wanted)


def test_a_float64_operand_promotes_and_the_gradient_comes_back_in_its_own_dtype() -> None:
    single, double = np.ones(2, np.float32), np.ones(2)
    a, b = ad.grad(lambda a, b: ad.sum(a * b), argnums=(0, 1))(single, double)
    assert a.dtype == np.float32 and b.dtype == np.float64

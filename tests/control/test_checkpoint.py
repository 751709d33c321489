"""`checkpoint` changes what is kept and computed again, and no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from composing import BATCHES, CARRY, TRANSFORMS, XS, W, assert_close, assert_same, assert_same_in_batches
from memory import peak_bytes

import arrayad as ad
from arrayad.errors import AbstractValueError
from arrayad.primitive import TABLE


def program(c: Any, xs: Any, w: Any) -> Any:
    return ad.exp(ad.sin(c * w) @ xs.T) * 2.0, ad.sum(ad.tanh(xs * c))


POLICIES: dict[str, Any] = {
    "nothing": None,
    "products": "products",
    "everything": lambda name, shaped: True,
    "what is small": lambda name, shaped: shaped.size <= 2,
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_checkpoint_is_its_function(name: str, policy: str) -> None:
    assert_same(ad.checkpoint(program, POLICIES[policy]), program, name)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("batched", BATCHES, ids=str)
def test_batches(batched: Any, policy: str) -> None:
    assert_same_in_batches(ad.checkpoint(program, POLICIES[policy]), program, batched)


@pytest.mark.parametrize("name", ["grad", "backward", "jvp of grad", "grad of grad", "trace of grad", "grad of vmap", "jet"])
def test_captures_and_checkpoints_within(name: str) -> None:
    def captured(c: Any, xs: Any, w: Any) -> Any:
        inner = ad.checkpoint(lambda c: ad.sin(c * w))
        return ad.checkpoint(lambda c: inner(inner(c)) @ xs.T, "products")(c)

    def plain(c: Any, xs: Any, w: Any) -> Any:
        return ad.sin(ad.sin(c * w) * w) @ xs.T

    assert_same(captured, plain, name)


@pytest.mark.parametrize("policy", POLICIES)
def test_structural_zeros_stay(policy: str) -> None:
    def f(x: Any) -> Any:
        return ad.sum(ad.where(x > 0, ad.sqrt(x) * 2.0, 0.0))

    x = np.array([0.0, 4.0, -1.0])
    kept = ad.checkpoint(f, POLICIES[policy])
    assert_close(ad.grad(kept)(x), np.array([0.0, 0.5, 0.0]))
    assert_close(ad.hessian(kept)(x), np.diag([0.0, -1 / 16, 0.0]))


@pytest.mark.parametrize("policy", POLICIES)
def test_float32_stays(policy: str) -> None:
    g = ad.grad(lambda x: ad.sum(ad.checkpoint(lambda x: (x * 2.0) ** 2 / 3.0, POLICIES[policy])(x)))(np.float32([1.0, 2.0]))
    assert g.dtype == np.float32
    np.testing.assert_allclose(g.numpy(), np.array([8.0, 16.0]) / 3, rtol=1e-6)


# --- what is computed again ----------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the kernels of some rows are called."""
    counts = {"matrix_product": 0, "erf": 0}
    for name in counts:
        row = TABLE[name]

        def counting(*values: Any, compute: Any = row.numpy, name: str = name, **params: Any) -> Any:
            counts[name] += 1
            return compute(*values, **params)

        monkeypatch.setattr(row, "numpy", counting)
        monkeypatch.setattr(row, "kernel", lambda *avals, counting=counting: counting)
    return counts


@pytest.mark.parametrize("around", ["alone", "vmap"])
@pytest.mark.parametrize(
    "policy, products, errors",
    [(None, 2, 2), ("products", 1, 2), (lambda name, shaped: name == "erf", 2, 1), (lambda name, shaped: True, 1, 1)],
)
def test_what_is_saved_is_not_computed_again(calls: dict[str, int], policy: Any, products: int, errors: int, around: str) -> None:
    m = ad.tensor(np.eye(2) + 0.1)
    layer = ad.checkpoint(lambda x: ad.sin(ad.erf(ad.tanh(x @ m))), policy)

    def loss(x: Any) -> Any:
        return ad.sum(layer(x))

    g = ad.value_and_grad(loss) if around == "alone" else ad.vmap(ad.value_and_grad(loss))
    g(XS)  # and what the shape rules ask of the kernels
    calls.update(dict.fromkeys(calls, 0))
    g(XS)
    assert calls["erf"] == errors
    assert calls["matrix_product"] == products + 1  # the last is the cotangent's


def test_memory_falls_with_the_layers() -> None:
    """Of 20 layers of 5 operations each, one layer's intermediates and 20 arguments are held at once."""
    x = np.linspace(0.1, 1.0, 50_000)

    def layer(x: Any) -> Any:
        for _ in range(5):
            x = ad.sin(x)
        return x

    def peak(layer: Any) -> float:
        def loss(x: Any) -> Any:
            for _ in range(20):
                x = layer(x)
            return ad.sum(x)

        gradient = ad.grad(loss)
        gradient(x[:2])
        found.append(gradient(x))
        with ad.backend("numpy"):  # whose arrays tracemalloc sees
            return peak_bytes(lambda: gradient(x)) / x.nbytes

    found: list[Any] = []
    plain, kept = peak(layer), peak(ad.checkpoint(layer))
    assert plain > 100 and kept < 35
    assert_close(found[1], found[0], rtol=1e-13)


# --- arguments -----------------------------------------------------------------------------------------------------


def test_arguments_that_are_no_arrays_stay_as_they_are() -> None:
    @ad.checkpoint
    def f(x: Any, count: int, *, name: str, scale: Any = 1.0) -> Any:
        assert isinstance(count, int) and name == "mine"
        for _ in range(count):
            x = ad.sin(x) * scale
        return {name: x}

    assert f.__name__ == "f"
    found = ad.grad(lambda x: f(x, 3, name="mine", scale=ad.asarray(2.0))["mine"])(0.5)
    assert_close(found, ad.grad(lambda x: 2 * ad.sin(2 * ad.sin(2 * ad.sin(x))))(0.5))


def test_branches_on_values_are_followed() -> None:
    def f(x: Any) -> Any:
        return ad.sin(x) if x > 0 else ad.cos(x)

    kept = ad.checkpoint(f)
    for x in (0.5, -0.5):
        assert_close(ad.grad(kept)(x), ad.grad(f)(x))
        assert_close(ad.grad(ad.grad(kept))(x), ad.grad(ad.grad(f))(x))
    with pytest.raises(AbstractValueError, match="where or cond"):
        ad.vmap(kept)(W)


def test_changes_in_place_stay_inside() -> None:
    def f(x: Any) -> Any:
        x[0] = x[1] * 3.0
        x *= x
        return x

    x = ad.tensor(CARRY)
    assert_close(ad.checkpoint(f)(x), np.array([9.0, 1.0]) * CARRY[1] ** 2)
    assert_close(x, CARRY)
    assert_close(ad.grad(lambda x: ad.sum(ad.checkpoint(f)(x)))(CARRY), np.array([0.0, 20 * CARRY[1]]))


def test_leaves() -> None:
    w = ad.tensor(W, requires_grad=True)
    x = ad.tensor(CARRY, requires_grad=True)
    layer = ad.checkpoint(lambda x: ad.sin(x * w))
    ad.sum(layer(layer(x))).backward()
    wanted = ad.grad(lambda x, w: ad.sum(ad.sin(ad.sin(x * w) * w)), (0, 1))(CARRY, W)
    assert_close((x.grad, w.grad), wanted)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"policy is 'dots'"):
        ad.checkpoint(ad.sin, "dots")
    with pytest.raises(TypeError, match=r"\[checkpoint\] the function returned str"):
        ad.checkpoint(lambda x: "a")(W)

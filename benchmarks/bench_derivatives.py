"""Hessians, Hessian-vector products, per-example gradients and Jacobians, beside JAX (jitted) and PyTorch (torch.func).

make bench ARGS="-k derivatives -s"
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from measure import best_of, table
from peers import jax_in_float64, peer

import arrayad as ad

RNG = np.random.default_rng(0)
W1, W2, W3 = (RNG.standard_normal(shape) / 8.0 for shape in ((64, 128), (128, 128), (128, 1)))
V1, V2 = RNG.standard_normal((32, 64)) / 6.0, RNG.standard_normal((64, 10)) / 8.0
HEAD = ("float64, ms", "arrayad", "jax.jit", "torch.func", "over the best peer")


def network(m: Any, x: Any, *weights: Any) -> Any:
    """A scalar of 64 inputs: two hidden layers of 128."""
    w1, w2, w3 = weights
    return m.sum(m.tanh(m.tanh(x @ w1) @ w2) @ w3)


def rosenbrock(m: Any, x: Any) -> Any:
    return m.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def example_loss(m: Any, w1: Any, w2: Any, x: Any, onehot: Any) -> Any:
    z = m.tanh(x @ w1) @ w2
    return m.log(m.sum(m.exp(z))) - m.sum(z * onehot)


def features(m: Any, x: Any, w: Any) -> Any:
    return m.tanh(x @ w) * m.sum(x * x)


Programs = Callable[[str, Any], Callable[[], Any]]


def hessian_of_network(library: str, m: Any) -> Callable[[], Any]:
    x, *weights = (m.array(a) for a in (RNG_X64, W1, W2, W3))
    hessian = m.hessian(lambda x: network(m, x, *weights))
    return m.compiled(hessian, x)


def hvp_of_a_million(library: str, m: Any) -> Callable[[], Any]:
    x, v = m.array(RNG_MILLION), m.array(RNG_MILLION[::-1].copy())
    return m.compiled(lambda x, v: m.hvp(lambda x: rosenbrock(m, x), x, v), x, v)


def per_example_gradients(library: str, m: Any) -> Callable[[], Any]:
    operands = [m.array(a) for a in (V1, V2, BATCH, ONEHOTS)]
    gradient = m.grad(lambda w1, w2, x, y: example_loss(m, w1, w2, x, y), (0, 1))
    return m.compiled(m.vmap(gradient, (None, None, 0, 0)), *operands)


def wide_jacobian(mode: str) -> Programs:
    def program(library: str, m: Any) -> Callable[[], Any]:
        x, w = (m.array(a) for a in (RNG_X64, W1))
        return m.compiled(m.jacobian(mode)(lambda x: features(m, x, w)), x)

    return program


RNG_X64 = RNG.standard_normal(64)
RNG_MILLION = RNG.uniform(0.5, 1.5, 1_000_000)
BATCH, ONEHOTS = RNG.standard_normal((256, 32)), np.eye(10)[RNG.integers(0, 10, 256)]

PROGRAMS: dict[str, Programs] = {
    "Hessian of a network of 64 inputs": hessian_of_network,
    "Hessian-vector product, n = 10^6": hvp_of_a_million,
    "per-example gradients, batch 256": per_example_gradients,
    "Jacobian 64 -> 128, forward": wide_jacobian("forward"),
    "Jacobian 64 -> 128, reverse": wide_jacobian("reverse"),
}


class Ours:
    """arrayad by the names that the programs use."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ad, name)

    array = staticmethod(ad.tensor)
    jacobian = staticmethod(lambda mode: lambda f: ad.jacobian(f, mode=mode))
    compiled = staticmethod(lambda f, *operands: lambda: f(*operands))


class Jax:
    """JAX by the same names, compiled and waited for."""

    def __init__(self, jax: ModuleType) -> None:
        self.jax = jax
        self.array, self.grad, self.hessian, self.vmap = jax.numpy.asarray, jax.grad, jax.hessian, jax.vmap

    def __getattr__(self, name: str) -> Any:
        return getattr(self.jax.numpy, name)

    def hvp(self, f: Any, x: Any, v: Any) -> Any:
        return self.jax.jvp(self.jax.grad(f), (x,), (v,))[1]

    def jacobian(self, mode: str) -> Any:
        return self.jax.jacfwd if mode == "forward" else self.jax.jacrev

    def compiled(self, f: Any, *operands: Any) -> Callable[[], Any]:
        jitted = self.jax.jit(f)
        return lambda: self.jax.block_until_ready(jitted(*operands))


class Torch:
    """torch.func by the same names."""

    def __init__(self, torch: ModuleType) -> None:
        self.torch = torch
        func = torch.func
        self.array, self.grad, self.hessian = torch.as_tensor, func.grad, func.hessian

    def __getattr__(self, name: str) -> Any:
        return getattr(self.torch, name)

    def vmap(self, f: Any, axes: Any) -> Any:
        return self.torch.func.vmap(f, in_dims=axes)

    def hvp(self, f: Any, x: Any, v: Any) -> Any:
        return self.torch.func.jvp(self.torch.func.grad(f), (x,), (v,))[1]

    def jacobian(self, mode: str) -> Any:
        return self.torch.func.jacfwd if mode == "forward" else self.torch.func.jacrev

    def compiled(self, f: Any, *operands: Any) -> Callable[[], Any]:
        return lambda: f(*operands)


def libraries() -> dict[str, Any]:
    """arrayad and those of the peers that are installed."""
    found: dict[str, Any] = {"arrayad": Ours()}
    for name, kind, module in (("jax", Jax, jax_in_float64()), ("torch", Torch, peer("torch"))):
        if module is not None:
            found[name] = kind(module)
    return found


def row_of(name: str, found: dict[str, float]) -> tuple[str, ...]:
    """A line of the table: milliseconds, and our ratio to the best peer."""
    peers = [seconds for key, seconds in found.items() if key != "arrayad"]
    cells = (f"{found[key] * 1e3:,.2f}" if key in found else "" for key in ("arrayad", "jax", "torch"))
    return (name, *cells, f"{found['arrayad'] / min(peers):.2f}" if peers else "")


def test_derivatives(benchmark: Any) -> None:
    there, rows = libraries(), []
    for name, program in PROGRAMS.items():
        functions = {library: program(library, m) for library, m in there.items()}
        wanted = leaves(functions["arrayad"]())
        for function in functions.values():
            for x, y in zip(wanted, leaves(function()), strict=True):
                np.testing.assert_allclose(y, x, rtol=1e-8, atol=1e-10)
        rows.append(row_of(name, best_of(functions, rounds=7)))
    print("\n" + table(rows, HEAD))
    benchmark(PROGRAMS["Hessian of a network of 64 inputs"]("arrayad", Ours()))


def leaves(out: Any) -> list[Any]:
    """The arrays of a result."""
    return [np.asarray(x) for x in (out if isinstance(out, tuple) else (out,))]

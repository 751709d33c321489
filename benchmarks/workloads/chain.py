"""A chain of 100 elementwise operations on 10 float32 numbers: the value of the sum of the results, and its gradient.

Ten times: y = sin(y); y * 1.5; y + 0.25; tanh; y * x; exp; y - 1; y * 0.5; cos; y + x.  x uniform in [-1, 1].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Ratio, Step, Workload, gradient_in_torch

CYCLES = 10


def inputs() -> Inputs:
    return {"x": np.random.default_rng(0).uniform(-1.0, 1.0, 10).astype(np.float32)}


def chain_in(m: Any, cycles: int = CYCLES) -> Any:
    """The program by a module's names; Python numbers take the dtype of the array."""

    def chain(x: Any) -> Any:
        y = x
        for _ in range(cycles):
            y = m.tanh(m.sin(y) * 1.5 + 0.25)
            y = m.exp(y * x) - 1.0
            y = m.cos(y * 0.5) + x
        return m.sum(y)

    return chain


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, x = compiled(ad.value_and_grad(chain_in(ad))), ad.tensor(arrays["x"])
    return Step(lambda: step(x))


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    value, x = compiled(chain_in(ad)), ad.tensor(arrays["x"])
    return in_arrayad(ad, compiled, arrays), Step(lambda: value(x))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    return Step(gradient_in_torch(torch, optimized, chain_in(torch), [torch.tensor(arrays["x"])]))


def in_jax(jax: Any, arrays: Inputs) -> Step:
    step, x = jax.jit(jax.value_and_grad(chain_in(jax.numpy))), jax.numpy.asarray(arrays["x"])
    return Step(lambda: jax.block_until_ready(step(x)))


def in_numpy(arrays: Inputs) -> Step:
    x = arrays["x"]

    def step() -> Any:
        y, tape = x, []
        for _ in range(CYCLES):
            tanh = np.tanh(np.sin(y) * 1.5 + 0.25)
            exp = np.exp(tanh * x)
            half = (exp - 1.0) * 0.5
            tape.append((y, tanh, exp, half))
            y = np.cos(half) + x
        ct, gradient = np.ones_like(x), np.zeros_like(x)
        for start, tanh, exp, half in reversed(tape):
            gradient += ct
            ct = ct * np.sin(half) * -0.5 * exp
            gradient += ct * tanh
            ct = ct * x * (1.0 - tanh * tanh) * 1.5 * np.cos(start)
        return np.sum(y), gradient + ct

    return Step(step)


def in_c(library: Any, arrays: Inputs) -> Step:
    x, value = arrays["x"], np.empty((), np.float32)
    gradient = np.empty_like(x)
    run = library.function("void chain(const float *x, float *value, float *gradient)", x, value, gradient)
    return Step(run, lambda _: [value, gradient])


WORKLOADS = [
    Workload(
        key="chain",
        title="chain of 100 elementwise ops on 10 floats, value and gradient",
        dtype="float32",
        inputs=inputs,
        goal=0.5,
        ratio=Ratio(3.0, ratio),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
        c=in_c,
        source="chain.c",
    )
]

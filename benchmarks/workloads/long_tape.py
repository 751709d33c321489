"""How compile time grows: value and gradient of a recurrence that is unrolled until its tape has about 10³ and 10⁴ entries.

Each step: t = tanh(W y + x); y = t / √(1 + Σ t²); after the last, Σ y, by x.  10 float64 numbers, W normal / √10.
A step makes 31 entries, of which 8 are the function's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from workloads.workload import Inputs, Step, Workload


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal(10), "w": rng.standard_normal((10, 10)) / 10**0.5}


def recurrence_in(m: Any, steps: int) -> Any:
    def recurrence(x: Any, w: Any) -> Any:
        y = x
        for _ in range(steps):
            t = m.tanh(w @ y + x)
            y = t / m.sqrt(1.0 + m.sum(t * t))
        return m.sum(y)

    return recurrence


def in_arrayad(steps: int, ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, x, w = compiled(ad.value_and_grad(recurrence_in(ad, steps))), ad.tensor(arrays["x"]), ad.tensor(arrays["w"])
    return Step(lambda: step(x, w))


def in_jax(steps: int, jax: Any, arrays: Inputs) -> Step:
    step, x, w = jax.jit(jax.value_and_grad(recurrence_in(jax.numpy, steps))), *map(jax.numpy.asarray, arrays.values())
    return Step(lambda: jax.block_until_ready(step(x, w)))


def in_numpy(steps: int, arrays: Inputs) -> Step:
    x, w = arrays["x"], arrays["w"]

    def step() -> Any:
        y, tape = x, []
        for _ in range(steps):
            t = np.tanh(w @ y + x)
            root = np.sqrt(1.0 + t @ t)
            y = t / root
            tape.append((t, root))
        ct, gradient = np.ones(10), np.zeros(10)
        for t, root in reversed(tape):
            across = (ct - t * (t @ ct) / root**2) / root * (1.0 - t * t)
            gradient += across
            ct = across @ w
        return np.sum(y), gradient + ct

    return Step(step)


WORKLOADS = [
    Workload(
        key=f"tape-{entries}",
        title=f"a tape of {text} entries",
        inputs=inputs,
        goal_of_compilation=goal,
        arrayad=partial(in_arrayad, steps),
        jax=partial(in_jax, steps),
        numpy=partial(in_numpy, steps),
    )
    for entries, text, steps, goal in (("1e3", "10^3", 32, None), ("1e4", "10^4", 323, 10.0))
]

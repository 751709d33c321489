"""Adam for the systems that bring none: β 0.9 and 0.999, eps 1e-8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adam_in_jax(jax: Any, loss: Any, parameters: Any, rate: float) -> tuple[Callable[..., Any], Callable[[], Any]]:
    """The step of a loss, jitted with donated state, and what gives the parameters."""
    zeros = {name: jax.numpy.zeros_like(p) for name, p in parameters.items()}
    state = [(parameters, zeros, {name: z.copy() for name, z in zeros.items()}, jax.numpy.zeros((), "float32"))]

    def update(state: Any, *data: Any) -> Any:
        p, mean, square, count = state
        value, g = jax.value_and_grad(loss)(p, *data)
        count = count + 1.0
        mean = jax.tree.map(lambda m, g: BETA1 * m + (1.0 - BETA1) * g, mean, g)
        square = jax.tree.map(lambda v, g: BETA2 * v + (1.0 - BETA2) * g * g, square, g)
        scale, unbiased = rate / (1.0 - BETA1**count), 1.0 / (1.0 - BETA2**count)
        moved = jax.tree.map(lambda p, m, v: p - scale * m / (jax.numpy.sqrt(v * unbiased) + EPSILON), p, mean, square)
        return (moved, mean, square, count), value

    jitted = jax.jit(update, donate_argnums=0)

    def step(*data: Any) -> Any:
        state[0], value = jitted(state[0], *data)
        return value.block_until_ready()

    return step, lambda: state[0][0]


def adam_in_numpy(parameters: dict[str, Any], rate: float) -> Callable[[dict[str, Any]], None]:
    """A function that moves the parameters, in place, by their gradients, which it overwrites."""
    means = {name: np.zeros_like(p) for name, p in parameters.items()}
    squares = {name: np.zeros_like(p) for name, p in parameters.items()}
    count = [0]

    def update(gradients: dict[str, Any]) -> None:
        count[0] += 1
        scale, root = rate / (1.0 - BETA1 ** count[0]), (1.0 - BETA2 ** count[0]) ** -0.5
        for name, p in parameters.items():
            g, mean, square = gradients[name], means[name], squares[name]
            mean *= BETA1
            mean += (1.0 - BETA1) * g
            square *= BETA2
            np.multiply(g, g, out=g)
            g *= 1.0 - BETA2
            square += g
            np.sqrt(square, out=g)
            g *= root
            g += EPSILON
            np.divide(mean, g, out=g)
            g *= scale
            p -= g

    return update

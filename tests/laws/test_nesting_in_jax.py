"""The compositions of `test_nesting.py` against JAX, where it is installed."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from nesting import FUNCTIONS, LETTERS, OURS, POINT, nest, random_function

import arrayad as ad

# Some functions below ignore their argument, which the outermost transform says.
pytestmark = pytest.mark.filterwarnings("ignore:.* result does not depend on y")

jax = pytest.importorskip("jax", reason="JAX is not installed, with which these compositions are compared")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy


def linearized(f: Any, x: Any, t: Any) -> tuple[Any, Any]:
    y, linear = jax.linearize(f, x)
    return y, linear(t)


def jetted(f: Any, x: Any, v: Any, w: Any) -> tuple[Any, Any, Any]:
    """By nested jvps: `jax.experimental.jet` has no rule for much of what is composed here."""

    def curve(t: Any) -> Any:
        return f(x + t * v + t * t / 2 * w)

    def velocity(t: Any) -> Any:
        return jax.jvp(curve, (t,), (jnp.ones_like(t),))[1]

    zero = jnp.zeros(())
    return curve(zero), velocity(zero), jax.jvp(velocity, (zero,), (jnp.ones_like(zero),))[1]


JAX = SimpleNamespace(
    **{name: getattr(jnp, name) for name in ("sin", "cos", "exp", "tanh", "where")},
    **{name: getattr(jax, name) for name in ("grad", "vmap", "jacfwd", "jacrev", "hessian")},
    total=jnp.sum,
    column=lambda x: x[:, None],
    at=lambda x, i, value: jnp.asarray(x * 1.0).at[i].set(value) + 0.1,
    vjp=lambda f, x, ct: jax.vjp(f, x)[1](ct)[0],
    jvp=lambda f, x, t: jax.jvp(f, (x,), (t,)),
    linearize=linearized,
    jet=jetted,
    trace=lambda f, x: f(x),
    jacobian=jax.jacrev,
    hvp=lambda f, x, v: jax.jvp(jax.grad(f), (x,), (v,))[1],
    cond=jax.lax.cond,
)


def check(sequence: str, name: str, function: Any) -> None:
    found = nest(OURS, sequence, function, ad.tensor(POINT), [])
    assert found.history is None
    wanted = nest(JAX, sequence, function, jnp.asarray(POINT), [])
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-9, atol=1e-10, err_msg=f"{sequence!r} of {name}")


@pytest.mark.slow
@pytest.mark.parametrize("depth, draws", [(1, None), (2, 300), (3, 150), (4, 100)])
def test_compositions_agree_with_jax(depth: int, draws: int | None, rng: np.random.Generator) -> None:
    every = list(itertools.product(itertools.product(LETTERS, repeat=depth), FUNCTIONS))
    chosen = every if draws is None else [every[i] for i in rng.choice(len(every), draws, replace=False)]
    for letters, name in chosen:
        check("".join(letters), name, FUNCTIONS[name])
        check("".join(letters), *random_function(rng))

"""Layer norm then gelu, forward and backward, 4096 x 1024, float32: y = gelu(LN(x) γ + β), gelu(u) = u Φ(u), eps 1e-5.

The step gives y and, for a given cotangent of it, the gradients by x, γ and β.  x, the cotangent normal; γ = 1 + 0.1 normal,
β = 0.1 normal.  In C one pass forwards and one backwards over each row while it is in cache.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workloads.special import erf
from workloads.workload import Inputs, Ratio, Step, Workload

ROWS, COLUMNS, EPSILON = 4096, 1024, 1e-5


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    return {
        "x": rng.standard_normal((ROWS, COLUMNS), np.float32),
        "gamma": (1.0 + 0.1 * rng.standard_normal(COLUMNS)).astype(np.float32),
        "beta": (0.1 * rng.standard_normal(COLUMNS)).astype(np.float32),
        "ct": rng.standard_normal((ROWS, COLUMNS), np.float32),
    }


def arrayad_forward(ad: Any) -> Any:
    functional = ad.nn.functional
    return lambda x, gamma, beta: functional.gelu(functional.layer_norm(x, COLUMNS, gamma, beta, EPSILON))


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    operands = [ad.tensor(arrays[name]) for name in ("x", "gamma", "beta", "ct")]

    @compiled
    def step(x: Any, gamma: Any, beta: Any, ct: Any) -> Any:
        y, pull = ad.vjp(arrayad_forward(ad), x, gamma, beta)
        return y, pull(ct)

    return Step(lambda: step(*operands))


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    value, operands = compiled(arrayad_forward(ad)), [ad.tensor(arrays[name]) for name in ("x", "gamma", "beta")]
    return in_arrayad(ad, compiled, arrays), Step(lambda: value(*operands))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    functional = torch.nn.functional
    leaves = [torch.tensor(arrays[name], requires_grad=True) for name in ("x", "gamma", "beta")]
    ct = torch.tensor(arrays["ct"])

    def forward(x: Any, gamma: Any, beta: Any) -> Any:
        return functional.gelu(functional.layer_norm(x, (COLUMNS,), gamma, beta, EPSILON))

    run = optimized(forward) if optimized else forward

    def step() -> Any:
        y = run(*leaves)
        return y, torch.autograd.grad(y, leaves, ct)

    return Step(step, lambda out: [out[0].detach(), *out[1]])


def in_jax(jax: Any, arrays: Inputs) -> Step:
    jnp = jax.numpy
    operands = [jnp.asarray(arrays[name]) for name in ("x", "gamma", "beta", "ct")]

    def forward(x: Any, gamma: Any, beta: Any) -> Any:
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        scale = jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + EPSILON)
        return jax.nn.gelu(centred * scale * gamma + beta, approximate=False)

    @jax.jit
    def step(x: Any, gamma: Any, beta: Any, ct: Any) -> Any:
        y, pull = jax.vjp(forward, x, gamma, beta)
        return y, pull(ct)

    return Step(lambda: jax.block_until_ready(step(*operands)))


def in_numpy(arrays: Inputs) -> Step:
    x, gamma, beta, ct = (arrays[name] for name in ("x", "gamma", "beta", "ct"))

    def step() -> Any:
        normal = x - x.mean(axis=1, keepdims=True)
        scale = 1.0 / np.sqrt(np.mean(normal * normal, axis=1, keepdims=True) + EPSILON)
        normal *= scale
        u = normal * gamma + beta
        phi = erf(u * math.sqrt(0.5))
        phi += 1.0
        phi *= 0.5
        y = u * phi
        du = ct * (phi + u * np.exp(-0.5 * u * u) * (0.5 * math.sqrt(2.0 / math.pi)))
        dn = du * gamma
        dx = dn - dn.mean(axis=1, keepdims=True) - normal * np.mean(dn * normal, axis=1, keepdims=True)
        dx *= scale
        return y, dx, np.sum(du * normal, axis=0), np.sum(du, axis=0)

    return Step(step)


def in_c(library: Any, arrays: Inputs) -> Step:
    operands = [arrays[name] for name in ("x", "gamma", "beta", "ct")]
    out = [np.empty_like(arrays[name]) for name in ("x", "x", "gamma", "beta")]
    declaration = (
        "void layer_norm_gelu(const float *x, const float *gamma, const float *beta, const float *ct,"
        " float *y, float *dx, float *dgamma, float *dbeta)"
    )
    return Step(library.function(declaration, *operands, *out), lambda _: out)


WORKLOADS = [
    Workload(
        key="layer-norm",
        title="layer norm + gelu, forward and backward, 4096 x 1024",
        dtype="float32",
        inputs=inputs,
        goal=0.3,
        ratio=Ratio(3.0, ratio),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
        c=in_c,
        source="layer_norm.c",
    )
]

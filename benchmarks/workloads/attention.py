"""Plain causal attention, forward and backward, float32: B 8, H 8, T 256, D 64; y = softmax(q kᵀ / √D, earlier keys only) v.

The step gives y and, for a given cotangent of it, the gradients by q, k and v; all arrays normal.  Eager torch runs its fused
`scaled_dot_product_attention`; torch.compile gets the formula written out, which it fuses itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workloads.workload import Inputs, Ratio, Step, Workload

B, H, T, D = 8, 8, 256, 64


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((B, H, T, D), np.float32) for name in ("q", "k", "v", "ct")}


def arrayad_attention(ad: Any) -> Any:
    return lambda q, k, v: ad.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    operands = [ad.tensor(x) for x in arrays.values()]

    @compiled
    def step(q: Any, k: Any, v: Any, ct: Any) -> Any:
        y, pull = ad.vjp(arrayad_attention(ad), q, k, v)
        return y, pull(ct)

    return Step(lambda: step(*operands))


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    value, operands = compiled(arrayad_attention(ad)), [ad.tensor(arrays[name]) for name in "qkv"]
    return in_arrayad(ad, compiled, arrays), Step(lambda: value(*operands))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    leaves, ct = [torch.tensor(arrays[name], requires_grad=True) for name in "qkv"], torch.tensor(arrays["ct"])
    seen = torch.ones(T, T, dtype=torch.bool).tril()

    def written_out(q: Any, k: Any, v: Any) -> Any:
        scores = (q @ k.transpose(-1, -2)) / math.sqrt(D)
        return torch.softmax(scores.masked_fill(~seen, -math.inf), -1) @ v

    def fused(q: Any, k: Any, v: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    run = optimized(written_out) if optimized else fused

    def step() -> Any:
        y = run(*leaves)
        return y, torch.autograd.grad(y, leaves, ct)

    return Step(step, lambda out: [out[0].detach(), *out[1]])


def in_jax(jax: Any, arrays: Inputs) -> Step:
    jnp = jax.numpy
    operands = [jnp.asarray(x) for x in arrays.values()]

    def attention(q: Any, k: Any, v: Any) -> Any:
        scores = jnp.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(D)
        scores = jnp.where(jnp.tril(jnp.ones((T, T), bool)), scores, -jnp.inf)
        return jnp.einsum("bhts,bhsd->bhtd", jax.nn.softmax(scores), v)

    @jax.jit
    def step(q: Any, k: Any, v: Any, ct: Any) -> Any:
        y, pull = jax.vjp(attention, q, k, v)
        return y, pull(ct)

    return Step(lambda: jax.block_until_ready(step(*operands)))


def in_numpy(arrays: Inputs) -> Step:
    q, k, v, ct = arrays.values()
    hidden = np.where(np.tril(np.ones((T, T), bool)), 0.0, -np.inf).astype(q.dtype)
    scale = 1.0 / math.sqrt(D)

    def step() -> Any:
        shares = (q * scale) @ k.swapaxes(-1, -2)
        shares += hidden
        shares -= shares.max(axis=-1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=-1, keepdims=True)
        y = shares @ v
        dv = shares.swapaxes(-1, -2) @ ct
        ds = ct @ v.swapaxes(-1, -2)
        ds -= np.sum(ct * y, axis=-1, keepdims=True)
        ds *= shares
        ds *= scale
        return y, ds @ k, ds.swapaxes(-1, -2) @ q, dv

    return Step(step)


WORKLOADS = [
    Workload(
        key="attention",
        title="plain causal attention B 8, H 8, T 256, D 64, forward and backward",
        dtype="float32",
        inputs=inputs,
        goal=0.8,
        ratio=Ratio(4.0, ratio),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
    )
]

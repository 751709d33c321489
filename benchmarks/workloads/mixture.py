"""The log-likelihood of a Gaussian mixture, as in ADBench, float64: n 1000 points, d 32, K 50 full covariances; its gradient.

log L = Σ_i logsumexp_k(α_k + Σ_j q_kj - ½ |Q_k (x_i - μ_k)|²) - n logsumexp(α) - n d/2 ln 2π + prior, with Q_k lower triangular:
exp(q_k) on its diagonal, below it the elements of l_k, column by column.  The prior is Wishart's with γ = 1, m = 0:
½ γ² (Σ exp(2 q) + Σ l²) - m Σ q, taken away; its normalising constants C(n, γ) are left out.  By α (K), μ (K, d), and q and l
together (K, d + d(d-1)/2).  α, μ, l normal · (1, 1, 0.1), q = 0.3 normal, x normal.

The frameworks compute Q (x - μ) as ADBench's programs do; by hand Q x - Q μ, of which Q x is one matrix product.

**Source** F. Srajer, Z. Kukelova, A. Fitzgibbon, A benchmark of selected algorithmic differentiation tools, arXiv:1807.10129.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workloads.workload import Inputs, Ratio, Step, Workload, gradient_in_torch

N, D, K = 1000, 32, 50
LOWER = D * (D - 1) // 2
CONSTANT = -0.5 * N * D * math.log(2.0 * math.pi)
COLUMNS, ROWS = np.triu_indices(D, 1)
"""Column and row of each element of l: column by column, down the rows."""
PLACES = np.full(D * D, LOWER)
PLACES[ROWS * D + COLUMNS] = np.arange(LOWER)
"""Where each element of a matrix lies in l, a zero put after it."""


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    factors = np.concatenate([0.3 * rng.standard_normal((K, D)), 0.1 * rng.standard_normal((K, LOWER))], axis=1)
    return {
        "alphas": rng.standard_normal(K),
        "means": rng.standard_normal((K, D)),
        "icf": factors,
        "x": rng.standard_normal((N, D)),
    }


def likelihood(alphas: Any, q: Any, factors: Any, lower: Any, means: Any, x: Any, m: Any, logsumexp: Any) -> Any:
    """From the triangles, in any of the systems."""
    centred = x[:, None, :] - means
    through = m.einsum("kij,nkj->nki", factors, centred)
    terms = alphas + m.sum(q, 1) - 0.5 * m.sum(through**2, 2)
    prior = 0.5 * (m.sum(m.exp(2.0 * q)) + m.sum(lower**2))
    return m.sum(logsumexp(terms, 1)) - N * logsumexp(alphas, 0) - prior + CONSTANT


def arrayad_likelihood(ad: Any) -> Any:
    def f(alphas: Any, means: Any, icf: Any, x: Any) -> Any:
        q, lower = icf[:, :D], icf[:, D:]
        padded = ad.concat([lower, ad.zeros((K, 1))], axis=1)
        factors = ad.reshape(padded[:, PLACES], (K, D, D)) + ad.exp(q)[:, :, None] * ad.eye(D)
        return likelihood(alphas, q, factors, lower, means, x, ad, ad.logsumexp)

    return f


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    operands = [ad.tensor(x) for x in arrays.values()]
    step = compiled(ad.grad(arrayad_likelihood(ad), (0, 1, 2)))
    return Step(lambda: step(*operands))


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    f, operands = arrayad_likelihood(ad), [ad.tensor(x) for x in arrays.values()]
    both, value = compiled(ad.value_and_grad(f, (0, 1, 2))), compiled(f)
    return Step(lambda: both(*operands)), Step(lambda: value(*operands))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    alphas, means, icf, x = (torch.tensor(x) for x in arrays.values())
    rows, columns = torch.tensor(ROWS), torch.tensor(COLUMNS)

    def f(alphas: Any, means: Any, icf: Any, x: Any) -> Any:
        q, lower = icf[:, :D], icf[:, D:]
        triangle = torch.zeros(K, D, D, dtype=icf.dtype).index_put((torch.arange(K)[:, None], rows, columns), lower)
        return likelihood(alphas, q, triangle + torch.diag_embed(torch.exp(q)), lower, means, x, torch, torch.logsumexp)

    step = gradient_in_torch(torch, optimized, f, [alphas, means, icf], x)
    return Step(lambda: step()[1])


def in_jax(jax: Any, arrays: Inputs) -> Step:
    jnp = jax.numpy

    def f(alphas: Any, means: Any, icf: Any, x: Any) -> Any:
        q, lower = icf[:, :D], icf[:, D:]
        factors = jnp.zeros((K, D, D)).at[:, ROWS, COLUMNS].set(lower) + jnp.exp(q)[:, :, None] * jnp.eye(D)
        return likelihood(alphas, q, factors, lower, means, x, jnp, jax.scipy.special.logsumexp)

    step, operands = jax.jit(jax.grad(f, (0, 1, 2))), [jnp.asarray(x) for x in arrays.values()]
    return Step(lambda: jax.block_until_ready(step(*operands)))


def in_numpy(arrays: Inputs) -> Step:
    alphas, means, icf, x = arrays.values()
    diagonal = np.arange(D)

    def step() -> Any:
        q, lower = icf[:, :D], icf[:, D:]
        scale = np.exp(q)
        factors = np.zeros((K, D, D))
        factors[:, ROWS, COLUMNS] = lower
        factors[:, diagonal, diagonal] = scale
        through = (x @ factors.reshape(K * D, D).T).reshape(N, K, D)
        through -= np.matmul(factors, means[:, :, None])[:, :, 0]
        terms = np.einsum("nki,nki->nk", through, through)
        terms *= -0.5
        terms += alphas + q.sum(axis=1)
        terms -= terms.max(axis=1, keepdims=True)
        shares = np.exp(terms, out=terms)
        shares /= shares.sum(axis=1, keepdims=True)
        through *= -shares[:, :, None]
        total, sums = shares.sum(axis=0), through.sum(axis=0)
        by_factor = (through.reshape(N, K * D).T @ x).reshape(K, D, D) - sums[:, :, None] * means[:, None, :]
        by_mean = -np.matmul(sums[:, None, :], factors)[:, 0]
        by_icf = np.empty_like(icf)
        by_icf[:, :D] = by_factor[:, diagonal, diagonal] * scale + total[:, None] - scale * scale
        by_icf[:, D:] = by_factor[:, ROWS, COLUMNS] - lower
        prior = np.exp(alphas - alphas.max())
        return total - N * prior / prior.sum(), by_mean, by_icf

    return Step(step)


WORKLOADS = [
    Workload(
        key="mixture",
        title="Gaussian mixture log-likelihood (n 1000, d 32, K 50), gradient",
        inputs=inputs,
        goal=0.6,
        ratio=Ratio(4.0, ratio, by=(0, 1, 2)),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
    )
]

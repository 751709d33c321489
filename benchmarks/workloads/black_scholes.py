"""Black–Scholes calls, 10⁶ options, float64: the prices, and their derivatives by spot s, strike k, time t, rate r, volatility v.

price = s N(d1) - k e^(-rt) N(d1 - v√t), d1 = (ln(s/k) + (r + v²/2) t) / (v√t), N(d) = erfc(-d/√2) / 2.  The derivatives
are those of the sum of the prices, so that each has as many elements as options.  Uniform: s, k in [50, 150], t in [0.1, 2], r in
[0, 0.1], v in [0.1, 0.5].  By hand the greeks are in closed form.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workloads.special import erfc
from workloads.workload import Inputs, Ratio, Step, Workload

OPTIONS = 1_000_000
RANGES = {"s": (50.0, 150.0), "k": (50.0, 150.0), "t": (0.1, 2.0), "r": (0.0, 0.1), "v": (0.1, 0.5)}
ROOT_HALF = math.sqrt(0.5)


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    return {name: rng.uniform(*bounds, OPTIONS) for name, bounds in RANGES.items()}


def prices_in(m: Any, erfc: Any) -> Any:
    def prices(s: Any, k: Any, t: Any, r: Any, v: Any) -> Any:
        spread = v * m.sqrt(t)
        d1 = (m.log(s / k) + (r + 0.5 * v * v) * t) / spread
        d2 = d1 - spread
        return 0.5 * (s * erfc(-ROOT_HALF * d1) - k * m.exp(-r * t) * erfc(-ROOT_HALF * d2))

    return prices


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    prices, operands = prices_in(ad, ad.erfc), [ad.tensor(x) for x in arrays.values()]

    @compiled
    def step(*operands: Any) -> Any:
        value, pull = ad.vjp(prices, *operands)
        return value, pull(ad.ones_like(value))

    return Step(lambda: step(*operands))


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    value, operands = compiled(prices_in(ad, ad.erfc)), [ad.tensor(x) for x in arrays.values()]
    return in_arrayad(ad, compiled, arrays), Step(lambda: value(*operands))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    prices, leaves = prices_in(torch, torch.special.erfc), [torch.tensor(x, requires_grad=True) for x in arrays.values()]
    ones = torch.ones(OPTIONS, dtype=torch.float64)
    run = optimized(prices) if optimized else prices

    def step() -> Any:
        value = run(*leaves)
        return value, torch.autograd.grad(value, leaves, ones)

    return Step(step, lambda out: [out[0].detach(), *out[1]])


def in_jax(jax: Any, arrays: Inputs) -> Step:
    prices, operands = prices_in(jax.numpy, jax.scipy.special.erfc), [jax.numpy.asarray(x) for x in arrays.values()]

    @jax.jit
    def step(*operands: Any) -> Any:
        value, pull = jax.vjp(prices, *operands)
        return value, pull(jax.numpy.ones_like(value))

    return Step(lambda: jax.block_until_ready(step(*operands)))


def in_numpy(arrays: Inputs) -> Step:
    s, k, t, r, v = arrays.values()

    def step() -> Any:
        root = np.sqrt(t)
        spread = v * root
        d1 = (np.log(s / k) + (r + 0.5 * v * v) * t) / spread
        n1, n2 = 0.5 * erfc(-ROOT_HALF * d1), 0.5 * erfc(-ROOT_HALF * (d1 - spread))
        discounted = k * np.exp(-r * t)
        vega = s * np.exp(-0.5 * d1 * d1) * root / math.sqrt(2.0 * math.pi)
        held = discounted * n2
        return s * n1 - held, n1, -held / k, 0.5 * vega * v / t + r * held, t * held, vega

    return Step(step)


def in_c(library: Any, arrays: Inputs) -> Step:
    out = [np.empty(OPTIONS) for _ in range(6)]
    declaration = (
        "void black_scholes(long n, const double *s, const double *k, const double *t, const double *r, const double *v,"
        " double *price, double *ds, double *dk, double *dt, double *dr, double *dv)"
    )
    return Step(library.function(declaration, OPTIONS, *arrays.values(), *out), lambda _: out)


WORKLOADS = [
    Workload(
        key="black-scholes",
        title="Black–Scholes, 10^6 options, value and all greeks",
        inputs=inputs,
        goal=0.4,
        goal_of_c=1.3,
        ratio=Ratio(3.0, ratio),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
        c=in_c,
        source="black_scholes.c",
    )
]

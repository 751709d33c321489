"""Rosenbrock's function, f(x) = Σ 100 (x[i+1] - x[i]²)² + (1 - x[i])², float64: its gradient, and its Hessian times a vector.

x uniform in [0.5, 1.5], n = 10⁶ and 10³; the vector of the product is x backwards.  In C one loop without intermediate arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Ratio, Step, Workload, gradient_in_torch


def inputs_of(n: int) -> Any:
    def inputs() -> Inputs:
        x = np.random.default_rng(0).uniform(0.5, 1.5, n)
        return {"x": x, "v": x[::-1].copy()}

    return inputs


def rosenbrock(x: Any) -> Any:
    """In any of the systems, whose arrays all know this much."""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


# --- the gradient ------------------------------------------------------------------------------------------------------


def arrayad_gradient(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, x = compiled(ad.grad(rosenbrock)), ad.tensor(arrays["x"])
    return Step(lambda: step(x))


def value_and_gradient(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    both, value, x = compiled(ad.value_and_grad(rosenbrock)), compiled(rosenbrock), ad.tensor(arrays["x"])
    return Step(lambda: both(x)), Step(lambda: value(x))


def torch_gradient(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    x = torch.tensor(arrays["x"])
    if optimized:
        gradient = optimized(torch.func.grad(rosenbrock))
        return Step(lambda: gradient(x))
    step = gradient_in_torch(torch, optimized, rosenbrock, [x])
    return Step(lambda: step()[1])


def jax_gradient(jax: Any, arrays: Inputs) -> Step:
    step, x = jax.jit(jax.grad(rosenbrock)), jax.numpy.asarray(arrays["x"])
    return Step(lambda: step(x).block_until_ready())


def numpy_gradient(arrays: Inputs) -> Step:
    x = arrays["x"]

    def step() -> Any:
        low = x[:-1]
        across = x[1:] - low * low
        gradient = np.empty_like(x)
        gradient[-1] = 0.0
        gradient[:-1] = -400.0 * low * across - 2.0 * (1.0 - low)
        gradient[1:] += 200.0 * across
        return gradient

    return Step(step)


def c_gradient(library: Any, arrays: Inputs) -> Step:
    x = arrays["x"]
    out = np.empty_like(x)
    run = library.function("void gradient(long n, const double *x, double *out)", len(x), x, out)
    return Step(run, lambda _: [out])


# --- the Hessian times a vector ----------------------------------------------------------------------------------------


def arrayad_hvp(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step = compiled(lambda x, v: ad.hvp(rosenbrock, x, v))
    x, v = ad.tensor(arrays["x"]), ad.tensor(arrays["v"])
    return Step(lambda: step(x, v))


def hvp_and_gradient(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    return arrayad_hvp(ad, compiled, arrays), arrayad_gradient(ad, compiled, arrays)


def torch_hvp(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    x, v = torch.tensor(arrays["x"]), torch.tensor(arrays["v"])

    def product(x: Any, v: Any) -> Any:
        return torch.func.jvp(torch.func.grad(rosenbrock), (x,), (v,))[1]

    step = optimized(product) if optimized else product
    return Step(lambda: step(x, v))


def jax_hvp(jax: Any, arrays: Inputs) -> Step:
    x, v = jax.numpy.asarray(arrays["x"]), jax.numpy.asarray(arrays["v"])
    step = jax.jit(lambda x, v: jax.jvp(jax.grad(rosenbrock), (x,), (v,))[1])
    return Step(lambda: step(x, v).block_until_ready())


def numpy_hvp(arrays: Inputs) -> Step:
    x, v = arrays["x"], arrays["v"]

    def step() -> Any:
        low, tangent = x[:-1], v[:-1]
        out = np.empty_like(x)
        out[-1] = 0.0
        out[:-1] = (1200.0 * low * low - 400.0 * x[1:] + 2.0) * tangent - 400.0 * low * v[1:]
        out[1:] += 200.0 * v[1:] - 400.0 * low * tangent
        return out

    return Step(step)


def c_hvp(library: Any, arrays: Inputs) -> Step:
    x, v = arrays["x"], arrays["v"]
    out = np.empty_like(x)
    run = library.function("void product(long n, const double *x, const double *v, double *out)", len(x), x, v, out)
    return Step(run, lambda _: [out])


WORKLOADS = [
    Workload(
        key=f"rosenbrock-{size}",
        title=f"Rosenbrock gradient, n {text}",
        inputs=inputs_of(n),
        goal=goal,
        ratio=Ratio(3.0, value_and_gradient),
        arrayad=arrayad_gradient,
        torch=torch_gradient,
        jax=jax_gradient,
        numpy=numpy_gradient,
        c=c_gradient,
        source="rosenbrock.c",
    )
    for size, text, n, goal in (("1e6", "10^6", 1_000_000, 0.4), ("1e3", "10^3", 1_000, 0.2))
] + [
    Workload(
        key=f"hvp-{size}",
        title=f"Rosenbrock Hessian-vector product, n {text}",
        inputs=inputs_of(n),
        goal=goal,
        ratio=Ratio(4.0, hvp_and_gradient, "hvp / gradient"),
        arrayad=arrayad_hvp,
        torch=torch_hvp,
        jax=jax_hvp,
        numpy=numpy_hvp,
        c=c_hvp,
        source="rosenbrock.c",
    )
    for size, text, n, goal in (("1e6", "10^6", 1_000_000, 0.6), ("1e3", "10^3", 1_000, 0.2))
]

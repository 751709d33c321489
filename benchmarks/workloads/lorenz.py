"""4D-Var of Lorenz-96, float64: the gradient of the cost of an initial state, through 200 Runge-Kutta steps.

dx[i]/dt = (x[i+1] - x[i-2]) x[i-1] - x[i] + F, 40 variables on a ring, F = 8, steps of RK4 with dt = 0.05.
cost(x0) = ½ |x0 - background|² / 1² + ½ Σ |x(step) - observation|² / 0.5², after steps 10, 20, …, 200.  The truth starts on the
attractor (500 steps from a bump), observations have noise 0.5, the background noise 0.1, and x0 noise 0.1 of its own.

Ours and JAX's run as a scan; torch, which has none for the CPU, loops in Python over a step, which torch.compile compiles.
Neighbouring trajectories part by e^1.7 a unit of time, 10⁷ over all steps, and roundings with them: 1e-7 is allowed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workloads.workload import Inputs, Ratio, Step, Workload

STEPS, EVERY, DT, FORCING, NOISE = 200, 10, 0.05, 8.0, 0.5


def rk4(x: Any, roll: Any) -> Any:
    """A step, in any of the systems."""

    def slope(x: Any) -> Any:
        return (roll(x, -1) - roll(x, 2)) * roll(x, 1) - x + FORCING

    k1 = slope(x)
    k2 = slope(x + (0.5 * DT) * k1)
    k3 = slope(x + (0.5 * DT) * k2)
    k4 = slope(x + DT * k3)
    return x + (DT / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    truth = np.full(40, FORCING)
    truth[19] += 0.01
    for _ in range(500):
        truth = rk4(truth, np.roll)
    x, observations = truth, []
    for step in range(STEPS):
        x = rk4(x, np.roll)
        if step % EVERY == EVERY - 1:
            observations.append(x + NOISE * rng.standard_normal(40))
    background = truth + 0.1 * rng.standard_normal(40)
    return {"x": background + 0.1 * rng.standard_normal(40), "background": background, "observations": np.stack(observations)}


def cost_in(m: Any, scan: Any) -> Any:
    def cost(x: Any, background: Any, observations: Any) -> Any:
        def step(x: Any, _: Any) -> Any:
            x = rk4(x, m.roll)
            return x, x

        _, path = scan(step, x, None, length=STEPS)
        misfit = path[EVERY - 1 :: EVERY] - observations
        return 0.5 * m.sum((x - background) ** 2) + (0.5 / NOISE**2) * m.sum(misfit**2)

    return cost


def in_arrayad(ad: Any, compiled: Any, arrays: Inputs) -> Step:
    step, operands = compiled(ad.grad(cost_in(ad, ad.scan))), [ad.tensor(x) for x in arrays.values()]
    return Step(lambda: step(*operands))


def ratio(ad: Any, compiled: Any, arrays: Inputs) -> tuple[Step, Step]:
    cost, operands = cost_in(ad, ad.scan), [ad.tensor(x) for x in arrays.values()]
    both, value = compiled(ad.value_and_grad(cost)), compiled(cost)
    return Step(lambda: both(*operands)), Step(lambda: value(*operands))


def in_torch(torch: Any, optimized: Any, arrays: Inputs) -> Step:
    x, background, observations = (torch.tensor(x) for x in arrays.values())
    x.requires_grad_()

    def advance(x: Any) -> Any:
        return rk4(x, torch.roll)

    run = optimized(advance) if optimized else advance

    def step() -> Any:
        y, path = x, []
        for _ in range(STEPS):
            y = run(y)
            path.append(y)
        misfit = torch.stack(path[EVERY - 1 :: EVERY]) - observations
        cost = 0.5 * torch.sum((x - background) ** 2) + (0.5 / NOISE**2) * torch.sum(misfit**2)
        return torch.autograd.grad(cost, x)

    return Step(step)


def in_jax(jax: Any, arrays: Inputs) -> Step:
    step = jax.jit(jax.grad(cost_in(jax.numpy, jax.lax.scan)))
    operands = [jax.numpy.asarray(x) for x in arrays.values()]
    return Step(lambda: step(*operands).block_until_ready())


def in_numpy(arrays: Inputs) -> Step:
    """The adjoint of each step, backwards; the slopes are computed anew, from states on a ring that is written out."""
    start, background, observations = arrays.values()

    def ring(x: Any) -> Any:
        return np.concatenate([x[-2:], x, x[:1]])

    def slope(x: Any) -> Any:
        r = ring(x)
        return (r[3:] - r[:-3]) * r[1:-2] - x + FORCING

    def pulled(x: Any, ct: Any) -> Any:
        """(∂slope/∂x)ᵀ ct."""
        r = ring(x)
        back = ct * r[1:-2]
        across = ct * (r[3:] - r[:-3])
        return np.roll(back, 1) - np.roll(back, -2) + np.roll(across, -1) - ct

    def adjoint(x: Any, ct: Any) -> Any:
        k1 = slope(x)
        x2 = x + (0.5 * DT) * k1
        x3 = x + (0.5 * DT) * slope(x2)
        x4 = x + DT * slope(x3)
        a4 = pulled(x4, (DT / 6.0) * ct)
        a3 = pulled(x3, (DT / 3.0) * ct + DT * a4)
        a2 = pulled(x2, (DT / 3.0) * ct + (0.5 * DT) * a3)
        a1 = pulled(x, (DT / 6.0) * ct + (0.5 * DT) * a2)
        return ct + a1 + a2 + a3 + a4

    def step() -> Any:
        path = [start]
        for _ in range(STEPS):
            x = path[-1]
            k1 = slope(x)
            k2 = slope(x + (0.5 * DT) * k1)
            k3 = slope(x + (0.5 * DT) * k2)
            path.append(x + (DT / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + slope(x + DT * k3)))
        ct = np.zeros(40)
        for i in range(STEPS, 0, -1):
            if i % EVERY == 0:
                ct = ct + (path[i] - observations[i // EVERY - 1]) / NOISE**2
            ct = adjoint(path[i - 1], ct)
        return ct + start - background

    return Step(step)


def in_c(library: Any, arrays: Inputs) -> Step:
    out = np.empty(40)
    declaration = "void gradient(const double *start, const double *background, const double *observations, double *out)"
    return Step(library.function(declaration, *arrays.values(), out), lambda _: [out])


WORKLOADS = [
    Workload(
        key="lorenz",
        title="Lorenz-96 4D-Var gradient, 200 RK4 steps, N 40",
        inputs=inputs,
        goal=0.1,
        goal_of_c=2.0,
        ratio=Ratio(3.0, ratio, by=(0,)),
        arrayad=in_arrayad,
        torch=in_torch,
        jax=in_jax,
        numpy=in_numpy,
        c=in_c,
        source="lorenz.c",
        tolerance=1e-7,
    )
]

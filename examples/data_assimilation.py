"""The state of an atmosphere, from too few and noisy observations: 4D-Var on Lorenz's model.

    python examples/data_assimilation.py [--small] [--window STEPS] [--picture data-assimilation.png]

Half of 40 variables around a circle of latitude are observed every six hours, with noise.  Every two and a half days the
forecast that comes out of the days before, the background, is corrected: which state at the beginning of the window lies near
the background, and has a trajectory that passes near all the observations in the window?  The misfit is differentiated by that
state, through the whole forecast, and made small by L-BFGS; the end of the corrected trajectory is the next background.  The
truth is a run of the same model, and known: so is, then, what the analysis gains.
docs/data-assimilation.md explains the program.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import measuring
import numpy as np

import arrayad as ad

Array = np.ndarray[Any, Any]

VARIABLES, FORCING = 40, 8.0
STEP = 0.05
"""The time step; 0.05 is six hours, for errors to grow as fast as those of weather forecasts (Lorenz 1996)."""
STEPS_A_DAY = 4


class Experiment(NamedTuple):
    """What is observed, what is assumed, and for how long."""

    cycles: int = 146
    spin_up: int = 10
    """So many cycles forget that the first background was a guess."""
    window: int = 10
    """The steps of a cycle: two and a half days."""
    every: int = 1
    """The steps between observations."""
    stride: int = 2
    """One of so many variables is observed."""
    noise: float = 1.0
    """The standard deviation of an observation's error."""
    spread: float = 0.4
    """The standard deviation that is assumed of the background's errors."""
    length: float = 1.0
    """The distance, in variables, over which these are correlated."""
    seed: int = 0


FULL = Experiment()
SMALL = Experiment(cycles=14, spin_up=4)


# --- the model -----------------------------------------------------------------------------------------------------


def tendency(x: ad.Tensor) -> ad.Tensor:
    """dx[i]/dt = (x[i+1] - x[i-2]) x[i-1] - x[i] + F, around the circle: advection, damping and forcing."""
    return (ad.roll(x, -1) - ad.roll(x, 2)) * ad.roll(x, 1) - x + FORCING


def step(x: ad.Tensor) -> ad.Tensor:
    """The state one time step later, by the Runge-Kutta method of order 4."""
    k1 = tendency(x)
    k2 = tendency(x + STEP / 2 * k1)
    k3 = tendency(x + STEP / 2 * k2)
    k4 = tendency(x + STEP * k3)
    return x + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def trajectory(x: ad.Tensor, steps: int) -> ad.Tensor:
    """The states after 1, 2, … steps.

    A scan: in a compiled program the step stands once, whatever the number of steps.  Python's own loop would do as well, but
    as a program it would be as long as the forecast.
    """
    return ad.scan(lambda x, _: (step(x),) * 2, x, length=steps)[1]


# --- the cost ------------------------------------------------------------------------------------------------------


def background_root(spread: float, length: float) -> Array:
    """The symmetric root L of the background covariance B = L Lᵀ, B[i, j] = spread² exp(-½ (distance(i, j) / length)²)."""
    distance = np.minimum(np.arange(VARIABLES), VARIABLES - np.arange(VARIABLES))
    eigenvalues = np.fft.fft(np.exp(-0.5 * (distance / length) ** 2)).real
    row = np.fft.ifft(np.sqrt(np.maximum(eigenvalues, 0.0))).real
    return spread * np.stack([np.roll(row, i) for i in range(VARIABLES)])


def cost_of(experiment: Experiment) -> Callable[..., ad.Tensor]:
    """The cost of a control vector v: J(v) = ½ |v|² + ½ Σ_k |H x_k - y_k|² / noise², where x_0 = background + L v.

    In the control variable the background term is the sum of squares: the background's errors are of size one in all directions
    of v, and the Hessian is the identity and what the observations add.
    """
    root = background_root(experiment.spread, experiment.length)

    def cost(v: ad.Tensor, background: ad.Tensor, observations: ad.Tensor) -> ad.Tensor:
        def to_next_observation(x: ad.Tensor, y: ad.Tensor) -> tuple[ad.Tensor, ad.Tensor]:
            for _ in range(experiment.every):
                x = step(x)
            return x, ad.sum((x[:: experiment.stride] - y) ** 2)

        _, misfits = ad.scan(to_next_observation, background + root @ v, observations)
        return 0.5 * ad.sum(v**2) + 0.5 * ad.sum(misfits) / experiment.noise**2

    return cost


# --- the twin experiment -------------------------------------------------------------------------------------------


class Cycle(NamedTuple):
    """A window: trajectories, whose first state is that at its beginning, and the observations in it."""

    truth: Array
    background: Array
    analysis: Array
    observations: Array
    evaluations: int


def rmse(states: Array, truth: Array) -> float:
    """The root of the mean squared error, over all variables and times."""
    return float(np.sqrt(np.mean((states - truth) ** 2)))


def assimilate(experiment: Experiment, progress: bool = True) -> list[Cycle]:
    """The cycles of an experiment."""
    rng = np.random.default_rng(experiment.seed)
    root, cost = background_root(experiment.spread, experiment.length), cost_of(experiment)
    forecast = ad.compile(lambda x: ad.concat([x[None], trajectory(x, experiment.window)]))
    truth = ad.tensor(FORCING + 0.01 * rng.standard_normal(VARIABLES))
    for _ in range(100):
        truth = forecast(truth)[-1]  # away from the start, onto the attractor
    background = truth + 2.0 * rng.standard_normal(VARIABLES)
    cycles = []
    with measuring.progress(experiment.cycles, "cycles", progress) as advance:
        for _ in range(experiment.cycles):
            states = forecast(truth)
            seen = states[experiment.every :: experiment.every, :: experiment.stride]
            observations = seen + experiment.noise * rng.standard_normal(seen.shape)
            found = ad.optim.minimize(
                cost, np.zeros(VARIABLES), "l-bfgs", args=(background, observations), gtol=1e-3, compile=True
            )
            before, after = forecast(background), forecast(background + root @ found.x)
            cycles.append(Cycle(*(x.numpy() for x in (states, before, after, observations)), found.evaluations.value))
            truth, background = states[-1], after[-1]
            advance()
    return cycles


# --- what is said of it --------------------------------------------------------------------------------------------


def adjoint_test(x: ad.Tensor, steps: int) -> float:
    """How far <M t, w> and <t, Mᵀ w> are apart, relatively, for the tangent-linear forecast M and its adjoint."""
    t, w = np.random.default_rng(1).standard_normal((2, VARIABLES))
    _, forward = ad.jvp(lambda x: trajectory(x, steps)[-1], (x,), (t,))
    _, pull = ad.vjp(lambda x: trajectory(x, steps)[-1], x)
    one, other = float(w @ forward), float(t @ pull(w)[0])
    return abs(one - other) / abs(one)


def check(experiment: Experiment) -> tuple[measuring.Agreement, float, measuring.Cost]:
    """The gradient of the cost against differences; the adjoint against the tangent-linear model; what a gradient costs."""
    rng = np.random.default_rng(experiment.seed)
    background = ad.tensor(FORCING + rng.standard_normal(VARIABLES))
    shape = experiment.window // experiment.every, VARIABLES // experiment.stride
    v, observations = ad.tensor(rng.standard_normal(VARIABLES)), ad.tensor(FORCING + rng.standard_normal(shape))
    cost = ad.compile(cost_of(experiment))
    both = ad.compile(ad.value_and_grad(cost_of(experiment)))
    agreement = measuring.agreement(lambda v: cost(v, background, observations), both(v, background, observations)[1], v)
    timed = measuring.cost(lambda: cost(v, background, observations), lambda: both(v, background, observations), rounds=99)
    return agreement, adjoint_test(background, experiment.window), timed


def draw(experiment: Experiment, cycles: list[Cycle], path: str) -> None:
    """A variable that is observed, one that is not, and the errors of all cycles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7.5), layout="constrained")
    axes = figure.subplots(3, 1)
    shown = cycles[experiment.spin_up :][:5]
    for panel, variable in zip(axes, (0, 1), strict=False):
        for k, cycle in enumerate(shown):
            days = (k * experiment.window + np.arange(experiment.window + 1)) / STEPS_A_DAY
            panel.plot(days, cycle.truth[:, variable], "k", lw=2.5, alpha=0.35, label="truth")
            panel.plot(days, cycle.background[:, variable], "C1--", lw=1.2, label="background")
            panel.plot(days, cycle.analysis[:, variable], "C0", lw=1.5, label="analysis")
            if variable % experiment.stride == 0:
                seen = cycle.observations[:, variable // experiment.stride]
                panel.plot(days[experiment.every :: experiment.every], seen, "k.", ms=6, label="observations")
            panel.axvline(days[0], color="0.85", lw=1, zorder=0)
        panel.set(ylabel=f"x[{variable}]", xlim=(0, len(shown) * experiment.window / STEPS_A_DAY))
        panel.set_title(f"a variable that is {'not ' if variable % experiment.stride else ''}observed", fontsize="medium")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles[:4], labels[:4], ncols=4, fontsize="small", loc="outside upper center")
    axes[1].set_xlabel("days")
    for name, color in (("background", "C1"), ("analysis", "C0")):
        axes[2].plot([rmse(getattr(cycle, name), cycle.truth) for cycle in cycles], color, marker=".", lw=1, label=name)
    axes[2].axhline(experiment.noise, color="0.6", lw=1, ls=":", label="an observation")
    axes[2].set(xlabel="cycle", ylabel="error (RMS over the window)", ylim=(0, None), xlim=(0, len(cycles) - 1))
    axes[2].legend(ncols=3, fontsize="small", loc="upper right")
    figure.savefig(path, dpi=80)


def main(arguments: Sequence[str] | None = None) -> list[Cycle]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true", help="a few cycles, in a few seconds")
    parser.add_argument("--window", type=int, metavar="STEPS", help="the length of a window, in steps of six hours")
    parser.add_argument("--picture", metavar="PATH", help="where to draw trajectories and errors")
    options = parser.parse_args(arguments)
    experiment = SMALL if options.small else FULL
    if options.window:
        experiment = experiment._replace(window=options.window)
    seen = VARIABLES // experiment.stride
    print(f"{experiment.cycles} cycles of {experiment.window / STEPS_A_DAY:g} days, {seen} of {VARIABLES} variables observed")
    agreement, adjoint, cost = check(experiment)
    print(f"the slope of the cost along a random direction: {agreement}")
    print(f"the tangent-linear forecast and its adjoint differ by {adjoint:.0e}")
    print(f"a cost takes {cost}")
    cycles = assimilate(experiment)
    later = cycles[experiment.spin_up :]
    before, after = (np.array([rmse(getattr(c, name), c.truth) for c in later]) for name in ("background", "analysis"))
    print(f"errors: background {before.mean():.2f}, analysis {after.mean():.2f}; a single observation's {experiment.noise:.2f}")
    print(
        f"analysis nearer to the truth in {np.sum(after < before)} of {len(later)} cycles, after {experiment.spin_up} of spin-up"
    )
    print(f"{np.mean([c.evaluations for c in later]):.0f} gradients a cycle")
    if options.picture:
        draw(experiment, cycles, options.picture)
        print(f"drawn to {options.picture}")
    return cycles


if __name__ == "__main__":
    main()

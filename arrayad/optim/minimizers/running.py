"""The loop around a method: tolerances, limits, callbacks, the progress bar, and the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple, Protocol

import numpy as np

from arrayad.optim.minimizers.objective import Point, Problem
from arrayad.optim.minimizers.result import History, Result
from arrayad.optim.minimizers.space import Space

NO_LOWER = (
    "no lower value was found along a direction of descent; the value may be noisier than rounding, have a kink here, "
    "or its gradient be wrong (testing.check_grads)"
)


class Stalled(Exception):
    """A method that finds no lower point.  `decrease` is what its model promised."""

    def __init__(self, decrease: float = math.inf, message: str = NO_LOWER) -> None:
        super().__init__(message)
        self.decrease = decrease


class Method(Protocol):
    """What a minimiser is: it goes from one point to a lower one."""

    name: str

    def advance(self, point: Point) -> Point:
        """The next point.  **Raises** `Stalled` where it finds none."""


class Rules(NamedTuple):
    """When to stop.  Tolerances of None are not asked."""

    gtol: float
    ftol: float | None
    xtol: float | None
    max_iterations: int
    max_evaluations: int | None

    @classmethod
    def of(
        cls,
        name: str,
        space: Space,
        gtol: float | None,
        ftol: float | None,
        xtol: float | None,
        max_iterations: int,
        max_evaluations: int | None,
    ) -> Rules:
        """The rules of a call, checked."""
        for word, bound in (("gtol", gtol), ("ftol", ftol), ("xtol", xtol), ("max_iterations", max_iterations)):
            if bound is not None and not bound >= 0:
                raise ValueError(f"[{name}] {word} is {bound}; it must be at least 0")
        if max_evaluations is not None and max_evaluations < 1:
            raise ValueError(f"[{name}] max_evaluations is {max_evaluations}; it must be at least 1")
        return cls(space.epsilon ** (1 / 3) if gtol is None else gtol, ftol, xtol, max_iterations, max_evaluations)


class State:
    """What a callback is told after each iteration: the trees `x` and `gradient`, and numbers."""

    def __init__(self, point: Point, iteration: int, history: History) -> None:
        self.point, self.iteration = point, iteration
        self.value = point.value
        self.gradient_norm, self.step, self.evaluations = history.gradient_norm[-1], history.step[-1], history.evaluations[-1]

    @property
    def x(self) -> Any:
        return self.point.objective.space.unpack(self.point.x)

    @property
    def gradient(self) -> Any:
        return self.point.objective.space.unpack(self.point.gradient)

    def __repr__(self) -> str:
        return f"<iteration {self.iteration}: value {self.value:.6g}, |gradient| {self.gradient_norm:.1e}, step {self.step:.1e}>"


def run(
    method: Method, problem: Problem, rules: Rules, callback: Callable[[State], Any] | None, progress: bool, keep: bool
) -> Result:
    """Iterate until a rule, the callback or the method says stop."""
    tqdm = import_tqdm(problem.name) if progress else None
    point = problem.start()
    history = History()
    problem.note(history, point, point, keep)
    bar = None if tqdm is None else tqdm(total=rules.max_iterations, desc=method.name)
    iteration = 0
    try:
        verdict = settled(rules, problem, history, iteration)
        while verdict is None:
            try:
                new = method.advance(point)
            except Stalled as stalled:
                verdict = stuck(stalled, problem, point)
                break
            iteration += 1
            previous, point = point, new
            problem.note(history, point, previous, keep)
            if bar is not None:
                bar.update()
                bar.set_postfix(value=f"{point.value:.4g}", gradient=f"{history.gradient_norm[-1]:.1e}")
            verdict = settled(rules, problem, history, iteration, previous, point)
            if callback is not None and told(callback, State(point, iteration, history)) and verdict is None:
                verdict = False, "stopped by the callback"
    finally:
        if bar is not None:
            bar.close()
    space = problem.space
    return Result(
        x=space.unpack(point.x),
        value=point.value,
        gradient=space.unpack(point.gradient),
        converged=verdict[0],
        message=verdict[1],
        iterations=iteration,
        evaluations=copy(problem.evaluations),
        history=history,
        method=method.name,
    )


def told(callback: Callable[[State], Any], state: State) -> bool:
    """Whether the callback wants to stop: it returns something true, or raises `StopIteration`."""
    try:
        return bool(callback(state))
    except StopIteration:
        return True


def settled(
    rules: Rules,
    problem: Problem,
    history: History,
    iteration: int,
    previous: Point | None = None,
    point: Point | None = None,
) -> tuple[bool, str] | None:
    """(converged, why) where a rule says stop, else None."""
    norm = history.gradient_norm[-1]
    if history.value[-1] == -math.inf:
        return False, "the value is -inf: f has no lower bound"
    if norm <= rules.gtol:
        return True, f"|gradient| is {norm:.1e}, gtol {rules.gtol:.1e}"
    if previous is not None and point is not None:
        fall = previous.value - point.value
        if rules.ftol is not None and abs(fall) <= rules.ftol * max(abs(previous.value), abs(point.value), 1.0):
            return True, f"the value fell by {fall:.1e}, ftol {rules.ftol:.1e}"
        size = float(np.max(np.abs(point.x), initial=0.0))
        if rules.xtol is not None and history.step[-1] <= rules.xtol * max(size, 1.0):
            return True, f"the step was {history.step[-1]:.1e}, xtol {rules.xtol:.1e}"
    if iteration >= rules.max_iterations:
        return False, f"stopped after max_iterations, {iteration}; |gradient| is {norm:.1e}, gtol {rules.gtol:.1e}"
    if rules.max_evaluations is not None and history.evaluations[-1] >= rules.max_evaluations:
        return False, f"stopped after {history.evaluations[-1]} evaluations; max_evaluations is {rules.max_evaluations}"
    return None


def stuck(stalled: Stalled, problem: Problem, point: Point) -> tuple[bool, str]:
    """(converged, why) of a method that finds no lower point."""
    if stalled.decrease <= problem.noise(point):
        return True, f"a decrease of {stalled.decrease:.1e} cannot be told from rounding of the value {point.value:.6g}"
    return False, str(stalled)


def import_tqdm(name: str) -> Any:
    """The bar of tqdm, or an error that says how to get it."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError(f'[{name}] progress=True needs the package tqdm: pip install "arrayad[progress]"') from None
    return tqdm

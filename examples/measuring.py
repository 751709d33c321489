"""What the programs of this folder say of their gradients: the digits that differences confirm, and what they cost."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import arrayad as ad


class Agreement(NamedTuple):
    """A derivative along a random direction, by a gradient and by differences."""

    derivative: float
    differences: float
    error: float
    """What the differences may be off by, as they estimate it."""

    @property
    def digits(self) -> float:
        """How many significant digits agree."""
        off = abs(self.derivative - self.differences) / abs(self.differences)
        return float(np.minimum(-np.log10(off), 16.0)) if off else 16.0

    def __str__(self) -> str:
        return (
            f"{self.derivative:.12g}, by differences {self.differences:.12g} ± {self.error:.0e}: {self.digits:.1f} digits agree"
        )


def agreement(f: Callable[[Any], ad.Tensor], gradient: Any, x: Any, seed: int = 0) -> Agreement:
    """How the gradient of `f` at an array `x` agrees with differences of order 6 along a random direction."""
    direction = np.random.default_rng(seed).uniform(size=np.shape(x))
    estimate = ad.numerical.directional(lambda x: float(f(x)), np.asarray(x), direction, order=6, noise="estimate")
    return Agreement(float(np.sum(np.asarray(gradient) * direction)), float(estimate.value), float(estimate.error))


class Cost(NamedTuple):
    """The seconds that a function takes, and those that it takes with its gradient."""

    function: float
    both: float

    def __str__(self) -> str:
        unit, scale = ("µs", 1e6) if self.both < 1e-3 else ("ms", 1e3) if self.both < 1.0 else ("s", 1.0)
        return (
            f"{self.function * scale:.3g} {unit}, with the gradient {self.both * scale:.3g} {unit}: "
            f"{self.both / self.function:.2f} times the function"
        )


def cost(function: Callable[[], Any], both: Callable[[], Any], rounds: int = 9) -> Cost:
    """The medians of rounds in which both calls take turns; each is called once before, so that nothing is traced."""
    spent: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for call, seconds in zip((function, both), spent, strict=True):
            started = time.perf_counter()
            call()
            if turn:
                seconds.append(time.perf_counter() - started)
    return Cost(*map(statistics.median, spent))


@contextlib.contextmanager
def progress(total: int, unit: str, shown: bool = True) -> Iterator[Callable[[], Any]]:
    """What to call after each of so many steps: it moves a bar, where tqdm is installed and there is a terminal."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda: None
        return
    with tqdm(total=total, unit=f" {unit}", leave=False, disable=None if shown else True) as bar:
        yield bar.update

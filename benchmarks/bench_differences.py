"""Differences beside numdifftools and scipy.differentiate, on the forty functions of `difference_cases`.

    python benchmarks/bench_differences.py                    the table, and how often we are as good
    python benchmarks/bench_differences.py --scheme central   with another scheme of ours

Everybody differentiates with default options, numdifftools.Derivative, scipy.differentiate.derivative and ours with
scheme="ridders".  The error is relative to the derivative at 150 digits; evaluations are places at which the function was
computed.  Of a noisy function, both are those over 25 draws of the noise: the root of the mean square error, and the mean
number of evaluations.

Accuracy counts as equal at rounding level: where both are off by less than 10⁻¹³, 450 units of rounding, which the rounding
of the values alone comes to when a difference over a hundredth of x is divided by it.  Who has no digit (nan, or off by more
than a half) has not found the derivative, however few evaluations it took.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from difference_cases import CASES, Case
from measure import table

import arrayad as ad

ROUNDING = 1e-13
NO_DIGIT = 0.5
DRAWS = 25
GOAL = 0.9

PEERS = ("numdifftools", "scipy")


class Found(NamedTuple):
    """The relative error of a derivative, and what it took."""

    error: float
    evaluations: float


class Counted:
    """A function of arrays that counts the places it is computed at."""

    def __init__(self, f: Callable[[Any], Any]) -> None:
        self.f, self.count = f, 0

    def __call__(self, x: Any) -> Any:
        self.count += np.size(x)
        return self.f(x)


def by_numdifftools(f: Callable[[Any], Any], x: float) -> float:
    import numdifftools

    return float(numdifftools.Derivative(f)(x))


def by_scipy(f: Callable[[Any], Any], x: float) -> float:
    from scipy import differentiate

    return float(differentiate.derivative(f, x).df)


def measured(case: Case, differentiate: Callable[[Any, float], float]) -> Found:
    """The error and the evaluations of a derivative, over all draws of the noise."""
    exact = case.exact
    errors, counts = [], []
    for seed in range(DRAWS if case.noise else 1):
        f = Counted(case._replace(seed=seed))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            value = differentiate(f, case.x)
        errors.append(abs(value - exact) / abs(exact) if math.isfinite(value) else math.inf)
        counts.append(f.count)
    return Found(math.sqrt(sum(error**2 for error in errors) / len(errors)), sum(counts) / len(counts))


def is_as_good(ours: Found, peer: Found) -> bool:
    """Whether ours is at least as accurate, with no more evaluations."""
    if not peer.error <= NO_DIGIT:
        return ours.error <= NO_DIGIT
    return ours.error <= max(peer.error, ROUNDING) and ours.evaluations <= peer.evaluations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scheme", default="ridders", help="ours: ridders, central, richardson, forward, backward")
    scheme = parser.parse_args().scheme
    sides: dict[str, Callable[[Any, float], float]] = {
        "arrayad": lambda f, x: float(ad.numerical.derivative(f, x, scheme=scheme).value),
        "numdifftools": by_numdifftools,
        "scipy": by_scipy,
    }
    rows = []
    good = dict.fromkeys([*PEERS, "both"], 0)
    for case in CASES:
        found = {name: measured(case, side) for name, side in sides.items()}
        verdict = {peer: is_as_good(found["arrayad"], found[peer]) for peer in PEERS}
        verdict["both"] = all(verdict.values())
        good = {name: count + verdict[name] for name, count in good.items()}
        cells = [f"{found[name].error:.1e} / {found[name].evaluations:.3g}" for name in sides]
        rows.append((case.kind, case.name, *cells, " ".join(peer for peer in PEERS if not verdict[peer])))
    versions = " and ".join(f"{name} {importlib.metadata.version(name)}" for name in PEERS)
    print(f'relative error / evaluations: arrayad, scheme "{scheme}", beside {versions}\n')
    print(table(rows, ("kind", "function", *sides, "not as good as")))
    print()
    for name, count in good.items():
        share = count / len(CASES)
        print(f"at least as accurate with no more evaluations as {name}: {count} of {len(CASES)}, {share:.1%} (goal {GOAL:.0%})")


if __name__ == "__main__":
    main()

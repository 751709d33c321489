"""Compositions of transforms in every order, over functions that capture what lies outside, against differences and JAX.

Differences of differences lose their digits, so that of more than two derivatives only the outermost is taken by
differences: what stands inside has been checked, on plain values, as a shallower composition.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nesting import FUNCTIONS, LETTERS, OURS, POINT, STEP, Function, nest, numeric, random_function

import arrayad as ad

# Some functions below ignore their argument, which the outermost transform says.
pytestmark = pytest.mark.filterwarnings("ignore:.* result does not depend on y")

TOLERANCE = 1e-7
CHEAP = LETTERS.replace("H", "").replace("p", "")
"""Those of which differences take milliseconds as the outermost transform."""


def close(found: Any, wanted: Any) -> bool:
    return bool(np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE))


def check(sequence: str, name: str, function: Function) -> bool:
    """One composition against differences; False where these say nothing, since they straddle a branch: halved steps differ."""
    result = nest(OURS, sequence, function, ad.tensor(POINT), [])
    assert result.history is None, f"the result of {sequence!r} of {name} is still recorded, or followed live"
    derivatives = sum(2 if letter in "Hpe" else 0 if letter in "tvwc" else 1 for letter in sequence)

    def differences(step: float) -> Any:
        return nest(numeric(step), sequence, function, POINT, [], None if derivatives <= 2 else OURS)

    found, wanted = np.asarray(result), differences(STEP)
    if close(found, wanted):
        return True
    refined = differences(STEP / 2)  # with 1/64 of the truncation error
    if close(found, refined):
        return True
    assert not close(refined, wanted), f"{sequence!r} of {name} is {found}, by differences {wanted}, with halved steps {refined}"
    return False


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("letter", LETTERS)
def test_each_transform_agrees_with_differences(letter: str, name: str) -> None:
    assert check(letter, name, FUNCTIONS[name])


@pytest.mark.parametrize(
    "outer", [letter if letter in CHEAP else pytest.param(letter, marks=pytest.mark.slow) for letter in LETTERS]
)
def test_pairs_of_transforms_agree_with_differences(outer: str, rng: np.random.Generator) -> None:
    """Each transform of each, over a function of the list and one made up."""
    usable = [check(outer + inner, *draw(rng, made_up)) for inner in LETTERS for made_up in (True, False)]
    assert sum(usable) >= 0.8 * len(usable)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("outer", CHEAP)
@pytest.mark.slow
def test_every_pair_of_transforms_agrees_with_differences(outer: str, name: str) -> None:
    usable = [check(outer + inner, name, FUNCTIONS[name]) for inner in LETTERS]
    assert sum(usable) >= 0.8 * len(usable)


@pytest.mark.parametrize(
    "depth, draws",
    [(3, 10), pytest.param(3, 150, marks=pytest.mark.slow), pytest.param(4, 100, marks=pytest.mark.slow)],
)
def test_compositions_drawn_at_random_agree_with_differences(depth: int, draws: int, rng: np.random.Generator) -> None:
    usable = []
    for _ in range(draws):
        sequence = rng.choice(list(CHEAP)) + "".join(rng.choice(list(LETTERS), depth - 1))
        usable.append(check(sequence, *draw(rng, made_up=rng.random() < 0.5)))
    assert sum(usable) >= 0.8 * len(usable)


def draw(rng: np.random.Generator, made_up: bool) -> tuple[str, Function]:
    """A function, made up or of the list."""
    if made_up:
        return random_function(rng)
    name = str(rng.choice(list(FUNCTIONS)))
    return name, FUNCTIONS[name]

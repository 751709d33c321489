"""What derivatives of whole programs cost, in weighted operations, by shapes: random programs, loops, the benchmark workloads.

The rows' law (tests/primitives/test_cost.py) adds up: value and gradient of a number take at most 4 times the value's operations,
a tangent beside the value at most 3 times.  What moves the bound is said here, and on docs/cost.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capture import captured
from workloads.table import ROWS

import arrayad as ad
from arrayad.elementwise import Elementwise
from arrayad.primitive import TABLE
from arrayad.readers.cost import cost, joint_tape, program_cost, tangent_tape
from arrayad.readers.simplify import simplify
from arrayad.shaped import Shaped
from arrayad.tracing import Tape, record

sys.path.insert(0, str(Path(__file__).parent.parent / "compiler"))

import programs

GRADIENT, TANGENT = 4.0, 3.0
BEHIND_SELECTIONS = 6.0
"""A product behind a selection keeps the zeros of what was not selected, which takes one more choice for each operand."""

BESIDE_LOOPS = 5.0
"""The way back of a loop runs its body once more, since it keeps the carries alone."""

EXEMPT = {"maximum", "minimum", "power_slope"}
SELECTING = [TABLE[name] for name in ("relu", "at_least", "at_most")]
SMOOTH = [
    row
    for row in TABLE.values()
    if isinstance(row, Elementwise)
    and row.kind == "elementwise"
    and row.differentiable
    and not row.samples.dtypes
    and row.name not in EXEMPT
]
CHEAP = [row for row in SMOOTH if row.weight <= 7]
"""Those with which the bound is tight."""

SHAPES = [(), (3,), (2, 1), (2, 3), (4, 2, 3)]


def straight_line(seed: int, steps: int, rows: list[Any]) -> Tape:
    """A random program of elementwise rows, sums and inner products of few values, each used often: traced, never run."""

    def program(*operands: Any) -> Any:
        rng, pool = np.random.default_rng(seed), list(operands)

        def drawn() -> Any:
            return pool[-min(int(rng.geometric(0.3)), len(pool))]

        for _ in range(steps):
            kind = rng.random()
            if kind < 0.85:
                row = rows[rng.integers(len(rows))]
                pool.append(row.apply(*(drawn() for _ in range(row.arity))))
            elif kind < 0.95:
                x = drawn()
                pool.append(ad.sum(x, axis=tuple(range(int(rng.integers(x.ndim + 1)))), keepdims=True))
            else:
                x = ad.reshape(drawn(), (-1,))
                pool.append(x @ ad.flip(x))
        return ad.sum(pool[-1])

    rng = np.random.default_rng([seed, 1])
    return record(program, [Shaped(SHAPES[rng.integers(len(SHAPES))], "float64") for _ in range(2)])


def ratios(tape: Tape) -> tuple[float, float]:
    """Value and gradient over the value, the tangent over the value, simplified; zeros where the value takes nothing."""
    own, both, pushed = (program_cost(simplify(t)).flops for t in (tape, joint_tape(tape), tangent_tape(tape)))
    return (both / own, pushed / own - 1.0) if own else (0.0, 0.0)


FEW, MANY = range(40), range(40, 240)


@pytest.mark.parametrize("rows", [SMOOTH, CHEAP], ids=["all", "cheap"])
@pytest.mark.parametrize("among", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
def test_random_programs(rows: list[Any], among: range) -> None:
    found = {seed: ratios(straight_line(seed, 3 + seed % 25, rows)) for seed in among}
    assert {seed: found[seed] for seed in found if found[seed][0] > GRADIENT or found[seed][1] > TANGENT} == {}
    assert max(gradient for gradient, _ in found.values()) > 2.5  # the programs come near the bound


@pytest.mark.parametrize("among", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
def test_random_programs_that_select(among: range) -> None:
    """Structural zeros go beyond the bound of 4, never beyond 6; tangents have none."""
    rows = [TABLE[name] for name in ("multiply", "multiply", "add", "square", "abs")] + SELECTING
    found = {seed: ratios(straight_line(seed, 3 + seed % 25, rows)) for seed in among}
    assert {seed: ratio for seed, ratio in found.items() if ratio[0] > BEHIND_SELECTIONS or ratio[1] > TANGENT} == {}


@pytest.mark.parametrize("loops", [False, True], ids=["straight", "loops"])
@pytest.mark.parametrize("among", [range(30), pytest.param(range(30, 110), marks=pytest.mark.slow)], ids=["few", "many"])
def test_random_programs_of_every_kind_of_operation(loops: bool, among: range) -> None:
    """Views, folds, indexing, extremes, loops and branches, among enough arithmetic."""
    found = {}
    for seed in among:
        program = programs.Program(seed, 3 + seed % 12, loops=loops)
        tape = record(programs.total(program), [Shaped(x.shape, x.dtype) for x in programs.operands_of(seed)])
        found[seed] = ratios(tape)
    bound = BESIDE_LOOPS if loops else GRADIENT
    assert {seed: ratio for seed, ratio in found.items() if ratio[0] > bound or ratio[1] > TANGENT} == {}


# --- operations that hold programs -----------------------------------------------------------------------------------------

N = Shaped((100,), "float64")


def step(x: Any) -> Any:
    return ad.sin(x) * x + 0.1


def looped(x: Any) -> Any:
    return ad.sum(ad.scan(lambda c, _: (step(c), None), x, None, length=50)[0])


HOLDING: dict[str, tuple[Callable[[Any], Any], float]] = {
    "scan": (looped, BESIDE_LOOPS),
    "cond": (lambda x: ad.sum(ad.cond(ad.sum(x) > 0, step, lambda x: step(step(x)), x)), GRADIENT),
    "checkpoint": (lambda x: ad.sum(ad.checkpoint(lambda x: step(step(x)))(x)), GRADIENT + 1),
}


@pytest.mark.parametrize("name", HOLDING)
def test_operations_that_hold_programs(name: str) -> None:
    function, bound = HOLDING[name]
    gradient, tangent = ratios(record(function, [N]))
    assert 1 < gradient <= bound and 0 < tangent <= TANGENT


def test_the_elements_of_an_array_one_by_one() -> None:
    """Each element read by itself brings back an array of zeros with one number in it: n of them take n² sums."""

    def by_elements(n: int) -> float:
        tape = record(lambda x: sum((x[i] * x[i] for i in range(n)), ad.tensor(0.0)), [Shaped((n,), "float64")])
        return ratios(tape)[0]

    def at_once(n: int) -> float:
        return ratios(record(lambda x: ad.sum(x * x), [Shaped((n,), "float64")]))[0]

    assert at_once(8) <= GRADIENT and at_once(64) <= GRADIENT
    assert by_elements(64) > 4 * by_elements(8) > 4 * GRADIENT / 2


# --- the benchmark workloads -----------------------------------------------------------------------------------------------

LARGE = {"gpt", "adam", "attention", "black-scholes", "logistic", "layer-norm", "lstm", "mixture", "rosenbrock-1e6", "lorenz"}
RELATED = [key for key, row in ROWS.items() if row.ratio is not None and row.ratio.name.endswith("/ value")]


@pytest.mark.parametrize("key", [pytest.param(key, marks=pytest.mark.slow if key in LARGE else []) for key in RELATED])
def test_workloads(key: str) -> None:
    value, both, pushed = (call.flops() for call in captured(ROWS[key]))
    assert value < both <= GRADIENT * value
    assert value < pushed <= (1 + TANGENT) * value


# --- the ratio that a tape tells --------------------------------------------------------------------------------------------


def test_the_ratio_of_a_tape() -> None:
    found = cost(record(lambda x: ad.sum(x * x), [N]))
    assert found.ratio == (found.forward.flops + found.reverse.flops) / found.forward.flops
    assert (found.forward.flops, found.ratio) == (199, (199 + 300) / 199)
    assert np.isnan(cost(record(lambda x: x, [N])).ratio)


def test_a_gradient_of_many_inputs_takes_what_one_of_few_does() -> None:
    """Reverse mode does not know how many inputs there are: the ratio is the same."""
    for f in (lambda x: ad.sum(ad.sin(x) * x), lambda x: ad.logsumexp(x), lambda x: ad.vector_norm(x)):
        few, many = (ratios(record(f, [Shaped((n,), "float64")]))[0] for n in (10**3, 10**6))
        assert few == pytest.approx(many, rel=1e-2) and many <= GRADIENT

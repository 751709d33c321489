"""The line search: what holds of every step that it accepts, and what it does where functions misbehave."""

from __future__ import annotations

import math

import numpy as np
import pytest

import arrayad as ad
from arrayad.optim.minimizers.line_search import Sample, cubic, quadratic, search
from arrayad.optim.minimizers.objective import Objective
from arrayad.optim.minimizers.running import Stalled
from arrayad.optim.minimizers.space import Space


def line(f, x0=0.0):
    """The objective of one number, and where it starts."""
    objective = Objective("minimize", f, Space("minimize", float(x0)), (), None, False)
    return objective, objective.start()


def awry(b1, b2):
    """Moré & Thuente (1994), equation 5.4: nearly linear, with a sharp bend where the slope changes."""
    g1, g2 = math.sqrt(1 + b1 * b1) - b1, math.sqrt(1 + b2 * b2) - b2
    return lambda a: g1 * ad.sqrt((1 - a) ** 2 + b2 * b2) + g2 * ad.sqrt(a * a + b1 * b1)


SEARCHES = {
    "Moré-Thuente 5.1": lambda a: -a / (a * a + 2.0),
    "Moré-Thuente 5.2": lambda a: (a + 0.004) ** 5 - 2.0 * (a + 0.004) ** 4,
    "Moré-Thuente 5.4": awry(1e-3, 1e-3),
    "Moré-Thuente 5.4, bend at 0": awry(1e-2, 1e-3),
    "Moré-Thuente 5.4, bend at 1": awry(1e-3, 1e-2),
    "exponential": lambda a: ad.exp(a) - 20.0 * a,
    "wavy": lambda a: ad.cos(3.0 * a) + 0.05 * (a - 9.0) ** 2,
}


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("curvature", [0.1, 0.9])
@pytest.mark.parametrize("first", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize("f", SEARCHES.values(), ids=SEARCHES)
def test_steps_satisfy_the_strong_wolfe_conditions(f, first, curvature, eager):
    objective, start = line(f)
    slope = start.slope(np.ones(1))
    new = search(objective, start, np.ones(1), first, curvature=curvature, eager=eager)
    step = float(new.x[0])
    assert new.value <= start.value + 1e-4 * step * slope
    assert abs(new.slope(np.ones(1))) <= -curvature * slope
    assert objective.evaluations.value <= 25


def test_a_good_first_step_costs_one_value_and_one_gradient():
    objective, start = line(lambda a: (a - 1.0) ** 2)
    before = objective.evaluations.value, objective.evaluations.gradient
    search(objective, start, np.ones(1), 1.0)
    assert (objective.evaluations.value, objective.evaluations.gradient) == (before[0] + 1, before[1] + 1)


def test_a_trial_refused_by_its_value_costs_no_gradient_unless_eager():
    for eager, gradients in ((False, 1), (True, 2)):
        objective, start = line(lambda a: (a - 1.0) ** 2)
        before = objective.evaluations.gradient
        search(objective, start, np.ones(1), 4.0, eager=eager)
        assert objective.evaluations.gradient == before + gradients


@pytest.mark.parametrize(
    "f",
    [
        lambda a: ad.where(a < 0.1, (a - 0.05) ** 2, math.nan),
        lambda a: ad.where(a < 0.1, (a - 0.05) ** 2, math.inf),
        lambda a: -ad.log(0.1 - a) - 20.0 * a,
        lambda a: a * a - 0.1 * a + 0.0 * ad.sqrt(0.1 - a),
    ],
    ids=["nan", "inf", "logarithm", "square root"],
)
def test_it_backs_off_from_where_the_function_is_not_finite(f):
    objective, start = line(f)
    new = search(objective, start, np.ones(1), 1e6)
    assert 0.0 < new.x[0] < 0.1 and new.value < start.value


def test_it_backs_off_from_where_the_function_raises():
    def f(a):
        if a > 0.1:
            raise np.linalg.LinAlgError("no factor")
        return (a - 0.05) ** 2

    objective, start = line(f)
    assert 0.0 < search(objective, start, np.ones(1), 10.0).x[0] < 0.1


def test_an_error_that_says_nothing_of_the_domain_is_not_swallowed():
    def f(a):
        if a > 0.1:
            raise KeyError("typo")
        return (a - 0.05) ** 2

    objective, start = line(f)
    with pytest.raises(KeyError, match="typo"):
        search(objective, start, np.ones(1), 10.0)


def test_the_longest_step_is_taken_where_the_function_still_falls():
    objective, start = line(lambda a: (a - 5.0) ** 2)
    assert search(objective, start, np.ones(1), 1.0, curvature=0.1, longest=2.0).x[0] == 2.0


def test_a_function_without_a_bound_is_told():
    objective, start = line(lambda a: -a)
    with pytest.raises(Stalled, match="falls along a line without an end"):
        search(objective, start, np.ones(1), 1.0)


def test_minus_infinity_is_returned():
    objective, start = line(lambda a: ad.where(a < 2.0, -a, -math.inf))
    assert search(objective, start, np.ones(1), 1.0).value == -math.inf


def test_it_finds_nothing_lower_at_a_kink():
    objective, start = line(lambda a: abs(a) + 0.0 * a, x0=-1e-300)
    assert search(objective, start, np.ones(1), 1.0) is None


def test_slopes_decide_where_values_differ_by_rounding_alone():
    """At 1 + 1e-9 the values of both ends of a step round to the same number; the minimum is found by slopes to 1e-12."""
    objective, start = line(lambda a: 1.0 + (a - 1.0) ** 2, x0=1.0 - 1e-9)
    new = search(objective, start, np.ones(1), 1e-8, curvature=1e-3)
    assert start.value == new.value == 1.0
    assert abs(new.x[0] - 1.0) <= 1e-12


def test_interpolation_is_exact_on_polynomials():
    def sample(p, a):
        return Sample(a, float(np.polyval(p, a)), float(np.polyval(np.polyder(p), a)), None)

    assert quadratic(sample([2.0, -3.0, 1.0], 0.1), sample([2.0, -3.0, 1.0], 2.0)) == pytest.approx(0.75, rel=1e-14)
    third = [1.0, -2.0, -1.5, 4.0]  # least at (4 + √34) / 6
    for a, b in ((0.2, 3.0), (3.0, 0.2)):
        assert cubic(sample(third, a), sample(third, b)) == pytest.approx((4 + math.sqrt(34)) / 6, rel=1e-13)
    assert math.isnan(quadratic(sample([-1.0, 1.0, 0.0], 0.0), sample([-1.0, 1.0, 0.0], 1.0)))
    assert math.isnan(cubic(sample([1.0, 0.0, 1.0, 0.0], 0.0), sample([1.0, 0.0, 1.0, 0.0], 1.0)))

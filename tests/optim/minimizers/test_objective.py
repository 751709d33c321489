"""What is minimised: values and gradients, compiled where that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DerivativeError, ShapeError
from arrayad.optim import minimize
from arrayad.optim.minimizers.objective import programs_of, remembered


def bowl(x, center):
    return ad.sum((x - center) ** 2) + ad.sum(x**4)


def test_a_function_is_compiled_once_for_all_runs():
    remembered.cache_clear()
    for center in ([1.0, -1.0], [3.0, 0.5]):
        found = minimize(bowl, np.zeros(2), args=(np.array(center),), compile=True)
        wanted = minimize(bowl, np.zeros(2), args=(np.array(center),))
        assert found.converged
        np.testing.assert_allclose(found.x, wanted.x, rtol=1e-12)
    assert programs_of(bowl).both.traces == 1


def test_what_cannot_be_minimised_is_refused_though_the_program_is_there():
    minimize(bowl, np.zeros(2), args=(np.ones(2),), compile=True)
    with pytest.raises(DerivativeError, match=r"\[minimize\] f depends on a value that is being differentiated"):
        ad.grad(lambda center: ad.sum(minimize(bowl, np.zeros(2), args=(center,), compile=True).x))(np.ones(2))
    with pytest.raises(ShapeError, match=r"\[minimize\] f must return a scalar"):
        minimize(lambda x: x * 2.0, np.zeros(2), compile=True)


def test_a_function_that_cannot_be_remembered_is_compiled_all_the_same():
    class Bowl:
        __hash__ = None

        def __call__(self, x):
            return ad.sum((x - 2.0) ** 2)

    np.testing.assert_allclose(minimize(Bowl(), np.zeros(2), compile=True).x, 2.0, rtol=1e-6)

"""Minima of functions of trees of arrays: methods of first and second order, one family a module."""

from arrayad.optim.minimizers.minimize import least_squares, minimize
from arrayad.optim.minimizers.result import Evaluations, History, Result, observed_order
from arrayad.optim.minimizers.running import State
from arrayad.optim.minimizers.scipy_bridge import ScipyProblem, scipy_problem

__all__ = [
    "minimize",
    "least_squares",
    "scipy_problem",
    "Result",
    "Evaluations",
    "History",
    "State",
    "ScipyProblem",
    "observed_order",
]

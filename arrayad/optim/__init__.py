"""Optimisers in the words of PyTorch, and minimisers that go to the bottom by themselves."""

from arrayad.optim.adam import Adam, AdamW
from arrayad.optim.minimizers import Result, least_squares, minimize, observed_order, scipy_problem
from arrayad.optim.optimizer import Optimizer
from arrayad.optim.sgd import SGD

__all__ = ["Optimizer", "SGD", "Adam", "AdamW", "minimize", "least_squares", "scipy_problem", "Result", "observed_order"]

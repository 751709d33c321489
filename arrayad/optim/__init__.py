"""Optimisers in the words of PyTorch, and minimisers that go to the bottom by themselves."""

from arrayad.optim.adam import Adam, AdamW
from arrayad.optim.minimizers import Result, minimize
from arrayad.optim.optimizer import Optimizer
from arrayad.optim.sgd import SGD

__all__ = ["Optimizer", "SGD", "Adam", "AdamW", "minimize", "Result"]

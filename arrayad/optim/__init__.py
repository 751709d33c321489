"""Optimisers, in the words of PyTorch."""

from arrayad.optim.adam import Adam, AdamW
from arrayad.optim.optimizer import Optimizer
from arrayad.optim.sgd import SGD

__all__ = ["Optimizer", "SGD", "Adam", "AdamW"]

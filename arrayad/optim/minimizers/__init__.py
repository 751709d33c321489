"""Minima of functions of arrays: methods of first and second order, one family a module."""

from arrayad.optim.minimizers.minimize import minimize
from arrayad.optim.minimizers.result import Result

__all__ = ["minimize", "Result"]

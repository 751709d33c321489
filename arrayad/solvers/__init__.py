"""Equations that are solved: linear systems, roots, fixed points, minima, and differential equations."""

from arrayad.solvers.implicit import custom_argmin, custom_root, fixed_point
from arrayad.solvers.linear import linear_solve
from arrayad.solvers.odeint import odeint

__all__ = ["custom_argmin", "custom_root", "fixed_point", "linear_solve", "odeint"]

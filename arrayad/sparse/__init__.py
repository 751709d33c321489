"""Sparse derivatives: patterns from the tape, colourings, compressed sweeps.  Needs SciPy, an extra."""

from arrayad.sparse.coloring import Coloring, color
from arrayad.sparse.derivatives import hessian, jacobian, pattern
from arrayad.sparse.plan import Plan

__all__ = ["Coloring", "Plan", "color", "hessian", "jacobian", "pattern"]

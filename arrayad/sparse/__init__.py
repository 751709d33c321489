"""Sparse derivatives: patterns from the tape, colourings, compressed sweeps; sparse matrices.  Needs SciPy, an extra."""

from arrayad.sparse.coloring import Coloring, color
from arrayad.sparse.derivatives import hessian, jacobian, pattern
from arrayad.sparse.matrices import matmul
from arrayad.sparse.plan import Plan
from arrayad.sparse.systems import solve

__all__ = ["Coloring", "Plan", "color", "hessian", "jacobian", "matmul", "pattern", "solve"]

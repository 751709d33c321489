"""Formulas: traced functions as expressions, their derivatives with the sharing kept, in text, LaTeX, Python, C and SymPy."""

from arrayad.symbolic.by_element import elements
from arrayad.symbolic.expression import Expression, expression
from arrayad.symbolic.swelling import Swell, swell
from arrayad.symbolic.sympy_programs import from_sympy

__all__ = ["Expression", "Swell", "elements", "expression", "from_sympy", "swell"]

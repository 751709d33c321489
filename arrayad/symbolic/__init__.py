"""Formulas: traced functions as expressions, their derivatives with the sharing kept, in text, LaTeX, Python, C and SymPy."""

from arrayad.symbolic.by_element import elements
from arrayad.symbolic.expression import Expression, expression

__all__ = ["Expression", "elements", "expression"]

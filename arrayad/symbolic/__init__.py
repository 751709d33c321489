"""Formulas: traced functions as expressions, their derivatives with the sharing kept, in text, LaTeX, Python, C and SymPy.

Of numbers and elements by `expression`, of matrices and vectors by `formula`.
"""

from arrayad.symbolic.by_element import elements
from arrayad.symbolic.expression import Expression, expression
from arrayad.symbolic.matrix import Cookbook, MatrixFormula, Operand, cookbook, formula, operand

__all__ = ["Cookbook", "Expression", "MatrixFormula", "Operand", "cookbook", "elements", "expression", "formula", "operand"]

"""Formulas: traced functions as expressions, their derivatives with the sharing kept, in text, LaTeX, Python, C and SymPy.

Of numbers and elements by `expression`, of matrices and vectors by `formula`.
"""

from arrayad.symbolic.expressions import Expression, expression
from arrayad.symbolic.matrix import Cookbook, MatrixFormula, Operand, cookbook, formula, operand
from arrayad.symbolic.swelling import Swell, swell
from arrayad.symbolic.sympy_programs import from_sympy

__all__ = [
    "Cookbook",
    "Expression",
    "MatrixFormula",
    "Operand",
    "Swell",
    "cookbook",
    "expression",
    "formula",
    "from_sympy",
    "operand",
    "swell",
]

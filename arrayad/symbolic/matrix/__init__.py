"""Formulas of arrays: functions and their derivatives in the words of matrix algebra."""

from arrayad.symbolic.matrix.cookbook import Cookbook, cookbook
from arrayad.symbolic.matrix.formula import MatrixFormula, formula
from arrayad.symbolic.matrix.operands import Operand, operand

__all__ = ["Cookbook", "MatrixFormula", "Operand", "cookbook", "formula", "operand"]

"""Derivatives by differences, with estimates of their truncation and round-off errors."""

from arrayad.numerical.differentiable import DifferenceWarning, Differentiable, differentiable
from arrayad.numerical.high_precision import Reference, reference, reference_along
from arrayad.numerical.step import FORMULAS, Difference, Formula, best_step, difference, formula

__all__ = [
    "FORMULAS",
    "Difference",
    "DifferenceWarning",
    "Differentiable",
    "Formula",
    "Reference",
    "best_step",
    "difference",
    "differentiable",
    "formula",
    "reference",
    "reference_along",
]

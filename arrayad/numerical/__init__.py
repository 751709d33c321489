"""Derivatives by differences, with estimates of their truncation and round-off errors."""

from arrayad.numerical.derivatives import derivative, directional, grad, hessian, jacobian, noise_level
from arrayad.numerical.differentiable import DifferenceWarning, Differentiable, differentiable
from arrayad.numerical.error_curve import ErrorCurve, error_curve
from arrayad.numerical.estimate import Estimate
from arrayad.numerical.high_precision import Reference, reference, reference_along
from arrayad.numerical.noise import NoiseLevel
from arrayad.numerical.stencil import Formula, formula, stencil
from arrayad.numerical.step import Difference, best_step, difference

__all__ = [
    "Reference",
    "reference",
    "reference_along",
    "Difference",
    "DifferenceWarning",
    "Differentiable",
    "ErrorCurve",
    "Estimate",
    "Formula",
    "NoiseLevel",
    "best_step",
    "derivative",
    "difference",
    "differentiable",
    "directional",
    "error_curve",
    "formula",
    "grad",
    "hessian",
    "jacobian",
    "noise_level",
    "stencil",
]

"""Derivatives by differences, with estimates of their truncation and round-off errors."""

from arrayad.numerical.step import FORMULAS, Difference, Formula, best_step, difference, formula

__all__ = ["FORMULAS", "Difference", "Formula", "best_step", "difference", "formula"]

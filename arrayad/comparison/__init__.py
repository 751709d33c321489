"""The four ways to a derivative side by side: value, digits, cost and size of each."""

from arrayad.comparison.side_by_side import Comparison, Outcome, compare

__all__ = ["Comparison", "Outcome", "compare"]

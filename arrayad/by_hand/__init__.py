"""Derivatives by hand: of whole programs, and worked out step by step as a textbook does."""

from arrayad.by_hand.explain import Explanation, explain
from arrayad.by_hand.manual import manual

__all__ = ["Explanation", "explain", "manual"]

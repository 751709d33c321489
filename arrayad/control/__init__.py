"""Control flow that stays in the tape: branches and loops as rows that hold programs."""

from arrayad.control.branching import cond, switch

__all__ = ["cond", "switch"]

"""A tape in the words of matrix algebra: the rules that apply, and the program that they are applied to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from arrayad.primitives.shape import reshape
from arrayad.readers.replay import replay
from arrayad.readers.simplify import Rules, simplified
from arrayad.rewrites.collecting import FACTORS, TERMS
from arrayad.rewrites.units import IN_ORDER
from arrayad.rewrites.views import REPEATED_ALIKE, REPEATED_BY_ITSELF, UNIT_AXES
from arrayad.rewriting import REWRITES, Rewrite
from arrayad.symbolic.matrix import diagonals, functions, inverses, layout, products, sums, transposes
from arrayad.symbolic.matrix.parts import IDENTITIES
from arrayad.tracing import Tape, record

FAMILIES = (layout, products, sums, transposes, inverses, diagonals, functions)
"""The modules that declare the rules."""

UNWANTED = (FACTORS, IN_ORDER, REPEATED_ALIKE, REPEATED_BY_ITSELF, TERMS, UNIT_AXES)
"""Rules that undo what those of matrix algebra do, which has sums and products of its own and keeps rows apart from columns."""


class Algebra(Rules):
    """The rules for reading: those of matrix algebra, then those for programs that run.

    `symmetric` are the positions of inputs that are their own transposes.  The sums of a derivative are `ordered`, those of a
    function are as its author wrote them; while one is being `settled`, its parts are left alone.  What is `final` is not
    differentiated any more: what stands for a program is inlined, and what has no derivative has the value of its operand.
    """

    passes = 20
    short = 1 << 20

    def __init__(self, symmetric: Iterable[int] = (), ordered: bool = False, final: bool = True) -> None:
        super().__init__(exact=False, reorder=True, keeps=not final, tables=(IDENTITIES, REWRITES))
        self.symmetric = tuple(symmetric)
        self.ordered = ordered
        self.ranks: dict[Any, Any] = {}
        self.settled = False

    def allows(self, rule: Rewrite) -> bool:
        """Whether a rule may be applied."""
        return rule not in UNWANTED and super().allows(rule)


def laid_out(y: Any) -> Any:
    """A result as it is read: a vector as a column."""
    return reshape(y, shape=(y.size, 1)) if y.ndim == 1 else y


def as_read(tape: Tape, algebra: Algebra) -> Tape:
    """The tape simplified with the identities of matrix algebra; vectors come out as columns."""
    widened = record(lambda *xs: laid_out(replay(tape, *xs)), [entry.output for entry in tape.inputs], tape.names)
    return simplified(widened, algebra, {})

"""Branches whose index is known.

A `checkpoint` is no such program: spelt out, what it computes again on the way back would be found to have been computed before,
and be kept, which is what it is there to avoid.
"""

from __future__ import annotations

from typing import Any

from arrayad.binding import bind
from arrayad.control.branching import SWITCH
from arrayad.control.program import Program
from arrayad.primitives.picking import pick
from arrayad.primitives.trigonometric import cos, sin
from arrayad.rewriting import Match, rewrite, sample
from arrayad.shaped import Bundle, Shaped
from arrayad.tracing import record


def taken_branch(m: Match) -> Any:
    """The results of the branch that is taken."""
    branch = m.params["branches"][int(m.graph.uniform(m.inputs[0]))]
    return Bundle(m.graph.inlined(branch.tape, m.inputs[1:]))


def chosen(x: Any) -> Any:
    """A switch with a known index."""
    branches = tuple(Program(record(lambda x, f=f: [f(x)], [Shaped((3,), "float64")])) for f in (sin, cos))
    return pick(bind(SWITCH, (1, x), {"branches": branches}), index=0)


rewrite(
    "A branch whose index is known is what it computes.",
    (SWITCH, ...),
    when=lambda m: m.graph.uniform(m.inputs[0]) is not None,
    to=taken_branch,
    samples=[sample(chosen, (3,))],
)

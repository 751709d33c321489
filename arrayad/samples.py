"""`Samples`: the inputs that a row is tried on, declared in the row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Samples:
    """What to draw operands from.

    `low`, `high`: bounds of the elements, one pair for all operands or one for each.  `shapes`: for a row of one operand a
    list of shapes, for a row of several a list of tuples of shapes; None asks for the elementwise kind's own list.  `params`:
    the keyword arguments to try, each with every shape, or functions of the shapes.  `dtypes`: those of the operands that
    are not real floating point (by position).  `avoid`: kinks, where differences say nothing.
    """

    low: Any = -3.0
    high: Any = 3.0
    shapes: list[Any] | None = None
    params: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    cases: list[tuple[Any, dict[str, Any]]] | None = None
    dtypes: dict[int, str] = field(default_factory=dict)
    distinct: bool = False
    avoid: tuple[float, ...] = ()

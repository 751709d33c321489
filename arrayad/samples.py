"""`Samples`: the inputs that a row is tried on, declared in the row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Samples:
    """What to draw operands from.

    `low`, `high`: bounds of the elements, one pair for all operands or one for each.  `shapes`: for a row of one operand a
    list of shapes, for a row of several a list of tuples of shapes; None asks for the elementwise kind's own list.  `params`:
    the keyword arguments to try, each with every shape, or functions of the shapes.  `dtypes`: those of the operands that
    are not real floating point (by position).  `avoid`: kinks, where differences say nothing.  `make`: what draws an operand
    (by position) that has to be of a kind, such as a positive definite matrix, from a generator and its shape.  `lapack`:
    whether the kernel is LAPACK's, which knows floats of 32 and 64 bits alone.  `complex`: whether the operands may be complex,
    and are then drawn with both parts from the same bounds; else a complex one is refused with a `DTypeError`.  None is yes for
    rows declared as linear or bilinear, no for the others.
    """

    low: Any = -3.0
    high: Any = 3.0
    shapes: list[Any] | None = None
    params: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    cases: list[tuple[Any, dict[str, Any]]] | None = None
    dtypes: dict[int, str] = field(default_factory=dict)
    distinct: bool = False
    avoid: tuple[float, ...] = ()
    complex: bool | None = None
    lapack: bool = False
    make: dict[int, Callable[[Any, tuple[int, ...]], Any]] = field(default_factory=dict)


# --- matrices -------------------------------------------------------------------------------------------------------


def well_conditioned(rng: Any, shape: tuple[int, ...]) -> Any:
    """Matrices near a multiple of the identity: their singular values are apart, and none is small."""
    return rng.uniform(-0.5, 0.5, shape) + np.eye(shape[-2], shape[-1]) * np.arange(2.0, 2.0 + shape[-1])


def positive_definite(rng: Any, shape: tuple[int, ...]) -> Any:
    """Symmetric matrices whose eigenvalues are positive and apart."""
    x = well_conditioned(rng, shape)
    return x + np.swapaxes(x, -1, -2)

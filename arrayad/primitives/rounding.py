"""Roundings of elements to whole numbers.  Piecewise constant, so their derivatives are 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.elementwise import elementwise
from arrayad.samples import Samples
from arrayad.weights import BASIC


def rounding(name: str, doc: str, numpy: Callable[..., Any], c: str, latex: str, mpmath: str, **columns: Any) -> Any:
    """Declare a row without a derivative of one operand."""
    return elementwise(name, doc, numpy=numpy, c=c, partials=(None,), latex=latex, mpmath=mpmath, **columns)


floor = rounding(
    "floor",
    """Largest whole number not above the element.""",
    np.floor,
    "M(floor)(x)",
    r"\lfloor {x} \rfloor",
    "mp.floor(x)",
)
ceil = rounding(
    "ceil",
    """Smallest whole number not below the element.""",
    np.ceil,
    "M(ceil)(x)",
    r"\lceil {x} \rceil",
    "mp.ceil(x)",
)
trunc = rounding(
    "trunc",
    """The whole part of the element: its nearest whole number towards 0.""",
    np.trunc,
    "M(trunc)(x)",
    r"\operatorname{{trunc}}({x})",
    "mp.sign(x) * mp.floor(abs(x))",
    weight=BASIC,
)
rint = rounding(
    "rint",
    """Nearest whole number; halves go to the even one.""",
    np.rint,
    "M(rint)(x)",
    r"\operatorname{{rint}}({x})",
    "mp.nint(x)",
    sympy="sp.floor(x + sp.S.Half) - sp.Piecewise((1, sp.Eq(sp.Mod(x + sp.S.Half, 2), 1)), (0, True))",
    text="round({x})",
    public=False,
    samples=Samples(complex=True),
)

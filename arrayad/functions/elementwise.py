"""Public elementwise functions that choose a row by the kind of their operands."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from arrayad.functions.creation import asarray
from arrayad.namespace import attach_operator, expose, public
from arrayad.primitives import arithmetic, complex, exponential, selection, trigonometric
from arrayad.primitives.arithmetic import square
from arrayad.primitives.casting import astype
from arrayad.primitives.rounding import rint
from arrayad.shaped import is_weak
from arrayad.tensor import handle


@public()
def maximum(x1: Any, x2: Any) -> Any:
    """The larger of two elements: y[i] = max(x1[i], x2[i]); nan if either is.

    **Kinks** arrays that tie share the derivative, one half each; a Python number is a bound and takes the tie, so that
    `maximum(x, 0)` has derivative 0 at 0, as `relu` has.

    **Example**

    >>> import arrayad as ad
    >>> ad.maximum([1.0, -2.0], 0)
    Tensor([1., 0.])
    """
    if is_weak(x2):
        return selection.at_least(x1, x2)
    return selection.at_least(x2, x1) if is_weak(x1) else selection.maximum(x1, x2)


@public()
def minimum(x1: Any, x2: Any) -> Any:
    """The smaller of two elements: y[i] = min(x1[i], x2[i]); nan if either is.

    **Kinks** as in `maximum`.
    """
    if is_weak(x2):
        return selection.at_most(x1, x2)
    return selection.at_most(x2, x1) if is_weak(x1) else selection.minimum(x1, x2)


@public(method=True)
def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """Each element, or the bound that it has passed: y[i] = min(max(x[i], min[i]), max[i]).

    **Kinks** Python numbers as bounds take the tie, so the derivative at both edges is 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.clip([-1.0, 0.5, 2.0], 0, 1)
    Tensor([0. , 0.5, 1. ])
    """
    x = asarray(x, copy=True)
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


@public(method=True)
def round(x: Any, decimals: int = 0) -> Any:
    """The nearest number of so many decimal places; halves go to the even digit.  Its derivative is 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.round([0.5, 1.5]), ad.round(2.346, decimals=2)
    (Tensor([0., 2.]), Tensor(2.35))
    """
    x = asarray(x)
    if x.dtype.kind in "biu":
        return handle(np.round(np.asarray(x), decimals))
    if decimals == 0:
        return rint(x)
    scale = 10.0 ** builtins.abs(decimals)
    return rint(x * scale) / scale if decimals > 0 else rint(x / scale) * scale


def power(x1: Any, x2: Any) -> Any:
    if x2.__class__ is int and x2 == 2:
        return square(x1)
    if complex.is_complex(x2) and not (complex.is_complex(x1) or is_weak(x1)):
        x1 = asarray(x1)
        x1 = astype(x1, dtype=np.result_type(x1.dtype, np.complex64))  # its logarithm is complex where it is negative
    return exponential.power(x1, x2)


power.__doc__ = exponential.power.__doc__
expose(power, "pow", numpy="power")
attach_operator("pow", power)
expose(power, "power", numpy=())

ALIASES = {
    "absolute": complex.absolute,
    "arccos": trigonometric.acos,
    "arccosh": trigonometric.acosh,
    "arcsin": trigonometric.asin,
    "arcsinh": trigonometric.asinh,
    "arctan": trigonometric.atan,
    "arctan2": trigonometric.atan2,
    "arctanh": trigonometric.atanh,
    "mod": arithmetic.remainder,
}
"""NumPy's names beside those of the array API standard."""

for name, function in ALIASES.items():
    expose(function, name, numpy=())

"""NumPy's functions applied to Tensors: recorded by the operation of ours that they stand for, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import describe
from arrayad.namespace import NUMPY, PUBLIC, attach
from arrayad.tensor import Tensor


def refuse(function: Callable[..., Any], why: str) -> TypeError:
    """The error that says what to call instead of a NumPy function."""
    name = function.__name__
    cure = (
        f"use arrayad.{NUMPY[function].__name__}"
        if function in NUMPY
        else "convert with np.asarray() first: nothing will be recorded"
    )
    return TypeError(f"[np.{name}] {why}; {cure}")


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's protocol for ufuncs (NEP 13)."""
    if kwargs.get("out") is not None:
        (out, *_) = kwargs["out"]
        raise TypeError(
            f"[np.{ufunc.__name__}] the array {describe(out)} cannot take the result: it would lose its recording; "
            "write `x = x + tensor` instead of `x += tensor`"
        )
    if method == "reduce" and ufunc in REDUCTIONS and set(kwargs) <= {"axis", "keepdims"}:
        return PUBLIC[REDUCTIONS[ufunc]](inputs[0], axis=kwargs.get("axis", 0), keepdims=kwargs.get("keepdims", False))
    if method != "__call__" or kwargs or ufunc not in NUMPY:
        asked = f"method {method!r}" if method != "__call__" else f"arguments {sorted(kwargs)}" if kwargs else "this function"
        raise refuse(ufunc, f"{asked} cannot be recorded")
    return NUMPY[ufunc](*inputs)


REDUCTIONS = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
    np.logical_and: "all",
    np.logical_or: "any",
}


INSPECTIONS = frozenset(
    (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj, np.array_repr, np.array_str)
    + (np.array2string, np.array_equal, np.allclose, np.may_share_memory, np.shares_memory, np.save, np.savez, np.savetxt)
)
"""NumPy's functions that look at values and give none that could have a derivative: they see the value."""


def array_function(self: Tensor, function: Callable[..., Any], types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """NumPy's protocol for functions (NEP 18)."""
    if function in INSPECTIONS:
        args, kwargs = tree.map(lambda x: np.asarray(x) if x.__class__ is Tensor else x, (list(args), dict(kwargs)))
        return function(*args, **kwargs)
    ours = NUMPY.get(function)
    if ours is None:
        raise refuse(function, "this function cannot be recorded")
    try:
        return ours(*args, **kwargs)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise refuse(function, f"these arguments cannot be recorded ({error})") from None


attach("__array_ufunc__", array_ufunc)
attach("__array_function__", array_function)

"""Public functions that make Tensors: of data, of constants, of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.errors import DTypeError, ShapeError
from arrayad.namespace import public
from arrayad.primitives.casting import astype as cast
from arrayad.tensor import Tensor, freeze, handle, watch


def array_of(data: Any, dtype: Any, name: str) -> np.ndarray[Any, Any]:
    """A NumPy array of numbers made of `data`, in which Tensors may be nested."""
    try:
        array = np.asarray(data, dtype=dtype)
    except (ValueError, TypeError) as error:
        raise ShapeError(f"[{name}] this is not an array of numbers: {error}") from None
    if array.dtype.kind not in "biufc":
        raise DTypeError(f"[{name}] an array of numbers was needed, {array.dtype} came")
    return array


@public()
def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor with a copy of `data`: a number, an array, or nested lists of them.

    Python floats become float64, ints int64; an explicit `dtype` is always honoured.  With `requires_grad` it is a leaf
    whose `.grad` collects what `backward()` brings.

    **Raises** `ShapeError` for ragged lists, `DTypeError` for what are no numbers or, with `requires_grad`, integers.

    **Example**

    >>> import arrayad as ad
    >>> ad.tensor([1, 2.5], dtype="float32")
    Tensor([1. , 2.5], dtype=float32)
    """
    if data.__class__ is Tensor:
        data = data.value
    array = array_of(data, dtype, "tensor")
    if array.flags.writeable or not array.flags.owndata:
        array = freeze(array.copy() if array is data or array.base is not None else array)
    made = handle(array)
    return watch(made) if requires_grad else made


@public(numpy=())
def asarray(data: Any, dtype: Any = None, copy: bool | None = None) -> Tensor:
    """`data` as a Tensor: itself, recorded as it is, if it is one; an array is copied unless nobody can change it."""
    if data.__class__ is not Tensor:
        array = array_of(data, dtype, "asarray")
        if copy is False and array.flags.writeable:
            raise ValueError("[asarray] an array that can be changed cannot become a Tensor without a copy")
        return handle(freeze(array))
    return data if dtype is None or data.dtype == np.dtype(dtype) else cast(data, dtype=np.dtype(dtype))


@public(method=True)
def astype(x: Any, dtype: Any) -> Tensor:
    """`x` converted to `dtype`; between floating-point dtypes the derivative passes through.

    **Example**

    >>> import arrayad as ad
    >>> ad.astype([1.7, -1.7], "int64")
    Tensor([ 1, -1])
    """
    return asarray(x, dtype)

"""Public functions that make Tensors: of data, of constants, of sequences."""

from __future__ import annotations

import warnings
from operator import index
from typing import Any

import numpy as np

from arrayad import arbitrary
from arrayad.arbitrary import array_in, is_number, plain, stored
from arrayad.errors import DTypeError, ShapeError, describe, user_stacklevel
from arrayad.modes import capturing
from arrayad.namespace import public
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.casting import astype as cast
from arrayad.primitives.casting import constant
from arrayad.primitives.joining import concat
from arrayad.primitives.selection import where
from arrayad.primitives.shape import reshape
from arrayad.shaped import Shaped
from arrayad.tensor import Tensor, concrete, freeze, handle, tensors_in, watch


def array_of(data: Any, dtype: Any, name: str, copy: bool | None = None) -> Any:
    """An array of numbers made of `data`, as a Tensor holds it."""
    rounded = dtype is not None and np.dtype(dtype).char in "gG"  # NumPy makes floats of objects before long doubles
    try:
        array = np.array(data, dtype=None if rounded else dtype, copy=copy)
    except (ValueError, TypeError) as error:
        raise ShapeError(f"[{name}] this is not an array of numbers: {error}") from None
    if array.dtype.kind not in "biufcO":
        raise DTypeError(f"[{name}] an array of numbers was needed, {array.dtype} came")
    return stored(array).astype(dtype, copy=False) if rounded else stored(array)


@public()
def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor with a copy of `data`: a number, an array, or nested lists of them.

    Python floats become float64, ints int64; an explicit `dtype` is always honoured.  With `requires_grad` it is a leaf
    whose `.grad` collects what `backward()` brings.  Of recorded Tensors in `data` it takes the values and warns: `asarray`
    and `stack` keep what was recorded, `detach` says that this is meant.

    **Raises** `ShapeError` for ragged lists, `DTypeError` for what are no numbers or, with `requires_grad`, integers.

    **Example**

    >>> import arrayad as ad
    >>> ad.tensor([1, 2.5], dtype="float32")
    Tensor([1. , 2.5], dtype=float32)
    """
    capture = capturing()
    if capture is not None and capture.knows(data):
        made = asarray(constant(capture.array(data)), dtype)
        return watch(made) if requires_grad else made
    if any(x.history is not None for x in tensors_in(data)):
        warnings.warn(
            "[tensor] a recorded Tensor was given, of which only the value is taken; use asarray or stack to keep what was "
            "recorded, detach() to say that this is meant",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    array = array_of(without_history(data), dtype, "tensor", copy=True)
    array.flags.writeable = False
    made = handle(array)
    return watch(made) if requires_grad else made


def without_history(data: Any) -> Any:
    """The data with the values of Tensors in their places."""
    if isinstance(data, list | tuple):
        return [without_history(part) for part in data]
    return plain(array_in(concrete(data, "tensor()")))[()] if data.__class__ is Tensor else data


@public(numpy=())
def asarray(data: Any, dtype: Any = None, copy: bool | None = None) -> Tensor:
    """`data` as a Tensor: itself, recorded as it is, if it is one; an array is copied unless nobody can change it.

    Nested lists may hold Tensors, which are stacked and stay recorded.

    **Example**

    >>> import arrayad as ad
    >>> ad.grad(lambda x: ad.sum(ad.asarray([x, x**2])))(3.0)
    Tensor(7.)
    """
    capture = capturing()
    if capture is not None:
        data = capture.plain(capture.array(data))
    if isinstance(data, list | tuple) and any(True for _ in tensors_in(data)):
        data = stacked([asarray(part) for part in data])
    if data.__class__ is not Tensor:
        array = array_of(data, dtype, "asarray")
        if copy is False and array.flags.writeable:
            raise ValueError("[asarray] an array that can be changed cannot become a Tensor without a copy")
        return handle(freeze(array))
    if dtype is not None and data.dtype != np.dtype(dtype):
        return cast(data, dtype=np.dtype(dtype))
    return handle(data.value, data.history) if copy else data


def stacked(parts: list[Tensor]) -> Tensor:
    """Tensors of one shape, one after the other along a new first axis."""
    if len({x.shape for x in parts}) > 1:
        raise ShapeError(f"[asarray] the parts differ in shape: {', '.join(map(describe, parts))}; one shape is needed")
    return concat(*(reshape(x, shape=(1, *x.shape)) for x in parts), axis=0)


@public(method=True)
def astype(x: Any, dtype: Any) -> Tensor:
    """`x` converted to `dtype`; between floating-point dtypes the derivative passes through.

    **Example**

    >>> import arrayad as ad
    >>> ad.astype([1.7, -1.7], "int64")
    Tensor([ 1, -1])
    """
    return asarray(x, dtype, copy=True)


# --- constants and sequences ----------------------------------------------------------------------------------------


def on_cpu(name: str, device: Any) -> None:
    """Raise unless the device is the one that there is."""
    if device not in (None, "cpu"):
        raise ValueError(f'[{name}] device is {device!r}; arrayad computes on the CPU: leave it out, or pass "cpu"')


def shape_of(name: str, shape: Any) -> tuple[int, ...]:
    """A shape given as an int or as a sequence of them."""
    try:
        lengths = tuple(index(n) for n in shape) if isinstance(shape, tuple | list) else (index(shape),)
    except TypeError:
        raise TypeError(f"[{name}] shape is {shape!r}; an int or a tuple of ints is needed") from None
    if any(n < 0 for n in lengths):
        raise ShapeError(f"[{name}] shape is {lengths}; lengths must not be negative")
    return lengths


def filled(name: str, shape: Any, value: Any, dtype: Any, device: Any) -> Tensor:
    """A new array of one number."""
    on_cpu(name, device)
    return handle(arbitrary.filled(shape_of(name, shape), value, dtype))


@public()
def zeros(shape: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of zeros, float64 unless `dtype` says otherwise.

    **Example**

    >>> import arrayad as ad
    >>> ad.zeros((2, 3))
    Tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return filled("zeros", shape, 0, np.float64 if dtype is None else dtype, device)


@public()
def ones(shape: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of ones, float64 unless `dtype` says otherwise."""
    return filled("ones", shape, 1, np.float64 if dtype is None else dtype, device)


@public()
def empty(shape: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """An array to be filled.  Its elements are zeros: a value that never changes had better be a definite one."""
    return filled("empty", shape, 0, np.float64 if dtype is None else dtype, device)


@public()
def full(shape: Any, fill_value: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of `fill_value`, by which it can be differentiated; its dtype unless `dtype` says otherwise.

    **Example**

    >>> import arrayad as ad
    >>> ad.full(3, 2.5), ad.grad(lambda v: ad.sum(ad.full((2, 2), v)))(1.0)
    (Tensor([2.5, 2.5, 2.5]), Tensor(4.))
    """
    on_cpu("full", device)
    return broadcast(asarray(fill_value, dtype), shape_of("full", shape), "full")


def broadcast(value: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """A value repeated to `shape`."""
    lead = len(shape) - value.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(value.shape, shape[lead:], strict=True)):
        raise ShapeError(f"[{name}] the value is {describe(value)}, which does not broadcast to the shape {shape}")
    return broadcast_to(value, shape=shape)


def shape_and_dtype(x: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """Those of an operand, which may be abstract; an explicit dtype prevails."""
    x = x if isinstance(x, Shaped) else asarray(x)
    return x.shape, x.dtype if dtype is None else dtype


@public()
def zeros_like(x: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros in the shape and dtype of `x`, whose value is not asked for.

    **Example**

    >>> import arrayad as ad
    >>> ad.zeros_like([1, 2, 3])
    Tensor([0, 0, 0])
    """
    shape, dtype = shape_and_dtype(x, dtype)
    return filled("zeros_like", shape, 0, dtype, device)


@public()
def ones_like(x: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones in the shape and dtype of `x`, whose value is not asked for."""
    shape, dtype = shape_and_dtype(x, dtype)
    return filled("ones_like", shape, 1, dtype, device)


@public()
def empty_like(x: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros in the shape and dtype of `x`, to be filled."""
    shape, dtype = shape_and_dtype(x, dtype)
    return filled("empty_like", shape, 0, dtype, device)


@public()
def full_like(x: Any, fill_value: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`fill_value` in the shape and dtype of `x`, whose value is not asked for."""
    shape, dtype = shape_and_dtype(x, dtype)
    return full(shape, fill_value, dtype, device)


def number(name: str, word: str, x: Any) -> Any:
    """An argument that must be a known number; of a Tensor its only element, by which there is no derivative."""
    if isinstance(x, Tensor):
        x = x.item()
    if not (isinstance(x, int | float | np.number) or is_number(x)):
        raise TypeError(f"[{name}] {word} is {describe(x)}; a real number is needed")
    return x


@public()
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, device: Any = None) -> Tensor:
    """The numbers start, start + step, … below stop; `arange(n)` counts from 0.

    **Raises** `TypeError` for what are no numbers, `ValueError` for a step of 0.

    **Example**

    >>> import arrayad as ad
    >>> ad.arange(3), ad.arange(1.0, 2.0, 0.5)
    (Tensor([0, 1, 2]), Tensor([1. , 1.5]))
    """
    on_cpu("arange", device)
    start, stop = (0, start) if stop is None else (start, stop)
    bounds = [number("arange", word, x) for word, x in (("start", start), ("stop", stop), ("step", step))]
    if bounds[2] == 0:
        raise ValueError("[arange] step is 0; it must be positive or negative")
    return handle(stored(np.arange(*bounds, dtype=dtype)))


@public()
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, device: Any = None) -> Tensor:
    """`num` numbers at equal distances: y[i] = start + i (stop - start) / (num - 1), or / num without `endpoint`.

    `start` and `stop` may be 0-d Tensors, by which it can be differentiated.

    **Example**

    >>> import arrayad as ad
    >>> ad.linspace(0, 1, 5)
    Tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    on_cpu("linspace", device)
    if index(num) < 0:
        raise ValueError(f"[linspace] num is {num}; it must not be negative")
    if not isinstance(start, Tensor) and not isinstance(stop, Tensor):
        first, last = (number("linspace", word, x) for word, x in (("start", start), ("stop", stop)))
        return handle(stored(np.linspace(first, last, num, endpoint, dtype=dtype)))
    if any(isinstance(x, Tensor | np.ndarray) and x.ndim for x in (start, stop)):
        raise ShapeError(f"[linspace] start is {describe(start)}, stop is {describe(stop)}; 0-d ones are needed")
    dtypes = [x.dtype for x in (start, stop) if isinstance(x, Tensor) and x.dtype.kind in "fO"] or [np.dtype(np.float64)]
    share = asarray(np.arange(num), np.result_type(*dtypes)) / max(1, num - 1 if endpoint else num)
    made = start * (1 - share) + stop * share
    return made if dtype is None else asarray(made, dtype)


@public()
def eye(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """A matrix with ones on its `k`th diagonal and zeros elsewhere.

    **Example**

    >>> import arrayad as ad
    >>> ad.eye(2)
    Tensor([[1., 0.],
            [0., 1.]])
    """
    on_cpu("eye", device)
    rows, columns = shape_of("eye", (n_rows, n_rows if n_cols is None else n_cols))
    return handle(stored(np.eye(rows, columns, k, np.float64 if dtype is None else dtype)))


def triangle(x: Any, k: int, name: str, upper: bool) -> Tensor:
    """One triangle of the last two axes, the rest replaced by zeros, which a derivative does not pass."""
    x = asarray(x)
    if x.ndim < 2:
        raise ShapeError(f"[{name}] x is {describe(x)}; at least two axes are needed")
    inside = np.tri(x.shape[-2], x.shape[-1], k - 1 if upper else k, dtype=np.bool_)
    return where(~inside if upper else inside, x, 0)


@public()
def tril(x: Any, k: int = 0) -> Tensor:
    """The lower triangle of each matrix, up to its `k`th diagonal, and zeros above.

    **Example**

    >>> import arrayad as ad
    >>> ad.tril([[1.0, 2.0], [3.0, 4.0]])
    Tensor([[1., 0.],
            [3., 4.]])
    """
    return triangle(x, k, "tril", upper=False)


@public()
def triu(x: Any, k: int = 0) -> Tensor:
    """The upper triangle of each matrix, from its `k`th diagonal on, and zeros below."""
    return triangle(x, k, "triu", upper=True)


@public()
def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of a grid: output i has vector i along its axis, repeated along the others.

    With `indexing` "ij" vector i lies along axis i; with "xy" the first two change places.

    **Example**

    >>> import arrayad as ad
    >>> ad.meshgrid([1, 2], [3, 4, 5], indexing="ij")[0]
    Tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f'[meshgrid] indexing is {indexing!r}; "xy" or "ij" is needed')
    vectors = [asarray(x) for x in arrays]
    for x in vectors:
        if x.ndim > 1:
            raise ShapeError(f"[meshgrid] an operand is {describe(x)}; vectors are needed")
    axes = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        axes[:2] = [1, 0]
    lengths = dict(zip(axes, (x.size for x in vectors), strict=True))
    shape = tuple(lengths[axis] for axis in range(len(vectors)))
    return [
        broadcast_to(reshape(x, shape=tuple(x.size if i == axis else 1 for i in range(len(shape)))), shape=shape)
        for x, axis in zip(vectors, axes, strict=True)
    ]

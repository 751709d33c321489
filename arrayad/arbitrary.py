"""Numbers of arbitrary precision: how a Tensor holds an array of mpmath's numbers, and how operations compute with them.

A Tensor of dtype object holds an `Arbitrary`.  NumPy's functions refuse one, by NumPy's own protocol, so that no kernel can take
it for an array of floats: what is written for floats fails, and only then somebody asks why.  Elementwise rows compute by their
`mpmath` text, element by element, other rows by their NumPy kernel on `Elements`.  The working precision is mpmath's own, and
mpmath is imported when it is first needed.  Long doubles come here for the functions that NumPy has in float64 only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from operator import index
from typing import Any

import numpy as np

from arrayad.errors import DTypeError

OBJECT = np.dtype(object)

EXTENDED = "gGO"
"""The characters of the dtypes whose numbers have more digits than a float, to which Python floats would round constants."""

BITS = np.finfo(np.longdouble).nmant + 1
"""The precision of a long double."""

GUARD = 16
"""Bits beyond those of a long double, in which its functions are computed."""


class Arbitrary:
    """An array of mpmath's real numbers, which nobody can change: what a Tensor of dtype object holds."""

    __slots__ = ("array",)
    __array_ufunc__ = None  # NumPy's functions raise TypeError
    dtype = OBJECT

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        array.flags.writeable = False
        self.array = array

    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    nbytes = property(lambda self: self.array.nbytes)
    flags = property(lambda self: self.array.flags)
    real = property(lambda self: self)
    imag = property(lambda self: filled(self.shape, 0, OBJECT))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError("the value of a Tensor of dtype object is no array of NumPy's; its method numpy() gives one")

    def __getitem__(self, i: int) -> Arbitrary:
        """What stands at place `i` of the first axis, for loops that take one after another; `getitem` is a row of its own."""
        return Arbitrary(boxed(self.array[index(i)]))

    def reshape(self, shape: tuple[int, ...]) -> Arbitrary:
        return Arbitrary(self.array.reshape(shape))

    def transpose(self, axes: tuple[int, ...]) -> Arbitrary:
        return Arbitrary(self.array.transpose(axes))

    def copy(self) -> Arbitrary:
        return self

    def item(self) -> Any:
        """The only element, a number of mpmath's."""
        return self.array.item()

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """The numbers rounded to a dtype of NumPy's."""
        dtype = np.dtype(dtype)
        if dtype == OBJECT:
            return self
        if dtype.char in "gG":
            return to_longdouble(self.array).astype(dtype, copy=False)
        return self.array.astype(dtype)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())


class Elements(np.ndarray[Any, Any]):
    """An array of mpmath's numbers as the NumPy kernels of rows compute with it.

    The ufuncs that are rows run by the rows' `mpmath` text, all others by the numbers' own operators.
    """

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        operands = [plain(x) for x in inputs]
        name, text, names = UFUNCS.get(ufunc, ("", None, ()))
        if text is not None and method == "__call__":
            result: Any = elements(name, text, names, ufunc, operands)
        else:
            dtype = options.pop("dtype", None)
            if text is not None and method in ("reduce", "accumulate"):
                ufunc = np.frompyfunc(function_of(text, names), 2, 1, identity=ufunc.identity)
            result = getattr(ufunc, method)(*operands, **options)
            if dtype is not None and np.dtype(dtype).kind == "b":
                result = np.asarray(result).astype(dtype)
        if out is not None:
            out[0].view(np.ndarray)[...] = result
            return out[0]
        return as_elements(boxed(result) if isinstance(result, int | float) and text is not None else result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return as_elements(super().__array_function__(function, types, args, kwargs))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value.array[()] if value.__class__ is Arbitrary else value)


UFUNCS: dict[np.ufunc, tuple[str, str | None, tuple[str, ...]]] = {}
"""NumPy's functions that are rows: the row's name, `mpmath` text and operand names."""


def plain(x: Any) -> Any:
    """Elements as an array of NumPy's own class; anything else as it is."""
    return x.view(np.ndarray) if x.__class__ is Elements else x


def as_elements(result: Any) -> Any:
    """What a function of NumPy's gave, numbers of mpmath's as `Elements`."""
    if isinstance(result, np.ndarray):
        return result.view(Elements if result.dtype == OBJECT else np.ndarray)
    return boxed(result).view(Elements) if hasattr(result, "_mpf_") else result


def boxed(x: Any) -> np.ndarray[Any, Any]:
    """An array as it is; one number as a 0-d array, which NumPy likes to take it out of."""
    if isinstance(x, np.ndarray):
        return x
    array = np.empty((), OBJECT)
    array[()] = x
    return array


# --- mpmath ----------------------------------------------------------------------------------------------------------


@functools.cache
def context() -> Any:
    """mpmath's context, `mpmath.mp`, whose precision is that of all operations.

    **Raises** `ImportError` with the cure where mpmath is not installed.
    """
    try:
        return import_module("mpmath").mp
    except ImportError:
        raise ImportError(
            "arrays of objects, and functions of long doubles that NumPy does not have, need mpmath: "
            'pip install "arrayad[precision]"'
        ) from None


def is_number(x: Any) -> bool:
    """Whether `x` is a real number of mpmath's."""
    return hasattr(x, "_mpf_")


def number(x: Any) -> Any:
    """A real number as one of mpmath's, exactly as far as the working precision goes."""
    mp = context()
    if x.__class__ is mp.mpf:
        return x
    if isinstance(x, np.longdouble):
        return from_longdouble(x)
    if isinstance(x, np.generic):
        x = x.item()
    try:
        if isinstance(x, str | bytes):
            raise TypeError
        return mp.mpf(x)
    except (TypeError, ValueError):
        if isinstance(x, complex | np.complexfloating) or hasattr(x, "_mpc_"):
            cure = "arrays of objects hold real numbers: compute with real and imaginary parts, or in complex128"
        else:
            cure = "arrays of objects hold numbers of mpmath's, such as mpmath.mpf('0.1')"
        raise DTypeError(f"[array] an array of numbers was needed, {type(x).__name__} {str(x)[:40]!r} came; {cure}") from None


convert: Any = np.frompyfunc(number, 1, 1)


def of(array: Any) -> Arbitrary:
    """The numbers of an array, or one number, as a Tensor of dtype object holds them.

    **Raises** `DTypeError` for what are no real numbers, `ImportError` where mpmath is not installed.
    """
    if array.__class__ is Arbitrary:
        return array
    array = plain(np.asarray(array))
    found = np.empty(array.shape, OBJECT)
    with np.errstate(all="ignore"):
        found[...] = convert(array if array.dtype.char in "gGO" else array.astype(OBJECT))
    return Arbitrary(found)


def stored(array: Any) -> Any:
    """An array as a Tensor holds it: one of objects as an `Arbitrary`, any other as it is."""
    return of(array) if array.dtype.char == "O" else array


def filled(shape: tuple[int, ...], value: Any, dtype: Any) -> Any:
    """An array of one number, as a Tensor holds it."""
    return stored(np.full(shape, value, dtype))


def blank(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """An array to be filled with values of Tensors, and then `stored`."""
    array = np.empty(shape, dtype)
    return array.view(Elements) if array.dtype == OBJECT else array


def taken(x: Any, dtype: np.dtype[Any]) -> Any:
    """A Python number in the dtype that it took."""
    return of(x) if dtype.char == "O" else dtype.type(x)


def array_in(value: Any) -> Any:
    """The value of a Tensor as an array of NumPy's, which keeps computing with mpmath where it holds its numbers."""
    return value.array.view(Elements) if value.__class__ is Arbitrary else np.asarray(value)


# --- long doubles -----------------------------------------------------------------------------------------------------


def from_longdouble(x: Any) -> Any:
    """A long double as a number of mpmath's, exactly."""
    mp = context()
    if not np.isfinite(x):
        return mp.mpf(float(x))
    fraction, exponent = np.frexp(x)
    return mp.mpf((int(np.ldexp(fraction, BITS)), int(exponent) - BITS))


def longdouble(x: Any) -> Any:
    """A number of mpmath's rounded to a long double."""
    mp = context()
    if not mp.isfinite(x):
        return np.longdouble(float(x))
    with mp.workprec(BITS):
        fraction, exponent = mp.frexp(+x)
        return np.ldexp(np.longdouble(int(mp.ldexp(fraction, BITS))), exponent - BITS)


def to_longdouble(array: Any) -> np.ndarray[Any, Any]:
    """Numbers of mpmath's rounded to long doubles."""
    return np.array([longdouble(x) for x in array.flat], np.longdouble).reshape(array.shape)


# --- elements by a row's text --------------------------------------------------------------------------------------------


def larger(x1: Any, x2: Any) -> Any:
    """The larger of two numbers, nan if either is."""
    return x1 if x1 >= x2 or x1 != x1 else x2


def smaller(x1: Any, x2: Any) -> Any:
    """The smaller of two numbers, nan if either is."""
    return x1 if x1 <= x2 or x1 != x1 else x2


@functools.cache
def function_of(text: str, names: tuple[str, ...]) -> Callable[..., Any]:
    """The function of numbers that a row's `mpmath` text describes."""
    scope = {"mp": context(), "max": larger, "min": smaller}
    return eval(compile(f"lambda {', '.join(names)}: {text}", f"<mpmath: {text}>", "eval"), scope)


def elements(name: str, text: str, names: tuple[str, ...], numpy: Callable[..., Any], operands: Any) -> Any:
    """A row's value for each element: an array of NumPy's, of numbers of mpmath's or of booleans.

    It is nan where the value is not real.  At a pole, where mpmath raises, it is what float64 makes of it.
    """
    mp, function = context(), function_of(text, names)
    arrays = [exactly(x) for x in operands]

    def value(*xs: Any) -> Any:
        try:
            y = function(*xs)
        except (ArithmeticError, ValueError):
            y = at_pole(numpy, xs)
        if y is True or y is False:
            return y
        return mp.nan if hasattr(y, "_mpc_") else number(y)

    found = np.empty(np.broadcast_shapes(*(array.shape for array in arrays)), OBJECT)
    with np.errstate(all="ignore"):
        found[...] = np.frompyfunc(value, len(names), 1)(*arrays)
    return found.astype(np.bool_) if is_boolean(numpy, tuple(array.dtype.char for array in arrays)) else found


def exactly(x: Any) -> np.ndarray[Any, Any]:
    """An operand as an array: floats as numbers of mpmath's, integers and booleans as they are."""
    if x.__class__ is Arbitrary:
        return x.array
    array = np.asarray(x)
    return array if array.dtype.kind in "biu" else of(array).array


def at_pole(numpy: Callable[..., Any], xs: tuple[Any, ...]) -> float:
    """What float64 makes of an operation that mpmath refuses: an infinity or nan."""
    with np.errstate(all="ignore"):
        return float(numpy(*(nearest_float(x) if is_number(x) else x for x in xs)))


def nearest_float(x: Any) -> np.float64:
    """The finite float next to a finite number, and none that is 0 unless the number is: what counts at a pole."""
    info = np.finfo(np.float64)
    y = np.float64(x)
    if y == 0.0 and x != 0:
        return info.tiny if x > 0 else -info.tiny
    return np.clip(y, info.min, info.max) if np.isinf(y) and context().isfinite(x) else y


@functools.cache
def is_boolean(numpy: Callable[..., Any], kinds: tuple[str, ...]) -> bool:
    """Whether an elementwise kernel gives booleans."""
    with np.errstate(all="ignore"):
        return numpy(*(np.ones(1, np.float64 if char in "gO" else char) for char in kinds)).dtype.kind == "b"


def by_text(name: str, text: str | None, names: tuple[str, ...], numpy: Callable[..., Any], operands: Any) -> Any:
    """The value of an elementwise row whose kernel refused the operands; None where these are neither of the kinds known here.

    **Raises** `DTypeError` for numbers of mpmath's where the row has no text; `ImportError` where mpmath is not installed.
    """
    if among(operands):
        if text is None:
            raise DTypeError(f"[{name}] there is no such operation for numbers of mpmath's, which have no bits; use astype")
        found = elements(name, text, names, numpy, operands)
        return Arbitrary(found) if found.dtype == OBJECT else found[()]
    if text is None or not any(getattr(x, "dtype", OBJECT).char == "g" for x in operands):
        return None
    with context().workprec(BITS + GUARD):
        found = elements(name, text, names, numpy, operands)
        return (to_longdouble(found) if found.dtype == OBJECT else found)[()]


# --- other rows ---------------------------------------------------------------------------------------------------------


def among(values: Any) -> bool:
    """Whether numbers of mpmath's are among the values."""
    return any(x.__class__ is Arbitrary for x in values)


def by_kernel(kernel: Callable[..., Any], values: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """The value of an operation whose NumPy kernel runs on arrays of objects: floats become numbers of mpmath's, exactly."""
    with np.errstate(all="ignore"):
        return wrapped(kernel(*(x if getattr(x, "dtype", None) is None else in_kernel(x) for x in values), **params))


def in_kernel(x: Any) -> Any:
    """An operand of a kernel that runs on arrays of objects."""
    x = exactly(x)
    return x.view(Elements) if x.dtype == OBJECT else x


def wrapped(result: Any) -> Any:
    """What a kernel gave, as Tensors hold it."""
    if isinstance(result, tuple):
        return result.__class__(map(wrapped, result))
    if isinstance(result, np.ndarray):
        return of(result.view(np.ndarray)) if result.dtype == OBJECT else result.view(np.ndarray)
    return of(result) if is_number(result) or isinstance(result, int | float) else result


# --- numbers that have no last digit ---------------------------------------------------------------------------------------


def irrational(text: str) -> Arbitrary:
    """The number that an expression of `mp` names, in the precision in force wherever it is used, not where it is made."""
    mp = context()
    positive = import_module("mpmath.libmp").mpf_pos

    def digits(precision: int, rounding: str) -> Any:
        with mp.workprec(precision + GUARD):
            return positive(function_of(text, ())()._mpf_, precision, rounding)

    return Arbitrary(boxed(mp.constant(digits, text)))

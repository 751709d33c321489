"""What a formula is a function of: arrays by name, whose sizes are numbers or letters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.shaped import Shaped
from arrayad.tensor import Tensor


class Operand(NamedTuple):
    """An array that a formula is a function of; `symmetric`: it is a matrix that is its own transpose."""

    shape: tuple[int | str, ...]
    dtype: np.dtype[Any]
    symmetric: bool = False

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"


def operand(*shape: int | str, dtype: Any = "float64", symmetric: bool = False) -> Operand:
    """An operand of `formula` of which more than the shape is to be said.

    **Parameters** `shape`: sizes, each a number or a letter.  `dtype`: of floating-point numbers, or integers, such as labels.
    `symmetric`: whether it is a square matrix with Wᵀ = W, which simplifies what it stands in; its own derivative is that of a
    matrix without such a bond.

    **Raises** `ShapeError` where what is symmetric is not square, `TypeError` for a size that is neither number nor letter.

    **Example**

    >>> import arrayad as ad
    >>> print(ad.symbolic.formula(lambda x, W: x @ W @ x, x="n", W=ad.symbolic.operand("n", "n", symmetric=True)).diff("x"))
    2 W x
    """
    for size in shape:
        if not (isinstance(size, int | np.integer) and size >= 0) and not (isinstance(size, str) and size.isidentifier()):
            raise TypeError(f"[operand] a size is {size!r}; a number or a letter is needed")
    if symmetric and not (len(shape) == 2 and shape[0] == shape[1]):
        raise ShapeError(f"[operand] the shape is {shape}; a symmetric matrix has two equal sizes")
    return Operand(tuple(size if isinstance(size, str) else int(size) for size in shape), np.dtype(dtype), symmetric)


def as_operand(name: str, given: Any) -> Operand:
    """What `formula` was given for an operand: a shape, a size, an array or an operand."""
    if isinstance(given, Operand):
        return given
    if isinstance(given, str | int | np.integer):
        return operand(given if isinstance(given, str) else int(given))
    if isinstance(given, tuple | list):
        return operand(*given)
    if isinstance(given, Shaped | Tensor | np.ndarray):
        return operand(*given.shape, dtype=given.dtype)
    raise TypeError(
        f'[formula] {name} is {type(given).__name__}; its shape is needed, such as ("m", "n") or (3, 4), or symbolic.operand(…)'
    )


def caller(f: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """The function of the operands in their order, which `f` takes by name, or, where it names none so, by position."""
    try:
        parameters = inspect.signature(f).parameters
    except (TypeError, ValueError):
        return f
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return lambda *xs: f(**dict(zip(names, xs, strict=True)))
    unknown = [name for name in names if name not in parameters]
    if unknown and not any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        raise TypeError(
            f"[formula] the function has no parameter {' or '.join(unknown)}; it has {', '.join(parameters) or 'none'}"
        )
    if unknown or any(parameters[name].kind is inspect.Parameter.POSITIONAL_ONLY for name in names):
        return f
    return lambda *xs: f(**dict(zip(names, xs, strict=True)))


def bound(operands: Mapping[str, Operand], args: tuple[Any, ...], named: dict[str, Any]) -> tuple[list[Tensor], dict[str, int]]:
    """The arrays for the operands, in order, and what the letters are.

    **Raises** `TypeError` for operands that are missing or unknown, `ShapeError` for shapes that do not fit.
    """
    names = list(operands)
    if len(args) > len(names):
        raise TypeError(f"[formula] {len(args)} operands came; there are {len(names)}: {', '.join(names)}")
    given = dict(zip(names, args, strict=False))
    wrong = [name for name in named if name not in operands or name in given]
    if wrong:
        raise TypeError(f"[formula] {', '.join(wrong)} came unasked or twice; the operands are {', '.join(names)}")
    given |= named
    missing = [name for name in names if name not in given]
    if missing:
        raise TypeError(f"[formula] {', '.join(missing)} did not come; the operands are {', '.join(names)}")
    arrays: list[Tensor] = []
    sizes: dict[str, int] = {}
    places: dict[str, str] = {}
    for name, spec in operands.items():
        x = asarray(given[name])
        if x.dtype.kind != spec.dtype.kind:
            if not np.can_cast(x.dtype, spec.dtype, "same_kind"):
                raise DTypeError(f"[formula] {name} is {describe(x)}; {spec.dtype.name} is needed")
            x = asarray(x, spec.dtype)
        if x.ndim != len(spec.shape):
            raise ShapeError(f"[formula] {name} is {describe(x)}; the shape {spec} is needed")
        for size, n in zip(spec.shape, x.shape, strict=True):
            if isinstance(size, str):
                if sizes.setdefault(size, n) != n:
                    raise ShapeError(f"[formula] {size} is {sizes[size]} in {places[size]} and {n} in {name}, {describe(x)}")
                places.setdefault(size, name)
            elif size != n:
                raise ShapeError(f"[formula] {name} is {describe(x)}; the shape {spec} is needed")
        arrays.append(x)
    return arrays, sizes

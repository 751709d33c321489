"""Array programs as formulas of their elements: a tape's operations, done on arrays whose elements are numbers of another trace.

Elementwise rows act on each element; every other row runs its NumPy kernel on arrays of objects, which adds, multiplies and moves
them as it would numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad.arbitrary import plain
from arrayad.elementwise import Elementwise
from arrayad.errors import NoClosedFormError
from arrayad.shaped import Shaped, is_weak
from arrayad.symbolic.expression import Expression, expression
from arrayad.symbolic.forms import FORMS, each, objects
from arrayad.symbolic.tracing import line_of, tape_of
from arrayad.tensor import Tensor
from arrayad.tracing import Tape, is_member

Array = np.ndarray[Any, Any]


def elements(f: Callable[..., Any], **shapes: tuple[int, ...]) -> Expression:
    """The formula of a function of arrays in their elements, one symbol each: `x[0]`, `x[1]`, …, `A[0,1]`.

    **Parameters** `f`: a program of float64 arrays that returns an array or a tree of them; `shapes`: of its arguments in order,
    by the names that they are to have; `()` is a number.

    **Returns** an `Expression` of all elements, whose results are the elements of the result in C order.

    **Raises** `NoClosedFormError` with the line at fault, where the program asks for a value, or for what has no textbook form in
    elements, such as eigenvalues.

    **Example**

    >>> import arrayad as ad
    >>> f = ad.symbolic.elements(lambda x: ad.sum((x[1:] - x[:-1] ** 2) ** 2), x=(3,))
    >>> print(f)
    (x[1] - x[0]²)² + (x[2] - x[1]²)²
    >>> print(f.diff("x[0]"))
    -4·x[0]·(x[1] - x[0]²)
    """
    tape = tape_of(f, [Shaped(shape, np.dtype("float64")) for shape in shapes.values()], list(shapes))
    sizes = [math.prod(shape) for shape in shapes.values()]

    def function(*xs: Any) -> list[Any]:
        remaining = iter(xs)
        operands = [
            array_of([next(remaining) for _ in range(size)], shape) for size, shape in zip(sizes, shapes.values(), strict=True)
        ]
        return [y for result in evaluated(tape, operands) for y in result.flat]

    function.__name__ = getattr(f, "__name__", "f")
    return expression(
        function,
        *(
            f"{name}[{','.join(map(str, index))}]" if index else name
            for name, shape in shapes.items()
            for index in np.ndindex(shape)
        ),
    )


def evaluated(tape: Tape, operands: Sequence[Array]) -> list[Array]:
    """The outputs of a tape, as arrays of objects, where its inputs are these."""
    values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))

    def value_of(x: Any) -> Any:
        if is_member(x, tape):
            return values[x.history]
        if is_weak(x):
            return x
        array = np.asarray(plain(x.numpy() if x.__class__ is Tensor else x))
        return array_of(array.ravel().tolist(), array.shape)

    for entry in tape.entries:
        values[entry] = applied(entry, [value_of(x) for x in entry.inputs])
    return [value_of(y) for y in tape.outputs]


def applied(entry: Any, operands: list[Any]) -> Array:
    """An operation on arrays of objects."""
    row = entry.primitive
    if isinstance(row, Elementwise):
        return each(row.apply, *operands)
    try:
        return objects(FORMS.get(row.name, row.numpy)(*operands, **entry.params))
    except Exception as error:  # kernels that compute in floats fail in many ways on objects
        raise NoClosedFormError(
            f"[expression] there is no formula in elements of {row.name}, which is computed at {line_of(entry.location)}"
        ) from error


def array_of(elements: Sequence[Any], shape: tuple[int, ...]) -> Array:
    """An array of these objects, none of which NumPy looks into."""
    array = np.empty(len(elements), object)
    for i, element in enumerate(elements):
        array[i] = element
    return array.reshape(shape)

"""Programs of arrays as programs of their elements: a row that is no elementwise one runs its own NumPy kernel on symbols.

An array of symbols is an array of objects, each a Tensor of one number.  NumPy's functions that are rows apply the row to each
element; sums, products of matrices and what moves elements do as NumPy does with any objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arrayad.arbitrary import UFUNCS
from arrayad.binding import bind
from arrayad.elementwise import Elementwise
from arrayad.errors import AbstractValueError, NoClosedFormError
from arrayad.primitive import TABLE, alike
from arrayad.primitives.selection import where
from arrayad.readers.unfold import located
from arrayad.shaped import Bundle, Shaped, is_weak
from arrayad.symbolic.forms import FORMS
from arrayad.symbolic.places import line_of
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, is_member, record

SCALAR = Shaped((), "float64")

MOST = 4000
"""Elements of the values of a program beyond which it is not written out."""


class Symbols(np.ndarray[Any, Any]):
    """An array of symbols, with which NumPy's functions compute by rows."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        operands = [x.view(np.ndarray) if x.__class__ is Symbols else x for x in inputs]
        if options.get("where", True) is not True:
            raise TypeError("which elements are computed hangs on values")
        options.pop("dtype", None)
        options.pop("casting", None)
        name = UFUNCS[ufunc][0] if ufunc in UFUNCS else None
        if name is not None:
            ufunc = np.frompyfunc(TABLE[name].apply, ufunc.nin, 1, identity=ufunc.identity)
        result = getattr(ufunc, method)(*operands, **options)
        if out is not None:
            out[0].view(np.ndarray)[...] = result
            return out[0]
        return symbols(result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.where and len(args) == 3:
            plain = [x.view(np.ndarray) if x.__class__ is Symbols else np.asarray(x, object) for x in args]
            return symbols(np.frompyfunc(where, 3, 1)(*plain))
        result = super().__array_function__(function, types, args, kwargs)
        return symbols(result) if isinstance(result, np.ndarray) else result


def symbols(x: Any) -> Any:
    """An array of objects, or one object, as an array of symbols."""
    if isinstance(x, np.ndarray):
        return x.view(Symbols) if x.dtype == object else x
    array = np.empty((), object)
    array[()] = x
    return array.view(Symbols)


def array_of(elements: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """An array of symbols of this shape."""
    array = np.empty(len(elements), object)
    for i, x in enumerate(elements):
        array[i] = x
    return array.reshape(shape).view(Symbols)


def elements_of(x: Any) -> list[Any]:
    """The elements of an array of symbols, or of numbers, in C order."""
    array = np.asarray(x).view(np.ndarray)
    return [array[()]] if array.ndim == 0 else list(array.reshape(-1))


class Elements:
    """One run of a tape on arrays of symbols."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.count = 0

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs, as arrays of symbols or of numbers."""
        values: dict[Any, Any] = dict(zip(self.tape.inputs, inputs, strict=True))

        def value_of(x: Any) -> Any:
            if is_member(x, self.tape):
                return values[x.history]
            return x if is_weak(x) else np.asarray(x.value if x.__class__ is Tensor else x)

        for entry in self.tape.entries:
            self.count += entry.output.size
            if self.count > MOST:
                raise refusal(entry, f"which makes more than {MOST} elements")
            values[entry] = self.result(entry, [value_of(x) for x in entry.inputs])
        return list(map(value_of, self.tape.outputs))

    def result(self, entry: Any, operands: list[Any]) -> Any:
        """What one operation makes."""
        row, params = entry.primitive, entry.params
        if not any(x.__class__ is Symbols for x in operands) or any(x.__class__ is Bundle for x in operands):
            return row.compute(*operands, **params)
        if isinstance(row, Elementwise) or getattr(row.batch, "func", None) is alike:

            def one(*xs: Any) -> Any:
                return located(bind(row, tuple(map(number, xs)), params), entry.location)

            return symbols(np.frompyfunc(one, len(operands), 1)(*operands))
        if row.inline is not None:
            raise refusal(entry, "which has a rule of its own for whole arrays")
        try:
            found = FORMS.get(row.name, row.numpy)(*operands, **params)
        except AbstractValueError:
            raise refusal(entry, "which looks at the values of its operand") from None
        except (TypeError, ValueError, AttributeError, IndexError) as error:  # kernels that compute in floats fail in many ways
            raise refusal(entry, "which is no formula of the elements") from error
        return found if found.__class__ is Bundle else symbols(found)


def number(x: Any) -> Any:
    """An element as an operand: a constant as a Python number, which is weak."""
    return x.item() if isinstance(x, np.generic) else x


def refusal(entry: Any, reason: str) -> NoClosedFormError:
    return NoClosedFormError(
        f"[expression] there is no closed form of {entry.primitive.name}, {reason}, at {line_of(entry.location)}"
    )


def by_elements(tape: Tape, names: Sequence[str]) -> tuple[Tape, list[tuple[int, ...]]]:
    """The tape of the elements, one input and one output each; and the shapes of the outputs."""
    shapes: list[tuple[int, ...]] = []

    def program(*scalars: Any) -> list[Any]:
        rest = iter(scalars)
        inputs = [array_of([next(rest) for _ in range(x.output.size)], x.output.shape) for x in tape.inputs]
        results = Elements(tape).run(inputs)
        shapes.extend(np.shape(y) for y in results)
        return [own(x) for y in results for x in elements_of(y)]

    total = sum(entry.output.size for entry in tape.inputs)
    return record(program, [SCALAR] * total, list(names)), shapes


def own(x: Any) -> Any:
    """A result as a Tensor of its own, or a number."""
    return handle(x.value, x.history) if x.__class__ is Tensor else x

"""Lower a tape to nodes: each entry becomes a view, a map, a fold or a call, by the rule of its row.

A `Block` is a lowered program: what it is given, what it gives, and the conditions that must hold.  Rules stand in
`arrayad.compiler.rules`; a row that has none runs its own kernel, called back from C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad.compiler.calls import HostCall
from arrayad.compiler.ir import Call, Constant, Gather, Given, Map, Node, Read, Reduce, Select, Uniform, read_of
from arrayad.compiler.text import C_TYPES, MOVED
from arrayad.compiler.views import Shape, broadcast, permuted, reshaped, sliced, whole
from arrayad.primitive import TABLE
from arrayad.shaped import Bundle, is_weak
from arrayad.tensor import Tensor
from arrayad.tracing import Tape, is_member

Rule = Callable[..., Any]
RULES: dict[Any, Rule] = {}
"""By primitive, the function `rule(builder, entry, *operands, **params)` that gives the entry's Read, or a list of them."""


def rule(*names: str) -> Callable[[Any], Any]:
    """Declare the rule of the rows of these names."""

    def declare(function: Any) -> Any:
        for name in names:
            RULES[TABLE[name]] = function
        return function

    return declare


class Condition:
    """What must hold: truths, what each has to be, and the guard, by number, or the error, if one is not.

    The error is given by the place of the truth in C order.
    """

    def __init__(
        self, read: Read, truth: bool, guard: int | None = None, error: Callable[[int], Exception] | None = None
    ) -> None:
        self.read, self.truth, self.guard, self.error = read, truth, guard, error


class Block:
    """A lowered program: nodes given, arrays made, conditions."""

    def __init__(self, inputs: list[Given], outputs: list[Node], conditions: list[Condition]) -> None:
        self.inputs, self.outputs, self.conditions = inputs, outputs, conditions


class Builder:
    """Makes the nodes of one block."""

    def __init__(self) -> None:
        self.conditions: list[Condition] = []
        self.location = ""

    # --- nodes ----------------------------------------------------------------------------------------------------

    def map(self, name: str, text: str, kind: Any, operands: Sequence[Read], dtype: Any) -> Read:
        """The operands, broadcast against each other, through a C expression."""
        shape = np.broadcast_shapes(*(x.view.shape for x in operands))
        if 0 in shape:
            return self.empty(shape, dtype)
        reads = [Read(x.node, broadcast(x.view, shape)) for x in operands]
        return read_of(Map(name, text, kind, reads, shape, dtype, self.location))

    def number(self, value: Any, dtype: Any) -> Read:
        """A number of this dtype."""
        return read_of(Uniform(np.asarray(value).astype(dtype)[()], dtype))

    def empty(self, shape: Shape, dtype: Any) -> Read:
        """An array without elements."""
        return read_of(Constant(np.empty(shape, dtype)))

    def constant(self, array: Any) -> Read:
        """A known array; one number where its elements are all the same."""
        array = np.asarray(array)
        if array.size and array.dtype.name in C_TYPES and (array.ndim == 0 or is_uniform(array)):
            return Read(Uniform(array.reshape(-1)[0], array.dtype), broadcast(whole(()), array.shape))
        return read_of(Constant(array if array.flags.c_contiguous else array.copy()))

    def whole(self, x: Read) -> Read:
        """The same elements as an array of their own in C order."""
        if 0 in x.view.shape:
            return self.empty(x.view.shape, x.node.dtype)
        if x.view.is_whole and x.view.size == x.node.size and not isinstance(x.node, Uniform):
            return x
        return self.map("copy", "x", x.node.dtype, [x], x.node.dtype)

    def stored(self, x: Read) -> Read:
        """The same elements where they have an address: a number that is repeated is written out."""
        return self.whole(x) if isinstance(x.node, Uniform) else x

    def reshape(self, x: Read, shape: Shape) -> Read:
        if 0 in shape:
            return self.empty(shape, x.node.dtype)
        view = reshaped(x.view, shape)
        if view is None:
            x = self.map("copy", "x", x.node.dtype, [x], x.node.dtype)
            view = reshaped(x.view, shape)
        assert view is not None
        return Read(x.node, view)

    def permute(self, x: Read, axes: Shape) -> Read:
        return Read(x.node, permuted(x.view, axes))

    def broadcast(self, x: Read, shape: Shape) -> Read:
        return Read(x.node, broadcast(x.view, shape))

    def slice(self, x: Read, index: tuple[Any, ...]) -> Read:
        return Read(x.node, sliced(x.view, index))

    def select(self, pieces: list[tuple[Any, Read]], shape: Shape, dtype: Any) -> Read:
        """Each element from the first piece whose box it lies in; a piece's view is of the whole space."""
        if 0 in shape:
            return self.empty(shape, dtype)
        return read_of(Select(pieces, shape, dtype, self.location))

    def reduce(self, fold: str, x: Read, axes: Shape, dtype: Any = None) -> Read:
        shape = tuple(n for a, n in enumerate(x.view.shape) if a not in axes)
        if all(x.view.shape[a] == 1 for a in axes) and dtype is None:
            return self.reshape(x, shape)
        if 0 in shape:
            return self.empty(shape, dtype or x.node.dtype)
        if 0 in x.view.shape:
            start = {"sum": 0, "prod": 1, "any": False, "all": True}[fold]
            return self.broadcast(self.number(start, dtype or x.node.dtype), shape)
        return read_of(Reduce(fold, x, axes, shape, dtype or x.node.dtype, self.location))

    def gather(self, source: Read, indices: list[tuple[Read, int, int]], shape: Shape) -> Read:
        """Elements of `source`, whose view is of the whole space, moved by indices along axes of these lengths and strides."""
        if isinstance(source.node, Uniform):
            return source
        reads = [(Read(x.node, broadcast(x.view, shape)), length, stride) for x, length, stride in indices]
        return read_of(Gather(source, reads, shape, source.node.dtype, self.location))

    def call(self, code: Any, operands: Sequence[Read], results: list[tuple[Shape, Any]]) -> list[Read]:
        """The results of an operation of its own."""
        return [read_of(part) for part in Call(code, list(operands), results, self.location).parts]

    def check(self, truth: Read, error: Callable[[int], Exception]) -> None:
        """Let the program fail, before it overwrites anything, where a truth does not hold: the first tells the error."""
        self.conditions.append(Condition(self.whole(truth), True, error=error))

    # --- programs -------------------------------------------------------------------------------------------------

    def run(self, tape: Tape, operands: Sequence[Read]) -> list[Read]:
        """The outputs of a tape on these operands."""
        values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))

        def value_of(x: Any) -> Any:
            if is_member(x, tape):
                return values[x.history]
            return x if is_weak(x) else self.constant(x.value if x.__class__ is Tensor else x)

        for entry in tape.entries:
            outer, self.location = self.location, entry.location or self.location
            values[entry] = self.entry(entry, [value_of(x) for x in entry.inputs])
            self.location = outer
        for number, (condition, truth, _) in enumerate(tape.guards):
            self.conditions.append(Condition(self.whole(self.as_bool(value_of(condition))), truth, guard=number))
        outputs = [value_of(y) for y in tape.outputs]
        return [self.number(y, np.asarray(y).dtype) if is_weak(y) else y for y in outputs]

    def entry(self, entry: Any, operands: list[Any]) -> Any:
        """The value of one entry: what its row's rule makes of the operands, else what its kernel will."""
        rule = RULES.get(entry.primitive) or RULES.get(type(entry.primitive))
        found = None if rule is None else rule(self, entry, *operands, **entry.params)
        return self.host(entry, operands) if found is None else found

    def host(self, entry: Any, operands: list[Any]) -> Any:
        """The value of an entry by its row's own kernel."""
        bundle = entry.output.__class__ is Bundle
        results = [(y.shape, y.dtype) for y in (entry.output if bundle else [entry.output])]
        reads = [self.whole(x) for x in operands if not is_weak(x)]
        numbers = {i: x for i, x in enumerate(operands) if is_weak(x)}
        found = self.call(HostCall(entry.primitive, entry.params, numbers, bundle), reads, results)
        return found if bundle else found[0]

    def as_bool(self, x: Read) -> Read:
        """Whether each element is not 0."""
        return x if x.node.dtype.kind == "b" else self.map("as_bool", "x != 0", x.node.dtype, [x], np.bool_)


def is_uniform(array: Any) -> bool:
    """Whether all elements have the same bits."""
    first = array.reshape(-1)[:1]
    if array.dtype.kind == "f":
        return bool((array == first).all() and (np.signbit(array) == np.signbit(first)).all())
    return bool((array == first).all())


class UnsupportedError(Exception):
    """A tape has values that C has no type for."""


def check_dtypes(tape: Tape) -> None:
    """**Raises** `UnsupportedError` where a value is of a dtype that C does not even move."""
    for entry in (*tape.inputs, *tape.entries):
        for y in entry.output if entry.output.__class__ is Bundle else (entry.output,):
            if y.dtype.name not in C_TYPES and y.dtype.name not in MOVED:
                raise UnsupportedError(f"{entry.primitive or 'an input'} is of dtype {y.dtype}")


def lower(tape: Tape) -> Block:
    """The block of a tape.

    **Raises** `UnsupportedError` for dtypes that C does not have.
    """
    check_dtypes(tape)
    builder = Builder()
    inputs = [Given(x.output.shape, x.output.dtype) for x in tape.inputs]
    outputs = builder.run(tape, [read_of(x) for x in inputs])
    return Block(inputs, [builder.whole(y).node for y in outputs], builder.conditions)


def lowered_body(tape: Tape) -> Block:
    """The block of a loop's or a branch's program; its conditions would come too late."""
    inner = Builder()
    inputs = [Given(x.output.shape, x.output.dtype) for x in tape.inputs]
    outputs = inner.run(tape, [read_of(x) for x in inputs])
    return Block(inputs, [inner.whole(y).node for y in outputs], inner.conditions)

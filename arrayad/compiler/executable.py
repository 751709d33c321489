"""A tape as a compiled program: arrays in, arrays out."""

from __future__ import annotations

import functools
import itertools
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from arrayad.compiler import expansions, rules  # noqa: F401  they declare how rows are lowered
from arrayad.compiler.calls import HostCall
from arrayad.compiler.dynamic import OPTIONS, Family
from arrayad.compiler.emit import emit
from arrayad.compiler.ir import Call
from arrayad.compiler.loading import program_of
from arrayad.compiler.lower import Condition, lower
from arrayad.compiler.plan import ALIGNMENT
from arrayad.compiler.replaying import Broken
from arrayad.kernels import native
from arrayad.kernels.pool import empty
from arrayad.readers.emit import define
from arrayad.readers.simplify import simplify
from arrayad.shaped import Bundle, is_weak
from arrayad.tracing import Tape, aval_of

numbers = itertools.count(1)
NOTHING: frozenset[int] = frozenset()

POOLED = 1 << 16
"""Bytes of an output from which on it takes memory of the pool."""


def np_aval(x: Any) -> Any:
    """The abstract value of an output, a Python number's included."""
    found = aval_of(x)
    return np.asarray(found) if is_weak(found) else found


def learn(tape: Tape, family: Family) -> None:
    """Let a family know of a tape for which no program is needed yet."""
    family.learn(emit(lower(simplify(tape, reorder=True)), dynamic=True)[0])


def block_of_memory(size: int) -> np.ndarray[Any, Any]:
    """So many bytes, aligned to a cache line."""
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


def prepared(tape: Tape) -> Tape:
    """The tape as it is compiled."""
    return simplify(tape, reorder=True)


class Executable:
    """A compiled tape; with `is_timed`, `times` holds what each of its lines has taken so far."""

    def __init__(
        self, tape: Tape, donations: Mapping[int, int] | None = None, family: Family | None = None, is_timed: bool = False
    ) -> None:
        self.tape = prepared(tape)
        block = lower(self.tape)
        self.source, program, self.arena_size = emit(block, donations, family is not None, is_timed=is_timed)
        self.lines = program.lines
        self.conditions = program.conditions
        self.donations = program.donations
        self.number = next(numbers)
        self.callbacks = Callbacks([callback(code, call) for code, call in program.host_calls])
        if program.host_calls:
            native.give_python()
            native.CALLBACKS[self.number] = self.callbacks
            weakref.finalize(self, native.CALLBACKS.pop, self.number, None)
        self.outputs = [(y.shape, y.dtype) for y in map(np_aval, self.tape.outputs)]
        table: list[int] = []
        if family is None:
            self.program = program_of(self.source, OPTIONS)
        else:
            self.program, table = family.load(self.source)
        memory = np.zeros(1 + 2 * len(self.lines) * is_timed, np.int64)
        memory[0], self.times = self.number, memory[1:].reshape(-1, 2)
        first = np.array([self.number, *table]) if table else memory
        self.constants = [first, *(node.array for node in program.constants)]
        self.arenas = [block_of_memory(self.arena_size)]  # of several threads that call at once, each takes one of its own
        self.call = self.written()

    def __call__(self, values: list[Any], donate: frozenset[int] = NOTHING) -> list[Any]:
        return self.call(values, donate)

    def written(self) -> Callable[[list[Any], frozenset[int]], list[Any]]:
        """The function of a call, written for these outputs: small programs take no longer than it."""
        scope: dict[str, Any] = {"run": self.program.run, "new": np.empty, "pooled": empty, "NOTHING": NOTHING}
        scope["failed"] = functools.partial(failed, self.conditions, self.callbacks)
        scope |= {"donations": self.donations, "arenas": self.arenas, "block_of_memory": block_of_memory, "size": self.arena_size}
        outputs = [f"y{k}" for k in range(len(self.outputs))]
        lines = []
        for name, (shape, dtype) in zip(outputs, self.outputs, strict=True):
            scope[f"{name}_shape"], scope[f"{name}_dtype"] = shape, dtype
            large = math.prod(shape) * dtype.itemsize >= POOLED
            lines.append(f"{name} = {'pooled' if large else 'new'}({name}_shape, {name}_dtype)")
        made = ", ".join(outputs)
        lines.append(f"outs = [{made}]")
        if self.donations:
            lines += ["for i in donate:", "    if i in donations: outs[donations[i]] = values[i]"]
        constants = []
        for k, array in enumerate(self.constants):
            scope[f"c{k}"] = array
            constants.append(f"c{k}")
        given = f"[*values, *outs, arena, {', '.join(constants)}]"
        if self.arena_size:
            lines += ["try: arena = arenas.pop()", "except IndexError: arena = block_of_memory(size)"]
            lines += [f"code = run({given})", "arenas.append(arena)"]
        else:
            scope["arena"] = self.arenas[0]
            lines.append(f"code = run({given})")
        lines += ["if code: failed(code)", "return outs"]
        define("call", "values, donate=NOTHING", lines, scope)
        return scope.pop("call")  # lest the function be among its own globals, a cycle


class Callbacks:
    """What a program calls back, and the error that one of them has raised, which must not pass through C."""

    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls
        self.error: BaseException | None = None

    def __call__(self, number: int, buffers: Any) -> int:
        try:
            self.calls[number](buffers)
        except BaseException as error:  # it is raised again once C has returned
            self.error = error
            return 1
        return 0


def failed(conditions: list[tuple[Condition, int]], callbacks: Callbacks, code: int) -> None:
    """Raise what a program's code says: an error of a callback, or of the first condition that does not hold."""
    if code < 0:
        error, callbacks.error = callbacks.error, None
        raise error or RuntimeError(f"[compile] the program failed with {code}")
    condition, place = conditions[code - 1]
    if condition.error is not None:
        raise condition.error(place)
    raise Broken(int(condition.guard or 0))


def callback(code: HostCall, call: Call) -> Any:
    """The function of pointers that computes what a row's own kernel does."""
    shapes = [(x.view.shape, x.node.dtype) for x in call.operands]
    results = [(y.shape, y.dtype) for y in call.parts]

    def array(pointer: Any, shape: Any, dtype: Any) -> Any:
        size = int(np.prod(shape, dtype=np.intp)) * dtype.itemsize
        return np.frombuffer(native.elements(pointer, size), dtype).reshape(shape) if size else np.empty(shape, dtype)

    def compute(buffers: Any) -> None:
        given = iter([array(buffers[i], *each) for i, each in enumerate(shapes)])
        count = len(shapes) + len(code.numbers)
        values = [code.numbers[i] if i in code.numbers else next(given) for i in range(count)]
        with np.errstate(all="ignore"):
            found = code.primitive.compute(*values, **code.params)
            store(found, buffers)

    def store(found: Any, buffers: Any) -> None:
        for k, (part, each) in enumerate(zip(found if found.__class__ is Bundle else [found], results, strict=True)):
            array(buffers[len(shapes) + k], *each)[...] = part

    return compute

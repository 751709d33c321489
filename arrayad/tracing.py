"""`Tape`, a typed straight-line program, and `record`, which makes one of a function by running it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from arrayad import tree
from arrayad.shaped import Shaped, aval, is_abstract
from arrayad.tape import Scope, Trace, Traced, collect, recorded
from arrayad.tensor import Tensor, freeze, handle, input_entry

STATE: list[Any] = []
"""Objects of this library that hold Tensors which change, and that a program may draw on without naming them."""


class Tape:
    """A program without branches: inputs, entries in the order they ran, outputs, guards.

    `outputs` holds Tensors, whose histories are entries of this tape, and constants; `structure` says how they make up
    the result.  `values` are the inputs' values, None where the tape was recorded by shapes alone.  The readers that
    describe tapes attach themselves as the methods below.
    """

    show: ClassVar[Callable[..., str]]
    draw: ClassVar[Callable[..., Any]]
    cost: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        inputs: list[Traced],
        outputs: list[Any],
        structure: tree.Structure,
        trace: Trace,
        values: list[Any],
        names: list[str],
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.structure = structure
        self.values = values
        self.names = names
        roots = [recorded(y.history) for y in (*outputs, *(guard[0] for guard in trace.guards)) if y.__class__ is Tensor]
        members = collect(roots, trace)
        inner = set(inputs)
        self.entries: list[Any] = [entry for entry in members if entry not in inner]
        self.guards = list(trace.guards)
        self.scope = trace

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        came = ", ".join(repr(entry.output) for entry in self.inputs)
        return f"<Tape of {len(self.entries)} entries: ({came}) -> {', '.join(repr(aval_of(y)) for y in self.outputs)}>"


def aval_of(x: Any) -> Any:
    """The abstract value of a Tensor or of a constant."""
    return aval(x.value if x.__class__ is Tensor else x)


def is_member(x: Any, tape: Tape) -> bool:
    """Whether an operand or output was computed on this tape, or is one of its inputs."""
    return x.__class__ is Tensor and depends_on(x, tape.scope)


def depends_on(x: Tensor, scope: Scope) -> bool:
    """Whether this scope sees how the Tensor was computed."""
    entry = recorded(x.history)
    return entry is not None and scope in entry.scopes


def record(function: Callable[..., Any], operands: list[Any], names: list[str] | None = None) -> Tape:
    """Run `function` once on traced operands (arrays, Tensors or `Shaped`) and keep what it did as a tape.

    With values at hand, a branch on a value is followed and recorded as a guard; with a `Shaped` it raises.
    """
    trace = Trace()
    handles = [traced_input(x, trace) for x in operands]
    inputs = [x.history for x in handles]  # now: the function may change its arguments in place
    values = [None if is_abstract(x.value) else x.value for x in handles]
    try:
        leaves, structure = tree.flatten(function(*handles))
        outputs = [program_value(y, trace) if y.__class__ is Tensor else constant_result("trace", y) for y in leaves]
        return Tape(inputs, outputs, structure, trace, values, names or [])
    finally:
        trace.open = False
        trace.guards = []


def constant_result(name: str, y: Any) -> np.ndarray[Any, Any]:
    """A result that is no Tensor as an array.

    **Raises** `TypeError` for what is no array, such as a closure, whose captured values would outlive their trace.
    """
    value = np.asarray(y)
    if callable(y) or value.dtype.kind not in "biufcO":
        raise TypeError(f"[{name}] the result is {type(y).__name__}; a traced function must return arrays")
    return freeze(value)


def program_value(x: Tensor, trace: Trace) -> Tensor:
    """A handle of its own on what a trace holds: what was computed in it has lost the readers that were opened inside."""
    return handle(x.value, recorded(x.history) if depends_on(x, trace) else x.history)


def traced_input(x: Any, trace: Trace) -> Tensor:
    """A fresh input of a trace."""
    value = x.value if x.__class__ is Tensor else x if is_abstract(x) else freeze(np.asarray(x))
    entry = input_entry(frozenset((trace,)), Traced)
    entry.trace = trace
    entry.inputs = ()
    entry.location = ""
    entry.output = Shaped(value.shape, value.dtype)
    return handle(value, entry)

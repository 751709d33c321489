"""A specialisation: one trace of a function, what runs its tape, and what a call comes down to."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.compiler.backend import Kernel, executable, in_background
from arrayad.compiler.calling import Writer
from arrayad.compiler.capturing import Capture, Input, is_number
from arrayad.compiler.replaying import Replay
from arrayad.compiler.watching import GIVEN, Place, Walk
from arrayad.control.checkpointing import CHECKPOINT
from arrayad.primitives.picking import pick
from arrayad.shaped import Bundle, aval
from arrayad.tape import ONLY_LEAF, Entry, next_serial
from arrayad.tensor import Tensor
from arrayad.tracing import Tape
from arrayad.transforms.boundary import parameter_names

PICK: Any = pick.primitive  # type: ignore[attr-defined]

Numbers = dict[int, list[tuple[str, Any, Input | None]]]


class Specialisation:
    """One trace of a function: its tape, what runs it, and the function that a call of it comes down to."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.number = 0
        self.tape: Tape
        self.execute: Any
        self.call: Callable[..., Any]
        self.writer: Writer
        self.thread: threading.Thread | None = None

    def start(self, donations: dict[int, int], background: bool) -> None:
        """Make the executable, or have it made while the replay runs."""
        if background:
            self.execute = Replay(self.tape, donations)
            self.thread = in_background(self.tape, donations, functools.partial(setattr, self, "execute"))
        else:
            self.execute = executable(self.tape, donations)

    @functools.cached_property
    def program(self) -> Kernel:
        """The program that is differentiated where somebody calls `backward` on what the function has returned."""
        return Kernel(self.tape)

    def follow(self, parents: tuple[Any, ...], values: list[Any], outs: list[Any]) -> dict[int, Any]:
        """The histories of the outputs that lead back to watched leaves: the program as one entry, and a pick of it for each."""
        body = self.program
        entry = entry_of(CHECKPOINT, parents, {"body": body, "again": body}, (*values, Bundle(outs)), body.avals)
        avals = [Bundle(body.out_avals)]
        return {k: entry_of(PICK, (entry,), {"index": k}, (None, None), avals) for k in self.writer.followed}


def entry_of(primitive: Any, parents: tuple[Any, ...], params: dict[str, Any], residuals: Any, avals: Any) -> Entry:
    """An entry that depends on watched leaves alone."""
    entry = Entry()
    entry.serial = next_serial()
    entry.primitive, entry.parents, entry.params = primitive, parents, params
    entry.residuals, entry.avals, entry.scopes = residuals, tuple(avals), ONLY_LEAF
    return entry


def specialised(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    lock: Any,
    varying: Collection[str],
    background: bool,
) -> tuple[Specialisation, Any]:
    """Run the function once in a trace: the specialisation, and the result of this call.

    Where it raises, everything is as it was before.
    """
    walk = walked(function, args, kwargs, varying)
    capture = Capture(walk)
    numbers: Numbers = {}
    made = Specialisation(lock)
    writer = made.writer = Writer(capture, numbers)
    try:
        with capture:
            lift_numbers(capture, numbers)
            given, named = stood_in(capture, args, kwargs)
            expression = writer.expression(function(*given, **named), "the result")
            writer.changes()
            for place in walk.places:
                if place.kind == "lifted":
                    writer.changed_numbers(place, place.get())
            made.tape, inputs = tape_of(capture, writer.outputs)
        outs = [np.asarray(y.value) for y in made.tape.outputs]
        values = [np.asarray(lifted.lifted) for lifted in inputs]
        writer.read({lifted.entry for lifted in inputs})
        forget(made.tape)
        made.call, complete = writer.functions(inputs, expression, made)
        made.start(writer.donations_of(inputs), background)
    except BaseException:
        capture.restore()
        undo(walk)
        raise
    handles = [lifted.handle for lifted in capture.inputs]
    capture.restore()
    for place in walk.places:
        if place.kind == "lifted":
            place.set(place.value)
    result = complete(args, kwargs, handles, values, outs)
    writer.close()
    return made, result


def walked(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], varying: Collection[str]) -> Walk:
    """What the function reaches, once its optimisers have allocated what they remember."""
    names = parameter_names(function, len(args))
    walk = Walk(function, args, kwargs, names, varying)
    waiting = [x for x in walk.seen.values() if hasattr(type(x), "allocate")]
    if not waiting:
        return walk
    for x in waiting:
        x.allocate()
    return Walk(function, args, kwargs, names, varying)


def lift_numbers(capture: Capture, numbers: Numbers) -> None:
    """Put Tensors of the trace in the places of numbers and arrays in attributes that are declared `lifted`."""
    for place in capture.walk.places:
        if place.kind == "lifted":
            found: list[tuple[str, Any, Input | None]] = [(path, x, None) for path, x in containers(place.value)]
            inside = []
            for path, leaf in tree.paths(place.value):
                lifts = is_number(leaf)
                inside.append(capture.stand_in(leaf, Place("number", place.name + path, "", leaf)) if lifts else leaf)
                found.append((path, leaf, capture.inputs[-1] if lifts else None))
            numbers[id(place)] = found
            place.set(tree.unflatten(tree.flatten(place.value)[1], inside))


def containers(x: Any, path: str = "") -> list[tuple[str, Any]]:
    """(path, container) of the lists, tuples and dicts in a tree, outer ones first."""
    if x.__class__ not in (list, tuple, dict):
        return []
    items = x.items() if x.__class__ is dict else enumerate(x)
    return [(path, x), *(found for key, part in items for found in containers(part, f"{path}[{key!r}]"))]


def stood_in(capture: Capture, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with Tensors of the trace for arrays of NumPy's, and for numbers that vary."""

    def replaced(x: Any, source: str) -> Any:
        leaves = [capture.numbers.get(path, capture.array(leaf)) for path, leaf in tree.paths(x, source)]
        if all(new is old for new, old in zip(leaves, tree.leaves(x), strict=True)):
            return x
        return tree.unflatten(tree.flatten(x)[1], leaves)

    return (
        tuple(replaced(x, f"args[{i}]") for i, x in enumerate(args)),
        {key: replaced(x, f"kwargs[{key!r}]") for key, x in kwargs.items()},
    )


def tape_of(capture: Capture, outputs: list[Any]) -> tuple[Tape, list[Input]]:
    """The tape of what the function did, and its inputs: the arguments' arrays, then what else it uses."""
    tape = Tape([lifted.entry for lifted in capture.inputs], outputs, tree.flatten(list(outputs))[1], capture.trace, [], [])
    operands = [*(x for entry in tape.entries for x in entry.inputs), *tape.outputs, *(operand for operand, _, _ in tape.guards)]
    used = {x.history for x in operands if x.__class__ is Tensor and x.history is not None}
    given = [lifted for lifted in capture.inputs if lifted.place.source.startswith(GIVEN)]
    rest = [lifted for lifted in capture.inputs if lifted.entry in used and not lifted.place.source.startswith(GIVEN)]
    inputs = [*given, *rest]
    tape.inputs = [lifted.entry for lifted in inputs]
    tape.names = [lifted.place.name.removeprefix("argument ") for lifted in inputs]
    tape.values = [None] * len(inputs)
    tape.outputs = list(outputs)
    return tape, inputs


def forget(tape: Tape) -> None:
    """Let go of the values that the trace went through: the tape keeps what it is, not what it computed."""
    operands = [x for entry in tape.entries for x in entry.inputs if x.__class__ is Tensor]
    for x in (*operands, *tape.outputs, *(operand for operand, _, _ in tape.guards)):
        if x.history is not None:
            x.value = aval(x.value)
    for entry in tape.entries:
        entry.residuals = None


def undo(walk: Walk) -> None:
    """Put everything that the walk found back in its place."""
    for container in walk.containers:
        now, before = container.now, container.before
        if isinstance(before, dict):
            for key in [key for key in now if key not in before and key not in container.apart]:
                del now[key]
            now.update(before)
        elif isinstance(before, list):
            now.clear()
            now.extend(before)
    for place in walk.places:
        if place.access is not None and place.kind != "absent" and place.get() is not place.value:
            if place.access != "item" or not isinstance(place.holder, list):
                place.set(place.value)

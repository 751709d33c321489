"""A specialisation: one trace of a function, what runs its tape, and what a call comes down to."""

from __future__ import annotations

import functools
import operator
import random
import threading
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.binding import bind, is_recordable
from arrayad.compiler import backend
from arrayad.compiler.backend import DynamicError, Kernel, contiguous, executable, in_background
from arrayad.compiler.calling import Writer
from arrayad.compiler.capturing import Capture, Input, is_number
from arrayad.compiler.dimensions import Dimensions, resized
from arrayad.compiler.executable import Executable
from arrayad.compiler.replaying import Replay
from arrayad.compiler.watching import GIVEN, SCALARS, Place, Walk
from arrayad.control.checkpointing import CHECKPOINT
from arrayad.errors import CompileError
from arrayad.primitive import TABLE
from arrayad.primitives.casting import constant
from arrayad.shaped import Bundle, aval
from arrayad.tape import LEAF, ONLY_LEAF, Entry, Leaf, next_serial
from arrayad.tensor import Tensor
from arrayad.tracing import Tape, is_member, record
from arrayad.transforms.boundary import parameter_names

CONSTANT: Any = TABLE["stop_gradient"]
PICK: Any = TABLE["pick"]

TRACING = threading.RLock()
"""Held by the thread that traces: until it is done, the Tensors that it has lifted have histories of its trace."""

Numbers = dict[int, list[tuple[str, Any, Input | None]]]


class Ends(NamedTuple):
    """What a program's inputs and outputs are to the user."""

    sources: list[tuple[str, str]]
    """Of each input the kind of its place, and the expression that finds it from what the function reaches."""
    results: list[str]
    """The names of the outputs."""
    updates: list[tuple[int, int]]
    """Pairs of an input and the output that is its new value."""


class Specialisation:
    """One trace of a function: its tape, what runs it, and the function that a call of it comes down to."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.number = 0
        self.tape: Tape
        self.executable: Any = None
        self.run: Any = None
        self.call: Callable[..., Any]
        self.writer: Writer
        self.thread: threading.Thread | None = None
        self.ends: Ends
        self.program: Kernel
        """What is differentiated where somebody calls `backward` on what the function has returned."""
        self.timed: tuple[Executable, int] | None = None
        """The program with clocks in it, and how many calls these have seen."""

    @property
    def execute(self) -> Any:
        """What runs the tape."""
        return self.executable

    @execute.setter
    def execute(self, executable: Any) -> None:
        self.executable = executable
        self.run = getattr(executable, "call", executable)  # without the frame of a `__call__`

    def start(self, donations: dict[int, int], background: bool) -> None:
        """Make the executable, or have it made while the replay runs."""
        if background:
            self.execute = Replay(self.tape, donations)
            self.thread = in_background(self.tape, donations, functools.partial(setattr, self, "execute"))
        else:
            self.execute = executable(self.tape, donations)

    def known(self, kinds: Collection[str]) -> dict[int, Any]:
        """The values, as they are now, of those inputs that come from such places, are no arguments, and are never changed."""
        changed = {i for i, _ in self.ends.updates}
        return {
            i: np.asarray(contiguous(x.value if x.__class__ is Tensor else x))
            for i, (kind, source) in enumerate(self.ends.sources)
            if kind in kinds and source and not source.startswith(GIVEN) and i not in changed
            for x in (eval(source, self.writer.scope),)
        }

    def values_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
        """The values of the inputs in a call, which is not made; None where this is not the program for it."""
        call: Any = self.call
        try:
            types.FunctionType(call.__code__, {**call.__globals__, "owner": Asking})(args, kwargs)
        except Asked as found:
            return found.values
        return None

    def follow(self, parents: tuple[Any, ...], values: list[Any], outs: list[Any]) -> dict[int, Any]:
        """The histories of the outputs that lead back to watched leaves: the program as one entry, and a pick of it for each."""
        body = self.program
        reached = functools.reduce(operator.or_, (body.smooth_reach[k] for k in self.writer.followed), 0)
        parents = tuple(parent if reached >> i & 1 else None for i, parent in enumerate(parents))
        entry = entry_of(CHECKPOINT, parents, {"body": body, "again": body}, (*values, Bundle(outs)), body.avals)
        avals = [Bundle(body.out_avals)]
        return {k: entry_of(PICK, (entry,), {"index": k}, (None, None), avals) for k in self.writer.followed}


def unfollowed(tape: Tape) -> Tape:
    """The tape as `backward` goes through it: what was computed inside `no_grad` is constant, and a leaf remains that leaf."""
    stopped = {entry for entry in tape.entries if is_unfollowed(entry)}
    leaves = {id(entry.gradient): entry for entry in tape.inputs if entry.__class__ is Leaf}
    assigned = {entry for entry in tape.entries if entry.__class__ is Leaf}
    if not stopped and not assigned:
        return tape
    if any(id(entry.gradient) not in leaves for entry in assigned):
        raise CompileError(
            "[compile] a result leads back to a leaf whose value the function has replaced by another without reading it; "
            "call backward inside the function, or return detached Tensors"
        )

    def function(*operands: Tensor) -> list[Any]:
        values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))
        for entry in tape.entries:
            args = [values[x.history] if is_member(x, tape) else x for x in entry.inputs]
            if entry in stopped:
                args = list(map(without_derivative, args))
            y = bind(entry.primitive, tuple(args), entry.params)
            if entry in assigned:  # its own derivative, rather than that of what it was computed from
                old = values[leaves[id(entry.gradient)]]
                y = without_derivative(y) + (old - without_derivative(old))
            values[entry] = without_derivative(y) if entry in stopped else y
        return [values[y.history] if is_member(y, tape) else y for y in tape.outputs]

    return record(function, [entry.output for entry in tape.inputs], tape.names)


def is_unfollowed(entry: Any) -> bool:
    """Whether nobody followed an operation on what leads back to a watched leaf."""
    if LEAF in entry.scopes or entry.primitive is CONSTANT or not is_recordable(entry.primitive, entry.output):
        return False
    return any(x.__class__ is Tensor and x.history is not None and LEAF in x.history.scopes for x in entry.inputs)


def without_derivative(x: Any) -> Any:
    """A Tensor as a constant; the results of an operation that has several as they are."""
    return constant(x) if x.__class__ is Tensor and x.value.__class__ is not Bundle else x


class Asked(Exception):
    """What a call has to hand to the program that it would run."""

    def __init__(self, values: list[Any]) -> None:
        super().__init__()
        self.values = values


class Asking:
    """In the place of a specialisation: its run says what it is given."""

    @staticmethod
    def run(values: list[Any], donate: frozenset[int] = frozenset()) -> Any:
        raise Asked(values)


def entry_of(primitive: Any, parents: tuple[Any, ...], params: dict[str, Any], residuals: Any, avals: Any) -> Entry:
    """An entry that depends on watched leaves alone."""
    entry = Entry()
    entry.serial = next_serial()
    entry.primitive, entry.parents, entry.params = primitive, parents, params
    entry.residuals, entry.avals, entry.scopes = residuals, tuple(avals), ONLY_LEAF
    return entry


class Request(NamedTuple):
    """What is to be traced: a function and the arguments of a call, with the numbers and the axes that vary."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    varying: Collection[str]
    dimensions: Dimensions
    everything: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the positional arguments."""
        return parameter_names(self.function, len(self.args))

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths of the named dimensions."""
        return self.dimensions.sizes(self.names, self.args, self.kwargs)

    def at(self, sizes: Mapping[str, int]) -> Request:
        """The same with arguments of other sizes."""
        free = self.dimensions.free(self.names, self.args, self.kwargs)
        args = tuple(resized(x, free, sizes, f"args[{i}]") for i, x in enumerate(self.args))
        return self._replace(
            args=args, kwargs={key: resized(x, free, sizes, f"kwargs[{key!r}]") for key, x in self.kwargs.items()}
        )


@contextmanager
def undrawn() -> Iterator[None]:
    """Refuse what draws from the global generators of Python and NumPy inside, and put these back.

    **Raises** `CompileError` where something was drawn.
    """
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    yield
    moved = random.getstate() != python
    now = np.random.get_state(legacy=False)
    if moved or now["state"]["pos"] != numpy["state"]["pos"] or not np.array_equal(now["state"]["key"], numpy["state"]["key"]):
        random.setstate(python)
        np.random.set_state(numpy)
        raise CompileError(
            f"[compile] the function draws from {'random' if moved else 'np.random'}, which a compiled function would do at "
            "tracing only; draw from a generator of arrayad.random, or pass what is drawn as an argument"
        )


class Run:
    """One run of a function in a trace: its tape, the inputs, and the writer that knows what the function has changed.

    Everything is as the function left it; where it raises, as it was before.
    """

    def __init__(self, request: Request) -> None:
        with TRACING:
            self.run(request)

    def run(self, request: Request) -> None:
        """Run the function."""
        self.walk = walk = walked(request)
        self.capture = capture = Capture(walk)
        numbers: Numbers = {}
        self.writer = writer = Writer(capture, numbers)
        try:
            with capture, undrawn():
                lift_numbers(capture, numbers)
                given, named = stood_in(capture, request.args, request.kwargs)
                self.result = writer.expression(request.function(*given, **named), "the result")
                capture.refuse_written_arrays()
                writer.changes()
                for place in walk.places:
                    if place.kind == "lifted":
                        writer.changed_numbers(place, place.get())
                self.tape, self.inputs = tape_of(capture, writer.outputs)
            self.outs = [np.asarray(y.value) for y in self.tape.outputs]
            self.values = [np.asarray(lifted.lifted) for lifted in self.inputs]
            forget(self.tape)
        except BaseException:
            self.undo()
            raise

    def described(self) -> tuple[Any, ...]:
        """What is made of the outputs at each call: expressions, and the constants in them."""
        constants = [(name, described(x)) for name, x in self.writer.scope.items() if name.startswith("c") and name[1:].isdigit()]
        return self.result, tuple(self.writer.lines), tuple(constants)

    def undo(self) -> None:
        """Put everything back as it was."""
        self.capture.restore()
        undo(self.walk)


def described(x: Any) -> Any:
    """A constant, as it is compared between sizes."""
    if isinstance(x, np.ndarray):
        return x.dtype, x.shape, x.tobytes()
    return type(x), repr(x) if isinstance(x, SCALARS) else id(x) if callable(x) else ""


def specialised(request: Request, lock: Any, background: bool) -> tuple[Specialisation, Any]:
    """Run the function once in a trace: the specialisation, and the result of this call.

    Where it raises, everything is as it was before.
    """
    execute = any_size(request)
    run = Run(request)
    writer = run.writer
    made = Specialisation(lock)
    made.writer, made.tape = writer, run.tape
    try:
        writer.read({lifted.entry for lifted in run.inputs}, {} if execute is None else free_axes(request))
        made.call, complete = writer.functions(run.inputs, run.result, made)
        made.ends = ends_of(writer, run.inputs)
        if writer.followed:
            made.program = Kernel(unfollowed(run.tape))
        if execute is None:
            made.start(writer.donations_of(run.inputs), background)
        else:
            made.execute = execute
    except BaseException:
        run.undo()
        raise
    handles = [lifted.handle for lifted in run.capture.inputs]
    run.capture.restore()
    for place in run.walk.places:
        if place.kind == "lifted":
            place.set(place.value)
    result = complete(request.args, request.kwargs, handles, run.values, run.outs)
    writer.close()
    return made, result


def free_axes(request: Request) -> dict[str, dict[int, str]]:
    """The axes that vary, by the expression of the array."""
    return request.dimensions.free(request.names, request.args, request.kwargs)


def any_size(request: Request) -> Any:
    """The executable for all sizes of the named dimensions; None where there are none, or where each needs its own.

    Lengths of 0 and 1 have their own, and so has what somebody may differentiate later.
    """
    sizes = request.sizes if backend.DYNAMIC is not None else {}
    if backend.DYNAMIC is None or not sizes or min(sizes.values()) < 2:
        return None

    first: list[Any] = []

    def make_tape(sizes: Mapping[str, int]) -> Tape:
        run = Run(request.at(sizes))
        run.undo()
        if run.writer.followed:
            raise DynamicError("[compile] the result may be differentiated by the leaves that it comes from")
        first.append(run.described())
        if first[0] != first[-1]:
            raise DynamicError("[compile] the function returns or assigns something else at other sizes")
        return run.tape

    try:
        return backend.DYNAMIC(make_tape, sizes)
    except DynamicError:
        return None


def walked(request: Request) -> Walk:
    """What the function reaches, once its optimisers have allocated what they remember."""

    def walk() -> Walk:
        return Walk(request.function, request.args, request.kwargs, request.names, request.varying, request.everything)

    found = walk()
    waiting = [x for x in found.seen.values() if hasattr(type(x), "allocate")]
    for x in waiting:
        x.allocate()
    return walk() if waiting else found


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
    tape.names = [lifted.name.removeprefix("argument ") for lifted in inputs]
    tape.values = [None] * len(inputs)
    tape.outputs = list(outputs)
    return tape, inputs


def ends_of(writer: Writer, inputs: list[Input]) -> Ends:
    """What the inputs and outputs are to the user."""
    place = {lifted.index: i for i, lifted in enumerate(inputs)}
    inside = {
        lifted.index: holder.source + path
        for holder in writer.walk.places
        for path, _, lifted in writer.numbers.get(id(holder), ())
        if lifted is not None
    }
    return Ends(
        [(lifted.place.kind, lifted.place.source or inside.get(lifted.index, "")) for lifted in inputs],
        [writer.names[k].removeprefix("the ") for k in range(len(writer.outputs))],
        [(place[i], k) for i, k in writer.updates if i in place],
    )


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

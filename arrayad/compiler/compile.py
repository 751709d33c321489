"""`compile`: a function is traced once, and from then on its tape runs."""

from __future__ import annotations

import functools
import threading
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.compiler.calling import MISS, Writer, contiguous
from arrayad.compiler.capturing import Capture, Input, OutsideError, is_number
from arrayad.compiler.replaying import Replay
from arrayad.compiler.watching import Walk
from arrayad.control.checkpointing import CHECKPOINT
from arrayad.control.program import Program
from arrayad.errors import CompileError, user_stacklevel
from arrayad.modes import MODES, current_mode
from arrayad.primitives.picking import pick
from arrayad.shaped import Bundle, aval
from arrayad.tape import ONLY_LEAF, Entry, next_serial
from arrayad.tensor import Tensor, is_watched
from arrayad.tracing import Tape
from arrayad.transforms.boundary import parameter_names

PICK: Any = pick.primitive  # type: ignore[attr-defined]

LIMIT = 16
"""How many programs a compiled function keeps, and how many it makes before it says that it runs uncompiled."""

TOLD = 3
"""After so many traces each further one says why it was made."""


def executable(tape: Tape, donations: Mapping[int, int]) -> Any:
    """What runs a tape: the one place where the backend is chosen."""
    return Replay(tape, donations)


class Kernel(Program):
    """A program that the compiler's executables run, and those that derive from it."""

    @functools.cached_property
    def quick(self) -> Any:
        """The program as a function of arrays."""
        execute = executable(self.tape, {})
        return lambda values: execute([contiguous(value) for value in values])


class Specialisation:
    """One trace of a function: its tape, what runs it, and the function that a call of it comes down to."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.tape: Tape
        self.execute: Any
        self.call: Callable[..., Any]
        self.writer: Writer

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


class Compiled:
    """A function that is traced at its first call, and whose tape runs at later ones: what `compile` returns."""

    unwatched = ("specialisations", "lock", "traces", "dynamic", "background", "is_given_up")

    def __init__(self, function: Callable[..., Any], dynamic: Any = None, background: bool = False) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function, self.dynamic, self.background = function, dynamic, background
        self.specialisations: dict[bool, tuple[Specialisation, ...]] = {False: (), True: ()}
        self.lock = threading.RLock()
        self.traces = 0
        self.is_given_up = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        quiet = False
        if MODES:
            mode = current_mode()
            if mode.capture is not None or mode.anomaly or mode.allowance is not None:
                return self.function(*args, **kwargs)
            quiet = mode.quiet
        for found in self.specialisations[quiet]:
            result = found.call(args, kwargs)
            if result is not MISS:
                return result
        return self.missed(args, kwargs, quiet)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        if name in ("function", "__wrapped__"):
            raise AttributeError(name)
        return getattr(self.function, name)

    def __repr__(self) -> str:
        count = sum(map(len, self.specialisations.values()))
        return f"<compiled {getattr(self.function, '__name__', self.function)!s}, {count} programs>"

    @property
    def tape(self) -> Tape:
        """The tape of the program that was traced last.

        **Raises** `CompileError` before the first call.
        """
        found = [*self.specialisations[False], *self.specialisations[True]]
        if not found:
            raise CompileError("[compile] nothing has been traced; call the compiled function first")
        return found[0].tape

    # --- a call that no program fits --------------------------------------------------------------------------------

    def missed(self, args: tuple[Any, ...], kwargs: dict[str, Any], quiet: bool) -> Any:
        """Trace the function for this call, or run it as it stands where somebody outside follows what it is given."""
        if self.is_given_up or any(map(is_followed, tree.leaves((args, kwargs)))):
            return self.function(*args, **kwargs)
        with self.lock:
            for found in self.specialisations[quiet]:  # which another thread may have made meanwhile
                result = found.call(args, kwargs)
                if result is not MISS:
                    return result
            why = self.reason(args, kwargs, quiet)
            if len(self.specialisations[quiet]) >= LIMIT:
                return self.give_up(args, kwargs, why)
            try:
                made, result = traced(self.function, args, kwargs, self.lock)
            except OutsideError:
                return self.function(*args, **kwargs)
            self.specialisations[quiet] = (made, *self.specialisations[quiet])
            self.traces += 1
            if self.traces > TOLD:
                self.say(f"has been traced {self.traces} times; this time because {why}")
            return result

    def reason(self, args: tuple[Any, ...], kwargs: dict[str, Any], quiet: bool) -> str:
        """Why the program that was used last does not fit."""
        found = self.specialisations[quiet]
        if not found:
            return "it had not been called in this mode of recording"
        changed = found[0].writer.broken(args, kwargs)
        if changed is not None:
            return changed
        places = ", ".join(dict.fromkeys(place for _, _, place in found[0].tape.guards))
        return f"a branch on a value went another way: {places}"

    def give_up(self, args: tuple[Any, ...], kwargs: dict[str, Any], why: str) -> Any:
        """Say that the function is not compiled any more, and run it as it stands."""
        self.is_given_up = True
        self.say(
            f"has {LIMIT} programs and needs another, because {why}; it runs uncompiled from here on.  Hold in a Tensor what changes "
            "from call to call, and write where, cond, scan or while_loop for what depends on values"
        )
        return self.function(*args, **kwargs)

    def say(self, what: str) -> None:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        warnings.warn(f"[compile] {name} {what}", RuntimeWarning, stacklevel=user_stacklevel())


def is_followed(x: Any) -> bool:
    """Whether somebody outside follows an argument, or knows it by its shape alone."""
    return x.__class__ is Tensor and x.history is not None and not is_watched(x)


# --- tracing -----------------------------------------------------------------------------------------------------------


def traced(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], lock: Any) -> tuple[Specialisation, Any]:
    """Run the function once in a trace: the specialisation, and the result of this call."""
    walk = walked(function, args, kwargs)
    capture = Capture(walk)
    numbers: dict[int, list[tuple[str, Any, Input | None]]] = {}
    try:
        with capture:
            lift_numbers(capture, numbers)
            given, named = stood_in(capture, args, kwargs)
            result = function(*given, **named)
            made = Specialisation(lock)
            writer = made.writer = Writer(capture, numbers)
            expression = writer.expression(result, "the result")
            writer.changes()
            for place in walk.places:
                if place.kind == "lifted":
                    writer.changed_numbers(place, place.get())
            tape, inputs = tape_of(capture, writer.outputs)
    except BaseException:
        capture.restore()
        undo(walk)
        raise
    outs = [np.asarray(y.value) for y in tape.outputs]
    writer.read({lifted.entry for lifted in inputs})
    forget(tape)
    made.tape = tape
    made.call, complete = writer.functions(inputs, expression, made)
    made.execute = executable(tape, {})
    values = [np.asarray(lifted.lifted) for lifted in inputs]
    capture.restore()
    for place in walk.places:
        if place.kind == "lifted":
            place.set(place.value)
    finished = complete(args, kwargs, [lifted.handle for lifted in capture.inputs], values, outs)
    capture.release()
    return made, finished


def walked(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Walk:
    """What the function reaches, once its optimisers have allocated what they remember."""
    names = parameter_names(function, len(args))
    walk = Walk(function, args, kwargs, names)
    waiting = [x for x in walk.seen.values() if hasattr(type(x), "allocate")]
    if not waiting:
        return walk
    for x in waiting:
        x.allocate()
    return Walk(function, args, kwargs, names)


def lift_numbers(capture: Capture, numbers: dict[int, list[tuple[str, Any, Input | None]]]) -> None:
    """Put Tensors of the trace in the places of numbers and arrays in attributes that are declared `lifted`."""
    for place in capture.walk.places:
        if place.kind == "lifted":
            leaves, structure = tree.flatten(place.value)
            found: list[tuple[str, Any, Input | None]] = [(path, x, None) for path, x in containers(place.value)]
            inside = []
            for path, leaf in tree.paths(place.value):
                x = capture.stand_in(leaf, type(place)("number", place.name + path, "", leaf)) if is_number(leaf) else leaf
                found.append((path, leaf, capture.inputs[-1] if is_number(leaf) else None))
                inside.append(x)
            numbers[id(place)] = found
            place.set(tree.unflatten(structure, inside))


def containers(x: Any, path: str = "") -> list[tuple[str, Any]]:
    """(path, container) of the lists, tuples and dicts in a tree, outer ones first."""
    if x.__class__ not in (list, tuple, dict):
        return []
    items = x.items() if x.__class__ is dict else enumerate(x)
    return [(path, x), *(found for key, part in items for found in containers(part, f"{path}[{key!r}]"))]


def stood_in(capture: Capture, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with Tensors of the trace for arrays of NumPy's."""
    if not any(isinstance(x, np.ndarray | np.generic) for x in tree.leaves((args, kwargs))):
        return args, kwargs
    return tuple(tree.map(capture.array, arg) for arg in args), {key: tree.map(capture.array, arg) for key, arg in kwargs.items()}


def tape_of(capture: Capture, outputs: list[Any]) -> tuple[Tape, list[Input]]:
    """The tape of what the function did, and its inputs: the arguments' arrays, then what else it uses."""
    tape = Tape([lifted.entry for lifted in capture.inputs], outputs, tree.flatten(list(outputs))[1], capture.trace, [], [])
    operands = [*(x for entry in tape.entries for x in entry.inputs), *tape.outputs, *(operand for operand, _, _ in tape.guards)]
    used = {x.history for x in operands if x.__class__ is Tensor and x.history is not None}
    given = [lifted for lifted in capture.inputs if lifted.place.source.startswith(("args", "kwargs"))]
    rest = [lifted for lifted in capture.inputs if lifted.entry in used and lifted not in given]
    inputs = [*given, *rest]
    tape.inputs = [lifted.entry for lifted in inputs]
    tape.names = [lifted.place.name.removeprefix("argument ") for lifted in inputs]
    tape.values = [None] * len(inputs)
    return tape, inputs


def forget(tape: Tape) -> None:
    """Let go of the values that the trace went through: the tape keeps what it is, not what it computed."""
    members = [x for entry in tape.entries for x in entry.inputs if x.__class__ is Tensor and x.history is not None] + [
        y for y in (*tape.outputs, *(operand for operand, _, _ in tape.guards)) if y.history is not None
    ]
    for x in members:
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


def compile(f: Callable[..., Any] | None = None, *, dynamic: Any = None, background: bool = False) -> Any:
    """The function that does what `f` does, by a program made of its first run."""
    if f is None:
        return functools.partial(compile, dynamic=dynamic, background=background)
    if not callable(f):
        raise TypeError(f"[compile] {type(f).__name__} came; a function is needed")
    return f if isinstance(f, Compiled) else Compiled(f, dynamic, background)

"""From a trace to a function: Python text that checks what was read, gathers the inputs, and puts the outputs in their places.

A call of a compiled function is one call of the function written here: flat comparisons of everything that the walk found, one
list of arrays for the executable, and assignments for everything that the traced function changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from sys import getrefcount
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.compiler.backend import contiguous
from arrayad.compiler.capturing import Capture, Input, Seen
from arrayad.compiler.replaying import Broken
from arrayad.compiler.watching import GIVEN, SCALARS, SHARED, Container, Place, equal_arrays, same, same_items
from arrayad.errors import CompileError
from arrayad.readers.emit import define
from arrayad.tape import Entry
from arrayad.tensor import Tensor, handle, is_watched, watch

MISS = object()
"""What the function written here returns where this is another program's call."""

FLOATS, INTEGERS = frozenset((float, np.float64)), frozenset((int, np.int64))
"""What a lifted number may be, as an input of one dtype."""

DONATED = 4096
"""The bytes from which on it pays to hand an array to the executable to be overwritten."""


def number(value: Any, kind: type) -> Any:
    """An output as the Python number or the array that stands in its place."""
    return value if kind is np.ndarray else kind(value[()])


class Writer:
    """Writes the function of one trace: `checks`, the `values` of the inputs, and what is done with the outputs."""

    def __init__(self, capture: Capture, numbers: dict[int, list[tuple[str, Any, Input | None]]]) -> None:
        self.capture, self.walk, self.numbers = capture, capture.walk, numbers
        self.scope: dict[str, Any] = {
            **self.walk.scope,
            "Tensor": Tensor,
            "Entry": Entry,
            "ndarray": np.ndarray,
            "handle": handle,
            "watch": watch,
            "same": same,
            "contiguous": contiguous,
            "equal_arrays": equal_arrays,
            "same_items": same_items,
            "number": number,
            "join": tree.join,
            "MISS": MISS,
            "Broken": Broken,
            "getrefcount": getrefcount,
        }
        self.checks: list[tuple[str, str, Place]] = []
        self.outputs: list[Any] = []
        self.places_of_outputs: dict[Any, int] = {}
        self.lines: list[str] = []
        self.found: dict[str, tuple[Any, str]] = {}
        """What hangs on the arguments and is put elsewhere or returned, and the expression that finds it before a change."""
        self.returned: dict[int, str] = {}
        self.made: dict[int, str] = {}
        self.kept: list[Any] = []
        self.followed: set[int] = set()
        self.free: Mapping[str, Mapping[int, str]] = {}
        self.sizes: dict[str, str] = {}
        self.donations: dict[int, int] = {}
        self.names: dict[int, str] = {}
        """What the outputs are called in descriptions."""
        self.updates: list[tuple[int, int]] = []
        """Pairs of an input, by its index in the capture, and the output that is its new value."""

    def constant(self, value: Any) -> str:
        """The name of a constant."""
        name = f"c{len(self.scope)}"
        self.scope[name] = value
        return name

    # --- what comes in --------------------------------------------------------------------------------------------

    def check(self, place: Place, test: str) -> None:
        self.checks.append((place.name, test, place))

    def read(self, used: set[Any], free: Mapping[str, Mapping[int, str]]) -> None:
        """Write the checks; `used` holds the entries of the inputs that the tape needs, `free` the axes that may vary."""
        self.free = free
        by_place = {id(lifted.place): lifted for lifted in self.capture.inputs}
        aliases = {id(alias): lifted for lifted in self.capture.inputs for alias in lifted.aliases}
        unused = {id(x) for lifted in self.capture.inputs if lifted.entry not in used for x in (lifted.place, *lifted.aliases)}
        for place in self.walk.places:
            if place.name.startswith(SHARED) and id(place) in unused:
                continue
            if id(place) in aliases:
                self.check(place, f"{place.source} is t{aliases[id(place)].index}")
            elif place.kind == "lifted":
                self.read_numbers(place)
            else:
                self.read_place(place, by_place.get(id(place)), used)
        reached = {id(place) for place in self.walk.places}
        for lifted in self.capture.inputs:
            if id(lifted.place) not in reached and lifted.place.kind == "tensor":
                self.read_tensor(lifted)
            if lifted.gradient is not None and lifted.gradient.read and lifted.gradient.original is None:
                self.check(lifted.gradient.place, f"{lifted.gradient.place.source} is None")
        handles = [
            f"t{i}"
            for i, lifted in enumerate(self.capture.inputs)
            if lifted.place.kind == "tensor" and not (lifted.place.name.startswith(SHARED) and lifted.entry not in used)
        ]
        if len(handles) > 1 and any(lifted.is_changed for lifted in self.capture.inputs):
            place = Place("is", "which of the Tensors are one and the same", "", None)
            self.check(place, f"len({{{', '.join(handles)}}}) == {len(handles)}")

    def read_place(self, place: Place, lifted: Input | None, used: set[Any]) -> None:
        """Write the check of one place."""
        source, value = place.source, place.value
        if place.kind == "tensor" and lifted is not None:
            self.read_tensor(lifted)
        elif place.kind == "array":
            if lifted is not None and (lifted.entry in used or source.startswith(GIVEN)):
                self.read_array(place, lifted)
            elif lifted is None or not any(lifted.aliases):
                self.check(place, f"equal_arrays({source}, {self.constant(value.copy())})")
        elif place.kind == "scalar" and lifted is not None:
            i = lifted.index
            self.check(place, f"(v{i} := {source}).__class__ is {self.constant(type(value))}")
        elif place.kind == "weak" and lifted is not None:
            self.read_number(place, lifted, value)
        elif place.kind == "one":
            self.check(place, f"{source} is {value}")
        elif place.kind == "is":
            self.check(place, f"{source} is {self.constant(value)}")
        elif place.kind == "class":
            self.check(place, f"{source}.__class__ is {self.constant(value)}")
        elif place.kind == "length":
            self.check(place, f"len({source}) == {value}")
        elif place.kind == "keys":
            self.check(place, f"[*{source}] == {self.constant(value)}" if value else f"not {source}")
        elif place.kind == "items":
            self.check(place, f"same_items({source}, {self.constant(value)})")
        elif place.kind == "absent":
            self.check(place, source)
        elif value is None or value is True or value is False:
            self.check(place, f"{source} is {value}")
        else:
            constant = self.constant(value)
            self.check(place, f"((s := {source}) is {constant} or same(s, {constant}))")

    def read_tensor(self, lifted: Input) -> None:
        """Write the check of a Tensor, which leaves it in `t` and its value in `v`."""
        i = lifted.index
        history = f"t{i}.history is None"
        if lifted.gradient is not None:
            history = f"(h := t{i}.history).__class__ is Entry and h.primitive is None"
        self.check(
            lifted.place,
            f"(t{i} := {lifted.place.source}).__class__ is Tensor and {history} and {self.fits(lifted, f'(v{i} := t{i}.value)')}",
        )

    def fits_freely(self, source: str, shape: tuple[int, ...], free: Mapping[int, str]) -> str:
        """The check of a shape of which some axes vary; those of one name together, and not to 0 or 1."""
        tests = [f"len(s := {source}.shape) == {len(shape)}"]
        for axis, size in enumerate(shape):
            word = free.get(axis)
            if word is None:
                tests.append(f"s[{axis}] == {size}")
            elif word in self.sizes:
                tests.append(f"s[{axis}] == {self.sizes[word]}")
            else:
                name = self.sizes[word] = f"n{len(self.sizes)}"
                tests.append(f"({name} := s[{axis}]) > 1")
        return " and ".join(tests)

    def read_number(self, place: Place, lifted: Input, value: Any) -> None:
        """Write the check of a number that is read anew."""
        kinds = self.constant(INTEGERS if isinstance(value, int | np.integer) else FLOATS)
        self.check(place, f"(v{lifted.index} := {place.source}).__class__ in {kinds}")

    def read_array(self, place: Place, lifted: Input) -> None:
        i = lifted.index
        self.check(place, f"(v{i} := {place.source}).__class__ is ndarray and {self.fits(lifted, f'v{i}')}")

    def fits(self, lifted: Input, source: str) -> str:
        """The check of a value's shape and dtype."""
        value, i = lifted.lifted, lifted.index
        dtype = self.constant(value.dtype)
        free = self.free.get(lifted.place.source)
        if free is not None:
            return f"{self.fits_freely(source, value.shape, free)} and (v{i}.dtype == {dtype})"
        return f"{source}.shape == {value.shape} and ((d := v{i}.dtype) is {dtype} or d == {dtype})"

    def read_numbers(self, place: Place) -> None:
        """Write the checks of an attribute whose numbers and arrays are lifted."""
        for path, leaf, lifted in self.numbers[id(place)]:
            source = place.source + path
            if leaf.__class__ is list or leaf.__class__ is tuple or leaf.__class__ is dict:
                self.check(place, f"len({source}) == {len(leaf)}")
            elif lifted is None:
                self.check(place, f"same({source}, {self.constant(leaf)})")
            elif isinstance(leaf, np.ndarray):
                self.read_array(Place("array", place.name + path, source, leaf), lifted)
            else:
                self.read_number(Place("weak", place.name + path, source, leaf), lifted, leaf)

    def value_of(self, lifted: Input) -> str:
        """The expression of an input's value as the executable takes it."""
        i = lifted.index
        return f"v{i} if v{i}.__class__ is ndarray and v{i}.flags.c_contiguous else contiguous(v{i})"

    # --- what goes out --------------------------------------------------------------------------------------------

    def output(self, x: Tensor) -> str:
        """The expression of an output's value."""
        return f"outs[{self.position(x)}]"

    def position(self, x: Tensor) -> int:
        """Which of the outputs a Tensor is."""
        y = self.capture.output_of(x)
        key = (id(y.value), y.history)
        if key not in self.places_of_outputs:
            self.places_of_outputs[key] = len(self.outputs)
            self.outputs.append(y)
        return self.places_of_outputs[key]

    def named(self, x: Tensor, name: str) -> str:
        """The expression of an output's value, where the output is called so in descriptions."""
        self.names.setdefault(self.position(x), name)
        return self.output(x)

    def updated(self, lifted: Input, x: Tensor, name: str) -> str:
        """The expression of an output's value, which is an input's new one."""
        found = self.named(x, name)
        self.updates.append((lifted.index, self.position(x)))
        return found

    def history(self, x: Tensor) -> str:
        """The expression of a Tensor's history, where somebody may call `backward` on it."""
        if not self.capture.is_followed(x):
            return "None"
        self.followed.add(self.position(x))
        return f"histories[{self.position(x)}]"

    def expression(self, x: Any, where: str) -> str:
        """The expression that makes, after each call, what the function had put there when it was traced."""
        if self.capture.stands_for_number(x):
            return f"number({self.named(x, where)}, {'float' if x.dtype.kind == 'f' else 'int'})"
        if x.__class__ is Tensor:
            return self.tensor(x, where)
        if isinstance(x, np.ndarray):
            return f"{self.constant(x.copy())}.copy()"
        if id(x) in self.walk.given and not isinstance(x, SCALARS):
            name = self.returned.setdefault(id(x), f"g{len(self.returned)}")
            self.found[name] = x, self.walk.given[id(x)]
            return name
        if isinstance(x, SCALARS) or (callable(x) and id(x) in self.walk.seen):
            return self.constant(x)
        if x.__class__ in (list, tuple):
            parts = [self.expression(part, f"{where}[{i}]") for i, part in enumerate(x)]
            inner = "".join(f"{part}, " for part in parts)
            return f"[{inner}]" if x.__class__ is list else f"({inner})"
        if x.__class__ is dict:
            pairs = [f"{self.constant(key)}: {self.expression(value, f'{where}[{key!r}]')}" for key, value in x.items()]
            return f"{{{', '.join(pairs)}}}"
        if id(x) in self.walk.seen:
            return self.constant(x)
        split = tree.split(x)
        if split is None:
            raise CompileError(
                f"[compile] {where} is {type(x).__name__}, which a compiled function cannot make anew at each call; "
                "return Tensors, arrays and numbers, or trees of these"
            )
        kind, keys, children = split
        inner = ", ".join(self.expression(child, f"{where}[{key!r}]") for key, child in zip(keys, children, strict=True))
        return f"join({self.constant(kind)}, {self.constant(keys)}, [{inner}])"

    def tensor(self, x: Tensor, where: str) -> str:
        """The expression of a Tensor: the handle that came in, or a new one, the same wherever it stands."""
        lifted = self.capture.by_handle.get(id(x))
        if lifted is not None:
            return f"t{lifted.index}"
        if id(x) not in self.made:
            name = self.made[id(x)] = f"r{len(self.made)}"
            self.kept.append(x)
            history = self.history(x)
            self.lines += [f"{name} = Tensor()", f"{name}.value = {self.named(x, where)}", f"{name}.history = {history}"]
            if is_watched(x):
                self.lines.append(f"watch({name})")
                if x.grad is not None:
                    self.lines.append(f"{name}.grad = {self.tensor(x.grad, f'{where}.grad')}")
        return self.made[id(x)]

    def changes(self) -> None:
        """Write the assignments for everything that the function has changed."""
        for i, lifted in enumerate(self.capture.inputs):
            if lifted.place.kind == "tensor" and lifted.is_changed:
                if lifted.handle.shape != lifted.lifted.shape or lifted.handle.dtype != lifted.lifted.dtype:
                    raise CompileError(
                        f"[compile] {lifted.place.name} has been given a value of another shape or dtype; make a new Tensor"
                    )
                self.lines.append(f"t{i}.value = {self.updated(lifted, lifted.handle, lifted.name)}")
                self.donate(lifted, lifted.handle)
                if lifted.gradient is None and (history := self.history(lifted.handle)) != "None":
                    self.lines.append(f"t{i}.history = {history}")
            gradient = lifted.gradient
            if gradient is not None and gradient.written and gradient.current is not gradient.original:
                name = f"gradient of {lifted.name}"
                value = "None" if gradient.current is None else self.tensor(gradient.current, name)
                before = self.capture.by_handle.get(id(gradient.original))
                if before is not None and gradient.current is not None:
                    self.updated(before, gradient.current, name)
                self.lines.append(f"t{i}.history.params.value = {value}")
        for container in self.walk.containers:
            self.container(container)
        inside = {id(container.now) for container in self.walk.containers}
        for place in self.walk.places:
            if place.access is not None and id(place.holder) not in inside and place.kind != "lifted":
                if not self.has_dict(place, inside):
                    self.place(place)

    def has_dict(self, place: Place, inside: set[int]) -> bool:
        """Whether the place is an attribute in a dict that is compared as a whole."""
        return (
            place.access == "attribute"
            and id(getattr(place.holder, "__dict__", None)) in inside
            and place.key in place.holder.__dict__
        )

    def place(self, place: Place) -> None:
        """Write the assignment of a global, a closure's variable or a slot."""
        now = place.get()
        if now is not place.value:
            self.lines.append(f"{self.constant(place)}.set({self.expression(now, place.name)})")

    def container(self, container: Container) -> None:
        """Write the assignments of what has changed in a dict or a list."""
        now, before, name, source, apart = container
        if isinstance(before, dict):
            for key in [key for key in before if key not in now]:
                self.lines.append(f"{source}.pop({self.constant(key)}, None)")
            for key, value in now.items():
                if key not in apart and (key not in before or value is not before[key]):
                    self.lines.append(f"{source}[{self.constant(key)}] = {self.expression(value, f'{name}[{key!r}]')}")
        elif len(now) == len(before):
            for i, (value, old) in enumerate(zip(now, before, strict=True)):
                if value is not old:
                    self.lines.append(f"{source}[{i}] = {self.expression(value, f'{name}[{i}]')}")
        elif any(x.__class__ is Tensor and self.capture.knows(x) for part in now for x in tree.leaves(part)):
            raise CompileError(
                f"[compile] the function puts Tensors into {name}, which grows with each call; "
                "return them, and append them outside"
            )

    def changed_numbers(self, place: Place, now: Any) -> None:
        """Write the assignments of lifted numbers that have changed."""
        found = dict(tree.paths(now))
        for path, leaf, lifted in self.numbers[id(place)]:
            if lifted is None or path not in found:
                continue
            x = found.pop(path)
            if x is lifted.handle and not lifted.is_changed:
                continue
            kind = np.ndarray if isinstance(leaf, np.ndarray) else type(leaf)
            x = x if x.__class__ is Tensor else handle(np.array(x))
            self.lines.append(
                f"{place.source}{path} = number({self.updated(lifted, x, place.name + path)}, {self.constant(kind)})"
            )
            self.donate(lifted, x)

    def donate(self, lifted: Input, x: Tensor) -> None:
        """Let the new value of what is lifted be written over the old one, if that is large enough to matter."""
        value, position = lifted.lifted, self.position(x)
        fits = x.shape == value.shape and x.dtype == value.dtype and value.nbytes >= DONATED
        if fits and position not in self.donations.values():
            self.donations[lifted.index] = position

    # --- the function ---------------------------------------------------------------------------------------------

    def functions(self, inputs: list[Input], result: str, owner: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """`call(args, kwargs)`, and `complete(args, kwargs, handles, values, outs)`, told everything, which checks nothing."""
        self.scope.update(self.walk.scope, owner=owner, lock=owner.lock)
        body = [*self.lines, f"return {result}"]
        if self.followed:
            parents = "".join(f"{f't{lifted.index}.history' if lifted.place.kind == 'tensor' else None}, " for lifted in inputs)
            body = [f"histories = owner.follow(({parents}), values, outs)", *body]
        handles = ", ".join(f"t{i}" for i in range(len(self.capture.inputs)))
        held = {name: x for name, (x, _) in self.found.items()}  # in the call that was traced the changes are made already
        lines = [f"[{handles}] = handles", *body]
        complete = define("complete", "args, kwargs, handles, values, outs", lines, {**self.scope, **held})
        body = [*(f"{name} = {source}" for name, (_, source) in self.found.items()), *body]
        donated = self.donated(inputs)
        gathered = ["donate = []", *donated] if donated else []
        gathered.append(f"values = [{', '.join(map(self.value_of, inputs))}]")
        given = "values, frozenset(donate)" if donated else "values"
        run = [*gathered, "try:", f"    outs = owner.run({given})", "except Broken:", "    return MISS", *body]
        test = "\n        and ".join(test for _, test, _ in self.checks) or "True"
        steps = ["try:", f"    if not ({test}):", "        return MISS", f"except {ERRORS}:", "    return MISS", *run]
        if any(not line.startswith("r") for line in self.lines):  # it changes something, rather than only making its result
            steps = ["with lock:", *(f"    {step}" for step in steps)]
        return define("call", "args, kwargs", steps, self.scope), complete

    def donated(self, inputs: list[Input]) -> list[str]:
        """Statements that find which inputs nobody else holds: a place, `v` and the argument of the question are three."""
        lines = []
        for position, lifted in enumerate(inputs):
            i = lifted.index
            if i in self.donations and not self.followed:
                lines.append(f"if getrefcount(v{i}) == 3 and v{i}.base is None:")
                lines.append(f"    donate.append({position})")
        return lines

    def donations_of(self, inputs: list[Input]) -> dict[int, int]:
        """Which output may be written into which input of the tape."""
        found = {position: self.donations.get(lifted.index) for position, lifted in enumerate(inputs)}
        return {} if self.followed else {position: output for position, output in found.items() if output is not None}

    def close(self) -> None:
        """Let go of what is needed for writing alone."""
        self.made.clear()
        self.found.clear()
        self.kept.clear()
        self.outputs.clear()
        self.places_of_outputs.clear()
        self.numbers.clear()
        self.capture.close()
        self.walk.close()

    def broken(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, str | None, Place | None]:
        """Which check fails in this call, what differs in words, and where; None if nothing does."""
        scope = dict(self.scope, args=args, kwargs=kwargs)
        for i, (name, test, place) in enumerate(self.checks):
            try:
                if not eval(test, scope):
                    return i, name_of_change(name, place, scope), place
            except (LookupError, AttributeError, TypeError, ValueError):
                return i, f"{name} is not there any more", place
        return len(self.checks), None, None


ERRORS = "(LookupError, AttributeError, TypeError, ValueError)"


def name_of_change(name: str, place: Place, scope: dict[str, Any]) -> str:
    """A place, what stood there, and what stands there now."""
    if place.kind == "absent":
        return f"{name} is there now"
    if not place.source:
        return f"it has changed {name}"
    try:
        now = eval(place.source, scope)
        now = len(now) if place.kind == "length" else list(now) if place.kind == "keys" else now
    except (LookupError, AttributeError, TypeError, ValueError):
        return f"{name} is not there any more"
    if place.kind == "items":
        return f"the items of {name} have changed"
    if place.kind == "class":
        return f"{name} was {place.value.__name__} and is {type(now).__name__}"
    what = f"the length of {name}" if place.kind == "length" and not name.startswith("the ") else name
    if place.kind == "array" and shown(now) == shown(place.value):
        return f"the contents of {name} have changed"
    return f"{what} was {shown(place.value)} and is {shown(now)}"


def shown(x: Any) -> str:
    """A value in a message."""
    if x.__class__ is Tensor or isinstance(x, np.ndarray):
        return repr(Seen(x))
    return repr(x)[:60]

"""`Capture`: the trace of a function that runs once for real, and lifts what it meets to inputs.

While it runs, every operation of the thread goes through `bind`, which asks the capture what its operands are.  A Tensor that was
there before is an input of the trace, and so is an array of NumPy's that the function or its arguments reach; what is made inside
is recorded, or a constant.  The handles that were lifted have histories of the trace until it is over.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.compiler.watching import Place, Walk
from arrayad.errors import CompileError, describe, user_line
from arrayad.modes import Switch, no_grad
from arrayad.primitive import TABLE
from arrayad.primitives.arithmetic import absolute, add, divide, floor_divide, multiply, negative, remainder, square, subtract
from arrayad.primitives.casting import astype, constant
from arrayad.primitives.exponential import power
from arrayad.shaped import Bundle, aval, is_abstract
from arrayad.tape import LEAF, Entry, Leaf, Trace, Traced, collect, next_serial, recorded
from arrayad.tensor import INDEX, TRUTH, Gradient, Tensor, handle, input_entry, is_watched

OPERATORS: Any = (add, subtract, multiply, divide, floor_divide, remainder, power, square, negative, absolute)
ARITHMETIC = frozenset(operator.primitive for operator in OPERATORS)
"""Of Python numbers these make Python numbers."""


class OutsideError(Exception):
    """The function uses what an older transform follows: it must run as it stands, for that transform's sake."""


class Seen:
    """A Tensor or an array of NumPy's in words, once it has been let go of."""

    def __init__(self, x: Any) -> None:
        self.text = f"{x.dtype}{list(x.shape)}"
        if x.__class__ is not Tensor:
            self.text = f"the array {self.text}"
        elif is_watched(x):
            self.text += " that requires grad"

    def __repr__(self) -> str:
        return self.text


class Input:
    """What was lifted: where it stands, its handle in the trace, its entry, and how both were before."""

    __slots__ = ("aliases", "entry", "gradient", "handle", "history", "index", "lifted", "place", "value", "was")

    def __init__(self, index: int, place: Place, lifted: Tensor, was: Any) -> None:
        self.index, self.place, self.handle, self.was = index, place, lifted, was
        self.aliases: list[Place] = []
        self.value: Any = lifted.value
        self.lifted: Any = lifted.value
        self.history: Any = lifted.history
        self.entry: Any = None
        self.gradient: TracedGradient | None = None

    @property
    def name(self) -> str:
        """What it is called in descriptions: of all names that lead to it an attribute's or a variable's, if any, a short one."""
        names = [place.name for place in (self.place, *self.aliases)]
        return min(names, key=lambda name: (name.endswith("]"), name.count(".") + name.count("["), len(name)))

    @property
    def is_changed(self) -> bool:
        """Whether the handle has been given another value."""
        return self.handle.value is not self.lifted or recorded(self.handle.history) is not self.entry

    def close(self) -> None:
        """Let go of the values, and keep their shapes for messages."""
        for place in (self.place, *self.aliases):
            if place.value.__class__ is Tensor or isinstance(place.value, np.ndarray):
                place.value = Seen(place.value)
        self.handle = self.was = self.value = self.lifted = self.history = self.gradient = None  # type: ignore[assignment]

    def restore(self) -> None:
        """Give the handle back what it had."""
        self.handle.value, self.handle.history = self.value, self.history


class TracedGradient(Gradient):
    """The gradient of a leaf while it is traced: what the leaf had before is an input, if anybody reads it."""

    __slots__ = ("capture", "current", "original", "place", "read", "written")

    def __init__(self, capture: Capture, original: Tensor | None, place: Place) -> None:
        self.capture, self.original, self.place = capture, original, place
        self.current = original
        self.read = self.written = False

    @property
    def value(self) -> Tensor | None:
        """The gradient as it is now."""
        if not self.written:
            self.read = True
            if self.current is not None:
                self.capture.lift(self.current, self.place)
        return self.current

    @value.setter
    def value(self, gradient: Tensor | None) -> None:
        self.current, self.written = gradient, True


class Capture:
    """A trace in progress that lifts what it meets; `with capture: ...` runs the function in it."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.trace = Trace()
        self.plain_scopes = frozenset((self.trace,))
        self.leaf_scopes = frozenset((LEAF, self.trace))
        self.inputs: list[Input] = []
        self.by_handle: dict[int, Input] = {}
        self.known: dict[Entry, Any] = {}
        self.made: dict[int, tuple[Any, Any]] = {}
        self.arrays: dict[int, tuple[Any, Tensor]] = {}
        self.swept: set[Entry] = set()
        self.numbers: dict[str, Tensor] = {}
        self.weak: set[Entry] = set()
        self.has_unreached = False
        self.is_weak = False
        self.created: dict[int, Tensor] = {}
        self.mode = Switch(capture=self)

    def __enter__(self) -> Capture:
        self.mode.__enter__()
        try:
            for place in self.walk.places:
                if place.kind == "tensor":
                    self.lift(place.value, place)
                elif place.kind in ("array", "scalar"):
                    self.lift_array(place)
                elif place.kind == "weak":
                    self.numbers[place.source] = self.stand_in(place.value, place)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.mode.__exit__()
        self.trace.open = False

    def restore(self) -> None:
        """Give every handle back the value and the history that it had."""
        for lifted in self.inputs:
            lifted.restore()

    def close(self) -> None:
        """Let go of everything that is needed while tracing alone."""
        self.made.clear()
        self.known.clear()
        self.created.clear()
        self.swept.clear()
        self.arrays.clear()
        self.numbers.clear()
        for lifted in self.inputs:
            lifted.close()

    # --- inputs ---------------------------------------------------------------------------------------------------

    def lift(self, x: Tensor, place: Place) -> Input:
        """Make a Tensor an input of the trace, once."""
        if id(x) in self.by_handle:
            found = self.by_handle[id(x)]
            found.aliases.append(place)
            return found
        watched = is_watched(x)
        if is_abstract(x.value) or (x.history is not None and not watched):
            raise OutsideError
        gradient = None
        if watched:
            source = f"t{len(self.inputs)}.history.params.value"
            gradient = TracedGradient(self, x.grad, Place("tensor", f"the gradient of {place.name}", source, x.grad))
        made = self.by_handle[id(x)] = Input(len(self.inputs), place, x, x)
        self.inputs.append(made)
        if id(x.value) in self.made or x.value.__class__ is not np.ndarray:
            x.value = np.array(x.value)
        made.lifted = x.value
        made.entry = x.history = self.input_entry(x.value, gradient)
        made.gradient = gradient
        return made

    def input_entry(self, value: Any, gradient: TracedGradient | None = None) -> Any:
        """The entry of an input of the trace."""
        entry = input_entry(self.plain_scopes if gradient is None else self.leaf_scopes, Traced if gradient is None else Leaf)
        entry.trace, entry.inputs, entry.location, entry.output = self.trace, (), "", aval(value)
        if gradient is not None:
            entry.gradient = gradient
        self.known[entry] = value
        self.made[id(value)] = value, entry
        return entry

    def lift_array(self, place: Place) -> None:
        """Make an array of NumPy's an input of the trace, as a Tensor that stands for it."""
        if id(place.value) in self.arrays or place.value.dtype.kind not in "biufc":
            return
        self.arrays[id(place.value)] = place.value, self.stand_in(place.value, place)

    def stand_in(self, value: Any, place: Place) -> Tensor:
        """A Tensor of the trace in the place of a number or an array."""
        x = handle(np.array(value))
        made = Input(len(self.inputs), place, x, value)
        made.entry = x.history = self.input_entry(x.value)
        self.inputs.append(made)
        if value.__class__ in (int, float):
            self.weak.add(made.entry)
        return x

    def refuse_written_arrays(self) -> None:
        """Put arrays of NumPy's that the function has written into back as they were, and say so."""
        for lifted in self.inputs:
            if lifted.place.kind == "array" and not np.array_equal(
                lifted.was, lifted.value, equal_nan=lifted.was.dtype.kind in "fc"
            ):
                if lifted.was.flags.writeable:
                    lifted.was[...] = lifted.value
                raise CompileError(
                    f"[compile] the function writes into {lifted.name}, an array of NumPy's, which is done at tracing only; "
                    "hold it in a Tensor, or return what belongs there and write it outside"
                )

    # --- what operations ask --------------------------------------------------------------------------------------

    def lifted(self, primitive: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The operands of an operation, with Tensors of the trace for what was there before."""
        for x in args:
            if x.__class__ is Tensor:
                self.settle(x)
        args = tuple(map(self.array, args))
        self.is_weak = False
        if primitive.takes_weak and self.weak and any(map(self.stands_for_number, args)):
            return self.beside_weak(primitive, args)
        return args

    def stands_for_number(self, x: Any) -> bool:
        """Whether a Tensor stands for a Python number, which takes the dtype of what it meets."""
        return x.__class__ is Tensor and recorded(x.history) in self.weak

    def beside_weak(self, primitive: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The operands, of which those that stand for Python numbers take the dtype that these would take."""
        strong = [x.dtype for x in args if hasattr(x, "dtype") and not self.stands_for_number(x)]
        if not strong:
            self.is_weak = primitive in ARITHMETIC
            return args
        numbers = [0.0 if x.dtype.kind == "f" else 0 for x in args if self.stands_for_number(x)]
        dtype = np.result_type(*strong, *numbers)
        return tuple(astype(x, dtype=dtype) if self.stands_for_number(x) and x.dtype != dtype else x for x in args)

    def plain(self, x: Any) -> Any:
        """A Tensor that stands for a Python number as an array of its own dtype; anything else itself."""
        if not self.stands_for_number(x):
            return x
        return handle(x.value, self.bare(recorded(constant(x).history), x.value))

    def array(self, x: Any) -> Any:
        """The Tensor that stands for an array of NumPy's; anything else itself."""
        if not isinstance(x, np.ndarray | np.generic):
            return x
        if id(x) in self.arrays:
            return self.arrays[id(x)][1]
        if isinstance(x, np.generic):
            return x
        if x.base is None or x.size == 0:
            return x
        owner, (low, high) = owner_of(x), np.lib.array_utils.byte_bounds(x)
        for whole, _ in self.arrays.values():
            if isinstance(whole, np.ndarray) and owner_of(whole) is owner:
                start, end = np.lib.array_utils.byte_bounds(whole)
                if start <= low and high <= end:
                    return self.part(x, whole)
        return x

    def part(self, x: Any, base: Any) -> Any:
        """The part of an array that the function has sliced or reshaped, by the places of its elements."""
        whole = self.arrays[id(base)][1]
        if not base.flags.c_contiguous or base.dtype != x.dtype:
            raise CompileError(
                f"[compile] at {user_line()} a view of an array came, {describe(x)} of {describe(base)}, that cannot be read "
                "anew at each call; pass the array as an argument, or make a Tensor of it"
            )
        places = np.arange(base.size, dtype=np.intp).reshape(base.shape)
        offset = (x.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // base.itemsize
        steps = [stride // base.itemsize * places.itemsize for stride in x.strides]
        index = np.lib.stride_tricks.as_strided(places.reshape(-1)[offset:], x.shape, steps).copy()
        return whole.reshape(-1)[index]

    def knows(self, x: Any) -> bool:
        """Whether something is of the trace, or may be read anew at each call."""
        if x.__class__ is Tensor:
            self.settle(x)
            return self.sees(x)
        return self.array(x) is not x

    def sees(self, x: Tensor) -> bool:
        """Whether a Tensor was computed in the trace, or is an input of it."""
        entry = recorded(x.history)
        return entry is not None and self.trace in entry.scopes

    def settle(self, x: Tensor) -> None:
        """Give a Tensor the entry that its value has in the trace, if it has one."""
        if is_abstract(x.value):
            return
        entry = recorded(x.history)
        if entry is not None and self.trace in entry.scopes:
            if entry in self.known and self.known[entry] is not x.value:
                self.assigned(x, entry)
            return
        if entry is not None and not is_watched(x):
            if LEAF in entry.scopes and id(x) not in self.created:
                raise OutsideError
            return
        known = self.made.get(id(x.value))
        if id(x) not in self.created:
            self.has_unreached = True
            name = f"the Tensor {describe(x)} that is used at {user_line()}"
            self.lift(x, Place("tensor", name, self.walk.constant(x), x))
        elif known is not None and known[0] is x.value and x.history is None:
            x.history = self.bare(known[1], x.value)

    def bare(self, entry: Any, value: Any) -> Any:
        """The entry of a value without what derivatives ask of it."""
        if entry.scopes == self.plain_scopes:
            return entry
        with no_grad():
            return recorded(constant(handle(value, entry)).history)

    def assigned(self, x: Tensor, entry: Any) -> None:
        """An input whose value was assigned to: it remains the leaf that it is."""
        value = x.value = self.told_apart(x.value)
        known = self.made.get(id(value))
        if entry.__class__ is Leaf:
            x.history = self.leaf(handle(value, None if known is None else self.bare(known[1], value)), entry.gradient)
        elif known is not None:
            x.history = known[1]
        else:
            x.history = None
            self.created[id(x)] = x  # it is a constant from here on

    def leaf(self, x: Tensor, gradient: Gradient) -> Leaf:
        """The entry of a watched leaf that has this value of the trace."""
        entry = Leaf()
        parent = recorded(x.history)
        if parent is not None:
            parent = self.bare(parent, x.value)
        entry.serial = next_serial()
        entry.primitive = TABLE["identity"]
        entry.params = {}
        entry.parents = (parent,)
        entry.residuals = (None, None)
        entry.avals = (aval(x.value),)
        entry.scopes = self.leaf_scopes
        entry.trace, entry.location = self.trace, user_line()
        entry.inputs, entry.output = (handle(x.value, parent),), aval(x.value)
        entry.gradient = gradient
        self.known[entry] = x.value
        return entry

    def told_apart(self, result: Any) -> Any:
        """A result as an array of its own, by which it is known from now on."""
        return np.array(result) if isinstance(result, np.generic) else result

    def keep(self, result: Any, entry: Any) -> None:
        """Remember which value of the trace this is."""
        if result.__class__ is not Bundle and not is_abstract(result) and self.trace in entry.scopes:
            self.made[id(result)] = result, entry
            if self.is_weak and result.dtype.kind in "if":
                self.weak.add(entry)
            self.is_weak = False

    def refuse(self, x: Tensor, asked: str) -> None:
        """Raise where a number is asked of what differs from call to call."""
        self.settle(x)
        if asked in (INDEX, TRUTH) or is_abstract(x.value) or not self.sees(x):
            return
        raise CompileError(
            f"[compile] {asked} at {user_line()} asks for the value of {describe(x)} inside a compiled function, where it would "
            "become a constant; go on with arrayad's operations, return the Tensor and convert it outside, or branch on it "
            "with if, where or cond"
        )

    def sweeps(self, entry: Any, release: bool) -> bool:
        """Note what `backward` goes through; the recordings that it would release are not returned."""
        if release:
            self.swept.update(collect([entry], LEAF))
        return release

    # --- what has come of it --------------------------------------------------------------------------------------

    def output_of(self, x: Tensor) -> Tensor:
        """A result as an output of the tape: a handle of its own on a value of the trace, or on a constant."""
        self.settle(x)
        if self.sees(x):
            return handle(x.value, recorded(x.history))
        return handle(x.value)

    def is_followed(self, x: Tensor) -> bool:
        """Whether a result leads back to a watched leaf, so that somebody may call `backward` on it later."""
        entry = recorded(x.history)
        return entry is not None and LEAF in entry.scopes and not is_watched(x) and entry not in self.swept


def owner_of(x: Any) -> Any:
    """The object that owns an array's memory."""
    while getattr(x, "base", None) is not None:
        x = x.base
    return x


def is_number(leaf: Any) -> bool:
    """Whether a leaf of a lifted attribute is read anew, as an array."""
    return isinstance(leaf, int | float | np.ndarray | np.generic) and not isinstance(leaf, bool)

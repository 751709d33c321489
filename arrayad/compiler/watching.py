"""What a function can see: the Tensors, arrays and Python values that it reaches, and where each of them stands.

The walk follows the code: globals that are loaded by name, closure cells, defaults, a bound `self`, attributes whose names occur
in the code, items of containers; into functions and objects of the user's, but not into this library, NumPy or the standard
library.  What is found becomes a `Place`: an expression that reads it anew at each call.
"""

from __future__ import annotations

import array
import contextvars
import dis
import enum
import functools
import operator
import random
import sys
import types
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import PACKAGE, CompileError
from arrayad.primitive import Primitive
from arrayad.tensor import Tensor
from arrayad.tracing import STATE

SCALARS = (int, float, complex, str, bytes, type(None), type(Ellipsis), np.generic, np.dtype, range, slice)
FOREIGN = frozenset((*sys.stdlib_module_names, "arrayad", "numpy", "builtins"))
UNSEEN = frozenset(("getattr", "vars", "__dict__", "asdict", "astuple", "attrgetter", "fields"))
"""Names through which code reads attributes whose names it does not spell."""
SHARED = "the library's"
"""How the names begin of places that programs may read without naming them."""

GIVEN = ("args", "kwargs")
"""How the expressions begin of what hangs on the arguments."""

LONG = 16
"""A list of more numbers is compared as a whole."""

GLOBAL = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL"))
STREAMS = (random.Random, np.random.Generator, np.random.RandomState)
BYTES = (bytearray, memoryview, array.array)
REFERENCES: tuple[type, ...] = (weakref.ref, contextvars.ContextVar, type({}.keys()), type({}.values()), type({}.items()))
CACHES = (type(functools.lru_cache(len)),)
ACCESSORS = (operator.attrgetter, operator.methodcaller)
UNNAMED = ("globals", "eval", "exec")
"""Functions through which code reads globals whose names it does not spell."""

ITERATORS: tuple[type, ...] = (
    types.GeneratorType,
    type(iter(())),
    type(iter([])),
    type(iter({})),
    type(iter(range(0))),
    map,
    zip,
    filter,
    enumerate,
)


class Place:
    """Where something stands that the function reads.

    `source` is the Python expression that reads it, over the constants of the walk and the arguments of the call; `kind` what is
    asked of it: "tensor", "array" and "scalar", an argument that is a scalar of NumPy's, are read anew; "weak" is a number among
    the arguments that varies, and "lifted" an attribute declared so, whose numbers are read anew as arrays; "same" is compared
    by value, "is" by identity, "one" with what stands elsewhere, "class", "length" and "keys" by these.  `holder`, `key` and
    `access` tell how it is assigned: as an "item", an "attribute" or a "cell"; not at all where `access` is None.
    """

    __slots__ = ("access", "holder", "key", "kind", "name", "source", "value")

    def __init__(
        self, kind: str, name: str, source: str, value: Any, holder: Any = None, key: Any = None, access: str | None = None
    ) -> None:
        self.kind, self.name, self.source, self.value = kind, name, source, value
        self.holder, self.key, self.access = holder, key, access

    def get(self) -> Any:
        """What stands there now."""
        if self.access == "item":
            return self.holder.get(self.key) if self.kind == "absent" else self.holder[self.key]
        if self.access == "attribute":
            return getattr(self.holder, self.key)
        return self.holder.cell_contents if self.access == "cell" else self.value

    def set(self, value: Any) -> None:
        """Put something there, past the holder's own ways of assignment."""
        if self.access == "item":
            self.holder[self.key] = value
        elif self.access == "attribute":
            object.__setattr__(self.holder, self.key, value)
        else:
            self.holder.cell_contents = value


class Container(NamedTuple):
    """A dict, a list, or an object's dict, as it was found: what has changed in it is told by comparing the two."""

    now: Any
    before: Any
    name: str
    source: str
    apart: tuple[str, ...] = ()


def same(x: Any, y: Any) -> bool:
    """Whether two values are of one type and equal, as nan is to nan and 0.0 is not to -0.0."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if isinstance(x, float | complex | np.inexact):
        return repr(x) == repr(y)
    return bool(x == y)


def same_items(x: Any, y: list[Any]) -> bool:
    """Whether a list or tuple holds the same values that another held."""
    return len(x) == len(y) and (all(map(operator.is_, x, y)) or all(map(same, x, y)))


def equal_arrays(x: Any, y: np.ndarray[Any, Any]) -> bool:
    """Whether an array has the contents that another had, bit for bit."""
    return x.__class__ is np.ndarray and x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


def bytes_of(x: Any) -> bytes:
    """What an array of bytes or numbers of Python's holds."""
    return x.tobytes() if isinstance(x, memoryview | array.array) else bytes(x)


def followed(x: Any) -> Any:
    """What a reference of Python's leads to: of a view of a dict the dict, of a context's variable the value."""
    if isinstance(x, contextvars.ContextVar):
        return x.get(None)
    return x() if isinstance(x, weakref.ref) else x.mapping


def is_plain(key: str, value: Any) -> bool:
    """Whether a global is data, rather than a function or something of Python's own."""
    return not key.startswith("__") and isinstance(value, (*SCALARS, Tensor, np.ndarray, list, tuple, dict))


@functools.lru_cache(4096)
def names_in(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals that a piece of code loads, and the names of attributes in it; those of the functions in it too."""
    loaded = {i.argval for i in dis.get_instructions(code) if i.opname in GLOBAL}
    attributes = set(code.co_names)
    if any(i.opname == "MATCH_CLASS" for i in dis.get_instructions(code)):
        attributes.add("__dict__")
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner, inner_attributes = names_in(constant)
            loaded |= inner
            attributes |= inner_attributes
    return frozenset(loaded), frozenset(attributes)


def modules_in(code: types.CodeType) -> set[str]:
    """The modules that a piece of code, or a function in it, imports."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname == "IMPORT_NAME"}
    return found.union(*(modules_in(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)))


def is_foreign(module: str | None) -> bool:
    """Whether a module is this library's, NumPy's or the standard library's."""
    return module is not None and module.split(".")[0] in FOREIGN


def is_foreign_code(f: types.FunctionType) -> bool:
    """Whether a function is this library's, NumPy's or the standard library's; `__module__` may be that of what it wraps."""
    file = f.__code__.co_filename
    if file.startswith((PACKAGE, "<doctest")):
        return file.startswith(PACKAGE)
    return is_foreign(f.__globals__.get("__name__"))


class Walk:
    """Everything that a function and its arguments reach, as `places` in the order in which they must be read.

    What hangs on the function is known by identity; what hangs on the arguments, by class and contents, so that other objects of
    the same kind fit too.  With `everything` attributes count that no code names.  `scope` holds the constants in the
    expressions.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        parameters: Sequence[str] = (),
        varying: Collection[str] = (),
        everything: bool = False,
    ) -> None:
        self.varying, self.everything = varying, everything
        self.names: frozenset[str] = frozenset()
        while True:  # until no code is found that names further attributes
            before = self.names
            self.start()
            self.visit(function, getattr(function, "__name__", "function"), self.constant(function), fixed=True)
            for i, state in enumerate(STATE):
                self.visit(state, f"{SHARED} {type(state).__name__.lower()} {i}", self.constant(state), fixed=True)
            self.look("length", "the number of arguments", "args", args)
            for i, arg in enumerate(args):
                self.visit(arg, f"argument {parameters[i] if i < len(parameters) else i}", f"args[{i}]")
            self.look("keys", "the names of arguments", "kwargs", kwargs)
            for key, arg in kwargs.items():
                self.visit(arg, f"argument {key}", f"kwargs[{key!r}]")
            if self.names == before:
                break

    def start(self) -> None:
        """Begin anew, with the names that are known."""
        self.scope: dict[str, Any] = {"modules": sys.modules}
        self.places: list[Place] = []
        self.seen: dict[int, Any] = {}
        self.given: dict[int, str] = {}
        self.containers: list[Container] = []
        self.classes: set[int] = set()

    def close(self) -> None:
        """Let go of the arguments, and of what is needed while tracing alone."""
        self.containers.clear()
        self.seen.clear()
        for place in self.places:
            if place.source.startswith(GIVEN):
                place.holder = None

    def constant(self, value: Any) -> str:
        """The name of a constant."""
        name = f"k{len(self.scope)}"
        self.scope[name] = value
        return name

    def look(self, kind: str, name: str, source: str, value: Any, *how: Any) -> None:
        """Add a place."""
        if kind == "length":
            value = len(value)
        elif kind in ("keys", "items"):
            value = list(value)
        self.places.append(Place(kind, name, source, value, *how))

    def reaches_all(self) -> bool:
        """Whether code reads attributes without spelling their names."""
        return self.everything or not self.names.isdisjoint(UNSEEN)

    def visit(self, x: Any, name: str, source: str, *how: Any, fixed: bool = False) -> None:
        """Add what stands at a place, and what is reached from there; how: its holder, key and access."""
        kind = type(x)
        if kind is Tensor:
            self.look("tensor", name, source, x, *how)
        elif isinstance(x, np.ndarray):
            self.look("array", name, source, x, *how)
        elif kind in (int, float) and source in self.varying:
            self.look("weak", name, source, x, *how)
        elif isinstance(x, np.generic) and not fixed and x.dtype.kind in "iufc":
            self.look("scalar", name, source, x, *how)
        elif isinstance(x, SCALARS):
            if how or not fixed:
                self.look("same", name, source, x, *how)
            if not is_foreign(kind.__module__):
                self.instance(x, name, source, fixed)
        elif isinstance(x, enum.Enum):
            if how or not fixed:
                self.look("is", name, source, x, *how)
            self.instance(x, name, self.constant(x), True)
        elif isinstance(x, BYTES):
            self.look("same", f"the contents of {name}", f"{self.constant(bytes_of)}({source})", bytes_of(x))
        elif isinstance(x, REFERENCES):
            self.visit(followed(x), name, f"{self.constant(followed)}({source})", x, None, None, fixed=fixed)
        elif isinstance(x, STREAMS):
            raise CompileError(
                f"[compile] {name} is a {kind.__module__}.{kind.__name__}, whose draws would be made at tracing only; "
                "use a generator of arrayad.random, or pass what is drawn as an argument"
            )
        elif isinstance(x, ITERATORS):
            raise CompileError(
                f"[compile] {name} is a {kind.__name__}, which would be read at tracing only; pass what it gives as an argument"
            )
        elif fixed or isinstance(x, types.FunctionType | types.MethodType | types.ModuleType | type | functools.partial):
            self.visit_fixed(x, name, source, *how)
        else:
            self.visit_given(x, name, source)

    def visit_fixed(self, x: Any, name: str, source: str, *how: Any) -> None:
        """What is known by identity: guard that, then go on from the object itself."""
        if how or source.startswith(GIVEN):
            self.look("is", name, source, x, *how)
        if id(x) not in self.seen:
            self.seen[id(x)] = x
            self.inside(x, name, self.constant(x), True)

    def visit_given(self, x: Any, name: str, source: str) -> None:
        """What is known by class and contents."""
        self.look("class", name, source, type(x))
        if id(x) in self.given:  # one object in two places, or a circle: the same is needed again
            self.look("one", name, source, self.given[id(x)])
            return
        self.given[id(x)], self.seen[id(x)] = source, x
        self.inside(x, name, source, False)

    def inside(self, x: Any, name: str, source: str, fixed: bool) -> None:
        """What an object holds."""
        if isinstance(x, types.FunctionType):
            self.function(x, name, source)
        elif isinstance(x, types.MethodType):
            self.visit_fixed(x.__func__, name, source)
            self.visit_fixed(x.__self__, "self", source)
        elif isinstance(x, functools.partial):
            for part in (x.func, x.args, x.keywords):
                self.visit(part, name, self.constant(part), fixed=True)
        elif isinstance(x, types.ModuleType):
            if not is_foreign(x.__name__):
                self.attributes(x, vars(x), name, source, fixed, chosen=True)
        elif isinstance(x, type):
            self.methods(x, name)
            self.methods(type(x), name)
        elif isinstance(x, CACHES):
            self.visit_fixed(x.__wrapped__, name, source)
        elif isinstance(x, dict | types.MappingProxyType):
            self.look("keys", name, source, x)
            if isinstance(x, dict):
                self.containers.append(Container(x, dict(x), name, source))
            for key, value in x.items():
                key_source = repr(key) if type(key) in (str, int, bool) else self.constant(key)
                how = (x, key, "item" if isinstance(x, dict) else None)
                self.visit(value, f"{name}[{key!r}]", f"{source}[{key_source}]", *how, fixed=fixed)
            self.also_instance(x, name, source, fixed)
        elif isinstance(x, list | tuple) and len(x) > LONG and all(isinstance(part, SCALARS) for part in x):
            self.look("items", name, source, x)
        elif isinstance(x, list | tuple | deque):
            self.look("length", name, source, x)
            changes = () if isinstance(x, tuple) else ("item",)
            if changes:
                self.containers.append(Container(x, list(x), name, source))
            for i, value in enumerate(x):
                how = (x, i, *changes) if changes or not fixed else ()
                self.visit(value, f"{name}[{i}]", f"{source}[{i}]", *how, fixed=fixed)
            self.also_instance(x, name, source, fixed)
        elif isinstance(x, set | frozenset):
            self.look("same", name, source, x if isinstance(x, frozenset) else set(x))
        elif isinstance(x, types.CellType):
            self.cell(x, name, source)
        else:
            self.instance(x, name, source, fixed)

    def also_instance(self, x: Any, name: str, source: str, fixed: bool) -> None:
        """The attributes of a container, if it is of a class of the user's."""
        if not is_foreign(type(x).__module__):
            self.instance(x, name, source, fixed)

    def function(self, f: types.FunctionType, name: str, source: str) -> None:
        """A function of Python: its code, defaults, cells, and the globals that it loads."""
        foreign = is_foreign_code(f)
        if not foreign:
            self.look("is", f"the code of {name}", f"{source}.__code__", f.__code__, f, "__code__", None)
        for part in () if foreign else (f.__defaults__, f.__kwdefaults__):
            if part is not None:
                word = "__defaults__" if part is f.__defaults__ else "__kwdefaults__"
                self.visit(part, f"a default of {name}", f"{source}.{word}", f, word, None, fixed=True)
        space = {} if foreign else {key: value for key, value in f.__dict__.items() if key in self.names}
        for key, value in space.items():
            self.visit(value, f"{name}.{key}", f"{source}.__dict__[{key!r}]", f.__dict__, key, "item", fixed=True)
        for variable, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            self.cell(cell, variable, self.constant(cell), guarded=not foreign)
        if not foreign:
            loaded, attributes = names_in(f.__code__)
            self.names |= attributes
            if any(name in loaded and name not in f.__globals__ for name in UNNAMED):
                loaded |= {key for key, value in f.__globals__.items() if is_plain(key, value)}
            self.globals(f.__globals__, loaded)
            self.imports(f)

    def cell(self, cell: Any, name: str, source: str, guarded: bool = True) -> None:
        """What a closure holds; nothing where it is not yet assigned.  This library's own are never assigned again."""
        try:
            value = cell.cell_contents
        except ValueError:
            return
        if id(cell) not in self.seen:
            self.seen[id(cell)] = cell
            how = (cell, None, "cell") if guarded else ()
            self.visit(value, name, f"{source}.cell_contents", *how, fixed=True)

    def globals(self, space: dict[str, Any], loaded: frozenset[str]) -> None:
        """The globals of these names, each once."""
        for name in sorted(loaded):
            key = id(space), name
            if key in self.seen:  # type: ignore[comparison-overlap]
                continue
            self.seen[key] = space  # type: ignore[index]
            source = f"{self.constant(space)}[{name!r}]"
            if name in space:
                self.visit(space[name], name, source, space, name, "item", fixed=True)
            else:
                self.look("absent", name, f"{name!r} not in {source.partition('[')[0]}", None, space, name, "item")

    def imports(self, f: types.FunctionType) -> None:
        """The modules that a function imports when it runs."""
        for name in modules_in(f.__code__):
            for full in (name, f"{f.__globals__.get('__package__')}.{name}"):
                module = sys.modules.get(full)
                if module is not None and not is_foreign(full):
                    self.visit(module, name, f"modules.get({full!r})", sys.modules, full, "item", fixed=True)
                    break

    def methods(self, kind: type, name: str) -> None:
        """The functions and the values of a class of the user's that code names."""
        for owner in kind.__mro__:
            if is_foreign(owner.__module__) or id(owner) in self.classes:
                continue
            self.classes.add(id(owner))
            source = self.constant(owner)
            for key, value in list(vars(owner).items()):
                found = value.fget if isinstance(value, property) else getattr(value, "__func__", getattr(value, "func", value))
                if isinstance(found, types.FunctionType):
                    if key in self.names or (key.startswith("__") and key != "__init__") or key == "forward":
                        self.look("is", f"{owner.__name__}.{key}", f"{source}.__dict__[{key!r}]", value, owner, key, None)
                        if id(found) not in self.seen:
                            self.seen[id(found)] = found
                            self.function(found, f"{owner.__name__}.{key}", self.constant(found))
                elif key in self.names and not key.startswith("__"):
                    self.visit(value, f"{owner.__name__}.{key}", f"{source}.{key}", owner, key, None, fixed=True)

    def instance(self, x: Any, name: str, source: str, fixed: bool) -> None:
        """An object: its class, and its attributes: all of an object of this library's classes, else those that code names."""
        kind = type(x)
        self.methods(kind, kind.__name__)
        if isinstance(x, Primitive):
            return
        own = any(owner.__module__.startswith("arrayad.") for owner in kind.__mro__)
        if fixed and not is_foreign(kind.__module__):
            self.look("class", f"the class of {name}", source, kind)
        if isinstance(x, ACCESSORS):
            self.names |= {part for path in x.__reduce__()[1] if isinstance(path, str) for part in path.split(".")}
        wrapper = any(owner.__module__ == "collections" for owner in kind.__mro__)
        space = getattr(x, "__dict__", None)
        if isinstance(space, dict):
            self.attributes(x, space, name, source, fixed, chosen=not (own or wrapper))
        elif not fixed and is_foreign(kind.__module__) and not own:  # such as a date: equal to another, or not
            self.look("same", name, source, x)
        if not is_foreign(kind.__module__) or own:
            for key in (key for owner in kind.__mro__ for key in slots_of(owner)):
                if hasattr(x, key) and (own or key in self.names or self.reaches_all()):
                    self.visit(getattr(x, key), f"{name}.{key}", f"{source}.{key}", x, key, "attribute", fixed=fixed)

    def attributes(self, x: Any, space: dict[str, Any], name: str, source: str, fixed: bool, chosen: bool) -> None:
        """What an object's dict holds; only what code names, where `chosen`."""
        lifted = getattr(type(x), "lifted", ())
        is_module = isinstance(x, types.ModuleType)
        if not is_module:
            before = {key: value for key, value in space.items() if key not in lifted}
            self.containers.append(Container(space, before, name, f"{source}.__dict__", lifted))
        if not is_module and (not chosen or self.reaches_all()):  # what goes through all of them sees new ones too
            self.look("keys", f"the attributes of {name}", f"{source}.__dict__", space)
        skipped = getattr(type(x), "unwatched", ())
        only = getattr(type(x), "watched", None)
        for key, value in list(space.items()):
            if (
                key in skipped
                or (only is not None and key not in only)
                or (chosen and key not in self.names and (is_module or not self.reaches_all()))
            ):
                continue
            path = f"{name}.{key}"
            reads = f"{source}.{key}" if str(key).isidentifier() else f"{source}.__dict__[{key!r}]"
            if key in lifted:
                self.look("lifted", path, reads, value, x, key, "attribute")
            else:
                self.visit(value, path, reads, x, key, "attribute", fixed=fixed)
        if not is_module:
            self.class_values(x, space, name, source)

    def class_values(self, x: Any, space: dict[str, Any], name: str, source: str) -> None:
        """What an object has of its class, and what no attribute of its own may come to hide."""
        seen = set(space)
        for owner in type(x).__mro__:
            for key, value in vars(owner).items():
                if key in seen or key.startswith("__") or not (key in self.names or key == "forward"):
                    continue
                seen.add(key)
                if isinstance(value, SCALARS):
                    if not is_foreign(owner.__module__):
                        self.look("same", f"{name}.{key}", f"{source}.{key}", getattr(x, key))
                elif (key == "forward" or not is_foreign(owner.__module__)) and not hasattr(type(value), "__set__"):
                    self.look("absent", f"{name}.{key}", f"{key!r} not in {source}.__dict__", None)


def slots_of(owner: type) -> Iterator[str]:
    """The names in a class's `__slots__`, as they are stored."""
    slots = vars(owner).get("__slots__", ())
    for key in (slots,) if isinstance(slots, str) else slots:
        if key not in ("__dict__", "__weakref__"):
            yield f"_{owner.__name__.lstrip('_')}{key}" if key.startswith("__") and not key.endswith("__") else key

"""`Tensor`: a handle on an immutable value and on its history, and how it behaves in Python and in NumPy.

Operators and methods that compute are attached by the rows that declare them (`arrayad.namespace`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import OBJECT, array_in, of, plain
from arrayad.errors import AbstractValueError, DerivativeError, DTypeError, ShapeError, describe, user_line, user_stacklevel
from arrayad.modes import MODES, capturing, current_mode
from arrayad.shaped import Shaped, is_abstract
from arrayad.tape import LEAF, ONLY_LEAF, Entry, Leaf, Traced, next_serial, recorded, watchers

if TYPE_CHECKING:
    from arrayad.methods import Methods
else:
    Methods = object


INDEX, TRUTH, SHOWN = "an index", "bool()", "repr()"
"""What may be asked of a value in a trace that has values, for it is recorded as a guard, or only shown."""


class Gradient:
    """Where `backward` puts the gradient of a leaf: owned by the leaf's entry, so the entry needs no handle."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Tensor | None = None


class Tensor(Methods):
    """An n-dimensional array that remembers how it was computed.

    Made by `arrayad.tensor`, `arrayad.asarray` and by operations.  A value never changes: `x[i] = v` and `x += y` give
    the handle `x` a new value, and what was computed from the old one keeps the old one.  No Tensor aliases another: a
    slice is a value, not a view.  Tensors hash by identity and compare element by element.
    """

    __slots__ = ("__weakref__", "history", "value")

    value: Any
    history: Any
    __array_priority__ = 1000

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype of the elements."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.value.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.value.size

    @property
    def nbytes(self) -> int:
        """The bytes that the elements take."""
        return self.value.nbytes

    @property
    def device(self) -> str:
        """Always "cpu", as the array API standard asks."""
        return "cpu"

    # --- leaves and gradients -------------------------------------------------------------------------------------

    @property
    def is_leaf(self) -> bool:
        """Whether nothing that was recorded made this Tensor."""
        return self.history is None or is_watched(self)

    @property
    def requires_grad(self) -> bool:
        """Whether `backward()` from here, or from what is computed from here, reaches a leaf."""
        entry = recorded(self.history)
        return entry is not None and LEAF in entry.scopes

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if flag == self.requires_grad:
            return
        if not self.is_leaf:
            raise ValueError("[requires_grad] only a leaf can be switched; use detach() to cut a computed Tensor off")
        if flag:
            watch(self)
        else:
            self.history = None

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has added up here; None before, and for what is no leaf."""
        return gradient_of(recorded(self.history)).value if is_watched(self) else None

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is None and not is_watched(self):
            return
        if not is_watched(self):
            raise ValueError("[grad] only a leaf that requires grad holds a gradient")
        if gradient is not None and gradient.__class__ is not Tensor:
            gradient = handle(freeze(np.asarray(gradient)))
        if gradient is not None and gradient.dtype != self.dtype:
            gradient = gradient.astype(self.dtype)
        if gradient is not None and gradient.shape != self.shape:
            raise ValueError(f"[grad] the gradient is {describe(gradient)}, its leaf {describe(self)}; the shapes must agree")
        gradient_of(recorded(self.history)).value = gradient

    # --- out to NumPy and Python ----------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """A read-only view of the value; nothing is copied.  Under a running transform it warns once at that line."""
        return outgoing(self, "numpy()")

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"[item] a single element was needed, {describe(self)} came")
        return single(self, "item()").item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return outgoing(self, "tolist()").tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        value = outgoing(self, "np.asarray")
        if dtype is not None and np.dtype(dtype) != value.dtype:
            if copy is False:
                raise ValueError(f"[np.asarray] {describe(self)} cannot become {np.dtype(dtype)} without a copy")
            return value.astype(dtype)
        return value.copy() if copy else value

    def __float__(self) -> float:
        return float(real_single(self, "float()"))

    def __int__(self) -> int:
        return int(real_single(self, "int()"))

    def __complex__(self) -> complex:
        return complex(single(self, "complex()"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise DTypeError(f"[index] a 0-d integer was needed, {describe(self)} came")
        value = int(concrete(self, INDEX))
        observe(self, self == value)
        return value

    def __bool__(self) -> bool:
        truth = bool(single(self, TRUTH, warn=False))
        observe(self, handle(self.value, self.history), truth)
        return truth

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    # --- a sequence -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("[len] a 0-d Tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("[iter] a 0-d Tensor cannot be iterated over; use item()")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, element: Any) -> bool:
        return bool((array_in(concrete(self, "in")) == np.asarray(element)).any())

    __hash__ = object.__hash__

    # --- shown, copied, stored ------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if is_abstract(self.value):
            return f"Tensor({self.value!r}, abstract)"
        text = np.array2string(plain(array_in(self.value)), separator=", ", prefix="Tensor(", formatter=PRINTED)
        dtype = "" if self.dtype in (np.float64, np.int64, np.bool_) else f", dtype={self.dtype}"
        entry = recorded(self.history)
        if entry is None:
            return f"Tensor({text}{dtype})"
        name = "requires_grad=True" if is_watched(self) else f"by={entry.primitive.name if entry.primitive else 'input'}"
        return f"Tensor({text}{dtype}, {name})"

    def __copy__(self) -> Tensor:
        return handle(self.value, self.history)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied = self.__reduce__()[0](*self.__reduce__()[1])
        if self.grad is not None:
            copied.grad = self.grad.detach()
        memo[id(self)] = copied
        return copied

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        value = plain(array_in(concrete(self, "a copy")))
        if not self.is_leaf:
            entry = recorded(self.history)
            warnings.warn(
                f"a copy of a recorded Tensor drops its history (recorded by {entry.primitive if entry else 'forward mode'}); "
                "use detach() to say that this is meant",
                UserWarning,
                stacklevel=user_stacklevel(),
            )
        return restore, (value, is_watched(self))

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return NAMESPACE["arrayad"]


NAMESPACE: dict[str, Any] = {}
"""The package, put here by itself for `__array_namespace__`."""


tree.LEAVES.add(Tensor)

PRINTED: Any = {"object": str}
"""How elements are printed: numbers of mpmath's with the digits of the precision in force."""


def handle(value: Any, history: Any = None) -> Tensor:
    """A Tensor of this value and history.  There is no `__init__`, which would double the cost of making one."""
    tensor = Tensor()
    tensor.value = value
    tensor.history = history
    if MODES:
        capture = current_mode().capture
        if capture is not None:
            capture.created[id(tensor)] = tensor
    return tensor


def restore(value: np.ndarray[Any, Any], requires_grad: bool) -> Tensor:
    """The Tensor that pickle and deepcopy make."""
    tensor = handle(freeze(value))
    return watch(tensor) if requires_grad else tensor


def freeze(value: Any) -> Any:
    """The array itself if nobody can change it (read-only, memory its own), else a read-only copy; `Arbitrary` for objects."""
    if value.dtype is OBJECT:
        return of(value)
    if value.flags.writeable or not value.flags.owndata:
        value = value.copy()
        value.flags.writeable = False
    return value


def is_watched(tensor: Tensor) -> bool:
    """Whether this is a leaf that requires grad."""
    entry = recorded(tensor.history)
    return entry is not None and ((entry.primitive is None and entry.scopes is ONLY_LEAF) or entry.__class__ is Leaf)


def gradient_of(leaf: Any) -> Gradient:
    """Where the gradient of a watched leaf is, given the leaf's entry."""
    return leaf.gradient if leaf.__class__ is Leaf else leaf.params


def watch(tensor: Tensor) -> Tensor:
    """Make the Tensor a leaf that requires grad."""
    if tensor.dtype.kind not in "fcO":
        raise DTypeError(f"[requires_grad] only floating-point Tensors have gradients, {describe(tensor)} came; use astype")
    capture = capturing()
    if capture is not None and capture.sees(tensor):
        tensor.history = capture.leaf(tensor, Gradient())
        return tensor
    entry = input_entry(ONLY_LEAF)
    entry.params = Gradient()
    tensor.history = entry
    return tensor


def input_entry(scopes: frozenset[Any], kind: type[Entry] = Entry) -> Any:
    """An entry without a primitive."""
    entry = kind()
    entry.serial = next_serial()
    entry.primitive = entry.params = entry.avals = None
    entry.parents = entry.residuals = ()
    entry.scopes = scopes
    return entry


def tensors_in(data: Any) -> Iterator[Tensor]:
    """The Tensors among data, however deep they are nested in lists and tuples."""
    if data.__class__ is Tensor:
        yield data
    elif isinstance(data, list | tuple):
        for part in data:
            yield from tensors_in(part)


def concrete(tensor: Tensor, asked: str) -> Any:
    """The value, where there is one.

    **Raises** `AbstractValueError` under a trace that knows the shape and dtype only.
    """
    capture = capturing()
    if capture is not None:
        capture.refuse(tensor, asked)
    value = tensor.value
    if value.__class__ is Shaped:
        raise AbstractValueError(
            f"[{asked}] the value of {describe(value)} is not known while tracing by shapes, so this would bake in a constant; "
            "write where or cond instead of a branch (only trace, given values, follows one)"
        )
    return value


def observe(tensor: Tensor, condition: Tensor, truth: bool = True) -> None:
    """Record in a running trace that Python has followed what `condition` was: a guard."""
    entry = recorded(tensor.history)
    if isinstance(entry, Traced) and entry.trace.open:
        entry.trace.guards.append((condition, truth, user_line()))


def single(tensor: Tensor, asked: str, warn: bool = True) -> Any:
    """The value of a Tensor of one element, for Python's own conversions."""
    if tensor.size != 1:
        cure = "; use any() or all()" if asked == TRUTH else ""
        raise ValueError(f"[{asked}] a single element was needed, {describe(tensor)} came{cure}")
    value = concrete(tensor, asked)
    if warn:
        warn_of_constant(tensor, asked)
    return value.reshape(()) if tensor.ndim else value


def real_single(tensor: Tensor, asked: str) -> Any:
    """`single`, of a real number.

    **Raises** `DTypeError` for a complex one, as Python does.
    """
    if tensor.dtype.kind == "c":
        raise DTypeError(f"[{asked}] a real number was needed, {describe(tensor)} came; take real, imag or abs, or use complex()")
    return single(tensor, asked)


def outgoing(tensor: Tensor, asked: str) -> np.ndarray[Any, Any]:
    """A read-only view of the value, which keeps the buffer alive."""
    value = plain(array_in(concrete(tensor, asked)))
    warn_of_constant(tensor, asked)
    value.flags.writeable = False  # the value's own too, or a view's could be switched back
    return value.view()


def warn_of_constant(tensor: Tensor, asked: str) -> None:
    """Warn, once a line, when a value leaves a running transform, where it becomes a constant."""
    if tensor.history is None or current_mode().quiet:
        return
    if any(watcher.open and watcher is not LEAF for watcher in watchers(tensor.history)):
        warnings.warn(
            f"{asked} of a value inside a running transform gives a constant: no derivative passes through it "
            "(use detach() to say that this is meant)",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def rebind(tensor: Tensor, new: Tensor, name: str) -> Tensor:
    """Give the handle a new value and history: the in-place change of a library whose values never change.

    **Raises** `DerivativeError` for a leaf that requires grad outside `no_grad`, inside which it stays a leaf;
    `ShapeError` and `DTypeError` where the new value would not fit into the old one's array.
    """
    if new.shape != tensor.shape:
        raise ShapeError(f"[{name}] the result is {describe(new)}, which does not fit into {describe(tensor)}")
    if not np.can_cast(new.dtype, tensor.dtype, "same_kind"):
        raise DTypeError(f"[{name}] the result is {describe(new)}, which {describe(tensor)} cannot hold; use astype")
    if new.dtype != tensor.dtype:
        new = new.astype(tensor.dtype)
    if is_watched(tensor):
        if not current_mode().quiet:
            raise DerivativeError(
                f"[{name}] this is a leaf that requires grad: changing it would lose it as a leaf; "
                "do it inside no_grad(), or write x = x + y for a new Tensor"
            )
        tensor.value = new.value
    else:
        tensor.value, tensor.history = new.value, new.history
    return tensor

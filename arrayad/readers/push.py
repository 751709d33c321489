"""Push: tangents forwards along a run, the forward mode of differentiation.

A `Push` is a live reader: `bind` shows it each operation as it runs, it computes the tangent of the result and keeps
nothing else, so that a run of any length holds the tangents only of the values that are alive.  What it computes with,
it sees as those saw it who began before: without itself, readers inside it and recordings begun inside it.

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), section 3.1.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from arrayad.arbitrary import taken
from arrayad.errors import DerivativeError
from arrayad.primitive import Undefined
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.casting import astype, real
from arrayad.shaped import Bundle
from arrayad.tape import Key, Live, next_serial, recorded, seen_before
from arrayad.tensor import Tensor, handle


class Reader:
    """What live readers share: their age, whether they are open, and a weak map from the values they follow to what they know."""

    def __init__(self) -> None:
        self.serial = next_serial()
        self.open = True
        self.known: WeakKeyDictionary[Key, Any] = WeakKeyDictionary()

    def of(self, x: Any) -> Any:
        """What this reader knows of a value; None where it does not follow it.

        **Raises** `DerivativeError` where that is undefined.
        """
        fact = self.known.get(x.history.key) if x.__class__ is Tensor and x.history.__class__ is Live else None
        if fact.__class__ is Undefined:
            raise DerivativeError(fact.reason)
        return fact

    def watch(self, x: Tensor, fact: Any) -> Tensor:
        """A handle of its own on the value of `x`, which this reader follows from now on beside the older ones."""
        key, older = Key(), tuple[Any, ...]()
        if x.history.__class__ is Live:
            older = tuple(reader for reader in x.history.readers if reader.open)
            for reader in older:
                reader.known[key] = reader.of(x)
        self.known[key] = fact
        return handle(x.value, Live(recorded(x.history), key, (*older, self)))

    def outside(self, x: Any) -> Any:
        """A value as those see it who began before this reader."""
        return handle(x.value, seen_before(x.history, self.serial)) if x.__class__ is Tensor else x

    def operand(self, x: Any, out: Tensor) -> Any:
        """An operand as the rules take it: seen from outside, a Python number in the dtype that it took."""
        return self.outside(x) if x.__class__ is Tensor else handle(taken(x, out.value.dtype))

    def close(self) -> None:
        """Forget everything; values that outlive the reader are followed no longer."""
        self.open = False
        self.known.clear()


class Push(Reader):
    """The live reader of forward mode: what it knows of a value is its tangent."""

    def see(self, primitive: Any, operands: tuple[Any, ...], out: Tensor, params: dict[str, Any]) -> None:
        """Compute the tangent of an operation's result."""
        tangents = [self.of(x) for x in operands]
        if all(t is None for t in tangents):
            return
        t = primitive.jvp(tangents, self.outside(out), *(self.operand(x, out) for x in operands), **params)
        if t is not None:
            self.known[out.history.key] = like(t, out.value)


def like(t: Any, value: Any) -> Any:
    """A tangent broadcast and cast to the shape and dtype of its primal."""
    if t is None or t.__class__ is Undefined:
        return t
    if value.__class__ is Bundle:
        return Bundle(map(like, t, value))
    if t.__class__ is not Tensor:
        t = handle(t)
    if t.shape != value.shape:
        t = broadcast_to(t, shape=value.shape)
    if t.dtype == value.dtype:
        return t
    return astype(real(t) if t.dtype.kind == "c" and value.dtype.kind == "f" else t, dtype=value.dtype)

"""Entries, scopes, traces and tapes: what is recorded of a program, and who owns it.

An `Entry` is one recorded operation and the node of the graph at once.  It never points at the handle of its own
output, so there is no cycle: drop the outputs and their entries go, by reference counting alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from operator import attrgetter
from typing import Any

next_serial = count(1).__next__


class Scope:
    """A transform in progress, or a trace: what an entry may depend on.  Serials order scopes and entries by age."""

    __slots__ = ("open", "serial")

    def __init__(self, serial: int | None = None) -> None:
        self.serial = next_serial() if serial is None else serial
        self.open = True


LEAF = Scope(0)
"""Stands for a watched leaf: `backward()` may come at any time, so this scope never closes and is the oldest."""

ONLY_LEAF = frozenset((LEAF,))


class Trace(Scope):
    """A trace in progress.  Guards hang on it until they move to the tape."""

    __slots__ = ("guards",)

    def __init__(self) -> None:
        super().__init__()
        self.guards: list[tuple[Any, bool, str]] = []


class Unfollowed:
    """How often what is recorded went into an operation without a derivative: whether a zero gradient is to be expected."""

    count = 0


class Entry:
    """One recorded operation.  An entry without a primitive is an input: a leaf, or an input of a trace.

    `parents[i]` is the entry of operand i or None; `residuals` holds what the derivative needs: the operands in
    order, then the output, None where not kept; `avals` the operands' abstract values, None where each recorded
    operand has the output's shape and dtype.
    """

    __slots__ = ("avals", "params", "parents", "primitive", "residuals", "scopes", "serial")

    serial: int
    primitive: Any
    parents: tuple[Entry | None, ...]
    params: Any
    residuals: Any
    avals: Any
    scopes: frozenset[Scope]


class Located(Entry):
    """An entry that knows the user's line which recorded it."""

    __slots__ = ("location",)

    location: str


class Observed(Entry):
    """An entry with residuals that live readers follow: these are kept as Tensors, and rules see them as such."""

    __slots__ = ()


class Key:
    """What live readers know a value by.  Their maps hold it weakly, so what they know goes with the value."""

    __slots__ = ("__weakref__",)


class Live:
    """The history of a value that live readers follow: what was recorded of it, if anything, its key, the readers by age."""

    __slots__ = ("entry", "key", "readers")

    def __init__(self, entry: Entry | None, key: Key, readers: tuple[Any, ...]) -> None:
        self.entry = entry
        self.key = key
        self.readers = readers


def history_of(entry: Entry | None, key: Key, readers: tuple[Any, ...]) -> Any:
    """The history with these readers, which is the entry alone where there are none."""
    return Live(entry, key, readers) if readers else entry


def recorded(history: Any) -> Entry | None:
    """The entry in a history, if there is one."""
    return history.entry if history.__class__ is Live else history


def with_entry(history: Any, entry: Entry) -> Any:
    """The history with another entry: who follows the value live goes on doing so."""
    return Live(entry, history.key, history.readers) if history.__class__ is Live else entry


def watchers(history: Any) -> Iterable[Any]:
    """The scopes and the live readers that follow a value with this history."""
    entry, readers = (history.entry, history.readers) if history.__class__ is Live else (history, ())
    return readers if entry is None else (*entry.scopes, *readers)


class Traced(Located):
    """An entry of a trace: it keeps all its inputs, since replaying needs constants that residuals omit."""

    __slots__ = ("inputs", "output", "trace")

    inputs: tuple[Any, ...]
    output: Any
    trace: Trace


class Leaf(Traced):
    """A watched leaf inside a trace that lifted it: an input of the trace, or the identity of what was assigned to the leaf."""

    __slots__ = ("gradient",)

    gradient: Any


def merge(scopes: Iterable[frozenset[Scope]]) -> frozenset[Scope]:
    """The union of some sets of scopes, shared if they are one; closed scopes drop out."""
    first, *rest = scopes
    if all(other is first for other in rest):
        return first
    return frozenset(scope for scopes in (first, *rest) for scope in scopes if scope.open)


CREATE_GRAPH = 1 << 62
"""The age limit of a sweep whose whole work is recorded."""

BACKWARD = 0
"""The age limit of `backward()`: older than every scope but LEAF, which it is the sweep of."""


def is_asked_for(scopes: frozenset[Scope], limit: int) -> bool:
    """Whether an open scope older than `limit` depends on these; `BACKWARD` asks for any but LEAF itself."""
    if limit == CREATE_GRAPH:
        return True
    if limit == BACKWARD:
        return scopes is not ONLY_LEAF and any(scope.open and scope is not LEAF for scope in scopes)
    return any(scope.open and scope.serial < limit for scope in scopes)


def kept(entry: Entry | None, limit: int) -> Entry | None:
    """The entry if somebody older than `limit` asks for it, else None."""
    return entry if entry is not None and is_asked_for(entry.scopes, limit) else None


def seen_before(history: Any, serial: int) -> Any:
    """A history as those see it who began before `serial`: without younger readers and what is recorded only for younger ones."""
    if history.__class__ is not Live:
        return kept(history, serial)
    older = tuple(reader for reader in history.readers if reader.serial < serial and reader.open)
    return history_of(kept(history.entry, serial), history.key, older)


by_age = attrgetter("serial")


def collect(roots: Iterable[Entry | None], scope: Scope) -> list[Entry]:
    """The entries that depend on `scope` and that the roots depend on, oldest first.  No recursion."""
    seen: set[Entry] = set()
    order: list[Entry] = []
    stack = list(roots)
    while stack:
        entry = stack.pop()
        if entry is None or entry in seen or scope not in entry.scopes:
            continue
        seen.add(entry)
        order.append(entry)
        stack += entry.parents
    order.sort(key=by_age)
    return order

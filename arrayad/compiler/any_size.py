"""One executable for all sizes of named dimensions: tapes are traced for each, C is compiled for few."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from arrayad.compiler.dynamic import Family
from arrayad.compiler.executable import Executable, learn
from arrayad.compiler.lower import UnsupportedError
from arrayad.compiler.replaying import Broken
from arrayad.compiler.toolchain import toolchain
from arrayad.errors import ArrayadError
from arrayad.tracing import Tape

Sizes = Mapping[str, int]

KEPT = 64
"""How many sizes are remembered, the last ones."""


class DynamicError(ArrayadError, RuntimeError):
    """One executable does not do for all sizes; each has its own."""


def other_sizes(sizes: Sizes) -> Iterator[list[dict[str, int]]]:
    """Sizes at which to learn which numbers vary, to be tried one list after the other.

    First each dimension has lengths of its own; then those that are equal stay so; last, all are multiplied.
    """
    each = {name: i for i, name in enumerate(sizes)}
    equal = {name: list(dict.fromkeys(sizes.values())).index(n) for name, n in sizes.items()}
    for rank in (each, equal):
        yield [
            {name: n + 1 + rank[name] for name, n in sizes.items()},
            {name: n + n // 2 + 3 + 2 * rank[name] for name, n in sizes.items()},
            {name: 2 * n + 5 + 4 * rank[name] for name, n in sizes.items()},
        ]
    yield [{name: factor * n for name, n in sizes.items()} for factor in (2, 3)]


class AnySize:
    """The executable of a function for all sizes: one family of programs, and a table of numbers for each size.

    **Raises** `DynamicError` where the function is another at other sizes, or takes none, or is not C's; at a call, `Broken`
    where the tape of its size takes other inputs.
    """

    def __init__(self, make_tape: Callable[[Sizes], Tape], sizes: Sizes) -> None:
        self.make_tape = make_tape
        self.family = Family()
        self.lock = threading.RLock()
        self.runs: dict[tuple[Any, ...], Executable | None] = {}
        first = make_tape(sizes)
        tried = [(sizes, first), *self.tried(sizes)]
        if len(tried) == 1:
            raise DynamicError("[compile] the function takes no other sizes")
        self.places = {name: place_of(name, tried) for name in sizes}
        try:
            for _, tape in tried[1:]:
                learn(tape, self.family)
            self.first = self.runs[shapes_of(first)] = Executable(first, {}, self.family)
        except UnsupportedError as error:
            raise DynamicError(f"[compile] {error}") from error

    def tried(self, sizes: Sizes) -> list[tuple[Sizes, Tape]]:
        """Tapes of a few other sizes."""
        for others in other_sizes(sizes):
            found: list[tuple[Sizes, Tape]] = []
            try:
                for other in others:
                    found.append((other, self.make_tape(other)))
            except DynamicError:
                raise
            except Exception:  # the function's own: it does not take such sizes
                continue
            return found
        return []

    def __call__(self, values: list[Any], donate: frozenset[int] = frozenset()) -> list[Any]:
        key = tuple([x.shape for x in values])
        try:
            run = self.runs[key]
        except KeyError:
            run = self.add(key)
        if run is None:
            raise Broken(0)
        return run(values)

    def add(self, key: tuple[Any, ...]) -> Executable | None:
        """The executable of another size; None where the function is another there."""
        with self.lock:
            if key not in self.runs:
                sizes = {name: key[i][axis] for name, (i, axis) in self.places.items()}
                try:
                    tape = self.make_tape(sizes)
                    self.runs[key] = Executable(tape, {}, self.family) if shapes_of(tape) == key else None
                except (DynamicError, UnsupportedError):
                    self.runs[key] = None
                for old in list(self.runs)[:-KEPT]:
                    del self.runs[old]
            return self.runs[key]


def shapes_of(tape: Tape) -> tuple[tuple[int, ...], ...]:
    """The shapes of a tape's inputs."""
    return tuple(x.output.shape for x in tape.inputs)


def place_of(name: str, tried: list[tuple[Sizes, Tape]]) -> tuple[int, int]:
    """The input, and its axis, from which the length of a dimension is seen.

    **Raises** `DynamicError` where there is none, or the inputs are not alike at all sizes.
    """
    kinds = [[(x.output.dtype, len(x.output.shape)) for x in tape.inputs] for _, tape in tried]
    if any(kind != kinds[0] for kind in kinds):
        raise DynamicError("[compile] the function reads something else at other sizes")
    for i, (_, ndim) in enumerate(kinds[0]):
        for axis in range(ndim):
            if all(tape.inputs[i].output.shape[axis] == sizes[name] for sizes, tape in tried):
                return i, axis
    raise DynamicError(f"[compile] no input shows the length of {name}")


def any_size(make_tape: Callable[[Sizes], Tape], sizes: Sizes) -> AnySize:
    """The executable for all sizes.

    **Raises** `DynamicError` where each size has its own, as where there is no compiler.
    """
    if toolchain() is None:
        raise DynamicError("[compile] there is no C compiler")
    return AnySize(make_tape, sizes)

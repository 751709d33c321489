"""Suspects: the entries of a tape whose own derivative is wrong, each checked at its recorded operands against its own kernel.

Where the entry holds programs, as a loop or a branch does, the search goes on inside: its kernel runs once more, and the
operations of each program are checked at the values that came by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayad.binding import bind
from arrayad.control.program import Program
from arrayad.primitives.picking import outputs
from arrayad.readers.replay import evaluate
from arrayad.readers.run import Runner
from arrayad.readers.show import formula, names_of
from arrayad.shaped import Bundle, is_weak
from arrayad.tape import by_age
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, aval_of, is_member
from arrayad.verification.comparison import Comparison, Finding
from arrayad.verification.oracles import strongest
from arrayad.verification.place import Direction, Place, is_smooth
from arrayad.verification.rounding import Noise

UNITS = 6
"""Operands of up to so many elements are moved element by element, larger ones along random directions."""

RANDOM = 3

VISITS = 8
"""Of the runs of a loop's body so many are looked at, the first and the last among them."""

LONGEST = 60
"""A formula of more characters is shortened to the operation's name and operands."""


@dataclass(frozen=True)
class Suspect:
    """An entry of the tape whose own derivative is wrong at its recorded operands.

    `entry` is its line on the tape, and in which loops and branches it stands; `row` the primitive's name, `location` the user's
    line; `finding` its worst number beside what `oracle` makes of the values of its kernel.
    """

    entry: str
    row: str
    location: str
    finding: Finding
    oracle: str

    def __str__(self) -> str:
        found = self.finding
        rule = {"forward": "JVP", "reverse": "VJP"}[found.mode]
        return (
            f"{self.entry}, at {self.location}: its {rule} by {found.argument} gives {number(found.derivative)}, "
            f"its own values {number(found.reference)} ({self.oracle})"
        )


class Watched(Program):
    """A program that notes the operands of each of its runs."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.tape, program.primal)
        self.derived = program.derived
        self.seen: list[list[Any]] = []

    @property
    def run(self) -> Runner:
        quick = self.quick

        def noted(values: list[Any]) -> list[Any]:
            self.seen.append(list(values))
            return quick(values)

        return noted


def suspects(tape: Tape, values: Sequence[Any], rng: np.random.Generator, modes: Sequence[str]) -> list[Suspect]:
    """The entries whose derivatives are wrong, in the order in which they ran, those inside a loop's body in its place.

    Entries of one kind (operation, parameters, shapes) are looked at once first, and all of them only where none of these is
    to blame.
    """
    return list(searched(tape, [handle(x) for x in values], (), rng, modes))


def searched(
    tape: Tape, operands: list[Any], above: tuple[Any, ...], rng: np.random.Generator, modes: Sequence[str]
) -> Iterator[Suspect]:
    """The suspects on a tape, run on some operands, that stands inside some entries' texts."""
    with np.errstate(all="ignore"):
        values = evaluate(tape, operands)
    names = names_of(tape)
    kinds: dict[Any, list[Any]] = {}
    for entry in tape.entries:
        kinds.setdefault(kind_of(entry), []).append(entry)
    rounds = [[entries[0] for entries in kinds.values()], [entry for entries in kinds.values() for entry in entries[1:]]]
    for chosen in rounds:
        found = []
        for entry in sorted(chosen, key=by_age):
            xs = [values[x.history] if is_member(x, tape) else x for x in entry.inputs]
            found += accused(entry, xs, [is_member(x, tape) for x in entry.inputs], text(entry, names, tape), above, rng, modes)
        if found:
            yield from found
            return


def accused(
    entry: Any,
    xs: list[Any],
    members: list[bool],
    line: str,
    above: tuple[Any, ...],
    rng: np.random.Generator,
    modes: Sequence[str],
) -> list[Suspect]:
    """The entry, if its derivative is wrong, or those of its programs that make it so."""
    finding, oracle = worst(entry, xs, members, rng, modes)
    if finding is None:
        return []
    within = list(inside(entry, xs, (line, *above), rng, modes))
    return within or [Suspect(", in ".join((line, *above)), str(entry.primitive), entry.location, finding, oracle)]


def worst(
    entry: Any, xs: list[Any], members: list[bool], rng: np.random.Generator, modes: Sequence[str]
) -> tuple[Finding | None, str]:
    """The number of an entry's derivative that is furthest off, if any is wrong, and how that was measured."""
    moving = [i for i, x in enumerate(xs) if members[i] and is_smooth(x.value) and x.value.__class__ is not Bundle and x.size]
    if not moving:
        return None, ""
    place = Place(alone(entry, xs, moving), [xs[i].value for i in moving], operand_words(entry, moving))
    if not place.size:
        return None, ""
    noise = Noise(place, place.tape(), rng)
    oracle, _ = strongest(place, rng, eps=noise.eps)
    if oracle is None:
        return None, ""
    comparison = Comparison(place, oracle, noise, modes, rng)
    wrong = [
        finding
        for leaf in range(len(moving))
        for direction in directions(place, leaf, rng)
        for finding in comparison.along(direction)
        if finding.state == "wrong"
    ]
    return min(wrong, key=lambda finding: finding.digits - finding.expected, default=None), oracle.name


def alone(entry: Any, xs: list[Any], moving: list[int]) -> Callable[..., list[Tensor]]:
    """An entry's operation as a function of some of its operands."""

    def function(*given: Tensor) -> list[Tensor]:
        full = list(xs)
        for i, x in zip(moving, given, strict=True):
            full[i] = x
        y = bind(entry.primitive, tuple(full), entry.params)
        found = outputs(y) if y.value.__class__ is Bundle else (y,)
        return [part for part in found if part.dtype.kind in "fcO"]

    return function


def operand_words(entry: Any, moving: list[int]) -> list[str]:
    """The names of some operands."""
    names = entry.primitive.operand_names(len(entry.inputs))
    return [names[i] for i in moving]


def directions(place: Place, leaf: int, rng: np.random.Generator) -> list[Direction]:
    """Where an operand is moved to."""
    if place.leaves[leaf].size <= UNITS:
        return list(place.units(leaf))
    return [place.random(leaf, rng) for _ in range(RANDOM)]


def inside(
    entry: Any, xs: list[Any], above: tuple[Any, ...], rng: np.random.Generator, modes: Sequence[str]
) -> Iterator[Suspect]:
    """The suspects in the programs that an entry holds, at values that came by as it ran."""
    watched: list[Watched] = []

    def watch(x: Any) -> Any:
        if isinstance(x, Program):
            watched.append(Watched(x))
            return watched[-1]
        return tuple(map(watch, x)) if x.__class__ is tuple else x

    params = {name: watch(x) for name, x in entry.params.items()}
    if not watched:
        return
    with np.errstate(all="ignore"):
        entry.primitive.compute(*(x.value if x.__class__ is Tensor else x for x in xs), **params)
    for program in watched:
        for step in chosen(len(program.seen)):
            count = len(program.seen)
            place = (f"run {step + 1} of {count} of {above[0]}" if count > 1 else above[0], *above[1:])
            found = list(searched(program.tape, list(map(handle, program.seen[step])), place, rng, modes))
            if found:
                yield from found
                break


def chosen(count: int) -> list[int]:
    """Some of the runs of a program, evenly spread."""
    return sorted({round(k * (count - 1) / max(VISITS - 1, 1)) for k in range(VISITS)}) if count > VISITS else list(range(count))


def kind_of(entry: Any) -> Any:
    """What entries that are checked alike have in common."""
    avals = tuple(x if is_weak(x) else repr(aval_of(x)) for x in entry.inputs)
    return entry.primitive, repr(sorted(entry.params.items(), key=lambda pair: pair[0])), avals


def text(entry: Any, names: dict[Any, str], tape: Tape) -> str:
    """`w3 = sin(w2)`."""
    written = formula(entry, names, tape)
    if len(written) > LONGEST:
        written = f"{entry.primitive}({', '.join(names[x.history] if is_member(x, tape) else '…' for x in entry.inputs)})"
    return f"{names[entry]} = {written}"


def number(x: Any) -> str:
    """A number with the digits of its own dtype, one of mpmath's with those of a float."""
    if isinstance(x, complex | np.complexfloating):
        return f"{complex(x):.12g}"
    return f"{float(x):.12g}" if not isinstance(x, np.floating) else str(x)

"""`check`, the method of functions with a derivative by hand: the rule beside the three other ways to a derivative."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.custom import Custom
from arrayad.elementwise import Elementwise
from arrayad.errors import DerivativeError
from arrayad.symbolic import expression
from arrayad.tensor import Tensor, handle
from arrayad.verification.comparison import Comparison, Finding
from arrayad.verification.oracles import Measured, Oracle, strongest
from arrayad.verification.place import Direction, Place, flat, is_smooth, place_of, sizes, value_of
from arrayad.verification.report import sentence, shortened
from arrayad.verification.rounding import MARGIN, SAMPLES, Noise, traced

ELEMENTS = 100
"""Arguments of up to so many elements are checked one by one, larger ones along random directions."""

SAMPLED = 8

LOST = r"\w+\(\) of a value inside a running transform gives a constant"
"""How the warning begins that a value leaves a transform, where that loses a derivative."""

ATTEMPTS = 10
"""So often a random point is drawn anew where the function has no finite value."""


@dataclass(frozen=True)
class Way:
    """A way to the derivative that the rule was held against: what agrees, what does not, or why it cannot be gone.

    `wrong` lists the numbers that are, each at the place of the same position in `at`, an index into the check's `places`.
    """

    name: str
    how: str
    refusal: str | None
    count: int
    undecided: int
    digits: float
    wrong: tuple[Finding, ...]
    at: tuple[int, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing disagrees."""
        return not self.wrong

    def __str__(self) -> str:
        if self.refusal is not None and not self.count:
            return f"  {self.name:<14}cannot: {self.refusal}"
        left = f", {self.undecided} undecided" if self.undecided else ""
        verdict = f"{len(self.wrong)} of {self.count} numbers wrong"
        if self.ok:
            verdict = f"{self.count} numbers agree to {self.digits:.1f} digits"
        return f"  {self.name:<14}{verdict}{left} ({self.how})"


@dataclass(frozen=True)
class Check:
    """A rule by hand beside the three other ways.  True, as a truth value, where nothing disagrees and something agrees.

    `numerical`, `symbolic`, `automatic`: what each way said, a `Way`; `places`: the arguments that it was asked at.  `str()` is
    the report.
    """

    name: str
    places: tuple[Any, ...]
    numerical: Way
    symbolic: Way
    automatic: Way

    @property
    def ways(self) -> tuple[Way, ...]:
        """The three ways."""
        return self.numerical, self.symbolic, self.automatic

    @property
    def ok(self) -> bool:
        """Whether nothing disagrees, and something agrees."""
        return all(way.ok for way in self.ways) and any(way.count for way in self.ways)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        count = len(self.places)
        verdict = "is right" if self.ok else "is wrong" if not all(way.ok for way in self.ways) else "could not be checked"
        lines = [
            f"{self.name}: the derivative by hand {verdict} at {count} point{'s' if count > 1 else ''}",
            *map(str, self.ways),
        ]
        for way in self.ways:
            texts = [
                f"wrong: {sentence(finding)}{f', at places[{k}]' if count > 1 else ''}"
                for k, finding in zip(way.at, way.wrong, strict=True)
            ]
            if texts:
                return "\n".join([*lines, *shortened(texts)])
        return "\n".join(lines)


def check(self: Custom, *args: Any, points: int = 0, seed: int = 0) -> Check:
    """Hold the derivative by hand against the three other ways: numerical, symbolic, automatic.

    Both modes of the rule, number by number: against the strongest differences that apply to the values of the function, against
    the derivative of its formula, and against what automatic differentiation makes of its operations.

    **Parameters** `args`: where to check; `points`: at how many random points about there besides, each element within half its
    own size (of a zero, within ½); where the function has no finite value another is drawn.  `seed`: of what is drawn.

    **Returns** a `Check`, true where all ways agree, whose `str()` names the argument and the element that is wrong with both
    numbers, and says why a way cannot be gone.

    **Raises** `DTypeError` without floating-point arguments; what the rule itself raises.

    **Example**

    >>> import arrayad as ad
    >>> f = ad.manual(lambda x, y: ad.sin(x) * y, lambda x, y: (ad.cos(x) * y, ad.cos(x)))  # the second should be sin(x)
    >>> found = f.check(0.5, 3.0)
    >>> found.ok, found.numerical.wrong[0].argument
    (False, 'y')
    """
    rng = np.random.default_rng(seed)
    notes: dict[str, list[Any]] = {name: [] for name in WAYS}
    places = [args, *(moved for _ in range(points) if (moved := drawn(self.function, args, rng)) is not None)]
    for point in places:
        ruled, _, _ = place_of("check", self, point, {})
        bare, _, _ = place_of("check", self.function, point, {})
        for name, prepare in WAYS.items():
            notes[name].append(compared(ruled, bare, prepare, rng))
    return Check(self.name, tuple(places), *(gathered(name, found) for name, found in notes.items()))


def drawn(function: Callable[..., Any], args: Sequence[Any], rng: np.random.Generator) -> tuple[Any, ...] | None:
    """Arguments at random about some, where the function's value is finite; None where none was found."""
    leaves, structure = tree.flatten(tuple(args))
    for _ in range(ATTEMPTS):
        found = [about(value_of(x), rng) if is_smooth(value_of(x)) else x for x in leaves]
        moved: tuple[Any, ...] = tree.unflatten(structure, found)
        try:
            with np.errstate(all="ignore"):
                place, _, _ = place_of("check", function, moved, {})
        except (ArithmeticError, ValueError):  # as Python's own functions say where they have no value
            continue
        if np.all(np.isfinite(sizes(place.base))):
            return moved
    return None


def about(x: Any, rng: np.random.Generator) -> Tensor:
    """A value at random about one."""
    share = rng.uniform(-0.5, 0.5, x.shape)
    value = handle(x)
    zero = np.asarray(flat([value]) == 0, bool).reshape(x.shape)
    return value * (1.0 + np.where(zero, 0.0, share)) + np.where(zero, share, 0.0).astype(
        x.dtype if x.dtype.kind != "O" else float
    )


# --- the ways ----------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """Why a way cannot be gone."""


def numerical(place: Place, rng: np.random.Generator) -> Oracle:
    """The strongest differences that apply."""
    oracle, refusals = strongest(place, rng)
    if oracle is None:
        raise Refused("; ".join(refusals))
    return oracle


class Symbolic(Oracle):
    """The derivative of the function's formula: of a number that stands for every element, or of a few elements each."""

    name = "symbolic"
    words = "the derivative of its formula"

    def __init__(self, place: Place, rng: np.random.Generator) -> None:
        super().__init__(place)
        self.alike = all(isinstance(entry.primitive, Elementwise) for entry in place.tape().entries)
        size = sum(x.size for x in place.leaves)
        if not self.alike and size > ELEMENTS:
            raise Refused(f"a formula of {size:,} elements is too long; {ELEMENTS} are written out at most")
        names = [f"x{i + 1}" for i in range(len(place.leaves))]

        def function(*xs: Any) -> Any:
            return tuple(place.function(*xs))

        formula = expression(function, *names, shapes=None if self.alike else [x.shape for x in place.leaves])
        self.derivatives = [formula.diff(name) for name in formula.names]
        self.ends = np.cumsum([1 if self.alike else x.size for x in place.leaves]).tolist()

    def along(self, direction: Direction) -> Measured:
        first, last = [0, *self.ends][direction.leaf], self.ends[direction.leaf]
        tangents = [direction.tangent] if self.alike else direction.tangent.ravel()
        with np.errstate(all="ignore"):
            terms = [
                self.slope(derivative, tangent)
                for derivative, tangent in zip(self.derivatives[first:last], tangents, strict=True)
                if np.any(tangent)
            ]
        value = sum(terms[1:], terms[0])
        return Measured(value, np.zeros(value.shape), np.zeros(value.shape, bool))

    def slope(self, derivative: Any, tangent: Any) -> np.ndarray[Any, Any]:
        """The results' tangents, one behind the other."""
        slopes = tree.leaves(derivative(*map(handle, self.place.leaves)))
        parts = [
            np.broadcast_to(np.asarray(slope.value) * tangent, shape).ravel()
            for slope, (shape, _) in zip(slopes, self.place.avals, strict=True)
        ]
        return np.concatenate(parts)


class Automatic(Oracle):
    """Forward mode through the function's own operations."""

    name = "automatic"
    words = "forward mode through its operations"

    def __init__(self, place: Place, rng: np.random.Generator) -> None:
        super().__init__(place)
        noise = Noise(place, traced(place)[0], rng)
        self.noise, self.noisy = noise, [noise.function() for _ in range(SAMPLES)]

    def along(self, direction: Direction) -> Measured:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = self.place.pushed(direction)
        if lost := [w for w in caught if re.search(LOST, str(w.message))]:
            raise Refused(f"at {lost[0].filename}:{lost[0].lineno} {lost[0].message}")
        spread = self.noise.spread([self.place.pushed(direction, function) for function in self.noisy], value)
        return Measured(value, MARGIN * spread, np.zeros(value.shape, bool))


WAYS: dict[str, Callable[[Place, np.random.Generator], Oracle]] = {
    "numerical": numerical,
    "symbolic": Symbolic,
    "automatic": Automatic,
}


def compared(
    ruled: Place, bare: Place, prepare: Callable[[Place, np.random.Generator], Oracle], rng: np.random.Generator
) -> tuple[Oracle | None, list[Finding], str | None]:
    """What one way says of a rule at a place: the oracle and the findings, or why it cannot be gone."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", LOST, UserWarning)
            oracle = prepare(bare, rng)
            directions = directions_of(bare, rng)
            measured = {id(direction): (direction, oracle.along(direction)) for direction in directions}
    except Exception as error:  # what a user's function raises on operands of another kind may be anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return None, [], reason if isinstance(error, Refused | DerivativeError) else f"{type(error).__name__}: {reason}"
    comparison = Comparison(ruled, oracle, Noise(ruled, traced(ruled)[0], rng), ("reverse", "forward"), rng)
    comparison.known.update(measured)
    return oracle, [finding for direction in directions for finding in comparison.along(direction)], None


def directions_of(place: Place, rng: np.random.Generator) -> list[Direction]:
    """The directions along which a rule is checked."""
    found: list[Direction] = []
    for leaf, x in enumerate(place.leaves):
        found += place.units(leaf) if x.size <= ELEMENTS else [place.random(leaf, rng) for _ in range(SAMPLED)]
    return found


def gathered(name: str, notes: list[tuple[Oracle | None, list[Finding], str | None]]) -> Way:
    """What a way said at all points."""
    findings = [finding for _, found, _ in notes for finding in found]
    decided = [finding for finding in findings if finding.state in ("right", "wrong")]
    wrong = [(k, finding) for k, (_, found, _) in enumerate(notes) for finding in found if finding.state == "wrong"]
    refusals = [reason for _, _, reason in notes if reason is not None]
    return Way(
        name,
        next((oracle.words for oracle, _, _ in notes if oracle is not None), ""),
        refusals[0] if refusals else None,
        len(decided),
        len(findings) - len(decided),
        min((finding.digits for finding in decided), default=0.0),
        tuple(finding for _, finding in wrong),
        tuple(k for k, _ in wrong),
    )


Custom.check = check

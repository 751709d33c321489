"""`verify`: is this gradient right?"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import arbitrary, tree
from arrayad.errors import DerivativeError, describe
from arrayad.readers.cost import program_cost
from arrayad.tensor import handle
from arrayad.tracing import Tape
from arrayad.verification.comparison import Comparison, Finding, apart, paired
from arrayad.verification.oracles import HighPrecision, Oracle, strongest
from arrayad.verification.place import Direction, Place, flat, place_of, sizes
from arrayad.verification.report import Input, Verification
from arrayad.verification.rounding import Noise, rerun, traced
from arrayad.verification.suspects import suspects

MODES = ("reverse", "forward")

ELEMENTS = 100
"""Arguments of up to so many elements are checked one by one."""

SAMPLED = 8
"""Along so many random directions larger ones are."""


def verify(
    f: Callable[..., Any],
    *,
    modes: Sequence[str] = MODES,
    digits: float | None = None,
    oracle: str | None = None,
    elements: int = ELEMENTS,
    directions: int = SAMPLED,
    seed: int = 0,
) -> Callable[..., Verification]:
    """The function that tells whether the derivatives of `f` at its arguments are right, and where they go wrong.

    Each derivative ∂f[i…] / ∂x[j…], in both modes, is held against the strongest oracle that applies, none of which knows a
    derivative rule: differences in 150 digits; the complex step; extrapolated differences in floats.  If one is wrong, each
    operation on the tape has its own rules checked at the values recorded, against differences of its own kernel alone, in loops
    and branches too.

    **Parameters** `f`: a function of trees of arrays that returns a tree of arrays; what is no floating-point array is passed on.
    `modes`: which of "reverse" and "forward".  `digits`: how many must agree; None takes what rounding leaves: the program runs
    again with noise on every value, which tells how much it amplifies, and `dtype` and that tell the digits.  `oracle`: "high
    precision", "complex step" or "differences" alone; None for the strongest.  `elements`: larger arguments are moved along so
    many random `directions` instead of element by element, and an element that is wrong is then looked for.  `seed`: of what is
    drawn.

    **Returns** a `Verification`, true where the derivative is right, whose `str()` is the report.

    **Raises** `DTypeError` without floating-point arguments or results; `DerivativeError` for a function that gives different
    values at the same arguments; `ValueError` for another mode or oracle.

    **Kinks** where the function has no derivative there is nothing to compare; such elements are reported as undecided.

    **Source** Squire & Trapp, SIAM Review 40 (1998), for the complex step.

    **Example**

    >>> import arrayad as ad
    >>> @ad.custom_vjp
    ... def square(x):
    ...     return x * x
    >>> square.defvjp(lambda x: (x * x, x), lambda x, ct: (ct * x,))  # the factor 2 is missing
    >>> bool(ad.verify(lambda x: ad.sin(x * x + 1))(0.5))
    True
    >>> found = ad.verify(lambda x: ad.sin(square(x) + 1))(0.5)
    >>> found.ok, found.suspect.entry
    (False, 'w1 = custom(w0, call=square)')
    """
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise ValueError(f'[verify] modes are {unknown}; each must be "reverse" or "forward"')
    chosen = tuple(modes)

    @functools.wraps(f)
    def verified(*args: Any, **kwargs: Any) -> Verification:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            place, smooth, structure = place_of("verify", f, args, kwargs)
            search = Search(place, chosen, digits, oracle, elements, directions, np.random.default_rng(seed))
            search.run()
        name = getattr(f, "__name__", type(f).__name__)
        leaks = [f"note: {w.message}, at {w.filename}:{w.lineno}" for w in caught if "gives a constant" in str(w.message)]
        return search.report(name, smooth, structure, list(dict.fromkeys(leaks)))

    return verified


class Search:
    """The verification of one place."""

    def __init__(
        self,
        place: Place,
        modes: tuple[str, ...],
        digits: float | None,
        oracle: str | None,
        elements: int,
        directions: int,
        rng: np.random.Generator,
    ) -> None:
        self.place, self.modes, self.digits, self.rng = place, modes, digits, rng
        self.elements, self.directions = elements, directions
        self.check_repeatable()
        self.tape, self.notes = traced(place)
        self.noise = Noise(place, self.tape, rng)
        work = program_cost(self.tape).flops if self.tape is not None else 0.0
        found, self.refusals = strongest(place, rng, oracle, work, self.noise.eps)
        if found is None:
            raise DerivativeError(f"[verify] no oracle applies: {'; '.join(self.refusals)}")
        self.oracle: Oracle = found
        self.comparison = Comparison(place, self.oracle, self.noise, modes, rng, digits)
        self.findings: list[list[Finding]] = [[] for _ in place.leaves]
        self.suspects: list[Any] = []
        self.exact: float | None = None

    def check_repeatable(self) -> None:
        again = self.place.vector(self.place.leaves)
        with np.errstate(all="ignore"):
            if again.shape != self.place.base.shape or not np.all((again == self.place.base) | (again != again)):
                raise DerivativeError(
                    "[verify] the function gives different values at the same arguments, so that nothing can be compared; "
                    "fix the state of its random numbers"
                )

    def run(self) -> None:
        """Compare, and look for suspects where something is wrong."""
        for leaf, x in enumerate(self.place.leaves):
            if x.size <= self.elements:
                for direction in self.place.units(leaf):
                    self.findings[leaf] += self.comparison.along(direction)
            else:
                self.sample(leaf)
        if self.wrong and self.tape is not None:
            self.suspects = suspects(self.tape, self.place.leaves, self.rng, self.modes)
            if not self.suspects and (note := departure(self.place, self.tape, self.rng)):
                self.notes.append(note)
        self.exact = self.exactly() if "reverse" in self.modes and self.oracle.__class__ is HighPrecision else None

    @property
    def wrong(self) -> list[Finding]:
        """What is wrong, the furthest first."""
        found = [finding for findings in self.findings for finding in findings if finding.state == "wrong"]
        return sorted(found, key=lambda finding: finding.digits - finding.expected)

    def sample(self, leaf: int) -> None:
        """Compare along random directions, and look for an element that is wrong where one of these is."""
        for _ in range(self.directions):
            direction = self.place.random(leaf, self.rng)
            found = list(self.comparison.along(direction))
            self.findings[leaf] += found
            if any(finding.state == "wrong" for finding in found):
                self.findings[leaf] += self.narrowed(direction)
                return

    def narrowed(self, direction: Direction) -> list[Finding]:
        """The findings at one element of a direction along which the derivative is wrong, found by halving."""
        places = np.flatnonzero(direction.tangent.ravel())
        while len(places) > 1:
            half = places[: len(places) // 2]
            tangent = np.zeros(direction.tangent.size, direction.tangent.dtype)
            tangent[half] = direction.tangent.ravel()[half]
            part = Direction(direction.leaf, None, tangent.reshape(direction.tangent.shape))
            is_wrong = any(finding.state == "wrong" for finding in self.comparison.along(part))
            places = half if is_wrong else places[len(places) // 2 :]
        index = tuple(int(k) for k in np.unravel_index(int(places[0]), direction.tangent.shape))
        return [finding for unit in self.place.unit(direction.leaf, index) for finding in self.comparison.along(unit)]

    def exactly(self) -> float | None:
        """The digits of the same rules in arbitrary precision, by reverse mode along what was looked at."""
        assert isinstance(self.oracle, HighPrecision)
        decided = [finding for findings in self.findings for finding in findings if finding.state in ("right", "wrong")]
        directions = list({id(finding.direction): finding.direction for finding in decided}.values())
        if not directions or self.comparison.combined:
            return None
        try:
            with arbitrary.context().workdps(self.oracle.run.working):
                fine = Place(self.place.function, [arbitrary.of(x) for x in self.place.leaves], self.place.names)
                rows = fine.pulled(self.comparison.cts)
                least = float(self.oracle.run.share)
                for direction in directions[: self.elements]:
                    measured, found = self.comparison.measured(direction), paired(rows, direction)
                    with np.errstate(all="ignore"):
                        size, off = sizes(measured.value), apart(found, measured.value)
                        agreed = -np.log10(off / np.where(size > measured.error, size, 1.0))
                    counted = agreed[~measured.kink & np.isfinite(size) & (off > measured.error) & ~np.isnan(agreed)]
                    least = min(least, float(np.min(counted, initial=least)))
                return max(least, 0.0)
        except Exception:  # rules that are written for floats alone say nothing here
            return None

    # --- the report ---------------------------------------------------------------------------------------------------

    def report(self, name: str, smooth: list[int], structure: tree.Structure, leaks: list[str]) -> Verification:
        """What was found."""
        inputs = [self.input(leaf) for leaf in range(len(self.place.leaves))]
        findings = [finding for found in self.findings for finding in found]
        wrong = self.wrong
        left = [finding for finding in findings if finding.state in ("kink", "unknown")]
        decided = len(findings) - len(left)

        def as_tree(values: list[Any]) -> Any:
            full: list[Any] = [None] * structure.leaves
            for i, value in zip(smooth, values, strict=True):
                full[i] = value
            return tree.unflatten(structure, full)

        return Verification(
            name=name,
            ok=not wrong and (decided > 0 or not findings),
            digits=as_tree([found.digits for found in inputs]),
            elements=as_tree([found.elements for found in inputs]),
            expected=as_tree([found.expected for found in inputs]),
            oracle=self.oracle.words,
            refusals=tuple(self.refusals),
            wrong=tuple(wrong),
            undecided=tuple(left),
            suspects=tuple(self.suspects),
            exact=self.exact,
            notes=(*leaks, *self.notes),
            inputs=tuple(inputs),
            count=decided,
            evaluations=self.oracle.evaluations,
            modes=self.modes,
            reason=self.reason(findings),
        )

    def input(self, leaf: int) -> Input:
        """What was found of one argument."""
        x = self.place.leaves[leaf]
        found, expected = np.full(x.shape, np.inf), np.full(x.shape, np.inf)
        sampled = len({id(finding.direction) for finding in self.findings[leaf] if finding.direction.index is None})
        for finding in self.findings[leaf]:
            if finding.state not in ("right", "wrong"):
                continue
            index = ... if finding.direction.index is None else finding.direction.index
            fewer = found[index] > finding.digits
            expected[index] = np.where(fewer, finding.expected, expected[index])
            found[index] = np.where(fewer, finding.digits, found[index])
        nothing = np.isinf(found)
        return Input(
            self.place.names[leaf],
            describe(x),
            np.where(nothing, np.nan, found),
            np.where(nothing, np.nan, expected),
            sampled,
        )

    def reason(self, findings: list[Finding]) -> str:
        """Why as many digits are expected as are."""
        if self.digits is not None:
            return f"{self.digits:g} digits were asked for"
        decided = [finding for finding in findings if finding.state in ("right", "wrong")]
        if not decided:
            return ""
        least = min(decided, key=lambda finding: finding.expected)
        digits, count = -math.log10(self.noise.eps / 2), len(self.tape) if self.tape is not None else 0
        of = f"{count} operation{'s' if count > 1 else ''} that round" if count else "the rounding of the arguments"
        text = f"{self.noise.dtype} has {digits:.1f} digits; {of}, amplified {least.amplified:.2g} times"
        sure = " and what the differences are sure of" if not isinstance(self.oracle, HighPrecision) else ""
        return f"{text}{sure} leave {least.expected:.1f} at least"


def departure(place: Place, tape: Tape, rng: np.random.Generator) -> str | None:
    """A note where the tape, at arguments next to those it was recorded with, does other things than the function."""
    try:
        moved: list[Any] = [x * (1 + 1e-3 * rng.uniform(0.5, 1.0, x.shape)) for x in place.leaves]
        wanted, found = place.vector(moved), flat(rerun(tape, [handle(np.asarray(x)) for x in moved], {}, {}))
    except Exception:  # the tape may not run there
        return None
    with np.errstate(all="ignore"):
        off = np.abs(found - wanted) > 1e-6 * np.max(np.abs(wanted), initial=0.0)
    if not off.any():
        return None
    return (
        "note: when the arguments move, the tape does other things than the function: a value has left it, by float(), numpy() "
        "or a branch, and its derivative is lost"
    )

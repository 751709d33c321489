"""`Verification`: what `verify` found, and how it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from arrayad.verification.comparison import Finding
from arrayad.verification.suspects import Suspect, number

SHOWN = 4
"""So many findings of a kind are printed."""


@dataclass(frozen=True)
class Input:
    """What was found of one argument: its name, shape and dtype, the digits of each element, and how it was looked at.

    `elements` and `expected` have the argument's shape, nan where nothing was decided; of an argument that was sampled along
    random directions all elements have the least of these.
    """

    name: str
    aval: str
    elements: np.ndarray[Any, Any]
    expected: np.ndarray[Any, Any]
    sampled: int

    @property
    def digits(self) -> float:
        """The digits of the element that has the fewest; nan where nothing was decided."""
        decided = self.elements[~np.isnan(self.elements)]
        return float(decided.min()) if decided.size else float("nan")


@dataclass(frozen=True)
class Verification:
    """Whether a derivative is right.  True where it is, as a truth value; `str()` is the report.

    `digits`: how many digits agree, for each argument, a tree like the arguments, None where there is no derivative, nan where
    nothing could be decided; `elements` the same for each element; `expected` how many may be expected of each element.  `oracle`
    names what judged, `refusals` why nothing stronger did.  `wrong`: what is wrong, the furthest first; `undecided`: what the
    oracle could not tell, or where the function has a kink.  `suspect`: the entry of the tape where it begins, the first of
    `suspects`; None if nothing is wrong, or no entry is to blame.  `exact`: the digits that the same rules have in arbitrary
    precision, None where that was not to be had.  `notes`: what else is worth knowing.
    """

    name: str
    ok: bool
    digits: Any
    elements: Any
    expected: Any
    oracle: str
    refusals: tuple[str, ...]
    wrong: tuple[Finding, ...]
    undecided: tuple[Finding, ...]
    suspects: tuple[Suspect, ...]
    exact: float | None
    notes: tuple[str, ...]
    inputs: tuple[Input, ...]
    count: int
    evaluations: int
    modes: tuple[str, ...]
    reason: str = field(repr=False)

    @property
    def suspect(self) -> Suspect | None:
        """The entry of the tape where the disagreement begins."""
        return self.suspects[0] if self.suspects else None

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [self.verdict(), *table(self.inputs)]
        lines += [f"wrong: {text}" for text in shortened([sentence(found) for found in self.wrong])]
        if self.wrong:
            lines += [f"suspect: {text}" for text in shortened(list(map(str, self.suspects)))]
            if not self.suspects:
                lines.append("suspect: none; each operation on the tape is right by itself")
        lines += [f"undecided: {text}" for text in shortened([undecided(found) for found in self.undecided])]
        lines.append(f"judged by {self.oracle}; {self.evaluations} evaluations of the function")
        lines += [f"  not by {refusal}" for refusal in self.refusals]
        if self.reason:
            lines.append(f"expected: {self.reason}")
        if self.exact is not None:
            lines.append(f"the same rules in arbitrary precision agree to {self.exact:.0f} digits")
        return "\n".join([*lines, *self.notes])

    def verdict(self) -> str:
        """The first line."""
        modes = " and ".join(self.modes)
        if self.wrong:
            return f"{self.name}: the derivative is wrong in {len(self.wrong)} of {self.count} numbers ({modes} mode)"
        if not self.ok:
            return f"{self.name}: nothing could be decided"
        left = f"; {len(self.undecided)} could not be decided" if self.undecided else ""
        return f"{self.name}: the derivative is right, {self.count} numbers agree ({modes} mode){left}"


def table(inputs: Sequence[Input]) -> list[str]:
    """A line for each argument."""
    rows = [("by", "", "digits", "expected", "")]
    for found in inputs:
        decided = ~np.isnan(found.elements)
        if not decided.any():
            rows.append((found.name, found.aval, "-", "-", ""))
            continue
        margin = np.where(decided, found.elements - found.expected, np.inf)
        worst = np.unravel_index(int(np.argmin(margin)), margin.shape)
        at = f"least sure at [{', '.join(map(str, worst))}]" if len(worst) and not found.sampled and margin.size > 1 else ""
        how = f"sampled along {found.sampled} random directions" if found.sampled else at
        rows.append((found.name, found.aval, f"{found.elements[worst]:.1f}", f"{found.expected[worst]:.1f}", how))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    return [
        f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]


def shortened(texts: list[str]) -> list[str]:
    """The first of some texts, and how many more there are."""
    if len(texts) <= SHOWN:
        return texts
    return [*texts[:SHOWN], f"and {len(texts) - SHOWN} more"]


def sentence(found: Finding) -> str:
    """A finding in words."""
    return (
        f"{what(found)}, {found.mode} mode: the derivative is {number(found.derivative)}, "
        f"it should be {number(found.reference)} ({found.digits:.1f} digits agree, {found.expected:.1f} are expected)"
    )


def what(found: Finding) -> str:
    """What was derived by what."""
    return f"by {found.argument}" if found.result == "the result" else f"{found.result} by {found.argument}"


def undecided(found: Finding) -> str:
    """What could not be decided, and why."""
    given = f"the derivative given is {number(found.derivative)}"
    why = {
        "kink": f"a kink; {given}, the mean of both sides {number(found.reference)}",
        "unknown": f"{given}; the values around do not tell",
    }
    return f"{what(found)}, {found.mode} mode: {why[found.state]}"

"""Sizes that are letters: the numbers that stand for them while a formula is derived, and the letters back in its text.

A formula is derived twice, with other prime numbers in the place of the letters.  What both have in common holds for all sizes;
a number in which they differ is found among the products of powers of the sizes, as 1/m of a mean.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

FIRST = (11, 13, 17, 19, 23, 29, 31, 37)
SECOND = (41, 43, 47, 53, 59, 61, 67, 71)
"""The sizes in the first and the second derivation, as far as they are not among the user's own."""

HIGHEST = 3
"""The highest power of a size that is looked for."""

CLOSE = 1e-12
"""The relative difference, of some rounding errors, up to which two numbers are one."""


def assignments(letters: Sequence[str], numbers: Iterable[int]) -> list[dict[str, int]]:
    """What the letters are in each derivation; one derivation suffices where there are none."""
    taken = set(numbers)
    if not letters:
        return [{}]
    if len(letters) > len(FIRST):
        raise ValueError(f"[formula] {len(letters)} letters for sizes: {', '.join(letters)}; {len(FIRST)} are allowed")
    return [
        dict(zip(letters, (p for p in [*primes, *range(101, 200, 2)] if p not in taken), strict=False))
        for primes in (FIRST, SECOND)
    ]


def size_text(n: int, sizes: dict[str, int]) -> str:
    """A size as a number, a letter or a product of letters."""
    if not sizes or n + 1 < min(sizes.values()):
        return str(n)
    less = [f"{letter} − 1" for letter, size in sizes.items() if size == n + 1]
    if less:
        return less[0]
    rest, letters = n, []
    for letter, size in sizes.items():
        while rest % size == 0:
            rest //= size
            letters.append(letter)
    return " ".join([*([str(rest)] if rest != 1 else []), *powers(letters)]) if letters else str(n)


def powers(letters: Sequence[str]) -> list[str]:
    """The factors of a product of letters, equal ones as a power."""
    return [f"{letter}{'' if n == 1 else '⁰¹²³⁴⁵⁶⁷⁸⁹'[n]}" for letter, n in Counter(letters).items()]


def is_close(x: float, y: float) -> bool:
    return abs(x - y) <= CLOSE * abs(y)


def monomials(letters: Sequence[str]) -> list[tuple[int, ...]]:
    """The powers of the sizes, and of the sizes less one, that are tried; the lowest first."""
    found = itertools.product(range(-HIGHEST, HIGHEST + 1), repeat=2 * len(letters))
    return sorted((e for e in found if 0 < sum(map(abs, e)) <= HIGHEST), key=lambda e: (sum(map(abs, e)), [-x for x in e]))


PLAIN = str.maketrans({"−": "-", "²": "^2", "³": "^3"})
"""Unicode as LaTeX has it."""


class Number:
    """A number of a formula: a plain one times powers of sizes, or of sizes less one."""

    def __init__(self, values: Sequence[float], sizes: Sequence[dict[str, int]]) -> None:
        self.plain = values[0]
        self.above: list[str] = []
        self.below: list[str] = []
        if all(is_close(value, values[0]) for value in values):
            return
        letters = list(sizes[0])
        for powers in monomials(letters):
            rests = [value / self.product(powers, found) for value, found in zip(values, sizes, strict=True)]
            if is_close(rests[1], rests[0]):
                self.plain = rests[0]
                names = [*letters, *(f"({letter} − 1)" for letter in letters)]
                for name, power in zip(names, powers, strict=True):
                    (self.above if power > 0 else self.below).extend([name] * abs(power))
                return
        raise ValueError(
            f"[formula] a number of the formula depends on the sizes {', '.join(letters)}, and is no product of powers of them "
            f"({values[0]:g} for {sizes[0]}, {values[1]:g} for {sizes[1]}); give the sizes as numbers"
        )

    @staticmethod
    def product(powers: Sequence[int], sizes: dict[str, int]) -> float:
        bases = [*sizes.values(), *(n - 1 for n in sizes.values())]
        return math.prod(float(base) ** power for base, power in zip(bases, powers, strict=True))

    def text(self) -> str:
        """2, (1/2), (2/m), 0.1, m."""
        ratio = ratio_of(self.plain)
        if ratio is None:
            above, below = [repr(self.plain), *powers(self.above)], powers(self.below)
        else:
            above = [*([str(ratio.numerator)] if ratio.numerator != 1 or not self.above else []), *powers(self.above)]
            below = [*([str(ratio.denominator)] if ratio.denominator != 1 else []), *powers(self.below)]
        if not below:
            return above[0] if len(above) == 1 else f"({' '.join(above)})"
        return f"({' '.join(above)}/{below[0] if len(below) == 1 else '(' + ' '.join(below) + ')'})"

    def latex(self) -> str:
        """The same in LaTeX."""
        ratio = ratio_of(self.plain)
        numerator = [repr(self.plain)] if ratio is None else [str(ratio.numerator)] * (ratio.numerator != 1 or not self.above)
        denominator = [] if ratio is None or ratio.denominator == 1 else [str(ratio.denominator)]
        above, below = (
            " ".join([*plain, *powers(names)]).translate(PLAIN)
            for plain, names in ((numerator, self.above), (denominator, self.below))
        )
        return rf"\frac{{{above}}}{{{below}}}" if below else above


def ratio_of(value: float) -> Fraction | None:
    """A number as a fraction of small integers, None if it is none or has a short decimal."""
    if float(value).is_integer() and abs(value) < 1e15:
        return Fraction(int(value))
    ratio = Fraction(value).limit_denominator(1000)
    if not is_close(float(ratio), value):
        return None
    return None if ratio.denominator > 9 and len(repr(value)) < 8 else ratio

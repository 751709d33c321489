"""`reference`: the derivative to 50 digits from the function's values alone, for judging derivatives that follow from rules.

The function runs on mpmath's numbers with three times the digits that are wanted.  A central difference with the step
h = 10⁻⁴⁰ is off by h² f‴ / 6, some 80 digits behind the first, and subtracting costs 40 digits of 150.  No derivative rule takes
part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import arbitrary, tree
from arrayad.errors import DTypeError, describe
from arrayad.tensor import Tensor, handle

Array = np.ndarray[Any, Any]

WORKING = 3
"""So many times as many digits are computed with as are asked for."""

SHARE = 0.8
"""The step is 10 to the minus this share of the digits."""

KINK = 1e-20
"""One-sided derivatives of a smooth function agree to at least this, or come together with the step."""


NOTHING = 1e-30
"""A derivative below this may be one of 0, whose difference is as small as the square of the step."""


class Reference(NamedTuple):
    """A function's values and derivatives as arrays of mpmath's numbers.

    `derivative` and `kinks` are trees like `value`, whose leaves are tuples, one for each argument, of trees like the argument;
    each array has the axes of the result, then those of the argument.  Leaves of the arguments that are no floats have None.
    """

    value: Any
    derivative: Any
    kinks: Any
    evaluations: int


def reference(f: Callable[..., Any], args: Sequence[Any], *, digits: int = 50) -> Reference:
    """The Jacobian of a program by central differences in arbitrary precision: the truth that other derivatives are held to.

    ∂f(x)/∂x[j] = (f(x + h e[j]) − f(x − h e[j])) / 2h + O(h²),  h = 10^(−0.8 digits)

    **Parameters** `f`: a function of trees of arrays that computes by arrayad's operations, or by any that take mpmath's numbers;
    `args`: the arguments, floats among them taken for exactly what they are; `digits`: how many are right, 10 at least.

    **Returns** a `Reference`.  `kinks` says where the derivatives from the two sides differ; there `derivative` is their mean.

    **Raises** `DTypeError` where the function leaves mpmath's numbers, as decompositions and other calls of LAPACK do;
    `ImportError` without the extra `precision`.

    **Example**

    >>> import arrayad as ad
    >>> found = ad.numerical.reference(lambda x: ad.sin(x**2 + 1), (0.5,))
    >>> from mpmath import mp
    >>> with mp.workdps(50):
    ...     print(+found.derivative[0].item())
    0.31532236239526866544753855243803801372798570798276
    """
    run = Run(f, args, digits)
    with arbitrary.context().workdps(run.working):
        columns = [run.difference(j, i) for j in run.smooth for i in range(run.leaves[j].size)]
        return run.assembled(columns)


def reference_along(f: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any], *, digits: int = 50) -> tuple[Any, Any]:
    """The value and the derivative along a direction, as `jvp` gives them, by one difference like those of `reference`.

    **Parameters** `tangents`: trees like `args`; leaves that belong to no floats are not looked at.

    **Returns** trees of arrays of mpmath's numbers.

    **Example**

    >>> import arrayad as ad
    >>> value, tangent = ad.numerical.reference_along(lambda x, y: x * y, (1.0, 2.0), (1.0, 2.0))
    >>> float(tangent)
    4.0
    """
    run = Run(f, args, digits)
    leaves, structure = tree.flatten(tuple(tangents))
    if structure != run.structure:
        raise DTypeError(f"[reference_along] tangents are {tangents!r}, which are not trees like the arguments")
    with arbitrary.context().workdps(run.working):
        directions = {j: np.broadcast_to(arbitrary.of(leaves[j]).array, run.leaves[j].shape) for j in run.smooth}
        derivative = [central for central, _ in run.along(directions)]
        return tree.unflatten(run.shape, run.base), tree.unflatten(run.shape, derivative)


class Run:
    """A function at a point in arbitrary precision."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], digits: int) -> None:
        if digits < 10:
            raise ValueError(f"[reference] digits is {digits}; it must be at least 10")
        self.f = f
        given, self.structure = tree.flatten(tuple(args))
        self.leaves = [plain(x) for x in given]
        self.smooth = [j for j, x in enumerate(self.leaves) if is_float(x)]
        if not self.smooth:
            came = ", ".join(map(describe, given))
            raise DTypeError(f"[reference] the arguments are ({came}), and one at least must be floating-point: write 3.0")
        sizes = np.concatenate([np.abs(self.leaves[j].astype(float)).ravel() for j in self.smooth])
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        self.share = int(SHARE * digits)
        self.working = WORKING * digits + int(np.ceil(np.max(np.abs(np.log10(sizes)), initial=0.0)))
        self.evaluations = 0
        with arbitrary.context().workdps(self.working):
            self.base, self.shape = self.values({})

    def values(self, moved: dict[int, Array]) -> tuple[list[Array], tree.Structure]:
        """The leaves of the result, where these leaves of the arguments have others in their place."""
        self.evaluations += 1
        leaves = [handle(arbitrary.of(moved.get(j, x))) if j in self.smooth else x for j, x in enumerate(self.leaves)]
        found, structure = tree.flatten(self.f(*tree.unflatten(self.structure, leaves)))
        return [numbers(y) for y in found], structure

    def difference(self, j: int, i: int) -> list[tuple[Array, Array]]:
        """The derivatives of the results by element i of leaf j, and where they have kinks."""
        unit = np.zeros(self.leaves[j].shape)
        unit.flat[i] = 1.0
        return self.along({j: arbitrary.of(unit).array})

    def along(self, directions: dict[int, Array]) -> list[tuple[Array, Array]]:
        """For each result the derivative along a direction, and where those of its two sides differ."""
        mp = arbitrary.context()
        h = mp.mpf(10) ** -self.share * self.length(directions)
        sides = self.sides(directions, h)
        found = [(arbitrary.boxed((a + b) / 2), differ(a, b)) for a, b in zip(*sides, strict=True)]
        if any(np.any(apart) or np.any((central != 0) & (size(central) < NOTHING)) for central, apart in found):
            nearer = self.sides(directions, h * mp.mpf(10) ** -10)
            found = [judged(*each) for each in zip(found, zip(*sides, strict=True), zip(*nearer, strict=True), strict=True)]
        return found

    def sides(self, directions: dict[int, Array], h: Any) -> tuple[list[Array], list[Array]]:
        """The differences ahead and behind."""
        places = [{j: arbitrary.of(self.leaves[j]).array + s * h * t for j, t in directions.items()} for s in (1, -1)]
        (ahead, _), (behind, _) = map(self.values, places)
        return (
            [(y - base) / h for y, base in zip(ahead, self.base, strict=True)],
            [(base - y) / h for y, base in zip(behind, self.base, strict=True)],
        )

    def length(self, directions: dict[int, Array]) -> Any:
        """1, or a smaller length over which no element that moves changes by more than itself."""
        mp = arbitrary.context()
        pairs = (
            (abs(number), abs(t)) for j, ts in directions.items() for number, t in zip(self.leaves[j].flat, ts.flat, strict=True)
        )
        return min([mp.mpf(1), *(arbitrary.number(number) / t for number, t in pairs if t > 0 and number > 0)])

    def assembled(self, columns: list[list[tuple[Array, Array]]]) -> Reference:
        """The columns of the Jacobian as trees."""
        derivative, kinks = (
            tree.unflatten(self.shape, [self.row(k, y, columns, part) for k, y in enumerate(self.base)]) for part in (0, 1)
        )
        return Reference(tree.unflatten(self.shape, self.base), derivative, kinks, self.evaluations)

    def row(self, k: int, y: Array, columns: list[list[tuple[Array, Array]]], part: int) -> Any:
        """What one result has by each argument."""
        remaining = iter(columns)
        leaves: list[Any] = []
        for j, x in enumerate(self.leaves):
            if j not in self.smooth:
                leaves.append(None)
                continue
            block = np.empty((x.size, *y.shape), object if part == 0 else bool)
            for i in range(x.size):
                block[i] = next(remaining)[k][part][()]
            leaves.append(np.moveaxis(block, 0, -1).reshape((*y.shape, *x.shape)))
        return tree.unflatten(self.structure, leaves)


def plain(x: Any) -> Any:
    """A leaf of the arguments as an array; what is none as it is."""
    if x.__class__ is Tensor:
        return arbitrary.plain(arbitrary.array_in(x.value))
    if arbitrary.is_number(x):
        return arbitrary.boxed(x)
    return np.asarray(x) if isinstance(x, float | np.ndarray | np.generic) else x


def is_float(x: Any) -> bool:
    """Whether a leaf is of real numbers that can move."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "c":
        raise DTypeError(
            f"[reference] an argument is {describe(x)}; mpmath's arrays hold real numbers: compute with real and imaginary parts"
        )
    return isinstance(x, np.ndarray) and x.dtype.kind in "fO"


def numbers(y: Any) -> Array:
    """A leaf of a result as an array of mpmath's numbers.

    **Raises** `DTypeError` for floats: the function has rounded what it was given.
    """
    value = y.value if y.__class__ is Tensor else y
    if value.__class__ is not arbitrary.Arbitrary and not arbitrary.is_number(value):
        if not isinstance(value, float | int | np.ndarray | np.generic) or np.asarray(value).dtype.kind == "c":
            raise DTypeError(f"[reference] a result is {describe(value)}; real numbers are needed")
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f":
            raise DTypeError(
                f"[reference] a result is {describe(value)}, though the arguments are mpmath's numbers: the function rounds them "
                "to floats, so that no more digits are to be had"
            )
    return arbitrary.of(value).array


def judged(found: tuple[Array, Array], far: tuple[Array, Array], near: tuple[Array, Array]) -> tuple[Array, Array]:
    """A derivative and its kinks, in the light of the derivatives of both sides by a shorter step.

    Those of a smooth function come together with the step, and what is left of a derivative of 0 goes with it.
    """
    central, apart = found
    (ahead, behind), (ahead1, behind1) = far, near
    apart = apart & (2 * size(ahead1 - behind1) > size(ahead - behind))
    vanishes = (size(central) < NOTHING) & (10 * size((ahead1 + behind1) / 2) < size(central))
    return arbitrary.boxed(np.where(np.asarray(vanishes, bool), arbitrary.context().mpf(0), central)), apart


def size(x: Array) -> Array:
    """|x|, for arrays of mpmath's numbers."""
    return np.abs(np.asarray(x, object))


def differ(ahead: Array, behind: Array) -> Array:
    """Where one-sided derivatives are further apart than rounding and curvature have it."""
    return np.asarray(size(ahead - behind) > KINK * np.maximum(size(ahead), size(behind)), bool)

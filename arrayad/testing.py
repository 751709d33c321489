"""`check_grads`: derivatives compared with differences, and with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import array_in
from arrayad.errors import ArrayadError, DTypeError, describe
from arrayad.numerical.stencil import Formula, formula
from arrayad.numerical.step import (
    EPS,
    Asking,
    Difference,
    Displacement,
    Evaluate,
    answer,
    best_step,
    difference,
    least_step,
    lengths,
    settled,
)
from arrayad.tensor import Tensor, handle
from arrayad.transforms.boundary import is_array, parameter_names
from arrayad.transforms.forward import jvp
from arrayad.transforms.reverse import pullback

Array = np.ndarray[Any, Any]

MODES = ("forward", "reverse")
ELEMENTS = 100
"""So many elements of an argument are checked one by one; of a larger one, so many that are drawn at random."""

ROUNDING = 200
"""A derivative may be off by so many units of rounding of the largest."""

DOUBT = 100
"""Differences may be off by so many times their estimated error."""


class GradientCheckError(ArrayadError, AssertionError):
    """A derivative differs from what differences say by more than they can be off."""


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = MODES,
    atol: float = 0.0,
    rtol: float = 0.0,
    seed: int = 0,
) -> None:
    """Check the derivatives of `f` at `args`, element by element, against central differences of order 6.

    Forward mode is compared along unit tangents, reverse mode with a random cotangent; for higher order, the derivatives
    of the gradient are checked likewise.  What the differences cannot tell, by a hundred times their own estimated
    errors, is allowed, and the rounding of the derivative itself; they are taken over several lengths until they settle.

    **Parameters** `f`: a function of trees of arrays that returns a tree of arrays.  `args`: where to check; integers, and
    what is no array, are passed on.  float32 and complex64 are checked as float64 and complex128, against which their own
    derivatives are then compared.  Of large arrays, 100 elements are drawn.  `order`: 1 or more.  `modes`: which of "forward"
    and "reverse".  `atol`, `rtol`: errors allowed in addition, absolute and relative.  `seed`: of what is drawn.

    **Raises** `GradientCheckError` with the argument, the index, both numbers, and the estimated truncation and round-off
    errors; it says so where one-sided differences disagree, as at a kink, and where the differences do not settle.  Where
    the value of `f` is not finite, derivatives may be anything.

    **Example**

    >>> import arrayad as ad
    >>> ad.testing.check_grads(lambda x: ad.sin(x) * x, (1.5,))
    >>> wrong = ad.custom_vjp(lambda x: x * x)
    >>> wrong.defvjp(lambda x: (x * x, x), lambda x, ct: (ct * x,))
    >>> ad.testing.check_grads(wrong, (3.0,))
    Traceback (most recent call last):
    ...
    arrayad.testing.GradientCheckError: [check_grads] order 1, forward mode: by x, the derivative is 3.0, differences ...
    """
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise ValueError(f'[check_grads] modes are {unknown}; each must be "forward" or "reverse"')
    if order < 1:
        raise ValueError(f"[check_grads] order is {order}; it must be at least 1")
    if not isinstance(args, tuple | list):
        raise TypeError(f"[check_grads] args must be a tuple, one for each argument of the function; {describe(args)} came")
    check = Check(f, tuple(args), tuple(modes), atol, rtol, seed)
    if not check.smooth:
        came = ", ".join(map(describe, check.given))
        raise DTypeError(
            f"[check_grads] the arguments are ({came}), and one at least must be floating-point: write 3.0, or use astype"
        )
    check.run(order, 1)


class Check:
    """The comparison of one function's derivatives at one place."""

    def __init__(
        self, f: Callable[..., Any], args: tuple[Any, ...], modes: tuple[str, ...], atol: float, rtol: float, seed: int
    ) -> None:
        given, self.structure = tree.flatten(args)
        names = parameter_names(f, len(args))
        self.names = [path for name, arg in zip(names, args, strict=True) for path, _ in tree.paths(arg, name)]
        self.given = [plain(x) for x in given]
        for name, x in zip(self.names, self.given, strict=True):
            if getattr(x, "dtype", np.dtype(float)).kind == "O":
                raise DTypeError(f"[check_grads] {name} is {describe(x)}; differences are taken in floats: pass it as float64")
        self.leaves = [widened(x) for x in self.given]
        self.smooth = [i for i, x in enumerate(self.leaves) if is_smooth(x)]
        self.f, self.modes, self.atol, self.rtol, self.seed = f, modes, atol, rtol, seed
        self.rng = np.random.default_rng(seed)

    def run(self, order: int, depth: int) -> None:
        """Check derivatives from order `depth` on, up to `order`."""
        out = self.values(self.leaves)
        self.base = flat(out)
        self.cts = [weights(self.rng, y) for y in out]
        self.tangents = [weights(self.rng, self.leaves[i]) for i in self.smooth]
        gradients = self.gradients(self.leaves) if "reverse" in self.modes else None
        for i in self.smooth:
            for index in self.indices(self.leaves[i]):
                for unit in (1.0, 1j) if self.leaves[i].dtype.kind == "c" else (1.0,):
                    self.compare(i, index, unit, gradients, depth)
        self.compare_narrow(gradients, depth)
        if depth < order:
            inner = Check(self.derived, self.arguments(self.leaves), self.modes, self.atol, self.rtol, self.seed + 1)
            inner.names = self.names
            inner.run(order, depth + 1)

    # --- the function and its derivatives -----------------------------------------------------------------------------

    def arguments(self, leaves: list[Any]) -> tuple[Any, ...]:
        return tuple(tree.unflatten(self.structure, leaves))

    def called(self, leaves: list[Any]) -> list[Any]:
        """The leaves of the function's output."""
        return tree.leaves(self.f(*self.arguments(leaves)))

    def values(self, leaves: list[Any]) -> list[Array]:
        return [np.asarray(plain(y)) for y in self.called(leaves)]

    def chosen(self, leaves: list[Any], smooth: Sequence[Any]) -> list[Any]:
        """All leaves, with these for the ones to differentiate by."""
        full: list[Any] = list(leaves)
        for i, x in zip(self.smooth, smooth, strict=True):
            full[i] = x
        return full

    def derived(self, *args: Any) -> Any:
        """What the next order differentiates: the gradient of Σ ct · f, or the derivative along a tangent."""
        leaves = tree.leaves(args)
        if "reverse" not in self.modes:
            return self.pushed(leaves, self.tangents)
        return self.pulled(leaves)

    def pulled(self, leaves: list[Any]) -> Any:
        primals = tuple(leaves[i] for i in self.smooth)
        _, back = pullback("vjp", lambda *xs: self.called(self.chosen(leaves, xs)), primals, says=False)
        return back([handle(ct) for ct in self.cts])

    def pushed(self, leaves: list[Any], tangents: Sequence[Any]) -> Any:
        primals = tuple(leaves[i] for i in self.smooth)
        return jvp(lambda *xs: self.called(self.chosen(leaves, xs)), primals, tuple(tangents))[1]

    def gradients(self, leaves: list[Any]) -> dict[int, Array]:
        return {i: np.asarray(g.value) for i, g in zip(self.smooth, self.pulled(leaves), strict=True)}

    # --- comparisons --------------------------------------------------------------------------------------------------

    def indices(self, x: Array) -> list[tuple[int, ...]]:
        """The elements to check: all, or some that are drawn."""
        if x.size <= ELEMENTS:
            return list(np.ndindex(x.shape))
        chosen = np.sort(self.rng.choice(x.size, ELEMENTS, replace=False))
        return [tuple(int(k) for k in np.unravel_index(flat_index, x.shape)) for flat_index in chosen]

    def compare(self, i: int, index: tuple[int, ...], unit: Any, gradients: Any, depth: int) -> None:
        """Compare both modes along one direction with differences."""
        tangent = np.zeros_like(self.leaves[i])
        tangent[index] = unit

        def along(h: float) -> Array:
            moved = list(self.leaves)
            moved[i] = moved[i] + h * tangent
            return flat(self.values(moved))

        x = np.abs(self.leaves[i][index]).reshape(1)
        found = differenced(along, formula("central", 6), x, self.base)
        where = f"{self.names[i]}[{', '.join(map(str, index))}]" if index else self.names[i]
        if "forward" in self.modes:
            tangents = self.pushed(self.leaves, [tangent if k == i else None for k in self.smooth])
            derivative = flat([np.asarray(t.value) for t in tangents])
            self.judge(derivative, found, along, x, self.base, f"order {depth}, forward mode: by {where}")
        if gradients is not None:
            ct = np.conj(flat(self.cts))
            there = ct != 0
            sizes = np.abs(ct[there])
            total = Difference(
                np.sum(found.value[there] * ct[there]).real,
                np.sum(found.truncation[there] * sizes),
                np.sum(found.roundoff[there] * sizes),
                np.max(found.step, initial=0.0),
            )
            pulled = np.sum(np.conj(gradients[i][index]) * unit).real
            if np.isnan(pulled) and not there.all():
                return  # what is not finite has spread
            base = np.sum(np.abs(self.base[there]) * sizes)
            self.judge(
                pulled,
                total,
                lambda h: np.sum((along(h) * ct)[there]).real,
                x,
                base,
                f"order {depth}, reverse mode: by {where}",
                float(np.sum(np.abs(found.value[there]) * sizes)),
            )

    def judge(self, derivative: Any, found: Difference, along: Any, x: Array, base: Any, what: str, size: float = 0.0) -> None:
        """**Raises** `GradientCheckError` where the derivative is further off than the difference can be.

        `size`: that of the largest number from which the derivative is added.
        """
        derivative, base = np.atleast_1d(derivative), np.atleast_1d(base)
        value, truncation, roundoff = (np.atleast_1d(part) for part in found[:3])
        there = np.isfinite(base)
        with np.errstate(all="ignore"):
            largest = max(float(np.max(np.abs(value), where=there & np.isfinite(value), initial=0.0)), size)
            error = truncation + roundoff
            allowed = self.atol + self.rtol * np.abs(value) + ROUNDING * EPS * largest + DOUBT * error
            off = np.abs(derivative - value)
            steep = np.isinf(derivative) & ~(error <= 1e-3 * np.abs(value))
            bad = there & ~((off <= allowed) | (derivative == value) | steep)
            natural = np.maximum(np.abs(base) / max(float(x[0]), 1.0), np.maximum(np.abs(value), np.abs(derivative)))
            vague = there & ~steep & ~bad & ~(DOUBT * error <= natural) & ~(off <= self.atol + self.rtol * np.abs(value))
            vague &= derivative != value
        if not (bad | vague).any():
            return
        k = (
            int(np.argmax(np.where(bad, np.where(np.isnan(off), np.inf, off / allowed), -1.0)))
            if bad.any()
            else int(vague.argmax())
        )
        place = f" of output element {k}" if len(value) > 1 else ""
        message = (
            f"[check_grads] {what}, the derivative{place} is {derivative[k]!s}, differences {value[k]!s} "
            f"(estimated truncation {truncation[k]:.1e}, round-off {roundoff[k]:.1e}; {allowed[k]:.1e} was allowed)"
        )
        kink = self.kink(along, x, k, float(allowed[k]), float(off[k]))
        settles = "" if bad.any() or kink else "; the differences do not settle, so that they say nothing: check elsewhere"
        raise GradientCheckError(message + kink + settles)

    def kink(self, along: Any, x: Array, k: int, allowed: float, off: float) -> str:
        """A remark where the differences from either side disagree, or are as far off as the derivative."""
        sides = []
        for method in ("backward", "forward"):
            found, _ = answer(over(formula(method, 2), x, lengths(x, np.ones(1))[0]), at(along))
            sides.append((np.atleast_1d(found.value)[k], float(np.atleast_1d(found.error)[k])))
        (left, left_error), (right, right_error) = sides
        if np.isfinite(left) != np.isfinite(right):
            return f"; the differences are {left!s} from below and {right!s} from above: is this the edge of its domain?"
        apart = abs(left - right) > allowed + 10 * (left_error + right_error) or left_error + right_error > 0.1 * off
        return f"; the differences are {left!s} from below and {right!s} from above: is this a kink?" if apart else ""

    def compare_narrow(self, gradients: dict[int, Array] | None, depth: int) -> None:
        """Compare the derivatives of arguments in single precision with those in double."""
        if depth > 1 or all(x is y for x, y in zip(self.given, self.leaves, strict=True)):
            return
        pairs = []
        if gradients is not None:
            narrow = self.gradients(self.given)
            pairs += [("reverse mode: by " + self.names[i], narrow[i], gradients[i]) for i in self.smooth]
        if "forward" in self.modes:
            tangents = [t.astype(self.given[i].dtype) for i, t in zip(self.smooth, self.tangents, strict=True)]
            wide = self.pushed(self.leaves, [t.astype(self.leaves[i].dtype) for i, t in zip(self.smooth, tangents, strict=True)])
            found = self.pushed(self.given, tangents)
            pairs += [
                ("forward mode: of the output along a tangent", np.asarray(a.value), np.asarray(b.value))
                for a, b in zip(found, wide, strict=True)
            ]
        eps = float(np.finfo(np.float32).eps)
        for what, a, b in pairs:
            there = np.isfinite(b)
            size = float(np.max(np.abs(b), where=there, initial=0.0))
            allowed = self.atol + self.rtol * size + ROUNDING * eps * size
            off = np.where(there, np.abs(a - b), 0.0)
            if np.any(~(off <= allowed)):
                index = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
                raise GradientCheckError(
                    f"[check_grads] order 1, {what}{list(map(int, index)) or ''}, the derivative in single precision is "
                    f"{a[index]!s}, in double {b[index]!s} ({allowed:.1e} was allowed)"
                )


def differenced(along: Callable[[float], Any], rule: Formula, x: Array, base: Array) -> Difference:
    """A difference at `x` with the step that suits the formula and the function."""
    ladder = [(length,) for length in lengths(x, np.ones(1))]
    return answer(settled(lambda length: over(rule, x, length), ladder, base, [rule]), at(along))


def over(rule: Formula, x: Array, length: float) -> Asking[tuple[Difference, Array]]:
    """A difference, and the value by interpolation, with the step that suits a length."""
    return difference([rule], [best_step(rule, length, least=least_step(x, np.ones(1)))])


def at(along: Callable[[float], Any]) -> Evaluate:
    """The function's values at displacements along one direction."""

    def evaluate(places: list[Displacement]) -> list[Array]:
        with np.errstate(all="ignore"):
            return [along(h) for (h,) in places]

    return evaluate


def plain(x: Any) -> Any:
    """The array of a Tensor or of a number; what is no array, and an integer of Python's, as it is."""
    if x.__class__ is Tensor:
        return x.value
    return x if isinstance(x, bool | int) or not is_array(x) else array_in(x)


def is_smooth(x: Any) -> bool:
    """Whether a leaf has derivatives."""
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc"


def widened(x: Any) -> Any:
    """A leaf in double precision."""
    if not is_smooth(x):
        return x
    wide = np.result_type(x.dtype, np.float64)
    return x if x.dtype == wide else np.asarray(x).astype(wide)


def weights(rng: np.random.Generator, y: Array) -> Array:
    """Random weights like an array, zero where it is not finite and for integers."""
    drawn: Array = rng.standard_normal(np.shape(y))
    if not is_smooth(y):
        return np.zeros(np.shape(y))
    if y.dtype.kind == "c":
        drawn = drawn + 1j * rng.standard_normal(y.shape)
    return np.asarray(np.where(np.isfinite(y), drawn, 0.0))


def flat(arrays: Sequence[Any]) -> Array:
    """The elements of all arrays in one."""
    return np.concatenate([np.ravel(x) for x in arrays]) if arrays else np.zeros(0)

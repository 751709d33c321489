"""`check_grads`: derivatives compared with differences, and with each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import array_in
from arrayad.errors import ArrayadError, DTypeError, describe
from arrayad.numerical.step import FORMULAS, Difference, Formula, best_step, difference
from arrayad.tensor import Tensor, handle
from arrayad.transforms.boundary import parameter_names
from arrayad.transforms.forward import jvp
from arrayad.transforms.reverse import vjp

MODES = ("forward", "reverse")
ELEMENTS = 100
"""So many elements of an argument are checked one by one; of a larger one, so many that are drawn at random."""


class GradientCheckError(ArrayadError, AssertionError):
    """A derivative differs from what differences say by more than they can be off."""


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = MODES,
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
) -> None:
    """Check the derivatives of `f` at `args`, element by element, against central differences of order 6.

    Forward mode is compared along unit tangents, reverse mode with a random cotangent; for second order, that the gradient's
    own derivatives are right is checked likewise.  Without tolerances the differences' own estimated errors decide, ten
    times over, beside the rounding of the derivative itself.

    **Parameters** `f`: a function of trees of arrays that returns a tree of arrays; float32 arguments are differenced in
    float64.  `args`: where to check; integer arguments are left out.  `order`: 1 or more.  `modes`: which of "forward" and
    "reverse".  `atol`, `rtol`: allowed in addition.  `seed`: of the random cotangent.

    **Raises** `GradientCheckError` with the argument, the index, both numbers, and the estimated truncation and round-off
    errors; it says so where one-sided differences disagree, as at a kink.

    **Example**

    >>> import arrayad as ad
    >>> ad.testing.check_grads(lambda x: ad.sin(x) * x, (1.5,))
    >>> wrong = ad.custom_vjp(lambda x: x * x)
    >>> wrong.defvjp(lambda x: (x * x, x), lambda x, ct: (ct * x,))
    >>> ad.testing.check_grads(wrong, (3.0,))
    Traceback (most recent call last):
    ...
    arrayad.testing.GradientCheckError: [check_grads] order 1, forward mode: by x, the derivative is 3.0, differences 5.99999...
    """
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise ValueError(f'[check_grads] modes are {unknown}; each must be "forward" or "reverse"')
    Check(f, tuple(args), modes, atol, rtol, seed).run(order, 1)


class Check:
    """The comparison of one function's derivatives at one place."""

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        modes: Sequence[str],
        atol: float | None,
        rtol: float | None,
        seed: int,
    ) -> None:
        leaves, self.structure = tree.flatten(args)
        names = parameter_names(f, len(args))
        self.names = [path for name, arg in zip(names, args, strict=True) for path, _ in tree.paths(arg, name)]
        self.leaves = [array_in(x.value if x.__class__ is Tensor else x) for x in leaves]
        for name, x in zip(self.names, self.leaves, strict=True):
            if x.dtype.kind == "O":
                raise DTypeError(f"[check_grads] {name} is {describe(x)}; differences are taken in floats: pass it as float64")
        self.smooth = [i for i, x in enumerate(self.leaves) if x.dtype.kind in "fc"]
        self.f, self.modes, self.atol, self.rtol, self.seed = f, modes, atol or 0.0, rtol, seed
        self.rng = np.random.default_rng(seed)
        self.eps = max((float(np.finfo(self.leaves[i].dtype).eps) for i in self.smooth), default=0.0)

    def run(self, order: int, depth: int) -> None:
        """Check derivatives from order `depth` on, up to `order`."""
        out = self.values(self.leaves)
        self.cts = [self.rng.standard_normal(y.shape) if y.dtype.kind in "fc" else np.zeros(y.shape) for y in out]
        gradients = self.gradients() if "reverse" in self.modes else None
        for i in self.smooth:
            for index in self.indices(self.leaves[i]):
                for unit in (1.0, 1j) if self.leaves[i].dtype.kind == "c" else (1.0,):
                    self.compare(i, index, unit, gradients, depth)
        if depth < order:
            inner = Check(self.derived, self.arguments(self.leaves), self.modes, self.atol, self.rtol, self.seed + 1)
            inner.names = self.names
            inner.run(order, depth + 1)

    def arguments(self, leaves: list[Any]) -> tuple[Any, ...]:
        return tuple(tree.unflatten(self.structure, leaves))

    def called(self, leaves: list[Any]) -> list[Any]:
        """The leaves of the function's output."""
        return tree.leaves(self.f(*self.arguments(leaves)))

    def values(self, leaves: list[Any]) -> list[np.ndarray[Any, Any]]:
        return [np.asarray(y.value if y.__class__ is Tensor else y) for y in self.called(leaves)]

    def chosen(self, smooth: Sequence[Any]) -> list[Any]:
        """All leaves, with these for the ones to differentiate by."""
        full: list[Any] = list(self.leaves)
        for i, x in zip(self.smooth, smooth, strict=True):
            full[i] = x
        return full

    def derived(self, *args: Any) -> Any:
        """The gradient of Σ ct · f by the smooth leaves: what second order differentiates."""
        leaves = tree.leaves(args)
        out, back = vjp(lambda *xs: self.called(self.chosen(xs)), *(leaves[i] for i in self.smooth))
        return back([handle(ct) for ct in self.cts[: len(out)]])

    def gradients(self) -> dict[int, np.ndarray[Any, Any]]:
        found = self.derived(*self.arguments(self.leaves))
        return {i: np.asarray(g.value) for i, g in zip(self.smooth, found, strict=True)}

    def indices(self, x: np.ndarray[Any, Any]) -> list[tuple[int, ...]]:
        every = list(np.ndindex(x.shape))
        if len(every) <= ELEMENTS:
            return every
        return [every[k] for k in sorted(self.rng.choice(len(every), ELEMENTS, replace=False))]

    def compare(self, i: int, index: tuple[int, ...], unit: Any, gradients: Any, depth: int) -> None:
        """Compare both modes along one direction with differences."""
        tangent = np.zeros_like(self.leaves[i])
        tangent[index] = unit

        def along(h: float) -> np.ndarray[Any, Any]:
            moved = [x.astype(wide(x.dtype)) for x in self.leaves]
            moved[i] = moved[i] + h * tangent.astype(wide(tangent.dtype))
            return flat(self.values(moved))

        size = float(np.abs(self.leaves[i][index]))
        found = differenced(along, FORMULAS["central", 6], size)
        where = f"{self.names[i]}[{', '.join(map(str, index))}]" if index else self.names[i]
        if "forward" in self.modes:
            _, tangents = jvp(
                lambda *xs: self.called(self.chosen(xs)),
                tuple(self.leaves[k] for k in self.smooth),
                tuple(tangent if k == i else None for k in self.smooth),
            )
            pushed = flat([np.asarray(t.value) for t in tangents])
            self.judge(pushed, found, along, size, f"order {depth}, forward mode: by {where}")
        if gradients is not None:
            weights = np.conj(flat(self.cts))
            sizes = np.abs(weights)
            total = Difference(
                np.sum(found.value * weights).real, np.sum(found.truncation * sizes), np.sum(found.roundoff * sizes)
            )
            pulled = np.sum(np.conj(gradients[i][index]) * unit).real
            self.judge(pulled, total, lambda h: np.sum(along(h) * weights).real, size, f"order {depth}, reverse mode: by {where}")

    def judge(self, derivative: Any, found: Difference, along: Any, size: float, what: str) -> None:
        """**Raises** `GradientCheckError` where the derivative is further off than the difference can be."""
        value, truncation, roundoff = (np.atleast_1d(x) for x in found)
        derivative = np.atleast_1d(derivative)
        scale = np.max(np.abs(value), initial=1.0)
        relative = 1e4 * self.eps if self.rtol is None else self.rtol
        allowed = self.atol + relative * scale + 10 * (truncation + roundoff)
        off = np.abs(derivative - value)
        bad = ~((off <= allowed) | (np.isnan(derivative) & np.isnan(value)) | (derivative == value))
        if bad.any():
            k = int(np.argmax(np.where(bad, np.where(np.isnan(off), np.inf, off / allowed), -1.0)))
            place = f" of output element {k}" if len(value) > 1 else ""
            raise GradientCheckError(
                f"[check_grads] {what}, the derivative{place} is {derivative[k]!s}, differences {value[k]!s} "
                f"(estimated truncation {truncation[k]:.1e}, round-off {roundoff[k]:.1e}; {allowed[k]:.1e} was allowed)"
                + self.kink(along, size, k, float(allowed[k]))
            )

    def kink(self, along: Any, size: float, k: int, allowed: float) -> str:
        """A remark where the differences from either side disagree."""
        left, right = (
            np.atleast_1d(differenced(along, FORMULAS[method, 2], size).value)[k] for method in ("backward", "forward")
        )
        apart = abs(left - right) > 1e3 * allowed + 1e-3 * max(abs(left), abs(right))
        return f"; the differences are {left!s} from below and {right!s} from above: is this a kink?" if apart else ""


def differenced(along: Callable[[float], Any], rule: Formula, size: float) -> Difference:
    """A difference in float64 with the step that suits the formula."""
    eps = float(np.finfo(np.float64).eps)
    step = best_step(rule, max(size, 0.1) if math.isfinite(size) else 1.0, eps)
    with np.errstate(all="ignore"):
        return difference(along, rule, step, eps)


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float64 for float32, complex128 for complex64; others as they are."""
    return np.result_type(dtype, np.float64) if dtype.kind in "fc" else dtype


def flat(arrays: Sequence[Any]) -> np.ndarray[Any, Any]:
    """The elements of all arrays in one."""
    return np.concatenate([np.ravel(x) for x in arrays]) if arrays else np.zeros(0)

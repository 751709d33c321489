"""`differentiable`: functions that cannot be traced get derivatives by differences, of any order and in every transform.

The function's k-th derivative is a function with a custom rule, whose tangent is the (k+1)-th times the tangent of the
argument; each is a callback, which computes a mixed difference for each choice of k elements.  So the rule of a black box
is a custom rule like any other, and second order is one difference with a step of its own, not a difference of differences.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.custom import custom_jvp
from arrayad.errors import DTypeError, ShapeError, describe, user_stacklevel
from arrayad.functions.linear_algebra import matmul
from arrayad.numerical.callback import Callback, callback
from arrayad.numerical.stencil import Formula, formula
from arrayad.numerical.step import COMPLEX_STEP, EPS, Asking, Difference, Displacement, Line, answers, mixed, relative_noise
from arrayad.primitives.casting import stop_gradient
from arrayad.primitives.joining import concat
from arrayad.primitives.shape import reshape
from arrayad.shaped import Shaped, aval, is_abstract, is_weak
from arrayad.tensor import Tensor, freeze, handle
from arrayad.transforms.boundary import is_array

Array = np.ndarray[Any, Any]


class DifferenceWarning(UserWarning):
    """A derivative by differences may be further off than was allowed."""


class Options(NamedTuple):
    """How the differences are taken."""

    method: str
    rule: Formula
    step: Any
    bounds: tuple[Any, Any]
    noise: float
    rtol: float | None
    vectorized: bool
    out_shape: Any


def differentiable(
    f: Callable[..., Any],
    *,
    method: str = "central",
    order: int | None = None,
    argnums: int | tuple[int, ...] | None = None,
    step: Any = None,
    bounds: tuple[Any, Any] = (-math.inf, math.inf),
    noise: float = EPS,
    rtol: float | None = 1e-3,
    vectorized: bool = False,
    out_shape: Any = None,
) -> Differentiable:
    """A function of NumPy arrays, which arrayad cannot look into, with derivatives by differences.

    ∂f(x)/∂x[j] ≈ Σ_k w[k] f(x + o[k] h e[j]) / h, with offsets o and weights w of a formula, off by O(h^order)

    The result takes and gives Tensors, and stands in every transform like a function with a custom rule.  A gradient
    evaluates `f` 4 times for each element of its arguments (more with higher orders, or where the first step does not
    suit); a `jvp` 4 times in all; a Hessian, or a product with it, 8 times for each pair of elements.

    **Parameters** `f`: takes NumPy arrays, and scalars for 0-d ones, as positional or keyword arguments, beside anything else;
    returns an array, a number or a tree of these.  `method`: "central", "forward" or "backward" differences, or "complex":
    the complex step, which subtracts nothing and is exact to rounding, for an `f` that is analytic and computes with complex
    numbers.  `order`: of the formula: 2, 4 or 6 (central), 1 or 2.  `argnums`: the positions of arguments to differentiate
    by, all floating-point arrays if omitted; others are constants.  `step`: the step h itself; without it, h follows from
    |x[j]|, the formula and `noise`, the relative error of the values of `f`, and others are tried where the estimated error
    says that this one does not suit.  `bounds`: (low, high) of the arguments, numbers or arrays that broadcast to each; `f` is
    evaluated within them only, by one-sided differences at the edge.  Without them, a step that is too long for the domain,
    where `f` gives nan or raises `ValueError` or `ArithmeticError`, gives way to a shorter one.  `rtol`: warn where the estimated
    error exceeds this, relative to the derivative; None never warns.  `vectorized`: `f` takes all its arrays with one more axis
    in front, and returns its results so; it is then called for many points at once.  `out_shape`: what `f` returns, a tree of
    `Shaped` or arrays, or a function of the arguments that gives it.  It is needed only where `f` is traced by shapes (`vmap`,
    `cond`, `trace`), and without it `f` is tried there on ones.

    **Returns** a function, whose method `report(*args)` gives the Jacobian with its estimated errors.

    **Raises** `DTypeError` for complex arguments; `ValueError` for a formula that there is not; `ShapeError` where the results do
    not fit `out_shape`.

    **Source** Fornberg (1988), and Squire & Trapp, SIAM Review 40 (1998), for the complex step.

    **Example**

    >>> import math
    >>> import arrayad as ad
    >>> gamma = ad.numerical.differentiable(math.gamma, method="central", order=6)
    >>> ad.grad(gamma)(3.0)
    Tensor(1.84556867)
    >>> estimate = gamma.report(3.0)
    >>> bool(abs(estimate.value - 1.8455686701969343) < estimate.error < 1e-11)
    True
    """
    if method == "complex" and order is not None:
        raise ValueError("[differentiable] the complex step has no order")
    rule = formula("central", 4) if method == "complex" else formula(method, order)
    if not 0 < noise < 1:
        raise ValueError(f"[differentiable] noise is {noise}; the relative error of the values lies between 0 and 1")
    low, high = (np.asarray(bound, np.float64) for bound in bounds)
    if not np.all(low < high):
        raise ValueError(f"[differentiable] bounds are {bounds}; low must be less than high")
    chosen = (argnums,) if isinstance(argnums, int) else argnums
    return Differentiable(f, chosen, Options(method, rule, step, (low, high), noise, rtol, vectorized, out_shape))


class Differentiable:
    """A black box with derivatives by differences."""

    def __init__(self, f: Callable[..., Any], argnums: tuple[int, ...] | None, options: Options) -> None:
        functools.update_wrapper(self, f, updated=())
        self.f = f
        self.name = getattr(f, "__name__", type(f).__name__)
        self.argnums = argnums
        self.options = options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        box = BlackBox(self, args, kwargs)
        leaves = box.derivative(0)(*box.operands(args, kwargs))
        return tree.unflatten(box.known_structure(), list(leaves))

    def report(self, *args: Any, **kwargs: Any) -> Any:
        """The Jacobian by differences with its estimated errors, at values that nobody follows.

        **Returns** a tree like the result of the function.  Its leaves are tuples with a `Difference`, of fields `value`,
        `truncation`, `roundoff` and `error`, for each array that is differentiated by; a lone `Difference` if it is one.
        """
        args = tree.map(lambda x: np.asarray(x) if x.__class__ is float else x, args)
        box = BlackBox(self, args, kwargs)
        operands = box.operands(args, kwargs)
        found = box.differences(1, [x.value for x in operands])
        parts = []
        for y, given in zip(box.avals(*(aval(x.value) for x in operands)), found, strict=True):
            start, of_output = 0, []
            for i in box.smooth:
                x = operands[i].value
                columns = slice(start, start := start + x.size)
                shape = (*y.shape, *x.shape)
                of_output.append(Difference(*(part[..., columns].reshape(shape) for part in given)))
            parts.append(tuple(of_output) if len(of_output) != 1 else of_output[0])
        return tree.unflatten(box.known_structure(), parts)


class BlackBox:
    """One call: the function of the arrays among its arguments, and its derivatives."""

    def __init__(self, owner: Differentiable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.name, self.f, self.options = owner.name, owner.f, owner.options
        leaves, self.arguments = tree.flatten((args, kwargs))
        self.fixed = [None if is_operand(x) else x for x in leaves]
        self.moving = [is_operand(x) for x in leaves]
        count = len(args)
        if owner.argnums is not None and (wrong := [i for i in owner.argnums if not -count <= i < count]):
            raise TypeError(f"[{self.name}] argnums is {wrong[0]}, but {count} positional arguments came")
        chosen = None if owner.argnums is None else {i % count for i in owner.argnums}
        positions = [i for i, arg in enumerate(args) for _ in tree.leaves(arg)]
        positions += [-1] * (len(leaves) - len(positions))
        kept = [chosen is None or i in chosen for i in positions]
        self.constant = [not keep for keep, moves in zip(kept, self.moving, strict=True) if moves]
        dtypes = [x.dtype for x, moves in zip(leaves, self.moving, strict=True) if moves]
        self.smooth = [i for i, dtype in enumerate(dtypes) if dtype.kind in "fc" and not self.constant[i]]
        if complex_ones := [leaves[i] for i in self.smooth if dtypes[i].kind == "c"]:
            raise DTypeError(f"[{self.name}] {describe(complex_ones[0])} came; write f as a function of real and imaginary parts")
        self.structure: tree.Structure | None = None
        self.found: list[Shaped] | None = None
        self.latest: dict[int, tuple[tuple[Any, ...], list[Array]]] = {}

    def operands(self, args: Any, kwargs: Any) -> list[Tensor]:
        """The arrays among the arguments, as Tensors; those that are constants without their history."""
        found = [x for x, moves in zip(tree.leaves((args, kwargs)), self.moving, strict=True) if moves]
        tensors = [x if x.__class__ is Tensor else handle(freeze(np.asarray(x))) for x in found]
        return [stop_gradient(x) if constant else x for x, constant in zip(tensors, self.constant, strict=True)]

    def known_structure(self) -> tree.Structure:
        """The structure of the function's result."""
        assert self.structure is not None
        return self.structure

    # --- the function -------------------------------------------------------------------------------------------------

    def called(self, values: Sequence[Any]) -> list[Any]:
        """The leaves of the function's result at these arrays."""
        rest = iter(values)
        leaves = [
            np.array(x)[()] if moves else fixed
            for moves, fixed in zip(self.moving, self.fixed, strict=True)
            for x in ((next(rest),) if moves else (None,))
        ]
        args, kwargs = tree.unflatten(self.arguments, leaves)
        out, self.structure = tree.flatten(self.f(*args, **kwargs))
        for y in out:
            if not is_array(y):
                raise TypeError(
                    f"[{self.name}] the function returned {type(y).__name__}; an array, or a tree of them, was needed"
                )
        return [np.array(float(y) if y.__class__ is int else y.value if y.__class__ is Tensor else y) for y in out]

    def at(self, values: Sequence[Any]) -> list[Array]:
        """The function's value at one place."""
        if not self.options.vectorized:
            return self.checked(self.called(values), values)
        return [y[0] for y in self.at_many([np.asarray(x)[None] for x in values])]

    def at_many(self, values: Sequence[Any]) -> list[Array]:
        """The values of a vectorized function at places along axis 0."""
        found = self.called(values)
        size = values[0].shape[0]
        for y in found:
            if y.shape[:1] != (size,):
                raise ShapeError(
                    f"[{self.name}] a vectorized function was given {size} points along axis 0, and returned {describe(y)}"
                )
        self.checked([y[0] for y in found], [x[0] for x in values])
        return found

    def checked(self, found: list[Array], values: Sequence[Any]) -> list[Array]:
        """The results, once it is seen that they are what `out_shape` says, and like those at other places."""
        said = self.found
        if self.options.out_shape is not None:
            said = self.avals(*(aval(np.asarray(x)) for x in values))
        if said is not None and [y.shape for y in found] != [y.shape for y in said]:
            came, needed = (", ".join(map(describe, ys)) for ys in (found, said))
            source = "elsewhere" if self.options.out_shape is None else "as out_shape says"
            raise ShapeError(f"[{self.name}] the function returned {came}, and {needed} {source}; shapes must not vary")
        self.found = self.found or [aval(y) for y in found]
        return found

    def avals(self, *operands: Shaped) -> list[Shaped]:
        """The shapes of the results: as said by `out_shape`, as seen, or by a trial on ones."""
        said = self.options.out_shape
        if said is not None:
            if callable(said):
                rest = iter(operands)
                leaves = [next(rest) if moves else x for moves, x in zip(self.moving, self.fixed, strict=True)]
                args, kwargs = tree.unflatten(self.arguments, leaves)
                said = said(*args, **kwargs)
            leaves, self.structure = tree.flatten(said)
            return [Shaped(np.shape(y), np.float64) if is_weak(y) else Shaped(y.shape, y.dtype) for y in leaves]
        if self.found is None:
            with np.errstate(all="ignore"):
                self.at([np.ones(x.shape, x.dtype) for x in operands])
        return list(self.found or ())

    # --- its derivatives ----------------------------------------------------------------------------------------------

    def derivative(self, k: int) -> custom_jvp:
        """The k-th derivative, a function of the operands: a list with y.shape + (N,) * k for each leaf y of the result.

        N is the number of elements of the arrays to differentiate by, which are strung together.
        """

        def function(*operands: Any) -> list[Tensor]:
            call = Callback(self.name, functools.partial(self.values, k), functools.partial(self.shapes, k), self.many(k))
            return callback(call, *operands)

        def rule(primals: Any, tangents: Any) -> tuple[list[Tensor], list[Any]]:
            out = self.derivative(k)(*primals)
            if not self.smooth:
                return out, [None] * len(out)
            moving = [tangents[i] for i in self.smooth]
            t = concat(*(reshape(x, shape=(x.size,)) for x in moving), axis=0)
            if k == 0 and not any(is_followed(x) for x in (*primals, t)):
                found = [handle(slope) for slope in self.along([x.value for x in primals], t.value)]
            else:
                found = [matmul(y, t) for y in self.derivative(k + 1)(*primals)]
            return out, [t if y.dtype.kind in "fc" else None for y, t in zip(out, found, strict=True)]

        function.__name__ = self.name
        found = custom_jvp(function)
        found.identity = f"{id(self):x} derivative {k}"
        found.defjvp(rule)
        return found

    def shapes(self, k: int, *operands: Shaped) -> list[Shaped]:
        """The shapes of the k-th derivative."""
        size = sum(operands[i].size for i in self.smooth)
        return [Shaped((*y.shape, *(size,) * k), y.dtype if k == 0 else smooth_dtype(y)) for y in self.avals(*operands)]

    def many(self, k: int) -> Callable[..., list[Array]] | None:
        """The function itself for many places at once, where it can."""
        return (lambda *values: self.at_many(values)) if self.options.vectorized and k == 0 else None

    def values(self, k: int, *values: Any) -> list[Array]:
        """The k-th derivative at arrays, which is kept until it is asked for at others."""
        before, found = self.latest.get(k, ((), []))
        if len(before) != len(values) or any(x is not y for x, y in zip(before, values, strict=True)) or not values:
            found = self.at(values) if k == 0 else [part.value for part in self.differences(k, values)]
            self.latest[k] = values, found
        return found

    def along(self, values: Sequence[Any], tangent: Array) -> list[Array]:
        """The derivative along a tangent."""
        places = Places(self, values)
        (found,) = places.mixed([[np.asarray(tangent, np.float64)]])
        self.warn(1, found, places)
        return [part.value for part in places.split(found)]

    def differences(self, k: int, values: Sequence[Any]) -> list[Difference]:
        """The k-th derivative by differences, one for each choice of k elements."""
        places = Places(self, values)
        n = places.x.size
        units = np.eye(n)
        choices = list(itertools.combinations_with_replacement(range(n), k))
        columns = dict(zip(choices, places.mixed([[units[i] for i in indices] for indices in choices]), strict=True))
        if not columns:
            empty = np.zeros((places.base.size, *(n,) * k))
            return places.split(Difference(empty, empty, empty, empty))
        whole = Difference(
            *(
                np.stack([columns[tuple(sorted(i))][part] for i in itertools.product(range(n), repeat=k)], axis=-1)
                for part in range(len(Difference._fields))
            )
        )
        self.warn(k, whole, places)
        return places.split(Difference(*(part.reshape((-1, *(n,) * k)) for part in whole)))

    def warn(self, k: int, found: Difference, places: Places) -> None:
        """Say so where the derivative may be further off than was allowed."""
        if self.options.rtol is None or not found.value.size:
            return
        there = np.isfinite(places.base).reshape(-1, *(1,) * (found.value.ndim - 1))
        error = np.where(np.isfinite(found.error), found.error, np.inf)
        length = max(1.0, float(np.max(np.abs(places.x), initial=0.0)))
        size = float(np.max(np.abs(places.base), where=np.isfinite(places.base), initial=0.0)) / length**k
        with np.errstate(all="ignore"):
            limit = self.options.rtol * np.maximum(np.nanmax(np.where(there, np.abs(found.value), 0.0), initial=0.0), size)
        worst = float(np.max(error, where=there, initial=0.0))
        if worst > limit:
            warnings.warn(
                f"[{self.name}] a derivative of order {k} by differences may be off by {worst:.1e}, more than {float(limit):.1e} "
                "(rtol); give a step, bounds, another method or the noise of f, or allow it by rtol",
                DifferenceWarning,
                stacklevel=user_stacklevel(),
            )


class Places:
    """The values of a black box about one place, and differences of them."""

    def __init__(self, box: BlackBox, values: Sequence[Any]) -> None:
        self.box = box
        self.options = box.options
        self.values = [np.asarray(x) for x in values]
        parts = [self.values[i] for i in box.smooth]
        self.x = np.concatenate([np.ravel(x).astype(np.float64) for x in parts]) if parts else np.zeros(0)
        bounds = self.options.bounds
        self.low, self.high = (
            np.concatenate([np.broadcast_to(b, x.shape).ravel() for x in parts]) if parts else np.zeros(0) for b in bounds
        )
        if np.any((self.x < self.low) | (self.x > self.high)):
            raise ValueError(f"[{box.name}] an argument lies outside of the bounds")
        if self.options.step is not None:
            h = [np.broadcast_to(np.asarray(self.options.step, np.float64), x.shape).ravel() for x in parts]
            self.step = np.concatenate(h) if h else np.zeros(0)
        out = box.values(0, *values)
        self.outs = [aval(y) for y in out]
        self.base = flat(out)

    def moved(self, points: list[Any]) -> list[Array]:
        """The function's value at some points, each in one vector."""
        sets = []
        for point in points:
            start, operands = 0, list(self.values)
            for i in self.box.smooth:
                x = self.values[i]
                operands[i] = point[start : start + x.size].reshape(x.shape)
                start += x.size
            sets.append(operands)
        with np.errstate(all="ignore"):
            if self.options.vectorized:
                found = self.box.at_many([np.stack(column) for column in zip(*sets, strict=True)])
                return [flat([y[i] for y in found]) for i in range(len(points))]
            return [self.tried(operands) for operands in sets]

    def tried(self, operands: list[Any]) -> Array:
        """The function's value; nan where it says that it is not defined."""
        try:
            return flat(self.box.at(operands))
        except ShapeError:
            raise
        except (ValueError, ArithmeticError):
            return np.full(self.base.shape, np.nan, np.complex128 if self.options.method == "complex" else np.float64)

    def mixed(self, choices: list[list[Array]]) -> list[Difference]:
        """The mixed derivatives, one along the directions of each choice; their points are evaluated together."""
        imaginary = self.options.method == "complex"
        noise = relative_noise(self.options.noise)
        real = [choice[imaginary:] for choice in choices]

        def evaluate(wanted: list[tuple[int, Displacement]]) -> list[Array]:
            shifts = [sum((a * d for a, d in zip(given, real[i], strict=True)), np.zeros(())) for i, given in wanted]
            if not imaginary:
                elsewhere = iter(self.moved([self.x + shift for shift in shifts if np.any(shift)]))
                return [next(elsewhere) if np.any(shift) else self.base for shift in shifts]
            turned = [COMPLEX_STEP * 1j * choices[i][0] for i, _ in wanted]
            found = self.moved([self.x + shift + turn for shift, turn in zip(shifts, turned, strict=True)])
            if any(np.isrealobj(y) for y in found):
                raise TypeError(
                    f"[{self.box.name}] the function returned real numbers at complex ones, so the complex step sees nothing; "
                    'use method "central"'
                )
            return [y.imag / COMPLEX_STEP for y in found]

        def derivative(directions: list[Array]) -> Asking[Difference]:
            (base,) = (yield [(0.0,) * len(directions)]) if imaginary else [self.base]
            if not directions:
                nothing = np.zeros_like(base)
                return Difference(base, nothing, noise.of(np.abs(base)), nothing + COMPLEX_STEP)
            return (yield from mixed([self.line(d) for d in directions], self.options.rule, base, noise))

        return answers([derivative(directions) for directions in real], evaluate)

    def line(self, direction: Array) -> Line:
        """The line from here along a direction."""
        moves = direction != 0
        d = direction[moves]
        h = None if self.options.step is None or not d.size else float(np.min(self.step[moves] / np.abs(d)))
        return Line(self.x[moves], d, self.low[moves], self.high[moves], h)

    def split(self, whole: Difference) -> list[Difference]:
        """The parts of a difference that belong to the leaves of the result."""
        ends = np.cumsum([y.size for y in self.outs])[:-1]
        columns = zip(*(np.split(part, ends) for part in whole), strict=True)
        return [
            Difference(*(part.reshape(y.shape + part.shape[1:]) for part in parts))
            for y, parts in zip(self.outs, columns, strict=True)
        ]


def flat(arrays: Sequence[Any]) -> Array:
    """The elements of all arrays in one vector; integers, which have no derivative, as zeros."""
    parts = [np.ravel(y if y.dtype.kind in "fc" else np.zeros(y.shape)) for y in arrays]
    return np.concatenate(parts) if parts else np.zeros(0)


def smooth_dtype(y: Shaped) -> np.dtype[Any]:
    """The dtype of a derivative of this."""
    return np.result_type(y.dtype, np.float64) if y.dtype.kind in "fc" else np.dtype(np.float64)


def is_operand(x: Any) -> bool:
    """Whether an argument's leaf is an array."""
    return is_array(x) and not is_weak(x)


def is_followed(x: Any) -> bool:
    return x.__class__ is not Tensor or x.history is not None or is_abstract(x.value)

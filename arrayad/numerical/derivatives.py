"""Derivatives of any function by differences: `derivative`, `grad`, `jacobian`, `hessian`, `directional`, with their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from arrayad import tree
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.numerical.estimate import Estimate
from arrayad.numerical.noise import NoiseLevel
from arrayad.numerical.problem import Options, Problem, Scheme, check_times


def derivative(
    f: Callable[..., Any],
    x: Any,
    *,
    derivatives: int = 1,
    scheme: Scheme = "central",
    order: int | None = None,
    step: Any = None,
    bounds: tuple[Any, Any] | None = None,
    noise: float | str | None = None,
    vectorized: bool | None = None,
    args: Sequence[Any] = (),
) -> Estimate:
    """The derivative of a function of one number, by differences, at each of the numbers `x`: value[i…] = f⁽ᵐ⁾(x[i…]).

    f⁽ᵐ⁾(x) ≈ Σ_k w[k] f(x + o[k] h) / hᵐ, off by c hᵖ (truncation) and by about ε |f| Σ_k |w[k]| / hᵐ (round-off)

    **Parameters** `f`: a function of NumPy arrays or of Tensors, which returns an array or a tree of them, of any shape; it
    is given what `x` is.  `x`: a number, or an array of numbers at each of which the derivative is wanted.  `derivatives`: m.

    `scheme`: "central", "forward" or "backward" differences, of the `order` p; "richardson", central differences with h, h/2,
    h/4, …, extrapolated to the order; "ridders", extrapolated over as many steps as it takes, the most accurate by
    differences of an unknown function; "complex", the complex step, which subtracts nothing and is exact to rounding, for an
    `f` that is analytic and computes with complex numbers; or the offsets of a stencil, such as (-1, 0, 2).  `order`: the
    lowest there is if omitted, 6 for "richardson".  `step`: h itself, a number, or like `x` ("ridders" begins there).  Without
    it, h is ε^(1 / (p + m)) times the length over which the function changes: |x| at first, then what the two errors of an
    attempt tell of the curvature, then others. `bounds`: (low, high), numbers or like `x`; `f` is evaluated within them only,
    by one-sided formulas of the same order at the edge.  Where `f` is not defined to one side, which nan, `ValueError` or
    `ArithmeticError` tell, the other is taken. `noise`: the relative error of the values of `f`: a number, None for the
    rounding of their dtype, or "estimate" to have it measured, by `noise_level`.  `vectorized`: True where `f` takes its first
    argument with one more axis in front, and returns its results so; False to call it for one place after another; None to do
    so only where it cannot be traced by `vmap`.  `args`: further arguments of `f`, which stay.

    **Returns** an `Estimate`, whose `value` has the axes of `x`, then those of the result.  Complex `x` are moved along the
    real axis, which gives the derivative of a holomorphic function.

    **Raises** `DTypeError` for integers; `ValueError` for a formula that there is not, and for an `x` outside of the bounds;
    `ShapeError` where `f` returns another shape elsewhere; `TypeError` where the complex step meets a function of real numbers.

    **Kinks** The estimates are those of a smooth function.  At a kink, central differences give the mean of both sides'
    derivatives; at the edge of a domain that is a root's, or another power's, estimates may be too small.

    **Source** Fornberg, Math. Comp. 51 (1988); Ridders, Advances in Engineering Software 4 (1982); Squire & Trapp, SIAM
    Review 40 (1998); Moré & Wild, SIAM J. Sci. Comput. 33 (2011).

    **Example**

    >>> import math
    >>> import arrayad as ad
    >>> found = ad.numerical.derivative(math.gamma, 3.0, scheme="ridders")
    >>> bool(abs(found.value - 1.8455686701969343) < found.error < 1e-12)
    True
    """
    options = Options(scheme, order, step, bounds, noise, vectorized, args, holomorphic=True)
    check_times("derivative", options, derivatives)
    problem = Problem("derivative", f, x, options, each=True)
    found = problem.answered([problem.task([problem.unit(i)], derivatives) for i in range(problem.places.size)])
    shape = problem.sampled.leaves[0].shape
    return problem.estimate(found, lambda columns, y: columns.T.reshape((*shape, *y.shape)))


def grad(
    f: Callable[..., Any],
    x: Any,
    *,
    scheme: Scheme = "central",
    order: int | None = None,
    step: Any = None,
    bounds: tuple[Any, Any] | None = None,
    noise: float | str | None = None,
    vectorized: bool | None = None,
    args: Sequence[Any] = (),
) -> Estimate:
    """The gradient of a function that returns one number, by differences: value[i…] = ∂f(x) / ∂x[i…].

    It takes 4 evaluations for each element by central differences, 2 beside f(x) by forward ones, 1 by the complex step, with
    their error estimates; more where the first step does not suit.  All elements are evaluated in one batch where `f` allows
    it.

    **Parameters** `x`: an array, or a tree of arrays.  Of a complex one, the gradient is that of arrayad, ∂f/∂Re x + i ∂f/∂Im
    x.  The others are those of `derivative`; `step` and `bounds` may be trees that fit `x`.

    **Returns** an `Estimate` whose fields are trees like `x`.

    **Raises** `ShapeError` unless `f` returns one number; otherwise as `derivative`.

    **Example**

    >>> import numpy as np
    >>> import arrayad as ad
    >>> found = ad.numerical.grad(lambda p: np.sum(p["w"] ** 2) * p["b"], {"w": np.array([1.0, 2.0]), "b": 3.0}, scheme="ridders")
    >>> found.value["w"].round(10), found.evaluations
    (array([ 6., 12.]), 19)
    """
    options = Options(scheme, order, step, bounds, noise, vectorized, args)
    problem = Problem("grad", f, x, options)
    outputs = problem.sampled.outputs
    if problem.sampled.result != tree.LEAF or outputs[0].size != 1:
        came = ", ".join(map(describe, outputs))
        raise ShapeError(f"[grad] the function returned ({came}); a gradient is that of one number: take jacobian, or sum")
    if outputs[0].dtype.kind == "c":
        raise DTypeError("[grad] the function returned a complex number; take jacobian, or the real part")
    return problem.estimate(problem.columns(), lambda columns, _: problem.like_argument(columns[0], ()))


def jacobian(
    f: Callable[..., Any],
    x: Any,
    *,
    scheme: Scheme = "central",
    order: int | None = None,
    step: Any = None,
    bounds: tuple[Any, Any] | None = None,
    noise: float | str | None = None,
    vectorized: bool | None = None,
    args: Sequence[Any] = (),
    holomorphic: bool = False,
) -> Estimate:
    """The Jacobian of a function of arrays, by differences: value[i…, j…] = ∂f(x)[i…] / ∂x[j…].

    **Parameters** as of `grad`; `f` may return a tree of arrays.  `holomorphic`: `f` is a holomorphic function, and its complex
    derivative is meant.

    **Returns** an `Estimate` whose fields are trees like the result of `f`, with a tree like `x` for each of its arrays, each
    with the axes of the result, then those of `x`.

    **Raises** as `derivative`; `DTypeError` where complex numbers ask for `holomorphic`.

    **Example**

    >>> import numpy as np
    >>> import arrayad as ad
    >>> ad.numerical.jacobian(lambda x: np.array([x[0] * x[1], np.sin(x[0])]), np.array([0.0, 2.0]), scheme="complex").value
    array([[2., 0.],
           [1., 0.]])
    """
    options = Options(scheme, order, step, bounds, noise, vectorized, args, holomorphic)
    problem = Problem("jacobian", f, x, options)
    problem.check_holomorphic()
    return problem.estimate(problem.columns(), lambda columns, y: problem.like_argument(columns, y.shape))


def hessian(
    f: Callable[..., Any],
    x: Any,
    *,
    scheme: Scheme = "central",
    order: int | None = None,
    step: Any = None,
    bounds: tuple[Any, Any] | None = None,
    noise: float | str | None = None,
    vectorized: bool | None = None,
    args: Sequence[Any] = (),
) -> Estimate:
    """The matrix of second derivatives, by differences: value[…, i…, j…] = ∂²f(x)[…] / ∂x[i…] ∂x[j…].

    Each is one difference with a step of its own, ε^(1 / (p + 2)), and no difference of differences: a formula for the second
    derivative on the diagonal, a product of two formulas beside it; with "ridders" half the difference of the second
    derivatives along the two diagonals; with "complex" a difference of complex steps.

    **Parameters** as of `grad`; `f` may return a tree of arrays.

    **Returns** an `Estimate` whose fields are trees as `ad.hessian` gives them.

    **Raises** as `derivative`; `DTypeError` for complex arguments.

    **Example**

    >>> import numpy as np
    >>> import arrayad as ad
    >>> ad.numerical.hessian(lambda x: x[0] ** 2 * x[1], np.array([1.0, 3.0]), scheme="ridders").value.round(9)
    array([[6., 2.],
           [2., 0.]])
    """
    options = Options(scheme, order, step, bounds, noise, vectorized, args)
    problem = Problem("hessian", f, x, options)
    if problem.is_complex:
        raise DTypeError("[hessian] the argument is complex; write the function as one of real and imaginary parts")
    count = problem.places.size
    return problem.estimate(
        problem.second(), lambda columns, y: problem.like_argument_twice(columns.reshape(y.size, count, count), y.shape)
    )


def directional(
    f: Callable[..., Any],
    x: Any,
    direction: Any,
    *,
    derivatives: int = 1,
    scheme: Scheme = "central",
    order: int | None = None,
    step: float | None = None,
    bounds: tuple[Any, Any] | None = None,
    noise: float | str | None = None,
    vectorized: bool | None = None,
    args: Sequence[Any] = (),
) -> Estimate:
    """The derivative along a direction, by differences: value[i…] = dᵐ/dsᵐ f(x + s d)[i…] at s = 0.

    **Parameters** `direction`: d, a tree like `x`; `step`: a number, in units of d.  The others are those of `derivative`.

    **Returns** an `Estimate` whose fields are trees like the result of `f`.

    **Raises** `ShapeError` for a direction unlike `x`; otherwise as `derivative`.

    **Example**

    >>> import numpy as np
    >>> import arrayad as ad
    >>> found = ad.numerical.directional(np.prod, np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, -1.0]), order=4)
    >>> print(f"{found.value:.9f}, {found.evaluations} evaluations")
    4.000000000, 7 evaluations
    """
    options = Options(scheme, order, step, bounds, noise, vectorized, args)
    check_times("directional", options, derivatives)
    problem = Problem("directional", f, x, options)
    found = problem.answered([problem.task([problem.along(direction)], derivatives)])
    return problem.estimate(found)


def noise_level(
    f: Callable[..., Any],
    x: Any,
    *,
    direction: Any = None,
    step: float | None = None,
    vectorized: bool | None = None,
    args: Sequence[Any] = (),
) -> NoiseLevel:
    """The noise of a function's values about `x`: the standard deviation of what they are off by, by Moré and Wild's ECNoise.

    σ² ≈ (k!)² / (2k)! · mean over i of (Δᵏ f(x + i h d))², where three successive k agree to a factor of 4

    **Parameters** `direction`: along which to sample, like `x`; at random if omitted.  `step`: h; without it, several are
    tried. `vectorized`, `args`: as of `derivative`.

    **Returns** a `NoiseLevel`: `absolute` and `relative`, trees like the result of `f`; `evaluations`, `step`, and `found`,
    which is False where no level was believed: the values are exact, or change too much over the shortest way.

    **Raises** as `derivative`.

    **Source** Moré & Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011), section 4.

    **Example**

    >>> import numpy as np
    >>> import arrayad as ad
    >>> rng = np.random.default_rng(0)
    >>> level = ad.numerical.noise_level(lambda x: np.cos(x) * (1.0 + 1e-6 * rng.standard_normal()), 1.0)
    >>> bool(3e-7 < level.relative < 3e-6), level.evaluations
    (True, 9)
    """
    options = Options(step=step, vectorized=vectorized, args=args)
    return Problem("noise_level", f, x, options).noise_level(direction)

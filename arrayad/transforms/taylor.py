"""Taylor mode: derivatives of high order along a curve, at O(k²) times the cost of the function."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import ShapeError
from arrayad.modes import enable_grad
from arrayad.primitives.joining import concat
from arrayad.primitives.shape import reshape
from arrayad.readers.jet import Jet
from arrayad.tape import Unfollowed
from arrayad.tensor import Tensor
from arrayad.transforms.boundary import released, result_leaves, zeros_like
from arrayad.transforms.forward import primal_leaves, tangent_leaves


def jet(f: Callable[..., Any], primals: Any, series: Any) -> tuple[Any, Any]:
    """The derivatives of `f` along a curve, from those of the curve: Taylor mode.

    With x_i(t) = primals[i] + Σ_k series[i][k-1] t^k / k!, returns f(x(0)) and the derivatives d^k f(x(t))/dt^k at 0, for
    k = 1 … K.  Work and memory are O(K²) and O(K) times those of `f` for functions that satisfy an algebraic differential
    equation (all but lgamma, digamma and what is made of them, which take O(K³)); nested derivatives take O(2^K).

    **Parameters** `primals`: a tuple of trees of arrays.  `series`: a tuple of lists, of one length K ≥ 1; the elements of
    series[i] are derivatives, trees like primals[i], or None for zero.

    **Returns** (out, out_series): the output, and a tree like it whose leaves are lists of K arrays.

    **Raises** `DTypeError` for integer primals; `ShapeError` for series that do not fit.

    **Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 13.  Signature and convention (derivatives,
    not divided by k!) are those of `jax.experimental.jet`.

    **Example**

    >>> import arrayad as ad
    >>> ad.jet(ad.sin, (0.0,), ([1.0, 0.0, 0.0],))
    (Tensor(0.), [Tensor(1.), Tensor(-0.), Tensor(-1.)])
    """
    Unfollowed.count += 1
    leaves, structure = primal_leaves("jet", f, primals, series)
    order = common_order(series, len(primals))
    given = [tangent_leaves("jet", primals, [terms[k] for terms in series]) for k in range(order)]
    facts = [
        [c if c is None or k == 1 else c / math.factorial(k) for k, c in enumerate(column, 1)]
        for column in zip(*given, strict=True)
    ]
    reader = Jet(order)
    try:
        inputs = [reader.watch(x, fact) for x, fact in zip(leaves, facts, strict=True)]
        with enable_grad():  # a no_grad outside holds for the results, not for the transform's own work
            outputs, shape = result_leaves("jet", f(*tree.unflatten(structure, inputs)))
        terms = [
            [
                own(c if c is None or k == 1 else c * math.factorial(k), y, reader)
                for k, c in enumerate(reader.of(y) or [None] * order, 1)
            ]
            for y in outputs
        ]
        return tree.unflatten(shape, [released(y, reader) for y in outputs]), tree.unflatten(shape, terms)
    finally:
        reader.close()


def common_order(series: Any, count: int) -> int:
    """The one length of the lists of a series."""
    orders = {len(terms) if isinstance(terms, list | tuple) else None for terms in series}
    if len(series) != count or len(orders) != 1 or not all(orders):
        came = ", ".join(str(len(terms)) if isinstance(terms, list | tuple) else type(terms).__name__ for terms in series)
        raise ShapeError(
            f"[jet] one list of derivatives for each of {count} primals was needed, all of one length; ({came}) came"
        )
    return orders.pop() or 0


def own(c: Any, y: Tensor, reader: Jet) -> Tensor:
    """A coefficient as a Tensor of its own, zeros where there is none."""
    return zeros_like(y) if c is None else released(c, reader)


def taylor(f: Callable[..., Any], x: Any, order: int, direction: Any = None) -> Any:
    """The Taylor coefficients of `f` at `x`: c[k] = f^(k)(x) / k!, for k = 0 … order.

    For arrays, those of t ↦ f(x + t · direction).

    **Parameters** `x`: an array, or a tree of arrays; `order` ≥ 0; `direction`: a tree like `x`, ones if omitted.

    **Returns** a tree like the output of `f`, each array with a leading axis of length order + 1.

    **Raises** `DTypeError` for an integer `x`; `ShapeError` for a direction that does not fit; `ValueError` for a negative order.

    **Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), section 13.1.

    **Example**

    >>> import arrayad as ad
    >>> ad.taylor(ad.exp, 0.0, 4)
    Tensor([1.        , 1.        , 0.5       , 0.16666667, 0.04166667])
    """
    if order < 0:
        raise ValueError(f"[taylor] the order is {order}; it must be at least 0")
    if direction is None:
        direction = tree.map(lambda leaf: np.ones(np.shape(leaf) if leaf.__class__ is not Tensor else leaf.shape), x)
    still = tree.map(lambda leaf: np.zeros(np.shape(leaf) if leaf.__class__ is not Tensor else leaf.shape), x)
    first, series = jet(f, (x,), ([direction, *[still] * (max(order, 1) - 1)],))
    terms = iter(tree.leaves(series))

    def stacked(y: Tensor) -> Tensor:
        found = [y, *(next(terms) / math.factorial(k) for k in range(1, max(order, 1) + 1))]
        return concat(*(reshape(c, shape=(1, *c.shape)) for c in found[: order + 1]), axis=0)

    return tree.map(stacked, first)

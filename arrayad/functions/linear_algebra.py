"""Public linear algebra: products of vectors, matrices and tensors, traces, norms; also as `arrayad.linalg`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.constants import inverse
from arrayad.errors import ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.functions.decompositions import svdvals
from arrayad.functions.einsum import einsum
from arrayad.functions.indexing import diagonal as axes_diagonal
from arrayad.functions.reduction import Axis, count_of, floating, kept_dims, refuse_empty
from arrayad.functions.reduction import max as largest
from arrayad.functions.reduction import min as smallest
from arrayad.functions.reduction import sum as total
from arrayad.functions.shape import moveaxis
from arrayad.namespace import NUMPY, attach_operator, linalg, public
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.complex import absolute, conjugated
from arrayad.primitives.exponential import power
from arrayad.primitives.linear_algebra import matrix_product
from arrayad.primitives.reduction import euclidean_norm
from arrayad.primitives.selection import where
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.shaped import normalize_axes, normalize_axis
from arrayad.tensor import Tensor

# --- products -------------------------------------------------------------------------------------------------------


@public(method=True)
def matmul(x: Any, y: Any) -> Tensor:
    """Product of matrices: z[…, i, j] = sum over k of x[…, i, k] y[…, k, j], also written `x @ y`.

    A vector counts as a row on the left and as a column on the right; leading axes broadcast.  Where `y` is a matrix
    or a vector, the product is one BLAS call, whatever the leading axes of `x`, and so are its derivatives.

    **Raises** `ShapeError` for 0-d operands, inner sizes that differ, leading axes that do not broadcast.

    **Example**

    >>> import arrayad as ad
    >>> ad.tensor([[1.0, 2.0], [3.0, 4.0]]) @ ad.tensor([1.0, 10.0])
    Tensor([21., 43.])
    """
    x, y = asarray(x), asarray(y)
    check_product(x, y)
    if x.ndim == 2 and y.ndim == 2:
        return matrix_product(x, y)
    k = x.shape[-1]
    shape = product_shape(x, y)
    columns = reshape(y, shape=(k, 1)) if y.ndim == 1 else y
    if columns.ndim == 2:
        rows = reshape(x, shape=(math.prod(x.shape[:-1]), k))
        return reshape(matrix_product(rows, columns), shape=shape)
    rows = reshape(x, shape=(1, k)) if x.ndim == 1 else x
    lead = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    product = matrix_product(repeated(rows, lead), repeated(columns, lead))
    return reshape(product, shape=shape) if x.ndim == 1 else product


def check_product(x: Tensor, y: Tensor) -> None:
    """Raise unless the operands have a matrix product."""
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(
            f"[matmul] an operand is 0-d: x is {describe(x)}, y is {describe(y)}; "
            "vectors or matrices are needed, use x * y for numbers"
        )
    if x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        axis = "y.shape[-2]" if y.ndim > 1 else "y.shape[0]"
        raise ShapeError(f"[matmul] inner sizes differ: x is {describe(x)}, y is {describe(y)}; x.shape[-1] must equal {axis}")


def product_shape(x: Tensor, y: Tensor) -> tuple[int, ...]:
    """The shape of a matrix product whose inner sizes agree."""
    try:
        lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"[matmul] leading axes do not broadcast: x is {describe(x)}, y is {describe(y)}; "
            "counted from the last but two, axes must agree or be 1"
        ) from None
    return (*lead, *x.shape[-2:-1], *(y.shape[-1:] if y.ndim > 1 else ()))


def repeated(x: Tensor, lead: tuple[int, ...]) -> Tensor:
    """The matrices repeated along leading axes."""
    shape = (*lead, *x.shape[-2:])
    return x if x.shape == shape else broadcast_to(x, shape=shape)


attach_operator("matmul", matmul)


@public(method=True)
def tensordot(x: Any, y: Any, axes: Any = 2) -> Tensor:
    """Sum of products over some axes of each operand; the axes that are left follow in order, those of `x` first.

    **Parameters** `axes`: how many of the last axes of `x` and the first of `y`, or a pair of (lists of) axes.

    **Raises** `ShapeError` where the lengths of a pair differ.

    **Example**

    >>> import arrayad as ad
    >>> ad.tensordot([[1.0, 2.0], [3.0, 4.0]], [[1.0, 10.0], [0.0, 0.0]], axes=([1, 0], [1, 0]))
    Tensor(21.)
    """
    x, y = asarray(x), asarray(y)
    inner_x, inner_y = paired_axes(x, y, axes)
    sizes = [x.shape[a] for a in inner_x]
    if sizes != [y.shape[a] for a in inner_y]:
        raise ShapeError(
            f"[tensordot] inner sizes differ: x is {describe(x)}, y is {describe(y)}, axes {inner_x} and {inner_y}; "
            "the lengths of each pair must be equal"
        )
    rows = [a for a in range(x.ndim) if a not in inner_x]
    columns = [a for a in range(y.ndim) if a not in inner_y]
    shape = (*(x.shape[a] for a in rows), *(y.shape[a] for a in columns))
    inner = math.prod(sizes)
    left = reshape(permute_dims(x, axes=(*rows, *inner_x)), shape=(math.prod(x.shape[a] for a in rows), inner))
    right = reshape(permute_dims(y, axes=(*inner_y, *columns)), shape=(inner, math.prod(y.shape[a] for a in columns)))
    return reshape(matrix_product(left, right), shape=shape)


def paired_axes(x: Tensor, y: Tensor, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of each operand to sum over, nonnegative, pair by pair."""
    if isinstance(axes, int):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise ValueError(f"[tensordot] axes is {axes}; x has {x.ndim} axes and y {y.ndim}, of which as many are needed")
        return tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes))
    first, second = ((a,) if isinstance(a, int) else tuple(a) for a in axes)
    if len(first) != len(second):
        raise ValueError(f"[tensordot] axes is {axes}; as many axes of x as of y are needed")
    for pairs, operand in ((first, x), (second, y)):
        normalize_axes(tuple(pairs), operand.ndim, "tensordot")
    return tuple(a % x.ndim for a in first), tuple(a % y.ndim for a in second)


@public(method=True)
def dot(x: Any, y: Any) -> Tensor:
    """NumPy's dot product: of vectors their inner product, of matrices `matmul`, with a 0-d operand a plain product.

    Otherwise the last axis of `x` and the last but one of `y` are summed over, and all the others kept.

    **Example**

    >>> import arrayad as ad
    >>> ad.dot([1.0, 2.0], [3.0, 4.0])
    Tensor(11.)
    """
    x, y = asarray(x), asarray(y)
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    return tensordot(x, y, (x.ndim - 1, y.ndim - 2 if y.ndim > 1 else 0))


@public()
def inner(x: Any, y: Any) -> Tensor:
    """Sum of products over the last axis of each: z[i, …, j, …] = sum over k of x[i, …, k] y[j, …, k]."""
    x, y = asarray(x), asarray(y)
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    return tensordot(x, y, (x.ndim - 1, y.ndim - 1))


@public()
def vecdot(x: Any, y: Any, axis: int = -1) -> Tensor:
    """Inner products of vectors along `axis`: z = Σ conj(x) y; the other axes broadcast.

    **Example**

    >>> import arrayad as ad
    >>> ad.vecdot([[1.0, 2.0], [3.0, 4.0]], [10.0, 1.0])
    Tensor([12., 34.])
    """
    x, y = asarray(x), asarray(y)
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(f"[vecdot] an operand is 0-d: x is {describe(x)}, y is {describe(y)}; vectors are needed")
    x, y = (with_last(operand, normalize_axis(axis, operand.ndim, "vecdot")) for operand in (x, y))
    if x.shape[-1] != y.shape[-1]:
        raise ShapeError(f"[vecdot] sizes differ along axis {axis}: x is {describe(x)}, y is {describe(y)}; they must agree")
    return einsum("...i,...i->...", conjugated(x), y)


def with_last(x: Tensor, axis: int) -> Tensor:
    """The operand with one axis moved to the end."""
    return x if axis == x.ndim - 1 else permute_dims(x, axes=(*(a for a in range(x.ndim) if a != axis), axis))


@public()
def outer(x: Any, y: Any) -> Tensor:
    """All products of an element of `x` and one of `y`, both flattened: z[i, j] = x[i] y[j].

    **Example**

    >>> import arrayad as ad
    >>> ad.outer([1.0, 2.0], [3.0, 4.0])
    Tensor([[3., 4.],
            [6., 8.]])
    """
    x, y = asarray(x), asarray(y)
    return reshape(x, shape=(x.size, 1)) * reshape(y, shape=(1, y.size))


@public()
def kron(x: Any, y: Any) -> Tensor:
    """Kronecker product: blocks y times each element of `x`; the operand with fewer axes gets leading ones.

    **Example**

    >>> import arrayad as ad
    >>> ad.kron([1.0, 10.0], [1.0, 2.0])
    Tensor([ 1.,  2., 10., 20.])
    """
    x, y = asarray(x), asarray(y)
    n = max(x.ndim, y.ndim)
    a, b = ((1,) * (n - operand.ndim) + operand.shape for operand in (x, y))
    blocks = reshape(x, shape=tuple(m for size in a for m in (size, 1))) * reshape(
        y, shape=tuple(m for size in b for m in (1, size))
    )
    return reshape(blocks, shape=tuple(i * j for i, j in zip(a, b, strict=True)))


@linalg
def trace(x: Any, offset: int = 0, dtype: Any = None) -> Tensor:
    """Sum of a diagonal of each matrix: y[…] = sum over i of x[…, i, i + offset].  (`arrayad.trace` records programs.)

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.trace([[1.0, 2.0], [3.0, 4.0]])
    Tensor(5.)
    """
    return trace_along(x, offset, -2, -1, dtype, name="trace")


def trace_along(
    x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None, *, name: str = "trace"
) -> Tensor:
    """`numpy.trace`, whose matrices lie in the first two axes if nothing else is said."""
    x = asarray(x)
    if x.ndim < 2:
        raise ShapeError(f"[{name}] x is {describe(x)}; matrices are needed")
    if out is not None:
        raise TypeError(f"[{name}] out was given; results are new Tensors")
    return total(axes_diagonal(x, offset, axis1, axis2), -1, dtype)


NUMPY[np.trace] = trace_along


@linalg
def diagonal(x: Any, offset: int = 0) -> Tensor:
    """A diagonal of each matrix: y[…, i] = x[…, i, i + offset].  (`arrayad.diagonal` takes the first two axes, as NumPy's.)

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.diagonal([[[1.0, 2.0], [3.0, 4.0]]])
    Tensor([[1., 4.]])
    """
    return axes_diagonal(x, offset, -2, -1)


@public()
def cross(x: Any, y: Any, axis: int = -1) -> Tensor:
    """Cross products of vectors of length 3 along `axis`: z[0] = x[1] y[2] - x[2] y[1], and so on in a circle.

    **Raises** `ShapeError` for other lengths, and for other axes that do not broadcast.

    **Example**

    >>> import arrayad as ad
    >>> ad.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    Tensor([0., 0., 1.])
    """
    x, y = asarray(x), asarray(y)
    for operand in (x, y):
        if operand.ndim == 0 or operand.shape[normalize_axis(axis, operand.ndim, "cross")] != 3:
            raise ShapeError(f"[cross] vectors of length 3 along axis {axis} are needed; x is {describe(x)}, y is {describe(y)}")
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    following, preceding = np.array([1, 2, 0]), np.array([2, 0, 1])
    z = x[..., following] * y[..., preceding] - x[..., preceding] * y[..., following]
    return moveaxis(z, -1, axis)


@linalg
def multi_dot(arrays: Any) -> Tensor:
    """The product of several matrices in the order of fewest operations; the first and the last may be vectors.

    **Raises** `ValueError` for fewer than two; `ShapeError` for what is no matrix, and inner sizes that differ.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.multi_dot([[1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]], [3.0, 4.0]])
    Tensor(11.)
    """
    factors = [asarray(x) for x in arrays]
    if len(factors) < 2:
        raise ValueError(f"[multi_dot] {len(factors)} matrices came; two at least are needed")
    ends = factors[0].ndim, factors[-1].ndim
    if ends[0] == 1:
        factors[0] = reshape(factors[0], shape=(1, factors[0].size))
    if ends[1] == 1:
        factors[-1] = reshape(factors[-1], shape=(factors[-1].size, 1))
    if any(x.ndim != 2 for x in factors):
        raise ShapeError(f"[multi_dot] matrices are needed, and vectors at the ends; {', '.join(map(describe, factors))} came")
    product = chained(factors)
    kept = (product.shape[:1] if ends[0] == 2 else ()) + (product.shape[1:] if ends[1] == 2 else ())
    return reshape(product, shape=kept)


def chained(factors: list[Tensor]) -> Tensor:
    """The product of matrices, split where that costs least: dynamic programming over all runs of factors."""
    sizes = [factors[0].shape[0], *(x.shape[1] for x in factors)]
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(len(factors))}
    for length in range(1, len(factors)):
        for i in range(len(factors) - length):
            j = i + length
            best[i, j] = min((best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))

    def product(i: int, j: int) -> Tensor:
        split = best[i, j][1]
        return factors[i] if i == j else matmul(product(i, split), product(split + 1, j))

    return product(0, len(factors) - 1)


# --- norms ----------------------------------------------------------------------------------------------------------


@public()
def vector_norm(x: Any, ord: Any = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Norm over `axis`: y = (Σ |x|^ord)^(1/ord).

    The orders inf and -inf are the largest and the smallest |x|, 0 the number of elements that are not 0.

    **Kinks** the derivative where all of x is 0 is 0, and the second nan, of `norm(x)**2` too, whose limit 0 · ∞ no rule of
    the factors could tell; write `vecdot(x, x)` for the square.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.vector_norm([3.0, 4.0]), ad.linalg.vector_norm([3.0, -4.0], ord=1)
    (Tensor(5.), Tensor(7.))
    """
    x = floating(x)
    axes = normalize_axes(axis, x.ndim, "norm")
    if not isinstance(ord, int | float | np.number):
        raise ValueError(f"[norm] ord is {ord!r}; of vectors a number, inf or -inf is needed")
    if ord == 2 and x.dtype.kind in "fcO":
        return kept_dims(euclidean_norm(x, axis=axes), x, axes, keepdims)
    size = absolute(x)
    if ord == 0:
        return total(size != 0, axes, size.dtype, keepdims)
    if math.isinf(ord):
        if ord < 0:
            refuse_empty("norm", x, axes)
            return smallest(size, axes, keepdims)
        return largest(size, axes, keepdims) if count_of(x, axes) else total(size, axes, keepdims=keepdims)
    if ord == 1:
        return total(size, axes, keepdims=keepdims)
    return root_of_sum(size, float(ord), axes, keepdims)


def root_of_sum(size: Tensor, ord: float, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """(Σ size^ord)^(1/ord), with derivative 0 where the sum is 0 or, of a negative order, infinite."""
    sums = total(power(size, ord), axes, keepdims=keepdims)
    is_zero = sums == (0.0 if ord > 0 else np.inf)
    return where(is_zero, 0.0, power(where(is_zero, 1.0, sums), inverse(ord).beside(sums)))


MATRIX_ORDERS = '"fro", "nuc", 1, -1, 2, -2, inf and -inf'


@public()
def matrix_norm(x: Any, ord: Any = "fro", axis: tuple[int, int] = (-2, -1), keepdims: bool = False) -> Tensor:
    """Norm of each matrix: "fro" is the root of the sum of squares, 1 the largest sum of |x| down a column.

    inf is the largest sum along a row; -1 and -inf are the smallest sums.  2 is the largest singular value, -2 the smallest,
    and "nuc" the sum of all.

    **Raises** `ValueError` for other orders.

    **Kinks** those of `maximum`, `abs` and `svdvals`: where singular values tie or vanish, the derivative is one of those that
    lie between the one-sided ones.

    **Example**

    >>> import arrayad as ad
    >>> ad.linalg.matrix_norm([[3.0, 4.0], [0.0, 0.0]]), ad.linalg.matrix_norm([[3.0, 4.0], [0.0, 0.0]], ord=1)
    (Tensor(5.), Tensor(4.))
    """
    x = floating(x)
    if not isinstance(axis, tuple | list) or len(axis) != 2:
        raise ValueError(f"[norm] axis is {axis!r}; a pair of axes is needed for norms of matrices")
    down, across = (normalize_axis(a, x.ndim, "norm") for a in axis)
    axes = normalize_axes((down, across), x.ndim, "norm")
    if ord == "fro":
        return vector_norm(x, 2, axes, keepdims)
    if ord in (2, -2, "nuc"):
        values = svdvals(moveaxis(x, (down, across), (-2, -1)))
        if ord == "nuc" or (ord == 2 and not values.shape[-1]):
            norms = total(values, -1)
        else:
            norms = (largest if ord == 2 else smallest)(values, -1)
        return kept_dims(norms, x, axes, keepdims)
    if ord not in (1, -1, np.inf, -np.inf):
        raise ValueError(f"[norm] ord is {ord!r} of a matrix; supported are {MATRIX_ORDERS}")
    sums = total(absolute(x), down if abs(ord) == 1 else across, keepdims=True)
    return kept_dims((largest if ord > 0 else smallest)(sums, axes), x, axes, keepdims)


@public(method=True)
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """NumPy's norm: of all elements or along one axis that of a vector, along two axes that of a matrix.

    Without `ord` it is the root of the sum of squares, of any number of axes: y = √(Σ x²).  With `ord` and without
    `axis` a matrix has the norm of a matrix.  See `vector_norm` and `matrix_norm` for the orders.

    **Kinks** the derivative at x = 0 is 0; see `vector_norm`.

    **Example**

    >>> import arrayad as ad
    >>> ad.norm([3.0, 4.0]), ad.grad(ad.norm)(ad.zeros(2))
    (Tensor(5.), Tensor([0., 0.]))
    """
    x = floating(x)
    axes = normalize_axes(axis, x.ndim, "norm")
    if ord is None:
        return vector_norm(x, 2, axes, keepdims)
    if len(axes) == 2:
        pair: Any = axes if axis is None else axis
        return matrix_norm(x, ord, pair, keepdims)
    if len(axes) != 1:
        raise ValueError(f"[norm] ord is {ord!r} over {len(axes)} axes of {describe(x)}; one or two are needed, or no ord")
    return vector_norm(x, ord, axes, keepdims)

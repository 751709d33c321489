"""Matrices of derivatives: `jacobian` by either mode, `hessian`, and what is got without forming them.

The sweeps of a mode are batched: one run of the function, then one batched program for all columns, or rows, at once.

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), sections 3.1 to 3.3; Pearlmutter, Fast exact multiplication
by the Hessian, Neural Computation 6 (1994).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import stored
from arrayad.errors import DTypeError
from arrayad.primitives.arithmetic import add
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.complex import conjugated
from arrayad.primitives.joining import concat
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.shaped import aval
from arrayad.tensor import Tensor, handle
from arrayad.transforms.batching import vmap
from arrayad.transforms.boundary import Chosen, check_differentiable, chosen_arguments, result_leaves, zeros_like
from arrayad.transforms.forward import jvp, linearize
from arrayad.transforms.reverse import grad, pullback


def jacobian(
    f: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    mode: str = "auto",
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The Jacobian of a function of arrays: jacobian(f)(x)[i…, j…] = ∂f(x)[i…] / ∂x[j…].

    **Parameters** `argnums`: the position of the argument, or a tuple of positions.  Arguments and results may be trees of
    arrays; the Jacobian is a tree like the result, whose leaves are trees like the argument (tuples of them if `argnums` is
    one), and each array has the axes of its output, then those of its input.  `mode`: "forward" takes a sweep for each element
    of the arguments, "reverse" one for each element of the result, "auto" whichever are fewer (reverse in a tie; forward
    then costs a second run of `f`).  `has_aux`: `f` returns (out, aux), and the result is (jacobian, aux).  `holomorphic`:
    `f` is a holomorphic function, and its complex derivative is meant (docs/complex.md).  `chunk_size`: how many sweeps
    run together, which bounds the memory; None means all.

    **Raises** `DTypeError` for integer arguments, and where complex numbers ask for `holomorphic`; `ValueError` for another mode.

    **Example**

    >>> import arrayad as ad
    >>> ad.jacobian(lambda x: ad.stack([x[0] * x[1], ad.sin(x[0])]))(ad.tensor([0.0, 2.0]))
    Tensor([[2., 0.],
            [1., 0.]])
    """
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(f'[jacobian] mode is {mode!r}; it must be "auto", "forward" or "reverse"')
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"[jacobian] chunk_size is {chunk_size}; it must be at least 1, or None")

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        function = Chosen(f, chosen_arguments("jacobian", argnums, len(args)), args, kwargs)
        run = Run(function, function.primals, mode, has_aux)
        trees = [tree.unflatten(run.structure, leaves) for leaves in run.matrix(holomorphic, chunk_size)]
        result = tree.unflatten(run.shape, [x if isinstance(argnums, tuple) else x[0] for x in trees])
        return (result, run.aux) if has_aux else result

    return transformed


def jacfwd(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, **options: Any) -> Callable[..., Any]:
    """The Jacobian by forward mode: `jacobian` with mode "forward", cheaper for few inputs and many outputs.

    **Parameters** as of `jacobian`.

    **Example**

    >>> import arrayad as ad
    >>> ad.jacfwd(lambda t: ad.stack([ad.cos(t), ad.sin(t)]))(0.0)
    Tensor([-0.,  1.])
    """
    return jacobian(f, argnums, "forward", **options)


def jacrev(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, **options: Any) -> Callable[..., Any]:
    """The Jacobian by reverse mode: `jacobian` with mode "reverse", cheaper for many inputs and few outputs.

    **Parameters** as of `jacobian`.

    **Example**

    >>> import arrayad as ad
    >>> ad.jacrev(lambda x: (x * x).sum())(ad.tensor([1.0, 2.0]))
    Tensor([2., 4.])
    """
    return jacobian(f, argnums, "reverse", **options)


def hessian(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, **options: Any) -> Callable[..., Any]:
    """The matrix of second derivatives: hessian(f)(x)[…, i…, j…] = ∂²f(x)[…] / ∂x[i…] ∂x[j…].

    Forward over reverse: one run of the gradient, then one batched program for all columns.  For the product with a vector
    take `hvp`, which costs a few runs of `f` whatever the size.

    **Parameters** as of `jacobian`.

    **Example**

    >>> import arrayad as ad
    >>> ad.hessian(lambda x: x[0] ** 2 * x[1])(ad.tensor([1.0, 3.0]))
    Tensor([[6., 2.],
            [2., 0.]])
    """
    return jacfwd(jacrev(f, argnums, **options), argnums, **options)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """The Hessian of a scalar function times a vector: hvp(f, x, v)[i] = Σ_j ∂²f(x)/∂x[i]∂x[j] · v[j].

    Forward over reverse, at a small multiple of the cost of `f`; the matrix is never formed.

    **Parameters** `x`, `v`: trees of arrays of one structure and shapes.

    **Raises** `ShapeError` unless `f` returns a scalar, and for a `v` that does not fit.

    **Source** Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994).

    **Example**

    >>> import arrayad as ad
    >>> ad.hvp(lambda x: x[0] ** 2 * x[1], ad.tensor([1.0, 3.0]), ad.tensor([1.0, 0.0]))
    Tensor([6., 2.])
    """
    return jvp(grad(f), (x,), (v,))[1]


def elementwise_grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, holomorphic: bool = False
) -> Callable[..., Any]:
    """The derivative of a function that acts on each element by itself: elementwise_grad(f)(x)[i] = ∂f(x)[i] / ∂x[i].

    It is the gradient of the sum, Σ_j ∂f(x)[j]/∂x[i], which is that for such a function, and for no other.

    **Parameters** as of `grad`.

    **Example**

    >>> import arrayad as ad
    >>> ad.elementwise_grad(lambda x: x**3)(ad.tensor([1.0, 2.0]))
    Tensor([ 3., 12.])
    """

    @functools.wraps(f)
    def total(*args: Any, **kwargs: Any) -> Tensor:
        leaves, _ = result_leaves("elementwise_grad", f(*args, **kwargs))
        totals = [reduce_sum(y, axis=tuple(range(y.ndim))) for y in leaves]
        return functools.reduce(add, totals)

    return grad(total, argnums, holomorphic=holomorphic)


class Run:
    """A function at a point, ready for the sweeps of one mode.

    Forward and reverse mode differ in what is seeded and what is found, no more: a sweep takes a direction of one side's
    arrays to a change, or a cotangent, of the other's.
    """

    def __init__(self, function: Callable[..., Any], primals: tuple[Any, ...], mode: str, has_aux: bool) -> None:
        leaves, self.structure = tree.flatten(primals)
        check_differentiable("jacobian", function, primals, leaves)
        self.forward = mode == "forward"
        if self.forward:
            found = linearize(function, *primals, has_aux=has_aux)
        else:
            found = pullback("jacobian", function, primals, has_aux)
        self.inputs = [aval(x if hasattr(x, "dtype") else np.asarray(x)) for x in leaves]
        self.outputs, self.shape, self.linear, self.aux = placed(found)
        if mode == "auto" and sum(x.size for x in self.inputs) < sum(y.size for y in self.outputs):
            self.forward = True
            self.outputs, self.shape, self.linear, self.aux = placed(linearize(function, *primals, has_aux=has_aux))

    def matrix(self, holomorphic: bool, chunk_size: int | None) -> list[list[Tensor]]:
        """For each output the derivatives by each input."""
        self.check_complex(holomorphic)
        seeded, found = (self.inputs, self.outputs) if self.forward else (self.outputs, self.inputs)
        blocks = [self.images(i, seeded, holomorphic, chunk_size) for i in range(len(seeded))]
        if self.forward:
            return [[columns_last(block[j], x.shape) for block, x in zip(blocks, seeded, strict=True)] for j in range(len(found))]
        if holomorphic:
            blocks = [[conjugated(g) for g in block] for block in blocks]
        return [[reshape(g, shape=(*y.shape, *g.shape[1:])) for g in block] for block, y in zip(blocks, seeded, strict=True)]

    def check_complex(self, holomorphic: bool) -> None:
        """**Raises** `DTypeError` for complex outputs of complex inputs that are not said to be holomorphic, and the converse."""
        inputs, outputs = ({x.dtype.kind == "c" for x in avals} for avals in (self.inputs, self.outputs))
        if not holomorphic and True in inputs and True in outputs:
            raise DTypeError(
                "[jacobian] inputs and outputs are complex; say holomorphic=True if the function is, "
                "or take real and imaginary parts"
            )
        if holomorphic and False in inputs | outputs:
            raise DTypeError("[jacobian] holomorphic=True is for functions from complex arrays to complex arrays; some are real")

    def images(self, i: int, seeded: list[Any], holomorphic: bool, chunk_size: int | None) -> list[Tensor]:
        """What the unit directions of array i become, one after the other along a new leading axis.

        Of a complex array there are two for each element, e and ie, unless the function is holomorphic; what comes of them
        is real, and makes the parts of a complex number.
        """
        like = seeded[i]
        step = max(1, like.size) if chunk_size is None else chunk_size
        chunks = [self.swept(i, seeded, basis(like, start, step)) for start in range(0, max(1, like.size), step)]
        if like.dtype.kind == "c" and not holomorphic:
            turned = [self.swept(i, seeded, basis(like, start, step) * 1j) for start in range(0, max(1, like.size), step)]
            chunks = [[x + 1j * y for x, y in zip(*pair, strict=True)] for pair in zip(chunks, turned, strict=True)]
        return chunks[0] if len(chunks) == 1 else [concat(*parts, axis=0) for parts in zip(*chunks, strict=True)]

    def swept(self, i: int, seeded: list[Any], directions: Any) -> list[Tensor]:
        """What some directions of array i become, in a batch."""

        def one(direction: Any) -> Any:
            seeds = [direction if j == i else zeros_like(x) for j, x in enumerate(seeded)]
            if self.forward:
                return tree.leaves(self.linear(*tree.unflatten(self.structure, seeds)))
            return tree.leaves(self.linear(tree.unflatten(self.shape, seeds)))

        if directions.shape[0] == 1:
            return [reshape(g, shape=(1, *g.shape)) for g in one(handle(directions[0]))]
        return vmap(one)(handle(directions))


def placed(found: tuple[Any, ...]) -> tuple[list[Any], tree.Structure, Callable[..., Any], Any]:
    """What `linearize` or `vjp` gave: abstract outputs, their structure, the linear function, aux."""
    out, linear, *aux = found
    leaves, structure = tree.flatten(out)
    return [aval(y.value) for y in leaves], structure, linear, aux[0] if aux else None


def basis(like: Any, start: int, count: int) -> Any:
    """Unit arrays like this one, from number `start` on, at most `count`."""
    rows = min(count, like.size - start)
    return stored(np.eye(rows, like.size, start, dtype=like.dtype).reshape(rows, *like.shape))


def columns_last(images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images of the elements of an array of this shape, with its axes last instead of first."""
    turned = permute_dims(images, axes=(*range(1, images.ndim), 0))
    return reshape(turned, shape=(*turned.shape[:-1], *shape))

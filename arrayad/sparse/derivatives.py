"""Sparse Jacobians and Hessians by compressed sweeps."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.errors import AbstractValueError, DTypeError, ShapeError, describe
from arrayad.readers import pattern as reader
from arrayad.shaped import Shaped, is_abstract
from arrayad.sparse.coloring import MODES, Coloring, boolean, color
from arrayad.sparse.plan import Plan
from arrayad.tape import recorded
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, aval_of, is_member, record
from arrayad.transforms.boundary import check_differentiable
from arrayad.transforms.forward import linearize
from arrayad.transforms.reverse import grad, pullback

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


class Derivative:
    """A function of `x` that returns a sparse derivative; made by `arrayad.sparse.jacobian` and `arrayad.sparse.hessian`.

    What does not depend on the values of `x` is done once for each shape and program and kept: see `plan`.
    """

    def __init__(self, name: str, function: Function, mode: str, pattern: Any, coloring: Coloring | None) -> None:
        self.name = name
        self.function = function
        self.mode = mode
        self.given = None if pattern is None else boolean(pattern)
        self.coloring = coloring
        self.plans: dict[Any, Plan] = {}
        self.programs: dict[Any, bytes] = {}
        self.is_checked = pattern is None

    def plan(self, x: Any, *args: Any, **kwargs: Any) -> Plan:
        """The pattern, the colouring and the number of sweeps for arguments like `x`: arrays, or `Shaped`.

        The function is traced by shapes at each call, at a cost that does not grow with them, since what it captures may have
        changed; the pattern and the colouring are made anew only where the program is another.
        """
        leaves, structure = tree.flatten(x)
        leaves = [leaf if is_abstract(leaf) else np.asarray(leaf) for leaf in leaves]
        check_differentiable(self.name, self.function, (x,), leaves)
        require_real(self.name, "argument", leaves)
        key = structure, *map(aval_of, leaves)
        if self.given is not None:
            found = self.given
            width = sum(leaf.size for leaf in leaves)
            if found.shape[1] != width:
                raise ShapeError(f"[{self.name}] the pattern has shape {found.shape}, but the argument has {width} elements")
        else:
            function = functools.partial(called, self.function, structure, args, kwargs)
            tape = traced(function, leaves)
            program = digest(tape)
            if self.programs.get(key) == program:
                return self.plans[key]
            self.programs[key] = program
            require_real(self.name, "result", tape.outputs)
            found = joined(reader.pattern(tape))
            if self.mode == "symmetric":
                found = found + found.T
        known = self.plans.get(key)
        if known is None or known.pattern.shape != found.shape or (known.pattern != found).nnz:
            self.plans[key] = Plan(found, self.coloring or color(found, self.mode))
        return self.plans[key]

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The derivative at `x`, a `scipy.sparse.csr_array`: a row for each element of the result, a column for each of `x`.

        Further arguments are passed on to the function.
        """
        plan = self.plan(x, *args, **kwargs)
        leaves, structure = tree.flatten(x)
        inputs = [handle(np.asarray(leaf)) for leaf in leaves]
        primal = tree.unflatten(structure, inputs)
        own = np.result_type(*(value.dtype for value in inputs))
        forward: Iterable[Array] = ()
        reverse: Iterable[Array] = ()
        outputs: list[Tensor] = []
        product = None
        if plan.forward or not self.is_checked:
            out, linear = linearize(lambda x: self.function(x, *args, **kwargs), primal)
            outputs = tree.leaves(out)

            def product(tangent: Array) -> Array:
                return flat(linear(shaped(tangent, inputs, structure)))

            forward = map(product, plan.tangents(own))
        if plan.reverse and self.mode != "symmetric":
            out, vjp_fn = pullback("vjp", lambda x: self.function(x, *args, **kwargs), (primal,), says=False)
            outputs, kind = tree.flatten(out)
            reverse = (flat(vjp_fn(shaped(ct, outputs, kind))[0]) for ct in plan.cotangents(own))
        require_real(self.name, "result", outputs)
        height = sum(y.size for y in outputs)
        if outputs and height != plan.pattern.shape[0]:
            raise ShapeError(f"[{self.name}] the pattern has shape {plan.pattern.shape}, but the result has {height} elements")
        matrix = plan.assemble(forward, reverse, np.result_type(own, *(y.dtype for y in outputs)))
        if not self.is_checked and product is not None:
            check(self.name, matrix, product)
            self.is_checked = True
        return matrix


def jacobian(f: Function, mode: str = "auto", pattern: Any = None, coloring: Coloring | None = None) -> Derivative:
    """The Jacobian of a function with a sparse one: J[i, j] = ∂f(x)[i] / ∂x[j], elements counted in C order.

    The sparsity pattern is found from a trace of `f` by shapes, its columns or rows are coloured, and a sweep for each colour
    gives all nonzeros.  The first call with a shape does this, the later ones only sweep, as long as the trace is the same.

    **Parameters** `f`: a function of an array or a tree of arrays, by which it is differentiated, and of anything else.  `mode`:
    "forward" colours columns, "reverse" rows, "both" mixes them, "auto" takes the fewest sweeps.  `pattern`: a sparse matrix
    that has a nonzero wherever the Jacobian can, instead of the one that is found; the first result is checked by a product
    with a random vector.  `coloring`: what `arrayad.sparse.color` returned.

    **Returns** a function of x that returns a `scipy.sparse.csr_array` of numbers, which has no derivative itself; its method
    `plan(x)` tells `pattern`, `coloring` and `sweeps`.

    **Raises** `ImportError` without SciPy; `MemoryError` where the derivative is dense, and too large.

    **Source** Curtis, Powell & Reid, On the estimation of sparse Jacobian matrices, IMA J. Appl. Math. 13 (1974).

    **Example**

    >>> import numpy as np, arrayad as ad
    >>> jac = ad.sparse.jacobian(lambda x: (x[1:] - x[:-1]) ** 2)
    >>> jac(np.array([0.0, 1.0, 3.0])).toarray()
    array([[-2.,  2.,  0.],
           [ 0., -4.,  4.]])
    >>> jac.plan(np.zeros(1000))
    <Plan of 2 sweeps, forward: 1998 nonzeros in 999 rows, 1000 columns>
    """
    if mode not in MODES or mode == "symmetric":
        raise ValueError(
            f"[sparse.jacobian] mode is one of {MODES[:-1]}, {mode!r} came; symmetric matrices are those of sparse.hessian"
        )
    return Derivative("sparse.jacobian", f, mode, pattern, coloring)


def hessian(f: Function, pattern: Any = None, coloring: Coloring | None = None) -> Derivative:
    """The Hessian of a scalar function with a sparse one: H[i, j] = ∂²f(x) / ∂x[i] ∂x[j], elements counted in C order.

    As `jacobian` of the gradient, with a star colouring, which shows each nonzero in one of its two places.

    **Parameters**, **Returns**, **Raises** as for `arrayad.sparse.jacobian`; `pattern` must be symmetric.

    **Source** Coleman & Moré, Estimation of sparse Hessian matrices and graph coloring problems, Math. Programming 28 (1984).

    **Example**

    >>> import numpy as np, arrayad as ad
    >>> hess = ad.sparse.hessian(lambda x: ad.sum(x[1:] * x[:-1] ** 2))
    >>> hess(np.array([1.0, 2.0, 3.0])).toarray()
    array([[4., 2., 0.],
           [2., 6., 4.],
           [0., 4., 0.]])
    """
    return Derivative("sparse.hessian", grad(f), "symmetric", pattern, coloring)


def pattern(f: Function, *args: Any) -> Any:
    """Where the Jacobian of `f` can have nonzeros: a boolean `scipy.sparse.csr_array`, outputs by inputs in C order.

    **Parameters** `args`: those of `f`, arrays or trees of them, `Shaped`, or shapes: an int or a tuple of ints stands for a
    float64 array.  Only where `f` branches on values are these needed; the pattern is then that of the branch taken.

    **Example**

    >>> import arrayad as ad
    >>> ad.sparse.pattern(lambda x: x * ad.flip(x), 4).toarray().astype(int)
    array([[1, 0, 0, 1],
           [0, 1, 1, 0],
           [0, 1, 1, 0],
           [1, 0, 0, 1]])
    """
    leaves, structure = tree.flatten(tuple(map(abstract, args)))
    check_differentiable("sparse.pattern", f, tuple(map(abstract, args)), leaves)
    tape = traced(lambda *handles: f(*tree.unflatten(structure, list(handles))), leaves)
    return joined(reader.pattern(tape))


def abstract(arg: Any) -> Any:
    """A shape as the abstract value of a float64 array; anything else as it is."""
    if arg.__class__ is int:
        arg = (arg,)
    is_shape = arg.__class__ is tuple and all(n.__class__ is int for n in arg)
    return Shaped(arg, "float64") if is_shape else arg


def traced(function: Function, leaves: list[Any]) -> Tape:
    """The tape of a function by shapes, which holds for all values; or, where values decide, that of the values at hand."""
    try:
        return record(function, [aval_of(leaf) for leaf in leaves])
    except AbstractValueError:
        if any(map(is_abstract, leaves)):
            raise
        return record(function, leaves)


def called(function: Function, structure: tree.Structure, args: Any, kwargs: Any, *handles: Tensor) -> Any:
    """The function on the leaves of its first argument."""
    return function(tree.unflatten(structure, list(handles)), *args, **kwargs)


def digest(tape: Tape) -> bytes:
    """What tells a program from others: its operations, how they are joined, their parameters and constants."""
    found = hashlib.blake2b(digest_size=16)
    places = {entry: i for i, entry in enumerate([*tape.inputs, *tape.entries])}

    def add(x: Any) -> None:
        if is_member(x, tape):
            found.update(f"w{places[recorded(x.history)]}".encode())
        elif isinstance(x, Tensor | np.ndarray):
            value = np.asarray(x.value if x.__class__ is Tensor else x)
            found.update(f"{describe(value)}".encode() + value.tobytes())
        elif isinstance(x, tuple | list):
            for part in x:
                add(part)
        elif isinstance(x, Mapping):
            for item in sorted(x.items()):
                add(item)
        elif isinstance(tape_of := getattr(x, "tape", None), Tape):
            found.update(digest(tape_of))
        else:
            found.update(f"{type(x).__name__} {x!r};".encode())

    for entry in tape.entries:
        add((entry.primitive.name, entry.output, entry.inputs, entry.params))
    add(tape.outputs)
    return found.digest()


def require_real(name: str, what: str, leaves: list[Any]) -> None:
    """**Raises** `DTypeError` for complex numbers, of which a derivative need not be a matrix, and for objects."""
    for leaf in leaves:
        if leaf.dtype.kind == "O":
            raise DTypeError(f"[{name}] the {what} is {describe(leaf)}, which SciPy's matrices do not hold; use ad.jacobian")
        if leaf.dtype.kind == "c":
            raise DTypeError(f"[{name}] the {what} is {describe(leaf)}, and must be real; use the real and imaginary parts")


def joined(patterns: list[Any]) -> Any:
    """The patterns of all outputs, one below the other."""
    return patterns[0] if len(patterns) == 1 else reader.import_sparse().vstack(patterns, format="csr")


def flat(result: Any) -> Array:
    """The leaves of a result as one vector."""
    parts = [np.asarray(leaf).reshape(-1) for leaf in tree.leaves(result)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def shaped(vector: Array, like: list[Tensor], structure: tree.Structure) -> Any:
    """A vector as a tree of arrays like these."""
    stops = np.cumsum([leaf.size for leaf in like])
    parts = np.split(vector, stops[:-1])
    leaves = [handle(part.reshape(leaf.shape).astype(leaf.dtype)) for part, leaf in zip(parts, like, strict=True)]
    return tree.unflatten(structure, leaves)


def check(name: str, matrix: Any, product: Callable[[Array], Array]) -> None:
    """**Raises** `ValueError` where the product with a random vector is not that of the function's own tangent."""
    vector = np.random.default_rng(0).uniform(1.0, 2.0, matrix.shape[1]).astype(matrix.dtype)
    wanted, found = product(vector), matrix @ vector
    scale = np.maximum(abs(matrix) @ vector, np.abs(wanted))
    wrong = np.flatnonzero(np.abs(wanted - found) > math.sqrt(np.finfo(matrix.dtype).eps) * scale)
    if wrong.size:
        raise ValueError(
            f"[{name}] the pattern that was given lacks nonzeros: row {wrong[0]} times a random vector is {found[wrong[0]]:.6g} "
            f"and should be {wanted[wrong[0]]:.6g}; leave it out to have it found"
        )

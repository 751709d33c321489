"""Reverse mode: `grad`, `value_and_grad`, `vjp`, and `backward` on Tensors.

A transform gives the function fresh inputs, each tied to the caller's by an identity entry, under a scope of its own:
the identity of entries is the tag that keeps nested derivatives apart.  What it returns is recorded only as far as
somebody older asks.

**Source** nested scopes: Siskind & Pearlmutter, Nesting forward-mode AD in a functional framework (2008).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from arrayad import tree
from arrayad.allowance import memory_limited
from arrayad.errors import DerivativeError, DTypeError, ShapeError, describe
from arrayad.modes import capturing, enable_grad, no_grad
from arrayad.namespace import attach
from arrayad.primitives.casting import fresh
from arrayad.primitives.complex import conjugated
from arrayad.readers.sweep import sweep
from arrayad.shaped import aval
from arrayad.tape import BACKWARD, CREATE_GRAPH, LEAF, Scope, Unfollowed, collect, recorded
from arrayad.tensor import Tensor, gradient_of
from arrayad.tracing import depends_on
from arrayad.transforms.boundary import (
    Chosen,
    check_differentiable,
    chosen_arguments,
    own,
    release_tree,
    released,
    result_leaves,
    seed,
    split_aux,
    unit,
    warn_of_unused,
    zeros_like,
)


class Linearized:
    """A run of a function under a scope: its outputs, and the sweep back to its inputs."""

    def __init__(self, name: str, function: Callable[..., Any], primals: tuple[Any, ...]) -> None:
        self.name, self.function, self.primals = name, function, primals
        Unfollowed.count += 1  # for a transform outside
        self.scope = scope = Scope()
        leaves, self.structure = tree.flatten(primals)
        check_differentiable(name, function, primals, leaves)
        self.inputs = [fresh(x, scope) for x in leaves]
        self.avals = [aval(x.value) for x in self.inputs]
        self.targets: list[Any] = [recorded(x.history) for x in self.inputs]
        unfollowed = Unfollowed.count
        try:
            with enable_grad():  # a no_grad outside holds for the results, not for the transform's own recording
                self.out = function(*tree.unflatten(self.structure, list(self.inputs)))
        finally:
            scope.open = False
        self.is_plain = Unfollowed.count == unfollowed and all(x.__class__ is not Tensor or x.history is None for x in leaves)

    def sweep(self, outputs: list[Tensor], cotangents: list[Any], release: bool) -> Any:
        """The cotangents of the primals, as a tree like theirs."""
        seeds = [(recorded(y.history), ct) for y, ct in zip(outputs, cotangents, strict=True) if depends_on(y, self.scope)]
        found = sweep(seeds, self.targets, self.scope, self.scope.serial, release)
        gradients = [found.get(entry) for entry in self.targets]
        if self.is_plain and any(g is None for g in gradients):
            self.check_use([entry for entry, _ in seeds])
        return tree.unflatten(
            self.structure,
            [zeros_like(like) if g is None else own(g) for g, like in zip(gradients, self.avals, strict=True)],
        )

    def check_use(self, outputs: list[Any]) -> None:
        """Warn of arguments that no output depends on.

        Not where the zero may be meant: somebody older follows the arguments, a transform ran inside the function (the second
        derivative of a linear one is 0), or something recorded went into an operation without a derivative (`floor`).
        """
        owners = [i for i, primal in enumerate(self.primals) for _ in tree.leaves(primal)]
        reached = set(collect(outputs, self.scope))
        used = {i for i, entry in zip(owners, self.targets, strict=True) if entry in reached}
        unused = sorted(set(owners) - used)
        if unused:
            warn_of_unused(self.name, self.function, len(self.primals), unused)


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of `f` at `primals`, and the function that takes a cotangent of it to those of the primals.

    out, vjp_fn = vjp(f, *primals);  vjp_fn(ct) = (ct · ∂f/∂primals[0], …)

    **Parameters** `f`: a function of trees of arrays that returns a tree of arrays; `has_aux`: it returns (out, aux)
    instead, and so does `vjp`: (out, vjp_fn, aux).

    **Returns** the output and a function of a cotangent, a tree like the output; it may be called any number of times,
    and later, and inside other transforms.

    **Raises** `DTypeError` for integer primals, `ShapeError` for a cotangent that does not fit.

    **Example**

    >>> import arrayad as ad
    >>> y, vjp_fn = ad.vjp(lambda a, b: a * b, 2.0, 3.0)
    >>> y, vjp_fn(1.0)
    (Tensor(6.), (Tensor(3.), Tensor(2.)))
    """
    return pullback("vjp", f, primals, has_aux)


def pullback(
    name: str, f: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool = False, says: bool = True
) -> tuple[Any, ...]:
    """`vjp`, on behalf of whoever has this name, and `says` where an argument is not used, or expects it."""
    run = Linearized(name, f, primals)
    run.is_plain &= says
    out, aux = split_aux(name, run.out, has_aux)
    outputs, structure = result_leaves(name, out)

    def vjp_fn(cotangent: Any) -> Any:
        """The cotangents of the primals, given one of the output."""
        cotangents, found = tree.flatten(cotangent)
        if found != structure:
            raise ShapeError(f"[{name}] the output is a tree {structure}, its cotangent {found}; they must agree")
        return run.sweep(outputs, [seed(y, ct, name) for y, ct in zip(outputs, cotangents, strict=True)], release=False)

    seen = tree.unflatten(structure, [released(y, run.scope) for y in outputs])
    return (seen, vjp_fn, release_tree(aux, run.scope)) if has_aux else (seen, vjp_fn)


def value_and_grad(
    f: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
    memory_limit: float | str | None = None,
) -> Callable[..., tuple[Any, Any]]:
    """The function that returns the value of `f`, a scalar, and its gradient by the arguments `argnums`.

    **Parameters** `argnums`: the position of an argument, or a tuple of them, in which case the gradient is a tuple too;
    `has_aux`: `f` returns (value, aux), and the result is ((value, aux), gradient).  `holomorphic`: `f` is a holomorphic function
    from complex arrays to a complex number, and its complex derivative is meant (docs/complex.md).  `memory_limit`: the bytes
    that the recording may hold, a number or a text such as "256MB"; loops (`scan`, `fori_loop`, `while_loop`) then keep as many
    carries as fit, and compute the others again.

    **Raises** `ShapeError` unless the value is a scalar; `DTypeError` for integers, and for a complex value unless `holomorphic`;
    `MemoryError` at the line that exceeds the limit.

    **Example**

    >>> import arrayad as ad
    >>> ad.value_and_grad(lambda x: x**3)(2.0)
    (Tensor(8.), Tensor(12.))
    """

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        function = Chosen(f, chosen_arguments("grad", argnums, len(args)), args, kwargs)
        with memory_limited(memory_limit):
            run = Linearized("grad", function, function.primals)
            out, aux = split_aux("grad", run.out, has_aux)
            (y,) = scalar_result(out, run.avals, holomorphic)
            gradients = run.sweep([y], [unit(y.dtype)], release=True)
        if holomorphic:
            gradients = tree.map(conjugated, gradients)
        value = released(y, run.scope)
        gradient = gradients if isinstance(argnums, tuple) else gradients[0]
        return ((value, release_tree(aux, run.scope)), gradient) if has_aux else (value, gradient)

    return transformed


def scalar_result(out: Any, inputs: list[Any], holomorphic: bool) -> list[Tensor]:
    """The single 0-d floating-point leaf that a differentiated function must return; complex, as its inputs, if holomorphic."""
    leaves, structure = result_leaves("grad", out)
    if structure.kind is not None or leaves[0].shape != ():
        came = describe(leaves[0]) if structure.kind is None else f"a tree {structure}"
        raise ShapeError(f"[grad] the function must return a scalar, it returned {came}; sum it, or use vjp or jacobian")
    if holomorphic and any(x.dtype.kind != "c" for x in (*inputs, *leaves)):
        came = ", ".join(map(describe, inputs))
        raise DTypeError(
            f"[grad] holomorphic=True is for functions from complex arrays to a complex number; "
            f"this one is from ({came}) to {describe(leaves[0])}"
        )
    if not holomorphic and leaves[0].dtype.kind not in "fO":
        cure = "; take abs, real or imag, or say holomorphic=True if the function is" if leaves[0].dtype.kind == "c" else ""
        raise DTypeError(f"[grad] the function must return a real number, it returned {describe(leaves[0])}{cure}")
    return leaves


def grad(
    f: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
    *,
    holomorphic: bool = False,
    memory_limit: float | str | None = None,
) -> Callable[..., Any]:
    """The gradient of a function that returns a scalar: grad(f)(x)[i] = ∂f(x)/∂x[i].

    By complex arguments it is ∂f/∂Re z + i ∂f/∂Im z, along which f rises most steeply (docs/complex.md).

    **Parameters** `argnums`: the position of the argument, or a tuple of positions; arguments may be trees of arrays,
    and the gradient is a tree like them.  `has_aux`: `f` returns (value, aux), and the result is (gradient, aux).
    `holomorphic`, `memory_limit`: as of `value_and_grad`.

    **Raises** `ShapeError` unless the value is a scalar; `DTypeError` for integers, and for a complex value unless `holomorphic`;
    `MemoryError` at the line that exceeds the limit.

    **Example**

    >>> import arrayad as ad
    >>> ad.grad(ad.sin)(0.0), ad.grad(ad.grad(lambda x: x**3))(2.0)
    (Tensor(1.), Tensor(12.))
    """
    both = value_and_grad(f, argnums, has_aux, holomorphic=holomorphic, memory_limit=memory_limit)

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


# --- backward on leaves --------------------------------------------------------------------------------------------


def backward(y: Tensor, cotangent: Any = None, *, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """Add the gradient of `y` by every leaf that requires grad to the leaf's `.grad`.

    **Parameters** `cotangent`: that of `y`, of its shape; may be omitted for a scalar, where it is 1.  `retain_graph`:
    keep the residuals for another call.  `create_graph`: record this sweep, so that gradients can be differentiated; a leaf's
    `.grad` then holds a recording that leads back to the leaf, which goes when `.grad` is set to None.

    **Raises** `DerivativeError` where `y` depends on no such leaf, or its recording was released by an earlier call;
    `ShapeError` without a cotangent for what is no scalar.

    **Example**

    >>> import arrayad as ad
    >>> x = ad.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.])
    """
    if not y.requires_grad:
        raise DerivativeError("[backward] this Tensor depends on no leaf that requires grad; nothing was recorded")
    if cotangent is None:
        if y.shape != ():
            raise ShapeError(f"[backward] a cotangent is needed for {describe(y)}, which is no scalar; sum it, or pass one")
        cotangent = unit(y.dtype)
    ct = seed(y, cotangent, "backward")
    release = not (create_graph if retain_graph is None else retain_graph)
    capture = capturing()
    if capture is not None:
        release = capture.sweeps(recorded(y.history), release)
    with no_grad() if capture is not None and not create_graph else nullcontext():
        found = sweep([(recorded(y.history), ct)], (), LEAF, CREATE_GRAPH if create_graph else BACKWARD, release)
        for leaf, g in found.items():
            g = own(g)
            gradient = gradient_of(leaf)
            before = gradient.value
            gradient.value = g if before is None else before + g


attach("backward", backward)

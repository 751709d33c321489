"""The transforms of functions: `grad`, `value_and_grad`, `vjp`, `trace`, and `backward` on Tensors.

A transform gives the function fresh inputs, each tied to the caller's by an identity entry, under a scope of its own:
the identity of entries is the tag that keeps nested derivatives apart.  What it returns is recorded only as far as
somebody older asks.

**Source** nested scopes: Siskind & Pearlmutter, Nesting forward-mode AD in a functional framework (2008).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.binding import innermost_trace
from arrayad.errors import DerivativeError, DTypeError, ShapeError, describe
from arrayad.modes import current_mode, enable_grad
from arrayad.namespace import attach
from arrayad.primitive import operand_names
from arrayad.primitives.casting import fresh
from arrayad.readers.sweep import fitted, sweep
from arrayad.shaped import aval, is_weak
from arrayad.tape import BACKWARD, CREATE_GRAPH, LEAF, Scope, kept
from arrayad.tensor import Tensor, freeze, handle
from arrayad.tracing import Tape, record

# --- what goes into a transform and what comes out ----------------------------------------------------------------


def check_differentiable(name: str, primals: Any, leaves: list[Any]) -> None:
    """**Raises** `DTypeError` for integers and booleans, of which there is no derivative, and for what is no array."""
    if all(x.__class__ is float or (hasattr(x, "dtype") and x.dtype.kind in "fc") for x in leaves):
        return
    for path, x in tree.paths(primals, "argument "):
        x = x if x.__class__ is Tensor else np.asarray(x)
        if x.dtype.kind not in "fc":
            raise DTypeError(
                f"[{name}] {path} is {describe(x)}; derivatives are of floating-point arguments only: write 3.0, or use astype"
            )


def released(y: Tensor, scope: Scope) -> Tensor:
    """An output as those see it who began before the scope."""
    history = kept(y.history, scope.serial)
    if history is not None and current_mode().quiet and innermost_trace([history]) is None:
        history = None
    return handle(y.value, history)


def result_leaves(name: str, out: Any) -> tuple[list[Tensor], tree.Structure]:
    """The leaves of a function's result as Tensors.

    **Raises** `TypeError` for a leaf that is no array, such as a closure, whose captured values would mix derivatives up.
    """
    leaves, structure = tree.flatten(out)
    if not all(map(is_array, leaves)):
        path, leaf = next((path, leaf) for path, leaf in tree.paths(out, "the result") if not is_array(leaf))
        raise TypeError(f"[{name}] {path} is {type(leaf).__name__}; a transformed function must return arrays")
    return [y if y.__class__ is Tensor else handle(freeze(np.asarray(y))) for y in leaves], structure


def is_array(leaf: Any) -> bool:
    """Whether a leaf of a result can be a Tensor."""
    return leaf.__class__ is Tensor or isinstance(leaf, np.ndarray | np.generic) or is_weak(leaf)


def seed(y: Tensor, ct: Any, name: str) -> Any:
    """A cotangent checked against its output, as a Tensor of the output's dtype."""
    ct = ct if ct.__class__ is Tensor else handle(np.array(ct))
    if ct.shape != y.shape:
        raise ShapeError(f"[{name}] the cotangent is {describe(ct)}, the output {describe(y)}; the shapes must agree")
    return fitted(ct, aval(y.value), None)[0]


@functools.cache
def unit(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The number 1, the cotangent of a scalar result."""
    return np.ones((), dtype)


def own(g: Any) -> Tensor:
    """A cotangent as a Tensor of its own: two results may have come by the same, and in-place changes must not meet."""
    return handle(g.value, g.history) if g.__class__ is Tensor else handle(g)


def zeros_like(x: Any) -> Tensor:
    return handle(np.zeros(x.shape, x.dtype))


class Linearized:
    """A run of a function under a scope: its outputs, and the sweep back to its inputs."""

    def __init__(self, name: str, function: Callable[..., Any], primals: Any) -> None:
        self.name = name
        self.scope = scope = Scope()
        leaves, self.structure = tree.flatten(primals)
        check_differentiable(name, primals, leaves)
        self.inputs = [fresh(x, scope) for x in leaves]
        self.avals = [aval(x.value) for x in self.inputs]
        self.targets = [x.history for x in self.inputs]
        try:
            with enable_grad():  # a no_grad outside holds for the results, not for the transform's own recording
                self.out = function(*tree.unflatten(self.structure, list(self.inputs)))
        finally:
            scope.open = False

    def sweep(self, outputs: list[Tensor], cotangents: list[Any], release: bool) -> Any:
        """The cotangents of the primals, as a tree like theirs."""
        seeds = [
            (y.history, ct)
            for y, ct in zip(outputs, cotangents, strict=True)
            if y.history is not None and self.scope in y.history.scopes
        ]
        found = sweep(seeds, self.targets, self.scope, self.scope.serial, release)
        gradients = [found.get(entry) for entry in self.targets]
        return tree.unflatten(
            self.structure,
            [zeros_like(like) if g is None else own(g) for g, like in zip(gradients, self.avals, strict=True)],
        )


# --- the transforms ------------------------------------------------------------------------------------------------


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
    run = Linearized("vjp", f, primals)
    out, aux = split_aux("vjp", run.out, has_aux)
    outputs, structure = result_leaves("vjp", out)

    def vjp_fn(cotangent: Any) -> Any:
        """The cotangents of the primals, given one of the output."""
        cotangents, found = tree.flatten(cotangent)
        if found != structure:
            raise ShapeError(f"[vjp] the output is a tree {structure}, its cotangent {found}; they must agree")
        return run.sweep(outputs, [seed(y, ct, "vjp") for y, ct in zip(outputs, cotangents, strict=True)], release=False)

    seen = tree.unflatten(structure, [released(y, run.scope) for y in outputs])
    return (seen, vjp_fn, release_tree(aux, run.scope)) if has_aux else (seen, vjp_fn)


def split_aux(name: str, out: Any, has_aux: bool) -> tuple[Any, Any]:
    """The (output, aux) pair that a function with `has_aux` returns."""
    if not has_aux:
        return out, None
    if not (isinstance(out, tuple) and len(out) == 2):
        raise TypeError(f"[{name}] with has_aux the function must return a pair (output, aux), it returned {type(out).__name__}")
    return out


def release_tree(aux: Any, scope: Scope) -> Any:
    """An auxiliary result, whose leaves may be anything, as those see it who began before the scope."""
    return tree.map(lambda y: released(y, scope) if y.__class__ is Tensor else y, aux)


def value_and_grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """The function that returns the value of `f`, a scalar, and its gradient by the arguments `argnums`.

    **Parameters** `argnums`: the position of an argument, or a tuple of them, in which case the gradient is a tuple too;
    `has_aux`: `f` returns (value, aux), and the result is ((value, aux), gradient).

    **Raises** `ShapeError` unless the value is a scalar; `DTypeError` for integers.

    **Example**

    >>> import arrayad as ad
    >>> ad.value_and_grad(lambda x: x**3)(2.0)
    (Tensor(8.), Tensor(12.))
    """

    @functools.wraps(f)
    def transformed(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        chosen = chosen_arguments("grad", argnums, len(args))

        def function(*primals: Any) -> Any:
            full = list(args)
            for position, primal in zip(chosen, primals, strict=True):
                full[position] = primal
            return f(*full, **kwargs)

        run = Linearized("grad", function, tuple(args[i] for i in chosen))
        out, aux = split_aux("grad", run.out, has_aux)
        (y,) = scalar_result(out)
        gradients = run.sweep([y], [unit(y.dtype)], release=True)
        value = released(y, run.scope)
        gradient = gradients if isinstance(argnums, tuple) else gradients[0]
        return ((value, release_tree(aux, run.scope)), gradient) if has_aux else (value, gradient)

    return transformed


def chosen_arguments(name: str, argnums: int | tuple[int, ...], count: int) -> tuple[int, ...]:
    """The nonnegative positions of `argnums`."""
    chosen = argnums if isinstance(argnums, tuple) else (argnums,)
    for position in chosen:
        if not -count <= position < count:
            raise TypeError(f"[{name}] argnums is {argnums}, but {count} positional arguments came")
    return tuple(position % count for position in chosen)


def scalar_result(out: Any) -> list[Tensor]:
    """The single 0-d floating-point leaf that a differentiated function must return."""
    leaves, structure = result_leaves("grad", out)
    if structure.kind is not None or leaves[0].shape != ():
        came = describe(leaves[0]) if structure.kind is None else f"a tree {structure}"
        raise ShapeError(f"[grad] the function must return a scalar, it returned {came}; sum it, or use vjp or jacobian")
    if leaves[0].dtype.kind != "f":
        raise DTypeError(f"[grad] the function must return a real number, it returned {describe(leaves[0])}")
    return leaves


def grad(f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function that returns a scalar: grad(f)(x)[i] = ∂f(x)/∂x[i].

    **Parameters** `argnums`: the position of the argument, or a tuple of positions; arguments may be trees of arrays,
    and the gradient is a tree like them.  `has_aux`: `f` returns (value, aux), and the result is (gradient, aux).

    **Raises** `ShapeError` unless the value is a scalar; `DTypeError` for integers.

    **Example**

    >>> import arrayad as ad
    >>> ad.grad(ad.sin)(0.0), ad.grad(ad.grad(lambda x: x**3))(2.0)
    (Tensor(1.), Tensor(12.))
    """
    both = value_and_grad(f, argnums, has_aux)

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
        cotangent = handle(unit(y.dtype))
    ct = seed(y, cotangent, "backward")
    release = not (create_graph if retain_graph is None else retain_graph)
    found = sweep([(y.history, ct)], (), LEAF, CREATE_GRAPH if create_graph else BACKWARD, release)
    for leaf, g in found.items():
        g = own(g)
        before = leaf.params.value
        leaf.params.value = g if before is None else before + g


attach("backward", backward)


# --- traces --------------------------------------------------------------------------------------------------------


def trace(f: Callable[..., Any]) -> Callable[..., Tape]:
    """The function that runs `f` once on its arguments and returns what it did, as a `Tape`.

    Arguments are trees of arrays, or of `Shaped`, with which `f` is traced by shapes alone: a branch on a value then
    raises, where with values it is followed and recorded as a guard.

    **Example**

    >>> import arrayad as ad
    >>> print(ad.trace(lambda x: ad.sin(x**2 + 1))(0.5))
    w0 = x                        f64[]  0.5
    w1 = w0²                      f64[]  0.25
    w2 = w1 + 1                   f64[]  1.25
    w3 = sin(w2)                  f64[]  0.948985
    """

    @functools.wraps(f)
    def traced(*args: Any) -> Tape:
        leaves, structure = tree.flatten(args)
        names = [
            name + path for name, arg in zip(parameter_names(f, len(args)), args, strict=True) for path, _ in tree.paths(arg)
        ]
        return record(lambda *handles: f(*tree.unflatten(structure, list(handles))), leaves, names)

    return traced


def parameter_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of a function's first positional parameters; `x1`, `x2`, … where it does not say."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else name for i, name in enumerate(operand_names(count))]

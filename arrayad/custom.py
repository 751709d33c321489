"""Derivatives by hand: functions whose VJP or JVP rule the user writes, `custom_vjp` and `custom_jvp`.

A call of such a function is one entry of the tape: the function's own operations are not recorded.  Its rule runs when a
derivative is asked for, in ordinary operations, so that it is differentiated, batched and traced in turn.  Forward mode
through a VJP rule, and reverse mode through a JVP rule, take the rule's transpose: each is linear in what it is given.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import testing, tree
from arrayad.arbitrary import stored
from arrayad.errors import DerivativeError, ShapeError, describe
from arrayad.primitive import every_operand, general
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.complex import conjugated
from arrayad.primitives.picking import outputs
from arrayad.samples import Samples
from arrayad.shaped import Bundle
from arrayad.tape import Traced, recorded
from arrayad.tensor import Tensor, freeze, handle
from arrayad.tracing import aval_of, record
from arrayad.transforms.batching import vmap
from arrayad.transforms.boundary import is_array, result_leaves, zeros_like
from arrayad.transforms.reverse import vjp

Leaves = list[Any]


class Call:
    """One call of a function with a rule of its own, as functions of the leaves of its arguments.

    `run(*xs)` gives the output's leaves.  `push(xs, tangents)` gives their tangents and `pull(xs, cts)` the operands'
    cotangents; None is zero on either side.  `batched` is the call of a batch, which the operands with axis 0 carry.
    """

    def __init__(self, name: str, run: Callable[..., Leaves]) -> None:
        self.name = name
        self.run = run

    def push(self, xs: Leaves, tangents: Leaves) -> Leaves:
        raise TypeError(self.name)

    def pull(self, xs: Leaves, cts: Leaves) -> Leaves:
        raise TypeError(self.name)

    def batched(self, axes: list[int | None]) -> Call:
        raise TypeError(self.name)


def kernel(*values: Any, call: Call) -> Bundle:
    """The values of the output's leaves."""
    leaves = call.run(*map(handle, values))
    if any(y.history is not None for y in leaves):
        raise DerivativeError(
            f"[{call.name}] the function captures a value that is being differentiated, of which its rule knows nothing; "
            "pass it as an argument"
        )
    return Bundle(y.value for y in leaves)


def shape(*avals: Any, call: Call) -> Bundle:
    """The shapes of the output's leaves, by a trace."""
    return Bundle(map(aval_of, record(call.run, list(avals)).outputs))


def push(tangents: Any, y: Any, *xs: Any, call: Call) -> Bundle:
    return Bundle(call.push(list(xs), list(tangents)))


def pull(needed: Any, ct: Any, y: Any, *xs: Any, call: Call) -> Leaves:
    return call.pull(list(xs), list(ct))


def batch(size: int, operands: Any, batched: Any, *, call: Call) -> Any:
    return custom(*operands, call=call.batched([0 if flag else None for flag in batched]))


custom = general(
    "custom",
    """A function with a derivative rule of the user's: `call` holds both.""",
    numpy=kernel,
    shape=shape,
    jvp=push,
    vjp=pull,
    samples=Samples(cases=[]),
)
row: Any = custom.primitive  # type: ignore[attr-defined]
row.batch = batch


row.wanted = every_operand


def transposed(linear: Callable[..., Leaves], inputs: Leaves, cts: Leaves) -> Leaves:
    """The transpose of a linear function of some arrays, where None is zero, applied to cotangents of what it gives.

    `inputs` are like the arrays; those that have no derivative get None.
    """
    smooth = [i for i, x in enumerate(inputs) if x.dtype.kind in "fcO"]
    there: list[bool] = []

    def function(*given: Tensor) -> Leaves:
        full: Leaves = [None] * len(inputs)
        for i, x in zip(smooth, given, strict=True):
            full[i] = x
        found = linear(full)
        there[:] = [y is not None and ct is not None for y, ct in zip(found, cts, strict=True)]
        return [y for y, used in zip(found, there, strict=True) if used]

    _, back = vjp(function, *(zeros_like(inputs[i]) for i in smooth))
    found = back([conjugated(ct) for ct, used in zip(cts, there, strict=True) if used])
    result: Leaves = [None] * len(inputs)
    for i, g in zip(smooth, found, strict=True):
        result[i] = conjugated(g)
    return result


class VJPCall(Call):
    """A call with a VJP rule: `forward(*xs)` gives the output's leaves and residuals, `backward(residuals, cts)` the cotangents.

    A call that is recorded, and not for replay, `keeps` the residuals of its own run, which serve a sweep that nobody records;
    a sweep that is recorded runs `forward` again, on what is recorded.
    """

    def __init__(self, name: str, run: Any, forward: Callable[..., Any], backward: Callable[..., Leaves], keeps: bool) -> None:
        super().__init__(name, self.run_forward if keeps else run)
        self.plain_run = run
        self.forward = forward
        self.backward = backward
        self.keeps = keeps
        self.kept: Any = None

    def run_forward(self, *xs: Any) -> Leaves:
        leaves, residuals = self.forward(*xs)
        self.kept = [aval_of(y) for y in leaves], residuals
        return leaves

    def pull(self, xs: Leaves, cts: Leaves) -> Leaves:
        leaves, residuals = self.kept if self.keeps and all(x.history is None for x in xs) else self.forward(*xs)
        full = [zeros_like(y) if ct is None else conjugated(ct) for y, ct in zip(leaves, cts, strict=True)]
        return [None if g is None else conjugated(g) for g in self.backward(residuals, full)]

    def push(self, xs: Leaves, tangents: Leaves) -> Leaves:
        leaves, residuals = self.forward(*xs)

        def linear(cts: Leaves) -> Leaves:
            full = [zeros_like(y) if ct is None else conjugated(ct) for y, ct in zip(leaves, cts, strict=True)]
            return [None if g is None else conjugated(g) for g in self.backward(residuals, full)]

        return transposed(linear, leaves, tangents)

    def batched(self, axes: list[int | None]) -> VJPCall:
        def backward(residuals: Any, cts: Leaves) -> Leaves:
            there: list[bool] = []

            def example(residuals: Any, cts: Leaves) -> Leaves:
                found = self.backward(residuals, cts)
                there[:] = [g is not None for g in found]
                return [g for g in found if g is not None]

            found = iter(vmap(example)(residuals, cts))
            return [over_examples(next(found), axis) if used else None for used, axis in zip(there, axes, strict=True)]

        return VJPCall(self.name, vmap(self.plain_run, tuple(axes)), vmap(self.forward, tuple(axes)), backward, False)


def over_examples(g: Tensor, axis: int | None) -> Tensor:
    """The cotangent of an operand, given one for each example: their sum where the examples share the operand."""
    return reduce_sum(g, axis=(0,)) if axis is None else g


class JVPCall(Call):
    """A call with a JVP rule: `rule(xs, tangents)` gives the tangents of the output's leaves."""

    def __init__(self, name: str, run: Any, rule: Callable[[Leaves, Leaves], Leaves]) -> None:
        super().__init__(name, run)
        self.rule = rule

    def push(self, xs: Leaves, tangents: Leaves) -> Leaves:
        return self.rule(xs, tangents)

    def pull(self, xs: Leaves, cts: Leaves) -> Leaves:
        return transposed(lambda tangents: self.rule(xs, tangents), xs, cts)

    def batched(self, axes: list[int | None]) -> JVPCall:
        def rule(xs: Leaves, tangents: Leaves) -> Leaves:
            moving = [i for i, t in enumerate(tangents) if t is not None]
            there: list[bool] = []

            def example(xs: Leaves, given: Leaves) -> Leaves:
                full: Leaves = [None] * len(xs)
                for i, t in zip(moving, given, strict=True):
                    full[i] = t
                found = self.rule(xs, full)
                there[:] = [t is not None for t in found]
                return [t for t in found if t is not None]

            found = iter(vmap(example, (list(axes), [axes[i] for i in moving]))(xs, [tangents[i] for i in moving]))
            return [next(found) if used else None for used in there]

        return JVPCall(self.name, vmap(self.run, tuple(axes)), rule)


def shape_of(x: Any) -> tuple[int, ...]:
    return x.shape if x.__class__ is Tensor else np.shape(x)


# --- what the user decorates ---------------------------------------------------------------------------------------


class Custom:
    """A function with a derivative rule: what `custom_vjp` and `custom_jvp` share."""

    def __init__(self, function: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.parameters = inspect.signature(function)
        self.nondiff_argnums = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.parameters.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(
                f"[{self.name}] a function with a custom rule takes no keyword-only arguments; {list(bound.kwargs)} came"
            )
        return self.applied(Arguments(self, list(bound.args)))

    def applied(self, arguments: Arguments) -> Any:
        """The output at these arguments."""

        def run(*xs: Any) -> Leaves:
            return arguments.flattened(self.function(*arguments.of(xs)))

        y = custom(*arguments.leaves, call=self.call(arguments, run))
        return tree.unflatten(arguments.output, list(outputs(y)))

    def call(self, arguments: Arguments, run: Callable[..., Leaves]) -> Call:
        """The call at these arguments."""
        raise TypeError(f"[{self.name}] no rule has been declared")

    def checked(self, check: Any) -> None:
        """Compare the rule with differences at the arguments `check`, if there are any."""
        if check is not None:
            testing.check_grads(self, tuple(check), order=1)


class Arguments:
    """The arguments of a call: the leaves of those to differentiate by, and the others as they came."""

    def __init__(self, owner: Custom, args: list[Any]) -> None:
        self.name = owner.name
        self.args = args
        self.static = sorted(position % len(args) for position in owner.nondiff_argnums)
        self.dynamic = [i for i in range(len(args)) if i not in self.static]
        names = list(owner.parameters.parameters)
        self.names = [names[i] if i < len(names) else f"argument {i}" for i in self.dynamic]
        for i, name in zip(self.dynamic, self.names, strict=True):
            for path, leaf in tree.paths(args[i], name):
                if not is_array(leaf):
                    raise TypeError(
                        f"[{self.name}] {path} is {type(leaf).__name__}, not an array; name its position in nondiff_argnums"
                    )
        leaves, self.structure = tree.flatten(tuple(args[i] for i in self.dynamic))
        self.leaves = [x if x.__class__ is Tensor else handle(freeze(np.asarray(x))) for x in leaves]
        self.nondiff = [args[i] for i in self.static]
        self.output: Any = None

    def of(self, leaves: Any) -> list[Any]:
        """All arguments, with these leaves."""
        full = list(self.args)
        for i, x in zip(self.dynamic, tree.unflatten(self.structure, list(leaves)), strict=True):
            full[i] = x
        return full

    def flattened(self, out: Any) -> Leaves:
        """The leaves of an output, whose structure is remembered."""
        leaves, self.output = result_leaves(self.name, out)
        return leaves

    def trees(self, leaves: Leaves) -> tuple[Any, ...]:
        """The arguments to differentiate by, with these leaves."""
        return tuple(tree.unflatten(self.structure, leaves))

    def given(self, found: Any, what: str) -> Leaves:
        """The leaves that a rule gave for the arguments: None, or a tree with None, for zero.

        **Raises** `ShapeError` where they do not fit.
        """
        whole = tree.unflatten(self.structure, self.leaves)
        try:
            leaves = tree.spread(found, whole)
        except ValueError as error:
            raise ShapeError(f"[{self.name}] the {what} must be a tuple like the arguments, or None for zero; {error}") from None
        paths = [path for name, arg in zip(self.names, whole, strict=True) for path, _ in tree.paths(arg, name)]
        result: Leaves = []
        for path, x, g in zip(paths, self.leaves, leaves, strict=True):
            if g is None or x.dtype.kind not in "fcO":
                result.append(None)
                continue
            g = g if g.__class__ is Tensor else handle(stored(np.asarray(g)))
            if g.shape != x.shape:
                raise ShapeError(f"[{self.name}] the {what} of {path} is {describe(g)}, {path} {describe(x)}; shapes must agree")
            result.append(g)
        return result


class custom_vjp(Custom):  # a decorator
    """A function whose VJP rule is yours.

    Declare the rule with `f.defvjp(forward, backward)`: `forward` takes the arguments of `f` and returns its output and the
    residuals, a tree of arrays; `backward(*nondiff, residuals, ct)` returns a tuple of the arguments' cotangents, None for
    zero.  Both may be differentiated, batched and traced, so that derivatives of every order and forward mode follow.

    **Parameters** `nondiff_argnums`: positions of arguments that are no arrays, or have no derivative; `backward` gets them
    first.  Integer arrays may be ordinary arguments, whose cotangents are disregarded.

    **Raises** `DerivativeError` where `f` captures a value that is being differentiated; `ShapeError` for cotangents that
    do not fit.

    **Source** the interface is JAX's.

    **Example**

    >>> import arrayad as ad
    >>> @ad.custom_vjp
    ... def log1pexp(x):
    ...     return ad.log(1.0 + ad.exp(x))
    >>> log1pexp.defvjp(lambda x: (log1pexp(x), x), lambda x, ct: (ct / (1.0 + ad.exp(-x)),), check=(1.0,))
    >>> ad.grad(log1pexp)(100.0)
    Tensor(1.)
    """

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any], *, check: Any = None) -> None:
        """Declare the rule; `check`, a tuple of arguments, has it compared with differences there at once."""
        self.forward = forward
        self.backward = backward
        self.checked(check)

    def call(self, arguments: Arguments, run: Callable[..., Leaves]) -> Call:
        if not hasattr(self, "forward"):
            raise DerivativeError(f"[{self.name}] no rule has been declared; call {self.name}.defvjp(forward, backward)")

        def forward(*xs: Any) -> tuple[Leaves, Any]:
            pair = self.forward(*arguments.of(xs))
            if not (isinstance(pair, tuple) and len(pair) == 2):
                raise TypeError(f"[{self.name}] forward must return (output, residuals), it returned {type(pair).__name__}")
            return arguments.flattened(pair[0]), pair[1]

        def backward(residuals: Any, cts: Leaves) -> Leaves:
            found = self.backward(*arguments.nondiff, residuals, tree.unflatten(arguments.output, cts))
            return arguments.given(tuple(found) if isinstance(found, list) else found, "cotangent")

        entries = [recorded(x.history) for x in arguments.leaves]
        keeps = any(entries) and not any(isinstance(entry, Traced) for entry in entries)
        return VJPCall(self.name, run, forward, backward, keeps)


class custom_jvp(Custom):  # a decorator
    """A function whose JVP rule is yours.

    Declare it with `f.defjvp(rule)`: `rule(*nondiff, primals, tangents)` returns the output and its tangent, and must be
    linear in the tangents; or with `f.defjvps(*rules)`, a function `rule(t, out, *primals)` for each argument, None for
    one without a derivative.  Reverse mode transposes the rule.

    **Parameters** `nondiff_argnums`: positions of arguments that are no arrays, or have no derivative; `rule` gets them first.

    **Raises** `DerivativeError` where `f` captures a value that is being differentiated; `ShapeError` for tangents that do
    not fit.

    **Source** the interface is JAX's.

    **Example**

    >>> import arrayad as ad
    >>> @ad.custom_jvp
    ... def f(x, y):
    ...     return ad.sin(x) * y
    >>> f.defjvps(lambda t, out, x, y: ad.cos(x) * t * y, lambda t, out, x, y: ad.sin(x) * t, check=(0.5, 2.0))
    >>> ad.grad(f, argnums=(0, 1))(0.0, 3.0)
    (Tensor(3.), Tensor(0.))
    """

    def defjvp(self, rule: Callable[..., Any], *, check: Any = None) -> None:
        """Declare the rule; `check`, a tuple of arguments, has it compared with differences there at once."""
        self.rule = rule
        self.checked(check)

    def defjvps(self, *rules: Callable[..., Any] | None, check: Any = None) -> None:
        """Declare a rule for each argument, whose terms are added."""

        def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
            out = self(*primals)
            terms = [
                term(t, out, *primals) for term, t in zip(rules, tangents, strict=True) if term is not None and t is not None
            ]
            return out, tree.map(lambda *parts: functools.reduce(lambda a, b: a + b, parts), *terms) if terms else None

        self.defjvp(rule, check=check)

    def call(self, arguments: Arguments, run: Callable[..., Leaves]) -> Call:
        if not hasattr(self, "rule"):
            raise DerivativeError(f"[{self.name}] no rule has been declared; call {self.name}.defjvp(rule)")

        def rule(xs: Leaves, tangents: Leaves) -> Leaves:
            full = [zeros_like(x) if t is None and x.dtype.kind in "fcO" else t for x, t in zip(xs, tangents, strict=True)]
            pair = self.rule(*arguments.nondiff, arguments.trees(xs), arguments.trees(full))
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise TypeError(f"[{self.name}] the rule must return (output, tangent), it returned {type(pair).__name__}")
            out = tree.leaves(pair[0])
            try:
                found = tree.spread(pair[1], pair[0])
            except ValueError as error:
                raise ShapeError(f"[{self.name}] output and tangent must be trees of one structure; {error}") from None
            for y, t in zip(out, found, strict=True):
                if t is not None and shape_of(t) != shape_of(y):
                    raise ShapeError(f"[{self.name}] the tangent is {describe(t)}, the output {describe(y)}; shapes must agree")
            return [t if t is None or t.__class__ is Tensor else handle(stored(np.asarray(t))) for t in found]

        return JVPCall(self.name, run, rule)

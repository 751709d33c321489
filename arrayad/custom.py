"""Derivatives by hand: functions whose VJP or JVP rule the user writes, `custom_vjp` and `custom_jvp`.

A call of such a function is one entry of the tape: the function's own operations are not recorded.  Its rule runs when a
derivative is asked for, in ordinary operations, so that it is differentiated, batched and traced in turn.  Forward mode
through a VJP rule, and reverse mode through a JVP rule, take the rule's transpose: each is linear in what it is given.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from arrayad import testing, tree
from arrayad.arbitrary import is_number, stored
from arrayad.control.program import captures_of
from arrayad.errors import AbstractValueError, DerivativeError, ShapeError, describe
from arrayad.primitive import Primitive, every_operand, operation
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.complex import conjugated
from arrayad.primitives.picking import outputs
from arrayad.samples import Samples
from arrayad.shaped import Bundle, is_weak
from arrayad.tape import Traced, recorded
from arrayad.tensor import NAMESPACE, Tensor, freeze, handle
from arrayad.tracing import Tape, aval_of, record
from arrayad.transforms.batching import vmap
from arrayad.transforms.boundary import is_array, result_leaves, zeros_like
from arrayad.transforms.reverse import pullback

Leaves = list[Any]


class Call:
    """One call of a function with a rule of its own, as functions of the leaves of its arguments.

    `run(*xs)` gives the output's leaves.  `push(xs, tangents)` gives their tangents and `pull(xs, cts)` the operands'
    cotangents; None is zero on either side.  `batched` is the call of a batch, which the operands with axis 0 carry.
    Calls of one `identity` are the same function.
    """

    def __init__(self, name: str, identity: str, function: Callable[..., Leaves]) -> None:
        self.name = name
        self.identity = identity
        self.function = function

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return other.__class__ is self.__class__ and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def run(self, *xs: Any) -> Leaves:
        return self.function(*xs)

    def push(self, xs: Leaves, tangents: Leaves) -> Leaves:
        raise TypeError(self.name)

    def pull(self, xs: Leaves, cts: Leaves) -> Leaves:
        raise TypeError(self.name)

    def batched(self, axes: list[int | None]) -> Call:
        raise TypeError(self.name)

    def release(self) -> None:
        """Forget what was kept for a derivative."""

    def captures(self) -> DerivativeError:
        """The error of a function that looks at what its rule does not know of."""
        return DerivativeError(
            f"[{self.name}] the function captures a value that is being differentiated, of which its rule knows nothing; "
            "pass it as an argument"
        )


def kernel(*values: Any, call: Call) -> Bundle:
    """The values of the output's leaves."""
    leaves = call.run(*map(handle, values))
    if any(y.history is not None for y in leaves):
        raise call.captures()
    return Bundle(y.value for y in leaves)


def shape(*avals: Any, call: Call) -> Bundle:
    """The shapes of the output's leaves, by a trace."""
    tape = record(call.run, list(avals))
    if captures_of([tape]):
        raise call.captures()
    return Bundle(map(aval_of, tape.outputs))


def push(tangents: Any, y: Any, *xs: Any, call: Call) -> Bundle:
    return Bundle(call.push(list(xs), list(tangents)))


def pull(needed: Any, ct: Any, y: Any, *xs: Any, call: Call) -> Leaves:
    return call.pull(list(xs), list(ct))


def batch(size: int, operands: Any, batched: Any, *, call: Call) -> Any:
    return custom(*operands, call=call.batched([0 if flag else None for flag in batched]))


def inline(*avals: Any, call: Call) -> Tape | None:
    """The tape of the function by shapes, for programs that nobody differentiates; None where it needs values."""
    try:
        tape = record(call.function, list(avals))
    except AbstractValueError:
        return None
    return None if captures_of([tape]) else tape


class Row(Primitive):
    """The row of custom functions: its rules may look at all operands, and its kernel is a user's code."""

    calls_back = True

    def wanted(self, parents: tuple[Any, ...]) -> frozenset[int]:
        return every_operand(parents)

    def release(self, entry: Any) -> None:
        entry.residuals = None
        entry.params["call"].release()


row = Row("custom", """A function with a derivative rule of the user's: `call` holds both.""", kernel, shape, Samples(cases=[]))
row.jvp, row.vjp, row.batch, row.inline = push, pull, batch, inline
custom = operation(row)


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

    _, back = pullback("vjp", function, tuple(zeros_like(inputs[i]) for i in smooth), says=False)
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

    def __init__(
        self,
        name: str,
        identity: str,
        function: Callable[..., Leaves],
        forward: Callable[..., Any],
        backward: Callable[..., Leaves],
        keeps: bool,
    ) -> None:
        super().__init__(name, identity, function)
        self.forward = forward
        self.backward = backward
        self.keeps = keeps
        self.kept: Any = None

    def run(self, *xs: Any) -> Leaves:
        if not self.keeps:
            return self.function(*xs)
        leaves, residuals = self.forward(*xs)
        residuals = tree.map(own, residuals)
        if any(r.history is not None for r in tree.leaves(residuals) if r.__class__ is Tensor):
            raise self.captures()
        self.kept = [aval_of(y) for y in leaves], residuals
        return leaves

    def release(self) -> None:
        self.kept = None

    def at(self, xs: Leaves) -> tuple[Callable[[Leaves], Leaves], Leaves]:
        """The linear map from the output's cotangents to the operands', None being zero, and the output's leaves."""
        usable = self.kept is not None and all(x.history is None for x in xs)
        leaves, residuals = self.kept if usable else self.forward(*xs)

        def linear(cts: Leaves) -> Leaves:
            full = [zeros_like(y) if ct is None else conjugated(ct) for y, ct in zip(leaves, cts, strict=True)]
            return [conjugated(g) for g in self.backward(tree.map(own, residuals), full)]

        return linear, leaves

    def pull(self, xs: Leaves, cts: Leaves) -> Leaves:
        linear, _ = self.at(xs)
        return linear(cts)

    def push(self, xs: Leaves, tangents: Leaves) -> Leaves:
        linear, leaves = self.at(xs)
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

        function, forward = vmap(self.function, tuple(axes)), vmap(self.forward, tuple(axes))
        return VJPCall(self.name, f"{self.identity} over {axes}", function, forward, backward, False)


def own(x: Any) -> Any:
    """An array as a Tensor of its own, which the rule may change in place; anything else itself."""
    if x.__class__ is Tensor:
        return handle(x.value, x.history)
    return handle(freeze(np.asarray(x))) if isinstance(x, np.ndarray | np.generic) or is_number(x) else x


def over_examples(g: Tensor, axis: int | None) -> Tensor:
    """The cotangent of an operand, given one for each example: their sum where the examples share the operand."""
    return reduce_sum(g, axis=(0,)) if axis is None else g


class JVPCall(Call):
    """A call with a JVP rule: `rule(xs, tangents)` gives the tangents of the output's leaves."""

    def __init__(
        self, name: str, identity: str, function: Callable[..., Leaves], rule: Callable[[Leaves, Leaves], Leaves]
    ) -> None:
        super().__init__(name, identity, function)
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

        return JVPCall(self.name, f"{self.identity} over {axes}", vmap(self.function, tuple(axes)), rule)


# --- what the user decorates ---------------------------------------------------------------------------------------


class Custom:
    """A function with a derivative rule: what `custom_vjp` and `custom_jvp` share; `check` is attached where it is written."""

    check: ClassVar[Callable[..., Any]]

    def __init__(self, function: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.identity = f"{id(self):x}"
        self.name = getattr(function, "__name__", type(function).__name__)
        self.parameters = signature_of(function)
        self.nondiff_argnums = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        for parameter in self.parameters.parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
                raise TypeError(
                    f"[{self.name}] {parameter.name} can be passed by keyword only, which the rules of a custom function "
                    "do not take; make it positional"
                )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.parameters.bind(*args, **kwargs)
        kinds = self.parameters.parameters
        if named := [
            name
            for name in bound.arguments
            if kinds[name].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        ]:
            raise TypeError(
                f"[{self.name}] the rules of a custom function take no keyword-only arguments; {', '.join(named)} came"
            )
        bound.apply_defaults()
        arguments, operands = Arguments.of_call(self, list(bound.args))
        y = custom(*operands, call=self.call(arguments, operands))
        return arguments.output_tree(list(outputs(y)))

    def call(self, arguments: Arguments, operands: list[Tensor]) -> Call:
        """The call at these arguments."""
        raise TypeError(f"[{self.name}] no rule has been declared")

    def __getattr__(self, name: str) -> Any:
        if name == "check":  # attached by a package that is imported when it is first asked for
            return NAMESPACE["arrayad"].verification.check.__get__(self)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def checked(self, check: Any, *names: str) -> None:
        """Compare the rule with differences at the arguments `check`, if there are any; if it is wrong, take it back."""
        if check is None:
            return
        try:
            testing.check_grads(self, check if isinstance(check, tuple | list) else (check,), order=1)
        except Exception:
            for name in names:
                delattr(self, name)
            raise


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The parameters of a function; any number of positional ones where it does not say."""
    try:
        return inspect.signature(function)
    except ValueError:
        return inspect.Signature([inspect.Parameter("x", inspect.Parameter.VAR_POSITIONAL)])


class Arguments:
    """The arguments of a call: what arrays they have, and how to put the arguments together from these.

    Python's numbers stay what they are, and take the dtype of what they meet.  Nothing here holds an array.
    """

    @classmethod
    def of_call(cls, owner: Custom, args: list[Any]) -> tuple[Arguments, list[Tensor]]:
        """The arguments, and their arrays as Tensors."""
        found = cls(owner, args)
        leaves = tree.leaves(tuple(args[i] for i in found.dynamic))
        return found, [own(x) for x in leaves if not is_weak(x)]

    def __init__(self, owner: Custom, args: list[Any]) -> None:
        self.name = owner.name
        for position in owner.nondiff_argnums:
            if not -len(args) <= position < len(args):
                raise TypeError(f"[{self.name}] nondiff_argnums has {position}, but there are {len(args)} arguments")
        static = {position % len(args) for position in owner.nondiff_argnums}
        self.static = {i: args[i] for i in sorted(static)}
        self.dynamic = [i for i in range(len(args)) if i not in static]
        names = list(owner.parameters.parameters)
        self.paths = []
        for i in self.dynamic:
            for path, leaf in tree.paths(args[i], names[i] if i < len(names) else f"argument {i}"):
                if not is_array(leaf):
                    raise TypeError(
                        f"[{self.name}] {path} is {type(leaf).__name__}, not an array; name its position in nondiff_argnums"
                    )
                self.paths.append(path)
        leaves, self.structure = tree.flatten(tuple(args[i] for i in self.dynamic))
        self.leaves = [x if is_weak(x) else aval_of(own(x) if is_number(x) else x) for x in leaves]
        self.output: tuple[tree.Structure, list[Any]] | None = None
        kept = [x if is_weak(x) else id(x) for x in self.static.values()], [x for x in self.leaves if is_weak(x)]
        self.identity = f"{self.name} {owner.identity} {self.structure} {kept}"

    @property
    def nondiff(self) -> list[Any]:
        """The arguments that the rules get first."""
        return list(self.static.values())

    def trees(self, arrays: Leaves) -> tuple[Any, ...]:
        """The arguments to differentiate by, with these arrays."""
        rest = iter(arrays)
        return tuple(tree.unflatten(self.structure, [x if is_weak(x) else next(rest) for x in self.leaves]))

    def tangents(self, arrays: Leaves) -> tuple[Any, ...]:
        """The tangents of the arguments: None for an integer, zero for a Python number."""
        rest = iter(arrays)
        zeros = {float: 0.0, complex: 0j}
        return tuple(tree.unflatten(self.structure, [zeros.get(type(x)) if is_weak(x) else next(rest) for x in self.leaves]))

    def complete(self, trees: Any) -> list[Any]:
        """All arguments in order, given those to differentiate by."""
        full = self.static | dict(zip(self.dynamic, trees, strict=True))
        return [full[i] for i in range(len(full))]

    def flattened(self, out: Any, source: str = "the function") -> Leaves:
        """The leaves of an output.

        **Raises** `ShapeError` where it is unlike that of an earlier run.
        """
        leaves, structure = result_leaves(self.name, out)
        if self.output is None:
            self.output = structure, [y.shape for y in leaves]
        if self.output != (structure, [y.shape for y in leaves]):
            before = describe_output(*self.output)
            now = describe_output(structure, [y.shape for y in leaves])
            raise ShapeError(f"[{self.name}] {source} returned {now}, where the output is {before}; they must agree")
        return leaves

    def output_tree(self, leaves: Leaves) -> Any:
        """A tree like the output, with these leaves."""
        assert self.output is not None
        return tree.unflatten(self.output[0], leaves)

    def given(self, found: Any) -> Leaves:
        """The cotangents of the arrays that a rule gave: None, or a tree with None, for zero.

        **Raises** `ShapeError` where they do not fit.
        """
        whole = tree.unflatten(self.structure, self.leaves)
        try:
            leaves = tree.matched(found, whole)
        except ValueError as error:
            raise ShapeError(
                f"[{self.name}] backward must return a tuple with a cotangent for each argument, or None for zero; {error}"
            ) from None
        result: Leaves = []
        for path, x, g in zip(self.paths, self.leaves, leaves, strict=True):
            if not is_weak(x):
                result.append(fitting(g, x, f"[{self.name}] the cotangent of {path}") if x.dtype.kind in "fcO" else None)
        return result


def describe_output(structure: tree.Structure, shapes: list[Any]) -> str:
    return f"{structure} of shapes {', '.join(map(str, shapes))}" if structure.kind else f"an array of shape {shapes[0]}"


def fitting(g: Any, x: Any, what: str) -> Any:
    """A tangent or cotangent as a Tensor, checked against its primal.

    **Raises** `ShapeError` for another shape, `TypeError` for what is no array.
    """
    if g is None:
        return None
    if not is_array(g):
        raise TypeError(f"{what} is {type(g).__name__}, not an array; return None for zero")
    g = g if g.__class__ is Tensor else handle(stored(np.asarray(g)))
    if g.shape != x.shape:
        raise ShapeError(f"{what} is {describe(g)}, its primal {describe(x)}; the shapes must agree")
    return g


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
        self.checked(check, "forward", "backward")

    def call(self, arguments: Arguments, operands: list[Tensor]) -> Call:
        if not hasattr(self, "forward"):
            raise DerivativeError(f"[{self.name}] no rule has been declared; call {self.name}.defvjp(forward, backward)")
        rule_forward, rule_backward = self.forward, self.backward

        def function(*xs: Any) -> Leaves:
            return arguments.flattened(self.function(*arguments.complete(arguments.trees(list(xs)))))

        def forward(*xs: Any) -> tuple[Leaves, Any]:
            pair = rule_forward(*arguments.complete(arguments.trees(list(xs))))
            if not (isinstance(pair, tuple) and len(pair) == 2):
                raise TypeError(f"[{self.name}] forward must return (output, residuals), it returned {type(pair).__name__}")
            return arguments.flattened(pair[0], "forward"), pair[1]

        def backward(residuals: Any, cts: Leaves) -> Leaves:
            found = rule_backward(*arguments.nondiff, residuals, arguments.output_tree(cts))
            return arguments.given(tuple(found) if found.__class__ is list else found)

        entries = [recorded(x.history) for x in operands]
        keeps = any(entries) and not any(isinstance(entry, Traced) for entry in entries)
        return VJPCall(self.name, arguments.identity, function, forward, backward, keeps)


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
        self.checked(check, "rule")

    def defjvps(self, *rules: Callable[..., Any] | None, check: Any = None) -> None:
        """Declare a rule `rule(t, out, *args)` for each argument that may be differentiated by; their terms are added."""

        def rule(*parts: Any) -> tuple[Any, Any]:
            *nondiff, primals, tangents = parts
            if len(rules) != len(primals):
                raise TypeError(f"[{self.name}] defjvps was given {len(rules)} rules for {len(primals)} arguments")
            positions = iter(nondiff)
            count = len(nondiff) + len(primals)
            static = {position % count for position in self.nondiff_argnums}
            rest = iter(primals)
            args = [next(positions) if i in static else next(rest) for i in range(count)]
            out = self(*args)
            pairs = [(term, t) for term, t in zip(rules, tangents, strict=True) if term is not None and t is not None]
            terms = [term(t, out, *args) for term, t in pairs]
            return out, tree.map(lambda *addends: functools.reduce(operator.add, addends), *terms) if terms else None

        self.defjvp(rule, check=check)

    def call(self, arguments: Arguments, operands: list[Tensor]) -> Call:
        if not hasattr(self, "rule"):
            raise DerivativeError(f"[{self.name}] no rule has been declared; call {self.name}.defjvp(rule)")
        declared = self.rule

        def function(*xs: Any) -> Leaves:
            return arguments.flattened(self.function(*arguments.complete(arguments.trees(list(xs)))))

        def rule(xs: Leaves, tangents: Leaves) -> Leaves:
            full = [zeros_like(x) if t is None and x.dtype.kind in "fcO" else t for x, t in zip(xs, tangents, strict=True)]
            pair = declared(*arguments.nondiff, arguments.trees(xs), arguments.tangents(full))
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise TypeError(f"[{self.name}] the rule must return (output, tangent), it returned {type(pair).__name__}")
            outs = arguments.flattened(pair[0], "the rule")
            try:
                found = tree.matched(pair[1], pair[0])
            except ValueError as error:
                raise ShapeError(f"[{self.name}] output and tangent must be trees of one structure; {error}") from None
            return [fitting(t, y, f"[{self.name}] a tangent of the output") for y, t in zip(outs, found, strict=True)]

        return JVPCall(self.name, arguments.identity, function, rule)

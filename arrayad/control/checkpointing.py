"""The row `checkpoint`, a program of which the reverse mode keeps the operands and what a policy saves, and runs the rest again.

Results: the program's, and the values that the policy saves.  The reverse mode runs the program a second time; where it comes
to an operation whose result was saved it takes that, by the row `recall`, whose derivative is the operation's.

**Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 12.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.binding import bind
from arrayad.control.branching import reverse_branch, tangent_branch
from arrayad.control.program import (
    Program,
    as_handle,
    by_order,
    captures_of,
    closed,
    coefficients,
    control,
    filled,
    followed,
    in_turn,
    is_at_hand,
    is_smooth,
    pulled,
    repeated,
    traced_body,
)
from arrayad.elementwise import Elementwise
from arrayad.errors import AbstractValueError
from arrayad.primitive import nothing
from arrayad.primitives.picking import output, outputs
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval, is_weak
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, aval_of, is_member, record

Policy = Callable[[Any], bool]
"""Whether the result of an entry is saved."""

# --- what was saved --------------------------------------------------------------------------------------------------


def recall_kernel(saved: Any, *operands: Any, body: Program) -> Any:
    return saved


def only_entry(body: Program) -> Any:
    """The operation that a program is, if it is one of all its operands in order, and of Python numbers."""
    tape = body.tape
    if len(tape.entries) == 1 and [x.history for x in tape.entries[0].inputs if not is_weak(x)] == tape.inputs:
        return tape.entries[0]
    return None


def beside_numbers(entry: Any, values: Sequence[Any], number: Callable[[Any], Any]) -> list[Any]:
    """What there is one of for each operand that is no Python number, and `number` of those that are."""
    rest = iter(values)
    return [number(x) if is_weak(x) else next(rest) for x in entry.inputs]


def operands_of(entry: Any, y: Any, operands: Sequence[Any]) -> list[Any]:
    """The operands as the rules take them: Python numbers in the dtype of the result."""
    return beside_numbers(entry, operands, lambda x: handle(y.dtype.type(x)))


def recall_jvp(tangents: Any, y: Any, saved: Any, *operands: Any, body: Program) -> Any:
    if all(t is None for t in tangents[1:]):
        return None
    entry = only_entry(body)
    if entry is not None:
        directions = beside_numbers(entry, tangents[1:], lambda x: None)
        return entry.primitive.jvp(directions, y, *operands_of(entry, y, operands), **entry.params)
    fact = followed(body, operands, [None if t is None else [t] for t in tangents[1:]], 0)[1][0]
    return fact and fact[0]


def recall_vjp(needed: Any, ct: Any, y: Any, saved: Any, *operands: Any, body: Program) -> Any:
    entry = only_entry(body)
    if entry is not None:
        wanted = beside_numbers(entry, needed[1:], lambda x: False)
        found = entry.primitive.vjp(wanted, ct, y, *operands_of(entry, y, operands), **entry.params)
        return [None, *(g for g, x in zip(found, entry.inputs, strict=True) if not is_weak(x))]
    return (None, *pulled(body, operands, needed[1:], [ct]))


def recall_batch(size: int, operands: Any, batched: Any, *, body: Program) -> Any:
    """What was saved of a batch is its result, whose derivative is that of the operation on a batch."""
    saved, *rest = operands
    if not batched[0]:
        saved = repeated(saved, size)
    if not any(batched[1:]):
        return saved
    return recalled(body.batched(size, tuple(batched[1:]), (True,)), [saved, *rest])


def recalled(body: Program, operands: Sequence[Any]) -> Tensor:
    """The first operand, as the result of `body` on the others."""
    entry = only_entry(body)
    row = RECALL_ELEMENTS if entry is not None and isinstance(entry.primitive, Elementwise) else RECALL
    return bind(row, tuple(operands), {"body": body})


RECALL = control(
    "recall",
    """The result of an operation on the operands behind the first, which is that result, saved before.""",
    numpy=recall_kernel,
    shape=recall_kernel,
    jvp=recall_jvp,
    vjp=recall_vjp,
    batch=recall_batch,
    cost=nothing,
)


RECALL_ELEMENTS = control(
    "recall_elements",
    """The same of an elementwise operation: its derivative leaves alone what a selection behind it has left out.""",
    numpy=recall_kernel,
    shape=recall_kernel,
    jvp=recall_jvp,
    vjp=recall_vjp,
    batch=recall_batch,
    cost=nothing,
    kind="pointwise",
)


def alone(entry: Any) -> Program:
    """One operation as a program of those operands that are no Python numbers."""

    def function(*xs: Tensor) -> Tensor:
        return bind(entry.primitive, tuple(beside_numbers(entry, xs, lambda x: x)), entry.params)

    return Program(record(function, [aval_of(x) for x in entry.inputs if not is_weak(x)]))


def saving(body: Program, policy: Policy) -> tuple[Program, Program]:
    """The program with what the policy saves as further results, and the same given these, behind its operands."""
    tape = body.tape
    found = [
        entry
        for entry in tape.entries
        if entry.primitive.kind != "selection" and entry.output.__class__ is Shaped and policy(entry)
    ]

    def run(operands: Sequence[Tensor], saved: Sequence[Tensor] | None) -> list[Any]:
        values: dict[Any, Any] = dict(zip(tape.inputs, operands, strict=True))
        known = {} if saved is None else dict(zip(found, saved, strict=True))

        def value_of(x: Any) -> Any:
            return values[x.history] if is_member(x, tape) else x

        for entry in tape.entries:
            inputs = tuple(map(value_of, entry.inputs))
            if entry in known:
                values[entry] = recalled(alone(entry), [known[entry], *(x for x in inputs if not is_weak(x))])
            else:
                values[entry] = bind(entry.primitive, inputs, entry.params)
        return [*map(value_of, tape.outputs), *(values[entry] for entry in found)]

    again = [*body.avals, *(entry.output for entry in found)]
    count = len(body.avals)
    return (
        Program(record(lambda *xs: run(xs, None), body.avals)),
        Program(record(lambda *xs: run(xs[:count], xs[count:]), again)),
    )


# --- the row ---------------------------------------------------------------------------------------------------------


def run_checkpoint(*values: Any, body: Program, again: Program) -> Bundle:
    with np.errstate(all="ignore"):
        return Bundle(body.run(list(values)))


def checkpoint_shape(*operands: Shaped, body: Program, again: Program) -> Bundle:
    return Bundle(body.out_avals)


def unfolded_checkpoint(run: Any, *operands: Any, body: Program, again: Program) -> Bundle:
    return Bundle(run(body.tape, list(operands)))


def checkpoint_cost(output: Any, *operands: Any, body: Program, again: Program) -> float:
    return body.flops


def apply_checkpoint(body: Program, again: Program, operands: Sequence[Tensor]) -> list[Tensor]:
    """The results of `body`, which `again` computes too, given those that it does not share with the user's function."""
    if not body.out_avals:
        return []
    return list(outputs(bind(CHECKPOINT, tuple(operands), {"body": body, "again": again})))


def followed_checkpoint(body: Program, xs: Any, facts: Any, order: int) -> list[list[Any] | None]:
    """The tangents, or coefficients, of the results, given the operands'."""
    flags = tuple(fact is not None for fact in facts)
    results = tuple(map(is_smooth, body.out_avals))
    program = tangent_branch(body, flags, results, order)
    given = [c for fact, x in zip(facts, xs, strict=True) if fact is not None for c in filled(fact, x, order)]
    return in_turn(apply_checkpoint(program, program, [*xs, *given]), results, order)


def checkpoint_jvp(tangents: Any, y: Any, *xs: Any, body: Program, again: Program) -> Bundle:
    facts = [None if t is None else [t] for t in tangents]
    return Bundle(fact and fact[0] for fact in followed_checkpoint(body, xs, facts, 0))


def checkpoint_taylor(order: int, y: Any, *xs: Any, body: Program, again: Program) -> Rule:
    values = [x[0] for x in xs]
    return by_order(lambda: followed_checkpoint(body, values, coefficients(xs, order), order))


def checkpoint_vjp(needed: Any, ct: Any, y: Any, *xs: Any, body: Program, again: Program) -> list[Any]:
    count = len(again.avals) - len(body.avals)
    saved = [output(y, len(body.out_avals) - count + k) for k in range(count)]
    wanted = tuple(bool(need) and is_smooth(x) for need, x in zip(needed, xs, strict=True))
    program = reverse_branch(again, (*wanted, *[False] * count), tuple(g is not None for g in ct))
    found = iter(apply_checkpoint(program, program, [*xs, *saved, *(g for g in ct if g is not None)]))
    return [next(found) if need else None for need in wanted]


def checkpoint_batch(size: int, operands: Any, batched: Any, *, body: Program, again: Program) -> Bundle:
    flags, results = tuple(batched), (True,) * len(body.out_avals)
    count = len(again.avals) - len(body.avals)
    programs = (body.batched(size, flags, results), again.batched(size, (*flags, *(True,) * count), results))
    return Bundle(apply_checkpoint(*programs, operands))


CHECKPOINT = control(
    "checkpoint",
    """A program of which the reverse mode keeps only the operands, and what is saved among its results.""",
    numpy=run_checkpoint,
    shape=checkpoint_shape,
    jvp=checkpoint_jvp,
    vjp=checkpoint_vjp,
    taylor=checkpoint_taylor,
    batch=checkpoint_batch,
    cost=checkpoint_cost,
    unfold=unfolded_checkpoint,
)


# --- public ----------------------------------------------------------------------------------------------------------


def checkpoint(f: Callable[..., Any], policy: str | Callable[[str, Shaped], bool] | None = None) -> Callable[..., Any]:
    """The same function, of which the reverse mode keeps only the arguments, and runs it a second time for its derivative.

    Use it on parts of a long program, such as the layers of a network: memory for one part at a time, at the cost of one more
    forward run.  For the steps of a loop see `checkpoint` of `scan`.  What `f` captured is differentiated too; what it computes
    of captured values alone is recorded as outside, so pass as arguments what is to be computed again.

    **Parameters** `f`: a function of trees of arrays, and of anything else, that returns a tree of arrays; traced by shapes, or,
    where it branches on values that are at hand, by these.  `policy`: which intermediate results to save all the same:
    "products", those of matrix products; a function of an operation's name and of its result's shape and dtype, a `Shaped`;
    None for none.  What only selects elements is computed again in any case.

    **Raises** `ValueError` for another policy; `TypeError` where `f` returns what is no array.

    **Source** Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 12.

    **Example**

    >>> import arrayad as ad
    >>> layer = ad.checkpoint(lambda x: ad.tanh(ad.exp(ad.sin(x))))
    >>> ad.grad(lambda x: layer(layer(x)))(0.5)
    Tensor(0.01277515)
    """
    saves = policy_of(policy)

    @functools.wraps(f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        moving = [i for i, x in enumerate(leaves) if x.__class__ is Tensor or isinstance(x, np.ndarray)]
        xs = [as_handle(leaves[i]) for i in moving]

        def function(*operands: Tensor) -> Any:
            full = list(leaves)
            for i, x in zip(moving, operands, strict=True):
                full[i] = x
            positional, named = tree.unflatten(structure, full)
            return f(*positional, **named)

        tape, by_values = traced_checkpoint(function, xs)
        captures = captures_of([tape])
        body, again = saving(closed(tape, captures, anew=by_values), saves)
        outs = apply_checkpoint(body, again, [*captures.values(), *xs])
        return tree.unflatten(tape.structure, outs[: len(tape.outputs)])

    return checkpointed


def traced_checkpoint(function: Callable[..., Any], xs: Sequence[Tensor]) -> tuple[Tape, bool]:
    """The tape of a function of Tensors by their shapes, or else, where it branches on them, by their values; which of them."""
    flat = tree.flatten(tuple(range(len(xs))))[1]
    try:
        return traced_body("checkpoint", function, flat, [aval(x.value) for x in xs]), False
    except AbstractValueError:
        if not all(map(is_at_hand, xs)):
            raise
        return traced_body("checkpoint", function, flat, xs), True


def policy_of(policy: Any) -> Policy:
    """The policy that an argument names.

    **Raises** `ValueError` where there is none of this name.
    """
    if policy is None:
        return lambda entry: False
    if policy == "products":
        return lambda entry: entry.primitive.kind == "bilinear"
    if callable(policy):
        return lambda entry: bool(policy(entry.primitive.name, entry.output))
    raise ValueError(f'[checkpoint] policy is {policy!r}; "products", a function of name and result, or None is needed')

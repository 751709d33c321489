"""`cond` and `switch`: the branch that an index takes, chosen when the program runs.

With an index at hand that no trace needs to see, the branch is called as it stands.  Else all branches are traced by shapes
into one row, whose kernel runs the one that is taken, and whose rules are switches in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.binding import bind
from arrayad.control.masking import along, masked
from arrayad.control.program import (
    Program,
    as_handle,
    bits,
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
    or_zeros,
    own_handle,
    pulled,
    repeated,
    traced_body,
)
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.primitives.casting import astype
from arrayad.primitives.comparison import equal, not_equal
from arrayad.primitives.indexing import zeros
from arrayad.primitives.picking import output
from arrayad.primitives.reduction import reduce_any
from arrayad.primitives.selection import maximum, minimum, where
from arrayad.series import Rule
from arrayad.shaped import Bundle, Shaped, aval, is_weak
from arrayad.tensor import Tensor, freeze
from arrayad.tracing import Tape, aval_of, constant_result

INTEGER = np.dtype(np.int64)

# --- the row -------------------------------------------------------------------------------------------------------


def run_switch(index: Any, *values: Any, branches: tuple[Program, ...]) -> Bundle:
    with np.errstate(all="ignore"):
        return Bundle(branches[int(index)].run(list(values)))


def switch_shape(index: Any, *operands: Shaped, branches: tuple[Program, ...]) -> Bundle:
    return Bundle(branches[0].out_avals)


def unfolded_switch(run: Any, index: Any, *operands: Any, branches: tuple[Program, ...]) -> Bundle:
    """The results of all branches, and of these the one that is taken."""
    *others, total = (run(branch.tape, list(operands)) for branch in branches)
    for i, found in reversed(list(enumerate(others))):
        total = [where(equal(index, i), y, z) for y, z in zip(found, total, strict=True)]
    return Bundle(total)


def switch_cost(output: Any, *operands: Any, branches: tuple[Program, ...]) -> float:
    return max(branch.flops for branch in branches)


def apply_switch(index: Tensor, branches: tuple[Program, ...], operands: Sequence[Tensor]) -> list[Tensor]:
    """The results of the branch that `index` takes, which is in range."""
    if not branches[0].out_avals:
        return []
    y = bind(SWITCH, (index, *operands), {"branches": branches})
    return [output(y, i) for i in range(len(branches[0].out_avals))]


def reached(branches: tuple[Program, ...], flags: Sequence[bool], smooth: bool) -> list[bool]:
    """Which results depend, in some branch, on the flagged operands."""
    found = bits(flags)
    reaches = [branch.smooth_reach if smooth else branch.reach for branch in branches]
    return [any(mask & found for mask in masks) for masks in zip(*reaches, strict=True)]


def switch_jvp(tangents: Any, y: Any, index: Any, *xs: Any, branches: tuple[Program, ...]) -> Bundle:
    facts = [None if t is None else [t] for t in tangents[1:]]
    return Bundle(fact and fact[0] for fact in followed_switch(branches, index, xs, facts, 0))


def switch_taylor(order: int, y: Any, index: Any, *xs: Any, branches: tuple[Program, ...]) -> Rule:
    values = [x[0] for x in xs]
    return by_order(lambda: followed_switch(branches, index[0], values, coefficients(xs, order), order))


def followed_switch(branches: tuple[Program, ...], index: Any, xs: Any, facts: Any, order: int) -> list[list[Any] | None]:
    """The tangents, or coefficients, of the results, given the operands'."""
    flags = tuple(fact is not None for fact in facts)
    results = tuple(reached(branches, flags, smooth=True))
    programs = tuple(tangent_branch(branch, flags, results, order) for branch in branches)
    given = [c for fact, x in zip(facts, xs, strict=True) if fact is not None for c in filled(fact, x, order)]
    return in_turn(apply_switch(index, programs, [*xs, *given]), results, order)


def tangent_branch(branch: Program, flags: tuple[bool, ...], results: tuple[bool, ...], order: int) -> Program:
    """The tangents, or coefficients, of some results, given the operands and those of the flagged ones."""

    def function(*operands: Tensor) -> list[Tensor]:
        count = len(flags)
        _, found = followed(branch, operands[:count], in_turn(operands[count:], flags, order), order)
        wanted = zip(found, branch.out_avals, results, strict=True)
        return [c for fact, y, flag in wanted if flag for c in filled(fact, y, order)]

    moving = [x for x, flag in zip(branch.avals, flags, strict=True) if flag for _ in range(max(order, 1))]
    return branch.derive(("tangent branch", flags, results, order), function, [*branch.avals, *moving])


def switch_vjp(needed: Any, ct: Any, y: Any, index: Any, *xs: Any, branches: tuple[Program, ...]) -> list[Any]:
    wanted = tuple(bool(need) and is_smooth(x) for need, x in zip(needed[1:], xs, strict=True))
    given = tuple(g is not None for g in ct)
    programs = tuple(reverse_branch(branch, wanted, given) for branch in branches)
    found = iter(apply_switch(index, programs, [*xs, *(g for g in ct if g is not None)]))
    return [None, *(next(found) if need else None for need in wanted)]


def reverse_branch(branch: Program, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> Program:
    """The cotangents of the operands that are wanted, given the operands and the cotangents of some results."""

    def function(*operands: Tensor) -> list[Tensor]:
        rest = iter(operands[len(wanted) :])
        found = pulled(branch, operands[: len(wanted)], wanted, [next(rest) if flag else None for flag in given])
        return [or_zeros(g, x) for g, x, need in zip(found, branch.avals, wanted, strict=True) if need]

    avals = [*branch.avals, *(y for y, flag in zip(branch.out_avals, given, strict=True) if flag)]
    return branch.derive(("reverse branch", wanted, given), function, avals)


# --- batches -------------------------------------------------------------------------------------------------------


def switch_batch(size: int, operands: Any, batched: Any, *, branches: tuple[Program, ...]) -> Bundle:
    index, *xs = operands
    flags = tuple(batched[1:])
    results = tuple(reached(branches, flags, smooth=False))
    if not batched[0]:
        programs = tuple(branch.batched(size, flags, results) for branch in branches)
        outs = apply_switch(index, programs, xs)
        return Bundle(y if flag else repeated(y, size) for y, flag in zip(outs, results, strict=True))
    every = (True,) * len(results)
    total: list[Tensor] | None = None
    for i, branch in enumerate(branches):
        taken = equal(index, i)
        inputs = [masked(x, taken) if flag else x for x, flag in zip(xs, flags, strict=True)]
        program = branch.batched(size, flags, every)
        outs = apply_switch(some(taken), (nothing_like(program), program), inputs)
        total = outs if total is None else [where(along(taken, y.ndim), y, z) for y, z in zip(outs, total, strict=True)]
    return Bundle(total or ())


def some(taken: Tensor) -> Tensor:
    """1 where any example is taken, else 0."""
    return astype(reduce_any(taken, axis=(0,)), dtype=INTEGER)


def nothing_like(program: Program) -> Program:
    """The program of zeros that stands for a branch which no example takes."""
    return program.derive("nothing", lambda *operands: [zeros(y) for y in program.out_avals], program.avals)


SWITCH = control(
    "switch",
    """The results of the branch that the first operand, an index in range, takes of the others.""",
    numpy=run_switch,
    shape=switch_shape,
    jvp=switch_jvp,
    vjp=switch_vjp,
    taylor=switch_taylor,
    batch=switch_batch,
    cost=switch_cost,
    unfold=unfolded_switch,
)


# --- public --------------------------------------------------------------------------------------------------------


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any) -> Any:
    """`true_fun(*operands)` where `pred` holds, else `false_fun(*operands)`; only the branch that is taken runs.

    With a predicate at hand this is Python's `if`.  Within `vmap`, `trace`, or the body of a loop both branches are traced by
    shapes, and must return trees of one structure, shapes and dtypes.  Where `vmap` makes the predicate a batch, each
    branch runs on the examples that take it, the others being replaced before they go in, so that no nan or infinity of
    the branch not taken reaches values or derivatives.  What a branch computes of captured values alone is computed outside: hand
    over as operands what may lie outside the domain of a branch.

    **Parameters** `pred`: a 0-d boolean or number, of which 0 is false; `operands`: trees of arrays.

    **Raises** `ShapeError`, `DTypeError` where `pred` is no single number or the branches return different things.

    **Example**

    >>> import arrayad as ad
    >>> f = lambda x: ad.cond(x > 0.0, ad.sqrt, lambda x: 0.0 * x, x)
    >>> f(4.0), ad.vmap(ad.grad(f))(ad.tensor([4.0, -1.0]))
    (Tensor(2.), Tensor([0.25, 0.  ]))
    """
    chosen = as_handle(pred)
    if chosen.shape != ():
        raise ShapeError(f"[cond] the predicate is {describe(chosen)}; one boolean is needed: use any() or all(), or where")
    if is_at_hand(chosen):
        return taken_branch("cond", true_fun if chosen.value else false_fun, operands)
    holds = chosen if chosen.dtype.kind == "b" else not_equal(chosen, 0)
    return traced_switch("cond", astype(holds, dtype=INTEGER), (false_fun, true_fun), operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, the index clamped to the range of the branches; only the branch that is taken runs.

    **Parameters** `index`: a 0-d integer; `branches`: functions that return trees of one structure, shapes and dtypes;
    `operands`: trees of arrays.

    **Raises** `ShapeError`, `DTypeError` where the index is no single integer or the branches return different things;
    `ValueError` without branches.

    **Example**

    >>> import arrayad as ad
    >>> [float(ad.switch(i, [ad.sin, ad.cos, ad.exp], 0.0)) for i in (-1, 1, 7)]
    [0.0, 1.0, 1.0]
    """
    branches = tuple(branches)
    if not branches:
        raise ValueError("[switch] there are no branches; at least one is needed")
    chosen = as_handle(index)
    if chosen.shape != ():
        raise ShapeError(f"[switch] the index is {describe(chosen)}; a single integer is needed")
    if chosen.dtype.kind not in "iu":
        raise DTypeError(f"[switch] the index is {describe(chosen)}; an integer is needed: use astype")
    if is_at_hand(chosen):
        return taken_branch("switch", branches[min(max(int(chosen.value), 0), len(branches) - 1)], operands)
    clamped = minimum(maximum(astype(chosen, dtype=INTEGER), 0), len(branches) - 1)
    return traced_switch("switch", clamped, branches, operands)


def taken_branch(name: str, function: Callable[..., Any], operands: Any) -> Any:
    """A branch on its operands, as Tensors of its own, which it may change in place; and its results likewise."""
    result = function(*tree.map(own_handle, operands))
    return tree.map(lambda y: own_handle(y if y.__class__ is Tensor else constant_result(name, y)), result)


def traced_switch(name: str, index: Tensor, functions: Sequence[Callable[..., Any]], operands: Any) -> Any:
    """The row of these branches, traced by shapes."""
    leaves, structure = tree.flatten(operands)
    xs = [as_handle(x) for x in leaves]
    avals = [aval(x.value) for x in xs]
    weak: list[list[bool]] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            result = function(*args)
            weak.append(list(map(is_weak, tree.leaves(result))))
            return result

        return noted

    tapes = [traced_body(name, noting(function), structure, avals) for function in functions]
    captures = captures_of(tapes)
    for tape in tapes[1:]:
        check_structures(name, tapes[0], tape)
    settle_numbers(tapes, weak)
    for tape in tapes[1:]:
        check_branches(name, tapes[0], tape)
    programs = tuple(closed(tape, captures) for tape in tapes)
    return tree.unflatten(tapes[0].structure, apply_switch(index, programs, [*captures.values(), *xs]))


def check_structures(name: str, first: Tape, other: Tape) -> None:
    """Raise unless two branches return trees of one structure."""
    if first.structure != other.structure:
        raise ShapeError(f"[{name}] the branches return the trees {first.structure} and {other.structure}; they must agree")


def settle_numbers(tapes: list[Tape], weak: list[list[bool]]) -> None:
    """Give Python's numbers among the results the dtype that they have in the other branches, where it holds their kind."""
    for k in range(len(tapes[0].outputs)):
        dtypes = [aval_of(tape.outputs[k]).dtype for tape in tapes]
        strong = [dtype for dtype, flags in zip(dtypes, weak, strict=True) if not flags[k]]
        dtype = strong[0] if strong else np.result_type(*dtypes)
        for tape, own, flags in zip(tapes, dtypes, weak, strict=True):
            if flags[k] and np.can_cast(own, dtype, "same_kind"):
                tape.outputs[k] = freeze(tape.outputs[k].astype(dtype))


def check_branches(name: str, first: Tape, other: Tape) -> None:
    """Raise unless two branches return the same shapes and dtypes."""
    paths = tree.paths(tree.unflatten(first.structure, list(first.outputs)), "result")
    for (path, x), y in zip(paths, other.outputs, strict=True):
        a, b = aval_of(x), aval_of(y)
        if a.shape != b.shape:
            raise ShapeError(f"[{name}] the branches return {path} as {describe(a)} and {describe(b)}; shapes must agree")
        if a.dtype != b.dtype:
            raise DTypeError(f"[{name}] the branches return {path} as {describe(a)} and {describe(b)}; use astype in one of them")

"""The carry of a loop: the step that takes it to the next one, traced, and how much of it the reverse pass finds kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.allowance import inside_loop
from arrayad.control.program import as_handle, traced_body
from arrayad.control.schedule import EVERY, Schedule, of_carries, schedule_of
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.modes import current_mode
from arrayad.primitives.casting import astype
from arrayad.shaped import Shaped, aval, is_weak
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, aval_of


def traced_step(
    name: str, f: Callable[..., Any], init: Any, structure: tree.Structure, elements: list[Shaped]
) -> tuple[list[Tensor], Tape]:
    """The first carry, and the tape of one step, a function of carry and elements.

    A Python number as first carry takes the dtype that the step gives it.
    """
    leaves, carried = tree.flatten(init)
    carry = [as_handle(x) for x in leaves]

    def step(*handles: Tensor) -> Any:
        found = f(tree.unflatten(carried, list(handles[: len(carry)])), tree.unflatten(structure, list(handles[len(carry) :])))
        if not (isinstance(found, tuple) and len(found) == 2):
            raise TypeError(f"[{name}] the function must return a pair (carry, y), it returned {type(found).__name__}")
        following, y = found
        return following if tree.flatten(following)[1] != carried else in_dtypes(carry, carried, following), y

    flat = tree.flatten(tuple(range(len(carry) + len(elements))))[1]

    def trace() -> tuple[Tape, list[Any]]:
        with inside_loop():
            tape = traced_body(name, step, flat, [*(aval(x.value) for x in carry), *elements])
        return tape, check_carry(name, init, carried, tape)

    weak = [i for i, x in enumerate(leaves) if x.__class__ in SMALLEST]
    numbers = [carry[i] for i in weak]
    for i in weak:
        carry[i] = handle(np.zeros((), SMALLEST[leaves[i].__class__]))
    try:
        tape, found = trace()
    except DTypeError:  # of an operation that has no such small dtypes
        for i, number in zip(weak, numbers, strict=True):
            carry[i] = number
        tape, found = trace()
    while weak:
        changes = {i: met(number.dtype, found[i].dtype) for i, number in zip(weak, numbers, strict=True)}
        if all(carry[i].dtype == dtype for i, dtype in changes.items()):
            break
        for (i, dtype), number in zip(changes.items(), numbers, strict=True):
            carry[i] = astype(number, dtype=np.promote_types(carry[i].dtype, dtype))
        tape, found = trace()
    check_dtypes(name, init, carry, found)
    return carry, tape


SMALLEST = {int: np.dtype(np.int8), float: np.dtype(np.float16)}
"""The dtypes in which Python's numbers go into a step to see what they meet: whatever they meet prevails."""


def met(own: np.dtype[Any], found: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of a number that a step returned as `found`: its own where it met nothing."""
    if found in SMALLEST.values():
        return np.dtype(np.float64) if found.kind == "f" else own
    return found if np.can_cast(own, found, "same_kind") else own


def in_dtypes(carry: list[Tensor], carried: tree.Structure, following: Any) -> Any:
    """The next carry, with Python's numbers in it in the dtypes of the carry, where these hold their kind."""
    leaves = [
        np.asarray(y, x.dtype) if is_weak(y) and np.can_cast(np.asarray(y).dtype, x.dtype, "same_kind") else y
        for x, y in zip(carry, tree.leaves(following), strict=True)
    ]
    return tree.unflatten(carried, leaves)


def check_carry(name: str, init: Any, carried: tree.Structure, tape: Tape) -> list[Any]:
    """The abstract values of the next carry.

    **Raises** `ShapeError` where its structure or shapes are not those of the carry.
    """
    following = tape.structure.children[0]
    if following != carried:
        before, after = (
            {path for path, _ in tree.paths(tree.unflatten(structure, [0] * structure.leaves), "carry")}
            for structure in (carried, following)
        )
        changes = [f"{path} is missing" for path in sorted(before - after)] + [
            f"{path} is new" for path in sorted(after - before)
        ]
        raise ShapeError(
            f"[{name}] the carry is a tree {carried}, the next one {following}; they must agree"
            + (f": {', '.join(changes)}" if changes else "")
        )
    found = [aval_of(y) for y in tape.outputs[: carried.leaves]]
    for (path, x), y in zip(tree.paths(init, "carry"), found, strict=True):
        x = as_handle(x)
        if x.shape != y.shape:
            raise ShapeError(f"[{name}] the shape of {path} is {x.shape}, and {y.shape} after a step; the shapes must agree")
    return found


def check_dtypes(name: str, init: Any, carry: list[Tensor], found: list[Any]) -> None:
    """**Raises** `DTypeError` where a dtype of the next carry is not that of the carry."""
    for (path, _), x, y in zip(tree.paths(init, "carry"), carry, found, strict=True):
        if x.dtype != y.dtype:
            raise DTypeError(
                f"[{name}] {path} is {describe(x)}, and {describe(y)} after a step; the dtypes must agree: use astype on one"
            )


def schedule_for(name: str, checkpoint: Any, length: int, carry: Sequence[Tensor], usual: Any = None) -> Schedule:
    """The schedule that is asked for, or else the one that a `memory_limit` leaves room for, or without a limit the `usual`.

    **Raises** `MemoryError` where there is no room for three carries.
    """
    allowance = current_mode().allowance
    size = sum(x.nbytes for x in carry)
    if checkpoint is not None or allowance is None or not size:
        return schedule_of(name, usual if checkpoint is None else checkpoint, length)
    room = allowance.share() // size
    if length <= room:
        return EVERY
    if room < 3:
        raise MemoryError(
            f"[{name}] the carry takes {size:,} bytes, and memory_limit leaves {allowance.share():,} for this loop; "
            "room for at least 3 carries is needed"
        )
    return of_carries(room, length)

"""The carry of a loop: the step that takes it to the next one, traced, and how much of it the reverse pass finds kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.control.program import as_handle, traced_body
from arrayad.control.schedule import EVERY, Schedule, of_carries, schedule_of
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.modes import current_mode
from arrayad.primitives.casting import astype
from arrayad.shaped import Shaped, aval, is_weak
from arrayad.tensor import Tensor
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
        return found

    flat = tree.flatten(tuple(range(len(carry) + len(elements))))[1]
    while True:
        tape = traced_body(name, step, flat, [*(aval(x.value) for x in carry), *elements])
        found = check_carry(name, init, carried, tape)
        weak = [i for i, (x, y) in enumerate(zip(carry, found, strict=True)) if is_weak(leaves[i]) and takes(x.dtype, y.dtype)]
        if not weak:
            check_dtypes(name, init, carry, found)
            return carry, tape
        for i in weak:
            carry[i] = astype(carry[i], dtype=found[i].dtype)


def takes(dtype: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Whether a number of this dtype can become one of the other, another one, without loss of its kind."""
    return dtype != other and np.can_cast(dtype, other, "same_kind")


def check_carry(name: str, init: Any, carried: tree.Structure, tape: Tape) -> list[Any]:
    """The abstract values of the next carry.

    **Raises** `ShapeError` where its structure or shapes are not those of the carry.
    """
    following = tape.structure.children[0]
    if following != carried:
        raise ShapeError(f"[{name}] the carry is a tree {carried}, the next one {following}; they must agree")
    found = [aval_of(y) for y in tape.outputs[: carried.leaves]]
    for (path, x), y in zip(tree.paths(init, "carry"), found, strict=True):
        x = as_handle(x)
        if x.shape != y.shape:
            raise ShapeError(f"[{name}] {path} is {describe(x)}, and {describe(y)} after a step; the shapes must agree")
    return found


def check_dtypes(name: str, init: Any, carry: list[Tensor], found: list[Any]) -> None:
    """**Raises** `DTypeError` where a dtype of the next carry is not that of the carry."""
    for (path, _), x, y in zip(tree.paths(init, "carry"), carry, found, strict=True):
        if x.dtype != y.dtype:
            raise DTypeError(
                f"[{name}] {path} is {describe(x)}, and {describe(y)} after a step; the dtypes must agree: use astype on one"
            )


def schedule_for(name: str, checkpoint: Any, length: int, carry: Sequence[Tensor]) -> Schedule:
    """The schedule that is asked for, or else the one that a `memory_limit` leaves room for.

    **Raises** `MemoryError` where there is no room for three carries.
    """
    allowance = current_mode().allowance
    size = sum(x.nbytes for x in carry)
    if checkpoint is not None or allowance is None or not size:
        return schedule_of(name, checkpoint, length)
    room = allowance.share() // size
    if length <= room:
        return EVERY
    if room < 3:
        raise MemoryError(
            f"[{name}] the carry takes {size:,} bytes, and memory_limit leaves {allowance.share():,} for this loop; "
            "room for at least 3 carries is needed"
        )
    return of_carries(room)

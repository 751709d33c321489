"""Loops of known length: `scan`, `fori_loop`, `map`."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.control.carrying import schedule_for, traced_step
from arrayad.control.conditional_loop import while_loop
from arrayad.control.program import as_handle, captures_of, closed, is_at_hand
from arrayad.control.scanning import apply_scan
from arrayad.errors import DTypeError, ShapeError, describe
from arrayad.primitives.casting import astype
from arrayad.shaped import Shaped
from arrayad.tensor import Tensor, handle


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    *,
    checkpoint: Any = None,
) -> tuple[Any, Any]:
    """A loop that carries a value from step to step: carry, ys[i] = f(carry, xs[i]), for i = 0, 1, …, length - 1.

    `f` is traced by shapes, not run for each step, and the loop is one operation of the tape, whatever its length; a step costs a
    fraction of what it would cost in a Python loop.  A Python number as first carry takes the dtype of what it meets in the step,
    for which `f` is traced once more.

    **Parameters** `f`: a function of the carry and of a tree of the elements of this step, that returns the next carry, of the
    same structure, shapes and dtypes, and a tree of results, or None.  `init`: the first carry, a tree of arrays.  `xs`: a
    tree of arrays, of which each step takes one element along axis 0; None for a loop of `length` steps: `f` gets None.
    `reverse`: go from the last element to the first; results stand where their elements do.  `checkpoint`: what the reverse
    pass finds kept of the carries.  None keeps all; "sqrt" and an int n keep every so many, √length of them or n, and run
    each stretch between them a second time; "binomial" keeps about 2 log₂(length), or n with ("binomial", n), and runs
    stretches several times, by Revolve's schedule, which repeats least.

    **Returns** the last carry, and the results of all steps, stacked along a new axis 0.

    **Raises** `ShapeError`, `DTypeError` where lengths differ or the next carry is not like the carry; `AbstractValueError`
    where `f` branches on a value (write `cond` or `where`); `MemoryError` where a `memory_limit` leaves no room for three
    carries.

    **Source** Griewank & Walther, Algorithm 799: revolve, ACM Trans. Math. Softw. 26 (2000).

    **Example**

    >>> import arrayad as ad
    >>> ad.scan(lambda total, x: (total + x, total * x), 0.0, ad.tensor([1.0, 2.0, 3.0]))
    (Tensor(6.), Tensor([0., 2., 9.]))
    >>> ad.grad(lambda x: ad.scan(lambda y, _: (ad.sin(y), None), x, length=1000, checkpoint="sqrt")[0])(1.0)
    Tensor(0.00012436)
    """
    return scanned("scan", f, init, xs, length, reverse, checkpoint)


def scanned(
    name: str,
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any,
    length: int | None = None,
    reverse: bool = False,
    checkpoint: Any = None,
) -> tuple[Any, Any]:
    """What `scan` returns, with errors that have the name of the function that was called."""
    rows, structure = tree.flatten(xs)
    elements = [as_handle(x) for x in rows]
    count = loop_length(name, xs, elements, length)
    carry, tape = traced_step(name, f, init, structure, [Shaped(x.shape[1:], x.dtype) for x in elements])
    captures = captures_of([tape])
    body = closed(tape, captures)
    schedule = schedule_for(name, checkpoint, count, carry)
    outs = apply_scan(body, list(captures.values()), carry, elements, count, reverse, schedule=schedule)
    return tree.unflatten(tape.structure, outs)


def loop_length(name: str, xs: Any, elements: list[Tensor], length: int | None) -> int:
    """The number of steps.

    **Raises** `ShapeError` where there is none, or several.
    """
    paths = [path for path, _ in tree.paths(xs, "xs")]
    for path, x in zip(paths, elements, strict=True):
        if not x.shape:
            raise ShapeError(f"[{name}] {path} is {describe(x)}, which has no axis to loop along; capture what all steps share")
    found = {x.shape[0] for x in elements} | (set() if length is None else {length_of(length)})
    if not found:
        raise ShapeError(f"[{name}] neither xs nor length came; one of them must say how many steps to take")
    if len(found) > 1:
        came = ", ".join(f"{path} has {x.shape[0]}" for path, x in zip(paths, elements, strict=True))
        raise ShapeError(f"[{name}] the numbers of steps differ: {came}{'' if length is None else f', length is {length}'}")
    if min(found) < 0:
        raise ValueError(f"[{name}] length is {length}; it must be at least 0")
    return found.pop()


def length_of(length: Any) -> int:
    """A number of steps that was given.

    **Raises** `TypeError` where it is no integer.
    """
    if isinstance(length, Integral) and not isinstance(length, bool):
        return int(length)
    raise TypeError(f"[scan] length is {describe(length)}; an int is needed: for a length that is computed write fori_loop")


def fori_loop(lower: Any, upper: Any, body: Callable[[Any, Any], Any], init: Any, *, checkpoint: Any = None) -> Any:
    """The carry after the steps carry = body(i, carry) for i = lower, …, upper - 1.

    With bounds at hand this is a `scan`; with bounds that are traced, a `while_loop`.

    **Parameters** `lower`, `upper`: integers; `body`: a function of an int64 number and the carry, that returns the next carry,
    of the same structure, shapes and dtypes; `init`: the first carry, a tree of arrays; `checkpoint` as of `scan`.

    **Raises** as `scan`; `DTypeError` where a bound is no integer.

    **Example**

    >>> import arrayad as ad
    >>> ad.fori_loop(1, 6, lambda i, product: product * i, 1)
    Tensor(120)
    """
    bounds = [as_handle(x) for x in (lower, upper)]
    for word, x in zip(("lower", "upper"), bounds, strict=True):
        if x.shape != () or x.dtype.kind not in "iu":
            raise DTypeError(f"[fori_loop] {word} is {describe(x)}; a single integer is needed")
    if is_at_hand(bounds[0]) and is_at_hand(bounds[1]):
        numbers = handle(np.arange(int(bounds[0].value), int(bounds[1].value)))
        return scanned("fori_loop", lambda carry, i: (body(i, carry), None), init, numbers, checkpoint=checkpoint)[0]
    first, stop = (astype(x, dtype=np.dtype(np.int64)) for x in bounds)
    state = (first, init)
    return while_loop(lambda state: state[0] < stop, lambda state: (state[0] + 1, body(*state)), state, checkpoint=checkpoint)[1]


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """The results of `f` on the elements of `xs` along axis 0, one after the other: map(f, xs)[i] = f(xs[i]).

    `vmap` computes all elements at once, where their memory allows; this computes one at a time.

    **Parameters** `f`: a function of a tree of arrays that returns a tree of arrays; `xs`: a tree of arrays, whose leading axes
    are of one length.

    **Raises** as `scan`.

    **Example**

    >>> import arrayad as ad
    >>> ad.map(lambda x: ad.sum(x * x), ad.tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([ 5., 25.])
    """
    return scanned("map", lambda nothing, x: (None, f(x)), None, xs)[1]

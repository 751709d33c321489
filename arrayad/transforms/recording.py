"""`trace`: a function's run, kept as a tape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from arrayad import tree
from arrayad.tracing import Tape, record
from arrayad.transforms.boundary import parameter_names


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

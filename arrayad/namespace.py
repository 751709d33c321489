"""The public functions: which there are, and how they hang on Tensor and on NumPy.

`expose` puts a function into the namespace `arrayad`, and on request among Tensor's methods, its operators and the
NumPy functions that accept a Tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from arrayad.arbitrary import is_number
from arrayad.shaped import WEAK
from arrayad.tensor import Tensor, rebind

Function = TypeVar("Function", bound=Callable[..., Any])

PUBLIC: dict[str, Callable[..., Any]] = {}
"""The public functions of arrays by name, in the order of declaration."""

LINALG: dict[str, Callable[..., Any]] = {}
"""The functions that are public in `arrayad.linalg` alone, by name."""

METHODS: dict[str, str] = {}
"""Tensor's methods that compute, and the public functions that they are."""

NUMPY: dict[Any, Callable[..., Any]] = {}
"""NumPy's functions and the ones that stand for them when a Tensor is among their arguments."""


def expose(
    function: Function, name: str | None = None, *, method: bool | str = False, numpy: str | tuple[str, ...] | None = None
) -> Function:
    """Make `function` public as `name`, as a method (of another name, if `method` is one), and for NumPy's functions `numpy`."""
    name = name or function.__name__
    PUBLIC[name] = function
    if method:
        METHODS[method if isinstance(method, str) else name] = name
        attach(method if isinstance(method, str) else name, function)
    for word in (numpy,) if isinstance(numpy, str) else numpy or (name,):
        for space in (np, np.linalg):
            if hasattr(space, word):
                NUMPY[getattr(space, word)] = function
    return function


def linalg(function: Function) -> Function:
    """Make `function` public in `arrayad.linalg`, and for the function of its name in `numpy.linalg`, if there is one."""
    LINALG[function.__name__] = function
    if hasattr(np.linalg, function.__name__):
        NUMPY[getattr(np.linalg, function.__name__)] = function
    return function


def attach(name: str, found: Any) -> None:
    """Make a function, or a property, part of Tensor."""
    setattr(Tensor, name, found)


def public(*, method: bool | str = False, numpy: str | tuple[str, ...] | None = None) -> Callable[[Function], Function]:
    """`expose` as a decorator."""

    def decorate(function: Function) -> Function:
        return expose(function, method=method, numpy=numpy)

    return decorate


ACCEPTED = (Tensor, np.ndarray, np.generic, *WEAK, list, tuple)
COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))
UNARY = frozenset(("neg", "pos", "abs", "invert"))


def attach_operator(name: str, function: Callable[..., Any]) -> None:
    """Attach a row as Tensor's operator `name`, with its reflection and its in-place form where Python has them."""
    if name in UNARY:
        attach(f"__{name}__", function)
    elif name in COMPARISONS:
        attach(f"__{name}__", comparison(function))
    else:
        attach(f"__{name}__", function)
        attach(f"__r{name}__", lambda self, other: function(other, self))
        attach(f"__i{name}__", lambda self, other: rebind(self, function(self, other), f"{name}, in place"))


def comparison(function: Callable[..., Any]) -> Callable[..., Any]:
    """A comparison of Tensors; with what is no number, Python's own answer stands."""

    def compare(self: Tensor, other: Any) -> Any:
        return function(self, other) if isinstance(other, ACCEPTED) or is_number(other) else NotImplemented

    return compare

"""What goes into a transform and what comes out: arguments checked, results released, cotangents fitted."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.arbitrary import filled, is_number, stored
from arrayad.binding import innermost_trace
from arrayad.errors import DTypeError, ShapeError, describe, user_stacklevel
from arrayad.modes import current_mode
from arrayad.primitive import operand_names
from arrayad.primitives.complex import conjugated
from arrayad.readers.sweep import fitted
from arrayad.shaped import aval, is_weak
from arrayad.tape import recorded, seen_before
from arrayad.tensor import Tensor, freeze, handle


class Chosen:
    """A function of some of its positional arguments, the others given."""

    def __init__(self, f: Callable[..., Any], chosen: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.f, self.chosen, self.args, self.kwargs = f, chosen, args, kwargs

    def __call__(self, *primals: Any) -> Any:
        full = list(self.args)
        for position, primal in zip(self.chosen, primals, strict=True):
            full[position] = primal
        return self.f(*full, **self.kwargs)

    @property
    def primals(self) -> tuple[Any, ...]:
        """The chosen arguments as they came."""
        return tuple(self.args[i] for i in self.chosen)


def check_differentiable(name: str, f: Callable[..., Any], primals: tuple[Any, ...], leaves: list[Any]) -> None:
    """**Raises** `DTypeError` for integers and booleans, of which there is no derivative, and for what is no array."""
    if all(x.__class__ is float or (hasattr(x, "dtype") and x.dtype.kind in "fcO") for x in leaves):
        return
    for argument, primal in zip(parameter_names(f, len(primals)), primals, strict=True):
        for path, x in tree.paths(primal, argument):
            value = x if x.__class__ is Tensor else np.asarray(x)
            if value.dtype.kind not in ("fcO" if hasattr(x, "dtype") or is_number(x) else "fc"):
                raise DTypeError(
                    f"[{name}] argument {path} is {describe(value)}; derivatives are of floating-point arguments only: "
                    "write 3.0, or use astype"
                )


def released(y: Tensor, scope: Any) -> Tensor:
    """An output as those see it who began before the scope, or live reader."""
    history = seen_before(y.history, scope.serial)
    if history is not None and current_mode().quiet and innermost_trace([recorded(history)]) is None:
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
    return leaf.__class__ is Tensor or isinstance(leaf, np.ndarray | np.generic) or is_weak(leaf) or is_number(leaf)


def seed(y: Tensor, ct: Any, name: str) -> Any:
    """A cotangent checked against its output, as a Tensor of the output's dtype, and conjugated as the sweep has it."""
    ct = ct if ct.__class__ is Tensor else handle(stored(np.array(ct)))
    if ct.shape != y.shape:
        raise ShapeError(f"[{name}] the cotangent is {describe(ct)}, the output {describe(y)}; the shapes must agree")
    return conjugated(fitted(ct, aval(y.value), None)[0])


@functools.cache
def one(dtype: np.dtype[Any]) -> Any:
    """The value of `unit`."""
    return filled((), 1, dtype)


def unit(dtype: np.dtype[Any]) -> Tensor:
    """The number 1, the cotangent of a scalar result: a handle of its own, which a trace takes for a constant."""
    return handle(one(dtype))


def own(g: Any) -> Tensor:
    """A cotangent as a gradient: conjugated, and a Tensor of its own, lest in-place changes of two results meet."""
    g = conjugated(g)
    return handle(g.value, g.history) if g.__class__ is Tensor else handle(g)


def zeros_like(x: Any) -> Tensor:
    return handle(filled(x.shape, 0, x.dtype))


def split_aux(name: str, out: Any, has_aux: bool) -> tuple[Any, Any]:
    """The (output, aux) pair that a function with `has_aux` returns."""
    if not has_aux:
        return out, None
    if not (isinstance(out, tuple) and len(out) == 2):
        raise TypeError(f"[{name}] with has_aux the function must return a pair (output, aux), it returned {type(out).__name__}")
    return out


def release_tree(aux: Any, scope: Any) -> Any:
    """An auxiliary result, whose leaves may be anything, as those see it who began before the scope."""
    return tree.map(lambda y: released(y, scope) if y.__class__ is Tensor else y, aux)


def chosen_arguments(name: str, argnums: int | tuple[int, ...], count: int) -> tuple[int, ...]:
    """The nonnegative positions of `argnums`."""
    chosen = argnums if isinstance(argnums, tuple) else (argnums,)
    for position in chosen:
        if not isinstance(position, int | np.integer):
            raise TypeError(f"[{name}] argnums is {argnums!r}; the position of an argument is needed, or a tuple of positions")
        if not -count <= position < count:
            raise TypeError(f"[{name}] argnums is {argnums}, but {count} positional arguments came")
    return tuple(position % count for position in chosen)


def parameter_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of a function's first positional parameters; `x1`, `x2`, … where it does not say."""
    if isinstance(f, Chosen):
        names = parameter_names(f.f, len(f.args))
        return [names[i] for i in f.chosen]
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else name for i, name in enumerate(operand_names(count))]


def warn_of_unused(name: str, f: Callable[..., Any], count: int, unused: list[int]) -> None:
    """Warn that the derivatives by these of `count` arguments are 0, since the result does not depend on them."""
    names = parameter_names(f, count)
    warnings.warn(
        f"[{name}] the result does not depend on {' and '.join(names[i] for i in unused)}, so that the derivative is 0; "
        "use the argument, or leave it out",
        UserWarning,
        stacklevel=user_stacklevel(),
    )

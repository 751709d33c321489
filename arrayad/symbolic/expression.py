"""`Expression`: a tape of elementwise operations, read as a formula; `expression` makes one of a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from arrayad.functions.creation import asarray
from arrayad.readers.replay import replay
from arrayad.shaped import Shaped
from arrayad.symbolic.lines import Formulas, formulas_of
from arrayad.symbolic.tracing import check_elementwise, simple, tape_of
from arrayad.tracing import Tape
from arrayad.transforms.forward import jvp

WIDTH = 100
"""Characters up to which a formula is written in one line."""


class Expression:
    """A formula of named symbols, which keeps what it shares: a tape of elementwise operations on numbers.

    `names` are the symbols in order, `operations` counts the operations of the shared graph.  Called with numbers or arrays,
    in the order of the names, it computes.
    """

    def __init__(self, tape: Tape, names: Sequence[str], name: str = "f") -> None:
        self.source = tape
        self.names = tuple(names)
        self.name = name
        self.tape = simple(tape)
        check_elementwise(self.tape)

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def operations(self) -> int:
        """The operations of the shared graph: each value that is used more than once counts once."""
        return len(self.tape)

    def formulas(self) -> Formulas:
        return formulas_of(self.tape, self.names)

    @property
    def lines(self) -> list[str]:
        """The formula in lines of text: the named parts in order, then the results."""
        parts, results = self.formulas()
        lines = [f"{part.name.form(0)} = {part.value.form(0)}" for part in parts]
        if len(results) == 1 and not parts:
            return [results[0].form(0)]
        return [
            *lines,
            *(f"{name} = {y.form(0)}" for name, y in zip(result_names(len(results), self.names), results, strict=True)),
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        return f"<Expression of {', '.join(self.names) or 'nothing'}: {self.operations} operations>"

    # --- what it becomes ------------------------------------------------------------------------------------------

    def __call__(self, *values: Any) -> Any:
        """The value at these numbers or arrays, which broadcast against each other."""
        if len(values) != len(self.names):
            raise TypeError(f"[expression] {len(self.names)} values were needed, for {', '.join(self.names)}; {len(values)} came")
        return replay(self.tape, *map(asarray, values))

    def diff(self, *names: str | int) -> Expression:
        """The derivative by these symbols, one after the other."""
        found = self
        for name in repeated(names):
            found = found.derivative(self.position(name))
        return found

    def derivative(self, position: int) -> Expression:
        """The derivative by the symbol of this position."""
        source = self.source

        def function(*xs: Any) -> Any:
            def along(x: Any) -> Any:
                return replay(source, *xs[:position], x, *xs[position + 1 :])

            x = xs[position]
            return jvp(along, (x,), (np.ones(x.shape, x.dtype),))[1]

        tape = tape_of(function, [entry.output for entry in source.inputs], self.names)
        return Expression(simple(tape), self.names, f"d{self.name}_d{self.names[position]}")

    def position(self, name: str) -> int:
        """**Raises** `ValueError` for what is no symbol of this expression."""
        if name not in self.names:
            raise ValueError(f"[diff] there is no symbol {name!r}; the symbols are {', '.join(self.names)}")
        return self.names.index(name)


def repeated(names: Sequence[str | int]) -> list[str]:
    """The names, each as often as the number behind it says: ("x", 3) is x, x, x."""
    found: list[str] = []
    for name in names:
        if isinstance(name, str):
            found.append(name)
        elif not found or isinstance(name, bool) or name < 0:
            raise TypeError(f"[diff] names of symbols are needed, each with how often behind it, such as ('x', 2); {name!r} came")
        else:
            found[-1:] = [found[-1]] * name
    return found


def result_names(count: int, taken: Sequence[str]) -> list[str]:
    """Names of results that no symbol has."""
    stem = next(name for name in ("y", "result", "result_") if name not in taken)
    return [stem] if count == 1 else [f"{stem}{i}" for i in range(1, count + 1)]


def expression(f: Callable[..., Any], *names: str, shapes: Mapping[str, Any] | Sequence[Any] | None = None) -> Expression:
    """The formula of a function."""
    if not names:
        names = tuple(p.name for p in inspect.signature(f).parameters.values() if p.default is p.empty)
    tape = tape_of(f, [Shaped((), "float64")] * len(names), names)
    return Expression(tape, names, getattr(f, "__name__", "f"))

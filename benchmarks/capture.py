"""The programs of a workload as functions and arguments, so that they can be counted, pushed forward and timed in other ways.

A workload hands its programs to a compiler and keeps what that returns.  `captured` gives it one that only takes notes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from workloads.workload import Step, Workload

import arrayad as ad
from arrayad import tree
from arrayad.readers.cost import program_cost
from arrayad.readers.simplify import simplify
from arrayad.shaped import Shaped


class Call(NamedTuple):
    """A function and what it is called with."""

    function: Callable[..., Any]
    args: tuple[Any, ...]

    def step(self, compiled: Callable[[Any], Any]) -> Callable[[], Any]:
        """The call of the compiled function."""
        run, args = compiled(self.function), self.args
        return lambda: run(*args)

    def flops(self) -> float:
        """Its weighted operations once simplified, as a compiled program has them; by shapes, nothing is computed."""
        leaves, structure = tree.flatten(self.args)
        shapes = [Shaped(x.shape, x.dtype) for x in leaves]
        return program_cost(simplify(ad.trace(self.function)(*tree.unflatten(structure, shapes)))).flops


def call_of(step: Step, notes: list[Call]) -> Call:
    """What a step calls."""
    notes.clear()
    step.call()
    (found,) = notes
    return found


def captured(workload: Workload) -> tuple[Call, Call, Call]:
    """Value, value and gradient, value and tangent along ones, of a workload that relates the first two."""
    notes: list[Call] = []

    def noting(function: Callable[..., Any]) -> Callable[..., None]:
        return lambda *args: notes.append(Call(function, args))

    assert workload.ratio is not None
    above, below = workload.ratio.programs(ad, noting, workload.inputs())
    value, both = call_of(below, notes), call_of(above, notes)
    return value, both, pushed(value, workload.ratio.by)


def pushed(value: Call, by: tuple[int, ...] | None) -> Call:
    """Value and tangent of a call, by some of its arguments or all of them."""
    places = range(len(value.args)) if by is None else by

    def program(primals: Any, tangents: Any) -> Any:
        def function(*chosen: Any) -> Any:
            full = list(value.args)
            for i, x in zip(places, chosen, strict=True):
                full[i] = x
            return value.function(*full)

        return ad.jvp(function, primals, tangents)

    primals = tuple(value.args[i] for i in places)
    return Call(program, (primals, tree.map(ad.ones_like, primals)))

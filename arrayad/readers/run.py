"""Run: a tape as a function of plain arrays, for programs that run many times and are not followed.

No Tensor is made and nothing is recorded; each value is dropped after its last use.  NumPy's warnings are the caller's
to silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayad.binding import check_finite
from arrayad.readers.emit import define
from arrayad.tensor import Tensor
from arrayad.tracing import Tape, aval_of, is_member

Runner = Callable[[list[Any]], list[Any]]


def runner(tape: Tape, anomaly: bool = False) -> Runner:
    """The function that takes the values of the tape's inputs to those of its outputs, a Python function written for it.

    What the tape captured stands in it as a constant, whatever its history; guards are not checked.  With `anomaly` the first
    operation that makes nan or infinity of finite operands raises `AnomalyError`.
    """
    scope: dict[str, Any] = {}
    names = {entry: f"w{i}" for i, entry in enumerate([*tape.inputs, *tape.entries])}

    def name_of(x: Any) -> str:
        if is_member(x, tape):
            return names[x.history]
        return constant(scope, "c", x.value if x.__class__ is Tensor else x)

    operands = [list(map(name_of, entry.inputs)) for entry in tape.entries]
    results = list(map(name_of, tape.outputs))
    dying = last_uses(operands, {*results, *scope})
    lines = [f"[{', '.join(names[entry] for entry in tape.inputs)}] = values"]
    for entry, used, dead in zip(tape.entries, operands, dying, strict=True):
        kernel = entry.primitive.kernel(*map(aval_of, entry.inputs))
        if anomaly:
            kernel = watched(entry, kernel)
        options = f", **{constant(scope, 'p', entry.params)}" if entry.params else ""
        lines.append(f"{names[entry]} = {constant(scope, 'f', kernel)}({', '.join(used)}{options})")
        if dead:
            lines.append(f"del {', '.join(dead)}")
    define("run", "values", [*lines, f"return [{', '.join(results)}]"], scope)
    return scope.pop("run")  # lest the function be among its own globals, a cycle


def constant(scope: dict[str, Any], letter: str, value: Any) -> str:
    """A new name for a value in the scope of the function."""
    name = f"{letter}{len(scope)}"
    scope[name] = value
    return name


def last_uses(operands: list[list[str]], lasting: set[str]) -> list[list[str]]:
    """What is used last by each operation, but for what lasts."""
    seen = set(lasting)
    dying = []
    for used in reversed(operands):
        dying.append([name for name in dict.fromkeys(used) if name not in seen])
        seen.update(used)
    return dying[::-1]


def watched(entry: Any, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel of an entry, which raises where it makes nan or infinity of what is finite."""

    def compute(*values: Any, **params: Any) -> Any:
        result = kernel(*values, **params)
        check_finite(entry.primitive, result, list(values), entry.location)
        return result

    return compute

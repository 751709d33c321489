"""The ways to a derivative, each a row: what it is called and how it is gone.

A row takes a `Problem` and prepares a program that gives the Jacobian; what is got ready once, such as a symbolic derivative, is
no part of that program.  A way that cannot be gone raises, and its error says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from arrayad import tree
from arrayad.by_hand import manual
from arrayad.comparison.problem import Problem, name_of
from arrayad.compiler.compile import compile
from arrayad.compiler.toolchain import toolchain, why_no_toolchain
from arrayad.errors import CompileError
from arrayad.functions.creation import tensor
from arrayad.numerical import jacobian as differences
from arrayad.symbolic import Expression, expression
from arrayad.transforms import grad, jacobian, jvp, trace

ELEMENTS = 64
"""Elements of the arguments up to which formulas are written."""


FEW = 8
"""Inputs up to which forward mode takes one after the other."""


class Prepared(NamedTuple):
    """A program that gives the derivative, as a tree like that of `jacobian` by several arguments.

    `operations`: how many it consists of; `evaluations` of the function, where they are not to be counted by looking on; `note`:
    what there is to say of it.
    """

    run: Callable[[], Any]
    operations: int | None = None
    evaluations: int | None = None
    note: str = ""


class Way(NamedTuple):
    """One way to a derivative."""

    way: str
    method: str
    prepare: Callable[[Problem], Prepared]


def by_hand_ways(problem: Problem, given: Callable[..., Any] | None) -> list[Way]:
    """The derivative that the user wrote, if there is one."""
    df = problem.f.df if given is None and isinstance(problem.f, manual) else given
    if df is None:
        return []

    def derivative(*chosen: Any) -> Any:
        found = df(*problem.complete(chosen))
        return (found,) if len(chosen) == 1 else found

    def prepare(problem: Problem) -> Prepared:
        return Prepared(lambda: derivative(*problem.chosen), operations(derivative, problem))

    return [Way("by hand", name_of(df, "df"), prepare)]


def numerical(method: str, **options: Any) -> Way:
    """Differences of the function's values."""

    def prepare(problem: Problem) -> Prepared:
        found = differences(problem.of_tuple, problem.chosen, **options)
        return Prepared(lambda: differences(problem.of_tuple, problem.chosen, **options).value, evaluations=found.evaluations)

    return Way("numerical", method, prepare)


def forward(problem: Problem) -> Prepared:
    """Forward mode, operation by operation: a `jvp` along each of a few inputs, a batch of them along many."""
    if problem.size > FEW:
        derivative = jacobian(problem, every_argument(problem), "forward")
        return Prepared(lambda: derivative(*problem.chosen), operations(derivative, problem))
    units = [tree.unflatten(problem.structure, problem.unit(i)) for i in range(problem.size)]

    def columns(*chosen: Any) -> list[Any]:
        return [jvp(problem, chosen, unit)[1] for unit in units]

    return Prepared(lambda: problem.tree_of_columns(columns(*problem.chosen)), operations(columns, problem))


def reverse(problem: Problem) -> Prepared:
    """Reverse mode, operation by operation."""
    derivative = cotangents(problem, problem)
    return Prepared(lambda: derivative(*problem.chosen), operations(derivative, problem))


def cotangents(problem: Problem, f: Callable[..., Any]) -> Callable[..., Any]:
    """The Jacobian by reverse mode: of a number, the gradient."""
    return grad(f, every_argument(problem)) if problem.is_scalar else jacobian(f, every_argument(problem), "reverse")


def every_argument(problem: Problem) -> tuple[int, ...]:
    """The positions of the smooth arguments among themselves."""
    return tuple(range(len(problem.smooth)))


def operations(derivative: Callable[..., Any], problem: Problem) -> int:
    """The length of the program of a derivative."""
    return len(trace(derivative)(*problem.chosen))


def compiled(problem: Problem) -> Prepared:
    """Reverse mode as one function of C, compiled before it is timed."""
    if toolchain() is None:
        raise CompileError(f"there is no C compiler: {why_no_toolchain()}")
    program = compile(cotangents(problem, problem.uncounted))
    operands = tree.map(tensor, problem.chosen)  # a Python number would be a constant of the program
    program(*operands)
    return Prepared(lambda: program(*operands), len(program.tape), evaluations=1)


def formula(problem: Problem) -> Expression:
    """The function as a formula of the elements of its smooth arguments.

    **Raises** `ValueError` where there are too many, `NoClosedFormError` where there is none.
    """
    if problem.size > ELEMENTS:
        raise ValueError(f"there are {problem.size:,} inputs, and formulas are written of {ELEMENTS} at most")

    def function(*leaves: Any) -> Any:
        return problem.uncounted(*tree.unflatten(problem.structure, list(leaves)))

    names = [name if name.isidentifier() else f"x{i}" for i, name in enumerate(problem.leaf_names)]
    return expression(function, *names, shapes=[x.shape for x in problem.inputs])


def symbolic(problem: Problem) -> Prepared:
    """The derivatives by each argument as formulas, each a graph that its elements share."""
    found = formula(problem)
    derivatives = [found.diff(argument.name) for argument in found.arguments]
    text = str(derivatives[0]) if len(derivatives) == 1 else ""

    def run() -> Any:
        columns = [tree.leaves(derivative(*problem.inputs)) for derivative in derivatives]
        return [block for row in zip(*columns, strict=True) for block in row]

    return Prepared(run, sum(derivative.operations for derivative in derivatives), note="" if "\n" in text else text)


WAYS = [
    numerical("forward", scheme="forward"),
    numerical("backward", scheme="backward"),
    numerical("central, order 2", scheme="central", order=2),
    numerical("central, order 4", scheme="central", order=4),
    numerical("central, order 8", scheme="central", order=8),
    numerical("Richardson", scheme="richardson"),
    numerical("complex step", scheme="complex"),
    Way("symbolic", "formula", symbolic),
    Way("automatic", "forward mode", forward),
    Way("automatic", "reverse mode", reverse),
    Way("automatic", "reverse mode, compiled", compiled),
]

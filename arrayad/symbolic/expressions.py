"""`Expression`: a tape of operations on numbers, read as a formula; `expression` makes one of a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad import tree
from arrayad.compiler.naming import identifier
from arrayad.errors import ShapeError, describe
from arrayad.functions.creation import asarray
from arrayad.functions.shape import stack
from arrayad.primitives.indexing import getitem
from arrayad.primitives.shape import reshape
from arrayad.readers.replay import replay
from arrayad.readers.show import input_names
from arrayad.shaped import Shaped
from arrayad.symbolic.c_source import c_source
from arrayad.symbolic.elements import by_elements
from arrayad.symbolic.lines import Formulas, Writing, latex_name
from arrayad.symbolic.notation import Node
from arrayad.symbolic.python_source import python_source
from arrayad.symbolic.sympy_forms import symbols_for, sympy, sympy_results
from arrayad.symbolic.tracing import check_elementwise, simple, tape_of
from arrayad.tracing import Tape, aval_of
from arrayad.transforms.forward import jvp
from arrayad.transforms.reverse import vjp
from arrayad.transforms.taylor import jet

Shape = tuple[int, ...]

NESTED_ORDERS = 3
"""Orders below which derivatives are always nested."""


class Argument(NamedTuple):
    """An argument of the function: its name, and its shape, () for a number or for arrays of which each element is one."""

    name: str
    shape: Shape

    @property
    def elements(self) -> list[str]:
        """The symbols: the name, or the names of the elements."""
        if self.shape == ():
            return [self.name]
        return [f"{self.name}[{','.join(map(str, index))}]" for index in np.ndindex(self.shape)]


class Expression:
    """A formula, or several, of named symbols, which keeps what it shares: a tape of operations on numbers.

    `str` gives it in text, as one formula where that is short, else in `lines` in which what is used more than once has a name,
    `w1`, `w2`, …; `operations` counts those of the shared graph.  Called with numbers or arrays, it computes.

    `names` are the symbols in order: an argument's name or, of one that has a shape, its elements, `x[0]`, `x[1]`, …
    `arguments` are the function's.  `tape` is the program that the formula is read from.
    """

    def __init__(
        self,
        source: Tape,
        arguments: Sequence[Argument],
        shapes: Sequence[Shape],
        structure: tree.Structure,
        name: str = "f",
        simplified: bool = True,
    ) -> None:
        self.source = simple(source, differentiated=True) if simplified else source
        self.arguments = tuple(arguments)
        self.shapes = tuple(shapes)
        self.structure = structure
        self.name = name
        self.origin: tuple[Expression, tuple[str, ...]] | None = None
        self.names = tuple(element for argument in arguments for element in argument.elements)
        self.tape = simple(self.source) if simplified else self.source
        check_elementwise(self.tape)

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def operations(self) -> int:
        """The operations of the shared graph: what is used more than once counts once."""
        return len(self.tape)

    @property
    def lines(self) -> list[str]:
        """The formula in lines of text: the named parts in order, then the results."""
        return [f"{name} = {y.form(0)}" if name else y.form(0) for name, y in self.named(0)]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        return f"<Expression of {', '.join(self.names) or 'nothing'}: {self.operations} operations>"

    @functools.cached_property
    def formulas(self) -> Writing[Node]:
        """The named parts and the results as formulas."""
        return Writing(self.tape, self.names, Formulas())

    def named(self, k: int) -> list[tuple[str, Node]]:
        """Each line's name, in text (k = 0) or LaTeX, "" for a formula that is alone; and its formula."""
        found = self.formulas
        if len(found.results) == 1 and not found.parts:
            return [("", found.results[0])]
        names = [latex_name(name) if k else name for name in self.result_names()]
        parts = [(part.name.form(k), part.value) for part in found.parts]
        return [*parts, *zip(names, found.results, strict=True)]

    def result_names(self) -> list[str]:
        """Names of the results that no argument has."""
        taken = {argument.name for argument in self.arguments}
        stem = next(name for name in ("y", "result", "result_") if name not in taken)
        several = len(self.shapes) > 1
        results = [Argument(f"{stem}{i}" if several else stem, shape) for i, shape in enumerate(self.shapes, 1)]
        return [element for result in results for element in result.elements]

    # --- what it becomes ------------------------------------------------------------------------------------------

    def __call__(self, *values: Any) -> Any:
        """The value at these arguments, in the structure that the function returned.

        Numbers may be arrays, which broadcast against each other.

        **Raises** `TypeError` for another number of arguments, `ShapeError` for an argument of another shape.
        """
        return self.assembled(replay(self.tape, *self.elements_of(values)))

    def elements_of(self, values: Sequence[Any]) -> list[Any]:
        """The symbols' values of the arguments'."""
        if len(values) != len(self.arguments):
            came = ", ".join(argument.name for argument in self.arguments)
            raise TypeError(f"[expression] {len(self.arguments)} values were needed, for {came}; {len(values)} came")
        found: list[Any] = []
        for argument, value in zip(self.arguments, map(asarray, values), strict=True):
            if argument.shape == ():
                found.append(value)
                continue
            if value.shape != argument.shape:
                raise ShapeError(f"[expression] {argument.name} is {describe(value)}; the shape {argument.shape} is needed")
            found += [getitem(value, index=index) for index in np.ndindex(argument.shape)]
        return found

    def assembled(self, results: Any) -> Any:
        """The results in the function's structure, given those of the tape."""
        rest = iter(tree.leaves(results))
        leaves = []
        for shape in self.shapes:
            parts = [next(rest) for _ in range(int(np.prod(shape)))]
            leaves.append(reshape(stack(parts), shape=shape) if shape else parts[0])
        return tree.unflatten(self.structure, leaves)

    def diff(self, *names: str | int) -> Expression:
        """The derivative by these arguments or symbols, one after the other.

        ∂/∂names[-1] … ∂/∂names[0] of each result; by an argument that has a shape, the derivatives by all its elements, in axes
        behind the result's: `("x", 3)` and `("x", "x", "x")` are the third derivative.

        **Parameters** `names`: those of arguments (`x`) or of elements (`x[0]`), each with how often behind it, if not once.

        **Returns** an Expression of the same arguments, simplified.

        **Raises** `ValueError` for what is no symbol here; `TypeError` for what is no name.

        **Example**

        >>> import arrayad as ad
        >>> f = ad.symbolic.expression(lambda x: ad.sin(x**2 + 1))
        >>> print(f.diff("x"))
        2·x·cos(x² + 1)
        >>> print(f.diff("x", 2))
        2·cos(x² + 1) - 4·x²·sin(x² + 1)
        """
        found = self
        for name in repeated(names):
            found = found.once_more(name)
        return found

    def once_more(self, name: str) -> Expression:
        """The derivative by one more symbol: of high order from where the first one began, since orders commute."""
        base, by = self.origin or (self, ())
        order = by.count(name) + 1
        if name not in self.names or order < NESTED_ORDERS:
            found = self.derivative(name)
        else:
            for other in dict.fromkeys((*by, name)):
                found = (base if other == by[0] else found).of_order(other, by.count(other) + (other == name))
        found.origin = (base, (*by, name)) if name in self.names else None
        return found

    def of_order(self, name: str, order: int) -> Expression:
        """The derivative of this order by a symbol: nested, or by Taylor mode, whichever has less operations."""
        by_jet = self.derivative(name, order) if order >= NESTED_ORDERS else None
        found = self
        for _ in range(order):
            found = found.derivative(name)
            if by_jet is not None and found.operations > by_jet.operations:
                return by_jet
        return found

    def derivative(self, name: str, order: int = 1) -> Expression:
        """The derivative by a symbol, or by all elements of an argument; one of higher order in one go, by Taylor mode."""
        source, count = self.source, sum(int(np.prod(shape)) for shape in self.shapes)
        argument = next((a for a in self.arguments if a.name == name), Argument(name, ()))
        for element in argument.elements:
            if element not in self.names:
                raise ValueError(f"[diff] there is no symbol {name!r}; the symbols are {', '.join(self.names)}")
        chosen = [self.names.index(element) for element in argument.elements]
        pull = len(chosen) > count

        def function(*xs: Any) -> Any:
            if pull:
                columns = by_pull(source, xs, chosen)
            else:
                columns = [by_push(source, xs, i) if order == 1 else by_jet(source, xs, i, order) for i in chosen]
            return [column[k] for k in range(count) for column in columns]

        tape = tape_of(function, [entry.output for entry in source.inputs], self.names)
        shapes = [(*shape, *argument.shape) for shape in self.shapes]
        return Expression(tape, self.arguments, shapes, self.structure, f"d{self.name}_d{identifier(name)}")

    def simplify(self) -> Expression:
        """The same formula once more through all rules, those that are equal for real numbers alone included."""
        return Expression(self.source, self.arguments, self.shapes, self.structure, self.name)

    def latex(self) -> str:
        """The formula in LaTeX; several lines as an `aligned` environment.

        **Example**

        >>> import arrayad as ad
        >>> print(ad.symbolic.expression(lambda x: ad.sqrt(x) / (1 + ad.exp(-x))).latex())
        \\frac{\\sqrt{x}}{e^{-x} + 1}
        """
        lines = self.named(1)
        if len(lines) == 1 and not lines[0][0]:
            return lines[0][1].form(1)
        rows = " \\\\\n".join(f"{name} &= {y.form(1)}" for name, y in lines)
        return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"

    def _repr_latex_(self) -> str:
        """What notebooks show."""
        return f"$\\displaystyle {self.latex()}$"

    def python(self, name: str | None = None) -> str:
        """The source of a function of NumPy arrays, with the imports that it needs.

        Each symbol is a parameter, a number or an array of floats; several results are a tuple.  A function that NumPy does not
        have is imported from this package.

        **Parameters** `name`: of the function, that of the traced one if none is given.

        **Example**

        >>> import arrayad as ad
        >>> print(ad.symbolic.expression(lambda x: ad.sin(x**2 + 1)).diff("x").python("slope"))
        import numpy as np
        <BLANKLINE>
        <BLANKLINE>
        def slope(x):
            x = np.asarray(x, dtype=float)
            return 2.0 * x * np.cos(x**2 + 1)
        <BLANKLINE>
        """
        return python_source(self.tape, self.names, identifier(name or self.name))

    def c(self, name: str | None = None) -> str:
        """The source of a C99 function of doubles, which needs libm alone.

        Each symbol is a parameter.  One result is returned; several are written to the array `out`, in order.

        **Parameters** `name`: of the function, that of the traced one if none is given.

        **Raises** `NoClosedFormError` where an operation has no C text.

        **Example**

        >>> import arrayad as ad
        >>> print(ad.symbolic.expression(lambda x: ad.sin(x**2 + 1)).diff("x").c("slope"))
        #include <math.h>
        <BLANKLINE>
        double slope(double x)
        {
            const double w1 = x * x;
            const double w2 = 2.0 * x;
            const double w3 = w1 + 1.0;
            const double w4 = cos(w3);
            const double w5 = w2 * w4;
            return w5;
        }
        <BLANKLINE>
        """
        return c_source(self.tape, self.names, identifier(name or self.name))

    def sympy(self, **symbols: Any) -> Any:
        """The formula as SymPy's expression, or a tree of these; arrays become SymPy's.

        Floats that are whole, halves and the like, or stand for an irrational number that is known, become exact numbers.

        **Parameters** `symbols`: SymPy's symbols by name, such as `x=Symbol("x", positive=True)`; without, new ones are made.

        **Raises** `ImportError` without the package sympy (`pip install "arrayad[symbolic]"`); `NoClosedFormError` where it
        has no such function.

        **Example**

        >>> import arrayad as ad
        >>> ad.symbolic.expression(lambda x: ad.erf(x)).diff("x").sympy()
        2*exp(-x**2)/sqrt(pi)
        """
        found = iter(sympy_results(self.tape, symbols_for(self.names, symbols)))
        leaves = []
        for shape in self.shapes:
            parts = [next(found) for _ in range(int(np.prod(shape)))]
            leaves.append(sympy_array(parts, shape) if shape else parts[0])
        return tree.unflatten(self.structure, leaves)


def sympy_array(parts: list[Any], shape: Shape) -> Any:
    """SymPy's array of expressions."""
    return sympy().Array(parts, shape)


def by_push(source: Tape, xs: Sequence[Any], i: int) -> list[Any]:
    """The derivatives of all results by the symbol at this position."""

    def along(x: Any) -> Any:
        return tree.leaves(replay(source, *xs[:i], x, *xs[i + 1 :]))

    return list(jvp(along, (xs[i],), (np.ones(xs[i].shape, xs[i].dtype),))[1])


def by_jet(source: Tape, xs: Sequence[Any], i: int, order: int) -> list[Any]:
    """The derivatives of this order of all results by the symbol at this position."""

    def along(x: Any) -> Any:
        return tree.leaves(replay(source, *xs[:i], x, *xs[i + 1 :]))

    one = np.ones(xs[i].shape, xs[i].dtype)
    return [derivatives[-1] for derivatives in jet(along, (xs[i],), ([one, *[None] * (order - 1)],))[1]]


def by_pull(source: Tape, xs: Sequence[Any], chosen: Sequence[int]) -> list[list[Any]]:
    """The derivatives of all results by the symbols at these positions, one sweep for each result."""

    def of_chosen(*values: Any) -> Any:
        full = list(xs)
        for i, x in zip(chosen, values, strict=True):
            full[i] = x
        return tree.leaves(replay(source, *full))

    results, pullback = vjp(of_chosen, *(xs[i] for i in chosen))
    rows = []
    for k in range(len(results)):
        cts = [np.full(y.shape, float(j == k)) for j, y in enumerate(results)]
        rows.append(pullback(cts))
    return [[row[i] for row in rows] for i in range(len(chosen))]


def repeated(names: Sequence[str | int]) -> list[str]:
    """The names, each as often as the number behind it says: ("x", 3) is x, x, x."""
    found: list[str] = []
    for name in names:
        if isinstance(name, str):
            found.append(name)
        elif not found or isinstance(name, bool) or not isinstance(name, int) or name < 0:
            raise TypeError(f"[diff] names of symbols are needed, each with how often behind it, such as ('x', 2); {name!r} came")
        else:
            found[-1:] = [found[-1]] * name
    return found


def expression(
    f: Callable[..., Any] | Tape,
    *names: str,
    shapes: Mapping[str, Any] | Sequence[Any] | None = None,
    simplify: bool = True,
) -> Expression:
    """The formula of a function, traced by shapes.

    The arguments are numbers.  An argument that is given a shape is an array, and its elements are symbols of their own: `x[0]`,
    `x[1]`, …; a program that treats each element of its arrays alike needs no shape, its formula being that of an element, which
    takes arrays too.

    **Parameters** `f`: a function of numbers and arrays, that returns these, or a tree of them; or a Tape. `names`: of its
    arguments, its parameters' if none are given. `shapes`: of arguments that are arrays, by name, or one for each. `simplify`:
    whether the formula is simplified by rules that keep its value as a function of real numbers, wherever it has one.

    **Returns** an `Expression`: `str`, `.diff("x")`, `.latex()`, `.python()`, `.c()`, `.sympy()`, and it can be called.

    **Raises** `NoClosedFormError` where there is none, with the line that prevents it: a branch on a value, a loop whose length
    hangs on one, a decomposition; `ShapeError`, `TypeError` for shapes and names that do not fit.

    **Example**

    >>> import arrayad as ad
    >>> print(ad.symbolic.expression(lambda x, y: ad.where(x > y, x, ad.exp(x - y)) / 2))
    where(x > y, x, exp(x - y))/2
    >>> print(ad.symbolic.expression(lambda x: x @ x, "v", shapes=[(3,)]).diff("v[1]"))
    2·v[1]
    """
    arguments = arguments_of(f, names, shapes)
    avals = [Shaped(argument.shape, "float64") for argument in arguments]
    function = functools.partial(replay, f) if isinstance(f, Tape) else f
    tape = tape_of(function, avals, [argument.name for argument in arguments])
    structure, results = tape.structure, [tuple(aval_of(y).shape) for y in tape.outputs]
    if any(getattr(entry.output, "shape", ()) for entry in (*tape.inputs, *tape.entries)):
        symbols = [element for argument in arguments for element in argument.elements]
        tape, results = by_elements(simple(tape, differentiated=True), symbols)
    name = getattr(f, "__name__", "f")
    return Expression(tape, arguments, results, structure, name if name.isidentifier() else "f", simplify)


def arguments_of(f: Any, names: Sequence[str], shapes: Any) -> list[Argument]:
    """The arguments with their shapes.

    **Raises** `TypeError` for names that are none, or no name where the function does not say its own.
    """
    if not names and isinstance(f, Tape):
        names = input_names(f)
    elif not names:
        parameters = inspect.signature(f).parameters.values()
        names = [p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
        raise TypeError(f"[expression] the names are {', '.join(map(repr, names))}; a different text is needed for each argument")
    if shapes is None:
        given = [entry.output.shape for entry in f.inputs] if isinstance(f, Tape) else [()] * len(names)
        return [Argument(name, shape) for name, shape in zip(names, given, strict=True)]
    if isinstance(shapes, Mapping):
        unknown = [name for name in shapes if name not in names]
        if unknown:
            raise TypeError(f"[expression] a shape came for {unknown[0]!r}; the arguments are {', '.join(names)}")
        shapes = [shapes.get(name, ()) for name in names]
    if len(shapes) != len(names):
        raise TypeError(f"[expression] {len(shapes)} shapes came for {len(names)} arguments; one for each is needed")
    return [Argument(name, (s,) if isinstance(s, int) else tuple(s)) for name, s in zip(names, shapes, strict=True)]

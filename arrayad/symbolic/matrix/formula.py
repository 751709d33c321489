"""`formula`: a function of arrays, and its derivatives, as a textbook writes them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from arrayad.errors import DTypeError, NoClosedFormError
from arrayad.functions.creation import asarray
from arrayad.primitives.shape import reshape
from arrayad.readers.replay import replay
from arrayad.readers.simplify import is_program
from arrayad.shaped import Shaped
from arrayad.symbolic.matrix.algebra import Algebra, as_read
from arrayad.symbolic.matrix.columnwise import side_by_side
from arrayad.symbolic.matrix.operands import Operand, as_operand, bound, caller
from arrayad.symbolic.matrix.page import Latex, Page, Text
from arrayad.symbolic.matrix.sizes import Number, assignments
from arrayad.symbolic.places import line_of
from arrayad.symbolic.tracing import tape_of
from arrayad.tensor import handle
from arrayad.tracing import Tape, record
from arrayad.transforms.derivatives import jacobian
from arrayad.transforms.forward import jvp
from arrayad.transforms.reverse import grad

Maker = Callable[[list[Shaped]], Tape]


class Derived:
    """A formula at some sizes: the shape of its value, the tape that derivatives are taken of, and the one to read."""

    def __init__(self, made: Tape, symmetric: tuple[int, ...], ordered: bool) -> None:
        (output,) = made.outputs
        self.shape = tuple(output.shape)
        self.dtype = output.dtype
        self.symmetric = symmetric
        self.ordered = ordered
        self.program = as_read(made, Algebra(symmetric, ordered, final=False))

    @functools.cached_property
    def tape(self) -> Tape:
        """The tape to read: what stands for a program is inlined."""
        return as_read(self.program, Algebra(self.symmetric, self.ordered))

    def function(self, *xs: Any) -> Any:
        """What the formula computes, to be differentiated further."""
        return reshape(replay(self.program, *xs), shape=self.shape)

    def value(self, *xs: Any) -> Any:
        """What the formula computes, as it is read."""
        return reshape(replay(self.tape, *xs), shape=self.shape)


class MatrixFormula:
    """A formula of arrays: text, LaTeX, and a function that computes what it says.

    `operands` are the arrays that it is a function of, by name.  Printed, it is one line, or, where that would be long, lines of
    named parts.  Called with arrays, by position or by name, it computes its value from the tape that is printed.
    """

    def __init__(self, operands: Mapping[str, Operand], make: Maker, ordered: bool = False) -> None:
        self.operands = dict(operands)
        self.make = make
        self.ordered = ordered
        self.found: dict[Any, Derived] = {}
        letters = dict.fromkeys(size for x in operands.values() for size in x.shape if isinstance(size, str))
        numbers = [size for x in operands.values() for size in x.shape if not isinstance(size, str)]
        self.sizes = assignments(list(letters), numbers)
        self.at_reference(self.sizes[0])

    def derived(self, dtypes: list[Any], sizes: dict[str, int]) -> Derived:
        """The formula at these sizes."""
        avals = [
            Shaped(tuple(sizes[n] if isinstance(n, str) else n for n in x.shape), dtype)
            for x, dtype in zip(self.operands.values(), dtypes, strict=True)
        ]
        key = tuple(avals)
        if key not in self.found:
            symmetric = tuple(i for i, x in enumerate(self.operands.values()) if x.symmetric)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*the result does not depend on", category=UserWarning)
                self.found[key] = Derived(self.make(avals), symmetric, self.ordered)
        return self.found[key]

    def at_reference(self, sizes: dict[str, int]) -> Derived:
        """The formula at sizes that it is read from."""
        return self.derived([x.dtype for x in self.operands.values()], sizes)

    @property
    def tape(self) -> Tape:
        """What is printed, as a tape; sizes that are letters have numbers there, and vectors are columns."""
        return self.at_reference(self.sizes[0]).tape

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the operands, in order."""
        return tuple(self.operands)

    # --- what it says ---------------------------------------------------------------------------------------------------

    def written(self, style: type[Text]) -> str:
        """The formula in one style."""
        for entry in self.tape.entries:
            refuse_programs(entry)
        pages = [Page(self.at_reference(sizes).tape, style, sizes) for sizes in self.sizes]
        if any(page.text != pages[0].text for page in pages):
            raise ValueError("[formula] the operations depend on the sizes; give numbers instead of letters")
        text = pages[0].text
        for i, values in enumerate(zip(*(page.blanks for page in pages), strict=True)):
            number = Number(values, self.sizes)
            text = text.replace(f"\0{i}\0", number.text() if style is Text else number.latex())
        return text

    @property
    def lines(self) -> list[str]:
        """The lines of the formula: named parts w1 = …, then the whole."""
        return self.written(Text).split("\n")

    def __str__(self) -> str:
        return self.written(Text)

    def __repr__(self) -> str:
        return f"MatrixFormula({self})"

    def latex(self) -> str:
        """The formula in LaTeX, without the dollars; several lines as an aligned environment."""
        *parts, whole = self.written(Latex).split("\n")
        if not parts:
            return whole
        rows = [line.replace(" = ", " &= ", 1) for line in parts]
        return "\\begin{aligned}\n" + " \\\\\n".join([*rows, f"& {whole}"]) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The value at some arrays, for the operands in order or by name; it may be differentiated and traced in turn."""
        arrays, sizes = bound(self.operands, args, named)
        return self.derived([x.dtype for x in arrays], sizes).value(*arrays)

    # --- derivatives ----------------------------------------------------------------------------------------------------

    def diff(self, *names: str | int) -> MatrixFormula:
        """The derivative by an operand; by several, one after the other, and `diff("x", 2)` is `diff("x", "x")`.

        Of a number it is the gradient, in the shape of the operand; by a number, the derivative in the shape of the value; of a
        vector by a vector the Jacobian, J[i, j] = ∂y[i] / ∂x[j].  Any other has the axes of the value, then those of the operand,
        and seldom a textbook form: see `differential`.

        **Raises** `ValueError` for a name that is no operand's, `DTypeError` where the operand or the value is no floating-point
        array.

        **Example**

        >>> import arrayad as ad
        >>> f = ad.symbolic.formula(lambda x, A, b: ad.sum((A @ x - b) ** 2), x="n", A=("m", "n"), b="m")
        >>> print(f.diff("x"), " and ", f.diff("x", 2))
        2 Aᵀ (A x − b)  and  2 Aᵀ A
        """
        found = self
        for name in repeated(names):
            found = found.derivative(name)
        return found

    def derivative(self, name: str) -> MatrixFormula:
        """The derivative by one operand."""
        place = self.place("diff", name)

        def make(avals: list[Shaped]) -> Tape:
            source = self.derived([x.dtype for x in avals], self.sizes_of(avals))
            return record(derivative_of(source, place, avals), list(avals), list(self.operands))

        return MatrixFormula(self.operands, make, ordered=True)

    def differential(self, name: str) -> MatrixFormula:
        """The differential: what the value changes by in first order when an operand changes by dX, a further operand `d` + name.

        It is linear in dX, and the textbook form of the derivatives of matrices by matrices, which have four axes.

        **Raises** as `diff`, and `ValueError` where an operand has the new name.

        **Example**

        >>> import arrayad as ad
        >>> print(ad.symbolic.formula(ad.linalg.inv, x=("n", "n")).differential("x"))
        −x⁻¹ dx x⁻¹
        """
        place = self.place("differential", name)
        change = f"d{name}"
        if change in self.operands:
            raise ValueError(f"[differential] {change} is an operand already; rename it")

        def make(avals: list[Shaped]) -> Tape:
            source = self.derived([x.dtype for x in avals[:-1]], self.sizes_of(avals[:-1]))
            return record(lambda *xs: along(source, place, xs[:-1], xs[-1]), list(avals), [*self.operands, change])

        return MatrixFormula({**self.operands, change: self.operands[name]}, make, ordered=True)

    def place(self, verb: str, name: str) -> int:
        """The position of an operand by which there is a derivative."""
        if name not in self.operands:
            raise ValueError(f"[{verb}] there is no operand {name!r}; the operands are {', '.join(self.operands)}")
        given, value = self.operands[name].dtype, self.at_reference(self.sizes[0]).dtype
        if given.kind != "f":
            raise DTypeError(f"[{verb}] {name} is of dtype {given.name}; derivatives are by floating-point arrays")
        if value.kind != "f":
            raise DTypeError(f"[{verb}] the value is of dtype {value.name}; derivatives are of floating-point arrays")
        return list(self.operands).index(name)

    def sizes_of(self, avals: list[Shaped]) -> dict[str, int]:
        """What the letters are for operands of these shapes."""
        pairs = (pair for x, y in zip(self.operands.values(), avals, strict=True) for pair in zip(x.shape, y.shape, strict=True))
        return {size: n for size, n in pairs if isinstance(size, str)}


def repeated(names: tuple[str | int, ...]) -> list[str]:
    """The names by which to differentiate, each as often as the number behind it says."""
    found: list[str] = []
    for name in names:
        if isinstance(name, str):
            found.append(name)
        elif isinstance(name, int | np.integer) and name > 0 and found:
            found += [found[-1]] * (int(name) - 1)
        else:
            raise TypeError(f"[diff] {name!r} came; names of operands are needed, each with how often behind it, as in ('x', 2)")
    if not found:
        raise TypeError("[diff] no name came; the name of an operand is needed")
    return found


def refuse_programs(entry: Any) -> None:
    """**Raises** `NoClosedFormError` for a loop or a branch."""
    parts = [x for value in entry.params.values() for x in (value if isinstance(value, tuple) else (value,))]
    if any(map(is_program, parts)):
        raise NoClosedFormError(
            f"[formula] there is no closed form of {entry.primitive.name}, which runs at {line_of(entry.location)}; "
            "write where for a branch, and Python's loops with numbers for bounds"
        )


def along(source: Derived, place: int, xs: Any, t: Any) -> Any:
    """The derivative of the value along a change of one operand."""

    def of_one(x: Any) -> Any:
        return source.function(*xs[:place], x, *xs[place + 1 :])

    return jvp(of_one, (xs[place],), (t,))[1]


def derivative_of(source: Derived, place: int, avals: list[Shaped]) -> Callable[..., Any]:
    """The function that computes the derivative of a formula by one operand."""
    x = avals[place]
    if source.shape == ():
        return lambda *xs: grad(source.function, argnums=place)(*xs)
    if x.shape == ():
        return lambda *xs: along(source, place, xs, np.ones((), x.dtype))
    if len(source.shape) == len(x.shape) == 1 and source.shape[0] and x.shape[0]:
        tape = as_read(record(lambda *xs: along(source, place, xs[:-1], xs[-1]), [*avals, x]), Algebra((), True, final=False))
        unit = handle(np.eye(x.shape[0], dtype=x.dtype))
        columns = record(lambda *xs: closed_form(tape, xs, unit, avals, place, source), list(avals))
        return lambda *xs: replay(columns, *xs)
    return lambda *xs: jacobian(source.function, argnums=place)(*xs)


def closed_form(tape: Tape, xs: Any, unit: Any, avals: list[Shaped], place: int, source: Derived) -> Any:
    """The Jacobian as a matrix of products, or, where the derivative along a vector is none, by a sweep for each element."""
    found = side_by_side(tape, list(xs), unit)
    return jacobian(source.function, argnums=place)(*xs) if found is None else found


def formula(f: Callable[..., Any], /, **operands: Any) -> MatrixFormula:
    """A function of arrays as a formula of matrices and vectors, to be printed, differentiated and computed.

    The function runs once, on the shapes of its arguments alone; what it did is simplified with the identities of matrix algebra.
    Derivatives come from the library's own rules, reverse and forward, and are simplified likewise: no table of known results is
    looked into.

    **Parameters** `f`: a function of arrays that returns one array, by any operations of arrayad.  `operands`: for each argument,
    by its name, its shape: a tuple of numbers or letters, `("m", "n")`; `"n"` for a vector, `()` for a number; or
    `symbolic.operand(...)`, which says a dtype, or that a matrix is symmetric.

    **Returns** a `MatrixFormula`.  In its text A B is the product of matrices, ⊙ and ⊘ are product and quotient of elements, Aᵀ,
    A⁻¹ and A⁻ᵀ transpose, inverse and the inverse's transpose, 𝟏 is a column of ones, I the unit matrix, ‖x‖ the Euclidean norm
    and ‖X‖_F Frobenius's; functions such as exp are of each element, softmax of a matrix is of each row.

    **Raises** `TypeError` for a result that is not one array; `NoClosedFormError` for a branch or a loop that hangs on values,
    with its line; `ValueError`, when it is printed, where the operations depend on sizes that are letters.

    The identities hold for real numbers where both sides are defined: a matrix that is inverted is regular, what is divided by is
    not 0, and labels are classes, none of them ignored.

    **Source** Petersen & Pedersen, The Matrix Cookbook, version of November 15, 2012, whose derivatives docs/matrix-calculus.md
    lists; the layout is its: a gradient has the shape of what it is taken by.

    **Example**

    >>> import arrayad as ad
    >>> f = ad.symbolic.formula(lambda x, A: x @ A @ x, x="n", A=("n", "n"))
    >>> print(f, "has the gradient", f.diff("x"))
    xᵀ A x has the gradient (A + Aᵀ) x
    >>> print(f.diff("x").latex())
    \\left(A + A^\\top\\right) x
    >>> f.diff("x")([1.0, 2.0], [[1.0, 0.0], [2.0, 3.0]])
    Tensor([ 6., 14.])
    """
    found = {name: as_operand(name, given) for name, given in operands.items()}
    if not found:
        raise TypeError('[formula] no operand came; give the shape of each argument by name, such as x="n", A=("m", "n")')
    call = caller(f, tuple(found))

    def one_array(*xs: Any) -> Any:
        y = call(*xs)
        try:
            return asarray(y)
        except (TypeError, ValueError):
            raise TypeError(f"[formula] the function returned {type(y).__name__}; one array is needed") from None

    return MatrixFormula(found, lambda avals: tape_of(one_array, avals, list(found), "formula"))

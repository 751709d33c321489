"""Functions of matrices whose derivatives are in textbooks, by their numbers in the Matrix Cookbook: no answer stands here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from arrayad.functions.linear_algebra import norm, trace
from arrayad.functions.linear_systems import det, inv, slogdet
from arrayad.functions.reduction import sum as total
from arrayad.symbolic.matrix.formula import MatrixFormula, formula
from arrayad.symbolic.matrix.operands import operand


class Example(NamedTuple):
    """A function and the operands by which it is differentiated, under its number in the Matrix Cookbook."""

    equation: int
    function: Callable[..., Any]
    by: tuple[str, ...]
    operands: dict[str, Any]

    def value(self) -> MatrixFormula:
        """The function as a formula."""
        return formula(self.function, **self.operands)

    def derivative(self) -> MatrixFormula:
        """Its derivative, as the library's rules and identities make it."""
        return self.value().diff(*self.by)


def example(equation: int, function: Callable[..., Any], by: str, **operands: Any) -> Example:
    return Example(equation, function, tuple(by.split()), operands)


SQUARE = ("n", "n")
W = operand("n", "n", symmetric=True)

EXAMPLES = (
    example(49, lambda X: det(X), "X", X=SQUARE),
    example(51, lambda X, A, B: det(A @ X @ B), "X", X=SQUARE, A=SQUARE, B=SQUARE),
    example(52, lambda X, A: det(X.T @ A @ X), "X", X=SQUARE, A=SQUARE),
    example(53, lambda X, A: det(X.T @ A @ X), "X", X=("n", "m"), A=W),
    example(54, lambda X, A: det(X.T @ A @ X), "X", X=("n", "m"), A=SQUARE),
    example(55, lambda X: slogdet(X.T @ X)[1], "X", X=("n", "m")),
    example(57, lambda X: slogdet(X)[1], "X", X=SQUARE),
    example(58, lambda X: det(X @ X @ X), "X", X=SQUARE),
    example(61, lambda X, a, b: a @ inv(X) @ b, "X", X=SQUARE, a="n", b="n"),
    example(62, lambda X: det(inv(X)), "X", X=SQUARE),
    example(63, lambda X, A, B: trace(A @ inv(X) @ B), "X", X=SQUARE, A=SQUARE, B=SQUARE),
    example(64, lambda X, A: trace(inv(X + A)), "X", X=SQUARE, A=SQUARE),
    example(69, lambda x, a: x @ a, "x", x="n", a="n"),
    example(70, lambda X, a, b: a @ X @ b, "X", X=("m", "n"), a="m", b="n"),
    example(71, lambda X, a, b: a @ X.T @ b, "X", X=("m", "n"), a="n", b="m"),
    example(72, lambda X, a: a @ X @ a, "X", X=SQUARE, a="n"),
    example(76, lambda X: total(X) * total(X), "X", X=("m", "n")),
    example(77, lambda X, b, c: b @ X.T @ X @ c, "X", X=("m", "n"), b="n", c="n"),
    example(
        78,
        lambda x, B, b, C, D, d: (B @ x + b) @ C @ (D @ x + d),
        "x",
        x="n",
        B=("m", "n"),
        b="m",
        C=("m", "k"),
        D=("k", "n"),
        d="k",
    ),
    example(81, lambda x, B: x @ B @ x, "x", x="n", B=SQUARE),
    example(82, lambda X, b, c, D: b @ X.T @ D @ X @ c, "X", X=("m", "n"), b="n", c="n", D=("m", "m")),
    example(83, lambda X, b, c, D: (X @ b + c) @ D @ (X @ b + c), "X", X=("m", "n"), b="n", c="m", D=("m", "m")),
    example(84, lambda s, x, A, W: (x - A @ s) @ W @ (x - A @ s), "s", s="k", x="n", A=("n", "k"), W=W),
    example(85, lambda x, s, W: (x - s) @ W @ (x - s), "x", x="n", s="n", W=W),
    example(86, lambda s, x, W: (x - s) @ W @ (x - s), "s", s="n", x="n", W=W),
    example(87, lambda x, s, A, W: (x - A @ s) @ W @ (x - A @ s), "x", x="n", s="k", A=("n", "k"), W=W),
    example(88, lambda A, x, s, W: (x - A @ s) @ W @ (x - A @ s), "A", A=("n", "k"), x="n", s="k", W=W),
    example(97, lambda x, A, b: x @ A @ x + b @ x, "x", x="n", A=SQUARE, b="n"),
    example(98, lambda x, A, b: x @ A @ x + b @ x, "x x", x="n", A=SQUARE, b="n"),
    example(99, lambda X: trace(X), "X", X=SQUARE),
    example(100, lambda X, A: trace(X @ A), "X", X=("m", "n"), A=("n", "m")),
    example(101, lambda X, A, B: trace(A @ X @ B), "X", X=("m", "n"), A=("k", "m"), B=("n", "k")),
    example(102, lambda X, A, B: trace(A @ X.T @ B), "X", X=("m", "n"), A=("k", "n"), B=("m", "k")),
    example(103, lambda X, A: trace(X.T @ A), "X", X=("m", "n"), A=("m", "n")),
    example(104, lambda X, A: trace(A @ X.T), "X", X=("m", "n"), A=("m", "n")),
    example(106, lambda X: trace(X @ X), "X", X=SQUARE),
    example(107, lambda X, B: trace(X @ X @ B), "X", X=SQUARE, B=SQUARE),
    example(108, lambda X, B: trace(X.T @ B @ X), "X", X=("n", "m"), B=SQUARE),
    example(111, lambda X, B: trace(X @ B @ X.T), "X", X=("m", "n"), B=SQUARE),
    example(114, lambda X, A, B: trace(A @ X @ B @ X), "X", X=("m", "n"), A=("n", "m"), B=("n", "m")),
    example(115, lambda X: trace(X.T @ X), "X", X=("m", "n")),
    example(116, lambda X, B, C: trace(B.T @ X.T @ C @ X @ B), "X", X=("m", "n"), B=("n", "k"), C=("m", "m")),
    example(117, lambda X, B, C: trace(X.T @ B @ X @ C), "X", X=("m", "n"), B=("m", "m"), C=SQUARE),
    example(118, lambda X, A, B, C: trace(A @ X @ B @ X.T @ C), "X", X=("m", "n"), A=("k", "m"), B=SQUARE, C=("m", "k")),
    example(
        119,
        lambda X, A, B, C: trace((A @ X @ B + C) @ (A @ X @ B + C).T),
        "X",
        X=("m", "n"),
        A=("k", "m"),
        B=("n", "p"),
        C=("k", "p"),
    ),
    example(121, lambda X: trace(X @ X @ X @ X), "X", X=SQUARE),
    example(124, lambda X, A, B: trace(A @ inv(X) @ B), "X", X=SQUARE, A=("m", "n"), B=("n", "m")),
    example(129, lambda x, a: norm(x - a), "x", x="n", a="n"),
    example(130, lambda x, a: (x - a) / norm(x - a), "x", x="n", a="n"),
    example(131, lambda x: x @ x, "x", x="n"),
    example(132, lambda X: total(X**2), "X", X=("m", "n")),
)


class Cookbook(NamedTuple):
    """Examples, which print as a table of their numbers, functions, operands and derivatives."""

    examples: tuple[Example, ...]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """For each example its number, its function, what it is differentiated by, and the derivative."""
        return [(f"({x.equation})", str(x.value()), " ".join(x.by), str(x.derivative())) for x in self.examples]

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        return "\n".join(
            f"{number:<{widths[0]}}  {value:<{widths[1]}}  {by:<{widths[2]}}  {found}" for number, value, by, found in rows
        )


def cookbook() -> Cookbook:
    """The derivatives of the Matrix Cookbook that have a form of their own, derived anew when they are printed.

    **Source** Petersen & Pedersen, The Matrix Cookbook, version of November 15, 2012, whose numbers stand in front.

    **Example**

    >>> import arrayad as ad
    >>> print(ad.symbolic.Cookbook(ad.symbolic.cookbook().examples[-4:]))
    (129)  ‖x − a‖            x  (x − a) / ‖x − a‖
    (130)  (x − a) / ‖x − a‖  x  I / ‖x − a‖ − (x − a) (x − a)ᵀ / ‖x − a‖³
    (131)  xᵀ x               x  2 x
    (132)  ‖X‖_F²             X  2 X
    """
    return Cookbook(EXAMPLES)

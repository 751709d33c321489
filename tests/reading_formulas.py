"""A reader of printed formulas: what a text of matrix algebra says, computed by NumPy, with none of the library's code.

Vectors are columns.  Columns of ones have no size of their own: they broadcast, or add up what they are multiplied with.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

TOKENS = re.compile(
    r"\s*(⁻ᵀ|⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+|ᵀ|\^⊙\d+|‖_F|‖|\||\d+(?:\.\d+)?(?:e-?\d+)?|𝟏|[A-Za-z_][A-Za-z_0-9]*(?:²(?=\()|′)?|[()+−/⊘⊙,\[\]])"
)
DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


class Ones(NamedTuple):
    """A number times a column of ones, a row of them, or a matrix of them."""

    number: Any
    adds_rows: bool = False
    adds_columns: bool = True


def value(x: Any) -> Any:
    return x.number if isinstance(x, Ones) else x


def softmax(x: Any) -> Any:
    e = np.exp(x)
    return e / e.sum(axis=0 if x.shape[1] == 1 else 1, keepdims=True)


def one_hot(labels: Any, like: int) -> Any:
    labels = np.asarray(labels)
    found = np.eye(like)[labels.reshape(-1).astype(int)]
    return found.T if labels.ndim == 0 else found


FUNCTIONS = {
    "tr": np.trace,
    "det": np.linalg.det,
    "diag": lambda x: np.diag(x[:, 0]) if x.shape[1] == 1 else np.diag(x)[:, None],
    "softmax": softmax,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sigmoid′": lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2,
    "sech²": lambda x: 1 / np.cosh(x) ** 2,
    "logsumexp": lambda x: np.log(np.exp(x).sum()),
    **{name: getattr(np, name) for name in ("exp", "sin", "cos", "tanh", "log", "sign")},
}


class Reader:
    """A formula being read: `names` are the arrays, and the sizes, that it speaks of; `unit` is the size of I."""

    def __init__(self, text: str, names: dict[str, Any], unit: int) -> None:
        self.tokens = TOKENS.findall(text)
        assert "".join(self.tokens) == re.sub(r"\s", "", text), text
        self.names, self.unit, self.place = names, unit, 0
        self.open: list[str] = []

    @property
    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.next
        assert not wanted or token in wanted, (token, wanted, self.tokens)
        self.place += 1
        return token

    def sum(self) -> Any:
        sign = -1.0 if self.next == "−" and self.take() else 1.0
        total = times(sign, self.quotient())
        while self.next in ("+", "−"):
            sign = 1.0 if self.take() == "+" else -1.0
            term = self.quotient()
            number = value(total) + sign * value(term)
            alike = isinstance(total, Ones) and isinstance(term, Ones) and total[1:] == term[1:]
            total = Ones(number, *total[1:]) if alike else number
        return total

    def quotient(self) -> Any:
        found = self.elements()
        while self.next in ("/", "⊘"):
            self.take()
            found = times(1 / value(self.factor()), found) if not isinstance(found, Ones) else 1 / value(self.factor())
        return found

    def elements(self) -> Any:
        found = self.product()
        while self.next == "⊙":
            self.take()
            found = value(found) * value(self.product())
        return found

    def product(self) -> Any:
        factors = [self.factor()]
        while self.next and (self.next[0].isalnum() or self.next[0] in "_(‖|𝟏"):
            if self.next in ("|", "‖") and self.open.count(self.next):
                break
            if self.next == "‖_F":
                break
            factors.append(self.factor())
        found = factors.pop()
        while factors:
            found = times(factors.pop(), found)
        return found

    def enclosed(self, bracket: str, *closing: str) -> Any:
        self.open = [*self.open, bracket]
        found = self.sum()
        self.open = self.open[:-1]
        return found, self.take(*closing)

    def factor(self) -> Any:
        found = self.atom()
        while self.next and (self.next[0] in "ᵀ⁻⁰¹²³⁴⁵⁶⁷⁸⁹" or self.next.startswith("^⊙")):
            found = raised(found, self.take())
        return found

    def atom(self) -> Any:
        token = self.take()
        if token == "(":
            self.open, before = [], self.open
            found = self.sum()
            self.open = before
            self.take(")")
            return found
        if token == "‖":
            return np.linalg.norm(self.enclosed("‖", "‖", "‖_F")[0])
        if token == "|":
            return abs(self.enclosed("|", "|")[0])
        if token == "𝟏":
            return Ones(1.0)
        if token[0].isdigit():
            return float(token)
        if token == "log" and self.next == "|":
            return np.log(self.atom())
        if token == "onehot":
            self.take("(")
            labels = self.names[self.take()]
            self.take(")")
            return one_hot(labels, self.unit)
        if token in FUNCTIONS and token not in self.names:
            return FUNCTIONS[token](value(self.atom()))
        return np.eye(self.unit) if token == "I" else self.names[token]


def raised(x: Any, power: str) -> Any:
    if isinstance(x, Ones):
        return Ones(x.number, x.adds_columns, x.adds_rows)
    if power == "ᵀ":
        return x.T
    if power == "⁻ᵀ":
        return np.linalg.inv(x).T
    if power.startswith("^⊙"):
        return x ** int(power[2:])
    n = int(power.translate(DIGITS))
    return np.linalg.matrix_power(x, n) if np.ndim(x) == 2 and x.size > 1 else x**n


def times(x: Any, y: Any) -> Any:
    """The product of two factors, of which either may be a number or ones."""
    if isinstance(x, Ones) and isinstance(y, Ones):
        assert not (x.adds_rows and y.adds_columns), "the size of a product of ones is not known"
        return Ones(x.number * y.number, y.adds_rows, x.adds_columns)
    if np.size(value(x)) == 1 and not isinstance(x, Ones):
        return Ones(np.squeeze(x) * y.number, *y[1:]) if isinstance(y, Ones) else np.squeeze(x) * y
    if isinstance(x, Ones):
        return x.number * (y.sum(axis=0, keepdims=True) if x.adds_rows and np.ndim(y) == 2 else y)
    if isinstance(y, Ones):
        return y.number * (x.sum(axis=1, keepdims=True) if y.adds_columns else x)
    if np.size(y) == 1:
        return x * y
    return x @ (np.repeat(y, x.shape[1], axis=0) if len(y) == 1 else y)


def said(text: str, arrays: dict[str, Any], sizes: dict[str, int], unit: int) -> Any:
    """What a printed formula says, its named parts first; vectors are given and returned as columns."""
    names: dict[str, Any] = {name: x[:, None] if np.ndim(x) == 1 and x.dtype.kind == "f" else x for name, x in arrays.items()}
    *parts, whole = text.split("\n")
    for line in parts:
        name, _, formula = line.partition(" = ")
        names[name] = value(Reader(formula, {**sizes, **names}, unit).sum())
    reader = Reader(whole, {**sizes, **names}, unit)
    found = reader.sum()
    assert reader.place == len(reader.tokens), reader.tokens[reader.place :]
    return value(found)

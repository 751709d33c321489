"""A formula written out: the entries of a tape in the words of matrix algebra as text or LaTeX, and the two styles."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np

from arrayad.elementwise import Elementwise
from arrayad.readers.show import written
from arrayad.readers.simplify import only_number, uses_of
from arrayad.shaped import is_weak
from arrayad.symbolic.matrix.notation import ATOM, ELEMENTS, NOTATIONS, POWER, PRODUCT, QUOTIENT, SUM, Piece
from arrayad.symbolic.matrix.parts import diagonal_number, known, shape_of
from arrayad.symbolic.matrix.sizes import size_text
from arrayad.tensor import handle
from arrayad.tracing import Tape, is_member

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
NESTED = 110
"""Characters up to which a formula is written in one piece; a longer one in lines, with names for what is used twice."""

WIDTH = 140
"""Characters beyond which a formula is written in lines after all."""

LONGEST = 60
"""Characters of a part of a long formula beyond which it gets a name too."""

LITERAL = 4
"""Elements up to which a constant array is written out."""


class Text:
    """Formulas in Unicode."""

    column = "text"
    minus, elements, by_elements, ones = "−", "⊙", "⊘", "𝟏"
    transposed, inverse, inverse_transposed, frobenius = "ᵀ", "⁻¹", "⁻ᵀ", "_F"

    @staticmethod
    def name(name: str) -> str:
        return name

    @staticmethod
    def words(text: str) -> str:
        return text

    @staticmethod
    def brackets(text: str) -> str:
        return f"({text})"

    @staticmethod
    def norm(text: str) -> str:
        return f"‖{text}‖"

    @staticmethod
    def bars(text: str) -> str:
        return f"|{text}|"

    @staticmethod
    def function(name: str, argument: str) -> str:
        return f"{name} {argument}"

    @staticmethod
    def call(name: str, arguments: str) -> str:
        return f"{name}({arguments})"

    @staticmethod
    def power(exponent: str) -> str:
        return exponent.translate(SUPERSCRIPTS)

    @staticmethod
    def power_of_elements(exponent: str) -> str:
        return f"^⊙{exponent}"

    @staticmethod
    def element(array: str, places: str) -> str:
        return f"{array}[{places}]"

    @staticmethod
    def fraction(numerator: str, denominator: str) -> str | None:
        return None


GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega".split()
)


class Latex(Text):
    """Formulas in LaTeX."""

    column = "latex"
    minus, elements, by_elements, ones = "-", r"\odot", r"\oslash", r"\mathbf{1}"
    transposed, inverse, inverse_transposed, frobenius = r"^\top", "^{-1}", r"^{-\top}", "_F"

    @staticmethod
    def name(name: str) -> str:
        head, *rest = name.rstrip("_").split("_")
        letters = head.rstrip("0123456789")
        rest = [head[len(letters) :], *rest] if letters and letters != head else rest
        head = rf"\{letters}" if letters in GREEK else letters if len(letters) == 1 else rf"\mathrm{{{letters}}}"
        return f"{head}_{{{','.join(rest)}}}" if rest else head

    @staticmethod
    def words(text: str) -> str:
        return rf"\text{{{text}}}"

    @staticmethod
    def brackets(text: str) -> str:
        return rf"\left({text}\right)"

    @staticmethod
    def norm(text: str) -> str:
        return rf"\left\|{text}\right\|"

    @staticmethod
    def bars(text: str) -> str:
        return rf"\left|{text}\right|"

    @staticmethod
    def function(name: str, argument: str) -> str:
        return rf"\{name} {argument}"

    @staticmethod
    def call(name: str, arguments: str) -> str:
        operator = rf"\{name}" if name in ("det", "exp", "log") else rf"\operatorname{{{name}}}".replace(" ", r"\,")
        return rf"{operator}\left({arguments}\right)"

    @staticmethod
    def power(exponent: str) -> str:
        return f"^{{{exponent}}}"

    @staticmethod
    def power_of_elements(exponent: str) -> str:
        return rf"^{{\odot {exponent}}}"

    @staticmethod
    def element(array: str, places: str) -> str:
        return f"{{{array}}}_{{{places}}}"

    @staticmethod
    def fraction(numerator: str, denominator: str) -> str | None:
        return rf"\frac{{{numerator}}}{{{denominator}}}"


class Page:
    """The entries of one tape, written in one style.

    Numbers are left blank: `blanks` holds them, and `text` has a mark in their place, since what a number is called may
    depend on the sizes (see `arrayad.symbolic.matrix.sizes`).
    """

    def __init__(self, tape: Tape, style: type[Text], sizes: dict[str, int]) -> None:
        self.tape = tape
        self.sizes = sizes
        self.style = style
        self.letter = next(
            letter for letter in "wvuzyxtsrqp" if not any(name.startswith(letter) for name in tape.names if len(name) > 1)
        )
        self.write(weight(tape) > NESTED)
        if not self.is_long and len(self.result) > WIDTH:
            self.write(True)

    def write(self, is_long: bool) -> None:
        """Write the entries; of a long formula with names for parts."""
        self.is_long = is_long
        self.blanks: list[float] = []
        self.constants: dict[int, Any] = {}
        self.lines: list[tuple[str, str]] = []
        self.shared = self.worth_a_name() if is_long else set()
        names = zip(self.tape.inputs, self.tape.names, strict=True)
        self.pieces: dict[Any, Piece] = {entry: Piece(self.style.name(name)) for entry, name in names}
        for entry in self.tape.entries:
            piece = self.written(entry)
            if entry in self.shared or self.is_too_long(entry, piece):
                self.shared.add(entry)
                name = self.style.name(f"{self.letter}{len(self.lines) + 1}")
                self.lines.append((name, piece.text))
                piece = Piece(name)
            self.pieces[entry] = piece
        (output,) = self.tape.outputs
        self.result = self.piece(output).text

    @property
    def text(self) -> str:
        """The formula, with a mark for each number."""
        constants = [
            (self.style.name(f"C{place}"), self.style.words(f"constant {self.option(value.shape)}"))
            for place, value in self.constants.values()
        ]
        body = [*(text for _, text in self.lines), self.result]
        constants = [
            (name, text) for name, text in constants if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", y) for y in body)
        ]
        return "\n".join([*(f"{name} = {text}" for name, text in (*constants, *self.lines)), self.result])

    def is_too_long(self, entry: Any, piece: Piece) -> bool:
        """Whether a part of a long formula is to have a line of its own: not the whole, nor its layout."""
        (output,) = self.tape.outputs
        whole = output.history if is_member(output, self.tape) else None
        return self.is_long and len(piece.text) > LONGEST and entry is not whole and own_weight(entry) > 0 and shape_known(entry)

    def worth_a_name(self) -> set[Any]:
        """The entries that are used more than once and say more than a letter."""
        uses = uses_of(self.tape)
        sizes: Counter[Any] = Counter()
        for entry in self.tape.entries:
            sizes[entry] = own_weight(entry) + sum(sizes[x.history] for x in entry.inputs if is_member(x, self.tape))
        return {entry for entry in self.tape.entries if uses[entry] > 1 and sizes[entry] > 1 and shape_known(entry)}

    # --- what notations ask -------------------------------------------------------------------------------------------

    def written(self, entry: Any) -> Piece:
        """An entry by the notation of its row."""
        write = NOTATIONS.get(entry.primitive)
        piece = None if write is None else write(self, entry)
        if piece is not None:
            return piece
        operands = [self.piece(x).text for x in entry.inputs]
        if isinstance(entry.primitive, Elementwise):
            text = written(entry.primitive, operands, entry.params, self.style.column)
            return Piece(text, level_of(text))
        options = [f"{name}={self.option(value)}" for name, value in entry.params.items()]
        return Piece(self.style.call(entry.primitive.name, ", ".join([*operands, *options])))

    def option(self, value: Any) -> str:
        """A parameter, with letters for sizes."""
        if isinstance(value, tuple):
            return f"({', '.join(map(self.option, value))}{',' * (len(value) == 1)})"
        return size_text(value, self.sizes) if value.__class__ is int else str(value)

    def piece(self, x: Any) -> Piece:
        """An operand's piece."""
        if is_member(x, self.tape):
            return self.pieces[x.history]
        return self.constant(x)

    def entry(self, x: Any) -> Any:
        """The entry that makes an operand, None if there is none."""
        return x.history if is_member(x, self.tape) and x.history.primitive is not None else None

    def factors(self, entry: Any) -> list[Any]:
        """The factors of a product that is written from the right, as far as they have no name of their own."""
        found = []
        row = entry.primitive
        while True:
            left, right = entry.inputs
            found.append(left)
            entry = self.entry(right)
            if entry is None or entry.primitive is not row or entry in self.shared:
                return [*found, right]

    def repeated(self, piece: Piece, count: int) -> str:
        """A power of a matrix."""
        if piece.base is not None and piece.text == piece.base + self.style.inverse:
            return piece.base + self.style.power(f"-{count}")
        return self.within(piece, ATOM) + self.style.power(str(count))

    def constant_number(self, x: Any) -> float | None:
        """The number that an operand is throughout, if it is a constant."""
        if is_weak(x):
            return float(x)
        value = known(x)
        found = None if value is None else only_number(value)
        return None if found is None else float(found)

    def constant(self, x: Any) -> Piece:
        """A constant: a number, ones, the unit matrix, or an array, which gets a name if it is large."""
        c = self.constant_number(x)
        if c is not None:
            return self.multiple(c, None if shape_of(x) == () else self.ones(shape_of(x)))
        if (c := diagonal_number(x)) is not None:
            return self.multiple(c, Piece("I"))
        value = known(x)
        if (
            value.dtype.kind == "f"
            and value.ndim == 2
            and value.shape[0] == value.shape[1] > 1
            and (c := diagonal_number(handle(value - value[0, 1]))) is not None
        ):
            ones = self.multiple(float(value[0, 1]), self.ones(value.shape))
            return Piece(
                f"{self.multiple(c, Piece('I')).text} + {ones.text}".replace(f"+ {self.style.minus}", f"{self.style.minus} "), 0
            )
        if (labels := labels_of(value)) is not None:
            return self.call("onehot", Piece(size_text(labels, self.sizes) if labels.__class__ is int else str(labels)))
        if value.size <= LITERAL:
            return Piece(str(value.tolist()))
        place = self.constants.setdefault(id(value), (len(self.constants) + 1, value))[0]
        return Piece(self.style.name(f"C{place}"))

    def multiple(self, c: float, of: Piece | None) -> Piece:
        """A number, or a number times a constant matrix."""
        if c == 0:
            return Piece("0")
        if of is None:
            return self.number(c) if c > 0 else Piece(self.style.minus + self.number(-c).text, QUOTIENT)
        positive = of if abs(c) == 1 else self.times(self.number(abs(c)), of)
        return positive if c > 0 else Piece(self.style.minus + positive.text, QUOTIENT)

    def number(self, c: float) -> Piece:
        """A positive number, left blank."""
        self.blanks.append(c)
        return Piece(f"\0{len(self.blanks) - 1}\0")

    def ones(self, shape: tuple[int, ...]) -> Piece:
        """A vector of ones, a row of them, or a matrix."""
        ones = self.style.ones
        if len(shape) != 2 or shape[1] == 1:
            return Piece(ones)
        row = ones + self.style.transposed
        return Piece(row, POWER) if shape[0] == 1 else Piece(f"{ones} {row}", PRODUCT)

    def within(self, piece: Piece, level: int) -> str:
        """A piece in brackets, unless it holds together this tightly."""
        return piece.text if piece.level >= level else self.style.brackets(piece.text)

    def times(self, factor: Piece, piece: Piece) -> Piece:
        """A number times something."""
        level = min(piece.level, PRODUCT) if piece.level >= QUOTIENT else PRODUCT
        return Piece(
            f"{self.within(factor, PRODUCT)} {self.within(piece, QUOTIENT if factor.level == ATOM else ELEMENTS)}", level
        )

    def fraction(self, numerator: Piece, denominator: Piece, over: str) -> Piece:
        """A quotient."""
        stacked = self.style.fraction(numerator.text, denominator.text) if over == "/" else None
        if stacked is not None:
            return Piece(stacked, PRODUCT)
        return Piece(f"{self.within(numerator, ELEMENTS)} {over} {self.within(denominator, POWER)}", QUOTIENT)

    def call(self, name: str, *arguments: Piece) -> Piece:
        """A function of some pieces."""
        return Piece(self.style.call(name, ", ".join(piece.text for piece in arguments)))


def level_of(text: str) -> int:
    """How tightly what a row's own column makes holds together: what stands between brackets does not count."""
    depth, outer = 0, ""
    for letter in text:
        depth -= letter in ")}]"
        outer += letter if depth == 0 else ""
        depth += letter in "({["
    if " " in outer:
        return SUM
    return ATOM if text.endswith((")", "}")) and "^" not in outer else POWER


def labels_of(value: Any) -> Any:
    """The label of a constant one-hot column, or those of the rows of a constant matrix."""
    if value.ndim != 2 or not np.isin(value, (0, 1)).all():
        return None
    rows = value.T if value.shape[1] == 1 else value
    if not (rows.sum(axis=1) == 1).all():
        return None
    labels = rows.argmax(axis=1).tolist()
    return labels[0] if value.shape[1] == 1 else labels


def own_weight(entry: Any) -> int:
    """How much an operation adds to the length of a formula: nothing where it only changes the layout."""
    return 0 if entry.primitive.is_view and len(entry.inputs) == 1 else 1


def shape_known(entry: Any) -> bool:
    """Whether an entry is one array."""
    return hasattr(entry.output, "shape")


def weight(tape: Tape) -> int:
    """About how many characters a formula takes in one piece."""
    lengths: dict[Any, int] = dict.fromkeys(tape.inputs, 1)
    for entry in tape.entries:
        operands = sum(lengths[x.history] if is_member(x, tape) else 1 for x in entry.inputs)
        lengths[entry] = operands + 3 * own_weight(entry)
    return max((lengths[y.history] for y in tape.outputs if is_member(y, tape)), default=1)

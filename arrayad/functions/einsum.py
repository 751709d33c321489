"""Einstein summation: any number of operands, contracted in pairs by matrix products.

The subscripts are brought to a plain form first: one letter for each axis, the ellipsis spelled out, diagonals taken,
axes of length 1 that broadcast dropped.  Then operands are contracted two at a time; a pair becomes one product of
matrices (with leading axes where both operands and the result share letters), so that BLAS does the work.  All of it
is made of operations that have derivatives, and so has them to any order.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from arrayad.errors import ShapeError
from arrayad.functions.creation import asarray
from arrayad.namespace import public
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.linear_algebra import common_diagonal, matrix_product
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.tensor import Tensor

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@public()
def einsum(subscripts: Any, *operands: Any, optimize: Any = "greedy") -> Tensor:
    """Sum of products by Einstein's convention: "ij,jk->ik" is y[i, k] = sum over j of x1[i, j] x2[j, k].

    All of NumPy's notation: without "->" the result has the letters that occur once, in alphabetical order; "..."
    stands for axes that broadcast; a letter twice in one operand takes its diagonal; letters that the result lacks
    are summed; axes of length 1 broadcast; `einsum(x1, [0, 1], x2, [1, 2], [0, 2])` gives the letters as numbers.

    **Parameters** `optimize`: in which order more than two operands are contracted, as in `np.einsum_path`: "greedy",
    "optimal", or False for from left to right.

    **Raises** `ValueError` for subscripts that are none, `ShapeError` where they do not fit the operands.

    **Example**

    >>> import arrayad as ad
    >>> x = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> ad.einsum("ii", x), ad.einsum("ij,j->i", x, [1.0, 10.0])
    (Tensor(5.), Tensor([21., 43.]))
    """
    if not isinstance(subscripts, str):
        subscripts, operands = from_sublists((subscripts, *operands))
    tensors = [asarray(x, copy=True) for x in operands]
    terms, output = parsed(subscripts, tuple(x.ndim for x in tensors))
    lengths = lengths_of(subscripts, terms, tuple(x.shape for x in tensors))
    for letter in output:
        if letter not in lengths:
            raise refusal(subscripts, f"the result has {letter!r}, which no operand has")
    factors = [plain_factor(Factor(term, x), lengths) for term, x in zip(terms, tensors, strict=True)]
    for step in steps_of(factors, output, optimize):
        chosen = [factors.pop(i) for i in sorted(step, reverse=True)][::-1]
        product = chosen[0]
        for i, factor in enumerate(chosen[1:], 2):
            needed = set(output).union(*(other.letters for other in (*factors, *chosen[i:])))
            product = contracted(product, factor, needed)
        factors.append(product)
    return permuted(summed(factors[0], set(output)), output)


# --- reading the subscripts -----------------------------------------------------------------------------------------


def refusal(subscripts: str, why: str) -> ValueError:
    return ValueError(f'[einsum] "{subscripts}": {why}')


def from_sublists(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Subscripts and operands of the form (x1, [0, 1], x2, [1, 2], …, [0, 2]), the last list being optional."""

    def written(sublist: Any) -> str:
        try:
            return "".join("..." if n is Ellipsis else LETTERS[n] for n in sublist)
        except (TypeError, IndexError):
            raise ValueError(f"[einsum] {sublist!r} is no list of axes; ints from 0 to 51 and `...` are needed") from None

    pairs = len(arguments) // 2
    subscripts = ",".join(written(arguments[2 * i + 1]) for i in range(pairs))
    if len(arguments) % 2:
        subscripts += "->" + written(arguments[-1])
    return subscripts, arguments[: 2 * pairs : 2]


@functools.lru_cache(maxsize=1024)
def parsed(subscripts: str, ndims: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """The letters of each operand's axes and of the result's, the ellipsis spelled out."""
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ndims):
        raise refusal(subscripts, f"these subscripts are of {len(terms)} operands, {len(ndims)} came")
    for term in (*terms, output):
        if not set(term.replace("...", "", 1)) <= set(LETTERS):
            raise refusal(subscripts, f"{term!r} is not made of letters and one '...'")
    spare = [letter for letter in LETTERS if letter not in text]
    widths = [ndim - len(term.replace("...", "")) for term, ndim in zip(terms, ndims, strict=True)]
    for i, (term, width) in enumerate(zip(terms, widths, strict=True)):
        if width < 0 or (width > 0 and "..." not in term):
            raise ShapeError(
                f'[einsum] "{subscripts}": operand {i + 1} has {ndims[i]} axes, its subscripts {term!r} are of '
                f"{ndims[i] - width}{' or more' if '...' in term else ''}"
            )
    widest = max((width for term, width in zip(terms, widths, strict=True) if "..." in term), default=0)
    if widest > len(spare):
        raise refusal(subscripts, f"there are {len(set(text))} letters and {widest} axes under '...'; 52 in all are possible")
    dots = "".join(spare[:widest])
    spelled = tuple(term.replace("...", dots[widest - width :]) for term, width in zip(terms, widths, strict=True))
    if not arrow:
        output = "..." + "".join(sorted(letter for letter in set(inputs) & set(LETTERS) if inputs.count(letter) == 1))
    elif dots and "..." not in output:
        raise refusal(subscripts, "the operands have axes under '...', which the result lacks; write '...' there too")
    output = output.replace("...", dots)
    if len(set(output)) != len(output):
        raise refusal(subscripts, f"the result {output!r} has a letter twice")
    return spelled, output


@functools.lru_cache(maxsize=1024)
def lengths_of(subscripts: str, terms: tuple[str, ...], shapes: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    """The length of each letter's axes, of which some may be 1 and broadcast."""
    lengths: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        own: dict[str, int] = {}
        for letter, n in zip(term, shape, strict=True):
            if own.setdefault(letter, n) != n:
                raise ShapeError(
                    f'[einsum] "{subscripts}": an operand of shape {shape}, of which {letter!r} takes a diagonal; '
                    "the lengths of its axes must agree"
                )
            if lengths.setdefault(letter, n) == 1:
                lengths[letter] = n
            if n not in (1, lengths[letter]):
                raise ShapeError(
                    f'[einsum] "{subscripts}": {letter!r} has the lengths {lengths[letter]} and {n}, the shapes are '
                    f"{', '.join(map(str, shapes))}; the axes of one letter must agree or be 1"
                )
    return lengths


# --- contracting ----------------------------------------------------------------------------------------------------


class Factor(NamedTuple):
    """An operand, or a product of some, with one letter for each axis."""

    letters: str
    value: Any


def plain_factor(factor: Factor, lengths: dict[str, int]) -> Factor:
    """A factor with distinct letters, each of full length: diagonals are taken, axes that broadcast dropped."""
    letters, x = factor
    for letter in letters if len(set(letters)) < len(letters) else "":
        while letters.count(letter) > 1:
            first, second = letters.index(letter), letters.index(letter, letters.index(letter) + 1)
            x = common_diagonal(x, axis1=first, axis2=second)
            letters = letters[:second] + letters[second + 1 :]
    kept = [i for i, letter in enumerate(letters) if x.shape[i] == lengths[letter]]
    if len(kept) < len(letters):
        x = reshape(x, shape=tuple(x.shape[i] for i in kept))
    return Factor("".join(letters[i] for i in kept), x)


def steps_of(factors: list[Factor], output: str, optimize: Any) -> list[tuple[int, ...]]:
    """Which factors to contract, step by step; a product goes to the end of those that are left."""
    if optimize not in (True, False, "greedy", "optimal"):
        raise ValueError(f'[einsum] optimize is {optimize!r}; True, False, "greedy" or "optimal" is needed')
    if len(factors) < 3 or optimize is False:
        return [tuple(range(len(factors)))]
    subscripts = ",".join(factor.letters for factor in factors) + "->" + output
    shapes = tuple(factor.value.shape for factor in factors)
    return path(subscripts, shapes, "greedy" if optimize is True else optimize)


@functools.lru_cache(maxsize=1024)
def path(subscripts: str, shapes: tuple[tuple[int, ...], ...], kind: str) -> list[tuple[int, ...]]:
    """The steps that NumPy finds, of which the size of intermediate results is not limited."""
    trial = [np.broadcast_to(np.float64(0), shape) for shape in shapes]
    return list(np.einsum_path(subscripts, *trial, optimize=(kind, 2**62))[0][1:])


def summed(factor: Factor, needed: set[str]) -> Factor:
    """The factor summed over the letters that nobody needs any more."""
    axis = tuple(i for i, letter in enumerate(factor.letters) if letter not in needed)
    if not axis:
        return factor
    return Factor("".join(letter for letter in factor.letters if letter in needed), reduce_sum(factor.value, axis=axis))


def contracted(first: Factor, second: Factor, needed: set[str]) -> Factor:
    """The product of two factors, summed over the letters that they share and nobody else needs.

    y[batch, rows, columns] = sum over inner of x1[batch, rows, inner] x2[batch, inner, columns]
    """
    first = summed(first, needed | set(second.letters))
    second = summed(second, needed | set(first.letters))
    shared = [letter for letter in first.letters if letter in second.letters]
    inner = [letter for letter in shared if letter not in needed]
    if not inner:
        return multiplied(first, second)
    batch = [letter for letter in shared if letter in needed]
    rows = [letter for letter in first.letters if letter not in shared]
    columns = [letter for letter in second.letters if letter not in shared]
    lengths = dict(zip(first.letters + second.letters, first.value.shape + second.value.shape, strict=True))
    b, m, n = (tuple(lengths[letter] for letter in group) for group in (batch, rows, columns))
    left = matrices(first, batch, rows, inner, b)
    right = matrices(second, batch, inner, columns, b)
    return Factor("".join((*batch, *rows, *columns)), reshaped(matrix_product(left, right), (*b, *m, *n)))


def matrices(factor: Factor, batch: list[str], rows: list[str], columns: list[str], lead: tuple[int, ...]) -> Any:
    """The factor as matrices: its axes in the order batch, rows, columns, the last two groups made one axis each."""
    x = permuted(factor, "".join((*batch, *rows, *columns)))
    sizes = x.shape[len(batch) :]
    return reshaped(x, (*lead, math.prod(sizes[: len(rows)]), math.prod(sizes[len(rows) :])))


def multiplied(first: Factor, second: Factor) -> Factor:
    """The product without a sum: elementwise, the letters of one factor that the other lacks as axes of length 1."""
    if len(second.letters) > len(first.letters):
        first, second = second, first
    extra = "".join(letter for letter in second.letters if letter not in first.letters)
    letters = first.letters + extra
    present = "".join(letter for letter in letters if letter in second.letters)
    x = reshaped(first.value, (*first.value.shape, *(1,) * len(extra)))
    y = permuted(second, present)
    lengths = dict(zip(present, y.shape, strict=True))
    return Factor(letters, x * reshaped(y, tuple(lengths.get(letter, 1) for letter in letters)))


def permuted(factor: Factor, letters: str) -> Any:
    """The factor's value with its axes in the order of `letters`."""
    if letters == factor.letters:
        return factor.value
    return permute_dims(factor.value, axes=tuple(factor.letters.index(letter) for letter in letters))


def reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    return x if x.shape == shape else reshape(x, shape=shape)

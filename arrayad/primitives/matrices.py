"""What the rows of matrices share: adjoints, diagonals, and the words for a matrix of a stack that fails.

The last two axes of an operand are a matrix, and its leading axes tell the matrices of a stack apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.errors import LinAlgError, describe
from arrayad.primitives.complex import conjugated
from arrayad.primitives.linear_algebra import common_diagonal, matrix_product, matrix_transposed, on_diagonal


def adjoint(x: Any) -> Any:
    """The conjugate transpose of each matrix."""
    return matrix_transposed(conjugated(x))


def product(*factors: Any) -> Any:
    """The product of some matrices, from the left."""
    first, *rest = factors
    for factor in rest:
        first = matrix_product(first, factor)
    return first


def hermitian_part(x: Any) -> Any:
    """½ (x + xᴴ)."""
    return 0.5 * (x + adjoint(x))


def added(*terms: Any) -> Any:
    """The sum of those terms that are not None, which is None if all are."""
    found = [term for term in terms if term is not None]
    if not found:
        return None
    total = found[0]
    for term in found[1:]:
        total = total + term
    return total


def diagonal_of(x: Any) -> Any:
    """The diagonal of each square matrix, as a vector."""
    return common_diagonal(x, axis1=x.ndim - 2, axis2=x.ndim - 1)


def diagonal_matrix(x: Any) -> Any:
    """The square matrices that have these diagonals."""
    return on_diagonal(x, axis1=x.ndim - 1, axis2=x.ndim)


def symmetrized(x: Any) -> Any:
    """½ (x + xᴴ) of arrays: exactly x where this is Hermitian."""
    return 0.5 * x + 0.5 * np.conjugate(np.swapaxes(x, -1, -2))


def passed_jvp(tangents: Any, y: Any, x: Any, *others: Any, **params: Any) -> Any:
    """The JVP of a row that looks at its operands and gives the first as it is."""
    return tangents[0]


def passed_vjp(needed: Any, ct: Any, y: Any, x: Any, *others: Any, **params: Any) -> Any:
    return (ct, *(None for _ in others))


def explained_failure(kernel: Callable[..., Any], name: str, trouble: str, *stacks: Any) -> LinAlgError:
    """The error that tells which matrix of a stack it is that `kernel` fails at."""
    for index in np.ndindex(stacks[0].shape[:-2]):
        try:
            kernel(*(x[index] for x in stacks))
        except np.linalg.LinAlgError:
            return failure_at(index, name, trouble, stacks[0])
    return failure_at((), name, trouble, stacks[0])


def failure_at(index: tuple[int, ...], name: str, trouble: str, stack: Any) -> LinAlgError:
    """The error that says what is wrong with the matrix of a stack that has this index."""
    place = f"matrix {list(index)} of the stack " if index else ""
    return LinAlgError(f"[{name}] {place}x is {describe(stack)}: {trouble}")

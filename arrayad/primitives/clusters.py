"""Clusters of eigenvalues or singular values: what a derivative of their vectors may be asked within them, and its quotients.

Sorted values that follow each other within the tolerance 16 √n eps max |λ| are one cluster: rounding alone moves them so far
that no digit of a single vector is left.  Singular values below the tolerance are the cluster of 0.

What a function of the values and the vectors (Λ, V) does when a cluster splits cannot be told from its cotangents in
general: those of Σ B ∘ V f(Λ) Vᴴ and of the projector Σ f B ∘ V Vᴴ are equal where diag(Vᴴ B V) is 0.  But they differ in a
generic basis of the cluster.  There the cotangents are legitimate only if those of the vectors are invariant under turns of the
basis and those of the values equal.  These two conditions are checked; whoever fails them gets an error.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from arrayad.errors import DerivativeError
from arrayad.primitive import OUTPUT, general, like_first
from arrayad.primitives.arithmetic import multiply
from arrayad.primitives.broadcasting import all_alike, reduce_sum
from arrayad.primitives.matrices import passed_jvp, passed_vjp
from arrayad.primitives.shape import reshape
from arrayad.samples import Samples
from arrayad.shaped import Shaped
from arrayad.weights import BASIC, QUOTIENT

TOLERANCE = 16
"""Values are a cluster where one follows the other within TOLERANCE √n eps max |λ|."""

Array = np.ndarray[Any, Any]


def width(w: Array) -> Array:
    """The distance within which values count as one, for each matrix."""
    return TOLERANCE * np.sqrt(w.shape[-1]) * np.finfo(w.dtype).eps * np.abs(w).max(axis=-1, keepdims=True, initial=0)


def clusters_of(w: Array) -> Array:
    """The number of the cluster that each of the sorted values belongs to."""
    numbers = np.zeros(w.shape, np.int64)
    np.cumsum(np.abs(np.diff(w, axis=-1)) > width(w), axis=-1, out=numbers[..., 1:])
    return numbers


def vanishing(w: Array) -> Array:
    """Which of the descending singular values belong to the cluster of 0."""
    numbers = clusters_of(w)
    return (numbers == numbers[..., -1:]) & (w[..., -1:] <= width(w))


def within(w: Array, kind: str) -> Array:
    """Where a denominator of this kind counts as 0."""
    if kind == "gaps":
        numbers = clusters_of(w)
        return np.asarray(numbers[..., None] == numbers[..., None, :])
    zero = vanishing(w)
    return zero[..., None, :] if kind == "values" else zero[..., None] & zero[..., None, :]


def has_clusters(w: Array) -> bool:
    """Whether any two values of one matrix are a cluster."""
    return bool(w.size) and bool((np.abs(np.diff(w, axis=-1)) <= width(w)).any())


# --- the generic basis ------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=32)
def generic_rotation(size: int, dtype: np.dtype[Any], seed: int) -> Array:
    """A fixed unitary matrix without structure."""
    rng = np.random.default_rng([size, seed])
    x = rng.standard_normal((size, size))
    if dtype.kind == "c":
        x = x + 1j * rng.standard_normal((size, size))
    return np.asarray(np.linalg.qr(x)[0], dtype=dtype)


def generic_phases(size: int, dtype: np.dtype[Any]) -> Array:
    """Complex numbers of absolute value 1, no two of them related."""
    return np.exp(1j * (1 + np.arange(size) * np.sqrt(2))).astype(dtype)


def turned(vectors: Array, w: Array, seed: int = 0, apart: Array | None = None) -> Array:
    """The vectors, columns, of each cluster turned generically; of complex ones also the phases of single vectors.

    Of the clusters `apart` a rotation of its own is taken for each `seed`, of the others the same.
    """
    if vectors.dtype.kind == "c":
        vectors = vectors * generic_phases(w.shape[-1], vectors.dtype)
    numbers = clusters_of(w)
    members = np.zeros(w.shape, bool) if apart is None else apart.copy()
    if w.size:
        members[..., 1:] |= numbers[..., 1:] == numbers[..., :-1]
    places = sorted({tuple(index[:-1]) for index in np.argwhere(members).tolist()})
    if places:
        vectors = vectors.copy()
    for place in places:
        starts = np.flatnonzero(np.diff(numbers[place], prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], w.shape[-1]], strict=True):
            is_apart = apart is not None and bool(apart[(*place, start)])
            if stop - start > 1 or (is_apart and vectors.dtype.kind == "c"):
                columns: Any = (*place, slice(None), slice(start, stop))
                rotation = generic_rotation(stop - start, vectors.dtype, seed if is_apart else 0)
                vectors[columns] = vectors[columns] @ rotation
    return vectors


# --- quotients --------------------------------------------------------------------------------------------------------


def row_and_column(x: Any) -> tuple[Any, Any]:
    """x[…, j] and x[…, i], to be broadcast to a matrix."""
    return reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1])), reshape(x, shape=(*x.shape, 1))


def denominator(w: Any, kind: str) -> Any:
    """w[j] - w[i], w[j] + w[i] or w[j]."""
    across, down = row_and_column(w)
    return across - down if kind == "gaps" else across + down if kind == "sums" else across


def quotient_kernel(x1: Any, x2: Any, *, kind: str) -> Any:
    across, down = x2[..., None, :], x2[..., None]
    below = across - down if kind == "gaps" else across + down if kind == "sums" else across
    return np.divide(x1, below, out=np.zeros(x1.shape, np.result_type(x1, x2)), where=~within(x2, kind))


def quotient_jvp(tangents: Any, y: Any, x1: Any, x2: Any, *, kind: str) -> Any:
    by_x, by_w = tangents
    first = None if by_x is None else quotient(by_x, x2, kind=kind)
    second = None if by_w is None else -quotient(y, x2, kind=kind) * denominator(by_w, kind)
    return second if first is None else first if second is None else first + second


def quotient_vjp(needed: Any, ct: Any, y: Any, x1: Any, x2: Any, *, kind: str) -> Any:
    by_x = quotient(ct, x2, kind=kind) if needed[0] else None
    if not needed[1]:
        return by_x, None
    g = -multiply(ct, quotient(y, x2, kind=kind))
    by_across, by_down = (reduce_sum(g, axis=(g.ndim - k,)) for k in (2, 1))
    return by_x, by_across if kind == "values" else by_across - by_down if kind == "gaps" else by_across + by_down


def apart(rng: Any, shape: tuple[int, ...]) -> Any:
    """Positive values in descending order, far from each other."""
    return np.broadcast_to(np.arange(shape[-1], 0, -1.0), shape) + rng.uniform(0, 0.5, shape)


PAIRS: list[Any] = [((3, 3), (3,)), ((2, 3, 3), (2, 3)), ((1, 1), (1,)), ((0, 0), (0,))]

quotient = general(
    "spectral_quotient",
    """Quotients by differences, sums or single values of x2, in cluster 0: y[i, j] = x1[i, j] / (x2[j] - x2[i]) for "gaps".

    The denominator is x2[j] + x2[i] for "sums", where 0 stands if both vanish, and x2[j] for "values", if it vanishes.
    """,
    numpy=quotient_kernel,
    shape=lambda x1, x2, *, kind: Shaped(x1.shape, np.result_type(x1.dtype, x2.dtype)),
    jvp=quotient_jvp,
    vjp=quotient_vjp,
    residuals=(1, OUTPUT),
    batch=all_alike,
    samples=Samples(
        lapack=True,
        complex=True,
        cases=[(shapes, {"kind": kind}) for kind in ("gaps", "sums", "values") for shapes in PAIRS]
        + [(((4, 2), (2,)), {"kind": "values"})],
        make={1: apart},
    ),
    cost=lambda output, x1, x2, *, kind: (BASIC + QUOTIENT) * x1.size,
)


# --- what may be asked within a cluster -----------------------------------------------------------------------------------

WORDS = {
    "eigh": ("eigenvalues", "eigvalsh", "λ"),
    "svd": ("singular values", "svdvals", "σ"),
}


def refuse(bad: Array, w: Array, name: str, what: str) -> None:
    """**Raises** `DerivativeError` where something is `bad` of a value's cluster."""
    if not bad.any():
        return
    *index, k = np.argwhere(bad)[0].tolist()
    values = w[tuple(index)]
    cluster = values[clusters_of(values) == clusters_of(values)[k]]
    word, alone, letter = WORDS[name]
    place = f" of matrix {index} of the stack" if index else ""
    bound = f"{TOLERANCE} √n eps max |{letter}| = {width(values)[0]:.2g}"
    if len(cluster) == 1:
        kind = f"the {word[:-1]} {cluster[0]:.8g}{place} " + (
            f"is below {bound}" if name == "svd" and vanishing(values)[k] else "has a vector of arbitrary phase"
        )
    else:
        kind = f"the {word} {', '.join(f'{x:.8g}' for x in cluster[:4])}{', …' if len(cluster) > 4 else ''}{place} are a cluster"
        kind += f": each lies within {bound} of the next"
    raise DerivativeError(
        f"[{name}] {kind}, so that the vectors are only some basis, and {what} depends on which.  Symmetric functions of the "
        f"values alone ({alone}) and projectors on whole clusters have a derivative; for functions of a matrix use expm, "
        "matrix_power, solve or products"
    )


def allowed(x: Array, axes: tuple[int, ...]) -> Array:
    """What counts as 0 beside an array: the root of eps, relative to its largest element."""
    return np.sqrt(np.finfo(x.dtype).eps) * np.abs(x).max(axis=axes, keepdims=True, initial=0)


def invariant_kernel(x: Any, w: Any, *references: Any, kind: str, name: str, what: str) -> Any:
    inside = within(w, "gaps" if kind == "scalar" else kind)
    if inside.any():
        rest = x
        if kind == "scalar":
            mean = np.matmul(inside, np.diagonal(x, axis1=-2, axis2=-1)[..., None]) / inside.sum(axis=-1, keepdims=True)
            rest = x - mean * np.eye(x.shape[-1], dtype=x.dtype)
        bound = functools.reduce(np.maximum, [allowed(reference, (-2, -1)) for reference in references])
        refuse((inside & (np.abs(rest) > bound)).any(axis=-2), w, name, what)
    return x


invariant = general(
    "invariant_in_clusters",
    """x1 itself, whose elements within clusters of x2 count as 0 beside x3, …; of kind "scalar" multiples of 1 do too.

    **Raises** `DerivativeError` where they do not.
    """,
    numpy=invariant_kernel,
    shape=like_first,
    jvp=passed_jvp,
    vjp=passed_vjp,
    batch=all_alike,
    samples=Samples(cases=[]),
    cost=lambda output, x, w, *rest, **params: 2 * x.size,
)


def equal_kernel(x: Any, w: Any, *, name: str, what: str) -> Any:
    numbers = clusters_of(w)
    if has_clusters(w) or (name == "svd" and vanishing(w).any()):
        inside = numbers[..., None] == numbers[..., None, :]
        spread = np.where(inside, np.abs(x[..., None] - x[..., None, :]), 0).max(axis=-1)
        if name == "svd":
            spread = np.where(vanishing(w), np.abs(x), spread)
        refuse(spread > allowed(x, (-1,)), w, name, what)
    return x


equal_within = general(
    "equal_in_clusters",
    """x1 itself, whose elements are equal within clusters of x2, and 0 where singular values vanish.

    **Raises** `DerivativeError` where they are not.
    """,
    numpy=equal_kernel,
    shape=like_first,
    jvp=passed_jvp,
    vjp=passed_vjp,
    batch=all_alike,
    samples=Samples(cases=[]),
    cost=lambda output, x, w, **params: 2 * x.size,
)

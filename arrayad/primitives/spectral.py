"""Rows of eigenvalues and singular values, with their vectors.

Of `generic` vectors those of each cluster are turned by a fixed rotation (see `arrayad.primitives.clusters`): for the unit
matrix LAPACK gives the unit vectors, at which V f(Λ) Vᴴ and sums over elements of V look like functions that have a derivative.

**Source** Magnus, On differentiating eigenvalues and eigenvectors, Econometric Theory 1 (1985); Wan & Zhang, Automatic
differentiation for complex valued SVD, arXiv:1909.02659 (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.errors import DerivativeError
from arrayad.primitive import OUTPUT, Undefined, general
from arrayad.primitives.broadcasting import all_alike
from arrayad.primitives.casting import real
from arrayad.primitives.clusters import equal_within, invariant, quotient, turned, vanishing
from arrayad.primitives.complex import conjugated
from arrayad.primitives.linear_algebra import matrix_product, matrix_transposed
from arrayad.primitives.matrices import (
    added,
    adjoint,
    diagonal_matrix,
    diagonal_of,
    explained_failure,
    hermitian_part,
    product,
    symmetrized,
)
from arrayad.primitives.picking import outputs
from arrayad.samples import Samples, positive_definite, well_conditioned
from arrayad.shaped import Bundle, Shaped

COTANGENT = "the function differentiated"
TANGENT = "the tangent of the vectors (reverse mode, which knows what they are used for, may have a derivative)"


def real_dtype(dtype: Any) -> Any:
    return dtype.type(0).real.dtype


def decomposed(kernel: Callable[..., Any], name: str, x: Any) -> Any:
    """NumPy's decomposition, with its complaint put into our words."""
    try:
        return kernel(x)
    except np.linalg.LinAlgError:
        trouble = "its elements are not finite" if not np.isfinite(x).all() else "LAPACK's iteration does not converge"
        raise explained_failure(kernel, name, trouble, x) from None


def or_undefined(compute: Callable[[], Any]) -> Any:
    """What `compute` gives, or that it is undefined, for whoever uses it."""
    try:
        return compute()
    except DerivativeError as error:
        return Undefined(str(error))


def skew(x: Any) -> Any:
    """x - xᴴ."""
    return x - adjoint(x)


# --- eigh -----------------------------------------------------------------------------------------------------------


def eigh_kernel(x: Any, *, generic: bool) -> Bundle:
    w, v = decomposed(np.linalg.eigh, "eigh", symmetrized(x))
    return Bundle((w, turned(v, w) if generic else v))


def eigh_shape(x: Shaped, *, generic: bool) -> Bundle:
    return Bundle((Shaped(x.shape[:-1], real_dtype(x.dtype)), x))


def eigh_jvp(tangents: Any, y: Any, x: Any, *, generic: bool) -> Any:
    """With S = Vᴴ t V: tΛ = diag S, tV = V (S[i, j] / (λ[j] - λ[i])), where S is a multiple of 1 within clusters."""
    w, v = outputs(y)
    s = product(adjoint(v), hermitian_part(tangents[0]), v)

    def vectors() -> Any:
        free = invariant(s, w, s, kind="scalar", name="eigh", what=TANGENT)
        return matrix_product(v, quotient(free, w, kind="gaps"))

    return Bundle((real(diagonal_of(s)), or_undefined(vectors)))


def eigh_vjp(needed: Any, ct: Any, y: Any, x: Any, *, generic: bool) -> Any:
    """conj(V) (diag ctΛ + ½ (M - Mᴴ)[i, j] / (λ[j] - λ[i])) Vᵀ of M = Vᵀ ctV."""
    w, v = outputs(y)
    by_w, by_v = ct
    if by_v is None:
        core = diagonal_matrix(by_w)
    else:
        m = matrix_product(matrix_transposed(v), by_v)
        free = invariant(skew(m), w, m, kind="gaps", name="eigh", what=COTANGENT)
        core = 0.5 * quotient(free, w, kind="gaps")
        if by_w is not None:
            core = core + diagonal_matrix(equal_within(by_w, w, name="eigh", what=COTANGENT))
    return (hermitian_part(product(conjugated(v), in_dtype(core, v), matrix_transposed(v))),)


def in_dtype(x: Any, like: Any) -> Any:
    """x as a complex matrix where `like` is one."""
    return x + 0j if like.dtype.kind == "c" and x.dtype.kind != "c" else x


SQUARE: list[Any] = [(3, 3), (2, 3, 3), (1, 1), (0, 0), (0, 2, 2)]

eigh = general(
    "eigh",
    """Eigenvalues, ascending, and eigenvectors, columns, of ½ (x + xᴴ): Σ_j ½ (x[i, j] + conj(x[j, i])) v[j, k] = λ[k] v[i, k].

    **Raises** `DerivativeError` where a derivative depends on the basis of a cluster's vectors.
    """,
    numpy=eigh_kernel,
    shape=eigh_shape,
    jvp=eigh_jvp,
    vjp=eigh_vjp,
    residuals=(OUTPUT,),
    batch=all_alike,
    samples=Samples(lapack=True, shapes=SQUARE, params=[{"generic": True}], make={0: positive_definite}),
    cost=lambda output, x, *, generic: 9 * x.shape[-1] * x.size,
)


# --- svd ------------------------------------------------------------------------------------------------------------


def thin(x: Any) -> Any:
    return np.linalg.svd(x, full_matrices=False)


def svd_kernel(x: Any, *, generic: bool) -> Bundle:
    u, s, vh = decomposed(thin, "svd", x)
    if generic:
        zero = vanishing(s) if s.size else None
        u = turned(u, s, 1, zero)
        vh = np.conjugate(np.swapaxes(turned(np.conjugate(np.swapaxes(vh, -1, -2)), s, 2, zero), -1, -2))
    return Bundle((u, s, vh))


def svd_shape(x: Shaped, *, generic: bool) -> Bundle:
    *lead, m, n = x.shape
    k = min(m, n)
    return Bundle((Shaped((*lead, m, k), x.dtype), Shaped((*lead, k), real_dtype(x.dtype)), Shaped((*lead, k, n), x.dtype)))


def svd_jvp(tangents: Any, y: Any, x: Any, *, generic: bool) -> Any:
    """With P = Uᴴ t V: tS = Re diag P, tU = ½ U (Z + W) + …, tV = ½ V (Z - W) + …, and what leaves their spans by 1 / σ."""
    u, s, vh = outputs(y)
    v, t = adjoint(vh), tangents[0]
    right, left = matrix_product(t, v), matrix_product(adjoint(t), u)
    p = matrix_product(adjoint(u), right)

    def vectors() -> Any:
        z = divided(hermitian_part(p), s, p, kind="scalar", what=TANGENT)
        w = divided(skew(p), s, p, kind="sums", what=TANGENT)
        tu, tv = matrix_product(u, z + 0.5 * w), matrix_product(v, z - 0.5 * w)
        if u.shape[-2] > s.shape[-1]:
            tu = tu + divided(right - matrix_product(u, p), s, right, kind="values", what=TANGENT)
        if v.shape[-2] > s.shape[-1]:
            tv = tv + divided(left - matrix_product(v, adjoint(p)), s, left, kind="values", what=TANGENT)
        return tu, adjoint(tv)

    found = or_undefined(vectors)
    tu, tvh = (found, found) if found.__class__ is Undefined else found
    return Bundle((tu, real(diagonal_of(p)), tvh))


def divided(x: Any, s: Any, *references: Any, kind: str, what: str) -> Any:
    """Quotients of what vanishes, beside `references`, where they are not defined."""
    free = invariant(x, s, *references, kind=kind, name="svd", what=what)
    return quotient(free, s, kind="gaps" if kind == "scalar" else kind)


def svd_vjp(needed: Any, ct: Any, y: Any, x: Any, *, generic: bool) -> Any:
    """The transpose of `svd_jvp`, with M = Uᵀ ctU and N = Vᵀ ctV: conj(U) (diag ctS + …) Vᵀ, and what leaves the spans."""
    u, s, vh = outputs(y)
    by_u, by_s, by_vh = ct
    if by_u is None and by_vh is None:
        return (product(conjugated(u), in_dtype(diagonal_matrix(by_s), u), conjugated(vh)),)
    v = adjoint(vh)
    by_v = None if by_vh is None else adjoint(by_vh)
    m = None if by_u is None else matrix_product(matrix_transposed(u), by_u)
    n = None if by_v is None else matrix_product(matrix_transposed(v), by_v)
    beside = [x for x in (m, n) if x is not None]
    core = 0.5 * (
        divided(skew(added(m, n)), s, *beside, kind="gaps", what=COTANGENT)
        + divided(skew(added(m, None if n is None else -n)), s, *beside, kind="sums", what=COTANGENT)
    )
    if by_s is not None:
        core = core + diagonal_matrix(equal_within(by_s, s, name="svd", what=COTANGENT))
    left = matrix_product(conjugated(u), in_dtype(core, u))
    if m is not None and u.shape[-2] > s.shape[-1]:
        left = left + divided(by_u - matrix_product(conjugated(u), m), s, by_u, kind="values", what=COTANGENT)
    g = matrix_product(left, conjugated(vh))
    if n is not None and v.shape[-2] > s.shape[-1]:
        beyond = divided(by_v - matrix_product(conjugated(v), n), s, by_v, kind="values", what=COTANGENT)
        g = g + matrix_product(conjugated(u), adjoint(beyond))
    return (g,)


def svd_cost(output: Any, x: Shaped, *, generic: bool) -> float:
    m, n = sorted(x.shape[-2:], reverse=True)
    return x.size / max(1, m * n) * (6 * m * n**2 + 20 * n**3)


svd = general(
    "svd",
    """Singular values, descending, and vectors of each matrix: x[i, j] = Σ_k u[i, k] s[k] vh[k, j], k below min(m, n).

    **Raises** `DerivativeError` where a derivative depends on the basis of a cluster's vectors.
    """,
    numpy=svd_kernel,
    shape=svd_shape,
    jvp=svd_jvp,
    vjp=svd_vjp,
    residuals=(OUTPUT,),
    batch=all_alike,
    samples=Samples(
        lapack=True,
        shapes=[(3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1), (2, 0), (0, 2), (0, 2, 2)],
        params=[{"generic": True}],
        make={0: well_conditioned},
    ),
    cost=svd_cost,
)


# --- all vectors, or none ----------------------------------------------------------------------------------------------

COMPLEMENT = (
    "[svd] with full_matrices the last vectors are some basis of what the others do not span, and have no derivative; "
    "use full_matrices=False"
)


def full_svd_kernel(x: Any) -> Bundle:
    return Bundle(decomposed(np.linalg.svd, "svd", x))


def full_svd_shape(x: Shaped) -> Bundle:
    *lead, m, n = x.shape
    k = min(m, n)
    return Bundle((Shaped((*lead, m, m), x.dtype), Shaped((*lead, k), real_dtype(x.dtype)), Shaped((*lead, n, n), x.dtype)))


def full_svd_jvp(tangents: Any, y: Any, x: Any) -> Any:
    undefined = Undefined(COMPLEMENT)
    return Bundle((undefined, svd_jvp(tangents, svd(x, generic=True), x, generic=True)[1], undefined))


def full_svd_vjp(needed: Any, ct: Any, y: Any, x: Any) -> Any:
    by_u, by_s, by_vh = ct
    if by_u is not None or by_vh is not None:
        raise DerivativeError(COMPLEMENT)
    return svd_vjp(needed, Bundle((None, by_s, None)), svd(x, generic=True), x, generic=True)


full_svd = general(
    "full_svd",
    """Singular values of each matrix, and complete bases of vectors, which have no derivative.""",
    numpy=full_svd_kernel,
    shape=full_svd_shape,
    jvp=full_svd_jvp,
    vjp=full_svd_vjp,
    residuals=(0,),
    batch=all_alike,
    samples=Samples(cases=[]),
    cost=lambda output, x: 20 * max(x.shape[-2:]) * x.size,
)


def values_shape(x: Shaped) -> Shaped:
    return Shaped((*x.shape[:-2], min(x.shape[-2:])), real_dtype(x.dtype))


def eigenvalues_kernel(x: Any) -> Any:
    return decomposed(np.linalg.eigvalsh, "eigvalsh", symmetrized(x))


def singular_values_kernel(x: Any) -> Any:
    return decomposed(lambda x: np.linalg.svd(x, compute_uv=False), "svdvals", x)


eigenvalues = general(
    "eigenvalues",
    """Eigenvalues of ½ (x + xᴴ), ascending, where nobody asks for a derivative: without vectors.""",
    numpy=eigenvalues_kernel,
    shape=values_shape,
    batch=all_alike,
    samples=Samples(lapack=True, complex=True, shapes=SQUARE, make={0: positive_definite}),
    cost=lambda output, x: 4 / 3 * x.shape[-1] * x.size,
)

singular_values = general(
    "singular_values",
    """Singular values of each matrix, descending, where nobody asks for a derivative: without vectors.""",
    numpy=singular_values_kernel,
    shape=values_shape,
    batch=all_alike,
    samples=Samples(lapack=True, complex=True, shapes=[(3, 3), (4, 2), (2, 3, 2), (2, 0)], make={0: well_conditioned}),
    cost=lambda output, x: 4 * min(x.shape[-2:]) * x.size,
)

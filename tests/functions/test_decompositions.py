"""Decompositions: values by NumPy, derivatives by differences, and what may be asked of repeated values by closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DerivativeError, LinAlgError, ShapeError

la = ad.linalg


def drawn(seed: int, *shape: int, dtype: str = "float64") -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def hermitian(x: Any) -> Any:
    return (x + np.conj(np.swapaxes(x, -1, -2))) / 2


def positive(seed: int, *shape: int, dtype: str = "float64") -> np.ndarray[Any, Any]:
    x = drawn(seed, *shape, dtype=dtype)
    return (x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape[-1])).astype(dtype)


def unitary(seed: int, n: int, dtype: str = "float64") -> np.ndarray[Any, Any]:
    return np.linalg.qr(drawn(seed, n, n, dtype=dtype))[0]


def adjoint(x: Any) -> Any:
    return ad.conj(ad.matrix_transpose(x))


# --- values -----------------------------------------------------------------------------------------------------------

DTYPES = ["float32", "float64", "complex64", "complex128"]
SHAPES = [(3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 3), (3, 0), (0, 0), (0, 2, 2), (1, 1)]


def assert_same(found: Any, wanted: Any) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    tolerance = 1e-4 if found.dtype.char in "fF" else 1e-12
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_qr_and_svd_are_numpys(shape: Any, dtype: str) -> None:
    """Also for operands that are not contiguous, and by NumPy's name."""
    x = drawn(1, *shape, dtype=dtype)
    for mode in ("reduced", "complete"):
        for found, wanted in zip(la.qr(x, mode), np.linalg.qr(x, mode), strict=True):
            assert_same(found, wanted)
    assert_same(la.qr(x, "r"), np.linalg.qr(x, "r"))
    assert_same(la.svdvals(x), np.linalg.svdvals(x))
    for full in (True, False):
        wanted = np.linalg.svd(x, full)
        turned = np.swapaxes(np.swapaxes(x, -1, -2).copy(), -1, -2)
        for found in (la.svd(x, full), np.linalg.svd(ad.tensor(x), full_matrices=full), la.svd(turned, full)):
            for mine, theirs in zip(found, wanted, strict=True):
                assert_same(mine, theirs)
    if shape[-1] == shape[-2]:
        assert_same(la.svd(x, hermitian=True).S, np.linalg.svd(hermitian(x), hermitian=True).S)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (1, 1), (0, 0), (0, 2, 2)], ids=str)
def test_eigh_and_cholesky_are_numpys(shape: Any, dtype: str) -> None:
    x = positive(2, *shape, dtype=dtype)
    assert_same(la.cholesky(x), np.linalg.cholesky(x))
    assert_same(np.linalg.cholesky(ad.tensor(x), upper=True), np.linalg.cholesky(x, upper=True))
    for triangle in (None, "L", "u"):
        given = x if triangle is None else np.tril(x) if triangle == "L" else np.triu(x)
        assert_same(la.eigvalsh(given, triangle), np.linalg.eigvalsh(x))
        for mine, theirs in zip(la.eigh(given, triangle), np.linalg.eigh(x), strict=True):
            assert_same(mine, theirs)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_generic_vectors_decompose_the_matrix_too(dtype: str) -> None:
    """Those taken where a derivative may be asked for: of repeated and of vanishing values, and of all."""
    q, p = unitary(3, 5, dtype), unitary(4, 5, dtype)
    values = np.array([3.0, 3.0, 1.0, 0.0, 0.0])
    seen: list[Any] = []

    def look(x: Any) -> Any:
        w, v = la.eigh(x @ adjoint(x))
        u, s, vh = la.svd(x)
        seen[:] = [ad.stop_gradient(y).numpy() for y in (w, v, u, s, vh)]
        return ad.sum(s)

    x = q * values @ np.conj(p.T)
    ad.value_and_grad(look)(x)
    w, v, u, s, vh = seen
    np.testing.assert_allclose(v * w @ np.conj(v.T), x @ np.conj(x.T), atol=1e-12)
    np.testing.assert_allclose(u * s @ vh, x, atol=1e-12)
    for vectors in (v, u, vh):
        np.testing.assert_allclose(np.conj(vectors.T) @ vectors, np.eye(5), atol=1e-13)


# --- derivatives ------------------------------------------------------------------------------------------------------

FUNCTIONS: list[tuple[str, Any, tuple[int, ...]]] = [
    ("cholesky", la.cholesky, (3, 3)),
    ("cholesky upper", lambda x: la.cholesky(x, upper=True) ** 2, (2, 2, 2)),
    ("qr of tall", lambda x: list(la.qr(x)), (4, 2)),
    ("qr of wide", lambda x: list(la.qr(x)), (2, 4)),
    ("r", lambda x: la.qr(x, "r"), (3, 3)),
    ("complete r", lambda x: la.qr(x, "complete")[1], (3, 2)),
    ("eigenvalues", lambda x: la.eigvalsh(x), (3, 3)),
    ("eigenvectors", lambda x: ad.abs(la.eigh(x)[1]) ** 2, (3, 3)),
    ("lower triangle", lambda x: la.eigvalsh(x, "L") ** 2, (3, 3)),
    ("upper triangle", lambda x: ad.abs(la.eigh(x, "U")[1]) ** 2, (2, 2)),
    ("a function of both", lambda x: (lambda w, v: (v * ad.sin(w)) @ adjoint(v))(*la.eigh(x)), (3, 3)),
    ("singular values", la.svdvals, (4, 2)),
    ("full singular values", lambda x: la.svd(x)[1], (2, 3)),
    ("left vectors", lambda x: ad.abs(la.svd(x, full_matrices=False)[0]) ** 2, (4, 2)),
    ("right vectors", lambda x: ad.abs(la.svd(x, full_matrices=False)[2]) ** 2, (2, 4)),
    ("all of them", lambda x: (lambda u, s, v: (u * ad.sin(s)) @ v)(*la.svd(x, full_matrices=False)), (3, 2)),
    ("all of wide ones", lambda x: (lambda u, s, v: (u * ad.sin(s)) @ v)(*la.svd(x, full_matrices=False)), (2, 2, 3)),
    ("the polar factor", lambda x: (lambda u, s, v: u @ v)(*la.svd(x)), (3, 3)),
    ("hermitian", lambda x: la.svd(x, hermitian=True).S, (3, 3)),
]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name, f, shape", FUNCTIONS, ids=[row[0] for row in FUNCTIONS])
def test_derivatives_agree_with_differences(name: str, f: Any, shape: Any, dtype: str) -> None:
    """Both modes, to second order, by real and by complex elements, in directions that are not Hermitian too."""
    is_positive = name.startswith("cholesky")
    x = positive(5, *shape, dtype=dtype) if is_positive else drawn(6, *shape, dtype=dtype)
    ad.testing.check_grads(f, (x,), order=2)


@pytest.mark.parametrize("name", ["cholesky", "eigvalsh"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_gradients_by_hermitian_matrices_are_hermitian(name: str, dtype: str) -> None:
    x = positive(7, 3, 3, dtype=dtype)
    g = np.asarray(ad.grad(lambda x: ad.sum(ad.abs(getattr(la, name)(x)) ** 2))(x))
    np.testing.assert_allclose(g, np.conj(g.T), rtol=1e-14)


def test_one_triangle_alone_gets_the_gradient_where_it_alone_is_read() -> None:
    x = positive(8, 3, 3)
    whole = np.asarray(ad.grad(lambda x: la.eigvalsh(x)[2])(x))
    lower = np.asarray(ad.grad(lambda x: la.eigvalsh(x, "L")[2])(x))
    np.testing.assert_allclose(lower, np.tril(whole) + np.tril(whole, -1), rtol=1e-13)


@pytest.mark.parametrize("transform", [lambda f: ad.vmap(ad.grad(f)), lambda f: ad.grad(lambda x: ad.sum(ad.vmap(f)(x)))])
def test_batches_of_gradients(transform: Any) -> None:
    def f(x: Any) -> Any:
        u, s, vh = la.svd(x, full_matrices=False)
        w, v = la.eigh(adjoint(x) @ x)
        q, r = la.qr(x)
        return ad.sum(u[0] * s * vh[:, 0] + ad.log(w) * v[0] ** 2) + ad.sum(q @ la.cholesky(adjoint(r) @ r))

    x = drawn(9, 4, 3, 2)
    np.testing.assert_allclose(transform(f)(x), np.stack([ad.grad(f)(each) for each in x]), rtol=1e-11, atol=1e-12)


# --- repeated eigenvalues -----------------------------------------------------------------------------------------------

REPEATED = {
    "the unit matrix": np.eye(3),
    "zero": np.zeros((3, 3)),
    "a diagonal matrix": np.diag([1.0, 1.0, 3.0]),
    "any basis": unitary(10, 3) * np.array([1.0, 1.0, 3.0]) @ unitary(10, 3).T,
    "complex": unitary(11, 3, "complex128") * np.array([2.0, 2.0, -1.0]) @ np.conj(unitary(11, 3, "complex128").T),
    "no cluster but one": unitary(12, 4) * np.array([-1.0, 2.0, 2.0, 2.0]) @ unitary(12, 4).T,
}
WEIGHTS = {n: drawn(13, n, n) for n in (2, 3, 4)}


def exponential(x: Any) -> np.ndarray[Any, Any]:
    w, v = np.linalg.eigh(x)
    return v * np.exp(w) @ np.conj(v.T)


@pytest.mark.parametrize("x", REPEATED.values(), ids=REPEATED)
def test_symmetric_functions_of_the_values_alone_are_right(x: np.ndarray[Any, Any]) -> None:
    """d Σ exp λ = tr(exp(x) t), in both modes, and by values of `eigh` whose vectors nobody uses."""
    for f in (lambda x: ad.sum(ad.exp(la.eigvalsh(x))), lambda x: ad.sum(ad.exp(la.eigh(x)[0]))):
        np.testing.assert_allclose(ad.grad(f)(x), exponential(x), rtol=1e-12, atol=1e-13)
        t = hermitian(drawn(14, *x.shape, dtype=str(x.dtype)))
        found = ad.jvp(f, (x,), (t,))[1].item()
        assert found == pytest.approx(np.trace(exponential(x) @ t).real, rel=1e-12)
    series = ad.taylor(lambda s: ad.sum(ad.exp(la.eigvalsh(x * s))), 1.0, 1)
    np.testing.assert_allclose(series[1], np.trace(exponential(x) @ x).real)


@pytest.mark.parametrize("x", REPEATED.values(), ids=REPEATED)
def test_functions_of_the_matrix_through_values_and_vectors_are_refused(x: np.ndarray[Any, Any]) -> None:
    """Masking 1 / (λj - λi) would lose what f(λ) does when the cluster splits, without a sign of it."""

    def f(x: Any) -> Any:
        w, v = la.eigh(x)
        return ad.sum(ad.real(WEIGHTS[len(w)] * ((v * ad.exp(w)) @ adjoint(v))))

    with pytest.raises(DerivativeError, match=r"\[eigh\] the eigenvalues .* are a cluster: each lies within 16 √n eps max"):
        ad.grad(f)(x)
    with pytest.raises(DerivativeError, match=r"\[eigh\] the eigenvalues .* are a cluster.*tangent of the vectors"):
        ad.jvp(f, (x,), (hermitian(drawn(15, *x.shape, dtype=str(x.dtype))),))
    g = ad.grad(lambda x: ad.sum(ad.real(WEIGHTS[len(x)] * la.expm(x))))(x)  # what the message names
    h = 1e-6
    t = hermitian(drawn(15, *x.shape, dtype=str(x.dtype)))
    wanted = np.sum(WEIGHTS[len(x)] * (exponential(x + h * t) - exponential(x - h * t)).real) / (2 * h)
    assert np.sum(np.conj(g) * t).real == pytest.approx(wanted, rel=1e-7)


def test_the_trap_of_a_linear_function_at_zero() -> None:
    """Σ B ∘ V Λ Vᵀ is Σ B ∘ x; at 0 the vectors have the cotangent 0, and no projector in sight."""

    def f(x: Any) -> Any:
        w, v = la.eigh(x)
        return ad.sum(np.array([[0.0, 1.0], [1.0, 0.0]]) * ((v * w) @ adjoint(v)))

    with pytest.raises(DerivativeError, match="cluster"):
        ad.grad(f)(np.zeros((2, 2)))


@pytest.mark.parametrize("x", list(REPEATED.values())[2:], ids=list(REPEATED)[2:])
def test_projectors_on_whole_clusters_are_right(x: np.ndarray[Any, Any]) -> None:
    """P of λ₁ has the derivative Σ P t R + R t P over 1 / (λ₁ - λ₂), with R = 1 - P."""
    w, v = np.linalg.eigh(x)
    numbers = np.flatnonzero(np.abs(w - np.median(w)) < 1e-9)
    p = v[:, numbers] @ np.conj(v[:, numbers].T)
    r = np.eye(len(x)) - p
    other = w[np.abs(w - np.median(w)) > 0.5][0]
    weights = hermitian(drawn(16, *x.shape, dtype=str(x.dtype)))

    def f(x: Any) -> Any:
        v = la.eigh(x)[1][:, numbers[0] : numbers[-1] + 1]
        return ad.sum(ad.real(np.conj(weights) * (v @ adjoint(v))))

    wanted = (p @ weights @ r + r @ weights @ p) / (np.median(w) - other)
    np.testing.assert_allclose(ad.grad(f)(x), wanted, rtol=1e-12, atol=1e-13)


NOT_INVARIANT: dict[str, Any] = {
    "the sum of all elements": lambda w, v: ad.sum(v),
    "one element": lambda w, v: v[0, 0],
    "a component squared": lambda w, v: v[0, 0] ** 2,
    "the projector on one vector": lambda w, v: ad.sum(WEIGHTS[3] * ad.outer(v[:, 0], v[:, 0])),
    "values and a vector": lambda w, v: w[0] + 0.0 * v[0, 0],
}


@pytest.mark.parametrize("f", NOT_INVARIANT.values(), ids=NOT_INVARIANT)
def test_what_depends_on_the_basis_of_a_cluster_is_refused_also_where_lapack_gives_unit_vectors(f: Any) -> None:
    with pytest.raises(DerivativeError, match=r"\[eigh\] the eigenvalues 1, 1(, 1)? are a cluster"):
        ad.grad(lambda x: f(*la.eigh(x)))(np.eye(3))


def test_vectors_apart_from_a_cluster_have_their_derivative() -> None:
    x = REPEATED["a diagonal matrix"]
    sign = np.sign(np.linalg.eigh(x)[1][2, 2])
    g = ad.grad(lambda x: la.eigh(x)[1][0, 2] * sign)(x)
    np.testing.assert_allclose(g, [[0, 0, 0.25], [0, 0, 0], [0.25, 0, 0]], atol=1e-15)


def test_the_phase_of_complex_vectors_is_arbitrary() -> None:
    x = np.diag([1.0, 2.0]).astype(complex)
    with pytest.raises(DerivativeError, match=r"\[eigh\] the eigenvalue 1 has a vector of arbitrary phase"):
        ad.grad(lambda x: ad.real(ad.sum(la.eigh(x)[1])))(x)
    g = ad.grad(lambda x: ad.abs(la.eigh(x)[1][0, 1]) ** 2 + ad.abs(la.eigh(x)[1][0, 0]) ** 2)(x + 0.1)
    np.testing.assert_allclose(g, 0, atol=1e-14)


def test_the_tolerance_tells_clusters_from_near_values() -> None:
    """Eight times as far apart is a derivative, with the digits that are left; half as far is refused."""
    bound = 16 * np.sqrt(2) * 2.0**-52

    def f(x: Any) -> Any:
        w, v = la.eigh(x)
        return ad.sum(WEIGHTS[2] * ((v * ad.exp(w)) @ adjoint(v)))

    with pytest.raises(DerivativeError, match="of matrix \\[1\\] of the stack are a cluster"):
        ad.grad(lambda x: ad.sum(ad.vmap(f)(x)))(np.stack([np.diag([1.0, 2.0]), np.diag([1.0, 1.0 - bound / 2])]))
    g = np.asarray(ad.grad(f)(np.diag([1.0, 1.0 - 8 * bound])))
    np.testing.assert_allclose(g, np.e * hermitian(WEIGHTS[2]), rtol=0.05)
    g = np.asarray(ad.grad(f)(np.diag([1.0, 1.0 - 1e-6])))
    np.testing.assert_allclose(g, np.e * hermitian(WEIGHTS[2]), rtol=1e-5)


def test_forward_mode_through_vectors_is_right_where_the_cluster_does_not_split() -> None:
    x = np.diag([1.0, 1.0, 3.0])
    t = np.diag([0.5, 0.5, -1.0])
    t[0, 2] = t[2, 0] = 0.3

    def f(x: Any) -> Any:
        w, v = la.eigh(x)
        return (v * ad.exp(w)) @ adjoint(v)

    wanted = (exponential(x + 1e-6 * t) - exponential(x - 1e-6 * t)) / 2e-6
    np.testing.assert_allclose(ad.jvp(f, (x,), (t,))[1], wanted, atol=1e-8)


def test_second_derivatives_at_clusters_are_right_or_refused() -> None:
    """The trace has none; Σ λ² has one that hangs on how the cluster splits, of which `sum(x * x)` knows."""
    slope = lambda f: lambda x: ad.sum(ad.grad(lambda x: f(la.eigvalsh(x)))(x) * WEIGHTS[3])  # noqa: E731
    np.testing.assert_allclose(ad.grad(slope(ad.sum))(np.eye(3)), np.zeros((3, 3)), atol=1e-14)
    with pytest.raises(DerivativeError, match="cluster"):
        ad.grad(slope(lambda w: ad.sum(w**2)))(np.eye(3))
    with pytest.raises(DerivativeError, match="cluster"):
        ad.hvp(lambda x: ad.sum(la.eigvalsh(x) ** 2), np.eye(3), WEIGHTS[3])


def test_second_derivatives_that_do_not_ask_how_a_cluster_splits_are_right_in_reverse_mode() -> None:
    """The sum of the lower eigenvalues where they are one cluster, and the nuclear norm of equal singular values."""
    x, t = REPEATED["any basis"], hermitian(drawn(26, 3, 3))
    twice = ad.jacrev(ad.grad(lambda x: ad.sum(la.eigvalsh(x)[:2])))(x)
    curve = lambda h: np.sum(np.linalg.eigvalsh(x + h * t)[:2])  # noqa: E731
    wanted = (curve(1e-3) - 2 * curve(0.0) + curve(-1e-3)) / 1e-6
    assert np.sum(np.einsum("ijkl,kl->ij", twice, t) * t) == pytest.approx(wanted, rel=1e-5)
    x, t = 2.0 * unitary(27, 3), drawn(28, 3, 3)
    twice = ad.jacrev(ad.grad(lambda x: ad.sum(la.svdvals(x))))(x)
    curve = lambda h: np.linalg.norm(x + h * t, "nuc")  # noqa: E731
    wanted = (curve(1e-3) - 2 * curve(0.0) + curve(-1e-3)) / 1e-6
    assert np.sum(np.einsum("ijkl,kl->ij", twice, t) * t) == pytest.approx(wanted, rel=1e-5)


# --- repeated and vanishing singular values -----------------------------------------------------------------------------


def test_values_alone_of_repeated_singular_values() -> None:
    """d Σ σ² = 2 x, and the nuclear norm's derivative is the polar factor."""
    x = 2.0 * unitary(17, 3)
    np.testing.assert_allclose(ad.grad(lambda x: ad.sum(la.svdvals(x) ** 2))(x), 2 * x, rtol=1e-13)
    np.testing.assert_allclose(ad.grad(lambda x: la.norm(x, "nuc"))(x), x / 2, rtol=1e-13, atol=1e-14)
    deficient = drawn(18, 3, 1) @ drawn(19, 1, 2)
    np.testing.assert_allclose(ad.grad(lambda x: ad.sum(la.svdvals(x) ** 2))(deficient), 2 * deficient, rtol=1e-13)


def test_the_polar_factor_of_repeated_singular_values_is_right() -> None:
    """Its cotangents do not depend on the basis: at the unit matrix the derivative is the skew part."""
    g = ad.grad(lambda x: ad.sum(WEIGHTS[3] * (lambda u, s, v: u @ v)(*la.svd(x))))(np.eye(3))
    np.testing.assert_allclose(g, (WEIGHTS[3] - WEIGHTS[3].T) / 2, rtol=1e-13, atol=1e-15)


def test_the_projector_on_the_range_is_right() -> None:
    """P = U Uᵀ of rank 2: dP = (1 - P) t x⁺ + (…)ᵀ along t that keeps the rank, and the cotangent by that alone."""
    x = drawn(20, 4, 2) @ drawn(21, 2, 3)
    weights = hermitian(drawn(22, 4, 4))
    g = ad.grad(lambda x: ad.sum(weights * (lambda u: u @ adjoint(u))(la.svd(x, full_matrices=False)[0][:, :2])))(x)
    inverse = np.linalg.pinv(x, 1e-10)
    np.testing.assert_allclose(g, 2 * (np.eye(4) - x @ inverse) @ weights @ inverse.T, rtol=1e-11, atol=1e-12)


SINGULAR: dict[str, tuple[Any, Any]] = {
    "a function of equal values": (np.eye(3), lambda u, s, v: ad.sum(WEIGHTS[3] * ((u * ad.exp(s)) @ v))),
    "the matrix itself at 0": (np.zeros((3, 3)), lambda u, s, v: ad.sum(WEIGHTS[3] * ((u * s) @ v))),
    "the matrix itself at rank 1": (np.ones((3, 3)), lambda u, s, v: ad.sum(WEIGHTS[3] * ((u * s) @ v))),
    "one element": (np.eye(3), lambda u, s, v: u[0, 0]),
    "the polar factor at rank 1": (np.diag([2.0, 0.0, 0.0]), lambda u, s, v: ad.sum(WEIGHTS[3] * (u @ v))),
    "left vectors of 0": (np.ones((3, 2)), lambda u, s, v: ad.sum(WEIGHTS[3] * (u @ adjoint(u)))),
}


@pytest.mark.parametrize("x, f", SINGULAR.values(), ids=SINGULAR)
def test_what_depends_on_the_basis_of_singular_vectors_is_refused(x: Any, f: Any) -> None:
    message = r"\[svd\] the singular values? .*(are a cluster|is below 16 √n eps max \|σ\|)"
    with pytest.raises(DerivativeError, match=message):
        ad.grad(lambda x: f(*la.svd(x, full_matrices=False)))(x)
    with pytest.raises(DerivativeError, match=message):
        ad.jvp(lambda x: f(*la.svd(x, full_matrices=False)), (x,), (drawn(23, *x.shape),))


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: la.cholesky(np.stack([np.eye(2), -np.eye(2)])),
        LinAlgError,
        r"\[cholesky\] matrix \[1\] of.*not positive",
    ),
    (lambda: la.cholesky(np.ones((2, 3))), ShapeError, r"\[cholesky\] x is f64\[2,3\]; square"),
    (lambda: la.eigh(np.ones((2, 3))), ShapeError, "use svd"),
    (lambda: la.eigh(np.eye(2), "X"), ValueError, r"\[eigh\] UPLO is 'X'"),
    (lambda: la.qr(np.eye(2), "raw"), ValueError, r"\[qr\] mode is 'raw'"),
    (lambda: la.qr(np.ones(2)), ShapeError, r"\[qr\] x is f64\[2\]; a matrix is needed"),
    (lambda: la.svd(np.full((2, 2), np.nan)), LinAlgError, r"\[svd\].*not finite"),
    (lambda: ad.grad(lambda x: ad.sum(la.qr(x)[0]))(np.ones((3, 2))), DerivativeError, r"\[qr\] the columns are linearly"),
    (lambda: ad.jvp(lambda x: la.qr(x)[1], (np.ones((3, 2)),), (np.ones((3, 2)),)), DerivativeError, r"\|R\[1, 1\]\|"),
    (lambda: ad.grad(lambda x: ad.sum(la.qr(x, "complete")[0]))(drawn(0, 3, 2)), DerivativeError, 'use mode="reduced"'),
    (lambda: ad.jvp(lambda x: la.qr(x, "complete")[0] * 2, (np.eye(3, 2),), (np.eye(3, 2),)), DerivativeError, "reduced"),
    (lambda: ad.grad(lambda x: ad.sum(la.svd(x)[0]))(drawn(0, 3, 2)), DerivativeError, "use full_matrices=False"),
    (lambda: ad.jvp(lambda x: la.svd(x)[2] * 2, (np.eye(3, 2),), (np.eye(3, 2),)), DerivativeError, "full_matrices=False"),
]


@pytest.mark.parametrize("f, error, message", REFUSED)
def test_what_does_not_fit_is_refused_by_name(f: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        f()


def test_values_of_a_deficient_qr_are_there() -> None:
    q, r = la.qr(np.ones((3, 2)))
    np.testing.assert_allclose(q @ r, np.ones((3, 2)), rtol=1e-14)


def test_an_undefined_tangent_that_nobody_uses_does_no_harm() -> None:
    x, t = drawn(24, 3, 2), drawn(25, 3, 2)
    _, found = ad.jvp(lambda x: la.svd(x)[1], (x,), (t,))
    _, wanted = ad.jvp(la.svdvals, (x,), (t,))
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    _, r = ad.jvp(lambda x: la.qr(x, "complete")[1], (x,), (t,))
    np.testing.assert_allclose(r[:2], ad.jvp(lambda x: la.qr(x)[1], (x,), (t,))[1], rtol=1e-13)
    assert not np.asarray(r)[2].any()


def test_jacobians_by_either_mode_of_values_at_a_cluster() -> None:
    """Forward mode batches its tangents, traced by shapes: what nobody uses is not computed."""
    f = lambda x: ad.sum(la.eigh(x).eigenvalues ** 2)  # noqa: E731
    np.testing.assert_allclose(ad.jacfwd(f)(np.eye(3)), 2 * np.eye(3), atol=1e-14)
    np.testing.assert_allclose(ad.linearize(f, np.eye(3))[1](np.eye(3)), 6.0, rtol=1e-14)
    with pytest.raises(DerivativeError, match=r"of matrix \[\d\] of the stack are a cluster"):
        ad.jacfwd(lambda x: la.eigh(x).eigenvectors)(np.eye(3))


def test_relative_phases_of_complex_vectors_are_arbitrary_too() -> None:
    f = lambda x: ad.real(ad.conj(la.eigh(x)[1][0, 0]) * la.eigh(x)[1][0, 1])  # noqa: E731
    with pytest.raises(DerivativeError, match="arbitrary phase"):
        ad.grad(f)(np.array([[1.0, 0.5], [0.5, 2.0]], complex))
    with pytest.raises(DerivativeError, match="arbitrary phase"):
        ad.grad(lambda x: ad.real(la.svd(x).U[0, 0] * la.svd(x).U[0, 1]))(np.array([[1.0, 0.5], [0.5, 2.0]], complex))


@pytest.mark.parametrize("n, size", [(2, 1.0), (10, 1e-100), (40, 1e100)])
def test_what_rounding_makes_of_repeated_values_is_seen_as_a_cluster(n: int, size: float) -> None:
    """x = size (1 + v vᵀ) has one eigenvalue n - 1 times, which LAPACK scatters."""
    v = drawn(29, n)
    x = size * (np.eye(n) + np.outer(v, v))
    with pytest.raises(DerivativeError, match="are a cluster"):
        ad.grad(lambda x: la.eigh(x)[1][0, 0])(np.kron(x, np.eye(2)))
    with pytest.raises(DerivativeError, match="are a cluster"):
        ad.grad(lambda x: la.svd(x)[0][0, 0])(np.kron(x, np.eye(2)))


def test_a_trace_prints_what_several_outputs_are_and_their_cotangents() -> None:
    text = ad.trace(lambda x: ad.sum(la.eigh(x).eigenvalues))(np.diag([1.0, 2.0])).show(reverse=True)
    assert "w1 = eigh(w0, generic=True)" in text
    assert "(f64[2], f64[2,2])  ([1, 1], 0)" in text


def test_costs_are_the_usual_counts() -> None:
    """LU: 2/3 n³ and 2 n² a column; Cholesky n³ / 3; products 2 n³."""
    flops = lambda f, *shapes: ad.trace(f)(*(ad.Shaped(shape, "float64") for shape in shapes)).cost().forward.flops  # noqa: E731
    n = 30
    assert flops(la.solve, (n, n), (n, 4)) == pytest.approx(2 / 3 * n**3 + 8 * n**2)
    assert flops(la.solve, (5, n, n), (5, n, 4)) == pytest.approx(5 * (2 / 3 * n**3 + 8 * n**2))
    assert flops(la.inv, (n, n)) == pytest.approx(2 * n**3)
    assert flops(la.det, (n, n)) == flops(lambda x: la.slogdet(x)[1], (n, n)) == pytest.approx(2 / 3 * n**3)
    assert flops(la.cholesky, (n, n)) == pytest.approx(n**3 / 3)
    assert flops(lambda x: la.qr(x)[1], (2 * n, n)) == pytest.approx(4 * (2 * n**3 - n**3 / 3))

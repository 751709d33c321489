"""Systems, inverses, determinants, powers, exponentials: values by NumPy and mpmath, derivatives by differences and formulas."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath
import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import DTypeError, LinAlgError, ShapeError

la = ad.linalg


def matrices(seed: int, *shape: int, dtype: str = "float64") -> np.ndarray[Any, Any]:
    """Random matrices, well conditioned."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.5, 0.5, shape) + np.eye(shape[-2], shape[-1]) * np.arange(2, 2 + shape[-1])
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.uniform(-0.5, 0.5, shape)
    return x.astype(dtype)


# --- values -----------------------------------------------------------------------------------------------------------

RIGHT = [((3, 3), (3,)), ((3, 3), (3, 2)), ((3, 3), (4, 2, 3, 2)), ((2, 3, 3), (3,)), ((2, 1, 3, 3), (4, 3, 1)), ((0, 0), (0, 2))]


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shapes", RIGHT, ids=str)
def test_solve_broadcasts_as_numpy_does(shapes: Any, dtype: str) -> None:
    a, b = matrices(0, *shapes[0], dtype=dtype), np.random.default_rng(1).standard_normal(shapes[1])
    found = la.solve(a, b)
    np.testing.assert_allclose(found, np.linalg.solve(a, b), rtol=1e-13, atol=1e-13)
    assert found.dtype == dtype


SAME: list[tuple[str, Any]] = [
    ("inv", lambda m, x: m.inv(x)),
    ("det", lambda m, x: m.det(x)),
    ("sign", lambda m, x: m.slogdet(x)[0]),
    ("logabsdet", lambda m, x: m.slogdet(x).logabsdet),
    ("matrix_power 0", lambda m, x: m.matrix_power(x, 0)),
    ("matrix_power 1", lambda m, x: m.matrix_power(x, 1)),
    ("matrix_power 7", lambda m, x: m.matrix_power(x, 7)),
    ("matrix_power -3", lambda m, x: m.matrix_power(x, -3)),
    ("pinv", lambda m, x: m.pinv(x[..., :2])),
    ("pinv of wide ones", lambda m, x: m.pinv(x[..., :2, :])),
    ("matrix_rank", lambda m, x: m.matrix_rank(x)),
    ("matrix_rank by tol", lambda m, x: m.matrix_rank(x, 2.5)),
    *((f"cond {p}", lambda m, x, p=p: m.cond(x, p)) for p in (None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc")),
    ("trace", lambda m, x: m.trace(x, offset=1)),
    ("diagonal", lambda m, x: m.diagonal(x, offset=-1)),
    ("norm", lambda m, x: m.norm(x, "nuc", (-2, -1))),
    ("matrix_norm", lambda m, x: m.matrix_norm(x, ord=-2, keepdims=True)),
    ("cross", lambda m, x: m.cross(x.real, x.imag + 1.0)),
    ("matrix_transpose", lambda m, x: m.matrix_transpose(x)),
    ("tensorinv", lambda m, x: m.tensorinv(x[0].reshape(3, 3, 1), ind=1)),
    ("tensorsolve", lambda m, x: m.tensorsolve(x[0].reshape(3, 3, 1), x[0, 0])),
    ("tensorsolve of other axes", lambda m, x: m.tensorsolve(x[0].reshape(3, 1, 3), x[0, :1], axes=(0,))),
]


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
@pytest.mark.parametrize("f", [row[1] for row in SAME], ids=[row[0] for row in SAME])
def test_values_and_shapes_are_numpys(f: Any, dtype: str) -> None:
    """Called by our name, and by NumPy's on a Tensor."""
    x = matrices(2, 2, 3, 3, dtype=dtype)
    wanted = np.asarray(f(np.linalg, x))
    rtol = 1e-4 if dtype == "float32" else 1e-12
    for found in (f(la, ad.tensor(x)), f(np.linalg, ad.tensor(x))):
        assert isinstance(found, ad.Tensor)
        assert found.shape == wanted.shape and found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


def test_numpys_other_names_reach_ours() -> None:
    x, b = ad.tensor(matrices(3, 3, 3)), np.ones(3)
    np.testing.assert_allclose(np.linalg.solve(x, b), np.linalg.solve(np.asarray(x), b))
    np.testing.assert_allclose(np.linalg.multi_dot([x, x, b]), np.asarray(x) @ (np.asarray(x) @ b))
    np.testing.assert_allclose(np.trace(x), np.trace(np.asarray(x)))
    np.testing.assert_allclose(np.cross(b, x), np.cross(b, np.asarray(x)))
    found, wanted = np.linalg.lstsq(x[:, :2], b), np.linalg.lstsq(np.asarray(x)[:, :2], b)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize("columns", [(), (2,)])
def test_lstsq_is_numpys(shape: Any, columns: Any) -> None:
    a, b = matrices(4, *shape), np.random.default_rng(5).standard_normal((shape[0], *columns))
    wanted = np.linalg.lstsq(a, b)
    found = la.lstsq(a, b)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-13)
        assert mine.shape == np.shape(theirs) or theirs is wanted[1]


def test_lstsq_takes_stacks_and_the_shortest_solution_of_deficient_ones() -> None:
    a, b = matrices(6, 2, 4, 3), np.random.default_rng(7).standard_normal((4, 2))
    a[1, :, 2] = a[1, :, 0] + a[1, :, 1]
    found = la.lstsq(a, b)
    for i in range(2):
        wanted = np.linalg.lstsq(a[i], b, rcond=None)
        np.testing.assert_allclose(found.x[i], wanted[0], rtol=1e-11, atol=1e-12)
    assert found.rank.tolist() == [3, 2]


def test_lstsq_of_an_ill_conditioned_system_is_as_accurate_as_its_residual_allows() -> None:
    """A product with the pseudoinverse would lose all digits here."""
    rng = np.random.default_rng(8)
    u, v = np.linalg.qr(rng.standard_normal((6, 4)))[0], np.linalg.qr(rng.standard_normal((4, 4)))[0]
    a = u * np.array([1.0, 1e-3, 1e-6, 1e-9]) @ v
    x = v[0]
    np.testing.assert_allclose(a @ np.asarray(la.lstsq(a, a @ x).x), a @ x, rtol=1e-13, atol=1e-14)


def test_triangular_systems_read_one_triangle() -> None:
    a, b = matrices(9, 2, 3, 3), np.random.default_rng(10).standard_normal((3, 2))
    np.testing.assert_allclose(la.solve_triangular(a, b), np.linalg.solve(np.triu(a), b), rtol=1e-13)
    np.testing.assert_allclose(la.solve_triangular(a, b, lower=True), np.linalg.solve(np.tril(a), b), rtol=1e-13)
    unit = np.tril(a, -1) + np.eye(3)
    np.testing.assert_allclose(la.solve_triangular(a, b, lower=True, unit_diagonal=True), np.linalg.solve(unit, b), rtol=1e-13)
    g = ad.grad(lambda a: ad.sum(la.solve_triangular(a, b, lower=True)))(a)
    assert not np.triu(np.asarray(g), 1).any() and np.asarray(g)[:, 2, 0].all()


# --- derivatives ------------------------------------------------------------------------------------------------------

FUNCTIONS: list[tuple[str, Any]] = [
    ("solve", lambda x: la.solve(x, x[..., :1] + 1.0)),
    ("solve a vector", lambda x: la.solve(x, x[0])),
    ("solve many by one", lambda x: la.solve(x, ad.stack([ad.sin(x), x * x]))),
    ("solve_triangular", lambda x: la.solve_triangular(x, x[..., :1], unit_diagonal=True)),
    ("inv", la.inv),
    ("det", la.det),
    ("logabsdet", lambda x: la.slogdet(x)[1]),
    ("sign", lambda x: la.slogdet(x)[0] * 2.0),
    ("lstsq of tall ones", lambda x: la.lstsq(x[..., :2], x[..., 2:] ** 2).x),
    ("lstsq of wide ones", lambda x: la.lstsq(x[..., :2, :], x[..., :2, :1] ** 2).x),
    ("residuals", lambda x: la.lstsq(x[..., :2], x[..., 2:] ** 2).residuals),
    ("pinv of tall ones", lambda x: la.pinv(x[..., :2])),
    ("pinv of wide ones", lambda x: la.pinv(x[..., :2, :])),
    ("matrix_power", lambda x: la.matrix_power(x, 5)),
    ("matrix_power -2", lambda x: la.matrix_power(x, -2)),
    ("expm", la.expm),
    ("cond", la.cond),
    ("cond 1", lambda x: la.cond(x, 1)),
    ("norms", lambda x: la.norm(x, 2) + la.norm(x, -2) * la.norm(x, "nuc")),
    ("multi_dot", lambda x: la.multi_dot([x[0], x, x * x, x[1]])),
    ("cross", lambda x: la.cross(x, x * x + 1.0)),
    ("trace and diagonal", lambda x: la.trace(x) * la.diagonal(x, 1)),
]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("f", [row[1] for row in FUNCTIONS], ids=[row[0] for row in FUNCTIONS])
def test_derivatives_agree_with_differences(f: Any, dtype: str) -> None:
    """Both modes, to second order, by real and by complex elements."""
    x = matrices(11, 3, 3, dtype=dtype) * (0.3 if f is la.expm else 1.0)
    ad.testing.check_grads(f, (x,), order=2)


def test_one_factorisation_serves_many_right_hand_sides() -> None:
    """Also under vmap over the right-hand side alone."""
    a, b = matrices(12, 3, 3), np.random.default_rng(13).standard_normal((5, 3))
    np.testing.assert_allclose(ad.vmap(la.solve, in_axes=(None, 0))(a, b), np.linalg.solve(a, b.T).T, rtol=1e-13)
    tape = ad.trace(lambda a, b: ad.vmap(la.solve, in_axes=(None, 0))(a, b))(a, b)
    assert [e.output.shape for e in tape.entries if e.primitive.name == "solve"] == [(3, 5)]


# --- determinants of singular matrices --------------------------------------------------------------------------------


def minors(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The cofactors by their definition."""
    n = len(x)
    rest = [[np.delete(np.delete(x, i, 0), j, 1) for j in range(n)] for i in range(n)]
    return np.array([[(-1) ** (i + j) * np.linalg.det(rest[i][j]) for j in range(n)] for i in range(n)])


def of_rank(rank: int, n: int = 4, dtype: str = "float64") -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(rank)
    x = rng.integers(-3, 4, (n, rank)) @ rng.integers(-3, 4, (rank, n))
    return (x * (1 + 1j)).astype(dtype) if dtype == "complex128" else x.astype(dtype)


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_gradient_of_det_is_the_adjugate_whatever_the_rank(rank: int, dtype: str) -> None:
    x = of_rank(rank, dtype=dtype)
    holomorphic = ad.vjp(la.det, x)[1](np.ones((), dtype))[0]
    wanted = minors(x)
    np.testing.assert_allclose(np.conj(holomorphic), wanted, rtol=1e-12, atol=1e-12 * np.abs(x).max(initial=1) ** 3)
    assert (np.abs(wanted).max() > 1) == (rank >= 3)


def leibniz(x: Any) -> Any:
    """The determinant as the polynomial that it is, by permutations."""
    n = x.shape[-1]
    total = 0.0
    for order in itertools.permutations(range(n)):
        sign = np.linalg.det(np.eye(n)[list(order)])
        total = total + float(round(sign)) * ad.prod(ad.stack([x[i, order[i]] for i in range(n)]))
    return total


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_higher_derivatives_of_det_are_those_of_the_polynomial(rank: int) -> None:
    x = of_rank(rank, 3) if rank < 3 else matrices(14, 3, 3)
    t = [np.random.default_rng(i).standard_normal((3, 3)) for i in range(4)]
    wanted, found = leibniz, la.det
    for order in range(4):
        for mode in ("forward", "reverse"):
            f, g = (
                (lambda x, h=h, t=t[order]: ad.jvp(h, (x,), (t,))[1])
                if mode == "forward"
                else (lambda x, h=h, t=t[order]: ad.sum(ad.grad(h)(x) * t))
                for h in (found, wanted)
            )
            np.testing.assert_allclose(f(x), g(x), rtol=1e-12, atol=1e-11)
        found, wanted = f, g
    np.testing.assert_allclose(ad.hessian(la.det)(x), ad.hessian(leibniz)(x), rtol=1e-12, atol=1e-11)


def test_cofactors_neither_overflow_nor_lose_digits_on_the_way() -> None:
    x = np.diag([1e120, 1e120, 1e120, 1e-130, 1e-130, 1e-130])
    g = np.asarray(ad.grad(la.det)(x))
    np.testing.assert_allclose(np.diag(g), [1e-150] * 3 + [1e100] * 3, rtol=1e-13)


@pytest.mark.filterwarnings("ignore:invalid value encountered in det")
def test_det_of_what_is_not_finite_is_nan_and_so_is_its_gradient() -> None:
    x = np.stack([np.eye(2), [[np.nan, 1.0], [0.0, 1.0]]])
    g = np.asarray(ad.grad(lambda x: ad.sum(la.det(x)))(x))
    np.testing.assert_allclose(g[0], np.eye(2))
    assert np.isnan(g[1]).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_slogdet_of_a_singular_matrix() -> None:
    x = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert [np.asarray(y).item() for y in la.slogdet(x)] == [0.0, -np.inf]
    np.testing.assert_array_equal(ad.grad(lambda x: la.slogdet(x)[1])(x), [[np.inf, -np.inf], [-np.inf, np.inf]])
    assert np.isnan(np.asarray(ad.grad(lambda x: la.slogdet(x)[1])(np.zeros((2, 2))))).all()
    both = np.stack([x, 2 * np.eye(2)])
    np.testing.assert_allclose(ad.grad(lambda x: ad.sum(la.slogdet(x)[1]))(both)[1], np.eye(2) / 2)


def test_a_complex_sign_has_the_derivative_of_the_argument() -> None:
    """d/dt sign(e^(i t) z) = i sign."""
    z = np.array([[1.0 + 2.0j]])
    sign, dot = ad.jvp(lambda t: la.slogdet(z * ad.exp(1j * t))[0], (0.3,), (1.0,))
    np.testing.assert_allclose(dot, 1j * np.asarray(sign), rtol=1e-14)


# --- expm -------------------------------------------------------------------------------------------------------------


def exact_expm(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with mpmath.workdps(80):
        y = mpmath.expm(mpmath.matrix(x.tolist()), method="taylor")
        return np.array(y.tolist()).astype(np.result_type(x, np.float64))


EXPONENTS: dict[str, np.ndarray[Any, Any]] = {
    "zero": np.zeros((3, 3)),
    "tiny": matrices(20, 3, 3) * 1e-9,
    "degree 3": matrices(21, 3, 3) * 2e-3,
    "degree 5": matrices(22, 3, 3) * 2e-2,
    "degree 7": matrices(23, 3, 3) * 0.1,
    "degree 9": matrices(24, 3, 3) * 0.3,
    "degree 13": matrices(25, 3, 3) * 0.7,
    "squared": matrices(26, 4, 4) * 10.0,
    "nilpotent": np.triu(matrices(27, 4, 4), 1) * 1e8,
    "far from normal": np.array([[1.0, 1e6], [0.0, -1.0]]),
    "a rotation by 500": np.array([[0.0, 500.0], [-500.0, 0.0]]),
    "defective": np.array([[-3.0, 1.0, 0.0], [0.0, -3.0, 1.0], [0.0, 0.0, -3.0]]),
    "eigenvalues far apart": np.array([[-49.0, 24.0], [-64.0, 31.0]]),
    "decaying": np.array([[-300.0, 1.0], [2.0, -299.0]]),
    "complex": matrices(28, 3, 3, dtype="complex128"),
}


@pytest.mark.parametrize("x", EXPONENTS.values(), ids=EXPONENTS)
def test_expm_agrees_with_a_higher_precision(x: np.ndarray[Any, Any]) -> None:
    """Within eps times the norm, which bounds the condition number of normal matrices."""
    wanted = exact_expm(x)
    size = min(np.linalg.norm(x, 1), 500.0) + 40
    np.testing.assert_allclose(la.expm(x), wanted, rtol=0, atol=3e-16 * size * np.abs(wanted).max())
    np.testing.assert_allclose(la.expm(np.stack([x, x * 0])), np.stack([la.expm(x), np.eye(len(x))]), rtol=1e-13)


@pytest.mark.parametrize("name", ["zero", "tiny", "degree 5", "degree 13", "squared", "nilpotent", "defective", "complex"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_derivative_of_expm_is_that_of_a_higher_precision_whatever_the_direction(name: str, size: float) -> None:
    x = EXPONENTS[name]
    t = np.random.default_rng(29).standard_normal(x.shape) * size
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -20 / mpmath.mpf(size * max(1.0, float(np.abs(x).max())))
        a, e = mpmath.matrix(x.tolist()), mpmath.matrix(t.tolist())
        slope = (mpmath.expm(a + h * e, method="taylor") - mpmath.expm(a - h * e, method="taylor")) / (2 * h)
        wanted = np.array(slope.tolist()).astype(x.dtype)
    scale = np.abs(wanted).max()
    _, forward = ad.jvp(la.expm, (x,), (t.astype(x.dtype),))
    np.testing.assert_allclose(forward, wanted, rtol=0, atol=1e-13 * scale)
    ct = np.random.default_rng(30).standard_normal(x.shape).astype(x.dtype)
    pulled = np.asarray(ad.vjp(la.expm, x)[1](ct)[0])
    left, right = np.sum(np.conj(pulled) * t).real, np.sum(np.conj(ct) * wanted).real
    assert abs(left - right) <= 1e-12 * (np.abs(pulled) * np.abs(t)).sum()


def test_expm_of_overflow_and_of_what_is_not_finite() -> None:
    found = np.asarray(la.expm(np.stack([np.eye(2), np.full((2, 2), np.nan), np.eye(2) * 1e4])))
    np.testing.assert_allclose(found[0], np.eye(2) * np.e, rtol=1e-15)
    assert np.isnan(found[1]).all() and not np.isfinite(found[2]).any()


def test_expm_of_diagonal_matrices_keeps_the_elements_apart() -> None:
    x = np.array([-1000.0, -30.0, 0.0, 30.0])
    np.testing.assert_allclose(np.diagonal(np.asarray(la.expm(np.diag(x)))), np.exp(x), rtol=1e-12)


def test_expm_stays_in_float32() -> None:
    x = matrices(31, 2, 3, 3, dtype="float32") * np.float32(0.5)
    g = ad.grad(lambda x: ad.sum(la.expm(x)))(x)
    assert la.expm(x).dtype == g.dtype == np.float32
    np.testing.assert_allclose(g, ad.grad(lambda x: ad.sum(la.expm(x)))(x.astype(float)), rtol=1e-5)


# --- what is refused --------------------------------------------------------------------------------------------------

STACK = np.stack([np.eye(2), np.ones((2, 2))])

REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: la.solve(STACK, np.ones(2)), LinAlgError, r"\[solve\] matrix \[1\] of the stack x is f64\[2,2,2\]: it is singular"),
    (lambda: la.inv(STACK), LinAlgError, r"\[inv\] matrix \[1\] of the stack"),
    (lambda: la.inv(np.zeros((2, 2))), LinAlgError, r"\[inv\] x is f64\[2,2\]: it is singular; use pinv"),
    (lambda: la.inv(np.ones((2, 3))), ShapeError, r"\[inv\] x is f64\[2,3\]; square.*use pinv"),
    (lambda: la.solve(np.ones((2, 3)), np.ones(2)), ShapeError, "use lstsq"),
    (lambda: la.det(np.ones(3)), ShapeError, r"\[det\] x is f64\[3\]; a matrix is needed"),
    (lambda: la.solve(np.eye(2), np.ones(3)), ShapeError, r"\[solve\] the right-hand side is f64\[3\].*length 2"),
    (lambda: la.solve(np.eye(2), 1.0), ShapeError, r"\[solve\] the right-hand side is f64\[\]"),
    (lambda: la.solve(np.ones((2, 1, 1)), np.ones((3, 1, 1))), ShapeError, "leading axes do not broadcast"),
    (lambda: la.det(np.eye(2, dtype="float16")), DTypeError, r"\[det\] an operand is f16\[2,2\].*astype"),
    (lambda: la.matrix_power(np.eye(2), 0.5), TypeError, r"\[matrix_power\] n is float 0.5"),
    (lambda: la.pinv(np.eye(2), 0.1, rtol=0.1), ValueError, "which are the same"),
    (lambda: la.matrix_rank(np.eye(2), 0.1, rtol=0.1), ValueError, "give one"),
    (lambda: la.tensorinv(np.eye(2), 0), ValueError, r"\[tensorinv\] ind is 0"),
    (lambda: la.tensorinv(np.ones((2, 3)), 1), ShapeError, r"\[tensorinv\] a is f64\[2,3\]"),
    (lambda: la.tensorsolve(np.ones((2, 3)), np.ones(2)), ShapeError, r"\[tensorsolve\] a is f64\[2,3\], b is f64\[2\]"),
    (lambda: la.multi_dot([np.eye(2)]), ValueError, r"\[multi_dot\] 1 matrices"),
    (lambda: la.multi_dot([np.eye(2), np.ones(2), np.eye(2)]), ShapeError, r"\[multi_dot\] matrices are needed"),
    (lambda: la.cross(np.ones(2), np.ones(2)), ShapeError, r"\[cross\] vectors of length 3"),
    (lambda: la.trace(np.ones(2)), ShapeError, r"\[trace\] x is f64\[2\]"),
    (lambda: la.matrix_norm(np.eye(2), ord=3), ValueError, r"\[norm\] ord is 3 of a matrix"),
]


@pytest.mark.parametrize("f, error, message", REFUSED)
def test_what_does_not_fit_is_refused_by_name(f: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        f()


def test_our_error_is_numpys_too() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        la.inv(np.zeros((2, 2)))


def test_the_shortest_chain_of_products_is_taken() -> None:
    x = [np.ones((10, 100)), np.ones((100, 5)), np.ones((5, 50))]
    tape = ad.trace(lambda *x: la.multi_dot(x))(*x)
    assert [e.output.shape for e in tape.entries if e.primitive.name == "matrix_product"] == [(10, 5), (10, 50)]


def test_rank_deficient_least_squares_has_the_derivative_at_constant_rank() -> None:
    """Along A(t) = (A0 + t A1)(B0 + t B1)ᵀ, whose rank stays 2, differences of pinv converge."""
    rng = np.random.default_rng(40)
    a0, a1, b0, b1 = (rng.standard_normal((4, 2)) for _ in range(4))
    curve = lambda t: (a0 + t * a1) @ (b0 + t * b1).T  # noqa: E731
    h = 1e-3
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    wanted = sum(w * (np.linalg.pinv(curve(k * h), 1e-8) - np.linalg.pinv(curve(-k * h), 1e-8)) for k, w in weights.items()) / h
    tangent = a1 @ b0.T + a0 @ b1.T
    _, found = ad.jvp(lambda x: la.pinv(x, rtol=1e-8), (curve(0.0),), (tangent,))
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-8)

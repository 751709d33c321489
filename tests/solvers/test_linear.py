"""linear_solve: every method against LAPACK and closed forms, its derivatives in every mode, and what it refuses."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import ConvergenceError, DTypeError, LinAlgError, ShapeError
from arrayad.solvers.krylov import krylov
from arrayad.testing import check_grads

METHODS = ("dense", "cg", "gmres", "bicgstab")
N = 6


def close(found: Any, wanted: Any, tol: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=tol, atol=tol)


def system(method: str, rng: Any, dtype: Any = np.float64, count: tuple[int, ...] = ()) -> tuple[Any, Any]:
    """A well-conditioned matrix that the method is for, and a right-hand side."""
    a, b = rng.standard_normal((*count, N, N)), rng.standard_normal((*count, N))
    if np.dtype(dtype).kind == "c":
        a, b = a + 1j * rng.standard_normal(a.shape), b + 1j * rng.standard_normal(b.shape)
    a = a @ np.swapaxes(a, -1, -2).conj() + np.eye(N) if method == "cg" else a + 4 * np.eye(N)
    return a.astype(dtype), b.astype(dtype)


solve = functools.partial(ad.linear_solve, tol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_lapack(method, dtype, rng):
    a, b = system(method, rng, dtype)
    wide = np.result_type(dtype, np.float64)
    x = ad.linear_solve(a, b, method=method)
    assert x.dtype == dtype
    eps = np.finfo(dtype).eps
    close(x, np.linalg.solve(a.astype(wide), b.astype(wide)), 100 * eps ** (2 / 3))


def test_a_function_and_a_matrix_are_one(rng):
    a, b = system("gmres", rng)
    close(ad.linear_solve(lambda x: a @ x, b), np.linalg.solve(a, b))


def test_columns_of_a_matrix(rng):
    a, _ = system("gmres", rng)
    b = rng.standard_normal((N, 3))
    for method in ("dense", "gmres"):
        close(solve(a, b, method=method), np.linalg.solve(a, b))


def test_trees(rng):
    a, _ = system("dense", rng)
    u, v = rng.standard_normal((2, 2)), rng.standard_normal(2)
    flat = np.concatenate([u.ravel(), v])

    def product(x: Any) -> Any:
        whole = a @ ad.concat([ad.reshape(x["u"], (4,)), x["v"]])
        return {"u": ad.reshape(whole[:4], (2, 2)), "v": whole[4:]}

    x = ad.linear_solve(product, {"u": u, "v": v}, method="gmres", tol=1e-14)
    close(np.concatenate([np.asarray(x["u"]).ravel(), np.asarray(x["v"])]), np.linalg.solve(a, flat))


def test_dtypes_of_matrix_and_right_side_are_joined():
    assert ad.linear_solve(2 * np.eye(2), np.ones(2, np.float32)).dtype == np.float64
    assert ad.linear_solve(np.eye(2) * 2j, np.ones(2)).dtype == np.complex128
    close(ad.linear_solve(np.array([[2, 0], [0, 4]]), np.array([1, 1])), [0.5, 0.25])


def test_longdouble_is_solved_in_its_precision():
    n = np.longdouble(3)
    x = ad.linear_solve(np.array([[0, n], [n, 1]]), np.array([1, n]))
    assert x.dtype == np.longdouble
    assert np.abs(np.asarray(x) - np.array([(n - 1 / n) / n, 1 / n])).max() < 4 * np.finfo(np.longdouble).eps


@pytest.mark.parametrize("method", ["dense", "cg", "bicgstab"])
def test_mpmath_is_solved_in_its_precision(method):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(50):
        a = ad.tensor(np.array([[4, 1], [1, 3]]), dtype=object)
        b = ad.tensor(np.array([1, 2]), dtype=object)
        x = ad.linear_solve(a, b, method=method).numpy()
        assert max(abs(x[0] - mpmath.mpf(1) / 11), abs(x[1] - mpmath.mpf(7) / 11)) < mpmath.mpf(10) ** -33
        found = ad.jacobian(lambda b: ad.linear_solve(a, b, method=method))(b).numpy()
        assert abs(found[0, 1] + mpmath.mpf(1) / 11) < mpmath.mpf(10) ** -33
        with pytest.raises(DTypeError, match="gmres is for floats"):
            ad.linear_solve(a, b, method="gmres")


def test_no_unknowns_and_no_examples():
    assert ad.linear_solve(lambda x: x, np.zeros(0)).shape == (0,)
    assert ad.vmap(lambda b: ad.linear_solve(np.eye(2), b))(np.zeros((0, 2))).shape == (0, 2)


def test_auto_needs_no_matrix_for_many_unknowns(rng):
    n = 2000
    b = rng.standard_normal(n)

    def poisson(u: Any) -> Any:
        p = ad.pad(u, 1)
        return 4.0 * u - p[2:] - p[:-2]

    x = ad.linear_solve(poisson, b, symmetric=True)
    assert np.linalg.norm(np.asarray(poisson(x)) - b) <= 4e-11 * np.linalg.norm(b)
    close(ad.linear_solve(poisson, b), x, 1e-9)
    close(ad.grad(lambda s: ad.sum(ad.linear_solve(lambda u: s * poisson(u), b)))(2.0), -0.25 * np.sum(np.asarray(x)), 1e-8)


# --- derivatives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_vjp_is_the_textbook_formula(method, rng):
    a, b = system(method, rng)
    x, back = ad.vjp(lambda a, b: solve(a, b, method=method), a, b)
    ct = rng.standard_normal(N)
    by_a, by_b = back(ct)
    adjoint = np.linalg.solve(a.T, ct)
    close(by_b, adjoint)
    close(by_a, -np.outer(adjoint, np.asarray(x)))


@pytest.mark.parametrize("method", METHODS)
def test_jvp_is_the_textbook_formula_and_the_vjps_transpose(method, rng):
    a, b = system(method, rng)
    da, db, ct = rng.standard_normal(a.shape), rng.standard_normal(N), rng.standard_normal(N)
    x, t = ad.jvp(lambda a, b: solve(a, b, method=method), (a, b), (da, db))
    close(t, np.linalg.solve(a, db - da @ np.asarray(x)))
    _, back = ad.vjp(lambda a, b: solve(a, b, method=method), a, b)
    by_a, by_b = back(ct)
    close(ct @ np.asarray(t), np.sum(np.asarray(by_a) * da) + np.asarray(by_b) @ db)


@pytest.mark.parametrize("method", ["dense", "gmres", "bicgstab"])
def test_second_order_through_captures(method, rng):
    a, b = system(method, rng)
    a, b = a[:3, :3], b[:3]
    check_grads(lambda s, b: solve(lambda x: ad.sin(s) @ x + 5.0 * x, b, method=method), (a, b), order=2)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.clongdouble])
def test_a_product_with_the_conjugate(dtype):
    """2x + i conj(x) = b has the solution (2b - i conj(b)) / 3."""
    b = np.array([1.0 + 2.0j, -3.0j]).astype(dtype)
    x = ad.linear_solve(lambda x: 2.0 * x + 1j * ad.conj(x), b)
    assert x.dtype == dtype
    assert np.abs(x.numpy() - (2 * b - 1j * b.conj()) / 3).max() < 8 * np.finfo(dtype).eps
    batch = ad.vmap(lambda b: ad.linear_solve(lambda x: 2.0 * x + 1j * ad.conj(x), b, method="dense"))(b)
    assert np.abs(batch.numpy() - x.numpy()).max() < 8 * np.finfo(dtype).eps


def test_complex_derivatives(rng):
    a, b = system("gmres", rng, np.complex128)
    for method in ("dense", "gmres"):
        check_grads(lambda a, b, method=method: solve(a, b, method=method), (a[:2, :2], b[:2]), order=2)


def test_all_orders_of_a_quotient():
    def f(s):
        return ad.linear_solve(lambda x: s * x, ad.tensor([3.0]))[0]  # 3 / s

    d = f
    for wanted in (3 / 2, -3 / 4, 6 / 8, -18 / 16, 72 / 32):
        close(d(2.0), wanted)
        d = ad.grad(d)
    close(ad.taylor(f, 2.0, 5), [3.0 / 2 * (-0.5) ** k for k in range(6)])
    close(ad.jvp(ad.grad(f), (2.0,), (1.0,))[1], 6 / 8)
    close(ad.hessian(lambda s: f(s[0] * s[1]))(np.array([1.0, 2.0])), [[3.0, 0.75], [0.75, 0.75]])


def test_taylor_of_matrix_and_right_side(rng):
    a, b = system("dense", rng)
    da, db = rng.standard_normal(a.shape), rng.standard_normal(N)

    def f(t):
        return ad.linear_solve(a + t * da, b + t * t * db)

    c = [np.linalg.solve(a, b)]
    for k in range(1, 5):
        c.append(np.linalg.solve(a, (db if k == 2 else 0.0) - da @ c[-1]))
    close(ad.taylor(f, 0.0, 4), c)


# --- batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
def test_vmap_agrees_with_a_loop(method, axes, rng):
    a, b = system(method, rng, count=(4,))
    a, b = a if axes[0] == 0 else a[0], b if axes[1] == 0 else b[0]
    wanted = [np.linalg.solve(a[i] if axes[0] == 0 else a, b[i] if axes[1] == 0 else b) for i in range(4)]
    close(ad.vmap(lambda a, b: solve(a, b, method=method), in_axes=axes)(a, b), wanted)


@pytest.mark.parametrize("method", ["dense", "gmres", "mine"])
@pytest.mark.parametrize("outer", [(0, None), (None, 0)])
def test_vmap_of_vmap(method, outer, rng):
    """Shared matrices are columns, others are examples; in either order of nesting."""
    a, b = system("gmres", rng, count=(3,))
    chosen: Any = (lambda g, b: ad.linear_solve(g, b)) if method == "mine" else method
    inner = (outer[1], outer[0])
    f = ad.vmap(ad.vmap(lambda a, b: solve(a, b, method=chosen), in_axes=inner), in_axes=outer)
    wanted = np.array([[np.linalg.solve(m, v) for v in b] for m in a])
    close(f(a, b), wanted if outer[0] == 0 else wanted.swapaxes(0, 1))


def test_gradients_of_a_batch(rng):
    a, b = system("gmres", rng, count=(3,))
    for method in ("dense", "gmres"):

        def f(a, b, method=method):
            return ad.sum(ad.sin(solve(a, b, method=method)))

        found = ad.vmap(ad.grad(f, argnums=(0, 1)))(a, b)
        whole = ad.grad(lambda a, b: ad.sum(ad.vmap(f)(a, b)), argnums=(0, 1))(a, b)
        for i in range(3):
            x, adjoint = np.linalg.solve(a[i], b[i]), np.linalg.solve(a[i].T, np.cos(np.linalg.solve(a[i], b[i])))
            close(found[0][i], -np.outer(adjoint, x))
            close(found[1][i], adjoint)
        close(whole[0], found[0])
        close(whole[1], found[1])


def test_jacobian_shares_the_matrix(rng):
    a, b = system("gmres", rng)
    for method in ("dense", "gmres"):
        for mode in ("forward", "reverse"):
            close(ad.jacobian(lambda b, method=method: solve(a, b, method=method), mode=mode)(b), np.linalg.inv(a))


def test_each_example_meets_its_own_tolerance():
    """An easy system beside a hard one, and a right-hand side of 0, which needs nothing."""
    d = np.array([np.ones(40), np.linspace(1, 100, 40), np.ones(40)])
    b = np.array([np.ones(40), np.ones(40), np.zeros(40)])
    for method in ("cg", "gmres", "bicgstab"):
        x = ad.vmap(lambda d, b, method=method: ad.linear_solve(lambda v: d * v, b, method=method))(d, b)
        close(x, b / d, 1e-9)


# --- methods -------------------------------------------------------------------------------------------------------


def test_a_preconditioner_saves_iterations_and_changes_no_derivative(rng):
    d = np.logspace(0, 6, 200)
    b = rng.standard_normal(200)

    def f(s: Any, method: str) -> Any:
        return ad.sum(
            ad.linear_solve(lambda x: s * d * x, b, method=method, preconditioner=lambda r: r / (s * d), maxiter=3, tol=1e-13)
        )

    for method in ("cg", "gmres", "bicgstab"):
        with pytest.raises(ConvergenceError, match=method):
            ad.linear_solve(lambda x: d * x, b, method=method, maxiter=3)
        close(f(2.0, method), np.sum(b / d) / 2)
        close(ad.grad(f)(2.0, method), -np.sum(b / d) / 4)
    close(ad.linear_solve(np.diag(d), b, method="cg", preconditioner=np.diag(1 / d)), b / d, 1e-9)


def test_a_function_solves_the_transposed_system_too(rng):
    a, b = system("gmres", rng)
    seen = []

    def mine(product: Any, b: Any) -> Any:
        m = np.stack([np.asarray(product(e)) for e in np.eye(N)], axis=1)
        seen.append(m)
        return np.linalg.solve(m, np.asarray(b))

    ct = rng.standard_normal(N)
    _, back = ad.vjp(lambda b: ad.linear_solve(a, b, method=mine), b)
    close(back(ct)[0], np.linalg.solve(a.T, ct))
    close(seen[0], a)
    close(seen[1], a.T)


@pytest.mark.parametrize("method", ["cg", "gmres", "bicgstab"])
def test_krylov_ends_in_as_many_steps_as_eigenvalues(method):
    """In exact arithmetic two distinct eigenvalues take two steps."""
    d = np.repeat([1.0, 3.0], 50)
    x = krylov("here", method, lambda x: d * x, np.ones((1, 100)), lambda x: x, 1e-12, 2, 50)
    close(x[0], 1 / d)


def test_gmres_restarts(rng):
    a = np.eye(60) + 0.1 * rng.standard_normal((60, 60))
    b = rng.standard_normal(60)
    close(ad.linear_solve(a, b, method="gmres", restart=7, maxiter=400), np.linalg.solve(a, b), 1e-8)


# --- errors --------------------------------------------------------------------------------------------------------


def test_singular_matrices_are_refused():
    with pytest.raises(LinAlgError, match=r"\[linear_solve\] the matrix, 2 by 2, is singular"):
        ad.linear_solve(np.ones((2, 2)), np.ones(2))
    almost = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0 + 2e-15]])
    with pytest.raises(LinAlgError, match="no digit"):
        ad.linear_solve(almost, np.array([1.0, 0.0, 0.0]))
    both = np.stack([np.eye(3), almost])
    with pytest.raises(LinAlgError, match="of example 1"):
        ad.vmap(ad.linear_solve)(both, np.eye(3)[:2])


def test_nothing_on_the_right_needs_no_matrix():
    """So an example of a batch that is done does not stop the others."""
    a, b = np.stack([np.eye(2), np.zeros((2, 2))]), np.array([[1.0, 2.0], [0.0, 0.0]])
    close(ad.vmap(ad.linear_solve)(a, b), b)


def test_badly_scaled_rows_are_not_singular():
    close(ad.linear_solve(np.diag([1e-200, 1.0, 1e200]), np.ones(3)), [1e200, 1.0, 1e-200])


def test_nan_goes_through():
    b = np.array([[1.0, np.nan], [1.0, 2.0]])
    for method in ("dense", "gmres"):
        x = np.asarray(ad.vmap(lambda b, method=method: ad.linear_solve(2 * np.eye(2), b, method=method))(b))
        assert np.isnan(x[0, 1])
        close(x[1], [0.5, 1.0])


def test_what_does_not_converge_says_how_far_it_came():
    d = np.logspace(0, 12, 30)
    with pytest.raises(ConvergenceError, match=r"gmres did not converge: the relative residual is .* after 5 iterations"):
        ad.linear_solve(lambda x: d * x, np.ones(30), method="gmres", maxiter=5)
    with pytest.raises(ConvergenceError, match="in example 1 of 2 is"):
        ad.vmap(lambda d: ad.linear_solve(lambda x: d * x, np.ones(30), method="cg", maxiter=3))(np.stack([d * 0 + 1, d]))
    with pytest.raises(ConvergenceError, match="not positive definite"):
        ad.linear_solve(-np.eye(2), np.ones(2), method="cg")
    rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
    with pytest.raises(ConvergenceError, match="bicgstab did not converge"):
        ad.linear_solve(rotation, np.array([1.0, 0.0]), method="bicgstab")
    close(ad.linear_solve(rotation, np.array([1.0, 0.0]), method="gmres"), [0.0, 1.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ad.linear_solve(np.ones((2, 3)), np.ones(2)), ShapeError, "a square matrix"),
        (lambda: ad.linear_solve(np.eye(3), np.ones(2)), ShapeError, "sizes differ"),
        (lambda: ad.linear_solve(lambda x: x[:1], np.ones(2)), ShapeError, "shapes must agree"),
        (lambda: ad.linear_solve(lambda x: (x, x), np.ones(2)), ShapeError, "to tuple"),
        (lambda: ad.linear_solve(lambda x: x, ()), ShapeError, "without arrays"),
        (lambda: ad.linear_solve(np.eye(2), np.ones(2), method="lu"), ValueError, "must be one of"),
        (lambda: ad.linear_solve(np.eye(2), np.ones(2), tol=0.0), ValueError, "must be positive"),
        (lambda: ad.linear_solve(lambda x: x, (1.0, 1j)), DTypeError, "one kind"),
        (lambda: ad.linear_solve(np.eye(2), np.ones(2), method=lambda g, b: 1.0), ShapeError, "like the unknown"),
        (lambda: ad.linear_solve(np.eye(2), np.ones(2), preconditioner=np.eye(3)), ShapeError, "sizes differ"),
    ],
)
def test_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_error_in_the_users_function_is_passed_on():
    def mine(product: Any, b: Any) -> Any:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        ad.linear_solve(np.eye(2), np.ones(2), method=mine)


@pytest.mark.parametrize("function", [lambda x: x + 1.0, lambda x: x * x, lambda x: abs(x) * np.array([1.0, 2.0])])
def test_a_function_that_is_not_linear_is_refused(function: Any) -> None:
    with pytest.raises(ValueError, match=r"\[linear_solve\] A is not linear: A\(x\) is off by .* use custom_root"):
        ad.linear_solve(function, np.array([1.0, -2.0]))

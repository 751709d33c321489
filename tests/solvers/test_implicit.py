"""Roots, fixed points and minima: their derivatives against closed forms, whatever found them, in every mode."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError, ConvergenceError, DTypeError, LinAlgError, ShapeError
from arrayad.testing import check_grads


def close(found: Any, wanted: Any, tol: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=tol, atol=tol)


def bisection(f: Any, x: Any) -> float:
    """A solver that a tape could not go through: it branches on values, and leaves arrayad."""
    low, high = min(float(x), 0.0), 100.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if float(f(middle)) < 0 else (low, middle)
    return (low + high) / 2


def root(a: Any, solve: Any = "newton", **options: Any) -> Any:
    """The square root."""
    return ad.custom_root(lambda x: x * x - a, 1.0, solve, **options)


# --- roots ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solve", ["newton", bisection])
def test_square_root_and_its_derivatives(solve):
    def f(a):
        return root(a, solve)

    close(f(2.0), math.sqrt(2))
    close(ad.grad(f)(2.0), 0.5 / math.sqrt(2))
    close(ad.jvp(f, (2.0,), (3.0,))[1], 1.5 / math.sqrt(2))
    close(ad.grad(ad.grad(f))(2.0), -0.25 * 2**-1.5)
    close(ad.grad(ad.grad(ad.grad(f)))(2.0), 0.375 * 2**-2.5)
    close(ad.jvp(ad.grad(f), (2.0,), (1.0,))[1], -0.25 * 2**-1.5)
    close(ad.grad(lambda a: ad.jvp(f, (a,), (1.0,))[1])(2.0), -0.25 * 2**-1.5)
    close(ad.taylor(f, 4.0, 5), ad.taylor(ad.sqrt, 4.0, 5))


@pytest.mark.parametrize("solve", ["newton", bisection])
def test_square_roots_in_a_batch(solve):
    a = np.array([2.0, 9.0, 0.5, 1.0])

    def f(a):
        return root(a, solve)

    close(ad.vmap(f)(a), np.sqrt(a))
    close(ad.vmap(ad.grad(f))(a), 0.5 / np.sqrt(a))
    close(ad.grad(lambda a: ad.sum(ad.vmap(f)(a)))(a), 0.5 / np.sqrt(a))
    close(ad.vmap(ad.grad(ad.grad(f)))(a), -0.25 * a**-1.5)
    close(ad.jacobian(ad.vmap(f))(a), np.diag(0.5 / np.sqrt(a)))
    close(ad.vmap(ad.vmap(f))(a.reshape(2, 2)), np.sqrt(a).reshape(2, 2))


def test_a_batch_of_starts_finds_each_its_own_root():
    found = ad.vmap(lambda x0: ad.custom_root(lambda x: x * x - 4.0, x0))(np.array([1.0, -1.0, 50.0]))
    close(found, [2.0, -2.0, 2.0])


@pytest.mark.parametrize("tol", [1e-2, 1e-6, None])
def test_kepler_with_a_loose_tolerance(tol):
    """E - e sin E = M.  The derivatives are exact for the E that was returned, however loosely it was solved."""

    def anomaly(e: Any, m: Any) -> Any:
        return ad.custom_root(lambda x: x - e * ad.sin(x) - m, m, tol=tol)

    e, m = 0.6, 1.0
    x = float(anomaly(e, m))
    assert abs(x - e * math.sin(x) - m) < (1e-2 if tol else 1e-15)
    by_e, by_m = ad.grad(anomaly, argnums=(0, 1))(e, m)
    w = 1 - e * math.cos(x)
    close(by_e, math.sin(x) / w)
    close(by_m, 1 / w)
    by_mm = ad.grad(ad.grad(anomaly, argnums=1), argnums=1)(e, m)
    close(by_mm, -e * math.sin(x) / w**3)
    by_em = ad.grad(ad.grad(anomaly, argnums=0), argnums=1)(e, m)
    close(by_em, math.cos(x) / w**2 - e * math.sin(x) ** 2 / w**3)


def test_newton_stopped_by_a_tolerance_gives_the_derivative_to_12_digits():
    """The exact root from a higher precision."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40):
        exact = mpmath.findroot(lambda x: x - mpmath.mpf("0.6") * mpmath.sin(x) - 1, 1.5)
        wanted = mpmath.sin(exact) / (1 - mpmath.mpf("0.6") * mpmath.cos(exact))
    found = ad.grad(lambda e: ad.custom_root(lambda x: x - e * ad.sin(x) - 1.0, 1.0, tol=1e-7))(0.6)
    assert abs(float(found) - float(wanted)) < 1e-12 * abs(float(wanted))


def test_more_digits_than_float64_has():
    """50 digits of a root, its first and its second derivative, of a fixed point and of a batch."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        two = ad.tensor(2, dtype=object)
        one = ad.tensor(1, dtype=object)

        def f(a: Any) -> Any:
            return ad.custom_root(lambda x: x * x - a, one)

        tiny = mpmath.mpf(10) ** -50
        assert abs(f(two).item() - mpmath.sqrt(2)) < tiny
        assert abs(ad.grad(f)(two).item() - 1 / (2 * mpmath.sqrt(2))) < tiny
        assert abs(ad.grad(ad.grad(f))(two).item() + 1 / (8 * mpmath.sqrt(2))) < tiny
        assert abs(ad.vmap(f)(ad.tensor([2, 3], dtype=object)).numpy()[1] - mpmath.sqrt(3)) < tiny
        for solve in ("picard", "anderson"):
            x = ad.fixed_point(lambda x: ad.cos(x), one, solve, tol=1e-52, atol=1e-52).item()
            assert abs(mpmath.cos(x) - x) < tiny


def test_a_system_in_a_tree(rng):
    """Cartesian from polar coordinates, solved backwards: the Jacobian of the inverse is the inverse of the Jacobian."""

    def polar(p: Any) -> Any:
        return ad.custom_root(
            lambda u: {"r": u["r"] * ad.cos(u["t"]) - p[0], "t": u["r"] * ad.sin(u["t"]) - p[1]}, {"r": 1.0, "t": 0.5}
        )

    p = np.array([1.2, 0.9])
    u, j = polar(p), ad.jacobian(polar)(p)
    close([float(u["r"]), float(u["t"])], [1.5, math.atan2(0.9, 1.2)])
    close(j["r"], p / 1.5)
    close(j["t"], np.array([-0.9, 1.2]) / 2.25)
    check_grads(polar, (p,), order=2)


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble])
def test_anderson_in_long_doubles(dtype):
    x = ad.fixed_point(ad.cos, np.array([1.0, 0.5]).astype(dtype), tol=1e-18, atol=1e-18).numpy()
    assert x.dtype == dtype
    assert np.abs(np.cos(x) - x).max() < 4 * np.finfo(np.longdouble).eps


def root_with_conjugate(a: Any) -> Any:
    """x + conj(x)² / 10 = a, which is linear in dx and conj(dx)."""
    return ad.custom_root(lambda x: x + 0.1 * ad.conj(x) ** 2 - a, a)


def fixed_with_conjugate(a: Any) -> Any:
    return ad.fixed_point(lambda x: a - 0.1 * ad.conj(x) ** 2, a, "newton")


@pytest.mark.parametrize("solved", [root_with_conjugate, fixed_with_conjugate])
def test_a_root_that_is_not_holomorphic(solved):
    """From dx + p conj(dx) = da with p = conj(x) / 5 follows dx = (da - p conj(da)) / (1 - |p|²)."""
    a, da = np.array([0.3 + 0.4j, -0.2 + 0.9j]), np.array([1.0 - 2.0j, 0.5 + 1.0j])
    x, dx = ad.jvp(solved, (a,), (da,))
    x = np.asarray(x)
    close(x + 0.1 * x.conj() ** 2, a, 1e-10)
    p = x.conj() / 5
    close(dx, (da - p * da.conj()) / (1 - abs(p) ** 2))
    ct = np.array([2.0 + 1.0j, -1.0j])
    close(ad.vjp(solved, a)[1](ct)[0], (ct - p * ct.conj()) / (1 - abs(p) ** 2))
    close(ad.vmap(solved)(a), x, 1e-10)
    check_grads(lambda a: ad.real(ad.sum(solved(a) ** 2)), (a,))


def test_complex_root():
    def f(z):
        return ad.custom_root(lambda x: x * x - z, 1.0 + 1.0j)

    z = 3.0 + 4.0j
    close(f(z), 2 + 1j)
    _, back = ad.vjp(f, z)
    close(back(1.0 + 0.0j)[0], np.conj(1 / (2 * (2 + 1j))))
    check_grads(f, (z,), order=2)


@pytest.mark.parametrize(
    "tangent_solve", ["dense", "gmres", "bicgstab", lambda g, b: ad.linear_solve(g, b, method="gmres", tol=1e-13)]
)
def test_tangents_are_solved_for_as_one_says(tangent_solve, rng):
    a = rng.standard_normal((5, 5)) / 5

    def f(b: Any) -> Any:
        return ad.custom_root(lambda x: x + ad.tanh(a @ x) - b, np.zeros(5), tangent_solve=tangent_solve)

    b = rng.standard_normal(5)
    x = np.asarray(f(b))
    wanted = np.linalg.inv(np.eye(5) + (1 - np.tanh(a @ x) ** 2)[:, None] * a)
    for mode in ("forward", "reverse"):
        close(ad.jacobian(f, mode=mode)(b), wanted, 1e-9)


def test_scalar_tangent_solve_as_jax_users_write_it():
    def f(a):
        return root(a, bisection, tangent_solve=lambda g, y: y / g(1.0))

    close(ad.grad(f)(2.0), 0.5 / math.sqrt(2))
    close(ad.grad(ad.grad(f))(2.0), -0.25 * 2**-1.5)


def test_newton_without_a_matrix(rng):
    """More unknowns than the dense method takes: u - u'' + u³ = g, with a manufactured solution."""
    n = 600
    wanted = rng.standard_normal(n)

    def operator(u: Any) -> Any:
        p = ad.pad(u, 1)
        return 3.0 * u - 0.5 * (p[2:] + p[:-2]) + u**3

    g = np.asarray(operator(ad.tensor(wanted)))

    def f(s):
        return ad.custom_root(lambda u: operator(u) - s * g, np.zeros(n))

    close(f(1.0), wanted, 1e-9)
    _, t = ad.jvp(f, (1.0,), (1.0,))
    _, residual = ad.jvp(operator, (ad.tensor(wanted),), (t,))
    assert np.linalg.norm(np.asarray(residual) - g) < 1e-8 * np.linalg.norm(g)
    ct = rng.standard_normal(n)
    _, back = ad.vjp(f, 1.0)
    close(back(ct)[0], ct @ np.asarray(t), 1e-8)


def test_step_halving_brings_newton_home():
    """Full steps of arctan diverge from 3."""
    close(ad.custom_root(lambda x: ad.arctan(x) - 0.1, 3.0), math.tan(0.1))


def test_a_root_at_zero_is_found():
    close(ad.custom_root(lambda x: ad.expm1(x), 1.0), 0.0, 1e-15)
    close(ad.custom_root(lambda x: ad.exp(x) - 1.0, 1.0), 0.0, 1e-15)
    close(ad.grad(lambda a: ad.custom_root(lambda x: x - a, 1.0))(0.0), 1.0)


# --- captures and nesting ------------------------------------------------------------------------------------------


def test_leaves_are_differentiated():
    a = ad.tensor(2.0, requires_grad=True)
    root(a).backward()
    close(a.grad, 0.5 / math.sqrt(2))


def test_what_is_captured_two_transforms_out_is_not_confused():
    """d/da at 2 of a d/db root(a b) = √a / (2 √b), at b = 3."""

    def f(a):
        return a * ad.grad(lambda b: root(a * b))(3.0)

    close(f(2.0), 2 * math.sqrt(2) / (2 * math.sqrt(3)))
    close(ad.grad(f)(2.0), 0.75 * math.sqrt(2) / math.sqrt(3))
    close(ad.jvp(f, (2.0,), (1.0,))[1], 0.75 * math.sqrt(2) / math.sqrt(3))


def test_the_start_has_no_derivative_and_the_solver_none():
    def f(x0: Any) -> Any:
        def solve(g: Any, x: Any) -> Any:
            return math.sqrt(2) + 0.0 * x0.detach()

        return ad.custom_root(lambda x: x * x - 2.0, x0, solve)

    assert float(ad.grad(f)(1.0)) == 0.0
    assert float(ad.jvp(f, (1.0,), (1.0,))[1]) == 0.0


def test_roots_of_roots():
    """The fourth root as a root whose equation holds a root; a fixed point inside."""

    def fourth(a):
        return ad.custom_root(lambda x: x * x - root(a), 1.0)

    close(ad.grad(fourth)(3.0), 0.25 * 3**-0.75)
    close(ad.grad(ad.grad(fourth))(3.0), -0.1875 * 3**-1.75)

    def inner(a):
        return ad.custom_root(lambda x: ad.fixed_point(lambda y: 0.5 * y + 0.5 * x * x, x) - a, 1.0)

    close(ad.grad(inner)(2.0), 0.5 / math.sqrt(2))


def test_in_a_trace_and_in_branches():
    tape = ad.trace(lambda a: 2.0 * root(a))(ad.Shaped((), "float64"))
    assert "root" in str(tape)

    def f(a):
        return ad.cond(a > 0.0, root, lambda a: 0.0 * a, a)

    close(ad.vmap(ad.grad(f))(np.array([4.0, -1.0])), [0.25, 0.0])


def test_no_grad_around_it():
    with ad.no_grad():
        close(root(2.0), math.sqrt(2))
        close(ad.grad(root)(2.0), 0.5 / math.sqrt(2))


class Marker:
    pass


def used() -> weakref.ref[Marker]:
    """A reference to something that a solver holds, which is run in several transforms."""
    marker = Marker()

    def solve(f: Any, x: Any) -> Any:
        assert marker
        return bisection(f, x)

    for transform in (ad.grad, lambda f: ad.grad(ad.grad(f)), lambda f: lambda a: ad.jvp(f, (a,), (1.0,))):
        transform(lambda a: root(a, solve))(2.0)
        transform(lambda a: ad.fixed_point(lambda x: ad.cos(a * x), 1.0, lambda f, x: solve(lambda x: x - f(x), x)))(0.5)
    assert root(2.0, solve).history is None
    return weakref.ref(marker)


def test_nothing_stays_behind():
    gc.collect()
    gc.disable()
    try:
        seen = used()
        assert seen() is None
    finally:
        gc.enable()


# --- fixed points --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solve", ["picard", "anderson", "newton", lambda f, x: bisection(lambda x: x - f(x), x)])
def test_fixed_point_of_a_cosine(solve):
    """x = cos(a x): x' = -x sin(a x) / (1 + a sin(a x))."""

    def f(a):
        return ad.fixed_point(lambda x: ad.cos(a * x), 0.5, solve)

    a = 0.8
    x = float(f(a))
    s, c = math.sin(a * x), math.cos(a * x)
    close(x, c, 1e-10)
    slope = -x * s / (1 + a * s)
    close(ad.grad(f)(a), slope)
    close(ad.jvp(f, (a,), (2.0,))[1], 2 * slope)
    u = x + a * slope
    second = (-(slope * s + x * c * u) * (1 + a * s) + x * s * (s + a * c * u)) / (1 + a * s) ** 2
    close(ad.grad(ad.grad(f))(a), second)


def test_fixed_point_in_batches(rng):
    a = np.linspace(0.1, 1.1, 7)
    for solve in ("picard", "anderson", "newton"):

        def f(a, solve=solve):
            return ad.fixed_point(lambda x: ad.cos(a * x), 0.5, solve)

        one_by_one = [float(f(v)) for v in a]
        close(ad.vmap(f)(a), one_by_one, 1e-15)
        y = np.array(one_by_one)
        close(ad.vmap(ad.grad(f))(a), -y * np.sin(a * y) / (1 + a * np.sin(a * y)))


def test_anderson_solves_what_picard_cannot(rng):
    """A linear f with eigenvalues to -3; and a contraction in fewer evaluations."""
    a = np.diag([-3.0, 0.5, 0.2])

    def f(x):
        return ad.tensor(a) @ x + np.ones(3)

    close(ad.fixed_point(f, np.zeros(3)), 1 / (1 - np.diag(a)), 1e-9)
    with pytest.raises(ConvergenceError, match=r"\[fixed_point\] the iteration did not converge.*3 in the last.*no contraction"):
        ad.fixed_point(f, np.zeros(3), "picard", maxiter=60)

    def slow(x):
        return 0.99 * x + 0.01

    close(ad.fixed_point(slow, 0.0, maxiter=5), 1.0, 1e-9)
    with pytest.raises(ConvergenceError, match=r"has become 0\.99 times itself"):
        ad.fixed_point(slow, 0.0, "picard", maxiter=5)


def test_fixed_point_with_many_unknowns(rng):
    """The derivative of a deep equilibrium layer, against the matrix."""
    n = 600
    w = rng.standard_normal((n, n)) * 0.3 / math.sqrt(n)
    b = rng.standard_normal(n)

    def f(b):
        return ad.fixed_point(lambda x: ad.tanh(ad.tensor(w) @ x + b), np.zeros(n), tol=1e-14, atol=1e-14)

    x, back = ad.vjp(f, b)
    d = 1 - np.asarray(x) ** 2
    ct = rng.standard_normal(n)
    close(back(ct)[0], d * np.linalg.solve((np.eye(n) - d[:, None] * w).T, ct), 1e-8)


def test_divergence_is_told():
    with pytest.raises(ConvergenceError, match="diverged"):
        ad.fixed_point(lambda x: ad.exp(x), 1.0, "picard")


# --- minima --------------------------------------------------------------------------------------------------------


def newtons_minimum(f: Any, x: Any) -> Any:
    """Newton's method, by Python's own loop and NumPy's solve."""
    for _ in range(30):
        g = np.asarray(ad.grad(f)(x))
        if np.abs(g).max() < 1e-13:
            break
        x = x - np.linalg.solve(np.asarray(ad.hessian(f)(x)), g)
    return x


def ridge(features: Any, targets: Any, solve: Any = newtons_minimum) -> Any:
    def weights(rate: Any) -> Any:
        def loss(w):
            return ad.sum((features @ w - targets) ** 2) + rate * ad.sum(w * w)

        return ad.custom_argmin(loss, np.zeros(features.shape[1]), solve)

    return weights


def test_ridge_regression_by_its_rate(rng):
    """w = (XᵀX + λ)⁻¹ Xᵀy, w' = -(XᵀX + λ)⁻¹ w, w'' = 2 (XᵀX + λ)⁻² w; a bilevel problem's hypergradient with them."""
    x, y = rng.standard_normal((20, 4)), rng.standard_normal(20)
    held, target = rng.standard_normal((10, 4)), rng.standard_normal(10)
    weights = ridge(x, y)
    inverse = np.linalg.inv(x.T @ x + 0.7 * np.eye(4))
    w = inverse @ x.T @ y
    close(weights(0.7), w)
    close(ad.jacobian(weights)(0.7), -inverse @ w)
    close(ad.jacobian(ad.jacobian(weights))(0.7), 2 * inverse @ inverse @ w)

    def outer(rate):
        return ad.mean((held @ weights(rate) - target) ** 2)

    close(ad.grad(outer)(0.7), -2 * (held @ w - target) @ held @ inverse @ w / 10)
    rates = np.array([0.1, 0.7, 5.0])
    close(ad.vmap(ad.grad(outer))(rates), [float(ad.grad(outer)(r)) for r in rates])


def test_the_optimiser_may_be_scipys(rng):
    minimize = pytest.importorskip("scipy.optimize").minimize
    x, y = rng.standard_normal((20, 4)), rng.standard_normal(20)

    def bfgs(f: Any, start: Any) -> Any:
        both = ad.value_and_grad(f)

        def run(w):
            return tuple(np.asarray(part) for part in both(w))

        return minimize(lambda w: (float(run(w)[0]), run(w)[1]), np.asarray(start), jac=True, options={"gtol": 1e-10}).x

    inverse = np.linalg.inv(x.T @ x + 0.7 * np.eye(4))
    close(ad.jacobian(ridge(x, y, bfgs))(0.7), -inverse @ inverse @ x.T @ y, 1e-8)


def test_argmin_of_a_tree():
    def f(a: Any) -> Any:
        def loss(p: Any) -> Any:
            return (p["u"] - a) ** 2 + 2.0 * ad.sum((p["v"] - a * p["u"]) ** 2)

        def descend(f: Any, p: Any) -> Any:
            def flat(v: Any) -> Any:
                return f({"u": v[0], "v": v[1:]})

            v = newtons_minimum(flat, ad.tensor([0.0, 0.0, 0.0]))
            return {"u": v[0], "v": v[1:]}

        return ad.custom_argmin(loss, {"u": 0.0, "v": np.zeros(2)}, descend)

    p, t = ad.jvp(f, (3.0,), (1.0,))
    close(p["u"], 3.0)
    close(p["v"], [9.0, 9.0])
    close(t["u"], 1.0)
    close(t["v"], [6.0, 6.0])


# --- errors --------------------------------------------------------------------------------------------------------


def test_singular_jacobians():
    with pytest.raises(LinAlgError, match=r"the Jacobian, 1 by 1, is singular .*Newton's step 0"):
        ad.custom_root(lambda x: x * x + 1.0, 0.0)

    def double(a):
        return ad.custom_root(lambda x: (x - a) ** 2, 0.0, lambda f, x: 2.0)

    close(double(2.0), 2.0)

    def flat(a):
        return ad.custom_root(lambda x: (x - 2.0) ** 2 - a, 0.0, lambda f, x: 2.0)

    with pytest.raises(LinAlgError, match=r"\[custom_root\] the Jacobian, 1 by 1, is singular"):
        ad.grad(flat)(0.0)


def test_newton_that_fails_says_where_it_is():
    with pytest.raises(ConvergenceError, match=r"\[custom_root\] Newton's iteration (is stuck|did not converge)"):
        ad.custom_root(lambda x: x * x + 1.0, 0.3)
    with pytest.raises(ConvergenceError, match="after 2 steps"):
        ad.custom_root(lambda x: x * x - 2.0, 100.0, maxiter=2)
    with pytest.raises(ConvergenceError, match="in example 1"):
        ad.vmap(root)(np.array([1.0, -2.0]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ad.custom_root(lambda x: x, 1), DTypeError, r"x0 is i64\[\]; a floating-point number"),
        (lambda: ad.custom_root(lambda x: ad.stack([x, x]), 1.0), ShapeError, "shapes must agree"),
        (lambda: ad.custom_root(lambda x: (x, x), 1.0), ShapeError, "must agree"),
        (lambda: ad.custom_root(lambda x: x + 1j, 1.0), DTypeError, "dtypes must agree"),
        (lambda: ad.custom_root(lambda x: x, 1.0, "secant"), ValueError, "must be one of newton"),
        (lambda: ad.custom_root(lambda x: x, 1.0, tangent_solve="lu"), ValueError, "must be one of"),
        (lambda: ad.custom_root(lambda x: x, 1.0, lambda f, x: np.zeros(3)), ShapeError, "like the unknown"),
        (lambda: ad.custom_root(lambda x: x if x > 0 else -x, 1.0), AbstractValueError, "where or cond"),
        (lambda: ad.fixed_point(lambda x: x, ()), ShapeError, "without arrays"),
        (lambda: ad.custom_argmin(lambda x: x, np.zeros(2), lambda f, x: x), ShapeError, "a real scalar"),
        (lambda: ad.custom_argmin(lambda x: (x, x), 0.0, lambda f, x: x), ShapeError, "a real scalar"),
        (lambda: ad.custom_argmin(lambda x: abs(x), 1j, lambda f, x: x), DTypeError, "real numbers"),
        (lambda: ad.custom_argmin(lambda x: x * x, 1.0, "bfgs"), TypeError, "a function solve"),
    ],
)
def test_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()

"""odeint: solutions and derivatives against closed forms, and the discrete adjoint against the map that was computed."""

from __future__ import annotations

import gc
import math
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.control.program import Program
from arrayad.errors import AbstractValueError, ConvergenceError, DTypeError, ShapeError
from arrayad.solvers.dopri import DENSE, ERROR, NODES, STAGES, WEIGHTS, Pair
from arrayad.solvers.integration import Integrator
from arrayad.tracing import record

SQRT_EPS = 1.5e-8


def close(found: Any, wanted: Any, tol: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=tol, atol=tol)


def oscillator(w: Any, start: Any, times: Any, **options: Any) -> Any:
    """The position of x″ = -ω² x, in a tree."""
    return ad.odeint(lambda y, t: {"x": y["v"], "v": -w * w * y["x"]}, start, times, **options)["x"]


def logistic(r: Any, k: Any, y0: Any, times: Any, **options: Any) -> Any:
    return ad.odeint(lambda y, t, r, k: r * y * (1.0 - y / k), y0, times, r, k, **options)


def volterra(p: Any, y0: Any, times: Any, **options: Any) -> Any:
    def field(y: Any, t: Any) -> Any:
        return ad.stack([y[0] * (p[0] - p[1] * y[1]), y[1] * (p[3] * y[0] - p[2])])

    return ad.odeint(field, y0, times, **options)


P, Y0 = np.array([1.5, 1.0, 3.0, 1.0]), np.array([1.0, 1.0])
TIMES = np.linspace(0.0, 2.0, 6)

# --- the formulas --------------------------------------------------------------------------------------------------


def test_weights_satisfy_the_conditions_of_their_orders():
    """Quadrature to order 5, the rows' sums, and the error weights as a difference of two methods of order 4."""
    b, c = np.append(WEIGHTS, 0.0), np.array(NODES)
    for q in range(1, 6):
        close(b @ c ** (q - 1), 1 / q, 1e-15)
    for q in range(1, 5):
        close(np.array(ERROR) @ c ** (q - 1), 0.0, 1e-15)
    assert abs(np.array(ERROR) @ c**4) > 1e-4
    for row, node in zip(STAGES, NODES, strict=True):
        close(sum(row), node, 1e-14)
    a = np.zeros((7, 7))
    for i, row in enumerate(STAGES):
        a[i, : len(row)] = row
    close(b @ a @ c, 1 / 6, 1e-15)
    close(b @ a @ a @ c, 1 / 24, 1e-15)
    close(b @ a @ a @ a @ c, 1 / 120, 1e-15)
    close(sum(DENSE), 0.0, 1e-12)


def test_the_tables_are_scipys():
    scheme = pytest.importorskip("scipy.integrate").RK45
    close(np.array(WEIGHTS), scheme.B, 1e-15)
    close(np.array(ERROR), -scheme.E, 1e-15)
    close(np.array(DENSE), scheme.P[:, -1], 1e-12)


def exponential_pair() -> Pair:
    scalar = ad.Shaped((), "float64")
    return Pair(Program(record(lambda y, t: [y * ad.cos(t)], [scalar, scalar])), 0)


@pytest.mark.parametrize(("shares", "order"), [((1.0,), 6), (np.linspace(0.1, 0.9, 9), 5)])
def test_order_of_a_step_and_of_its_dense_output(shares, order):
    """The error of one step falls as h⁶, the largest within it as h⁵: y' = y cos t."""
    dense = exponential_pair().dense().run
    t0, sizes = 0.4, np.array([0.2, 0.1, 0.05])
    errors = []
    for h in sizes:
        found = [float(dense([np.float64(x) for x in (1.0, t0, h, share)])[0]) for share in shares]
        errors.append(np.abs(found - np.exp(np.sin(t0 + np.array(shares) * h) - np.sin(t0))).max())
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(rates - order) < 0.4), rates


def test_dense_output_is_smooth_across_steps():
    """State and slope agree from either side of a step's end."""
    _, solution = volterra(P, Y0, [0.0, 2.0], dense=True, rtol=1e-5, atol=1e-5)
    ends = solution.starts.value[1:]
    eps = 1e-9
    before, after = np.asarray(solution(ends - eps)), np.asarray(solution(ends + eps))
    slopes = np.stack([after[:, 0] * (1.5 - after[:, 1]), after[:, 1] * (after[:, 0] - 3.0)], axis=1)
    close(after - before, 2 * eps * slopes, 1e-14)


# --- values --------------------------------------------------------------------------------------------------------


def test_closed_forms():
    close(ad.odeint(lambda y, t: -0.5 * y, 2.0, TIMES), 2 * np.exp(-0.5 * TIMES), 5 * SQRT_EPS)
    close(oscillator(3.0, {"x": 1.0, "v": 0.5}, TIMES), np.cos(3 * TIMES) + np.sin(3 * TIMES) / 6, 20 * SQRT_EPS)
    grown = 0.2 * np.exp(1.3 * TIMES)
    close(logistic(1.3, 2.0, 0.2, TIMES), 2 * grown / (2 - 0.2 + grown), 5 * SQRT_EPS)
    close(ad.odeint(lambda y, t: 1j * y, 1.0 + 0.0j, TIMES), np.exp(1j * TIMES), 5 * SQRT_EPS)


@pytest.mark.parametrize("tol", [1e-4, 1e-7, 1e-10, 1e-13])
def test_errors_follow_the_tolerance(tol):
    grown = 0.2 * np.exp(1.3 * TIMES)
    found = np.asarray(logistic(1.3, 2.0, 0.2, TIMES, rtol=tol, atol=tol))
    assert np.abs(found - 2 * grown / (1.8 + grown)).max() < 10 * tol


def test_backwards_in_time_undoes_it():
    end = volterra(P, Y0, TIMES, rtol=1e-12, atol=1e-12)[-1]
    close(volterra(P, end, TIMES[::-1], rtol=1e-12, atol=1e-12)[-1], Y0, 1e-9)


def test_lotka_volterra_against_a_high_order_method():
    solve_ivp = pytest.importorskip("scipy.integrate").solve_ivp

    def field(t, y):
        return [y[0] * (1.5 - y[1]), y[1] * (y[0] - 3.0)]

    times = np.linspace(0, 10, 21)
    wanted = solve_ivp(field, (0, 10), Y0, "DOP853", t_eval=times, rtol=1e-13, atol=1e-13).y.T
    close(volterra(P, Y0, times, rtol=1e-10, atol=1e-10), wanted, 1e-7)


def test_dtypes_times_and_arguments():
    y = ad.odeint(lambda y, t: -y, np.ones(3, np.float32), np.array([0, 1, 2]))
    assert y.dtype == np.float32 and y.shape == (3, 3)
    close(y[:, 0], np.exp([0.0, -1.0, -2.0]), 2e-3)
    close(ad.odeint(lambda y, t: t * y, 1.0, [0.0]), [1.0])
    matrix = np.array([[0.0, 1.0], [-1.0, 0.0]])
    close(
        ad.odeint(lambda y, t, a, k: k["k"] * (a @ y), np.array([1.0, 0.0]), [0.0, math.pi], matrix, {"k": 1.0})[-1],
        [-1, 0],
        1e-6,
    )
    assert ad.odeint(lambda y, t: y, np.zeros((0, 2)), TIMES).shape == (6, 0, 2)
    wide = ad.odeint(lambda y, t: -y, np.longdouble(1.0), [0.0, 1.0])
    assert wide.dtype == np.longdouble


def test_steps_are_as_large_as_one_says():
    _, free = volterra(P, Y0, TIMES, dense=True)
    _, bound = volterra(P, Y0, TIMES, dense=True, largest_step=0.01, first_step=0.001)
    assert bound.sizes[0] == pytest.approx(0.001)
    assert bound.sizes.max() <= 0.01 < free.sizes.max()
    assert len(bound.sizes) >= 200


# --- the discrete adjoint ------------------------------------------------------------------------------------------


def frozen(p: Any, y: Any, t0: float, sizes: Any, starts: Any, times: Any) -> Any:
    """The discrete map with these steps, written anew with SciPy's tables."""
    scheme = pytest.importorskip("scipy.integrate").RK45

    def field(y):
        return np.array([y[0] * (p[0] - p[1] * y[1]), y[1] * (p[3] * y[0] - p[2])])

    found = [y]
    for start, h in zip(starts, sizes, strict=True):
        k = [field(y)]
        for row in scheme.A[1:]:
            k.append(field(y + h * sum(a * v for a, v in zip(row, k, strict=False))))
        new = y + h * sum(b * v for b, v in zip(scheme.B, k, strict=True))
        k.append(field(new))
        for t in times[len(found) :]:
            share = (t - start) / h
            if share > 1 + 1e-12:
                break
            powers = share ** np.arange(1, 5)
            found.append(y + h * sum((scheme.P[i] @ powers) * k[i] for i in range(7)))
        y = new
    return np.stack(found)


@pytest.mark.parametrize("checkpoint", [None, "sqrt", "binomial", ("binomial", 3), 1, 5, 10_000])
def test_discrete_adjoint_is_the_derivative_of_the_discrete_map(checkpoint, rng):
    """Complex steps through the map with the same steps, to rounding, at a tolerance where the solution itself is rough."""
    options = {"rtol": 1e-5, "atol": 1e-5, "checkpoint": checkpoint}
    ct = rng.standard_normal((6, 2))
    y, back = ad.vjp(lambda p, y0: volterra(p, y0, TIMES, **options), P, Y0)
    by_p, by_y = back(ct)
    _, solution = volterra(P, Y0, TIMES, dense=True, **options)
    grid = (0.0, solution.sizes, solution.starts.value, TIMES)
    close(y, frozen(P, Y0, *grid), 1e-13)
    h = 1e-30
    for i, unit in enumerate(np.eye(4)):
        close(by_p[i], np.sum(ct * frozen(P + 1j * h * unit, Y0.astype(complex), *grid).imag) / h)
    for i, unit in enumerate(np.eye(2)):
        close(by_y[i], np.sum(ct * frozen(P, Y0 + 1j * h * unit, *grid).imag) / h)


def test_forward_mode_is_the_transpose(rng):
    dp, dy, ct = rng.standard_normal(4), rng.standard_normal(2), rng.standard_normal((6, 2))

    def f(p, y0, t):
        return volterra(p, y0, t)

    dt = rng.standard_normal(6)
    _, t = ad.jvp(f, (P, Y0, TIMES), (dp, dy, dt))
    _, back = ad.vjp(f, P, Y0, TIMES)
    by_p, by_y, by_t = map(np.asarray, back(ct))
    close(np.sum(ct * np.asarray(t)), by_p @ dp + by_y @ dy + by_t @ dt)


ADJOINTS = ("discrete", "continuous")


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_gradients_against_closed_forms(adjoint):
    """The oscillator by frequency, both initial values and both ends of time."""

    def f(w: Any, x: Any, v: Any, t0: Any, t1: Any) -> Any:
        return oscillator(w, {"x": x, "v": v}, ad.stack([t0, 0.5 * (t0 + t1), t1]), adjoint=adjoint, rtol=1e-10, atol=1e-10)[-1]

    w, x, v, t0, t1 = 2.0, 1.0, 0.5, 0.1, 1.7
    s = t1 - t0
    sin, cos = math.sin(w * s), math.cos(w * s)
    speed = -w * x * sin + v * cos
    found = ad.grad(f, argnums=(0, 1, 2, 3, 4))(w, x, v, t0, t1)
    close(found, [-x * s * sin + v * (s * cos / w - sin / w**2), cos, sin / w, -speed, speed], 1e-8)


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_times_of_a_field_that_depends_on_time(adjoint):
    """y = exp(sin t - sin t0): every entry of the Jacobian by the times, and second derivatives by them."""

    def f(t):
        return ad.odeint(lambda y, t: y * ad.cos(t), 1.0, t, adjoint=adjoint, rtol=1e-11, atol=1e-11)

    t = np.array([0.3, 1.0, 2.0])
    y = np.exp(np.sin(t) - np.sin(0.3))
    wanted = np.diag(y * np.cos(t))
    wanted[:, 0] = -y * np.cos(0.3)
    wanted[0] = 0.0
    close(ad.jacobian(f, mode="reverse")(t), wanted, 1e-8)
    close(ad.jacobian(f, mode="forward")(t), wanted, 1e-8)

    def last(end):
        return f(ad.stack([0.3, 1.0, end]))[-1]

    close(ad.grad(ad.grad(last))(2.0), y[2] * (math.cos(2.0) ** 2 - math.sin(2.0)), 1e-7)

    def middle(when):
        return f(ad.stack([0.3, when, 2.0]))[1]

    close(ad.grad(ad.grad(middle))(1.0), y[1] * (math.cos(1.0) ** 2 - math.sin(1.0)), 1e-7)


def test_taylor_by_the_end_time():
    """d^k/dt^k exp(sin t - sin 0.3), against the closed form's own coefficients."""

    def f(t):
        return ad.odeint(lambda y, t: y * ad.cos(t), 1.0, ad.stack([0.3, t]), rtol=1e-12, atol=1e-12)[-1]

    close(ad.taylor(f, 1.0, 5), ad.taylor(lambda t: ad.exp(ad.sin(t) - math.sin(0.3)), 1.0, 5), 1e-9)


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_second_order(adjoint):
    """d²/dk² exp(-2 k), and mixed with the initial value; hessian, grad of grad, forward over reverse."""

    def f(k, y0):
        return ad.odeint(lambda y, t: -k * y, y0, [0.0, 1.0, 2.0], adjoint=adjoint, rtol=1e-10, atol=1e-10)[-1]

    e = math.exp(-1.0)
    close(ad.grad(ad.grad(f))(0.5, 3.0), 12 * e, 1e-7)
    close(ad.grad(ad.grad(f, argnums=1))(0.5, 3.0), -2 * e, 1e-7)
    close(ad.hessian(f)(0.5, 3.0), 12 * e, 1e-7)
    close(ad.jvp(ad.grad(f), (0.5, 3.0), (1.0, 0.0))[1], 12 * e, 1e-7)


def test_third_order_and_taylor():
    def f(k):
        return ad.odeint(lambda y, t: -k * y, 1.0, [0.0, 1.0, 2.0], rtol=1e-11, atol=1e-11)[-1]

    close(ad.grad(ad.grad(ad.grad(f)))(0.5), -8 * math.exp(-1.0), 1e-8)
    close(ad.taylor(f, 0.5, 4), [math.exp(-1.0) * (-2.0) ** k / math.factorial(k) for k in range(5)], 1e-8)


def test_the_continuous_adjoint_is_as_good_as_its_tolerances():
    """Logistic growth by rate: errors fall with adjoint_rtol, while the discrete adjoint is exact for its own map."""

    def f(r: Any, **options: Any) -> Any:
        return logistic(r, 2.0, 0.2, [0.0, 3.0], rtol=1e-12, atol=1e-12, **options)[-1]

    grown = 0.2 * math.exp(1.3 * 3)
    wanted = 3.0 * 2 * grown * 1.8 / (1.8 + grown) ** 2
    errors = [
        abs(float(ad.grad(f)(1.3, adjoint="continuous", adjoint_rtol=tol, adjoint_atol=tol)) - wanted)
        for tol in (1e-3, 1e-6, 1e-9)
    ]
    assert errors[0] < 1e-2 and errors[1] < 1e-5 and errors[2] < 1e-8
    assert errors[2] < errors[1] < errors[0]
    close(ad.grad(f)(1.3), wanted, 1e-10)


def test_complex_states():
    """∂/∂ω of the real part of exp(iωt) z, and by z."""
    for adjoint in ADJOINTS:

        def f(w, z, adjoint=adjoint):
            return ad.real(ad.odeint(lambda y, t: 1j * w * y, z, [0.0, 0.7, 1.5], adjoint=adjoint, rtol=1e-10, atol=1e-10)[-1])

        w, z = 2.0, 1.0 + 0.5j
        by_w, by_z = ad.grad(f, argnums=(0, 1))(w, z)
        close(by_w, (1.5j * np.exp(3j) * z).real, 1e-8)
        close(by_z, np.conj(np.exp(3j)), 1e-8)


def test_leaves_and_captures():
    w = ad.tensor(2.0, requires_grad=True)
    oscillator(w, {"x": 1.0, "v": 0.0}, [0.0, 1.0])[-1].backward()
    close(w.grad, -math.sin(2.0), 1e-6)
    with ad.no_grad():
        assert oscillator(w, {"x": 1.0, "v": 0.0}, [0.0, 1.0]).history is None


def test_the_solution_is_integrated_once_for_its_gradient(monkeypatch):
    calls = []
    run = Integrator.run
    monkeypatch.setattr(Integrator, "run", lambda self, *args: calls.append(1) or run(self, *args))
    ad.grad(lambda p: ad.sum(volterra(p, Y0, TIMES)))(P)
    assert len(calls) == 1


# --- batches -------------------------------------------------------------------------------------------------------


def test_each_example_of_a_batch_has_its_own_steps(rng):
    """To rounding what a loop gives, though one needs many times the steps of another."""
    w = np.array([0.5, 2.0, 5.0])

    def f(w):
        return oscillator(w, {"x": 1.0, "v": 0.0}, TIMES)

    close(ad.vmap(f)(w), np.stack([np.asarray(f(v)) for v in w]), 1e-10)

    def g(w):
        return ad.sum(ad.sin(f(w)))

    wanted = [float(ad.grad(g)(v)) for v in w]
    close(ad.vmap(ad.grad(g))(w), wanted, 1e-8)
    close(ad.grad(lambda w: ad.sum(ad.vmap(g)(w)))(w), wanted, 1e-8)
    close(ad.vmap(lambda w: ad.jvp(f, (w,), (1.0,))[1])(w), np.stack([np.asarray(ad.jvp(f, (v,), (1.0,))[1]) for v in w]), 1e-8)


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_batches_of_states_and_of_times_share_parameters(adjoint, rng):
    """vmap of vmap, with matrices shared by the inner axis; gradients by what is shared."""
    a = rng.standard_normal((2, 3, 3)) / 2
    y0 = rng.standard_normal((4, 3))
    ends = np.array([0.5, 1.0, 1.5, 2.0])

    def f(a: Any, y: Any, end: Any) -> Any:
        return ad.odeint(lambda y, t: ad.tanh(a @ y), y, ad.stack([0.0, end]), adjoint=adjoint, rtol=1e-9, atol=1e-9)[-1]

    def inner(a):
        return ad.vmap(lambda y, end: f(a, y, end))(y0, ends)

    close(ad.vmap(inner)(a), [[np.asarray(f(m, y, e)) for y, e in zip(y0, ends, strict=True)] for m in a], 1e-12)
    found = ad.vmap(ad.grad(lambda a: ad.sum(inner(a))))(a)
    wanted = [
        sum(np.asarray(ad.grad(lambda m, y=y, e=e: ad.sum(f(m, y, e)))(m)) for y, e in zip(y0, ends, strict=True)) for m in a
    ]
    close(found, wanted, 1e-7)
    close(ad.grad(lambda a: ad.sum(ad.vmap(inner)(a)))(a), wanted, 1e-7)


def test_checkpoints_in_a_batch():
    w = np.array([0.5, 2.0, 5.0])

    def f(w, checkpoint):
        return ad.sum(oscillator(w, {"x": 1.0, "v": 0.0}, TIMES, checkpoint=checkpoint))

    whole = ad.grad(lambda w: ad.sum(ad.vmap(lambda w: f(w, None))(w)))(w)
    close(ad.grad(lambda w: ad.sum(ad.vmap(lambda w: f(w, "sqrt"))(w)))(w), whole, 1e-9)


def test_in_a_trace_and_in_a_branch():
    def f(k):
        return ad.odeint(lambda y, t: -k * y, 1.0, [0.0, 1.0])[-1]

    assert "odeint" in str(ad.trace(f)(ad.Shaped((), "float64")))

    def g(k):
        return ad.cond(k > 0.0, f, lambda k: 0.0 * k, k)

    close(ad.vmap(ad.grad(g))(np.array([1.0, -1.0])), [-math.exp(-1.0), 0.0], 1e-7)


# --- dense output --------------------------------------------------------------------------------------------------


def test_the_solution_at_any_time():
    y, solution = ad.odeint(lambda y, t: -3.0 * y, np.ones(2), [0.0, 2.0], dense=True, rtol=1e-9, atol=1e-9)
    when = np.array([[0.1, 0.7], [2.0, 0.0]])
    close(solution(when)[..., 1], np.exp(-3 * when), 1e-7)
    close(solution(2.0), y[-1], 1e-15)
    close(ad.grad(lambda t: solution(t)[0])(0.7), -3 * math.exp(-2.1), 1e-7)
    close(ad.grad(ad.grad(lambda t: solution(t)[0]))(0.7), 9 * math.exp(-2.1), 1e-6)
    assert "from t = 0 to 2 in" in repr(solution)


def test_the_solution_is_differentiated_by_parameters():
    def f(k: Any) -> Any:
        _, solution = ad.odeint(lambda y, t: -k * y, 1.0, [0.0, 2.0], dense=True, rtol=1e-9, atol=1e-9)
        return solution(1.3)

    close(ad.grad(f)(0.5), -1.3 * math.exp(-0.65), 1e-7)
    close(ad.grad(ad.grad(f))(0.5), 1.69 * math.exp(-0.65), 1e-7)
    with pytest.raises(AbstractValueError, match="dense=True needs values"):
        ad.vmap(f)(np.ones(2))


def test_falling_times_have_a_solution_too():
    _, solution = ad.odeint(lambda y, t: -y, 1.0, [2.0, 0.0], dense=True)
    close(solution(np.array([0.5, 1.5])), np.exp([1.5, 0.5]), 1e-6)
    with pytest.raises(ValueError, match=r"t = .*2\.5.* is outside the solution, which goes from 2\.0 to 0\.0"):
        solution(2.5)


# --- memory --------------------------------------------------------------------------------------------------------


def peak(steps: int, checkpoint: Any, adjoint: str = "discrete") -> int:
    """The most bytes that a gradient through so many steps of 10,000 variables takes, above what was there before."""
    start = np.ones(10_000)

    def f(k: Any) -> Any:
        y = ad.odeint(lambda y, t: -k * y, start, [0.0, 1.0], largest_step=1 / steps, checkpoint=checkpoint, adjoint=adjoint)
        return ad.sum(y[-1])

    gc.collect()
    tracemalloc.start()
    try:
        close(ad.grad(f)(1.0), -10_000 * math.exp(-1.0), 1e-6)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_checkpoints_bound_the_memory():
    """A state takes 80 kB.  100 steps more keep 100 states more, and their cotangents; with "sqrt" 4 + 4; continuous none."""
    peak(50, None)  # what is made once
    grown = {
        name: peak(150, *options) - peak(50, *options)
        for name, options in {"all": (None,), "sqrt": ("sqrt",), "continuous": (None, "continuous")}.items()
    }
    assert grown["all"] > 100 * 80e3
    assert grown["sqrt"] < 20 * 80e3
    assert grown["continuous"] < 5 * 80e3


class Marker:
    pass


def used() -> weakref.ref[Marker]:
    """A reference to what a field holds, which is integrated in several transforms."""
    marker = Marker()

    def f(k: Any, t: Any) -> Any:
        def field(y: Any, t: Any) -> Any:
            assert marker
            return -k * y

        return ad.odeint(field, 1.0, t)[-1]

    times = np.array([0.0, 1.0])
    ad.grad(f, argnums=(0, 1))(0.5, times)
    ad.grad(ad.grad(f))(0.5, times)
    ad.jvp(f, (0.5, times), (1.0, times))
    assert f(0.5, times).history is None
    return weakref.ref(marker)


def test_nothing_stays_behind():
    gc.collect()
    gc.disable()
    try:
        assert used()() is None
    finally:
        gc.enable()


# --- errors --------------------------------------------------------------------------------------------------------


def test_what_goes_wrong_on_the_way_says_where():
    with pytest.raises(ConvergenceError, match=r"the step has shrunk to .* at t = 1\.0000"):
        ad.odeint(lambda y, t: y * y, 1.0, [0.0, 2.0])
    with pytest.raises(ConvergenceError, match=r"500 steps did not reach t = 2: at t = 0\.001.*the problem is stiff"):
        ad.odeint(lambda y, t: -1e6 * (y - ad.cos(t)), 1.0, [0.0, 2.0], max_steps=500)
    with pytest.raises(ConvergenceError, match=r"3 steps did not reach t = 9: (?!.*stiff)"):
        ad.odeint(lambda y, t: ad.cos(9.0 * t), 1.0, [0.0, 9.0], max_steps=3)
    with pytest.raises(ConvergenceError, match="in example 1: the step has shrunk"):
        ad.vmap(lambda y: ad.odeint(lambda y, t: y * y, y, [0.0, 2.0]))(np.array([0.1, 1.0]))
    with pytest.raises(ConvergenceError, match=r"func\(y0, t\) is not finite at the first time, t = 0\.0"):
        ad.odeint(lambda y, t: ad.sqrt(y), -1.0, [0.0, 2.0])
    with pytest.raises(ConvergenceError, match="y0 is not finite"):
        ad.odeint(lambda y, t: 0.0 * t, np.nan, [0.0, 2.0])


def decay(y: Any, t: Any) -> Any:
    return -y


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ad.odeint(decay, 1, [0.0, 1.0]), DTypeError, r"y0 is i64\[\]; a floating-point number"),
        (lambda: ad.odeint(decay, 1.0, 2.0), ShapeError, "a vector of times"),
        (lambda: ad.odeint(decay, 1.0, []), ShapeError, "a vector of times"),
        (lambda: ad.odeint(decay, 1.0, [0.0, 1j]), DTypeError, "real numbers"),
        (lambda: ad.odeint(decay, 1.0, [0.0, 2.0, 1.0]), ValueError, "rise or fall"),
        (lambda: ad.odeint(decay, 1.0, [0.0, 0.0]), ValueError, "rise or fall"),
        (lambda: ad.odeint(decay, 1.0, [0.0, np.inf]), ValueError, "must be finite"),
        (lambda: ad.odeint(lambda y, t: np.ones(2) * y, 1.0, [0.0, 1.0]), ShapeError, "shapes must agree"),
        (lambda: ad.odeint(lambda y, t: 1j * y, 1.0, [0.0, 1.0]), DTypeError, "dtypes must agree"),
        (lambda: ad.odeint(lambda y, t: (y, y), 1.0, [0.0, 1.0]), ShapeError, "must agree"),
        (lambda: ad.odeint(decay, 1.0, [0.0, 1.0], method="rk4"), ValueError, 'there is "dopri5"'),
        (lambda: ad.odeint(decay, 1.0, [0.0, 1.0], adjoint="symplectic"), ValueError, "adjoint is"),
        (lambda: ad.odeint(decay, 1.0, [0.0, 1.0], checkpoint=0), ValueError, "checkpoint is"),
        (lambda: ad.odeint(decay, 1.0, [0.0, 1.0], rtol=0.0, atol=0.0), ValueError, "nor both be 0"),
        (lambda: ad.odeint(decay, 1.0, [0.0, 1.0], max_steps=0), ValueError, "max_steps is 0"),
        (lambda: ad.odeint(decay, 1.0, [0.0], dense=True), ValueError, "two times or more"),
        (lambda: ad.odeint(lambda y, t: y if t > 0 else -y, 1.0, [0.0, 1.0]), AbstractValueError, "where or cond"),
    ],
)
def test_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()

"""`custom_vjp` and `custom_jvp`: rules of the user's in every mode, order and nesting, and what they refuse."""

from __future__ import annotations

import functools
import gc
import itertools
import math
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError, DerivativeError, ShapeError
from arrayad.readers.replay import replay
from arrayad.tape import recorded
from arrayad.testing import GradientCheckError, check_grads

# --- two functions whose rules are known not to be what tracing would give -----------------------------------------


def cube_vjp() -> Any:
    """x³ by a function that arrayad would differentiate to 0, and a rule that gives 3x²."""
    f = ad.custom_vjp(lambda x: ad.stop_gradient(x * x * x))
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (3.0 * x * x * ct,))
    return f


def cube_jvp() -> Any:
    f = ad.custom_jvp(lambda x: ad.stop_gradient(x * x * x))
    f.defjvp(lambda primals, tangents: (f(*primals), 3.0 * primals[0] * primals[0] * tangents[0]))
    return f


MAKE = {"vjp": cube_vjp, "jvp": cube_jvp}
DERIVATIVES = [lambda x: x**3, lambda x: 3 * x**2, lambda x: 6 * x, lambda x: 6 + 0 * x, lambda x: 0 * x]


def forward(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: ad.jvp(f, (x,), (ad.ones_like(x),))[1]


def reverse(f: Callable[..., Any]) -> Callable[..., Any]:
    return ad.grad(lambda x: ad.sum(f(x)))


def by_linearize(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: ad.linearize(f, x)[1](ad.ones_like(x))


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_forward_and_reverse_nest_in_every_order(kind: str, depth: int) -> None:
    for transforms in itertools.product((forward, reverse), repeat=depth):
        g: Any = MAKE[kind]()
        for transform in transforms:
            g = transform(g)
        y = g(0.7)
        assert y.history is None, "the result is still recorded or followed"
        assert float(y) == pytest.approx(DERIVATIVES[depth](0.7), rel=1e-14, abs=1e-14)


NESTINGS = list(itertools.product((forward, reverse, by_linearize, ad.vmap), repeat=3))


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("transforms", NESTINGS, ids=lambda ts: "-".join(t.__name__ for t in ts))
def test_nestings_with_batches_agree_with_closed_forms(kind: str, transforms: Any) -> None:
    x = np.array([0.7, -1.2, 2.0])
    for _ in range(transforms.count(ad.vmap) - 1):
        x = np.stack([x, 2.0 * x])
    g: Any = MAKE[kind]()
    for transform in transforms:
        g = transform(g)
    order = 3 - transforms.count(ad.vmap)
    np.testing.assert_allclose(np.asarray(g(x)), DERIVATIVES[order](x), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", MAKE)
def test_jacobians_and_hessians(kind: str) -> None:
    f, x = MAKE[kind](), np.array([0.7, -1.2])
    for jacobian in (ad.jacfwd, ad.jacrev):
        np.testing.assert_allclose(np.asarray(jacobian(f)(x)), np.diag(3 * x**2), rtol=1e-14)
    np.testing.assert_allclose(np.asarray(ad.hessian(lambda x: ad.sum(f(x)))(x)), np.diag(6 * x), rtol=1e-14)
    np.testing.assert_allclose(np.asarray(ad.hvp(lambda x: ad.sum(f(x)), x, np.ones(2))), 6 * x, rtol=1e-14)


@pytest.mark.parametrize("kind", MAKE)
def test_backward_on_leaves_and_create_graph(kind: str) -> None:
    f, x = MAKE[kind](), ad.tensor([1.0, 2.0], requires_grad=True)
    y = ad.sum(f(x))
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(np.asarray(x.grad), [6.0, 24.0])
    with pytest.raises(DerivativeError, match="swept and released"):
        y.backward()
    x.grad = None
    ad.sum(f(x)).backward(create_graph=True)
    first, x.grad = x.grad, None
    ad.sum(first).backward()
    np.testing.assert_allclose(np.asarray(x.grad), [6.0, 12.0])
    x.grad = None


# --- Taylor mode ---------------------------------------------------------------------------------------------------


def exponential(kind: str) -> Any:
    """exp, whose rule calls itself."""
    if kind == "vjp":
        f = ad.custom_vjp(lambda x: ad.stop_gradient(ad.exp(x)))
        f.defvjp(lambda x: (f(x), f(x)), lambda y, ct: (ct * y,))
        return f
    f = ad.custom_jvp(lambda x: ad.stop_gradient(ad.exp(x)))
    f.defjvp(lambda p, t: (f(*p), 0.5 * f(*p) * t[0] + 0.5 * t[0] * f(*p)))
    return f


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_taylor_mode(kind: str) -> None:
    f = exponential(kind)
    expected = [math.exp(0.3) / math.factorial(k) for k in range(9)]
    np.testing.assert_allclose(np.asarray(ad.taylor(f, 0.3, 8)), expected, rtol=1e-13)
    cube = MAKE[kind]()
    np.testing.assert_allclose(np.asarray(ad.taylor(lambda x: cube(2.0 * x), 0.5, 4)), [1, 6, 12, 8, 0], atol=1e-13)


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_a_rule_that_calls_its_function_twice_costs_no_exponential_time_in_taylor_mode(kind: str) -> None:
    ran: list[int] = []
    inner = exponential(kind)

    def cost(order: int) -> int:
        ran.clear()
        f = ad.custom_jvp(lambda x: ran.append(1) or ad.stop_gradient(ad.exp(x)))
        f.defjvp(lambda p, t: (f(*p), 0.5 * f(*p) * t[0] + 0.5 * t[0] * f(*p)))
        ad.taylor(f, 0.3, order)
        return len(ran)

    assert cost(16) == cost(4)
    assert float(ad.taylor(inner, 0.3, 16)[16]) == pytest.approx(math.exp(0.3) / math.factorial(16), rel=1e-12)


# --- arguments -----------------------------------------------------------------------------------------------------


def test_strings_callables_and_numbers_by_nondiff_argnums() -> None:
    @functools.partial(ad.custom_vjp, nondiff_argnums=(0, 2))
    def apply(g: Callable[..., Any], x: Any, name: str, n: int = 2) -> Any:
        return g(x) ** n

    seen: list[Any] = []

    def backward(g: Any, name: str, residuals: Any, ct: Any) -> Any:
        seen.append((g, name))
        x, n = residuals
        return ct * n * ad.cos(x) * ad.sin(x) ** (n - 1), None

    apply.defvjp(lambda g, x, name, n: (g(x) ** n, (x, n)), backward)
    assert float(ad.grad(lambda x: apply(ad.sin, x, "power"))(0.4)) == pytest.approx(math.sin(0.8))
    assert float(ad.grad(lambda x: apply(ad.sin, x, n=3, name="power"))(0.4)) == pytest.approx(
        3 * math.cos(0.4) * math.sin(0.4) ** 2
    )
    assert seen == [(ad.sin, "power")] * 2
    assert float(ad.jvp(lambda x: apply(ad.sin, x, "power"), (0.4,), (1.0,))[1]) == pytest.approx(math.sin(0.8))
    with pytest.raises(TypeError, match=r"\[apply\] n is str, not an array; name its position in nondiff_argnums"):
        apply(ad.sin, 1.0, "power", "2")


def test_nondiff_arguments_of_a_jvp_rule_and_of_rules_for_each_argument() -> None:
    f = ad.custom_jvp(lambda n, x, y: x**n * y, nondiff_argnums=0)
    f.defjvp(
        lambda n, primals, tangents: (
            f(n, *primals),
            n * primals[0] ** (n - 1) * tangents[0] * primals[1] + primals[0] ** n * tangents[1],
        )
    )
    g = ad.custom_jvp(lambda n, x, y: x**n * y, nondiff_argnums=(0,))
    g.defjvps(lambda t, out, n, x, y: n * out / x * t, lambda t, out, n, x, y: x**n * t)
    for h in (f, g):
        dx, dy = ad.grad(lambda x, y, h=h: h(3, x, y), argnums=(0, 1))(2.0, 5.0)
        assert (float(dx), float(dy)) == pytest.approx((60.0, 8.0))
    with pytest.raises(TypeError, match="nondiff_argnums has 3, but there are 1 arguments"):
        ad.custom_jvp(lambda x: x, nondiff_argnums=3).defjvp(lambda *a: a, check=(1.0,))
    short = ad.custom_jvp(lambda x, y: x * y)
    short.defjvps(lambda t, out, x, y: t)
    with pytest.raises(TypeError, match="defjvps was given 1 rules for 2 arguments"):
        ad.grad(short)(1.0, 2.0)


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_integer_arrays_are_ordinary_arguments(kind: str) -> None:
    if kind == "vjp":
        take = ad.custom_vjp(lambda x, i: x[i] * 2.0)
        take.defvjp(lambda x, i: (x[i] * 2.0, (x, i)), lambda r, ct: (scattered(r[0], r[1], 2.0 * ct), None))
    else:
        take = ad.custom_jvp(lambda x, i: x[i] * 2.0)

        def rule(primals: Any, tangents: Any) -> Any:
            assert tangents[1] is None, "an integer has no tangent"
            return take(*primals), tangents[0][primals[1]] * 2.0

        take.defjvp(rule)
    x, i = np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2])
    np.testing.assert_allclose(np.asarray(ad.grad(lambda x: ad.sum(take(x, i)))(x)), [2.0, 0.0, 4.0])
    np.testing.assert_allclose(np.asarray(ad.jvp(lambda x: take(x, i), (x,), (x,))[1]), [6.0, 2.0, 6.0])
    batch = np.stack([i, i[::-1], i * 0])
    found = ad.vmap(ad.grad(lambda x, i: ad.sum(take(x, i))), in_axes=(None, 0))(x, batch)
    np.testing.assert_allclose(np.asarray(found), [[2, 0, 4], [2, 0, 4], [6, 0, 0]])


def scattered(x: Any, i: Any, ct: Any) -> Any:
    return ad.vjp(lambda x: x[i], x)[1](ct)[0]


class Pair(NamedTuple):
    a: Any
    b: Any


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_trees_in_arguments_residuals_and_outputs(kind: str) -> None:
    def f(p: Any, x: Any) -> Any:
        return {"s": ad.sum(p["w"].a * x), "t": [p["w"].b * x, 7]}

    if kind == "vjp":
        g = ad.custom_vjp(f)

        def backward(r: Any, ct: Any) -> Any:
            p, x = r["p"], r["x"]
            assert ct["t"][1].dtype.kind == "i", "the cotangent of an integer output is an integer zero"
            a = ct["s"] * x
            return {"w": Pair(a, ad.sum(ct["t"][0] * x)), "unused": None}, ct["s"] * p["w"].a + ct["t"][0] * p["w"].b

        g.defvjp(lambda p, x: (f(p, x), {"p": p, "x": x}), backward)
    else:
        g = ad.custom_jvp(f)

        def rule(primals: Any, tangents: Any) -> Any:
            (p, x), (tp, tx) = primals, tangents
            s = ad.sum(tp["w"].a * x + p["w"].a * tx)
            return g(p, x), {"s": s, "t": [tp["w"].b * x + p["w"].b * tx, None]}

        g.defjvp(rule)
    p = {"w": Pair(np.array([1.0, 2.0]), np.array(3.0)), "unused": np.ones(3)}
    x = np.array([0.5, -1.0])
    check_grads(g, (p, x))
    smooth = lambda out: ad.sum(out["s"] ** 2 + out["t"][0] ** 3)  # noqa: E731
    dp, dx = ad.grad(lambda p, x: smooth(g(p, x)), argnums=(0, 1))(p, x)
    ep, ex = ad.grad(lambda p, x: smooth(f(p, x)), argnums=(0, 1))(p, x)
    for found, expected in [(dp["w"].a, ep["w"].a), (dp["w"].b, ep["w"].b), (dx, ex)]:
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-14)
    assert not np.any(dp["unused"])


def test_python_numbers_stay_what_they_are() -> None:
    @ad.custom_vjp
    def power(x: Any, n: int = 2, scale: float = 1.0) -> Any:
        assert isinstance(n, int) and isinstance(scale, float)
        y = x
        for _ in range(n - 1):
            y = y * x
        return scale * y

    power.defvjp(lambda x, n, scale: (power(x, n, scale), x), lambda x, ct: (ct, None, None))
    assert power(np.ones(2, "float32"), scale=0.5).dtype == np.float32
    assert float(power(2.0, 3)) == 8.0


def test_what_signature_does_not_say_or_rules_cannot_take() -> None:
    f = ad.custom_jvp(np.sin)
    f.defjvp(lambda p, t: (f(*p), t[0] * ad.cos(p[0])))
    assert float(ad.grad(f)(0.3)) == pytest.approx(math.cos(0.3))
    with pytest.raises(TypeError, match="n can be passed by keyword only"):
        ad.custom_vjp(lambda x, *, n: x)
    g = ad.custom_jvp(lambda x, **options: x)
    g.defjvp(lambda p, t: (p[0], t[0]))
    with pytest.raises(TypeError, match="take no keyword-only arguments; options came"):
        g(1.0, n=2)


@pytest.mark.parametrize("kind", MAKE)
def test_where_nothing_is_recorded_the_function_itself_runs(kind: str) -> None:
    calls: list[str] = []
    f = ad.custom_vjp(lambda x: calls.append("function") or x * 2.0)
    f.defvjp(lambda x: calls.append("forward") or (x * 2.0, None), lambda r, ct: (ct * 2.0,))
    assert float(f(3.0)) == 6.0 and f(np.ones(2)).history is None
    with ad.no_grad():
        assert f(ad.tensor(1.0, requires_grad=True)).requires_grad is False
    assert "forward" not in calls[:2]
    assert float(MAKE[kind]()(2.0)) == 8.0


def test_several_outputs_of_which_some_are_unused() -> None:
    f = ad.custom_vjp(lambda x, y: (x * y, ad.sin(x), y))
    f.defvjp(lambda x, y: (f(x, y), (x, y)), lambda r, ct: (ct[0] * r[1] + ct[1] * ad.cos(r[0]), ct[0] * r[0] + ct[2]))
    assert [float(g) for g in ad.grad(lambda x, y: f(x, y)[1], argnums=(0, 1))(0.3, 2.0)] == pytest.approx([math.cos(0.3), 0.0])
    assert [float(g) for g in ad.grad(lambda x, y: f(x, y)[2] * f(x, y)[0], (0, 1))(0.3, 2.0)] == pytest.approx([4.0, 1.2])
    check_grads(f, (np.array([0.3, 1.0]), np.array([2.0, -1.0])))


def test_nothing_in_and_nothing_out() -> None:
    f = ad.custom_jvp(lambda: ad.ones(2))
    f.defjvp(lambda p, t: (f(), None))
    assert np.array_equal(np.asarray(f()), [1.0, 1.0])
    g = ad.custom_vjp(lambda x: None)
    g.defvjp(lambda x: (None, None), lambda r, ct: (None,))
    assert g(ad.tensor(1.0, requires_grad=True)) is None


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_complex_numbers_follow_the_convention_of_gradients(kind: str) -> None:
    """The public cotangent of z is the conjugate of what pairs with its tangent: of z² it is ct · conj(2z)."""
    if kind == "vjp":
        f = ad.custom_vjp(lambda z: z * z)
        f.defvjp(lambda z: (z * z, z), lambda z, ct: (ct * ad.conj(2.0 * z),))
        m = ad.custom_vjp(lambda z: ad.abs(z) ** 2)
        m.defvjp(lambda z: (ad.abs(z) ** 2, z), lambda z, ct: (2.0 * ct * z,))
    else:
        f = ad.custom_jvp(lambda z: z * z)
        f.defjvp(lambda p, t: (f(*p), 2.0 * p[0] * t[0]))
        m = ad.custom_jvp(lambda z: ad.abs(z) ** 2)
        m.defjvp(lambda p, t: (m(*p), 2.0 * ad.real(ad.conj(p[0]) * t[0])))
    z = np.array([1.0 + 2.0j, -0.5j])
    np.testing.assert_allclose(np.asarray(ad.grad(lambda z: ad.sum(m(z)))(z)), 2 * z)
    np.testing.assert_allclose(np.asarray(ad.grad(lambda z: ad.sum(ad.real(f(z))))(z)), np.conj(2 * z))
    np.testing.assert_allclose(np.asarray(ad.jvp(f, (z,), (1j * z,))[1]), 2j * z * z)
    np.testing.assert_allclose(np.asarray(ad.vmap(ad.grad(m))(z)), 2 * z)
    check_grads(f, (z,))
    check_grads(m, (z,), order=1)


# --- tapes, branches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("abstract", [False, True])
def test_traced_and_replayed(kind: str, abstract: bool) -> None:
    f = MAKE[kind]()
    x, other = np.array([0.7, 2.0]), np.array([-1.0, 3.0])
    for g, expected in [(f, other**3), (reverse(f), 3 * other**2), (forward(f), 3 * other**2), (reverse(reverse(f)), 6 * other)]:
        tape = ad.trace(g)(ad.Shaped((2,), "float64") if abstract else x)
        np.testing.assert_allclose(np.asarray(replay(tape, other)), expected, rtol=1e-14)
    tape = ad.trace(f)(ad.Shaped((2,), "float64") if abstract else x)
    g = reverse(lambda x: replay(tape, x))
    np.testing.assert_allclose(np.asarray(g(other)), 3 * other**2, rtol=1e-14)
    assert "call=<lambda>" in str(tape)


@pytest.mark.parametrize("kind", MAKE)
def test_in_branches(kind: str) -> None:
    f = MAKE[kind]()
    branch = lambda x: ad.cond(x > 0, f, lambda x: 2.0 * x, x)  # noqa: E731
    switch = lambda x: ad.switch(ad.astype(x > 0, "int64"), [lambda x: 2.0 * x, f], x)  # noqa: E731
    for g in (branch, switch):
        x = np.array([1.5, -1.0])
        np.testing.assert_allclose([float(ad.grad(g)(v)) for v in x], [6.75, 2.0])
        np.testing.assert_allclose([float(ad.grad(ad.grad(g))(v)) for v in x], [9.0, 0.0])
        np.testing.assert_allclose([float(forward(g)(v)) for v in x], [6.75, 2.0])
        np.testing.assert_allclose(np.asarray(ad.vmap(ad.grad(g))(x)), [6.75, 2.0])
        np.testing.assert_allclose(np.asarray(ad.vmap(forward(g))(x)), [6.75, 2.0])
        np.testing.assert_allclose(np.asarray(ad.grad(lambda x, g=g: ad.sum(ad.vmap(g)(x)))(x)), [6.75, 2.0])


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_batches_share_what_is_not_batched(kind: str) -> None:
    if kind == "vjp":
        f = ad.custom_vjp(lambda w, x: w @ x)
        f.defvjp(lambda w, x: (w @ x, (w, x)), lambda r, ct: (ad.outer(ct, r[1]), ct @ r[0]))
    else:
        f = ad.custom_jvp(lambda w, x: w @ x)
        f.defjvp(lambda p, t: (f(*p), t[0] @ p[1] + p[0] @ t[1]))
    rng = np.random.default_rng(0)
    w, xs, cts = rng.standard_normal((2, 3)), rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    loss = lambda w, x, ct: ad.sum(f(w, x) * ct)  # noqa: E731
    each_w, each_x = ad.vmap(ad.grad(loss, argnums=(0, 1)), in_axes=(None, 0, 0))(w, xs, cts)
    np.testing.assert_allclose(np.asarray(each_w), cts[:, :, None] * xs[:, None, :])
    np.testing.assert_allclose(np.asarray(each_x), cts @ w)
    all_w = ad.grad(lambda w: ad.sum(ad.vmap(loss, in_axes=(None, 0, 0))(w, xs, cts)))(w)
    np.testing.assert_allclose(np.asarray(all_w), cts.T @ xs)
    t = ad.jvp(lambda w: ad.vmap(f, in_axes=(None, 0))(w, xs), (w,), (w,))[1]
    np.testing.assert_allclose(np.asarray(t), xs @ w.T)
    assert ad.vmap(f, in_axes=(None, 0))(w, xs[:0]).shape == (0, 2)
    out_axis = ad.vmap(f, in_axes=(None, 1), out_axes=1)(w, xs.T)
    np.testing.assert_allclose(np.asarray(out_axis), w @ xs.T)


# --- captures ------------------------------------------------------------------------------------------------------


def capturing(kind: str, captured: Any) -> Any:
    if kind == "vjp":
        f = ad.custom_vjp(lambda x: x * captured)
        f.defvjp(lambda x: (x * captured, None), lambda r, ct: (ct * captured,))
    else:
        f = ad.custom_jvp(lambda x: x * captured)
        f.defjvp(lambda p, t: (p[0] * captured, t[0] * captured))
    return f


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_captured_values_that_are_differentiated_are_refused(kind: str) -> None:
    leaf = ad.tensor(2.0, requires_grad=True)
    use = lambda z: capturing(kind, z)(3.0 * ad.ones_like(z))  # noqa: E731
    refused: list[Callable[[], Any]] = [
        lambda: capturing(kind, leaf)(1.0),
        lambda: ad.grad(capturing(kind, leaf))(1.0),
        lambda: ad.trace(capturing(kind, leaf))(ad.Shaped((), "float64")),
        lambda: ad.vmap(capturing(kind, leaf))(np.ones(2)),
        lambda: ad.grad(use)(2.0),
        lambda: ad.jvp(use, (2.0,), (1.0,)),
        lambda: ad.vmap(use)(np.ones(2)),
        lambda: ad.taylor(use, 2.0, 2),
    ]
    for attempt in refused:
        with pytest.raises(DerivativeError, match=r"\[<lambda>\] the function captures a value that is being differentiated"):
            attempt()


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_captured_constants_are_fine(kind: str) -> None:
    for captured in (2.0, np.array(2.0), ad.tensor(2.0), ad.stop_gradient(ad.tensor(2.0, requires_grad=True))):
        f = capturing(kind, captured)
        assert float(ad.grad(f)(1.0)) == 2.0
        np.testing.assert_allclose(np.asarray(ad.vmap(ad.grad(f))(np.ones(2))), [2.0, 2.0])


def test_residuals_that_capture_what_is_differentiated_are_refused() -> None:
    leaf = ad.tensor(2.0, requires_grad=True)
    f = ad.custom_vjp(lambda x: x * 2.0)
    f.defvjp(lambda x: (x * 2.0, leaf), lambda w, ct: (ct * w,))
    with pytest.raises(DerivativeError, match="captures a value"):
        ad.grad(f)(1.0)


# --- wrong rules ---------------------------------------------------------------------------------------------------


def vjp_with(forward: Any, backward: Any, function: Any = lambda x: x * 2.0) -> Any:
    f = ad.custom_vjp(function)
    f.defvjp(forward, backward)
    return f


def double(x: Any) -> Any:
    return x * 2.0, None


WRONG_VJP = {
    "no tuple": (double, lambda r, ct: ct * 2.0, ShapeError, "backward must return a tuple with a cotangent for each argument"),
    "too many": (double, lambda r, ct: (ct, ct), ShapeError, r"the trees differ: tuple\(\*, \*\) and tuple\(\*\)"),
    "a tree for an array": (double, lambda r, ct: ([ct],), ShapeError, "the trees differ"),
    "wrong shape": (double, lambda r, ct: (ad.sum(ct),), ShapeError, r"the cotangent of x is f64\[\], its primal f64\[3\]"),
    "no array": (double, lambda r, ct: ("ct",), TypeError, "the cotangent of x is str, not an array; return None for zero"),
    "no pair": (
        lambda x: x * 2.0,
        lambda r, ct: (ct,),
        TypeError,
        r"forward must return \(output, residuals\), it returned Tensor",
    ),
    "another output": (
        lambda x: (ad.sum(x), None),
        lambda r, ct: (ct,),
        ShapeError,
        r"forward returned an array of shape \(\), where",
    ),
    "another structure": (
        lambda x: ((x, x), None),
        lambda r, ct: (ct,),
        ShapeError,
        r"forward returned tuple\(\*, \*\) of shapes",
    ),
}


@pytest.mark.parametrize("case", WRONG_VJP)
@pytest.mark.parametrize("transform", [ad.jacrev, ad.jacfwd])
def test_vjp_rules_that_do_not_fit_are_refused(case: str, transform: Any) -> None:
    forward, backward, error, message = WRONG_VJP[case]
    f = vjp_with(forward, backward)
    if case.startswith("another"):  # what `forward` returns is the output where it alone runs
        transform = by_linearize
    with pytest.raises(error, match=message):
        transform(f)(np.ones(3))


def test_one_array_does_not_stand_for_a_whole_tree() -> None:
    f = ad.custom_vjp(lambda p: p["a"] * p["b"])
    f.defvjp(lambda p: (f(p), p), lambda p, ct: (ct,))
    with pytest.raises(ShapeError, match=r"the trees differ: \* and dict\(a=\*, b=\*\)"):
        ad.grad(f)({"a": 1.0, "b": 2.0})


WRONG_JVP = {
    "no pair": (lambda p, t: t[0], TypeError, r"the rule must return \(output, tangent\), it returned Tensor"),
    "wrong shape": (
        lambda p, t: (p[0] * 2.0, ad.sum(t[0])),
        ShapeError,
        r"a tangent of the output is f64\[\], its primal f64\[3\]",
    ),
    "wrong structure": (lambda p, t: (p[0] * 2.0, (t[0], t[0])), ShapeError, "output and tangent must be trees of one structure"),
    "another output": (lambda p, t: ((p[0], p[0]), (t[0], t[0])), ShapeError, r"the rule returned tuple\(\*, \*\) of shapes"),
    "no array": (lambda p, t: (p[0] * 2.0, "t"), TypeError, "a tangent of the output is str, not an array"),
}


@pytest.mark.parametrize("case", WRONG_JVP)
@pytest.mark.parametrize("transform", [ad.jacrev, ad.jacfwd])
def test_jvp_rules_that_do_not_fit_are_refused(case: str, transform: Any) -> None:
    rule, error, message = WRONG_JVP[case]
    f = ad.custom_jvp(lambda x: x * 2.0)
    f.defjvp(rule)
    with pytest.raises(error, match=message):
        transform(f)(np.ones(3))


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_none_is_zero(kind: str) -> None:
    if kind == "vjp":
        f = vjp_with(lambda x: (x * 2.0, None), lambda r, ct: None)
    else:
        f = ad.custom_jvp(lambda x: x * 2.0)
        f.defjvp(lambda p, t: (p[0] * 2.0, None))
    x = np.ones(3)
    for y in (reverse(f)(x), forward(f)(x), reverse(reverse(f))(x), ad.vmap(ad.grad(f))(x), ad.vmap(forward(f))(x)):
        assert np.array_equal(np.asarray(y), np.zeros(3))


def test_without_a_rule() -> None:
    @ad.custom_vjp
    def f(x: Any) -> Any:
        return x

    with pytest.raises(DerivativeError, match=r"\[f\] no rule has been declared; call f.defvjp\(forward, backward\)"):
        f(1.0)
    with pytest.raises(DerivativeError, match=r"call <lambda>.defjvp\(rule\)"):
        ad.custom_jvp(lambda x: x)(1.0)


def test_what_the_function_itself_raises_is_its_own() -> None:
    def f(x: Any) -> Any:
        raise ValueError("mine")

    for transform in (lambda f: f, ad.grad, ad.vmap, ad.trace):
        with pytest.raises(ValueError, match=r"^mine$") as caught:
            transform(vjp_with(f, None, f))(np.ones(2))
        assert caught.traceback[-1].name == "f"
    with pytest.raises(AbstractValueError):
        ad.vmap(vjp_with(double, None, lambda x: x if x > 0 else -x))(np.ones(2))


# --- check on registration -----------------------------------------------------------------------------------------


def test_rules_are_checked_on_registration_where_asked() -> None:
    f = ad.custom_vjp(lambda x, y: ad.sin(x) * y)
    with pytest.raises(GradientCheckError) as caught:
        f.defvjp(
            lambda x, y: (f(x, y), (x, y)),
            lambda r, ct: (ct * ad.cos(r[0]), ad.sum(ct * ad.sin(r[0]))),
            check=(np.array([0.5, 1.0]), 3.0),
        )
    message = str(caught.value)
    for part in (
        "by x[0]",
        "the derivative of output element 0 is 0.877",
        "differences 2.632",
        "estimated truncation",
        "round-off",
    ):
        assert part in message
    with pytest.raises(DerivativeError, match="no rule has been declared"):
        f(1.0, 2.0)
    f.defvjp(lambda x, y: (f(x, y), (x, y)), lambda r, ct: (ct * ad.cos(r[0]) * r[1], ct * ad.sin(r[0])), check=(0.5, 3.0))
    g = ad.custom_jvp(lambda x: ad.exp(x))
    with pytest.raises(GradientCheckError, match="by x"):
        g.defjvp(lambda p, t: (g(*p), 2.0 * t[0] * g(*p)), check=(1.0,))
    with pytest.raises(GradientCheckError, match="by x"):
        g.defjvps(lambda t, out, x: t, check=1.0)
    g.defjvps(lambda t, out, x: t * out, check=1.0)
    assert float(ad.grad(g)(1.0)) == pytest.approx(math.e)


# --- memory --------------------------------------------------------------------------------------------------------


class Witness:
    """Something that can be referred to weakly, and that a residual array keeps alive."""

    def __init__(self) -> None:
        self.references: list[Any] = []

    def array(self, x: Any) -> Any:
        value = np.array(x)
        value.flags.writeable = False
        self.references.append(weakref.ref(value))
        return value

    @property
    def alive(self) -> int:
        return sum(reference() is not None for reference in self.references)


def test_residuals_live_until_they_are_swept() -> None:
    witness = Witness()
    f = ad.custom_vjp(lambda x: x * 2.0)
    f.defvjp(lambda x: (x * 2.0, witness.array(np.ones(1000))), lambda r, ct: (ct * 2.0,))
    gc.collect()
    gc.disable()
    try:
        x = ad.tensor(1.0, requires_grad=True)
        y = f(x)
        assert witness.alive == 1
        y.backward(retain_graph=True)
        assert witness.alive == 1
        y.backward()
        assert witness.alive == 0, "the sweep has released the recording, and the residuals are still there"
        z = f(x)
        assert witness.alive == 1
        del z
        assert witness.alive == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", MAKE)
def test_nothing_leaks_with_the_cycle_collector_off(kind: str) -> None:
    witness = Witness()
    f = MAKE[kind]()
    transforms = [
        f,
        reverse(f),
        forward(f),
        reverse(reverse(f)),
        forward(reverse(f)),
        reverse(forward(f)),
        ad.vmap(reverse(f)),
        reverse(ad.vmap(f)),
        lambda x: ad.taylor(f, x, 3),
        lambda x: replay(ad.trace(f)(x), x),
        lambda x: ad.linearize(f, x)[1](x),
    ]
    gc.collect()
    gc.disable()
    try:
        for transform in transforms:
            x = ad.tensor(witness.array(np.ones(3)))
            transform(x)
            del x
            assert witness.alive == 0
    finally:
        gc.enable()


def test_a_running_sum_keeps_no_graph_of_inner_derivatives() -> None:
    f = cube_vjp()
    total = ad.tensor(0.0)
    for _ in range(3):
        total = total + ad.grad(f)(2.0)
    assert total.history is None and recorded(total.history) is None


def test_residuals_changed_in_place_do_not_spoil_the_next_sweep() -> None:
    def backward(r: Any, ct: Any) -> Any:
        r *= 2.0
        return (r * ct,)

    f = vjp_with(lambda x: (x * x, x), backward, lambda x: x * x)
    _, pull = ad.vjp(f, 3.0)
    assert [float(pull(1.0)[0]) for _ in range(3)] == [6.0] * 3
    kept = np.array([1.0, 2.0])
    g = vjp_with(lambda x: (x * 2.0, kept), lambda r, ct: (r * ct,))
    _, pull = ad.vjp(g, np.ones(2))
    kept[:] = 0.0
    np.testing.assert_allclose(np.asarray(pull(np.ones(2))[0]), [1.0, 2.0])


# --- examples that such rules are for ------------------------------------------------------------------------------


def test_a_gradient_that_is_clipped_on_its_way() -> None:
    clip = ad.custom_vjp(lambda x, bound: x * 1.0, nondiff_argnums=(1,))
    clip.defvjp(lambda x, bound: (x * 1.0, None), lambda bound, r, ct: (ad.clip(ct, -bound, bound),))
    g = ad.grad(lambda x: ad.sum(clip(x, 0.5) ** 2))
    np.testing.assert_allclose(np.asarray(g(np.array([0.1, 3.0, -2.0]))), [0.2, 0.5, -0.5])


def test_an_implicit_function_against_its_closed_form() -> None:
    """Of y + y³ = x, with u = 1 + 3y²: dy/dx = 1/u, then -6y/u³, then (90y² - 6)/u⁵."""

    @ad.custom_jvp
    def solve(x: Any) -> Any:
        y = ad.zeros_like(x)
        for _ in range(60):
            y = y - (y + y**3 - x) / (1.0 + 3.0 * y**2)
        return y

    solve.defjvps(lambda t, y, x: t / (1.0 + 3.0 * y**2), check=(np.array([0.5, 10.0]),))
    x = 10.0  # y = 2
    assert float(solve(x)) == pytest.approx(2.0, rel=1e-15)
    assert float(ad.grad(solve)(x)) == pytest.approx(1 / 13, rel=1e-14)
    assert float(ad.grad(ad.grad(solve))(x)) == pytest.approx(-12 / 13**3, rel=1e-13)
    assert float(ad.grad(ad.grad(ad.grad(solve)))(x)) == pytest.approx(354 / 13**5, rel=1e-12)

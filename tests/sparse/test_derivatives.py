"""Sparse derivatives equal the dense ones, in the sweeps that their patterns need."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

import arrayad as ad
from arrayad.errors import DTypeError, ShapeError
from arrayad.readers import pattern as reader


def dense(f, x):
    """The Jacobian by a reverse sweep for each row."""
    y, vjp_fn = ad.vjp(lambda x: flattened(f(x)), x)
    return np.array([np.asarray(vjp_fn(unit)[0]).reshape(-1) for unit in np.eye(y.size)]).reshape(y.size, np.size(x))


def flattened(y):
    return ad.reshape(y, (-1,))


def assert_equals_dense(f, x, mode="auto"):
    found, wanted = ad.sparse.jacobian(f, mode)(x), dense(f, x)
    assert isinstance(found, sp.csr_array) and found.shape == wanted.shape
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max(initial=1.0))


def tridiagonal(x):
    y = ad.sin(x) * x
    y = y.at[1:].add(x[:-1] * x[1:])
    return y.at[:-1].add(x[1:] ** 2)


def arrow(x):
    return ad.concat([ad.sum(x**2, keepdims=True), x[1:] ** 2 * x[0]])


def five_points(u):
    p = ad.pad(u, 1)
    return p[1:-1, :-2] + p[1:-1, 2:] + p[:-2, 1:-1] + p[2:, 1:-1] - 4.0 * u + u**3


@pytest.mark.parametrize(
    "f, shape, sweeps",
    [(tridiagonal, (9,), 3), (arrow, (9,), 3), (five_points, (6, 7), 5), (lambda x: x**2, (3,), 1), (ad.sum, (4,), 1)],
)
def test_jacobian(f, shape, sweeps, rng):
    x = rng.standard_normal(shape)
    assert ad.sparse.jacobian(f).plan(x).sweeps == sweeps
    for mode in ("auto", "forward", "reverse", "both"):
        assert_equals_dense(f, x, mode)


@pytest.mark.parametrize("f, sweeps", [(tridiagonal, 3), (arrow, 3)])
def test_jacobian_of_a_hundred_thousand(f, sweeps, rng):
    x = rng.standard_normal(100_000)
    jac = ad.sparse.jacobian(f)
    assert jac.plan(x).sweeps == sweeps
    v = rng.standard_normal(x.shape)
    np.testing.assert_allclose(jac(x) @ v, np.asarray(ad.jvp(f, (x,), (v,))[1]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "f, shape, sweeps",
    [
        (lambda x: ad.sum((x[1:] - x[:-1] ** 2) ** 2), (9,), 3),
        (lambda x: ad.sum(x[1:] ** 2 * x[0]), (9,), 2),
        (lambda u: ad.sum(u * five_points(u)), (6, 7), 5),
        (lambda x: ad.sum(ad.exp(x)), (5,), 1),
        (lambda x: ad.sum(x[::2] * 3.0), (5,), 0),
    ],
)
def test_hessian(f, shape, sweeps, rng):
    x = rng.standard_normal(shape)
    hess = ad.sparse.hessian(f)
    assert hess.plan(x).sweeps == sweeps
    found, wanted = hess(x).toarray(), dense(ad.grad(f), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(found, found.T)


# --- random programs ---------------------------------------------------------------------------------------------------

STEPS = [
    lambda x, rng: ad.sin(x),
    lambda x, rng: x * ad.flip(x),
    lambda x, rng: x / (2.0 + x[0] ** 2),
    lambda x, rng: ad.where(x > 0.0, ad.exp(0.1 * x), x[::-1]),
    lambda x, rng: ad.maximum(x, ad.roll(x, 1)),
    lambda x, rng: x[rng.integers(0, x.size, x.size)],
    lambda x, rng: x.at[rng.integers(0, x.size, 3)].add(x[:3] ** 2),
    lambda x, rng: x.at[1:3].set(x[3:5] * x[1:3]),
    lambda x, rng: ad.concat([x[2:], ad.tanh(x[:2])]),
    lambda x, rng: ad.reshape(ad.reshape(x, (2, -1)).T, (-1,)),
    lambda x, rng: ad.reshape(rng.standard_normal((2, 2)) @ ad.reshape(x, (2, -1)), (-1,)),
    lambda x, rng: ad.concat([ad.cumsum(x[:3]), x[3:]]),
    lambda x, rng: ad.reshape(ad.reshape(x, (2, -1)) - ad.mean(ad.reshape(x, (2, -1)), axis=0), (-1,)),
    lambda x, rng: ad.concat([ad.prod(x[:2], keepdims=True), ad.logsumexp(x[:3], keepdims=True), x[2:]]),
    lambda x, rng: ad.concat([ad.sort(x[:3]), x[3:]]),
    lambda x, rng: ad.einsum("ij,ij->i", *(ad.reshape(v, (-1, 2)) for v in (x, x[::-1]))).repeat(2),
]


def random_program(rng):
    chosen = [(STEPS[k], int(rng.integers(1 << 30))) for k in rng.integers(0, len(STEPS), rng.integers(1, 6))]

    def f(x):
        for step, seed in chosen:
            x = step(x, np.random.default_rng(seed))
        return x

    return f


@pytest.mark.parametrize("case", range(40))
def test_random_programs(case, rng):
    f, x = random_program(rng), rng.standard_normal(8)
    wanted = dense(f, x)
    assert not (wanted.astype(bool) & ~ad.sparse.pattern(f, 8).toarray()).any()
    assert_equals_dense(f, x, ("auto", "forward", "reverse", "both")[case % 4])

    def scalar(x):
        return ad.sum(f(x) ** 2)

    wanted = dense(ad.grad(scalar), x)
    found = ad.sparse.hessian(scalar)(x).toarray()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max(initial=1.0))


# --- plans -------------------------------------------------------------------------------------------------------------


def test_a_plan_is_made_once_for_a_shape(monkeypatch, rng):
    found = []
    monkeypatch.setattr(reader, "pattern", lambda tape, pattern=reader.pattern: found.append(1) or pattern(tape))
    jac = ad.sparse.jacobian(tridiagonal)
    for n in (5, 5, 6, 5):
        jac(rng.standard_normal(n))
    assert len(found) == 2
    assert jac.plan(np.zeros(5)) is jac.plan(ad.Shaped((5,), "float64"))


@pytest.mark.filterwarnings("ignore:int")  # a value taken out inside a trace: what this is about
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x**2 if x[0] > 0.0 else ad.flip(x) ** 2,
        lambda x: x**2 + x[int(x[0])],
        lambda x: x**2 + x[int(ad.argmax(x))],
    ],
)
def test_what_values_decide_is_found_anew(f):
    jac = ad.sparse.jacobian(f)
    for x in np.array([[1.0, 2.0, 5.0], [-1.0, 2.0, 5.0], [0.0, 7.0, 5.0], [1.0, 2.0, 5.0]]):
        np.testing.assert_array_equal(jac(x).toarray(), dense(f, x))


def test_trees(rng):
    def f(p):
        return {"u": p["a"] * p["b"][0], "v": p["b"] ** 2}

    p = {"a": rng.standard_normal((2, 2)), "b": rng.standard_normal(2)}
    found = ad.sparse.jacobian(f)(p).toarray()
    wanted = np.zeros((6, 6))
    wanted[:4, :4], wanted[:4, 4], wanted[4:, 4:] = p["b"][0] * np.eye(4), p["a"].reshape(-1), np.diag(2 * p["b"])
    np.testing.assert_allclose(found, wanted, rtol=1e-15)


def test_dtypes(rng):
    x = rng.standard_normal(4).astype("float32")
    assert ad.sparse.jacobian(tridiagonal)(x).dtype == np.float32
    assert ad.sparse.hessian(lambda x: ad.sum(x**3))(x).dtype == np.float32
    assert ad.sparse.jacobian(lambda x: ad.ones(3))(x).shape == (3, 4)
    with pytest.raises(DTypeError, match="must be real"):
        ad.sparse.jacobian(tridiagonal).plan(ad.Shaped((3,), "complex128"))
    with pytest.raises(DTypeError, match="floating-point"):
        ad.sparse.jacobian(tridiagonal)(np.arange(4))


def test_a_given_pattern_is_used_and_checked(rng):
    x = rng.standard_normal(6)
    wide = np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1)
    jac = ad.sparse.jacobian(tridiagonal, pattern=wide)
    np.testing.assert_allclose(jac(x).toarray(), dense(tridiagonal, x), rtol=1e-12)
    with pytest.raises(ValueError, match="lacks nonzeros: row 0"):
        ad.sparse.jacobian(tridiagonal, pattern=np.eye(6))(x)
    with pytest.raises(ShapeError, match="the argument has 6 elements"):
        ad.sparse.jacobian(tridiagonal, pattern=np.eye(5))(x)
    for pattern in (wide[:5], np.vstack([wide, wide])):
        with pytest.raises(ShapeError, match="the result has 6 elements"):
            ad.sparse.jacobian(tridiagonal, pattern=pattern)(x)


def test_a_given_coloring_is_used(rng):
    x = rng.standard_normal(6)
    coloring = ad.sparse.color(np.ones((6, 6)), "reverse")
    jac = ad.sparse.jacobian(tridiagonal, coloring=coloring)
    assert jac.plan(x).sweeps == 6
    np.testing.assert_allclose(jac(x).toarray(), dense(tridiagonal, x), rtol=1e-12)


def test_the_result_is_a_constant_and_says_so():
    jac = ad.sparse.jacobian(lambda x: x**2)
    with pytest.warns(UserWarning, match="gives a constant"):
        ad.grad(lambda x: ad.sum(x * jac(x).diagonal()))(np.array([1.0, 2.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jac(ad.tensor([1.0, 2.0], requires_grad=True))


def test_symmetric_belongs_to_hessians():
    with pytest.raises(ValueError, match=r"sparse\.hessian"):
        ad.sparse.jacobian(tridiagonal, "symmetric")


def test_what_the_function_captures_may_change():
    """The pattern is that of the program at each call, not of the first."""
    shift, index, steps = [1], np.array([0, 1, 2]), [1]
    x = np.array([1.0, 2.0, 3.0])

    def rolled(x):
        return ad.scan(lambda c, _: (ad.roll(c, steps[0]) * c, None), x * ad.roll(x, shift[0]) + x[index], length=2)[0]

    sparse = ad.sparse.jacobian(rolled)
    for change in (
        lambda: None,
        lambda: shift.__setitem__(0, 2),
        lambda: index.__setitem__(0, 2),
        lambda: steps.__setitem__(0, 2),
    ):
        change()
        np.testing.assert_allclose(sparse(x).toarray(), np.asarray(ad.jacobian(rolled)(x)), rtol=1e-13)
    plan = sparse.plan(x)
    assert sparse.plan(2.0 * x) is plan


def test_further_arguments_are_passed_on():
    x = np.array([1.0, 2.0])
    sparse = ad.sparse.jacobian(lambda x, c, flip=False: c * (ad.flip(x) if flip else x) ** 2)
    np.testing.assert_allclose(sparse(x, 3.0).toarray(), np.diag([6.0, 12.0]))
    np.testing.assert_allclose(sparse(x, 2.0, flip=True).toarray(), [[0.0, 8.0], [4.0, 0.0]])

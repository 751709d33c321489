"""Sparse systems have the solutions and derivatives of dense ones, by one factorisation."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg

import arrayad as ad
from arrayad.errors import DTypeError, LinAlgError, ShapeError

N = 6
ROWS = np.array([*range(N), *range(N - 1), *range(1, N), 0, 2, 2])
COLUMNS = np.array([*range(N), *range(1, N), *range(N - 1), N - 1, 2, 4])
PLACES = ROWS, COLUMNS


@pytest.fixture
def values(rng):
    return rng.uniform(-0.5, 0.5, len(ROWS)) + np.where(ROWS == COLUMNS, 2.0, 0.0)


def dense(values):
    """The matrix, values in one place added."""
    return ad.zeros((N, N), dtype=values.dtype).at[ROWS, COLUMNS].add(values)


def by_dense(values, b):
    return ad.linalg.solve(dense(ad.asarray(values)), b)


def solved(values, b):
    return ad.sparse.solve((values, PLACES), b)


@pytest.fixture
def factorisations(monkeypatch):
    """The matrices that have been factorised."""
    found = []
    splu = scipy.sparse.linalg.splu

    def counted(matrix, **how):
        found.append(matrix)
        return splu(matrix, **how)

    monkeypatch.setattr(scipy.sparse.linalg, "splu", counted)
    return found


@pytest.mark.parametrize("shape", [(N,), (N, 3), (N, 1), (2, 3, N, 2), (N, 0)])
def test_solution(shape, values, rng):
    b = rng.standard_normal(shape)
    np.testing.assert_allclose(solved(values, b), by_dense(values, b), rtol=1e-12, atol=1e-14)


def test_several_matrices_of_one_pattern(values, rng):
    stack = values * rng.uniform(0.9, 1.1, (2, 1, len(values)))
    b = rng.standard_normal((3, N, 2))
    found = solved(stack, b)
    assert found.shape == (2, 3, N, 2)
    for i in range(2):
        for j in range(3):
            np.testing.assert_allclose(found[i, j], by_dense(stack[i, 0], b[j]), rtol=1e-12, atol=1e-14)
    same = solved(stack, b[0, :, 0])
    np.testing.assert_allclose(same[1, 0], by_dense(stack[1, 0], b[0, :, 0]), rtol=1e-12, atol=1e-14)


def test_the_forms_of_a_matrix(values, rng):
    b = rng.standard_normal(N)
    matrix = sp.csr_array((values, PLACES), shape=(N, N))
    wanted = scipy.sparse.linalg.spsolve(matrix.tocsc(), b)
    for A in (matrix, matrix.tocsc(), sp.csr_matrix(matrix), (matrix.data, matrix.indices, matrix.indptr), (values, PLACES)):
        np.testing.assert_allclose(ad.sparse.solve(A, b), wanted, rtol=1e-12)
    by_rows = ad.grad(lambda x: ad.sum(ad.sparse.solve((x, matrix.indices, matrix.indptr), b)))(matrix.data)
    np.testing.assert_allclose(by_rows, ad.grad(lambda x: ad.sum(by_dense(x, b)))(values)[[*find(matrix)]], rtol=1e-11)


def find(matrix):
    """For each value of a matrix by rows one of the values, of those added up, in its place."""
    coo = matrix.tocoo()
    return [next(k for k in range(len(ROWS)) if (ROWS[k], COLUMNS[k]) == place) for place in zip(coo.row, coo.col, strict=True)]


def test_gradient_is_that_of_the_dense_solution(values, rng):
    b, ct = rng.standard_normal((2, N, 2))
    found = ad.grad(lambda values, b: ad.sum(ct * solved(values, b)), argnums=(0, 1))(values, b)
    wanted = ad.grad(lambda values, b: ad.sum(ct * by_dense(values, b)), argnums=(0, 1))(values, b)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)


def test_derivatives_of_every_order(values, rng):
    b = rng.standard_normal(N)
    ad.testing.check_grads(solved, (values, b), order=2)
    t = rng.standard_normal(len(ROWS))
    mine, theirs = (ad.taylor(lambda s, f=f: f(values + s * t, b * (1 + s)), 0.1, 4) for f in (solved, by_dense))
    np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    mine, theirs = (ad.hessian(lambda x, f=f: ad.sum(f(x, b) ** 2))(values) for f in (solved, by_dense))
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-11)


def test_complex_numbers(values, rng):
    b = rng.standard_normal(N) + 1j * rng.standard_normal(N)
    turned = values * (1 + 0.2j * rng.standard_normal(len(values)))
    for x in (values, turned):
        mine, theirs = (ad.value_and_grad(lambda x, f=f: ad.sum(ad.abs(f(x, b)) ** 2))(x) for f in (solved, by_dense))
        for a, c in zip(mine, theirs, strict=True):
            assert a.dtype == c.dtype
            np.testing.assert_allclose(a, c, rtol=1e-11, atol=1e-12)


def test_single_precision(values):
    y = solved(values.astype("float32"), np.ones(N, "float32"))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, by_dense(values, np.ones(N)), rtol=1e-5)


def test_batches(values, rng, factorisations):
    many = values * rng.uniform(0.9, 1.1, (4, 1))
    b = rng.standard_normal((4, N))
    for axes in ((0, 0), (0, None), (None, 0)):
        xs, bs = many if axes[0] == 0 else values, b if axes[1] == 0 else b[0]
        del factorisations[:]
        found = ad.vmap(solved, in_axes=axes)(xs, bs)
        assert len(factorisations) == (4 if axes[0] == 0 else 1)
        for i in range(4):
            wanted = by_dense(xs[i] if axes[0] == 0 else xs, bs[i] if axes[1] == 0 else bs)
            np.testing.assert_allclose(found[i], wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("symmetric", [False, True])
def test_one_factorisation_serves_value_gradient_and_products(symmetric, values, rng, factorisations):
    def f(x, b):
        return ad.sum(ad.sparse.solve((x, PLACES), b, symmetric=symmetric) ** 2)

    ad.value_and_grad(f, argnums=(0, 1))(values, np.ones(N))
    assert len(factorisations) == 1
    ad.hvp(lambda x: f(x, np.ones(N)), values, rng.standard_normal(len(values)))
    assert len(factorisations) == 2
    ad.jacobian(lambda b: solved(values, b))(np.ones(N))
    assert len(factorisations) == 3


def test_symmetric_says_how_and_not_what(values, rng):
    """Where A is not symmetric, factors with pivots from the diagonal are factors of A all the same."""
    b, ct = rng.standard_normal((2, N))
    mine = ad.grad(lambda x: ad.sum(ct * ad.sparse.solve((x, PLACES), b, symmetric=True)))(values)
    np.testing.assert_allclose(mine, ad.grad(lambda x: ad.sum(ct * solved(x, b)))(values), rtol=1e-10, atol=1e-13)
    indefinite = sp.csr_array(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 1.0]]))
    y = ad.sparse.solve(indefinite, [1.0, 2.0, 3.0], symmetric=True)
    np.testing.assert_allclose(indefinite @ y.numpy(), [1.0, 2.0, 3.0], rtol=1e-14)


def test_what_is_changed_after_the_solution_changes_no_derivative(values):
    b, wanted = np.ones(N), ad.grad(lambda x: ad.sum(solved(x, np.ones(N))))(values)
    _, pull = ad.vjp(lambda x: ad.sum(solved(x, b)), values)
    kept = values.copy()
    values[:] = 7.0
    np.testing.assert_array_equal(pull(1.0)[0], wanted)
    values[:] = kept
    values[0] *= 2.0
    np.testing.assert_allclose(solved(values, b), by_dense(values, b), rtol=1e-12)


def test_the_factors_go_with_the_solution(values):
    x = ad.tensor(values, requires_grad=True)
    y = solved(x, np.ones(N))
    gc.disable()
    try:
        solver = weakref.ref(y.history.parents[0].params["solver"])
        assert solver().latest is not None
        del y
        assert solver() is None
    finally:
        gc.enable()


def test_compiled(values, rng):
    def f(x, b):
        return ad.sum(ad.exp(solved(x * x, b)))

    compiled = ad.compile(ad.value_and_grad(f))
    for scale in (1.0, 1.1, 0.9):
        b = rng.standard_normal(N)
        found, wanted = compiled(ad.tensor(values * scale), ad.tensor(b)), ad.value_and_grad(f)(values * scale, b)
        for mine, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)
    assert compiled.traces == 1


def test_solvers_are_told_apart_by_their_patterns():
    def solver(*places, symmetric=False):
        tape = ad.trace(lambda x: ad.sparse.solve((x, places), np.ones(2), symmetric=symmetric))(np.ones(2))
        return next(entry.params["solver"] for entry in tape.entries if "solver" in entry.params)

    one, same = solver([0, 1], [0, 1]), solver(np.array([0, 1]), (0, 1))
    assert one == same and hash(one) == hash(same) and repr(one) == repr(same)
    for other in (solver([0, 1], [1, 0]), solver([0, 1], [0, 1], symmetric=True)):
        assert one != other and repr(one) != repr(other)


def test_singular_matrices_are_refused():
    places = [0, 1, 0, 1], [0, 1, 1, 0]
    for values in ([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0 + 3e-16]):
        with pytest.raises(LinAlgError, match=r"\[sparse.solve\] matrix, 2 by 2, is singular to working precision"):
            ad.sparse.solve((values, places), [1.0, 0.0])
    with pytest.raises(LinAlgError, match="matrix 1 of 2, 2 by 2"):
        ad.sparse.solve((np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]), places), [1.0, 2.0])


def test_nan_and_nothing():
    places = [0, 1], [0, 1]
    assert np.isnan(ad.sparse.solve(([np.nan, 1.0], places), [1.0, 2.0])).all()
    assert np.isnan(ad.sparse.solve(([1.0, 1.0], places), [np.nan, 2.0])[0])
    assert ad.sparse.solve((np.zeros(0), ([], [])), np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    "A, b, error, message",
    [
        (np.eye(2), np.ones(2), TypeError, "A is ndarray; .* For a dense matrix there is linalg.solve"),
        (sp.eye_array(3), np.ones(2), ShapeError, r"A has shape \(3, 3\), its right operand 2 rows"),
        ((np.ones(3), ([0, 1], [0, 1])), np.ones(2), ShapeError, r"the values are f64\[3\], with 2 rows and 2 columns"),
        ((np.ones(2), ([0, 2], [0, 1])), np.ones(2), IndexError, "rows go from 0 to 2; A has 2, counted from 0"),
        ((np.ones(2), ([0, 1], [-1, 1])), np.ones(2), IndexError, "columns go from -1 to 1"),
        ((np.ones(2), ([0.0, 1.0], [0, 1])), np.ones(2), DTypeError, r"rows are f64\[2\]; integers are needed"),
        ((np.ones(2), ([[0, 1]], [0, 1])), np.ones(2), ShapeError, r"rows are i64\[1,2\]; a vector is needed"),
        ((np.ones(2), [0, 1], [0, 2]), np.ones(2), ShapeError, r"A has shape \(1, 2\); it must be square"),
        ((np.ones(2), [0, 1], [0, 2, 1]), np.ones(2), ShapeError, "row_starts must be the 3 places .* from 0 to 2, rising"),
        ((np.ones(2), ([0, 1], [0, 1])), 1.0, ShapeError, r"the right operand is f64\[\]; a vector is needed"),
        ((np.ones((2, 2)), ([0, 1], [0, 1])), np.ones((3, 2, 1)), ShapeError, "leading axes do not broadcast"),
        ((np.ones(2, np.longdouble), ([0, 1], [0, 1])), np.ones(2), DTypeError, "float32, float64"),
    ],
)
def test_what_does_not_fit_is_refused(A, b, error, message):
    with pytest.raises(error, match=message):
        ad.sparse.solve(A, b)

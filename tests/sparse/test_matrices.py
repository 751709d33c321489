"""Products with sparse matrices have the values and derivatives of products with dense ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import arrayad as ad
from arrayad.errors import DTypeError, ShapeError

M, N = 5, 4
ROWS = np.array([0, 1, 1, 2, 4, 4, 1, 0])
COLUMNS = np.array([0, 3, 1, 2, 0, 3, 1, 2])
PLACES = ROWS, COLUMNS


@pytest.fixture
def values(rng):
    return rng.standard_normal(len(ROWS))


def product(values, x):
    return ad.sparse.matmul((values, PLACES), x, shape=(M, N))


def by_dense(values, x):
    return ad.matmul(ad.zeros((M, N), dtype=values.dtype).at[ROWS, COLUMNS].add(values), x)


@pytest.mark.parametrize("shape", [(N,), (N, 3), (2, N, 1), (2, 3, N, 2), (N, 0)])
def test_product(shape, values, rng):
    x = rng.standard_normal(shape)
    found = product(values, x)
    assert found.shape == (*shape[:-2], M, *shape[-1:]) if len(shape) > 1 else (M,)
    np.testing.assert_allclose(found, by_dense(ad.tensor(values), x), rtol=1e-13, atol=1e-14)


def test_several_matrices_of_one_pattern(values, rng):
    stack, x = values * rng.uniform(0.9, 1.1, (2, 1, len(values))), rng.standard_normal((3, N, 2))
    found = product(stack, x)
    assert found.shape == (2, 3, M, 2)
    np.testing.assert_allclose(found[1, 2], by_dense(ad.tensor(stack[1, 0]), x[2]), rtol=1e-13)


def test_the_forms_of_a_matrix(values, rng):
    x = rng.standard_normal(N)
    matrix = sp.csr_array((values, PLACES), shape=(M, N))
    for A in (matrix, matrix.tocoo(), sp.csc_matrix(matrix), (matrix.data, matrix.indices, matrix.indptr)):
        np.testing.assert_allclose(ad.sparse.matmul(A, x), matrix @ x, rtol=1e-13)
    found = ad.jacobian(lambda v: ad.sparse.matmul((v, matrix.indices, matrix.indptr), x))(matrix.data)
    coo = matrix.tocoo()
    wanted = np.zeros((M, matrix.nnz))
    wanted[coo.row, np.arange(matrix.nnz)] = x[coo.col]
    np.testing.assert_array_equal(found, wanted)


def test_derivatives_are_those_of_the_dense_product(values, rng):
    x, ct = rng.standard_normal((N, 2)), rng.standard_normal((M, 2))
    found, wanted = (
        ad.grad(lambda v, x, f=f: ad.sum(ct * ad.sin(f(v, x))), argnums=(0, 1))(ad.tensor(values), x) for f in (product, by_dense)
    )
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-14)
    ad.testing.check_grads(lambda v, x: ad.sin(product(v, x)), (values, x))


def test_batches(values, rng):
    many, x = rng.standard_normal((3, len(ROWS))), rng.standard_normal((3, N))
    for axes in ((0, 0), (0, None), (None, 0)):
        found = ad.vmap(product, in_axes=axes)(many if axes[0] == 0 else values, x if axes[1] == 0 else x[0])
        for i in range(3):
            wanted = by_dense(ad.tensor(many[i] if axes[0] == 0 else values), x[i] if axes[1] == 0 else x[0])
            np.testing.assert_allclose(found[i], wanted, rtol=1e-13, atol=1e-14)


def test_compiled(values, rng):
    compiled = ad.compile(ad.grad(lambda v, x: ad.sum(ad.exp(product(v * v, x)))))
    for _ in range(2):
        x = ad.tensor(rng.standard_normal(N))
        wanted = ad.grad(lambda v, x: ad.sum(ad.exp(by_dense(v * v, x))))(ad.tensor(values), x)
        np.testing.assert_allclose(compiled(ad.tensor(values), x), wanted, rtol=1e-12, atol=1e-14)
    assert compiled.traces == 1


def test_a_pair_is_square_unless_it_says_otherwise():
    assert ad.sparse.matmul(([2.0], ([0], [1])), [1.0, 3.0]).tolist() == [6.0, 0.0]


@pytest.mark.parametrize(
    "A, x, shape, error, message",
    [
        (np.eye(2), np.ones(2), None, TypeError, "A is ndarray; .* For a dense matrix there is matmul"),
        (sp.eye_array(3, 2), np.ones(3), None, ShapeError, r"A has shape \(3, 2\), its right operand 3 rows"),
        ((np.ones(2), PLACES), np.ones(3), (5, 4), ShapeError, r"A has shape \(5, 4\), its right operand 3 rows"),
        ((np.ones(2), PLACES), np.ones(4), (5, 4), ShapeError, r"the values are f64\[2\], with 8 rows and 8 columns"),
        ((np.ones(8), PLACES), np.ones(4), None, IndexError, "rows go from 0 to 4; A has 4, counted from 0"),
        ((np.ones(8), PLACES), np.ones(3), (5, 3), IndexError, "columns go from 0 to 3; A has 3, counted from 0"),
        ((np.ones((2, 8)), PLACES), np.ones((3, 4, 1)), (5, 4), ShapeError, "leading axes do not broadcast"),
        ((np.ones(8, np.float16), PLACES), np.ones(4), (5, 4), DTypeError, "float32, float64"),
        ((np.ones(8), PLACES), 1.0, (5, 4), ShapeError, r"the right operand is f64\[\]; a vector is needed"),
    ],
)
def test_what_does_not_fit_is_refused(A, x, shape, error, message):
    with pytest.raises(error, match=message):
        ad.sparse.matmul(A, x, shape=shape)

"""Every colouring shows every nonzero by itself, and takes few sweeps on the classic patterns."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import arrayad as ad
from arrayad.sparse.coloring import MODES, ORDERS

DIRECT = [mode for mode in MODES if mode != "symmetric"]


def tridiagonal(n):
    return sp.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()


def arrow(n):
    matrix = sp.lil_array((n, n))
    matrix.setdiag(1.0)
    matrix[0, :] = matrix[:, 0] = 1.0
    return matrix.tocsr()


def stencil(*sizes):
    """The nearest neighbours on a grid, and the point itself."""
    total = sp.eye_array(int(np.prod(sizes)))
    for k, size in enumerate(sizes):
        before, after = sp.eye_array(int(np.prod(sizes[:k]))), sp.eye_array(int(np.prod(sizes[k + 1 :])))
        total = total + sp.kron(sp.kron(before, tridiagonal(size) - sp.eye_array(size)), after)
    return total.tocsr()


def recovered(matrix, coloring):
    """The matrix from its products alone."""
    plan = ad.sparse.Plan(matrix, coloring)
    assert plan.sweeps == len(list(plan.tangents(float))) + len(list(plan.cotangents(float)))
    forward = [matrix @ t for t in plan.tangents(float)]
    reverse = [matrix.T @ ct for ct in plan.cotangents(float)]
    return plan.assemble(forward, reverse, np.dtype(float))


def random_matrix(rng, symmetric):
    rows, columns = rng.integers(0, 13, 2)
    matrix = np.where(rng.random((rows, columns)) < rng.choice([0.05, 0.2, 0.5, 0.9]), rng.standard_normal((rows, columns)), 0.0)
    for axis in (0, 1):
        if matrix.size and rng.random() < 0.4:
            np.moveaxis(matrix, axis, 0)[rng.integers(matrix.shape[axis])] = 1.0
    if symmetric:
        size = min(matrix.shape)
        matrix = matrix[:size, :size] + matrix[:size, :size].T
    return sp.csr_array(matrix)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ORDERS)
def test_every_nonzero_is_recovered(mode, order, rng):
    for _ in range(25):
        matrix = random_matrix(rng, mode == "symmetric")
        coloring = ad.sparse.color(matrix, mode, order)
        np.testing.assert_allclose(recovered(matrix, coloring).toarray(), matrix.toarray(), rtol=1e-12, atol=1e-12)


def test_auto_is_the_best_of_all(rng):
    for _ in range(50):
        matrix = random_matrix(rng, False)
        assert ad.sparse.color(matrix).sweeps == min(ad.sparse.color(matrix, mode).sweeps for mode in DIRECT)


@pytest.mark.parametrize(
    "matrix, direct, symmetric",
    [
        (tridiagonal(50), 3, 3),
        (tridiagonal(100_000), 3, 3),
        (arrow(50), 3, 2),
        (arrow(100_000), 3, 2),
        (stencil(10, 10), 5, 5),
        (stencil(7, 12), 5, 5),
        (stencil(5, 6, 7), 7, 7),
        (sp.eye_array(9), 1, 1),
        (sp.csr_array((4, 4)), 0, 0),
        (sp.csr_array(np.ones((6, 6))), 6, 6),
    ],
    ids=lambda value: "x".join(map(str, value.shape)) if sp.issparse(value) else str(value),
)
def test_sweeps_of_classic_patterns(matrix, direct, symmetric):
    assert ad.sparse.color(matrix).sweeps == direct
    assert ad.sparse.color(matrix, "symmetric").sweeps == symmetric


def test_full_rows_or_columns_alone():
    wide = np.eye(20)
    wide[3] = 1.0
    assert ad.sparse.color(wide)[0] == "reverse" and ad.sparse.color(wide).sweeps == 2
    assert ad.sparse.color(wide.T)[0] == "forward" and ad.sparse.color(wide.T).sweeps == 2


def test_a_star_coloring_has_no_path_of_two_colors(rng):
    for _ in range(30):
        graph = random_matrix(rng, True).toarray() != 0
        np.fill_diagonal(graph, False)
        colors = ad.sparse.color(graph + np.eye(len(graph)), "symmetric", "natural").columns
        for v, w in np.argwhere(graph):
            assert colors[v] != colors[w]
            for x in np.flatnonzero(graph[w]):
                for y in np.flatnonzero(graph[x]):
                    if len({v, w, x, y}) == 4:
                        assert len({colors[v], colors[w], colors[x], colors[y]}) > 2


def test_refusals():
    with pytest.raises(ValueError, match="symmetric pattern was needed"):
        ad.sparse.color(np.triu(np.ones((3, 3))), "symmetric")
    with pytest.raises(ValueError, match="'columns'"):
        ad.sparse.color(np.eye(3), "columns")
    hidden = ad.sparse.color(np.eye(3))
    with pytest.raises(ValueError, match="hides a nonzero"):
        ad.sparse.Plan(tridiagonal(3), hidden)
    with pytest.raises(ValueError, match="3 columns"):
        ad.sparse.Plan(np.eye(4), hidden)

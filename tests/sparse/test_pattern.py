"""Patterns cover what derivatives are not zero, row by row and for whole programs."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from drawing import Case, every_case

import arrayad as ad
from arrayad.dependence import everything, matrix_by_matrix
from arrayad.errors import AbstractValueError
from arrayad.primitive import TABLE, general
from arrayad.primitives.picking import outputs
from arrayad.readers.pattern import carried, import_sparse
from arrayad.samples import Samples
from arrayad.shaped import Bundle, Shaped, aval

COARSE = {TABLE["cumulative_sum"]}
"""Linear rows whose pattern is larger than it need be."""


def numerical(case: Case, i: int, operands: list[Any]) -> Any:
    """The row's Jacobian by operand i: output elements by operand elements."""

    def function(x: Any) -> Any:
        return case.row.apply(*operands[:i], x, *operands[i + 1 :], **case.params)

    y, vjp_fn = ad.vjp(function, operands[i])
    units = np.eye(y.size).reshape(y.size, *y.shape)
    return np.array([np.asarray(vjp_fn(ct)[0]).reshape(-1) for ct in units]).reshape(y.size, operands[i].size)


def structural(case: Case, i: int, operands: list[Any], known: bool) -> Any:
    """The row's pattern for operand i, with what has no derivative known by value or by shape alone."""
    seen = [x if known and not case.is_smooth_operand(j) else aval(x) for j, x in enumerate(operands)]
    output = case.row.shape(*map(aval, operands), **case.params)
    sparse = import_sparse()
    own = sparse.eye_array(operands[i].size, dtype=np.bool_, format="csr")
    links = case.row.pattern(i, output, *seen, **case.params)
    return carried(own, links, output.size, sparse, case).toarray()


@pytest.mark.parametrize("case", every_case(differentiable=True), ids=repr)
def test_the_pattern_of_a_row_covers_its_derivative(case):
    operands = case.operands()
    if isinstance(case.row.shape(*map(aval, operands), **case.params), tuple):
        pytest.skip("several outputs, which count as one")
    for i in range(len(operands)):
        if case.is_smooth_operand(i):
            jacobian = numerical(case, i, operands)
            for known in (True, False):
                pattern = structural(case, i, operands, known)
                assert pattern.shape == jacobian.shape
                assert not (jacobian.astype(bool) & ~pattern).any()
            rule = getattr(case.row.pattern, "func", None)
            is_exact = case.row.kind == "linear" and rule is not everything and case.row not in COARSE
            assert not is_exact or (structural(case, i, operands, True) == jacobian.astype(bool)).all()


@pytest.mark.parametrize(
    "f, wanted",
    [
        (lambda x: x[1:] * x[:-1], np.eye(3, 4) + np.eye(3, 4, 1)),
        (lambda x: ad.where(x > 0.0, x, ad.flip(x)), np.eye(4) + np.eye(4)[::-1]),
        (lambda x: ad.where(ad.flip(x) > 0.0, x, 0.0), np.eye(4)),
        (lambda x: x * ad.floor(ad.flip(x)), np.eye(4)),
        (lambda x: ad.reshape(x, (2, 2)).T + x[0], np.eye(4)[[0, 2, 1, 3]] + [1, 0, 0, 0]),
        (lambda x: x.at[np.array([0, 0])].add(x[2:]), np.eye(4) + np.array([[0, 0, 1, 1]] + 3 * [[0] * 4])),
        (lambda x: x.at[1:3].set(x[:2] ** 2), np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])),
        (lambda x: ad.sum(ad.reshape(x, (2, 2)), axis=0), np.array([[1, 0, 1, 0], [0, 1, 0, 1]])),
        (lambda x: ad.reshape(x, (2, 2)) @ np.ones((2, 1)), np.array([[1, 1, 0, 0], [0, 0, 1, 1]])),
        (lambda x: np.ones((1, 2)) @ ad.reshape(x, (2, 2)), np.array([[1, 0, 1, 0], [0, 1, 0, 1]])),
        (lambda x: np.eye(4, k=1) @ x, np.eye(4, k=1)),
        (lambda x: ad.reshape(x, (2, 2)) @ np.eye(2, 5), np.eye(11, 4)[[0, 1, 9, 9, 9, 2, 3, 9, 9, 9]]),
        (lambda x: np.eye(3, 2) @ ad.reshape(x, (2, 2)), np.eye(6, 4)),
        (lambda x: np.stack(2 * [np.eye(3, 2)]) @ ad.reshape(x, (2, 2, 1)), np.eye(6, 4)[[0, 1, 4, 2, 3, 5]]),
        (lambda x: ad.sort(x), np.ones((4, 4))),
        (lambda x: x[ad.argsort(x)[:2]], np.ones((2, 4))),
        (lambda x: ad.ones(3), np.zeros((3, 4))),
        (lambda x: x.astype("int64").astype("float64") + x, np.eye(4)),
        (lambda x: (x[:2], {"last": x[3]}), np.eye(4)[[0, 1, 3]]),
        (lambda x: ad.grad(lambda u: ad.sum(u[1:] ** 2 * u[:-1] ** 3))(x), np.eye(4) + np.eye(4, k=1) + np.eye(4, k=-1)),
        (lambda x: ad.grad(lambda u: ad.sum(3.0 * u[1:] + u[:-1] ** 2))(x), np.diag([1, 1, 1, 0])),
    ],
)
def test_pattern_of_a_program(f, wanted):
    pattern = ad.sparse.pattern(f, 4)
    assert pattern.dtype == np.bool_ and pattern.has_sorted_indices
    np.testing.assert_array_equal(pattern.toarray(), np.asarray(wanted).astype(bool))


def test_several_arguments_and_shapes():
    found = ad.sparse.pattern(lambda x, y: x * y["a"] + 1.0, (2, 2), {"a": Shaped((2,), "float64")})
    np.testing.assert_array_equal(found.toarray(), np.hstack([np.eye(4), np.tile(np.eye(2), (2, 1))]).astype(bool))


def test_a_branch_on_a_value_needs_values():
    def f(x):
        return x if x[0] > 0.0 else ad.flip(x)

    with pytest.raises(AbstractValueError, match="where"):
        ad.sparse.pattern(f, 2)
    np.testing.assert_array_equal(ad.sparse.pattern(f, np.array([1.0, 2.0])).toarray(), np.eye(2, dtype=bool))
    np.testing.assert_array_equal(ad.sparse.pattern(f, np.array([-1.0, 2.0])).toarray(), np.eye(2, dtype=bool)[::-1])


def test_what_is_dense_and_large_is_refused():
    with pytest.raises(MemoryError, match="dense; use jacobian"):
        ad.sparse.pattern(lambda x: x * ad.sum(x), 50_000)


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match=r'pip install "arrayad\[sparse\]"'):
        ad.sparse.pattern(lambda x: x, 2)


def test_matrices_of_a_batch_do_not_mix():
    x = Shaped((2, 2, 2), "float64")
    for output in (x, Shaped((2,), "float64")):
        (outer, inner), *rest = matrix_by_matrix(None, 0, output, x)
        assert not rest
        np.testing.assert_array_equal(inner.reshape(-1), np.repeat([0, 1], 4))
        np.testing.assert_array_equal(outer.reshape(-1), np.repeat([0, 1], output.size // 2))
    assert matrix_by_matrix(None, 0, Bundle((x, x)), x) is None


def test_no_elements_and_a_single_one():
    assert ad.sparse.pattern(lambda x: x**2, 0).shape == (0, 0)
    assert ad.sparse.pattern(lambda x: x[:0], 3).shape == (0, 3)
    assert ad.sparse.pattern(lambda x: x**2, ()).toarray() == [[True]]


def test_what_has_several_outputs_depends_on_everything(request):
    parts = general(
        "both_halves",
        """The two halves of a vector.""",
        numpy=lambda x: Bundle((x[:2].copy(), x[2:].copy())),
        shape=lambda x: Bundle((Shaped((2,), x.dtype),) * 2),
        jvp=lambda tangents, y, x: Bundle((tangents[0][:2], tangents[0][2:])),
        vjp=lambda needed, ct, y, x: (ad.concat([ad.zeros(2) if part is None else part for part in ct]),),
        samples=Samples(cases=[]),
    )
    request.addfinalizer(lambda: TABLE.pop("both_halves"))

    def f(x):
        first, last = outputs(parts(x))
        return first * last

    np.testing.assert_array_equal(ad.sparse.pattern(lambda x: f(ad.sin(x)), 4).toarray(), np.ones((2, 4), bool))
    x = np.arange(1.0, 5.0)
    wanted = np.array([[3.0, 0.0, 1.0, 0.0], [0.0, 4.0, 0.0, 2.0]])
    for mode in ("forward", "reverse"):
        np.testing.assert_array_equal(ad.sparse.jacobian(f, mode)(x).toarray(), wanted)

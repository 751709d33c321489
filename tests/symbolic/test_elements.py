"""Array programs as formulas of their elements."""

from __future__ import annotations

import numpy as np
import pytest

import arrayad as ad
from arrayad import linalg, tree
from arrayad.errors import NoClosedFormError
from arrayad.nn import functional

PROGRAMS = {
    "slices": (lambda x: ad.sum((x[1:] - x[:-1] ** 2) ** 2), {"x": (4,)}),
    "product": (lambda A, x: A @ x, {"A": (2, 3), "x": (3,)}),
    "logsumexp": (lambda x: ad.logsumexp(x, axis=1), {"x": (2, 3)}),
    "norm": (lambda x: ad.vector_norm(x), {"x": (3,)}),
    "std": (lambda x: ad.std(x) * ad.prod(x) - ad.mean(x), {"x": (3,)}),
    "extremes": (lambda x: ad.max(x, axis=0) - ad.min(x), {"x": (2, 3)}),
    "softmax": (lambda x: functional.softmax(x, dim=0), {"x": (3, 2)}),
    "log_softmax": (lambda x: functional.log_softmax(x, dim=-1), {"x": (2, 2)}),
    "cross_entropy": (lambda z: functional.cross_entropy(z, np.array([1, -100, 0])), {"z": (3, 2)}),
    "cumsum": (lambda x: ad.cumsum(ad.exp(x)), {"x": (3,)}),
    "einsum": (lambda x, y: ad.einsum("i,j->ij", x, y), {"x": (2,), "y": (3,)}),
    "constants": (lambda x: ad.sum(x * np.array([1.0, 2.0])) + ad.stack([x[1], x[0]]), {"x": (2,)}),
    "det": (linalg.det, {"X": (4, 4)}),
    "inv": (linalg.inv, {"X": (3, 3)}),
    "inv of one": (linalg.inv, {"X": (1, 1)}),
    "solve": (linalg.solve, {"A": (2, 2), "b": (2,)}),
    "number": (lambda x, s: x * s, {"x": (2,), "s": ()}),
    "trees": (lambda x: {"a": x[0], "b": (x * 2, x[1] ** 2)}, {"x": (2,)}),
}


def flat(out):
    """The elements of a tree of arrays."""
    return ad.concat([ad.reshape(y, (-1,)) for y in tree.leaves(out)])


@pytest.mark.parametrize("f, shapes", PROGRAMS.values(), ids=PROGRAMS)
def test_the_formula_of_the_elements_and_its_derivatives_are_the_programs(f, shapes):
    rng = np.random.default_rng(0)
    args = [rng.uniform(0.5, 1.5, shape) for shape in shapes.values()]
    found = ad.symbolic.expression(f, *shapes, shapes=shapes)
    assert len(found.names) == sum(arg.size for arg in args)
    np.testing.assert_allclose(flat(found(*args)), flat(f(*map(ad.tensor, args))), rtol=1e-12)
    jacobian = ad.jacobian(lambda *xs: flat(f(*xs)), tuple(range(len(args))))(*args)
    rows = np.concatenate([np.reshape(block, (block.shape[0], -1)) for block in jacobian], axis=1)
    columns = [flat(found.diff(name)(*args)) for name in found.names]
    np.testing.assert_allclose(np.transpose(columns), rows, rtol=1e-10, atol=1e-12)


def test_elements_are_named_by_their_indices():
    assert ad.symbolic.expression(lambda A, s: A * s, shapes={"A": (2, 1)}).names == ("A[0,0]", "A[1,0]", "s")


@pytest.mark.parametrize(
    "f, message",
    [
        (linalg.eigvalsh, "no closed form of eigh, which is no formula of the elements, at "),
        (lambda x: x if x[0, 0] > 0 else -x, "asks for a value at .*test_elements.py"),
    ],
)
def test_what_has_no_formula_names_the_line(f, message):
    with pytest.raises(NoClosedFormError, match=message):
        ad.symbolic.expression(f, shapes={"x": (2, 2)})


def test_a_determinant_of_many_rows_is_not_written_out():
    with pytest.raises(NoClosedFormError, match="closed form of det"):
        ad.symbolic.expression(linalg.det, "x", shapes={"x": (5, 5)})

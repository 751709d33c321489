"""Matrix products, einsum and norms against NumPy, and their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import ShapeError


def along(f: Any, xs: list[Any], ts: list[Any]) -> np.ndarray[Any, Any]:
    """The derivative of `f` at `xs` along `ts` by central differences of order 6."""
    h = 1e-3

    def at(k: int) -> np.ndarray[Any, Any]:
        return np.asarray(f(*[x + k * h * t for x, t in zip(xs, ts, strict=True)]))

    terms = [w * (at(k) - at(-k)) for k, w in ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))]
    return np.sum(terms, axis=0) / h  # type: ignore[no-any-return]


def assert_derivatives(f: Any, xs: list[Any], rng: np.random.Generator) -> None:
    """Gradients, and Hessians along a direction, of Σ w f² against differences."""
    weights = rng.standard_normal(np.shape(f(*xs)))
    ts = [rng.standard_normal(x.shape) for x in xs]
    numbers = tuple(range(len(xs)))
    g = ad.grad(lambda *v: ad.sum(f(*v) ** 2 * weights), numbers)
    slope = lambda *v: sum(ad.sum(part * t) for part, t in zip(g(*v), ts, strict=True))  # noqa: E731
    np.testing.assert_allclose(slope(*xs).numpy(), along(lambda *v: ad.sum(f(*v) ** 2 * weights), xs, ts), rtol=1e-8, atol=1e-8)
    curvature = sum(np.sum(part.numpy() * t) for part, t in zip(ad.grad(slope, numbers)(*xs), ts, strict=True))
    np.testing.assert_allclose(curvature, along(slope, xs, ts), rtol=1e-7, atol=1e-7)


# --- matmul ---------------------------------------------------------------------------------------------------------

PRODUCTS = [
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 6, 3, 4), (4, 5)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (2, 4, 5)),
    ((1, 3, 4), (2, 4, 5)),
    ((5, 1, 3, 4), (2, 4, 1)),
    ((3, 4), (2, 4, 5)),
    ((4,), (2, 4, 5)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((0, 3, 4), (4, 5)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_matmul_is_numpys(shapes: Any, rng: np.random.Generator) -> None:
    for dtype in ("float64", "float32", "int64", "bool"):
        x, y = (rng.integers(-3, 4, shape).astype(dtype) for shape in shapes)
        for found in (
            ad.matmul(x, y),
            ad.tensor(x) @ ad.tensor(y),
            ad.tensor(x) @ y,
            x @ ad.tensor(y),
            np.matmul(x, ad.tensor(y)),
        ):
            wanted = np.matmul(x, y)
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found.numpy(), wanted)
    assert_derivatives(ad.matmul, [rng.standard_normal(shape) for shape in shapes], rng)


def test_a_product_with_an_unbatched_right_side_is_one_matrix_product() -> None:
    def products(f: Any, *shapes: Any) -> list[str]:
        tape = ad.trace(f)(*(ad.Shaped(shape, "float64") for shape in shapes))
        return [repr(entry.output) for entry in tape.entries if entry.primitive.name == "matrix_product"]

    shapes = ((8, 16, 3), (3, 5))
    assert products(ad.matmul, *shapes) == ["f64[128,5]"]
    found = products(lambda x, y: ad.grad(lambda x, y: ad.sum((x @ y) ** 2), (0, 1))(x, y), *shapes)
    assert sorted(found) == ["f64[128,3]", "f64[128,5]", "f64[3,5]"]


@pytest.mark.parametrize(
    "shapes, message",
    [
        (
            ((3, 4), (5, 2)),
            r"inner sizes differ: x is f64\[3,4\], y is f64\[5,2\]; x.shape\[-1\] must equal y.shape\[-2\]",
        ),
        (((3, 4), (3,)), r"inner sizes differ: .*; x.shape\[-1\] must equal y.shape\[0\]"),
        (((), (3,)), r"an operand is 0-d: x is f64\[\], y is f64\[3\]"),
        (((2, 3, 4), (3, 4, 5)), r"leading axes do not broadcast: x is f64\[2,3,4\], y is f64\[3,4,5\]"),
    ],
    ids=str,
)
def test_matmul_refuses_what_does_not_fit(shapes: Any, message: str) -> None:
    x, y = map(np.ones, shapes)
    with pytest.raises(ShapeError, match=message):
        ad.tensor(x) @ ad.tensor(y)


def test_matmul_in_place_and_mixed_dtypes() -> None:
    x = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
    x @= [[0.0, 1.0], [1.0, 0.0]]
    np.testing.assert_array_equal(x.numpy(), [[2.0, 1.0], [4.0, 3.0]])
    single = ad.ones((2, 2), dtype="float32")
    assert (single @ x).dtype == np.float64
    g = ad.grad(lambda a, b: ad.sum(a @ b), (0, 1))(single, x)
    assert [part.dtype for part in g] == [np.float32, np.float64]


# --- other products -------------------------------------------------------------------------------------------------

PAIRS = [
    ((), ()),
    ((), (3,)),
    ((3,), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((2, 5, 3), (4, 3, 2)),
    ((0, 3), (3, 2)),
]


@pytest.mark.parametrize("shapes", PAIRS, ids=str)
def test_dot_inner_outer_and_kron_are_numpys(shapes: Any, rng: np.random.Generator) -> None:
    x, y = (rng.standard_normal(shape) for shape in shapes)
    for name in ("dot", "outer", "kron"):
        np.testing.assert_allclose(getattr(ad, name)(x, y).numpy(), getattr(np, name)(x, y), rtol=1e-14, atol=1e-14)
        assert_derivatives(getattr(ad, name), [x, y], rng)
    y = np.moveaxis(y, -2, -1) if y.ndim > 1 else y
    np.testing.assert_allclose(ad.inner(x, y).numpy(), np.inner(x, y), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("axes", [0, 1, 2, (1, 0), ([1, 2], [0, 1]), ([2, 1], [1, 0]), (-1, -2), ((0,), (2,))], ids=str)
def test_tensordot_is_numpys(axes: Any, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((4, 3, 3)), rng.standard_normal((3, 3, 4))
    np.testing.assert_allclose(ad.tensordot(x, y, axes).numpy(), np.tensordot(x, y, axes), rtol=1e-13, atol=1e-13)
    assert_derivatives(lambda a, b: ad.tensordot(a, b, axes), [x, y], rng)


def test_tensordot_refuses_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"\[tensordot\] inner sizes differ: x is f64\[2,3\], y is f64\[2,3\]"):
        ad.tensordot(np.ones((2, 3)), np.ones((2, 3)), 1)
    with pytest.raises(ValueError, match="as many axes of x as of y"):
        ad.tensordot(np.ones((2, 3)), np.ones((2, 3)), ([0], [0, 1]))
    with pytest.raises(ValueError, match=r"axes is 3"):
        ad.tensordot(np.ones((2, 3)), np.ones((2, 3)), 3)


def test_vecdot_is_numpys(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((5, 1, 3)), rng.standard_normal((2, 3))
    np.testing.assert_allclose(ad.vecdot(x, y).numpy(), np.vecdot(x, y), rtol=1e-14)
    np.testing.assert_allclose(ad.vecdot(x, x, axis=0).numpy(), np.vecdot(x, x, axis=0), rtol=1e-14)
    assert_derivatives(ad.vecdot, [x, y], rng)
    with pytest.raises(ShapeError, match=r"\[vecdot\] sizes differ"):
        ad.vecdot(np.ones(3), np.ones(1))


def test_traces(rng: np.random.Generator) -> None:
    for shape in ((3, 3), (2, 3, 3), (2, 4), (4, 2), (0, 0)):
        x = rng.standard_normal(shape)
        np.testing.assert_allclose(ad.linalg.trace(x).numpy(), np.trace(x, axis1=-2, axis2=-1), rtol=1e-14)


# --- einsum ---------------------------------------------------------------------------------------------------------

SUBSCRIPTS = [
    ("ij,jk->ik", (3, 4), (4, 5)),
    ("ij,jk", (3, 4), (4, 5)),
    ("ba", (3, 4)),
    ("ij->ji", (3, 4)),
    ("ij->", (3, 4)),
    ("ij->j", (3, 4)),
    ("...->...", (2, 3)),
    ("->", ()),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iii", (3, 3, 3)),
    ("iij->j", (3, 3, 2)),
    ("iji->ij", (3, 2, 3)),
    ("...ii->...i", (2, 3, 3)),
    ("a...a->...", (3, 2, 3)),
    ("i...->...", (3, 2)),
    ("...i->i...", (2, 3, 4)),
    ("i,i", (4,), (4,)),
    ("i,i->i", (4,), (4,)),
    ("i,j", (3,), (4,)),
    ("i,j->ji", (3,), (4,)),
    (",i->i", (), (3,)),
    (",", (), ()),
    ("ij,ij->", (3, 4), (3, 4)),
    ("ij,ij->i", (3, 4), (3, 4)),
    ("ij,kj->ki", (3, 4), (5, 4)),
    ("ij,kl->", (2, 3), (4, 5)),
    ("ij,i->", (2, 3), (2,)),
    ("ii,i->", (3, 3), (3,)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ijk,jil->kl", (3, 4, 5), (4, 3, 2)),
    ("abcd,dcbe->ae", (2, 3, 2, 3), (3, 2, 3, 2)),
    ("...ij,...jk->...ik", (2, 3, 4), (4, 5)),
    ("...ij,...jk", (1, 3, 4), (6, 4, 5)),
    ("i...,i...->...", (3, 2, 4), (3, 2, 1)),
    ("...,...", (2, 3), (3,)),
    ("i,...->i...", (2,), (3, 4)),
    ("Ab,bA->A", (3, 4), (4, 3)),
    ("a b , b c -> a c", (2, 3), (3, 4)),
    ("i,i->i", (1,), (3,)),
    ("ij,jk->ik", (3, 1), (4, 5)),
    ("ij,j->ij", (3, 4), (1,)),
    ("i,i->", (1,), (1,)),
    ("ij,jk->ik", (0, 4), (4, 5)),
    ("ij,jk->ik", (3, 0), (0, 5)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("i,i,i->", (3,), (3,), (3,)),
    ("i,ij,j->", (3,), (3, 4), (4,)),
    ("ij,jk,ki->", (3, 4), (4, 5), (5, 3)),
    ("ij,ij,jk->ik", (3, 4), (1, 4), (4, 2)),
    ("abc,cd,de->abe", (2, 3, 4), (4, 5), (5, 2)),
    ("ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 5), (5, 6)),
    ("i,j,k,l->lkji", (2,), (3,), (2,), (2,)),
]


@pytest.mark.parametrize("subscripts, shapes", [(s, shapes) for s, *shapes in SUBSCRIPTS], ids=str)
def test_einsum_is_numpys(subscripts: str, shapes: Any, rng: np.random.Generator) -> None:
    for dtype in ("float32", "int64"):
        xs = [rng.integers(-3, 4, shape).astype(dtype) for shape in shapes]
        wanted = np.einsum(subscripts, *xs)
        for optimize in ("greedy", "optimal", True, False):
            found = ad.einsum(subscripts, *xs, optimize=optimize)
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found.numpy(), wanted)
    xs = [rng.standard_normal(shape) for shape in shapes]
    np.testing.assert_allclose(ad.einsum(subscripts, *xs).numpy(), np.einsum(subscripts, *xs), rtol=1e-12, atol=1e-12)
    assert_derivatives(lambda *v: ad.einsum(subscripts, *v), xs, rng)
    tape = ad.trace(lambda *v: ad.einsum(subscripts, *v))(*(ad.Shaped(x.shape, x.dtype) for x in xs))
    assert tape.outputs[0].shape == np.shape(np.einsum(subscripts, *xs))


def test_einsum_takes_lists_and_stands_for_numpys(rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 5))
    for arguments in (
        (x, [0, 1, 2], y, [2, 3], [3, 0, 1]),
        (x, [..., 2], y, [2, 3], [..., 3]),
        (x, [0, 1, 2], y, [2, 3]),
    ):
        np.testing.assert_allclose(ad.einsum(*arguments).numpy(), np.einsum(*arguments), rtol=1e-13)
    found = np.einsum("abc,cd->d", ad.tensor(x), y, optimize=True)
    assert isinstance(found, ad.Tensor)
    np.testing.assert_allclose(found.numpy(), np.einsum("abc,cd->d", x, y), rtol=1e-13)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("ij,jk->ik", np.ones((2, 3))), "these subscripts are of 2 operands, 1 came"),
        (("ij->i", np.ones(3)), "operand 1 has 1 axes, its subscripts 'ij' are of 2"),
        (("i->i", np.ones((3, 2))), "operand 1 has 2 axes, its subscripts 'i' are of 1"),
        (
            ("ij,jk", np.ones((2, 3)), np.ones((4, 5))),
            r"'j' has the lengths 3 and 4, the shapes are \(2, 3\), \(4, 5\)",
        ),
        (("ii", np.ones((2, 3))), "'i' takes a diagonal"),
        (("ii", np.ones((1, 3))), "'i' takes a diagonal"),
        (("i->k", np.ones(3)), "the result has 'k', which no operand has"),
        (("i->ii", np.ones(3)), "a letter twice"),
        (("...i->i", np.ones((2, 3))), "write '...' there too"),
        (("i$->i", np.ones((2, 3))), "is not made of letters"),
        (("..i->i", np.ones((2, 3))), "is not made of letters"),
        (("......", np.ones((2, 3))), "is not made of letters"),
        ((np.ones(3), [60]), "is no list of axes"),
    ],
    ids=str,
)
def test_einsum_refuses_what_is_none(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"\[einsum\].*" + message):
        ad.einsum(*arguments)
    with pytest.raises(ValueError, match="optimize is 'fast'"):
        ad.einsum("i,i", [1.0], [1.0], optimize="fast")


def test_einsum_of_two_operands_is_one_matrix_product() -> None:
    tape = ad.trace(lambda q, k: ad.einsum("bqhd,bkhd->bhqk", q, k))(*(ad.Shaped((2, 7, 3, 4), "float32"),) * 2)
    assert [entry.primitive.name for entry in tape.entries].count("matrix_product") == 1
    tape = ad.trace(lambda x, y: ad.einsum("ij,jk->ik", x, y))(*(ad.Shaped((3, 3), "float32"),) * 2)
    assert [entry.primitive.name for entry in tape.entries] == ["matrix_product"]


# --- norms ----------------------------------------------------------------------------------------------------------


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Elements of either sign and distinct sizes, no nearer to a kink than differences reach."""
    sizes = rng.permutation(np.linspace(0.3, 2.0, int(np.prod(shape)))).reshape(shape)
    return sizes * rng.choice([-1.0, 1.0], shape)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ord", [None, 0, 1, 2, 3, 0.5, -1, np.inf, -np.inf])
def test_norms_of_vectors_are_numpys(ord: Any, keepdims: bool, rng: np.random.Generator) -> None:
    for shape, axis in (((4,), None), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), 1)):
        x = away_from_zero(rng, shape)
        np.testing.assert_allclose(ad.norm(x, ord, axis, keepdims).numpy(), np.linalg.norm(x, ord, axis, keepdims), rtol=1e-13)
        if ord is not None:
            wanted = np.linalg.vector_norm(x, ord=ord, axis=axis, keepdims=keepdims)
            np.testing.assert_allclose(ad.vector_norm(x, ord=ord, axis=axis, keepdims=keepdims).numpy(), wanted, rtol=1e-13)
        if ord not in (0,):
            assert_derivatives(lambda v, axis=axis: ad.norm(v, ord, axis, keepdims), [x], rng)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norms_of_matrices_are_numpys(ord: Any, keepdims: bool, rng: np.random.Generator) -> None:
    rtol = 1e-13 if ord in (2, -2, "nuc") else 1e-14  # those by singular values, with LAPACK's rounding
    x = away_from_zero(rng, (3, 4))
    np.testing.assert_allclose(ad.norm(x, ord, keepdims=keepdims).numpy(), np.linalg.norm(x, ord, keepdims=keepdims), rtol=rtol)
    x = away_from_zero(rng, (2, 3, 4))
    for axis in ((0, 2), (2, 0), (-2, -1)):
        wanted = np.linalg.norm(x, ord, axis, keepdims)
        np.testing.assert_allclose(ad.norm(x, ord, axis, keepdims).numpy(), wanted, rtol=rtol)
    wanted = np.linalg.matrix_norm(x, ord=ord, keepdims=keepdims)
    np.testing.assert_allclose(ad.linalg.matrix_norm(x, ord=ord, keepdims=keepdims).numpy(), wanted, rtol=rtol)
    assert_derivatives(lambda v: ad.matrix_norm(v, ord), [x], rng)


def test_norms_of_integers_and_of_more_axes() -> None:
    assert ad.norm([3, 4]).item() == 5.0
    assert ad.norm(np.ones((2, 2, 4))).item() == 4.0
    assert ad.vector_norm(np.ones((2, 2, 4)), axis=(0, 2)).shape == (2,)


def test_norms_of_empty_matrices_are_0() -> None:
    for ord in ("fro", "nuc", 1, 2):
        assert ad.norm(np.zeros((0, 3)), ord).item() == np.linalg.norm(np.zeros((0, 3)), ord) == 0.0


def test_wrong_orders_and_axes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[norm\] ord is 'fro'"):
        ad.norm(np.ones(3), "fro")
    with pytest.raises(ValueError, match=r"over 3 axes of f64\[2,2,2\]"):
        ad.norm(np.ones((2, 2, 2)), 1)
    with pytest.raises(IndexError, match=r"\[norm\] axis 2"):
        ad.norm(np.ones((2, 2)), axis=2)
    with pytest.raises(ValueError, match="a pair of axes is needed"):
        ad.matrix_norm(np.ones((2, 2)), axis=1)

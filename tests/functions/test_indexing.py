"""Indexing, updates, padding and diagonals: NumPy's values, derivatives, errors, and what older results hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad.errors import AbstractValueError, DerivativeError, DTypeError, ShapeError
from arrayad.readers.replay import replay
from arrayad.shaped import Shaped


def differences(function: Any, x: np.ndarray[Any, Any], h: float = 1e-5) -> np.ndarray[Any, Any]:
    """The gradient by central differences: of smooth functions of modest size they are good to 1e-8."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        gradient[i] = (float(function(ad.tensor(x + step))) - float(function(ad.tensor(x - step)))) / (2 * h)
    return gradient


def weights(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.cos(np.arange(int(np.prod(shape)))).reshape(shape)


def score(y: Any) -> Any:
    """A scalar in which every element of `y` has a partial of its own."""
    return ad.sum(ad.sin(y) * weights(y.shape))


# --- indices -------------------------------------------------------------------------------------------------------


def random_slice(rng: np.random.Generator, n: int) -> slice:
    bounds = [None if rng.random() < 0.3 else int(rng.integers(-n - 1, n + 2)) for _ in range(2)]
    return slice(*bounds, [None, 1, 2, -1, -2][rng.integers(5)])


def random_index(rng: np.random.Generator, shape: tuple[int, ...], arrays: bool) -> Any:
    """An index that fits the shape: ints, slices, None, Ellipsis, and with `arrays` arrays, lists and masks."""
    used = int(rng.integers(0, len(shape) + 1))
    front = int(rng.integers(0, used + 1)) if rng.random() < 0.5 else None
    lengths = shape[:used] if front is None else shape[:front] + shape[len(shape) - (used - front) :]
    wide = [(2,), (1, 2), (3, 1)][rng.integers(3)]
    parts: list[Any] = []
    for n in lengths:
        kind = rng.integers(6 if arrays else 2)
        if kind == 0:
            parts.append(int(rng.integers(-n, n)))
        elif kind == 1:
            parts.append(random_slice(rng, n))
        elif kind == 2:
            parts.append(rng.integers(-n, n, wide))
        elif kind == 3:
            parts.append(rng.integers(-n, n, wide[-1:]).tolist())
        elif kind == 4:
            parts.append(np.arange(n) == rng.integers(n))
        else:
            parts.append(np.asarray(rng.integers(-n, n)))
    if front is not None:
        parts.insert(front, Ellipsis)
    for _ in range(rng.integers(3)):
        parts.insert(int(rng.integers(len(parts) + 1)), None)
    return parts[0] if len(parts) == 1 and rng.random() < 0.5 else tuple(parts)


def random_cases(count: int, arrays: bool) -> list[Any]:
    rng = np.random.default_rng(11)
    shapes = [(5,), (3, 4), (2, 3, 4), (2, 1, 3, 2)]
    return [(shape, random_index(rng, shape, arrays)) for shape in shapes for _ in range(count)]


@pytest.mark.parametrize("shape, index", random_cases(60, False) + random_cases(120, True), ids=repr)
def test_an_index_selects_what_numpys_does(shape, index):
    x = np.arange(np.prod(shape), dtype=float).reshape(shape) / 7
    wanted = x[index]
    found = ad.tensor(x)[index]
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(np.asarray(found), wanted)
    assert ad.trace(lambda x: x[index])(Shaped(shape, "float64")).outputs[0].shape == wanted.shape


@pytest.mark.parametrize("shape, index", random_cases(4, False) + random_cases(12, True), ids=repr)
def test_gradients_through_an_index(shape, index):
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(
        np.asarray(ad.grad(lambda x: score(x[index]))(x)), differences(lambda x: score(x[index]), x), atol=1e-8
    )


@pytest.mark.parametrize("shape, index", random_cases(6, False) + random_cases(20, True), ids=repr)
def test_assignment_is_numpys(shape, index):
    x = np.random.default_rng(1).standard_normal(shape)
    value = np.random.default_rng(2).standard_normal(x[index].shape[-1:])
    wanted = x.copy()
    wanted[index] = value
    y = ad.tensor(x)
    y[index] = value
    np.testing.assert_array_equal(np.asarray(y), wanted)
    wanted = x.copy()
    np.add.at(wanted, index, value)
    np.testing.assert_allclose(np.asarray(ad.tensor(x).at[index].add(value)), wanted, rtol=1e-14)


@pytest.mark.parametrize("shape, index", random_cases(3, False) + random_cases(10, True), ids=repr)
@pytest.mark.parametrize("method", ["set", "add", "multiply", "max"])
def test_gradients_through_updates(shape, index, method):
    x = np.random.default_rng(3).standard_normal(shape)
    value = np.random.default_rng(4).standard_normal(x[index].shape)

    def by_x(x):
        return score(getattr(x.at[index], method)(value))

    def by_value(value):
        return score(getattr(ad.tensor(x).at[index], method)(value))

    np.testing.assert_allclose(np.asarray(ad.grad(by_x)(x)), differences(by_x, x), atol=1e-8)
    np.testing.assert_allclose(np.asarray(ad.grad(by_value)(value)), differences(by_value, value), atol=1e-8)


def test_indices_of_every_kind():
    x = np.arange(12.0).reshape(3, 4)
    t = ad.tensor(x)
    for index in (np.int64(1), np.uint8(2), np.array(1), [], [[0, 1], [2, 0]], np.array([True, False, True])):
        np.testing.assert_array_equal(np.asarray(t[index]), x[index])
    np.testing.assert_array_equal(np.asarray(t[x > 5]), x[x > 5])
    np.testing.assert_array_equal(np.asarray(t[t > 5]), x[x > 5])
    np.testing.assert_array_equal(np.asarray(t[ad.tensor([2, 0]), ad.tensor(1)]), x[[2, 0], 1])
    np.testing.assert_array_equal(np.asarray(t[..., np.array([True, False, False, True])]), x[..., [0, 3]])
    np.testing.assert_array_equal(np.asarray(t[ad.tensor(1) : ad.tensor(3)]), x[1:3])
    np.testing.assert_array_equal(np.asarray(ad.tensor(2.0)[()]), 2.0)
    assert [float(row[0]) for row in t] == [0.0, 4.0, 8.0]


@pytest.mark.parametrize(
    "index, message",
    [
        (5, r"\[getitem\] index 5 is out of bounds.*x is f64\[3,4\]"),
        (([0, 7],), r"\[getitem\] index 7 is out of bounds.*indexed by i64\[2\]"),
        ((0, 0, 0), r"\[getitem\] too many indices"),
        (1.5, r"\[getitem\] an index is made of .*float 1.5 came"),
        (True, r"\[getitem\] a single boolean is no index; use None"),
        (np.array([True, False]), r"\[getitem\] the mask is bool\[2\].*\(3,\)"),
        ("a", r"\[getitem\] an index is made of"),
        (([0, 1], [0, 1, 2]), r"\[getitem\] shape mismatch"),
    ],
)
def test_errors_of_an_index(index, message):
    x = ad.tensor(np.zeros((3, 4)))
    with pytest.raises(IndexError, match=message):
        x[index]


def test_a_mask_by_shape_only_is_refused():
    with pytest.raises(AbstractValueError, match=r"\[getitem\] the shape of the result depends.*use where"):
        ad.trace(lambda x: x[x > 0])(Shaped((3,), "float64"))
    with pytest.raises(AbstractValueError, match=r"\[nonzero\]"):
        ad.trace(lambda x: ad.nonzero(x)[0])(Shaped((3,), "float64"))


def test_one_number_through_a_mask_needs_no_value():
    tape = ad.trace(lambda x: x.at[x > 0].set(5.0).at[x < -1].multiply(2.0))(Shaped((3,), "float64"))
    np.testing.assert_array_equal(np.asarray(replay(tape, np.array([1.0, -0.5, -2.0]))), [5.0, -0.5, -4.0])


def test_index_arrays_are_operands():
    tape = ad.trace(lambda table, i: table[i])(np.eye(3), np.array([0, 2]))
    np.testing.assert_array_equal(np.asarray(replay(tape, np.eye(3), np.array([1, 1]))), np.eye(3)[[1, 1]])
    tape = ad.trace(lambda x, i: x[i])(np.arange(3.0), np.array(1))
    assert float(replay(tape, np.arange(3.0), np.array(2))) == 2.0


def test_a_mask_of_a_trace_is_guarded():
    tape = ad.trace(lambda x: x[x > 0])(np.array([1.0, -1.0, 2.0]))
    np.testing.assert_array_equal(np.asarray(replay(tape, np.array([3.0, -3.0, 4.0]))), [3.0, 4.0])
    with pytest.raises(ad.readers.replay.GuardError):
        replay(tape, np.array([3.0, 3.0, 4.0]))


def test_the_callers_arrays_may_change():
    x, i = np.arange(4.0), np.array([1, 2])
    w = ad.tensor(x, requires_grad=True)
    y = w[i]
    i[:] = 0
    ad.sum(y).backward()
    np.testing.assert_array_equal(np.asarray(w.grad), [0, 1, 1, 0])
    z = ad.flip(x)
    x[:] = 0
    np.testing.assert_array_equal(np.asarray(z), [3, 2, 1, 0])


# --- updates -------------------------------------------------------------------------------------------------------


def test_older_results_keep_the_old_value():
    x = ad.tensor([1.0, 2.0, 3.0])
    part, same = x[1:], x
    doubled = x * 2
    x[0] = 10.0
    x[1:] += 1.0
    assert same.tolist() == x.tolist() == [10.0, 3.0, 4.0]
    assert part.tolist() == [2.0, 3.0]
    assert doubled.tolist() == [2.0, 4.0, 6.0]
    part[0] = -1.0
    assert x.tolist() == [10.0, 3.0, 4.0]


def test_the_gradient_passes_through_assignments():
    def f(x):
        y = x * 1.0
        square = y * y
        y[0] = y[1] * y[2]
        y[1] = 0.0
        return ad.sum(y * weights(y.shape)) + ad.sum(square)

    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(np.asarray(ad.grad(f)(x)), differences(f, x), rtol=1e-8)


def test_a_leaf_is_assigned_to_inside_no_grad():
    w = ad.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(DerivativeError, match=r"\[setitem\] this is a leaf"):
        w[0] = 3.0
    with ad.no_grad():
        w[0] = 3.0
    assert w.tolist() == [3.0, 2.0] and w.requires_grad and w.is_leaf


def test_the_last_write_stays_and_takes_the_cotangent():
    value = ad.tensor([1.0, 2.0, 3.0])
    assert ad.zeros(2).at[[0, 0, 1]].set(value).tolist() == [2.0, 3.0]
    gradient = ad.grad(lambda v: score(ad.zeros((2, 2)).at[[0, 0, -2]].set(v)))(np.ones((3, 2)))
    np.testing.assert_array_equal(np.asarray(gradient) != 0, [[False, False], [False, False], [True, True]])
    # Whatever the strides of the index and of the value, the last is the last in C order.
    i = np.array([[0, 1], [1, 0]])
    for places in (i, np.asfortranarray(i), i.T):
        for v in (np.arange(4.0).reshape(2, 2), np.asfortranarray(np.arange(4.0).reshape(2, 2))):
            wanted = np.zeros(2)
            for place, element in zip(places.reshape(-1), v.reshape(-1), strict=True):
                wanted[place] = element
            assert ad.zeros(2).at[places].set(v).tolist() == wanted.tolist()


def test_updates_of_an_element_named_twice():
    x, i = np.array([2.0, 3.0, 4.0]), np.array([0, 0, 2, -3])
    v = np.array([5.0, 6.0, 7.0, 0.5])
    for method, ufunc in [
        ("add", np.add),
        ("subtract", np.subtract),
        ("multiply", np.multiply),
        ("divide", np.divide),
        ("min", np.minimum),
        ("max", np.maximum),
        ("power", np.power),
    ]:
        wanted = x.copy()
        ufunc.at(wanted, i, v)
        np.testing.assert_allclose(np.asarray(getattr(ad.tensor(x).at[i], method)(v)), wanted, rtol=1e-14)
    assert ad.tensor(x).at[i].get().tolist() == x[i].tolist()
    gradient = ad.grad(lambda v: ad.sum(ad.tensor(x).at[i].multiply(v)))(np.array([5.0, 0.0, 7.0, 0.5]))
    np.testing.assert_allclose(np.asarray(gradient), [0.0, 2 * 5 * 0.5, 4.0, 0.0])


def test_updates_keep_the_dtype_or_refuse():
    x = ad.tensor([1, 2, 3], dtype="float32")
    y = x.at[0].set(np.float64(2.5))
    assert y.dtype == np.float32 and y.at[:].add(1).dtype == np.float32
    with pytest.raises(DTypeError, match=r"\[at\] float 1.5 does not fit into i64\[3\]; use astype"):
        ad.tensor([1, 2, 3]).at[0].set(1.5)
    with pytest.raises(DTypeError, match=r"\[at\] f64\[\] does not fit"):
        ad.tensor([1, 2, 3]).at[0].divide(2)
    with pytest.raises(ShapeError, match=r"\[at\] f32\[2\] does not broadcast to \(3,\)"):
        x.at[:].set(np.zeros(2))
    with pytest.raises(IndexError, match=r"\[setitem\] index 9 is out of bounds"):
        x[9] = 1.0


def test_second_derivatives():
    i = np.array([0, 2, 0])

    def f(x):
        y = x.at[i].add(x[:3] ** 2).at[1].set(x[0] * x[3])
        return score(ad.sort(y)[::-1])

    x = np.array([0.3, -1.0, 0.8, 2.0])
    found = ad.grad(lambda x: ad.sum(ad.grad(f)(x) * weights((4,))))(x)
    np.testing.assert_allclose(np.asarray(found), differences(lambda x: ad.sum(ad.grad(f)(x) * weights((4,))), x), atol=1e-8)


STRUCTURAL = {
    "slice": lambda x: ad.sqrt(x)[1:],
    "int": lambda x: ad.sqrt(x)[-1],
    "array": lambda x: ad.sqrt(x)[[1, 2, 1]],
    "mask": lambda x: ad.sqrt(x)[np.array([False, True, True])],
    "set_at": lambda x: ad.sqrt(x).at[0].set(0.0),
    "set_at an array": lambda x: ad.sqrt(x).at[[0, 0]].set(0.0),
    "where": lambda x: ad.sqrt(x).at[x <= 0].set(0.0),
    "where, reshape, flip": lambda x: ad.flip(ad.reshape(ad.where(x > 0, ad.sqrt(x), 0.0), (3, 1))),
    "put": lambda x: ad.pad(ad.sqrt(x), 1)[2:],
    "concat": lambda x: ad.concat([x, ad.sqrt(x)])[4:],
    "overwritten value": lambda x: ad.zeros(3).at[[1, 1, 2]].set(ad.sqrt(x)),
}


@pytest.mark.parametrize("name", STRUCTURAL)
def test_what_is_not_selected_has_derivative_zero_to_every_order(name):
    def f(x):
        return ad.sum(STRUCTURAL[name](x) * 3.0)

    x = np.array([0.0, 1.0, 4.0])
    first, second = ad.grad(f)(x), ad.grad(lambda x: ad.sum(ad.grad(f)(x)))(x)
    assert first[0].item() == 0 and second[0].item() == 0
    assert np.isfinite(np.asarray(first)).all() and np.isfinite(np.asarray(second)).all()
    assert first[2].item() != 0 and second[2].item() != 0


# --- functions -----------------------------------------------------------------------------------------------------


def test_take_and_along_axis():
    x = np.random.default_rng(5).standard_normal((3, 4))
    i = np.array([[0, -1], [2, 1], [3, 3]])
    np.testing.assert_array_equal(np.asarray(ad.take(x, i)), np.take(x, i))
    for axis in (0, 1, -1):
        np.testing.assert_array_equal(np.asarray(ad.take(x, [2, 0], axis=axis)), np.take(x, [2, 0], axis=axis))
    np.testing.assert_array_equal(np.asarray(ad.take_along_axis(x, i, 1)), np.take_along_axis(x, i, 1))
    np.testing.assert_array_equal(
        np.asarray(ad.take_along_axis(x, i[:1].repeat(2, 1) % 3, 0)), np.take_along_axis(x, i[:1].repeat(2, 1) % 3, 0)
    )
    np.testing.assert_array_equal(np.asarray(np.take(ad.tensor(x), [1], axis=1)), x[:, [1]])
    np.testing.assert_array_equal(
        np.asarray(ad.compress([True, False, True], x, axis=0)), np.compress([True, False, True], x, axis=0)
    )
    np.testing.assert_allclose(
        np.asarray(ad.grad(lambda x: score(ad.take_along_axis(x, i, 1)))(x)),
        differences(lambda x: score(ad.take_along_axis(x, i, 1)), x),
        atol=1e-8,
    )
    with pytest.raises(DTypeError, match=r"\[take\] indices must be integers"):
        ad.take(x, [0.5])
    with pytest.raises(ShapeError, match=r"\[take_along_axis\]"):
        ad.take_along_axis(x, [0], 1)


def test_positions_of_what_is_not_zero():
    x = np.array([[0, 1, 0], [2, 0, 3]])
    for found, wanted in zip(ad.nonzero(x), np.nonzero(x), strict=True):
        np.testing.assert_array_equal(np.asarray(found), wanted)
    np.testing.assert_array_equal(np.asarray(ad.argwhere(x)), np.argwhere(x))


def test_large_scattering_is_exact():
    """Many rows into a table on the path that adds on one axis, with trailing axes, against NumPy's own."""
    rng = np.random.default_rng(6)
    inner, leading = (slice(None), rng.integers(-7, 7, (40, 3))), (rng.integers(0, 9, 50),)
    for index, shape in [(inner, (2, 7, 3, 2)), (leading, (9, 4))]:
        ct = rng.integers(-8, 8, np.zeros(shape)[index].shape).astype(float)
        wanted = np.zeros(shape)
        np.add.at(wanted, index, ct)
        (found,) = ad.vjp(lambda x, index=index: x[index], np.zeros(shape))[1](ct)
        np.testing.assert_array_equal(np.asarray(found), wanted)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("width", [1, (2, 0), ((1, 2), (0, 3)), ((1,), (2,)), 0])
def test_pad(mode, width):
    x = np.random.default_rng(7).standard_normal((3, 4))
    found = ad.pad(x, width, mode)
    np.testing.assert_array_equal(np.asarray(found), np.pad(x, width, mode))
    np.testing.assert_allclose(
        np.asarray(ad.grad(lambda x: score(ad.pad(x, width, mode)))(x)),
        differences(lambda x: score(ad.pad(x, width, mode)), x),
        atol=1e-8,
    )


def test_pad_with_a_value():
    x = np.arange(3.0)
    found = np.pad(ad.tensor(x), 1, constant_values=7)
    np.testing.assert_array_equal(np.asarray(found), np.pad(x, 1, constant_values=7))
    assert ad.grad(lambda c: ad.sum(ad.pad(x, (1, 2), constant_values=c)))(1.5).item() == 3
    with pytest.raises(ValueError, match=r"\[pad\] mode 'mean' is none of"):
        ad.pad(x, 1, "mean")
    with pytest.raises(ValueError, match=r"\[pad\] pad_width -1 is negative"):
        ad.pad(x, -1)
    with pytest.raises(ShapeError, match=r"\[pad\] pad_width"):
        ad.pad(x, ((1, 1), (1, 1)))


@pytest.mark.parametrize("k", [-3, -1, 0, 2, 5])
def test_diagonals(k):
    x, v = np.random.default_rng(8).standard_normal((3, 4)), np.arange(1.0, 4.0)
    np.testing.assert_array_equal(np.asarray(ad.diag(x, k)), np.diag(x, k))
    np.testing.assert_array_equal(np.asarray(ad.diag(v, k)), np.diag(v, k))
    stack = np.random.default_rng(9).standard_normal((2, 3, 4))
    np.testing.assert_array_equal(np.asarray(ad.diagonal(stack, k)), np.diagonal(stack, k))
    np.testing.assert_array_equal(np.asarray(ad.diagonal(stack, k, 2, 1)), np.diagonal(stack, k, 2, 1))
    found = ad.grad(lambda v: score(ad.diag(v, k)))(v)
    np.testing.assert_allclose(np.asarray(found), differences(lambda v: score(ad.diag(v, k)), v), atol=1e-8)

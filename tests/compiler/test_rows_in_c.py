"""Rows that compiled programs compute by texts of their own: streams to the bit, errors as eager raises them, every index."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import arrayad as ad
from arrayad import nn
from arrayad.compiler.executable import Executable
from arrayad.primitive import TABLE
from arrayad.primitives.indexing import ARRAY
from arrayad.readers.run import runner
from arrayad.shaped import Shaped
from arrayad.tracing import record


def both(function: Any, *operands: Any) -> tuple[list[Any], list[Any]]:
    """What a function gives compiled, without a call of Python, and by the rows' kernels."""
    operands = tuple(np.array(x, order="C") for x in operands)
    tape = record(function, [Shaped(x.shape, x.dtype) for x in operands])
    with np.errstate(all="ignore"):
        wanted = [np.asarray(y) for y in runner(tape)(list(operands))]
    executable = Executable(tape)
    assert executable.callbacks.calls == []
    return executable(list(operands)), wanted


Case = tuple[str, list[Any], dict[str, Any]]


def agree(*cases: Case) -> None:
    """Rows give to the bit what their kernels give; one program computes all cases."""

    def function(*xs: Any) -> list[Any]:
        rest = iter(xs)
        return [TABLE[name].apply(*(next(rest) for _ in operands), **params) for name, operands, params in cases]

    found, wanted = both(function, *(x for _, operands, _ in cases for x in operands))
    for y, z in zip(found, wanted, strict=True):
        assert (y.dtype, y.shape) == (z.dtype, z.shape)
        np.testing.assert_array_equal(y, z)


def case(name: str, *operands: Any, **params: Any) -> Case:
    return name, list(operands), params


# --- random numbers ----------------------------------------------------------------------------------------------------

KEY = np.array([0x12345678, 0x9ABCDEF0], np.uint32)
COUNTERS = [0, 5, (1 << 32) - 1, (1 << 64) - 2]
"""The last two carry into the next word, or past 64 bits, within the first blocks."""

KINDS: list[tuple[str, dict[str, Any]]] = [
    *((f"random_{name}", {"dtype": np.dtype(dtype)}) for name in ("uniform", "normal") for dtype in ("float32", "float64")),
    ("random_integers", {"low": -3, "high": 10}),
    ("random_integers", {"low": -(2**63), "high": 2**63}),
    ("random_integers", {"low": 2**40, "high": 2**62 + 12345}),
]


@pytest.mark.parametrize(("name", "params"), KINDS)
def test_samples_are_those_of_the_kernels_to_the_bit(name, params):
    def function(key: Any, *counters: Any) -> list[Any]:
        shapes = [(3,), (), (7, 40), (257,)]
        return [TABLE[name].apply(key, c, shape=s, **params) for c, s in zip(counters, shapes, strict=True)]

    found, wanted = both(function, KEY, *(np.uint64(c) for c in COUNTERS))
    for y, z in zip(found, wanted, strict=True):
        assert y.tobytes() == z.tobytes()


@pytest.mark.parametrize("name", ["random_uniform", "random_normal"])
def test_long_streams_are_shared_among_threads_without_a_trace(name):
    agree(
        case(name, KEY, np.uint64((1 << 32) - 3), shape=(3 * 8192 + 77,), dtype=np.dtype(np.float64)),
    )


def test_each_stream_of_a_batch_draws_for_itself():
    keys = np.arange(12, dtype=np.uint32).reshape(2, 3, 2)
    counters = np.array([[0, 1, 2**32 - 1], [7, 2**63, 2**64 - 1]], np.uint64)
    agree(
        case("random_normal", keys, counters, shape=(5,), dtype=np.dtype(np.float32)),
        case("random_uniform", keys, counters, shape=(9000,), dtype=np.dtype(np.float64)),
        case("random_permutation", keys, counters, size=70),
        case("random_keys", keys, counters, count=4),
        case("random_integers", keys, counters, shape=(), low=0, high=100),
    )


def test_permutations_and_keys_are_those_of_the_kernels():
    sizes = [0, 1, 20, 33, 5000]
    agree(
        *(case("random_permutation", KEY, np.uint64(3), size=size) for size in sizes),
        *(case("random_keys", KEY, np.uint64(2**64 - 1), count=size) for size in sizes),
    )


def test_a_training_step_with_dropout_runs_without_python_and_draws_what_eager_draws():
    def trained(wrap: Any) -> tuple[list[Any], Any]:
        rng = ad.random.default_rng(0)
        model = nn.Sequential(nn.Linear(8, 16, rng=rng), nn.Dropout(0.5, rng=rng), nn.Linear(16, 3, rng=rng))
        optimizer = ad.optim.Adam(model.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = ad.mean(ad.square(model(x + 0.1 * rng.normal(size=x.shape))))
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        x = np.random.default_rng(1).normal(size=(5, 8))
        return [float(run(x)) for _ in range(4)], run

    eager, _ = trained(lambda step: step)
    losses, compiled = trained(ad.compile)
    np.testing.assert_allclose(losses, eager, rtol=1e-5)
    assert len(set(losses)) == 4
    assert compiled.report().python == {}


# --- matrices ----------------------------------------------------------------------------------------------------------

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
STACK = np.stack([np.eye(2), 3 * np.eye(2), SINGULAR, np.eye(2), SINGULAR, np.eye(2)]).reshape(2, 3, 2, 2)


@pytest.mark.parametrize("x", [SINGULAR, STACK])
@pytest.mark.parametrize(
    "function",
    [lambda x: ad.linalg.solve(x, np.ones((*x.shape[:-1], 3))), ad.linalg.inv, lambda x: ad.linalg.cholesky(x - 0.5)],
)
def test_a_matrix_that_fails_is_named_as_in_eager_before_anything_is_overwritten(function, x):
    state = ad.tensor(np.zeros(3))

    def step(x: Any) -> Any:
        state[:] = state + 1.0
        return function(x)

    compiled = ad.compile(step)
    compiled(np.broadcast_to(2 * np.eye(2) + 0.5, x.shape).copy())
    np.testing.assert_array_equal(state, 1.0)
    assert compiled.report().python == {}
    with pytest.raises(ad.errors.LinAlgError) as eager:
        function(x)
    with pytest.raises(ad.errors.LinAlgError) as caught:
        compiled(x)
    assert str(caught.value) == str(eager.value)
    np.testing.assert_array_equal(state, 1.0)


def test_nan_is_no_pivot_that_is_0():
    x = np.full((2, 2), np.nan)
    found, _ = both(lambda x: [ad.linalg.solve(x, np.ones((2, 1))), ad.linalg.inv(x), ad.linalg.det(x)], x)
    assert all(np.isnan(y).all() for y in found)


def test_a_matrix_that_fails_in_a_loop_stops_it():
    def function(xs: Any) -> Any:
        return ad.scan(lambda total, x: (total + ad.linalg.inv(x), None), np.zeros((2, 2)), xs)[0]

    compiled = ad.compile(function)
    np.testing.assert_allclose(compiled(np.stack([np.eye(2)] * 3)), 3 * np.eye(2))
    with pytest.raises(ad.errors.LinAlgError, match="singular"):
        compiled(np.stack([np.eye(2), SINGULAR, np.eye(2)]))


@pytest.mark.parametrize(("n", "lead"), [(1, (3,)), (5, ()), (9, (2, 3)), (40, (50,))])
def test_linear_algebra_of_stacks_is_that_of_numpy(n, lead):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(*lead, n, n)) + 2 * np.sqrt(n) * np.eye(n)
    b = rng.normal(size=(*lead, n, 3))
    spd = x @ np.swapaxes(x, -1, -2)

    def function(x: Any, b: Any, spd: Any) -> list[Any]:
        sign, logarithm = ad.linalg.slogdet(x)
        return [ad.linalg.solve(x, b), ad.linalg.inv(x), ad.linalg.cholesky(spd), ad.linalg.det(x), sign, logarithm]

    found, _ = both(function, x, b, spd)
    wanted = [np.linalg.solve(x, b), np.linalg.inv(x), np.linalg.cholesky(spd), np.linalg.det(x), *np.linalg.slogdet(x)]
    for y, z in zip(found, wanted, strict=True):
        np.testing.assert_allclose(y, z, rtol=1e-11, atol=1e-12)


def test_gradients_of_determinants_stand_at_singular_matrices():
    x = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.5, -1.0, 2.0]])
    found, _ = both(lambda x: [ad.grad(ad.linalg.det)(x)], x)
    wanted = [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(found[0], wanted, atol=1e-13)
    found, eager = both(lambda x: [ad.grad(lambda x: ad.linalg.slogdet(x)[1])(x)], SINGULAR)
    np.testing.assert_array_equal(found, [np.array([[np.inf, -np.inf], [-np.inf, np.inf]])])
    np.testing.assert_array_equal(found, eager)


# --- order -------------------------------------------------------------------------------------------------------------

DTYPES = ["bool", "int8", "uint8", "int32", "int64", "uint64", "float32", "float64"]


def ties(dtype: str, shape: tuple[int, ...]) -> Any:
    """Few different numbers, the extreme ones among them, and nan and both zeros where there are."""
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        pool = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.5, -1.5])
    elif kind.kind == "b":
        pool = np.array([False, True])
    else:
        bounds = np.iinfo(kind)
        pool = np.array([bounds.min, bounds.max, 0, 1, bounds.max - 1], kind)
    return rng.choice(pool, shape).astype(kind)


@pytest.mark.parametrize("dtype", DTYPES)
def test_order_in_every_dtype(dtype):
    x = ties(dtype, (3, 50, 2))
    clean = np.where(x != x, x.dtype.type(0), x)
    row = np.sort(x[0, :, 0])
    agree(
        *(case("argsort", x, axis=1, descending=descending) for descending in (False, True)),
        *(case("searchsorted", row, x, side=side) for side in ("left", "right")),
        case("searchsorted", np.sort(x, axis=1)[:, :, 0], x[:, :7, 1], side="left"),
        *(case(name, y, axis=(axis,)) for name in ("argmax", "argmin") for y in (x, clean) for axis in range(3)),
    )


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "uint64", "float32", "float64"])
def test_scans_in_every_dtype(dtype):
    x = np.random.default_rng(0).integers(1, 5, (3, 20, 700)).astype(dtype)
    agree(
        *(
            case(name, *operands, axis=1, reverse=reverse)
            for reverse in (False, True)
            for name, operands in (
                ("cumulative_sum", [x]),
                ("cumulative_prod", [x[:, :, :3]]),
                ("recurrence", [(x > 2).astype(dtype), x]),
            )
        )
    )


def test_values_of_another_dtype_are_searched_for_as_numpy_does():
    x = np.array([1, 3, 5], np.int64)
    agree(
        case("searchsorted", x, np.array([0.5, 3.0, 3.5, np.nan]), side="right"),
        case("searchsorted", np.array([1, 2**63 + 5], np.uint64), np.array([-1, 2, 2**62], np.int64), side="left"),
        case("searchsorted", np.empty(0), np.ones((2, 3)), side="left"),
    )


# --- indices -----------------------------------------------------------------------------------------------------------

INDICES: list[tuple[tuple[int, ...], tuple[Any, ...], list[Any]]] = [
    ((4, 5), (ARRAY,), [np.array([0, -1, 0, 2])]),
    ((4, 5), (slice(None), ARRAY), [np.array([[0, 4], [4, -5]])]),
    ((4, 5, 3), (ARRAY, slice(4, 0, -2), ARRAY), [np.array([1, 1, 3]), np.array([2, 2, 0])]),
    ((4, 5, 3), (slice(None), ARRAY, ARRAY), [np.array([[1], [-1]]), np.array([2, 2, 0])]),
    ((4, 5, 3), (None, 2, ARRAY, Ellipsis), [np.array([1, 1, 3], np.uint8)]),
    ((4, 5, 3), (ARRAY, None, 1), [np.array(3, np.int32)]),
    ((700,), (ARRAY,), [np.random.default_rng(0).integers(-700, 700, 5000)]),
]


@pytest.mark.parametrize(("shape", "index", "arrays"), INDICES)
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_writing_where_arrays_say(shape, index, arrays, dtype):
    rng = np.random.default_rng(0)
    rest = iter(arrays)
    key = tuple(next(rest) if part is ARRAY else part for part in index)
    base = rng.integers(-9, 9, shape).astype(dtype)
    value = rng.integers(-9, 9, base[key].shape).astype(dtype)
    agree(
        case("put", value, *arrays, index=index, shape=shape),
        case("set_at", base, value, *arrays, index=index),
        case("last_writes", *arrays, index=index, shape=shape),
    )
    wanted = base.copy()
    wanted[key] = value
    (found,), _ = both(lambda x, v, *a: [TABLE["set_at"].apply(x, v, *a, index=index)], base, value, *arrays)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("place", [4, -5])
def test_writing_out_of_bounds_raises_and_writes_nothing(place):
    state = ad.tensor(np.zeros(4))

    def step(k: Any) -> Any:
        state[k] = 1.0
        return state * 2.0

    compiled = ad.compile(step)
    compiled(np.array([1, 1]))
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(np.array([0, place]))
    np.testing.assert_array_equal(state, [0.0, 1.0, 0.0, 0.0])


# --- elements ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_right_shift"])
def test_shifts_beyond_the_width_are_numpys(name, dtype):
    bounds = np.iinfo(dtype)
    x = np.array([bounds.min, bounds.max, 0, 1, 5, bounds.max // 3], dtype)
    counts = np.array([0, 1, 3, 7, 8, 15, 31, 63, 64, 100], np.int8).astype(dtype)
    if bounds.min < 0:
        counts = np.append(counts, np.array([-1, -8], dtype))
    agree(
        case(name, x[:, None], counts),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sinc_and_its_slope_within_four_units(dtype):
    x = np.concatenate([np.linspace(-9, 9, 721), [0.0, -0.0, 1e-300, 1e20, -np.inf, np.inf, np.nan, 0.75, 1e9 + 0.25]])
    x = x.astype(dtype)
    found, wanted = both(lambda x: [TABLE["sinc"].apply(x), TABLE["sinc_derivative"].apply(1, x)], x)
    np.testing.assert_array_max_ulp(found[0][~np.isnan(x)], wanted[0][~np.isnan(x)], 4)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-15, atol=4 * float(np.finfo(dtype).eps))
    assert np.isnan(found[0]).tolist() == np.isnan(x).tolist()
    assert math.copysign(1.0, found[0][-6]) == 1.0


def test_diagonals_are_views_and_are_written_without_python():
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 4))
    agree(
        case("common_diagonal", x, axis1=1, axis2=3),
        case("common_diagonal", np.broadcast_to(x[:1], (3, 4, 3, 4))[:, :, :, 0], axis1=0, axis2=2),
        case("on_diagonal", x, axis1=1, axis2=2),
        case("on_diagonal", x, axis1=0, axis2=4),
    )


SPECIALS = ["lgamma", "digamma", "i0", "i1", "erfinv"]
ENDS = [0.0, -0.0, 1.0, -1.0, -2.0, np.inf, -np.inf, np.nan, 1e-300, -1e-300, 1e300, 0.5, 2.0, 8.0, 20.0, 713.0, 715.0]


def points(name: str, dtype: str) -> Any:
    rng = np.random.default_rng(0)
    inside = [rng.uniform(-1, 1, 500), 1 - rng.uniform(0, 1, 500) ** 8, rng.normal(size=200) * 1e-3]
    outside = [rng.uniform(-30, 30, 2000), rng.exponential(100.0, 300)]
    with np.errstate(over="ignore"):
        return np.concatenate([*inside, *(outside if name != "erfinv" else []), ENDS]).astype(dtype)


def same_within(y: Any, z: Any, ulps: float) -> None:
    """nan and infinity where they are, elsewhere within some units of the last place, of numbers that are not next to a root."""
    np.testing.assert_array_equal(np.isnan(y), np.isnan(z))
    usual = np.isfinite(z)
    np.testing.assert_array_equal(y[~usual], z[~usual])
    np.testing.assert_array_equal(np.signbit(y[usual]), np.signbit(z[usual]))
    eps = float(np.finfo(z.dtype).eps)
    np.testing.assert_allclose(y[usual], z[usual], rtol=ulps * eps, atol=float(np.finfo(z.dtype).tiny))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_functions_are_the_kernels_within_four_units(dtype):
    operands = [points(name, dtype) for name in SPECIALS]
    found, wanted = both(
        lambda *xs: [TABLE[name].apply(x) for name, x in zip(SPECIALS, xs, strict=True)],
        *operands,
    )
    for y, z in zip(found, wanted, strict=True):
        same_within(y, z, 4)


@pytest.mark.parametrize("name", ["polygamma", "bessel_i"])
def test_functions_of_any_order_are_the_kernels(name):
    x = np.concatenate([np.random.default_rng(0).uniform(-8, 30, 1000), np.random.default_rng(1).uniform(-800, 800, 200), ENDS])
    found, wanted = both(lambda x: [TABLE[name].apply(n, x) for n in (0, 1, 2, 3, 6, 20, 80)], x)
    for y, z in zip(found, wanted, strict=True):
        same_within(y, z, 16)


def test_derivatives_of_sinc_of_any_order_are_the_kernels():
    """Those of order 2 and more are right to 12 digits of their largest value, not of their own."""
    x = np.concatenate([np.random.default_rng(0).uniform(-1, 12, 1000), ENDS])
    found, wanted = both(lambda x: [TABLE["sinc_derivative"].apply(n, x) for n in (0, 1, 2, 3, 4, 9, 30)], x)
    for y, z in zip(found, wanted, strict=True):
        np.testing.assert_allclose(y, z, rtol=0, atol=1e-14 * np.max(np.abs(z), initial=0.0, where=np.isfinite(z)))


# --- sizes that vary -----------------------------------------------------------------------------------------------------


def test_calls_take_their_sizes_from_the_table_of_a_program_for_all():
    def function(x: Any, key: Any) -> Any:
        normal = TABLE["random_normal"].apply(key, np.uint64(7), shape=x.shape, dtype=x.dtype)
        order = TABLE["random_permutation"].apply(key, np.uint64(9), size=x.shape[0])
        stack = ad.linalg.inv(x[:, :, None] * x[:, None, :] + ad.eye(2))
        places = ad.argsort(x, axis=0), ad.searchsorted(np.arange(5.0), x), ad.argmax(x, axis=0)
        return normal, order, stack, *places, ad.cumsum(x, axis=0), ad.grad(lambda x: ad.sum(x[order % 3] ** 2))(x)

    compiled = ad.compile(function, dynamic={"x": {0: "n"}})
    for n in (700, 5, 300, 41, 9000, 64, 650, 7):
        x = np.random.default_rng(n).normal(size=(n, 2))
        for y, z in zip(compiled(x, KEY), function(ad.tensor(x), KEY), strict=True):
            np.testing.assert_allclose(y, z, rtol=1e-12, atol=1e-12)

"""Elementwise kernels in C: accuracy on every instruction set, layouts, and when NumPy takes over."""

import numpy as np
import pytest

from arrayad import kernels
from arrayad.kernels import native, special
from arrayad.kernels.elementwise import FUSED, PARALLEL, POOLED, layout

pytestmark = pytest.mark.skipif(native.why_not_native is not None, reason="there are no C kernels")

OPERATIONS = native.operations()
IN_NUMPY = {name: f"arc{name[1:]}" for name in "acos acosh asin asinh atan atan2 atanh".split()} | {"round": "rint"}
FUNCTIONS = {name: getattr(np, IN_NUMPY.get(name, name), None) for name in OPERATIONS}
UFUNCS = sorted(name for name, f in FUNCTIONS.items() if isinstance(f, np.ufunc) and f.nin == OPERATIONS[name][1])

# Where a function is not a value of libm (4 ulp) or an exact operation: logaddexp(x, y) is near 0 where its terms cancel.
ABSOLUTE = {"logaddexp": 4.0}

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 1e-40, 1e30, -1e30, 3.0, 700.0, -700.0, 88.7, -103.5]


@pytest.fixture(autouse=True)
def same_isa_after():
    before = kernels.info()["isa"]
    yield
    kernels.set_isa(before)


def in_c(name, *operands):
    """The C kernel's result, however small the operands."""
    kernel = kernels.elementwise(name, None)
    kernel.c_threshold = 0
    return kernel.in_c(operands)


def ulps(got, exact):
    """The distance in units in the last place of the exact result; 0 where both are the same infinity or nan."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        distance = np.abs(got.astype(np.longdouble) - exact) / np.spacing(np.abs(rounded))
    return np.where((got == rounded) | (np.isnan(got) & np.isnan(rounded)), 0.0, distance)


def inputs(name, dtype, rng):
    """Operands that cover the function's domain, and special values in every combination."""
    arity, n = OPERATIONS[name][1], 1000
    wide = [rng.uniform(-1, 1, n) * 10.0 ** rng.integers(-3, 3, n) for _ in range(arity)]
    grid = np.meshgrid(*[SPECIAL] * arity)
    with np.errstate(over="ignore"):
        return [np.concatenate([x, g.ravel()]).astype(dtype) for x, g in zip(wide, grid, strict=True)]


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UFUNCS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy says where the special values lead
def test_agrees_with_a_higher_precision(name, dtype, isa, rng):
    kernels.set_isa(isa)
    xs = inputs(name, dtype, rng)
    got = in_c(name, *xs)
    exact = FUNCTIONS[name](*(x.astype(np.longdouble) for x in xs))
    if got.dtype == np.bool_ or name in ("floor_divide", "remainder"):
        np.testing.assert_array_equal(got, FUNCTIONS[name](*xs))  # exact operations of the dtype
        return
    wrong = ulps(got, exact)
    if name in ABSOLUTE:
        wrong = np.where(np.abs(got - exact) <= ABSOLUTE[name] * np.finfo(dtype).eps, 0.0, wrong)
    worst = np.argmax(wrong)
    assert wrong[worst] <= 4.0, f"{[x[worst] for x in xs]} gives {got[worst]!r}, not {exact[worst]!r}"


COMPOSED = {"sigmoid": special.expit, "softplus": special.softplus, "sech2": special.sech2}


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(COMPOSED.keys() & OPERATIONS.keys()))
def test_composed_functions_keep_their_digits(name, dtype, isa, rng):
    kernels.set_isa(isa)
    x = np.concatenate([rng.uniform(-80, 80, 1000), rng.uniform(-1, 1, 1000), SPECIAL]).astype(dtype)
    exact = COMPOSED[name](x.astype(np.float64))  # itself within 2.3 ulp of float64
    np.testing.assert_array_less(ulps(in_c(name, x), exact.astype(np.longdouble)), 12.0)


SHAPES = [
    ((5, 7), (5, 7)),
    ((5, 7), ()),
    ((5, 7), (1, 1)),
    ((5, 7), (7,)),
    ((5, 7), (1, 7)),
    ((5, 7), (5, 1)),
    ((5, 1), (7,)),
    ((2, 3, 4), (3, 4)),
    ((2, 3, 4), (2, 1, 1)),
    ((2, 3, 4), (2, 3, 1)),
    ((1, 300), (300,)),
    ((40, 600), (600,)),
    ((40, 600), (40, 1)),
    ((0, 3), (3,)),
    ((3, 1, 5), (3, 4, 1)),
    ((2, 3, 4), (3, 1)),
]


@pytest.mark.parametrize("first, second", SHAPES + [(b, a) for a, b in SHAPES])
def test_broadcasting(first, second, rng):
    x, y = (np.asarray(rng.standard_normal(shape), np.float32) for shape in (first, second))
    out = in_c("subtract", x, y)
    expected = np.subtract(x, y)
    if layout(first, second) is None:
        assert out is None
        out = kernels.elementwise("subtract", np.subtract)(x, y)
    assert out.shape == expected.shape and out.dtype == expected.dtype
    np.testing.assert_array_equal(out, expected)


def test_only_layouts_that_are_no_matrix_are_refused():
    assert layout((2, 3, 4), (3, 1)) is None
    assert layout((2, 3), (4, 3)) is None
    assert layout((2, 3, 4), (4,), (2, 1, 1)) is None
    assert layout((2, 3, 4), (4,), (2, 3, 1)) == ((2, 3, 4), 24, 6, 4, 0 | 2 << 4 | 3 << 8)


@pytest.mark.parametrize("scalar", [2, 2.5, np.float32(2.5), np.array(2.5, np.float32)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scalars_are_promoted_as_numpy_does(scalar, dtype):
    x = np.linspace(0, 1, PARALLEL, dtype=dtype)
    large = kernels.elementwise("multiply", np.multiply)
    for operands in ((x, scalar), (scalar, x)):
        got, expected = large(*operands), np.multiply(*operands)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def test_booleans_count_as_numbers(rng):
    x, mask = rng.standard_normal((40, 30)), rng.random((40, 30)) < 0.5
    np.testing.assert_array_equal(in_c("multiply", x, mask), x * mask)
    np.testing.assert_array_equal(in_c("add", mask[0], x), mask[0] + x)
    assert in_c("multiply", mask, mask) is None


def test_what_c_cannot_read_is_left_to_numpy(rng):
    x = rng.standard_normal((60, 50))
    assert in_c("add", x.T, x.T) is None
    assert in_c("add", x[:, ::2], 1.0) is None
    assert in_c("add", x, x.astype(np.float32)) is None
    assert in_c("add", x, np.float32(1)) is None
    assert in_c("add", x, 1j) is None
    assert in_c("add", x.astype(">f8"), 1.0) is None
    assert in_c("add", np.arange(5), 1.0) is None
    assert in_c("add", np.ma.masked_array(x), 1.0) is None
    bytes_ = np.zeros(8 * 100 + 1, np.uint8)
    misaligned = bytes_[1:].view(np.float64)
    assert in_c("add", misaligned, 1.0) is None
    large = kernels.elementwise("add", np.add)
    for a in (np.asfortranarray(rng.standard_normal((300, 300))), np.arange(POOLED), np.ones(POOLED, complex)):
        expected = np.add(a, a)
        assert large(a, a).dtype == expected.dtype
        np.testing.assert_array_equal(large(a, a), expected)
    with pytest.raises(ValueError):
        large(np.ones((200, 100)), np.ones((100, 200)))


def test_a_ufunc_writes_into_memory_of_the_pool():
    large = kernels.elementwise("no such operation", np.add)
    x = np.ones((POOLED, 2), np.int64)
    assert large.threshold == POOLED
    assert type(large(x, x).base).__name__ == "mmap"
    assert large(x, 1).tolist() == (x + 1).tolist()
    assert large(x, 1.0).dtype == np.float64


def test_thresholds():
    fused = kernels.elementwise(next(name for name in OPERATIONS if "_vjp" in name), lambda *xs: None)
    assert fused.threshold == FUSED
    assert kernels.elementwise("add", np.add).c_threshold == PARALLEL
    assert kernels.elementwise("no such operation", lambda x: x).threshold > 1 << 60


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_result_depends_on_the_values_alone(name, rng):
    """Not on the place in the array, and not on the number of threads."""
    n = PARALLEL + 77
    xs = [rng.uniform(0.1, 0.9, n).astype(np.float32) for _ in range(OPERATIONS[name][1])]
    before = kernels.info()["threads"]
    try:
        results = []
        for threads in (1, 2, 3):
            kernels.set_threads(threads)
            results.append(in_c(name, *xs))
    finally:
        kernels.set_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[0][-77:], in_c(name, *(x[-77:] for x in xs)))


def test_empty():
    out = in_c("add", np.empty((0, 4)), np.empty(4))
    assert out.shape == (0, 4)

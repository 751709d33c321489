"""The special functions against mpmath, in units in the last place of the true value, tails and subnormals included."""

import mpmath as mp
import numpy as np
import pytest

from arrayad.kernels import special

SEED = 20261
COUNT = 400  # points per range


def near_one(count, rng):
    return 1 - 10 ** rng.uniform(-16, 0, count)


# Ranges that hold the tails, the seams between approximations, and where results become subnormal in float32 and float64.
POINTS = {
    "erf": [(-7, 7), (0.7, 0.8), (-1e-3, 1e-3), (-1e-310, 1e-310)],
    "erfc": [(-7, 7), (0.7, 0.8), (0, 11), (0, 27.3), (26.5, 27.3), (-1e-3, 1e-3)],
    "expit": [(-45, 45), (-105, -80), (-746, -700), (-746, 800)],
    "softplus": [(-45, 45), (-105, -80), (-746, -700), (-746, 800)],
    "sech2": [(-5, 5), (-55, 55), (350, 373), (-375, 375)],
    "sigmoid_prime": [(-9, 9), (-105, 105), (700, 746), (-746, 746)],
}
EDGES = [0.0, -0.0, 0.75, -0.75, 5.9, 6.0, 10.05, 26.54, 27.2, 28.0, 40.0, -40.0, 1e-300, -1e-300, 5e-324, 700.0, -708.5, -745.1]

REFERENCES = {
    "erf": mp.erf,
    "erfc": mp.erfc,
    "expit": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "sech2": lambda x: mp.sech(x) ** 2,
    "sigmoid_prime": lambda x: 1 / (mp.exp(x / 2) + mp.exp(-x / 2)) ** 2,
}

# Largest error allowed, in ulp. The slack over the values that special.py states is for exp and log1p: 0.52 ulp where
# those were measured, but other builds of NumPy call a libm that promises 1.
FLOAT64_ULP = {
    "erf": 2.0, "erfc": 3.5, "expit": 2.5, "softplus": 2.0, "sech2": 3.0, "sigmoid_prime": 3.0, "ndtri": 3.0, "erfinv": 3.5,
}  # fmt: skip
FLOAT32_ULP = 0.501  # one rounding of a float64 result


def points(name, dtype):
    rng = np.random.default_rng(SEED)
    x = np.concatenate([rng.uniform(low, high, COUNT) for low, high in POINTS[name]] + [np.array(EDGES)])
    return x.astype(dtype)


def error_in_ulp(got, reference):
    """|got - reference| in units of the spacing of got's dtype at the reference."""
    spacing = np.spacing(np.abs(got.dtype.type(float(reference))))
    return float(abs(mp.mpf(float(got)) - reference) / mp.mpf(float(spacing)))


def worst(xs, ys, reference):
    with mp.workdps(40), np.errstate(under="ignore"):
        errors = [error_in_ulp(y, reference(mp.mpf(float(x)))) for x, y in zip(xs, ys, strict=True)]
    return max(zip(errors, xs, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REFERENCES)
def test_accuracy(name, dtype):
    x = points(name, dtype)
    y = getattr(special, name)(x)
    assert y.dtype == dtype
    error, where = worst(x, y, REFERENCES[name])
    assert error <= (FLOAT64_ULP[name] if dtype is np.float64 else FLOAT32_ULP), f"{name}({where!r}) is off by {error} ulp"


def refined(x, tail):
    """The root of P(X > root) = tail next to the float x > 0, by a Newton step on the logarithm: 30 digits from 16."""
    x = mp.mpf(float(x))
    value = mp.erfc(x / mp.sqrt(2)) / 2
    return x + mp.log(value / tail) * value * mp.sqrt(2 * mp.pi) * mp.exp(x * x / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["ndtri", "erfinv"])
def test_accuracy_of_inverses(name, dtype):
    rng = np.random.default_rng(SEED)
    p = np.concatenate([rng.uniform(0, 1, COUNT), 10 ** rng.uniform(-45, 0, COUNT), near_one(COUNT, rng)])
    seams = [0.075, np.nextafter(0.075, 0), 0.925, np.exp(-25), np.nextafter(np.exp(-25), 0), 0.85, np.nextafter(0.85, 1)]
    if name == "ndtri":
        p = np.concatenate([p, 10 ** rng.uniform(-323, 0, COUNT), 0.5 + 10 ** rng.uniform(-17, -1, COUNT), seams])
    else:
        p = np.concatenate([p * rng.choice([-1, 1], p.size), seams])
    p = p.astype(dtype)
    p = p[(p != 0) & (np.abs(p) < 1) & ((p != 0.5) | (name == "erfinv"))]
    y = getattr(special, name)(p)
    assert y.dtype == dtype
    limit = FLOAT64_ULP[name] if dtype is np.float64 else FLOAT32_ULP
    with mp.workdps(75):  # (1 - p) / 2 of a p down to 1e-45 keeps 30 digits
        scale = mp.sqrt(2) if name == "erfinv" else mp.mpf(1)
        for pi, yi in zip(p, y, strict=True):
            exact = mp.mpf(float(pi))
            tail = (1 - abs(exact)) / 2 if name == "erfinv" else min(exact, 1 - exact)
            sign = mp.sign(exact if name == "erfinv" else exact - mp.mpf(1) / 2)
            error = error_in_ulp(yi, sign * refined(abs(mp.mpf(float(yi))) * scale, tail) / scale)
            assert error <= limit, f"{name}({pi!r}) is off by {error} ulp"


ALL = [*REFERENCES, "ndtri", "erfinv"]
LIMITS = {  # at -inf, -0.0, 0.0, inf
    "erf": (-1.0, -0.0, 0.0, 1.0),
    "erfc": (2.0, 1.0, 1.0, 0.0),
    "expit": (0.0, 0.5, 0.5, 1.0),
    "softplus": (0.0, np.log(2), np.log(2), np.inf),
    "sech2": (0.0, 1.0, 1.0, 0.0),
    "sigmoid_prime": (0.0, 0.25, 0.25, 0.0),
    "ndtri": (np.nan, -np.inf, -np.inf, np.nan),
    "erfinv": (np.nan, -0.0, 0.0, np.nan),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ALL)
def test_limits_and_no_warning(name, dtype):
    special_values = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan], dtype)
    biggest = np.finfo(dtype).max
    ordinary = np.concatenate([[biggest, -biggest, 1e30, -1e30], np.linspace(-1000, 1000, 999), np.linspace(-2, 2, 99)])
    # Underflow is what erfc(40) is; NumPy ignores it unless asked.
    with np.errstate(all="raise", under="ignore"):
        y = getattr(special, name)(special_values)
        getattr(special, name)(ordinary.astype(dtype))
    expected = np.array([*LIMITS[name], np.nan], dtype)
    np.testing.assert_array_equal(y, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[numbers]), np.signbit(expected[numbers]))


def test_poles_of_the_inverses():
    np.testing.assert_array_equal(special.ndtri([0.0, 0.5, 1.0, -1e-300, 1.1]), [-np.inf, 0.0, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(special.erfinv([-1.0, 1.0, 1.1, -2.0]), [-np.inf, np.inf, np.nan, np.nan])


@pytest.mark.parametrize("name", ALL)
def test_shapes_and_dtypes(name):
    f = getattr(special, name)
    x = np.random.default_rng(SEED).uniform(0, 1, (6, 7))
    before = x.copy()
    y = f(x)
    assert y.shape == x.shape and y.dtype == np.float64
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(f(x.T), y.T)
    np.testing.assert_array_equal(f(x[::2, ::-3]), y[::2, ::-3])
    np.testing.assert_array_equal(f(x.astype(">f8")), y)
    for empty in (np.empty(0), np.empty((3, 0, 2), np.float32)):
        assert f(empty).shape == empty.shape and f(empty).dtype == empty.dtype
    assert isinstance(f(np.array(0.25)), np.float64) and isinstance(f(np.float32(0.25)), np.float32) and f(0.25).shape == ()
    for dtype in (np.bool_, np.int8, np.uint16, np.int64, np.float16):
        assert f(np.ones(2, dtype)).dtype == np.sin(np.ones(2, dtype)).dtype
    with pytest.raises(TypeError, match=rf"\[{name}\] x has dtype complex128"):
        f(np.ones(2, complex))


@pytest.mark.parametrize("name", ALL)
def test_blocks_join(name):
    """An element does not depend on its place: across the borders of blocks and in runs of any mixture of ranges."""
    rng = np.random.default_rng(SEED)
    n = 2 * special.BLOCK + 3
    x = rng.uniform(0, 1, n) if name in ("ndtri", "erfinv") else rng.normal(0, 3, n)
    y = getattr(special, name)(x)
    order = rng.permutation(n)
    np.testing.assert_array_max_ulp(getattr(special, name)(x[order]), y[order], maxulp=1)
    few = np.r_[0:5, special.BLOCK - 2 : special.BLOCK + 2, n - 2 : n]
    for i in few:
        np.testing.assert_array_max_ulp(getattr(special, name)(x[i]), y[i], maxulp=1)


# mpmath 1.4 warns of the order of coefficients, which is the only one that 1.3 knows.
@pytest.mark.filterwarnings("ignore:Descending:DeprecationWarning")
def test_coefficients_are_the_fits_they_claim_to_be():
    """Fit again, with mpmath, and compare: the last coefficient printed is the constant term."""
    with mp.workdps(50):

        def erf_over_x(z):
            return mp.erf(mp.sqrt(z)) / mp.sqrt(z)

        def flat_erfc(t):
            a = mp.mpf(3.5) * (1 + t) / (1 - t)
            return (a + 0.5) * mp.exp(a * a) * mp.erfc(a)

        def log_series(z):
            return (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z

        def substitution(a):
            return (mp.mpf(a) - 3.5) / (mp.mpf(a) + 3.5)

        for table, function, interval in (
            (special.ERF, erf_over_x, [0, 0.5625]),
            (special.ERFC, flat_erfc, [substitution(0.75), substitution(28)]),
            (special.LOG_SERIES, log_series, [0, (3 - 2 * mp.sqrt(2)) ** 2]),
        ):
            assert table == tuple(float(c) for c in mp.chebyfit(function, interval, len(table)))

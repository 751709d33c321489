"""Philox and its samples: known answers, agreement of NumPy and C to the bit, and the distributions.

The statistics are of fixed seeds, so they pass or fail for good; the thresholds are those of a probability of 1e-4.
"""

import ctypes
import itertools
import shutil
import subprocess
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from arrayad.kernels import philox, special

KEY = philox.seed_to_key(20261)
HEADER = Path(__file__).parents[2] / "arrayad" / "compiler" / "emitted" / "philox.h"


def words(count, start=0, key=KEY):
    """Words start, ..., start + count - 1 of the stream that begins at counter 0."""
    first = start // 4
    return philox.philox4x32(key, first, (start + count + 3) // 4 - first)[start % 4 :][:count]


# --- bits ------------------------------------------------------------------------------------------------------------

# kat_vectors of Random123, philox4x32 with 10 rounds.
KNOWN_ANSWERS = [
    ((0x00000000,) * 4, (0x00000000,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize("counter, key, answer", KNOWN_ANSWERS)
def test_known_answers(counter, key, answer):
    as_integer = sum(word << 32 * i for i, word in enumerate(counter))
    for start in (counter, as_integer, np.array(counter, np.uint32)):
        out = philox.philox4x32(np.array(key, np.uint32), start, 1)
        assert out.dtype == np.uint32
        assert out.tolist() == list(answer)


@pytest.mark.parametrize("start", [0, 2**32 - 2, 2**64 - 2, 2**96 - 2, 2**128 - 2, 12345])
def test_consecutive_counters_carry_and_wrap(start):
    one_by_one = [philox.philox4x32(KEY, (start + i) % 2**128, 1) for i in range(4)]
    np.testing.assert_array_equal(philox.philox4x32(KEY, start, 4), np.concatenate(one_by_one))


def test_blocks_join():
    n = philox.BLOCK + 5
    whole = philox.philox4x32(KEY, 2**64 - 7, n)
    assert whole.shape == (4 * n,)
    tail = philox.philox4x32(KEY, 2**64 - 7 + philox.BLOCK - 3, 8)
    np.testing.assert_array_equal(whole[4 * (philox.BLOCK - 3) :], tail)
    assert philox.philox4x32(KEY, 0, 0).shape == (0,)


def test_seeds():
    # The first outputs of Vigna's splitmix64.c from the states 0 and 1234567.
    for seed, output in ((0, 0xE220A8397B1DCDAF), (1234567, 6457827717110365317)):
        assert philox.seed_to_key(seed).tolist() == [output & 0xFFFFFFFF, output >> 32]
    seeds = [*range(1000), *(1 << i for i in range(10, 300)), *((1 << 64) + i for i in range(100)), np.uint8(200), True]
    keys = {tuple(philox.seed_to_key(seed).tolist()) for seed in seeds}
    assert len(keys) == len({int(seed) for seed in seeds})
    assert philox.seed_to_key(2**200).dtype == np.uint32
    with pytest.raises(ValueError, match=r"\[seed_to_key\] seed is -1"):
        philox.seed_to_key(-1)
    with pytest.raises(TypeError):
        philox.seed_to_key(1.5)


def test_every_bit_is_fair_and_blocks_are_unrelated():
    n = 1 << 16
    bits = np.unpackbits(words(n).view(np.uint8)).reshape(n, 32)
    z = (bits.sum(axis=0) - n / 2) / np.sqrt(n / 4)
    assert np.abs(z).max() < 4.7  # 32 of them
    for lag in (1, 2, 3, 4, 8):
        flips = (bits[lag:] ^ bits[:-lag]).sum(axis=0)
        assert np.abs((flips - (n - lag) / 2) / np.sqrt((n - lag) / 4)).max() < 4.7


# --- samples ---------------------------------------------------------------------------------------------------------


def kolmogorov(sample, distribution):
    """sqrt(n) times the largest distance between the sample's distribution and the given one; above 2.23 once in 10^4."""
    n = sample.size
    f = distribution(np.sort(sample.astype(np.float64)))
    return np.sqrt(n) * max((np.arange(1, n + 1) / n - f).max(), (f - np.arange(n) / n).max())


def chi_square_score(counts, expected):
    """The chi-square statistic, as a normal score by Wilson and Hilferty; above 3.72 once in 10^4."""
    k = counts.size - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    return ((statistic / k) ** (1 / 3) - (1 - 2 / (9 * k))) / np.sqrt(2 / (9 * k))


DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform(dtype):
    per = philox.words_per_sample(dtype)
    digits = 24 if dtype is np.float32 else 53
    ends = philox.uniform(np.repeat(np.array([0, 0xFFFFFFFF], np.uint32), per), dtype)
    assert ends.tolist() == [0.0, 1 - 2.0**-digits]
    assert ends.dtype == dtype
    x = philox.uniform(words(200_000 * per), dtype)
    assert x.shape == (200_000,)
    scaled = x.astype(np.float64) * 2.0**digits
    assert (scaled == np.floor(scaled)).all() and (scaled % 2 == 1).any()
    assert kolmogorov(x, lambda x: x) < 2.23
    assert abs(chi_square_score(np.bincount((x * 100).astype(int), minlength=100), x.size / 100)) < 3.72
    for power in range(1, 5):  # moments: mean 1/(p + 1), variance 1/(2p + 1) - 1/(p + 1)**2
        deviation = np.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / x.size)
        assert abs((x.astype(np.float64) ** power).mean() - 1 / (power + 1)) < 3.9 * deviation


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_distribution(dtype):
    x = philox.normal(words(200_000 * philox.words_per_sample(dtype)), dtype)
    assert x.dtype == dtype and x.shape == (200_000,)
    assert kolmogorov(x, lambda x: 0.5 * special.erfc(-x / np.sqrt(2))) < 2.23
    x = x.astype(np.float64)
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        twice = {1: 1, 2: 3, 3: 15, 4: 105, 6: 10395}[power]
        assert abs((x**power).mean() - moment) < 3.9 * np.sqrt((twice - moment**2) / x.size)
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 3.9 / np.sqrt(x.size)


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_is_the_inverse_distribution_function(dtype):
    """Both tails, the ends and the seams (0.075 and exp(-25)) against mpmath, to 4 ulp and to one rounding."""
    b = 32 if dtype is np.float32 else 64
    seams = [int(p * 2**b) for p in (0.075, float(np.exp(-25)), 0.25)]
    magnitudes = [0, 1, 2, 3, 100, *(s + d for s in seams for d in (-1, 0, 1)), 2 ** (b - 1) - 2 ** (b - 10), 2 ** (b - 2)]
    magnitudes = [m for m in magnitudes if m >= 0]
    as_words = np.array(magnitudes, f"u{b // 8}").astype(f"<u{b // 8}").view("<u4").astype(np.uint32)
    sign = np.zeros_like(as_words)
    sign[b // 32 - 1 :: b // 32] = 0x80000000
    x = philox.normal(as_words, dtype)
    np.testing.assert_array_equal(philox.normal(as_words | sign, dtype), -x)
    assert x[0] == x.max() > (6.3 if b == 32 else 9.1)
    limit = 0.501 if b == 32 else 4.0
    with mp.workdps(40):
        for m, value in zip(magnitudes, x, strict=True):
            tail, root = (m + mp.mpf(1) / 2) / 2**b, mp.mpf(float(value))
            density = mp.exp(-root * root / 2) / mp.sqrt(2 * mp.pi)
            upper = mp.erfc(root / mp.sqrt(2)) / 2
            reference = root + mp.log(upper / tail) * upper / density
            error = abs(root - reference) / mp.mpf(float(np.spacing(value)))
            assert error <= limit, f"magnitude {m}: off by {float(error)} ulp"


def test_one_sample_reads_its_own_words_only():
    bits = words(4000)
    for dtype in DTYPES:
        per = philox.words_per_sample(dtype)
        for f in (philox.uniform, philox.normal):
            np.testing.assert_array_equal(f(bits, dtype)[300:500], f(bits[300 * per : 500 * per], dtype))
            np.testing.assert_array_equal(f(bits, dtype), f(np.stack([bits, bits], axis=1)[:, 0], dtype))
    with pytest.raises(TypeError, match="it must be float32 or float64"):
        philox.uniform(bits, np.float16)


RANGES = [
    (0, 10),
    (-3, 4),
    (0, 1),
    (0, 2**32 - 1),
    (0, 2**32),
    (-5, 2**32 + 17),
    (-(2**63), 2**63),
    (-(2**63), 2**63 - 1),
    (7, 2**63),
]


@pytest.mark.parametrize("low, high", RANGES)
def test_integers(low, high):
    bits = np.concatenate([words(600), np.array([0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0, 0xFFFFFFFF], np.uint32)])
    out = philox.integers(bits, low, high)
    pairs = [int(w0) + (int(w1) << 32) for w0, w1 in bits.reshape(-1, 2)]
    assert out.dtype == np.int64
    assert out.tolist() == [low + (w * (high - low) >> 64) for w in pairs]
    assert out.min() >= low and out.max() < high


def test_integers_are_uniform_and_refuse_empty_ranges():
    out = philox.integers(words(200_000), -7, 30)
    assert abs(chi_square_score(np.bincount(out + 7, minlength=37), out.size / 37)) < 3.72
    for low, high in ((3, 3), (4, 3), (0, 2**63 + 1), (-(2**63) - 1, 0)):
        with pytest.raises(ValueError, match=r"\[integers\] low is"):
            philox.integers(words(2), low, high)


def test_permutation():
    p = philox.permutation(words(2000))
    np.testing.assert_array_equal(np.sort(p), np.arange(1000))
    assert philox.permutation(words(0)).shape == (0,)
    ties = np.repeat(words(2000) % 3, 2)  # both words of a key alike: three keys, a thousand of each or so
    expected = sorted(range(2000), key=lambda i: ties[2 * i])
    assert philox.permutation(ties).tolist() == expected  # sorted is stable: ties by place
    orders = np.array([philox.permutation(row) for row in words(8 * 12_000).reshape(-1, 8)])
    counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    assert counts.size == 24
    assert abs(chi_square_score(counts, 500)) < 3.72


# --- the C twin ------------------------------------------------------------------------------------------------------

FILLS = {
    "bits": (np.uint32, 1, lambda bits: bits),
    "uniform_f32": (np.float32, 1, lambda bits: philox.uniform(bits, np.float32)),
    "uniform_f64": (np.float64, 2, philox.uniform),
    "normal_f32": (np.float32, 1, lambda bits: philox.normal(bits, np.float32)),
    "normal_f64": (np.float64, 2, philox.normal),
}
WRAPPER = (
    f'#include "{HEADER}"\n'
    + """
#define EXPORT(name, T) \\
    void name(const uint32_t *, const uint32_t *, int64_t, int64_t, T *); \\
    void name(const uint32_t *k, const uint32_t *c, int64_t start, int64_t n, T *out) \\
    { philox_fill_##name(k, c, start, n, out); }
EXPORT(bits, uint32_t)
EXPORT(uniform_f32, float)
EXPORT(uniform_f64, double)
EXPORT(normal_f32, float)
EXPORT(normal_f64, double)
void integers(const uint32_t *, const uint32_t *, int64_t, uint64_t, int64_t, int64_t, int64_t *);
void integers(const uint32_t *k, const uint32_t *c, int64_t low, uint64_t span, int64_t start, int64_t n, int64_t *out)
{ philox_fill_integers(k, c, low, span, start, n, out); }
void quantiles(int, const double *, double *);
void quantiles(int n, const double *tail, double *x)
{ philox_quantiles(n, tail, x); }
"""
)


@pytest.fixture(scope="module", params=["-O2", "-O3 -march=native"])
def twin(request, tmp_path_factory):
    """philox.h as a shared library; vectorised, too, it must give the same bits."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) on the path")
    folder = tmp_path_factory.mktemp("philox")
    source, library = folder / "philox.c", folder / "philox.so"
    source.write_text(WRAPPER)
    strict = "-std=c11 -ffp-contract=off -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Werror -shared -fPIC".split()
    subprocess.run([compiler, *strict, *request.param.split(), "-o", library, source, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def fill(twin, name, counter, start, n, *arguments):
    dtype = np.int64 if name == "integers" else FILLS[name][0]
    out = np.empty(n + 1, dtype)
    out[n] = 77  # written by nobody
    counter = np.array([counter >> 32 * i & 0xFFFFFFFF for i in range(4)], np.uint32)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (KEY, counter, out)]
    integers = [ctypes.c_int64(number) for number in (*arguments, start, n)]
    getattr(twin, name)(*pointers[:2], *integers, pointers[2])
    assert out[n] == 77
    return out[:n]


def same_bits(x, y):
    np.testing.assert_array_equal(x.view(np.uint8), y.view(np.uint8))


@pytest.mark.parametrize("counter", [0, 2**64 - 100, 2**128 - 50])
@pytest.mark.parametrize("name", FILLS)
def test_c_equals_numpy(twin, name, counter):
    dtype, per, from_bits = FILLS[name]
    n = 100_003
    bits = philox.philox4x32(KEY, counter, (n * per + 3) // 4)
    expected = from_bits(bits)[:n]
    assert expected.dtype == dtype
    same_bits(fill(twin, name, counter, 0, n), expected)


@pytest.mark.parametrize("name", FILLS)
def test_c_in_chunks_is_the_same_stream(twin, name):
    whole = fill(twin, name, 5, 0, 3000)
    cuts = [0, 1, 2, 5, 63, 64, 65, 128, 256, 511, 512, 1000, 1000, 2047, 3000]
    same_bits(np.concatenate([fill(twin, name, 5, a, b - a) for a, b in itertools.pairwise(cuts)]), whole)
    # Far into the stream: sample 2**40 is the first of block 2**40 * words / 4.
    _, per, from_bits = FILLS[name]
    bits = philox.philox4x32(KEY, 5 + 2**40 * per // 4, 100)
    same_bits(fill(twin, name, 5, 2**40, 100), from_bits(bits)[:100])


@pytest.mark.parametrize("low, high", RANGES)
def test_c_integers(twin, low, high):
    expected = philox.integers(philox.philox4x32(KEY, 9, 500), low, high)
    span = (high - low) % 2**64
    same_bits(fill(twin, "integers", 9, 0, 1000, low, span), expected)
    same_bits(fill(twin, "integers", 9, 333, 100, low, span), expected[333:433])


def test_far_tail_of_c_equals_numpy(twin):
    """The stream all but never reaches r > 5 (once in 10^10), so give the quantile its tails directly."""
    tail = np.concatenate([2.0 ** -np.linspace(1, 65, 5001), [0.075, np.exp(-25.0), 2.0**-65]])
    x = np.empty_like(tail)
    twin.quantiles(ctypes.c_int(tail.size), ctypes.c_void_p(tail.ctypes.data), ctypes.c_void_p(x.ctypes.data))
    same_bits(x, special.normal_quantile(0.5 - tail, tail))

"""Random numbers as pure functions of a key, a counter and nothing else: Philox4x32-10, and what is made of its bits.

A **key** (two 32-bit words, `seed_to_key`) and a 128-bit **counter** name a block of four random words; blocks of
consecutive counters make a stream, of which any part can be computed alone (`philox4x32`). The other functions turn words
into samples, without rejection: sample i always comes from the words i*k to i*k + k - 1, so any number of threads can
share the work. They use integer operations and +, -, *, / and sqrt, which IEEE 754 rounds correctly, in a fixed order.
So NumPy and `compiler/emitted/philox.h` produce the same stream to the last bit, on every machine.

| samples | words each | what |
|---|---|---|
| `uniform` float32, float64 | 1, 2 | multiples of 2**-24, 2**-53 in [0, 1) |
| `normal` float32, float64 | 1, 2 | inverse distribution function; beyond 6.3, 9.2 standard deviations nothing |
| `integers` | 2 | 64-bit multiply and shift |
| `permutation` | 2 | stable sort by 64-bit keys |

Two words w0, w1 are read as the 64-bit word w0 + 2**32 w1. Bits included, one sample takes 10 ns (uniform float32), 23
(uniform float64), 31 (normal float32) or 43 (normal float64) here, and 2.5, 6, 18 or 24 in C at -O2 on one 2.8 GHz core;
C with AVX-512 takes 1, 2.5, 8 or 10.

**Source** J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11,
doi 10.1145/2063384.2063405.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

from .special import normal_quantile

__all__ = ["integers", "normal", "permutation", "philox4x32", "seed_to_key", "uniform", "words_per_sample"]

# Blocks, or samples, computed at a time, so that the temporaries stay in the second-level cache.
BLOCK = 16384

_LOW_32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def seed_to_key(seed: int) -> NDArray[np.uint32]:
    """The key of a seed: its 64-bit digits, lowest first, absorbed one by one with SplitMix64's mixing function.

    Seeds below 2**64 have distinct keys, and neighbouring seeds unrelated ones.

    **Parameters** seed: any integer >= 0.
    **Returns** Two words, uint32.
    **Raises** ValueError if the seed is negative, TypeError if it is not an integer.
    **Source** G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014,
    doi 10.1145/2660193.2660195; the mixer is D. Stafford's variant 13, as in S. Vigna's splitmix64.c.

    **Example**

    >>> [hex(word) for word in seed_to_key(0)]
    ['0x7b1dcdaf', '0xe220a839']
    """
    seed = operator.index(seed)
    if seed < 0:
        raise ValueError(f"[seed_to_key] seed is {seed}; it must be an integer >= 0.")
    modulus, state = 1 << 64, 0
    while True:
        state = ((state ^ seed) + 0x9E3779B97F4A7C15) % modulus
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % modulus
        state = (state ^ state >> 27) * 0x94D049BB133111EB % modulus
        state ^= state >> 31
        seed >>= 64
        if not seed:
            return np.array([state & 0xFFFFFFFF, state >> 32], np.uint32)


def _ten_rounds(key: ArrayLike, start: int, count: int) -> list[NDArray[np.uint64]]:
    """The four words of each of `count` blocks, as four vectors of uint64."""
    k0, k1 = (int(word) for word in np.asarray(key))
    low = np.arange(count, dtype=np.uint64) + np.uint64(start & (1 << 64) - 1)
    high = (low < low[0]) + np.uint64(start >> 64)  # the carry
    c0, c1, c2, c3 = low & _LOW_32, low >> _32, high & _LOW_32, high >> _32
    p0, p1 = low, high
    for _ in range(10):
        np.multiply(c0, np.uint64(0xD2511F53), out=p0)
        np.multiply(c2, np.uint64(0xCD9E8D57), out=p1)
        for c, odd, k, p in (c0, c1, k0, p1), (c2, c3, k1, p0):
            np.right_shift(p, _32, out=c)
            np.bitwise_xor(c, odd, out=c)
            np.bitwise_xor(c, np.uint64(k), out=c)
            np.bitwise_and(p, _LOW_32, out=odd)
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def philox4x32(key: ArrayLike, counter_start: int | Sequence[int], blocks: int) -> NDArray[np.uint32]:
    """Philox4x32-10: the random words of `blocks` consecutive counters.

    **Parameters** key: two 32-bit words. counter_start: the first counter, as an integer, taken modulo 2**128, or as
    four 32-bit words, lowest first. blocks: how many counters, >= 0.
    **Returns** uint32[4 * blocks].

    **Example**

    >>> [hex(word) for word in philox4x32((0, 0), 0, blocks=1)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    if isinstance(counter_start, (int, np.integer)):
        start = int(counter_start)
    else:
        start = sum(int(word) << 32 * i for i, word in enumerate(counter_start))
    out = np.empty((blocks, 4), np.uint32)
    for i in range(0, blocks, BLOCK):
        part = out[i : i + BLOCK]
        for j, words in enumerate(_ten_rounds(key, (start + i) % (1 << 128), len(part))):
            part[:, j] = words
    return out.reshape(-1)


def words_per_sample(dtype: DTypeLike) -> int:
    """How many words `uniform` and `normal` read for one sample: 1 for float32, 2 for float64.

    **Example**

    >>> words_per_sample(np.float32), words_per_sample(np.float64)
    (1, 2)
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"[random] dtype is {dtype}; it must be float32 or float64; convert the samples with astype.")
    return dtype.itemsize // 4


def _words_64(bits: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Pairs of words as 64-bit words, the low one first, whatever the machine's byte order."""
    pairs = np.ascontiguousarray(bits, dtype="<u4")[: len(bits) // 2 * 2].view("<u8")
    return pairs.astype(np.uint64, copy=False)


def uniform(bits: NDArray[np.uint32], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Uniform samples in [0, 1): y[i] = floor(w[i] / 2**8) 2**-24 in float32, floor(w[i] / 2**11) 2**-53 in float64.

    **Parameters** bits: vector of uint32; one word a sample in float32, two in float64 (w[i] then has 64 bits).

    **Example**

    >>> uniform(np.array([0, 0x80000000], np.uint32)).tolist()
    [0.5]
    """
    if words_per_sample(dtype) == 1:
        return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    return (_words_64(bits) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(bits: NDArray[np.uint32], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Standard normal samples, by inversion: y[i] = +-x with P(X > x) = (m + 1/2) 2**-b.

    The top bit of the i-th word is the sign (1 for minus), the other b - 1 bits are m; b = 32 in float32 and 64 in
    float64. The tail probability is computed from m, not from 1 minus something, so both tails keep all their digits; they
    end at 6.3 and 9.2. float32 samples are computed in float64 and rounded once.

    **Parameters** bits: vector of uint32; one word a sample in float32, two in float64.
    **Source** `normal_quantile` in special.py: Wichura's AS 241, to 2.7 ulp.

    **Example**

    >>> normal(np.array([0, 0x40000000, 0, 0xC0000000], np.uint32)).tolist()
    [0.6744897501960817, -0.6744897501960817]
    """
    single = words_per_sample(dtype) == 1
    words: NDArray[Any] = np.ascontiguousarray(bits) if single else _words_64(bits)
    signed: type[np.signedinteger[Any]] = np.int32 if single else np.int64
    magnitude, scale = (0x7FFFFFFF, 2.0**-32) if single else (0x7FFFFFFFFFFFFFFF, 2.0**-64)
    out: NDArray[Any] = words.view(dtype).copy()  # a float's sign is its top bit
    for i in range(0, len(words), BLOCK):
        part = slice(i, i + BLOCK)
        tail = ((words[part] & words.dtype.type(magnitude)).view(signed).astype(np.float64) + 0.5) * scale
        out[part] = np.copysign(normal_quantile(0.5 - tail, tail).astype(dtype), out[part])
    return out


def integers(bits: NDArray[np.uint32], low: int, high: int) -> NDArray[np.int64]:
    """Integers in [low, high): y[i] = low + floor(w[i] (high - low) / 2**64), w[i] the 64-bit words of `bits`.

    Each value comes from either floor(2**64 / (high - low)) words or one more, so its probability differs from
    1 / (high - low) by less than 2**-64, a fraction of (high - low) 2**-64 of it: nothing is rejected.

    **Parameters** bits: vector of uint32, two words a sample. -2**63 <= low < high <= 2**63.
    **Returns** int64.
    **Raises** ValueError if the range is empty or does not fit int64.
    **Source** D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29 (2019), doi 10.1145/3230636.

    **Example**

    >>> integers(np.array([0, 0, 0, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF], np.uint32), -5, 5).tolist()
    [-5, 0, 4]
    """
    low, high = operator.index(low), operator.index(high)
    if not -(2**63) <= low < high <= 2**63:
        raise ValueError(f"[integers] low is {low} and high {high}; -2**63 <= low < high <= 2**63 must hold.")
    words, span = _words_64(bits), high - low
    if span == 1 << 64:
        product = words
    else:  # the upper half of a 128-bit product, from 32-bit halves; no intermediate reaches 2**64
        span_low, span_high = np.uint64(span & 0xFFFFFFFF), np.uint64(span >> 32)
        word_low, word_high = words & _LOW_32, words >> _32
        across = word_high * span_low + (word_low * span_low >> _32)
        if span_high:
            other = word_low * span_high + (across & _LOW_32)
            product = word_high * span_high + (across >> _32) + (other >> _32)
        else:
            product = across >> _32
    return (product + np.uint64(low % (1 << 64))).view(np.int64)


def permutation(bits: NDArray[np.uint32]) -> NDArray[np.intp]:
    """A random permutation of 0, ..., n - 1: the order that sorts n random 64-bit words, equal ones by their place.

    All orders are equally likely up to ties, which occur with a probability below n**2 / 2**65.

    **Parameters** bits: uint32[2 * n].

    **Example**

    >>> permutation(np.array([0, 3, 0, 1, 0, 2], np.uint32)).tolist()
    [1, 2, 0]
    """
    return np.argsort(_words_64(bits), kind="stable")

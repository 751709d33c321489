"""Rows of random numbers: functions of a key and a counter, which are operands, so that a program draws anew when replayed.

The key is two 32-bit words; the counter, of 64 bits, names the first block of four words that a row reads.  `shape` is
that of the samples, in C order; sample i reads the same words whatever comes after it.  Nothing has a derivative here: what is
drawn with parameters is computed of these samples by ordinary operations (`arrayad.random`).

Under `vmap` a key and a counter may be a batch: leading axes, equal ones, of which each place is a stream that draws for
itself, as it would alone.  Where neither is, the examples share one draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from arrayad.kernels import philox
from arrayad.primitive import general
from arrayad.primitives.broadcasting import all_alike
from arrayad.samples import Samples
from arrayad.shaped import Shaped

WORDS_IN_BLOCK = 4
SPLITS = 1 << 64
"""The counters from here on are those of splitting; samples use the ones below."""


def blocks_of(words: int) -> int:
    """How many blocks hold so many words."""
    return -(-words // WORDS_IN_BLOCK)


def words(key: Any, counter: Any, count: int, offset: int = 0) -> Any:
    """The first `count` words from a counter on."""
    return philox.philox4x32(key, int(counter) + offset, blocks_of(count))[:count]


def sampled(key: Shaped, counter: Shaped, *, shape: tuple[int, ...], dtype: Any) -> Shaped:
    """The shape rule of rows that are told what to draw."""
    return Shaped((*counter.shape, *shape), dtype)


def each_stream(kernel: Callable[..., Any], shape: Callable[..., Shaped]) -> Callable[..., Any]:
    """The kernel of a row, of that for one stream."""

    def draw(key: Any, counter: Any, **params: Any) -> Any:
        if key.ndim == 1:
            return kernel(key, counter, **params)
        found = shape(key, counter, **params)
        out = np.empty(found.shape, found.dtype)
        for place in np.ndindex(*counter.shape):
            out[place] = kernel(key[place], counter[place], **params)
        return out

    return draw


def samples(params: list[dict[str, Any]]) -> Samples:
    """A key and a counter, with each of these parameters."""
    cases: list[Any] = [(((2,), ()), each) for each in params]
    return Samples(cases=cases, low=(0, 0), high=(1 << 32, 1 << 40), dtypes={0: "uint32", 1: "uint64"})


REAL = [{"shape": shape, "dtype": np.dtype(dtype)} for shape in ((3,), (2, 3), (), (0,)) for dtype in ("float32", "float64")]
INTEGER = [
    {"shape": (2, 3), "low": -2, "high": 5},
    {"shape": (), "low": 0, "high": 1 << 62},
    {"shape": (0,), "low": 0, "high": 1},
]


def uniform_kernel(key: Any, counter: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    bits = words(key, counter, math.prod(shape) * philox.words_per_sample(dtype))
    return philox.uniform(bits, dtype).reshape(shape)


random_uniform = general(
    "random_uniform",
    """Uniform samples in [0, 1), multiples of 2^-24 in float32 and of 2^-53 in float64.""",
    numpy=each_stream(uniform_kernel, sampled),
    shape=sampled,
    batch=all_alike,
    samples=samples(REAL),
    cost=lambda output, *operands, **params: 40 * output.size,
)


def normal_kernel(key: Any, counter: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    bits = words(key, counter, math.prod(shape) * philox.words_per_sample(dtype))
    return philox.normal(bits, dtype).reshape(shape)


random_normal = general(
    "random_normal",
    """Standard normal samples, by the inverse of the distribution function.""",
    numpy=each_stream(normal_kernel, sampled),
    shape=sampled,
    batch=all_alike,
    samples=samples(REAL),
    cost=lambda output, *operands, **params: 80 * output.size,
)


def integers_shape(key: Shaped, counter: Shaped, *, shape: tuple[int, ...], low: int, high: int) -> Shaped:
    return Shaped((*counter.shape, *shape), np.int64)


def integers_kernel(key: Any, counter: Any, *, shape: tuple[int, ...], low: int, high: int) -> Any:
    return philox.integers(words(key, counter, 2 * math.prod(shape)), low, high).reshape(shape)


random_integers = general(
    "random_integers",
    """Integers, int64, equally likely from `low` up to but without `high`.""",
    numpy=each_stream(integers_kernel, integers_shape),
    shape=integers_shape,
    batch=all_alike,
    samples=samples(INTEGER),
    cost=lambda output, *operands, **params: 40 * output.size,
)


def permutation_shape(key: Shaped, counter: Shaped, *, size: int) -> Shaped:
    return Shaped((*counter.shape, size), np.int64)


def permutation_kernel(key: Any, counter: Any, *, size: int) -> Any:
    return philox.permutation(words(key, counter, 2 * size)).astype(np.int64, copy=False)


random_permutation = general(
    "random_permutation",
    """The numbers from 0 up to but without `size`, int64, in an order of which all are equally likely.""",
    numpy=each_stream(permutation_kernel, permutation_shape),
    shape=permutation_shape,
    batch=all_alike,
    samples=samples([{"size": 5}, {"size": 1}, {"size": 0}]),
    cost=lambda output, *operands, **params: 60 * output.size,
)


def keys_shape(key: Shaped, counter: Shaped, *, count: int) -> Shaped:
    return Shaped((*counter.shape, count, 2), np.uint32)


def keys_kernel(key: Any, counter: Any, *, count: int) -> Any:
    return words(key, counter, 2 * count, offset=SPLITS).reshape(count, 2)


random_keys = general(
    "random_keys",
    """Keys of `count` independent streams, uint32[count, 2], of counters that no samples use.""",
    numpy=each_stream(keys_kernel, keys_shape),
    shape=keys_shape,
    batch=all_alike,
    samples=samples([{"count": 3}, {"count": 0}]),
    cost=lambda output, *operands, **params: 20 * output.size,
)

"""Rows of random numbers: streams of Philox, to the bit those of the rows' kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.compiler.calls_random import Draw, Permute, bounds
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, rule
from arrayad.compiler.text import SUFFIX
from arrayad.primitives.random_bits import SPLITS


def drawn(builder: Builder, entry: Any, key: Read, counter: Read, code: Any) -> Read:
    """The samples that a code draws of keys and counters."""
    given = [
        builder.whole(builder.map("astype", "x", dtype, [x], dtype) if x.node.dtype != dtype else x)
        for x, dtype in ((key, np.dtype(np.uint32)), (counter, np.dtype(np.uint64)))
    ]
    return builder.call(code, given, [(entry.output.shape, entry.output.dtype)])[0]


@rule("random_uniform", "random_normal")
def real(builder: Builder, entry: Any, key: Read, counter: Read, *, shape: Any, dtype: Any) -> Read | None:
    suffix = SUFFIX.get(np.dtype(dtype).name)
    if suffix is None:
        return None
    if 0 in entry.output.shape:
        return builder.empty(entry.output.shape, entry.output.dtype)
    name = entry.primitive.name
    fill = f"{name.removeprefix('random_')}_{suffix}"
    return drawn(builder, entry, key, counter, Draw(name, fill, math.prod(counter.view.shape), math.prod(shape)))


@rule("random_integers")
def integers(builder: Builder, entry: Any, key: Read, counter: Read, *, shape: Any, low: int, high: int) -> Read | None:
    if not -(2**63) <= low < high <= 2**63:
        return None
    if 0 in entry.output.shape:
        return builder.empty(entry.output.shape, entry.output.dtype)
    streams, samples = math.prod(counter.view.shape), math.prod(shape)
    code = Draw("random_integers", "integers", streams, samples, given=bounds(low, high))
    return drawn(builder, entry, key, counter, code)


@rule("random_permutation")
def permutation(builder: Builder, entry: Any, key: Read, counter: Read, *, size: int) -> Read:
    if 0 in entry.output.shape:
        return builder.empty(entry.output.shape, entry.output.dtype)
    return drawn(builder, entry, key, counter, Permute(math.prod(counter.view.shape), size))


@rule("random_keys")
def keys(builder: Builder, entry: Any, key: Read, counter: Read, *, count: int) -> Read:
    if 0 in entry.output.shape:
        return builder.empty(entry.output.shape, entry.output.dtype)
    code = Draw("random_keys", "bits", math.prod(counter.view.shape), 2 * count, high=SPLITS >> 64)
    return drawn(builder, entry, key, counter, code)

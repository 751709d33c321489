"""Calls that draw random numbers, to the bit those of the rows' kernels: see emitted/philox.h."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arrayad.compiler.ir import Call
from arrayad.compiler.pieces import Pieces
from arrayad.compiler.text import literal

CHUNK = 1 << 13
"""Samples of one piece of a stream; chunks of philox.h fit in it."""


class Draw(Pieces):
    """Samples of streams, each with a key and a counter: `fill` is a function of philox.h, `given` what it is told beside."""

    def __init__(self, name: str, fill: str, streams: int, samples: int, *, given: str = "", high: int = 0) -> None:
        self.name, self.fill, self.samples, self.given, self.high = name, fill, samples, given, high
        self.per_stream = -(-samples // CHUNK)
        super().__init__(streams * self.per_stream, 200.0 + 4.0 * min(samples, CHUNK))

    def write(self, writer: Any, call: Call) -> None:
        writer.paste("philox", "")
        n, per = self.samples, self.per_stream
        statements = [
            f"const int64_t stream = at / {per}, start = at % {per} * {CHUNK};",
            f"const int64_t n = {n} - start < {CHUNK} ? {n} - start : {CHUNK};",
            counter_text(self.high),
            f"philox_fill_{self.fill}(key + 2 * stream, first, {self.given}start, n, out + stream * {n} + start);",
        ]
        self.write_pieces(writer, call, ("key", "counter", "out"), statements)


class Permute(Pieces):
    """A permutation for each stream."""

    name = "random_permutation"

    def __init__(self, streams: int, size: int) -> None:
        self.size = size
        super().__init__(streams, 200.0 + 5.0 * size * math.log2(size + 1), 3 * 8 * size)

    def write(self, writer: Any, call: Call) -> None:
        writer.paste("permutation", "")
        fill = f"philox_fill_permutation(key + 2 * stream, first, {self.size}, out + stream * {self.size}, (uint64_t *)work);"
        self.write_pieces(writer, call, ("key", "counter", "out"), ["const int64_t stream = at;", counter_text(0), fill])


def counter_text(high: int) -> str:
    """The declaration of the first block's counter, whose upper half is told."""
    return f"const uint32_t first[4] = {{(uint32_t)counter[stream], (uint32_t)(counter[stream] >> 32), {high}, 0}};"


def bounds(low: int, high: int) -> str:
    """What `philox_fill_integers` is told of its range."""
    return f"{literal(low, np.dtype(np.int64))}, {literal((high - low) % (1 << 64), np.dtype(np.uint64))}, "

"""Which carries a loop keeps on its way, for the reverse pass to go back along: memory against repeated work.

**Source** Griewank & Walther, Algorithm 799: revolve, ACM Trans. Math. Softw. 26 (2000).
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple


class Schedule(NamedTuple):
    """A stretch of at most `block` steps keeps every carry; a longer one keeps `snapshots` of them, and runs again between.

    The snapshots stand so that the whole is gone back over with the fewest repetitions: with s snapshots, C(s + r, s)
    blocks need no step to run more than r times beside the first.
    """

    snapshots: int
    block: int

    def __repr__(self) -> str:
        return "every" if self.block == sys.maxsize else f"({self.snapshots} snapshots, blocks of {self.block})"

    def keeps_all(self, length: int) -> bool:
        """Whether a stretch of this length keeps every carry."""
        return length <= self.block

    def positions(self, length: int) -> Sequence[int]:
        """The steps before which the carry is kept, from 0 on; the last begins a stretch that keeps all."""
        if self.keeps_all(length):
            return range(length)
        blocks = -(-length // self.block)
        found, at = [0], 0
        for left in range(self.snapshots, 0, -1):
            if blocks - at == 1:
                break
            at += first_stretch(blocks - at, left)
            found.append(at)
        return tuple(k * self.block for k in found)

    def rest(self, k: int) -> Schedule:
        """The schedule of the stretch that begins at position k, when all behind it are done with."""
        return Schedule(max(self.snapshots - k, 1), self.block)

    def recorded(self, length: int) -> Sequence[int]:
        """The steps before which the loop itself keeps the carry when it is recorded, which holds them to the end.

        None where stretches between them would need as many again: the way back then begins with a run of its own.
        """
        return self.positions(length) if length <= (self.snapshots + 1) * self.block else ()

    def most_kept(self, length: int) -> int:
        """How many carries are kept at once, at most: snapshots, the carry at hand, and those of a block."""
        return length if self.keeps_all(length) else self.snapshots + 1 + (self.block if self.block > 1 else 0)


EVERY = Schedule(1, sys.maxsize)
"""The schedule that keeps every carry."""


def capacity(snapshots: int, repetitions: int) -> int:
    """How many blocks can be gone back over."""
    return math.comb(snapshots + repetitions, snapshots)


def repetitions(blocks: int, snapshots: int) -> int:
    """How often a step runs at most, beside the first time."""
    return next(r for r in itertools.count(1) if capacity(snapshots, r) >= blocks)


def first_stretch(blocks: int, snapshots: int) -> int:
    """How far to go before the next snapshot, of `snapshots` that hold the beginning too, for the least work in all."""
    r = repetitions(blocks, snapshots)
    return min(capacity(snapshots, r - 1), blocks - capacity(snapshots - 1, r - 1))


def of_carries(count: int, length: int) -> Schedule:
    """The schedule that keeps at most `count` carries at once, 3 or more: the fewest repetitions, then the largest block."""
    sizes = sorted({1 << k for k in range((count // 2).bit_length())} | {count // 2}, reverse=True)
    schedules = [Schedule(count - 1 - (block if block > 1 else 0), block) for block in sizes]
    return min(schedules, key=lambda schedule: repetitions(-(-length // schedule.block), schedule.snapshots))


def is_count(x: Any, least: int) -> bool:
    """Whether this is a whole number, and not less."""
    return isinstance(x, Integral) and not isinstance(x, bool) and int(x) >= least


def schedule_of(name: str, checkpoint: Any, length: int) -> Schedule:
    """The schedule that an argument `checkpoint` asks for.

    **Raises** `ValueError` where it asks for none that there is.
    """
    if checkpoint is None:
        return EVERY
    if checkpoint == "sqrt":
        block = max(math.isqrt(max(length - 1, 0)) + 1, 1)
        return Schedule(block, block)
    if checkpoint == "binomial":
        return of_carries(max(2 * length.bit_length(), 3), length)
    if is_count(checkpoint, 1):
        return Schedule(int(checkpoint), max(-(-length // int(checkpoint)), 1))
    if isinstance(checkpoint, tuple) and len(checkpoint) == 2 and checkpoint[0] == "binomial" and is_count(checkpoint[1], 3):
        return of_carries(int(checkpoint[1]), length)
    raise ValueError(
        f'[{name}] checkpoint is {checkpoint!r}; None, "sqrt", "binomial", ("binomial", carries to keep, at least 3) '
        "or a number of snapshots, at least 1, is needed"
    )

"""A pool of large buffers: results that die give their memory to results that come.

Fresh memory costs a page fault for every 4 KB, which is more than most kernels take to fill it.  A result that lives on a
tape and dies when the tape does leaves memory that the next step can use at once.

The memory is an anonymous private mapping (shared, it would be written by parent and child after a fork), and the array's
base is the mapping, not an array: NumPy then lets every view of the array point at the array itself.  So when the array
dies, all its views are dead, and a weak reference that notices this puts the mapping into the bin of its size.

A weak reference may call back anywhere, also within `empty` in the same thread, so nothing here locks: the bins are lists,
whose append and pop are atomic.  Only the count of cached bytes may miss an update; it is corrected with each new mapping.
"""

from __future__ import annotations

import mmap
import os
import weakref
from typing import Any

import numpy as np

__all__ = ["clear", "empty", "stats"]

# Below this NumPy's allocator keeps memory itself.
SMALLEST = 1 << 16

# From here on huge pages pay: the first pass over 4 MB takes 0.3 ms instead of 1.1.
HUGE = 1 << 22

HAS_MAPPINGS = hasattr(mmap, "MAP_PRIVATE") and hasattr(mmap, "MAP_ANONYMOUS")


def memory_limit() -> int:
    """Bytes to keep for later at most: ARRAYAD_POOL_LIMIT, else 1 GiB or an eighth of the memory, if that is less."""
    given = os.environ.get("ARRAYAD_POOL_LIMIT")
    if given is not None:
        if not given.isdecimal():
            raise ValueError(f"ARRAYAD_POOL_LIMIT is {given!r}; it must be a number of bytes; 0 keeps nothing.")
        return int(given)
    if not HAS_MAPPINGS:
        return 0
    return min(1 << 30, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 8)


class Loan(weakref.ref[Any]):
    """A weak reference to an array that remembers the array's memory and its size."""

    __slots__ = ("memory", "size")
    memory: mmap.mmap
    size: int

    # By identity: a reference to an array, which has no hash, would ask the array.
    __hash__ = object.__hash__
    __eq__ = object.__eq__


class Pool:
    """Mappings in bins by size, and the loans of those in use."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bins: dict[int, list[mmap.mmap]] = {}
        self.loans: set[Loan] = set()
        self.cached = 0
        self.mapped = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any], nbytes: int) -> np.ndarray[Any, Any]:
        """An array of unspecified content in memory of the pool.

        There are four sizes of mappings for each power of two, in whole pages; what is too much is never touched.
        """
        step = 1 << nbytes.bit_length() - 3
        size = (nbytes + step - 1) & -step
        try:
            memory = self.bins[size].pop()
            self.cached -= size
        except LookupError:
            memory = self.map(size)
        array = np.ndarray(shape, dtype, memory)
        loan = Loan(array, self.give_back)
        loan.memory = memory
        loan.size = size
        self.loans.add(loan)
        return array

    def map(self, size: int) -> mmap.mmap:
        """Memory from the operating system."""
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self.bins.setdefault(size, [])
        self.mapped += 1
        self.cached = sum(size * len(found) for size, found in list(self.bins.items()))
        return memory

    def give_back(self, loan: Loan) -> None:
        """Called when an array has died."""
        self.loans.discard(loan)
        self.bins[loan.size].append(loan.memory)
        self.cached += loan.size
        if self.cached > self.limit:
            self.trim(self.limit)

    def trim(self, limit: int) -> None:
        """Unmap what is cached beyond `limit` bytes, the sizes used first before those used later."""
        for size, found in list(self.bins.items()):
            while found and self.cached > limit:
                found.pop()
                self.cached -= size


POOL = Pool(memory_limit())


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A new array in C order of unspecified content, from the pool if it is large.

    **Example**

    >>> a = empty((512, 512), np.dtype("float32"))
    >>> a.shape, a.flags.c_contiguous, a.flags.writeable
    ((512, 512), True, True)
    """
    nbytes = dtype.itemsize
    for n in shape:
        nbytes *= n
    if nbytes < SMALLEST or not HAS_MAPPINGS or dtype.hasobject:
        return np.empty(shape, dtype)
    return POOL.empty(shape, dtype, nbytes)


def stats() -> dict[str, int]:
    """Bytes in living arrays, bytes kept for later and their limit; how often memory came from the operating system."""
    return {
        "live": sum(loan.size for loan in list(POOL.loans)),
        "cached": POOL.cached,
        "limit": POOL.limit,
        "mapped": POOL.mapped,
    }


def clear() -> None:
    """Give what is kept for later back to the operating system."""
    POOL.trim(0)

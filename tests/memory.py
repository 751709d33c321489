"""What a call takes of memory, and what it leaves behind."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any


def peak_bytes(call: Callable[[], Any]) -> int:
    """The most bytes that Python and NumPy hold during a call beyond what they held before."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def left_behind(call: Callable[[], Any]) -> tuple[int, int]:
    """What a call leaves after one that may fill caches: objects that only the cycle collector frees, and bytes."""
    call()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        call()
        garbage = gc.collect()  # which empties the lists of free objects too
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3):
            call()
        garbage += gc.collect()
        return garbage, tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()

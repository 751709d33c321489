"""`Allowance`: how many bytes the recordings of a transform may hold, and how many they do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from arrayad.errors import user_line
from arrayad.modes import Switch, current_mode
from arrayad.shaped import Bundle

ENTRY = 400
"""The bytes of an entry with its tuples, beside the arrays that it holds."""

UNITS = {"": 1, **{f"{prefix}B": 1000**k for k, prefix in enumerate(("", "k", "M", "G", "T"))}}
UNITS |= {f"{prefix}iB": 1024**k for k, prefix in enumerate(("K", "M", "G", "T"), 1)} | {"KB": 1000}


class Allowance:
    """A limit in bytes, and what residuals hold of it.  An array that several hold counts once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.depth = 0
        self.holders: dict[int, int] = {}

    def share(self) -> int:
        """What one loop may take: half of what is left, since others may follow; inside another loop half of that one's share."""
        return max(self.limit - self.used, 0) >> 1 + self.depth

    def hold(self, arrays: list[Any]) -> None:
        """Count an entry with these arrays.

        **Raises** `MemoryError` where it would exceed the limit, which then is as it was.
        """
        new = {id(x): x.nbytes for x in arrays if id(x) not in self.holders}
        size = ENTRY + sum(new.values())
        if self.used + size > self.limit:
            raise MemoryError(
                f"[grad] memory_limit is {self.limit:,} bytes, the recording holds {self.used:,}, and what {user_line()} records "
                f"takes {size:,} more; write the loop as ad.scan, which keeps what fits and computes the rest again"
            )
        self.used += size
        for x in arrays:
            self.holders[id(x)] = self.holders.get(id(x), 0) + 1

    def release(self, arrays: list[Any]) -> None:
        """An entry with these arrays is gone."""
        self.used -= ENTRY
        for x in arrays:
            self.holders[id(x)] -= 1
            if not self.holders[id(x)]:
                del self.holders[id(x)]
                self.used -= x.nbytes


class Charged(tuple[Any, ...]):
    """Residuals that count against an allowance as long as they live: until their entry goes, or a sweep has done with it."""

    allowance: Allowance

    def __del__(self) -> None:
        if hasattr(self, "allowance"):
            self.allowance.release(arrays_of(self))


def charged(residuals: Iterable[Any], allowance: Allowance) -> Charged:
    """Residuals that are counted, and the arrays among them.

    **Raises** `MemoryError` where they exceed the limit.
    """
    found = Charged(residuals)
    allowance.hold(arrays_of(found))
    found.allowance = allowance
    return found


def arrays_of(residuals: Iterable[Any]) -> list[Any]:
    """The arrays that residuals hold."""
    found: list[Any] = []
    for x in residuals:
        value = getattr(x, "value", x)
        if isinstance(value, Bundle):
            found += arrays_of(value)
        elif value is not None:
            found.append(value)
    return found


def bytes_of(limit: float | str) -> int:
    """A number of bytes: 256_000_000, "256MB", "0.25 GB", "256MiB".

    **Raises** `ValueError` for anything else.

    **Example**

    >>> bytes_of("256MB"), bytes_of("1 KiB")
    (256000000, 1024)
    """
    if isinstance(limit, float) and limit.is_integer():
        limit = int(limit)
    if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
        return limit
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kKMGT]?i?B?)\s*", limit) if isinstance(limit, str) else None
    count = int(float(match[1]) * UNITS[match[2]]) if match is not None and match[2] in UNITS else 0
    if count < 1:
        raise ValueError(f'[grad] memory_limit is {limit!r}; a number of bytes is needed, such as 256_000_000 or "256MB"')
    return count


def memory_limited(limit: float | str | None) -> AbstractContextManager[None]:
    """Inside, recordings of the calling thread hold at most so many bytes; None leaves it as it is."""
    return nullcontext() if limit is None else Switch(allowance=Allowance(bytes_of(limit)))


@contextmanager
def inside_loop() -> Iterator[None]:
    """Inside, loops are in the body of another, which has taken its share."""
    allowance = current_mode().allowance
    if allowance is None:
        yield
        return
    allowance.depth += 1
    try:
        yield
    finally:
        allowance.depth -= 1

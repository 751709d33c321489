"""`Allowance`: how many bytes the recordings of a transform may hold, and how many they do."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from arrayad.errors import user_line
from arrayad.modes import Switch
from arrayad.shaped import Bundle
from arrayad.tape import Entry

ENTRY = 400
"""The bytes of an entry with its tuples, beside the arrays that it holds."""

UNITS = {"": 1, **{f"{prefix}B": 1000**k for k, prefix in enumerate(("", "k", "M", "G", "T"))}}
UNITS |= {f"{prefix}iB": 1024**k for k, prefix in enumerate(("K", "M", "G", "T"), 1)} | {"KB": 1000}


class Allowance:
    """A limit in bytes, and what entries hold of it.  An array that several hold counts once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.holders: dict[int, int] = {}

    def share(self) -> int:
        """What one loop may take: half of what is left, since others may follow."""
        return max(self.limit - self.used, 0) // 2

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


class Charged(Entry):
    """An entry that counts against an allowance as long as it lives."""

    __slots__ = ("allowance", "arrays")

    allowance: Allowance
    arrays: list[Any]

    def __del__(self) -> None:
        if hasattr(self, "arrays"):
            self.allowance.release(self.arrays)


def charge(entry: Charged, allowance: Allowance) -> None:
    """Count an entry and the arrays among its residuals."""
    arrays = arrays_of(entry.residuals)
    allowance.hold(arrays)
    entry.allowance, entry.arrays = allowance, arrays


def arrays_of(residuals: Any) -> list[Any]:
    """The arrays that residuals hold."""
    found: list[Any] = []
    for x in residuals:
        value = getattr(x, "value", x)
        if isinstance(value, Bundle):
            found += arrays_of(value)
        elif value is not None:
            found.append(value)
    return found


def bytes_of(limit: int | str) -> int:
    """A number of bytes: 256_000_000, "256MB", "0.25 GB", "256MiB".

    **Raises** `ValueError` for anything else.

    **Example**

    >>> bytes_of("256MB"), bytes_of("1 KiB")
    (256000000, 1024)
    """
    if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
        return limit
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kKMGT]?i?B?)\s*", limit) if isinstance(limit, str) else None
    if match is None or match[2] not in UNITS:
        raise ValueError(f'[grad] memory_limit is {limit!r}; a number of bytes is needed, such as 256_000_000 or "256MB"')
    return int(float(match[1]) * UNITS[match[2]])


def memory_limited(limit: int | str | None) -> AbstractContextManager[None]:
    """Inside, recordings of the calling thread hold at most so many bytes; None leaves it as it is."""
    return nullcontext() if limit is None else Switch(allowance=Allowance(bytes_of(limit)))

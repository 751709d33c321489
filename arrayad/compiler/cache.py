"""The cache of compiled programs on disk: a second process compiles nothing.

A program lies in a folder of its own, named by the digest of all that it depends on, with its C text and a seal over name,
text and program (see folder.py).  The whole folder is moved into place at once, so that of several processes that compile
the same text one wins, and the others use what it made.  What does not fit its seal is never loaded, and compiled again.
Beyond ARRAYAD_CACHE_SIZE bytes, those used least recently go first.

The cache is in $ARRAYAD_CACHE_DIR, else in `arrayad` below the user's cache directory.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from arrayad.compiler import folder as folders
from arrayad.compiler.folder import WORK, Folder

__all__ = ["clear", "stats"]

PROGRAMS = "programs"
PROGRAM, SOURCE, SEAL = "program.so", "source.c", "seal"

DEFAULT_SIZE = 256 << 20

# After so many seconds unfinished work is what a process left that was killed.
ABANDONED = 3600.0

Make = Callable[[str], None]


class Counts:
    """How often this process found a program, and how often it did not."""

    hits = 0
    misses = 0
    lock = threading.Lock()


def size_limit() -> int:
    """The bytes that programs may take: ARRAYAD_CACHE_SIZE, else 256 MiB."""
    given = os.environ.get("ARRAYAD_CACHE_SIZE")
    if given is None:
        return DEFAULT_SIZE
    if not given.isdecimal():
        raise ValueError(f"ARRAYAD_CACHE_SIZE is {given!r}; it must be a number of bytes; 0 keeps the newest program alone.")
    return int(given)


def program(key: str, text: str, make: Make) -> str:
    """The path of the shared object of a C text: the one that is kept under `key`, if it is what was put there, else a new one.

    `make` is called with a folder in which to write `program.so`; `source.c` with the text is there.  Where the disk is full
    or refuses, it is called again with a temporary folder, after a warning.

    **Raises** what `make` raises; OSError where there is nowhere to write.
    """
    found = find(folders.folder(), key, text)
    with Counts.lock:
        Counts.hits += found is not None
        Counts.misses += found is None
    if found is not None:
        return found
    try:
        return store(folders.folder(), key, text, make)
    except OSError as error:
        return store(folders.fall_back(error), key, text, make)


def place(folder: Folder, key: str) -> str:
    """Where the program of a key lies."""
    return os.path.join(folder.path, PROGRAMS, key)


def find(folder: Folder, key: str, text: str) -> str | None:
    """The path of a program that is there and whole; what is not whole is removed."""
    entry = place(folder, key)
    path = os.path.join(entry, PROGRAM)
    try:
        is_ours = stat.S_ISDIR(os.lstat(entry).st_mode)
        source, binary, seal = (folders.read(os.path.join(entry, name)) for name in (SOURCE, PROGRAM, SEAL))
    except FileNotFoundError:
        if not os.path.lexists(entry):
            return None
        is_ours = False
    except OSError:
        is_ours = False
    if not is_ours or source != text.encode() or not folders.same(seal, folder.seal(key.encode(), source, binary)):
        discard(folder, entry)
        return None
    try:
        os.utime(entry)
    except OSError:
        return None
    return path


def store(folder: Folder, key: str, text: str, make: Make) -> str:
    """Make a program and put it into the cache; the path under which it lies there."""
    import tempfile

    os.makedirs(os.path.join(folder.path, PROGRAMS), mode=0o700, exist_ok=True)
    work = tempfile.mkdtemp(prefix=WORK, dir=folder.path)
    try:
        source = text.encode()
        with open(os.path.join(work, SOURCE), "wb") as file:
            file.write(source)
        make(work)
        binary = folders.read(os.path.join(work, PROGRAM))
        with open(os.path.join(work, SEAL), "wb") as file:
            file.write(folder.seal(key.encode(), source, binary))
        path = settle(folder, key, text, work)
    finally:
        remove(work)
    evict(folder, spared=key)
    return path


def settle(folder: Folder, key: str, text: str, work: str) -> str:
    """Move a finished program to its place, unless another process has put the same there meanwhile."""
    entry = place(folder, key)
    while True:
        try:
            os.rename(work, entry)
            return os.path.join(entry, PROGRAM)
        except OSError:
            if not os.path.lexists(entry):
                raise
        found = find(folder, key, text)
        if found is not None:
            return found


def discard(folder: Folder, entry: str) -> None:
    """Remove an entry, at once for all who look."""
    import tempfile

    grave = tempfile.mkdtemp(prefix=WORK, dir=folder.path)
    try:
        os.rename(entry, os.path.join(grave, "entry"))
    except FileNotFoundError:
        pass
    finally:
        remove(grave)


def remove(path: str) -> None:
    """Remove a file, or a folder and what is in it, if it is there."""
    import shutil

    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        shutil.rmtree(path, ignore_errors=True)


# --- its size -----------------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """What a program takes, and when it was last used."""

    used: int
    size: int
    path: str


def entries(folder: Folder) -> Iterator[Entry]:
    """The programs in the cache; those that go away meanwhile are left out."""
    try:
        found = list(os.scandir(os.path.join(folder.path, PROGRAMS)))
    except FileNotFoundError:
        return
    for entry in found:
        try:
            used = entry.stat(follow_symlinks=False).st_mtime_ns
            inside = list(os.scandir(entry.path)) if entry.is_dir(follow_symlinks=False) else []
            yield Entry(used, sum(file.stat(follow_symlinks=False).st_size for file in inside), entry.path)
        except FileNotFoundError:
            continue


def evict(folder: Folder, spared: str) -> None:
    """Remove the programs used least recently until the rest fits the limit; never the newest, which is about to be loaded."""
    limit = size_limit()
    found = sorted(entries(folder))
    total = sum(entry.size for entry in found)
    for entry in found:
        if total <= limit:
            break
        if os.path.basename(entry.path) != spared:
            discard(folder, entry.path)
            total -= entry.size
    for name in os.listdir(folder.path):
        path = os.path.join(folder.path, name)
        if name.startswith(WORK) and is_abandoned(path):
            remove(path)


def is_abandoned(path: str) -> bool:
    """Whether unfinished work is so old that whoever began it is gone."""
    try:
        return time.time() - os.lstat(path).st_mtime > ABANDONED
    except FileNotFoundError:
        return False


# --- what users ask -----------------------------------------------------------------------------------------------------


def stats() -> dict[str, int | str]:
    """What the cache of compiled programs holds, and how often it had what was asked for.

    **Returns** a dict: `hits` and `misses` of this process; `entries` and `bytes` on disk, and their `limit`; `directory`.

    **Example**

    >>> sorted(stats())
    ['bytes', 'directory', 'entries', 'hits', 'limit', 'misses']
    """
    used = folders.folder()
    sizes = [entry.size for entry in entries(used)]
    return {
        "hits": Counts.hits,
        "misses": Counts.misses,
        "entries": len(sizes),
        "bytes": sum(sizes),
        "limit": size_limit(),
        "directory": used.path,
    }


def clear() -> None:
    """Remove all compiled programs from the disk.  Those that are loaded go on working.

    **Example**

    >>> clear()  # doctest: +SKIP
    """
    used = folders.folder()
    for entry in entries(used):
        discard(used, entry.path)

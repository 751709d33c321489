"""What the machine offers: processors that this process may use, and the BLAS that NumPy was built with."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

import numpy as np

CGROUPS = "/sys/fs/cgroup"
MOST_THREADS = 1024


def default_threads() -> int:
    """How many threads to compute with: ARRAYAD_NUM_THREADS, else the processors that this process may use."""
    given = os.environ.get("ARRAYAD_NUM_THREADS")
    if given is None:
        return usable_processors()
    if not given.isdecimal() or not 1 <= int(given) <= MOST_THREADS:
        raise ValueError(f"ARRAYAD_NUM_THREADS is {given!r}; it must be a number from 1 to {MOST_THREADS}.")
    return int(given)


def usable_processors() -> int:
    """The processors in the affinity mask, no more than the cgroup's quota; a fraction counts as a whole one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, min(count, MOST_THREADS if quota is None else -(-quota[0] // quota[1])))


def cgroup_quota() -> tuple[int, int] | None:
    """(microseconds of processor time, in how many microseconds) that the cgroup allows; None if it sets no limit.

    As a container sees it, its own group being the root of the mount: cgroup v2, then v1.
    """
    words = read(f"{CGROUPS}/cpu.max").split()
    if not words:
        words = [read(f"{CGROUPS}/cpu/cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
        return int(words[0]), int(words[1])
    return None


def read(path: str) -> str:
    """The text of a file; "" where there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def numpy_blas() -> str:
    """Name and version of the BLAS that NumPy multiplies matrices with."""
    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def files_with_blas() -> list[str]:
    """Libraries that hold a BLAS or were linked with one: NumPy's extension, then that of the package scipy-openblas32."""
    numpy = getattr(sys.modules.get("numpy._core._multiarray_umath"), "__file__", None)
    package = importlib.util.find_spec("scipy_openblas32")
    folders = [os.path.join(folder, "lib") for folder in (package and package.submodule_search_locations) or []]
    beside = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in sorted(os.listdir(folder))]
    return [*([numpy] if numpy else []), *(path for path in beside if os.path.basename(path).startswith("libscipy_openblas"))]

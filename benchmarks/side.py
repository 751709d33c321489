"""One side of a comparison in a process of its own: it builds a workload's program, gives its result, and times it when asked."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from by_hand import Library
from measure import calibrated, timed
from peers import jax_in_float64, peer
from workloads.table import ROWS
from workloads.workload import Step, Workload

THREADS = 2
SIDES = ("arrayad", "eager", "ratio", "torch", "torch.compile", "jax", "numpy", "c")
"""`ratio` times two programs of arrayad that a bound relates, such as value and gradient over value."""


class Absent(Exception):
    """The system is not installed, or the workload is not written in it."""


def compiler_of(ad: Any) -> Callable[..., Any]:
    """The compiler, or, where there is none, eager mode."""
    return getattr(ad, "compile", lambda f: f)


def arrayad_side(workload: Workload, side: str, folder: str) -> tuple[Step, ...]:
    import arrayad as ad

    if side == "eager":
        return (workload.arrayad(ad, lambda f: f, workload.inputs()),)
    compiled = compiler_of(ad)
    compiled(lambda x: x + 1.0)(ad.tensor(1.0))
    if side == "arrayad":
        return (workload.arrayad(ad, compiled, workload.inputs()),)
    if workload.ratio is None:
        raise Absent("no bound relates two programs")
    return workload.ratio.programs(ad, compiled, workload.inputs())


def torch_side(workload: Workload, side: str, folder: str) -> tuple[Step, ...]:
    if workload.torch is None:
        raise Absent("not written")
    torch = peer("torch")
    if torch is None:
        raise Absent("torch is not installed")
    torch.set_num_threads(THREADS)
    if side == "torch":
        return (workload.torch(torch, None, workload.inputs()),)

    def optimized(f: Any) -> Any:
        return torch.compile(f, fullgraph=True, dynamic=False)

    optimized(lambda x: x + 1.0)(torch.ones(3))
    return (workload.torch(torch, optimized, workload.inputs()),)


def jax_side(workload: Workload, side: str, folder: str) -> tuple[Step, ...]:
    if workload.jax is None:
        raise Absent("not written")
    jax = jax_in_float64()
    if jax is None:
        raise Absent("jax is not installed")
    jax.jit(lambda x: x + 1.0)(jax.numpy.ones(3)).block_until_ready()
    return (workload.jax(jax, workload.inputs()),)


def numpy_side(workload: Workload, side: str, folder: str) -> tuple[Step, ...]:
    if workload.numpy is None:
        raise Absent("not written")
    return (workload.numpy(workload.inputs()),)


def c_side(workload: Workload, side: str, folder: str) -> tuple[Step, ...]:
    if workload.c is None:
        raise Absent("not written")
    try:
        library = Library(workload.source, folder)
    except FileNotFoundError:
        raise Absent("there is no gcc") from None
    return (workload.c(library, workload.inputs()),)


BUILDERS: dict[str, Callable[[Workload, str, str], tuple[Step, ...]]] = {
    "arrayad": arrayad_side,
    "eager": arrayad_side,
    "ratio": arrayad_side,
    "torch": torch_side,
    "torch.compile": torch_side,
    "jax": jax_side,
    "numpy": numpy_side,
    "c": c_side,
}


def first_run(step: Step, calls: int, compared: bool) -> dict[str, Any]:
    """Run a step so often that its result can be compared; the first call is the one that compiles."""
    start = time.perf_counter()
    out = step.call()
    first = time.perf_counter() - start
    for _ in range(calls - 1):
        out = step.call()
    results = step.result(out) if compared else []
    return {"first": first, "results": [np.asarray(x.detach() if hasattr(x, "detach") else x) for x in results]}


def serve(row: str, side: str, folder: str, pipe: Connection) -> None:
    """Answer, first, what the first calls gave; then, to each number of seconds, the seconds that a call of each program took."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    workload = ROWS[row]
    try:
        steps = BUILDERS[side](workload, side, folder)
        pipe.send(first_run(steps[0], workload.calls, compared=side != "ratio"))
    except Absent as reason:
        pipe.send({"absent": str(reason)})
        return
    except Exception:
        pipe.send({"error": traceback.format_exc()})
        return
    repeats: list[int] = []
    while seconds := pipe.recv():
        repeats = repeats or [calibrated(step.call, seconds / len(steps)) for step in steps]
        pipe.send([timed(step.call, count) for step, count in zip(steps, repeats, strict=True)])

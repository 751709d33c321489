"""Run compiled programs under the sanitizers of addresses and undefined behaviour.

`python sanitising.py rows NAME ... | programs SEED ... | fault`

The sanitizer's library must be preloaded.  Inputs and outputs are blocks of their own, and in the arena each array lies apart,
with poison around it, so that a read beside an array is an error even where another lies there otherwise.
"""

from __future__ import annotations

import ctypes
import faulthandler
import sys
from typing import Any

import numpy as np

from arrayad import tree
from arrayad.compiler import emit, executable, plan
from arrayad.compiler.loading import program_of
from arrayad.readers.run import runner
from arrayad.shaped import Shaped
from arrayad.tracing import Tape, record

FLAGS = ("-DARRAYAD_SIMD", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wl,-z,nodefs")
GAP = 256
PLACES: list[tuple[int, int]] = []


class Apart(plan.Arena):
    """An arena in which nothing shares a place."""

    def place(self, size: int, first: int, last: int) -> int:
        offset = self.size + GAP
        self.size = offset + max(plan.aligned(size), plan.ALIGNMENT) + GAP
        PLACES.append((offset, size))
        return offset


class Planned(plan.Plan):
    """The plan of which `PLACES` tells: that of the outermost block is made last."""

    def __init__(self, *args: Any) -> None:
        PLACES.clear()
        super().__init__(*args)


def run(tape: Tape, inputs: list[Any]) -> list[Any]:
    """The outputs of a compiled tape."""
    plan.Arena, emit.Plan = Apart, Planned  # type: ignore[misc]
    executable.program_of = lambda text, options=(): program_of(text, FLAGS)
    executable.empty, executable.POOLED = fresh, 0
    made = executable.Executable(tape)
    library = ctypes.CDLL(None)
    start = made.arenas[0].ctypes.data
    end = 0
    for offset, size in [*PLACES, (made.arena_size, 0)]:
        library.__asan_poison_memory_region(ctypes.c_void_p(start + end), ctypes.c_size_t(offset - end))
        end = offset + size
    found = made([fresh_copy(x) for x in inputs])
    library.__asan_unpoison_memory_region(ctypes.c_void_p(start), ctypes.c_size_t(made.arena_size))
    return found


BLOCKS: list[Any] = []


def fresh(shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """An array in a block of memory that the sanitizer guards, no byte longer than the array."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    address = library.malloc(ctypes.c_size_t(max(size, 1)))
    block = (ctypes.c_char * size).from_address(address)
    BLOCKS.append(block)
    return np.frombuffer(block, dtype).reshape(shape) if size else np.empty(shape, dtype)


def fresh_copy(x: Any) -> np.ndarray[Any, Any]:
    y = fresh(x.shape, x.dtype)
    y[...] = x
    return y


def check(name: str, tape: Tape, inputs: list[Any]) -> None:
    print(name, flush=True)
    with np.errstate(all="ignore"):
        wanted = runner(tape)(list(inputs))
    for y, z in zip(run(tape, inputs), map(np.asarray, wanted), strict=True):
        scale = np.abs(z[np.isfinite(z)]).max(initial=1.0) if z.dtype.kind == "f" else 0
        np.testing.assert_allclose(y, z, rtol=1e-3, atol=1e-3 * scale)


def main(kind: str, names: list[str]) -> None:
    faulthandler.enable()
    if kind == "fault":
        tape = record(lambda x: [x * 2.0], [Shaped((100,), "float64")])
        run(tape, [np.ones(99)])
    if kind == "rows":
        from drawing import cases_of, every_case
        from test_rows import pulled_and_pushed, together, value

        from arrayad.primitive import TABLE

        drawn = {case.row.name for case in every_case()}
        for name in names:
            if name not in drawn:
                continue
            row = TABLE[name]
            check(name, *together(list(cases_of(row)), "float64", value))
            if row.differentiable:
                cases = [case for case in cases_of(row) if "dtype" not in case.params]
                check(f"{name}, derivatives", *together(cases, "float64", pulled_and_pushed))
        return
    from programs import MODES, Program, operands_of

    for seed in map(int, names):
        for mode in ("value", "gradient", "batched"):
            operands = operands_of(seed)
            function = MODES[mode](Program(seed, steps=2 + seed % 9))
            tape = record(lambda *xs, function=function: tree.leaves(function(*xs)), [Shaped(x.shape, x.dtype) for x in operands])
            check(f"program {seed}, {mode}", tape, operands)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
    print("done")

"""Compiled programs of arrayad beside torch, torch.compile, jax.jit, and NumPy and C written by hand.

    python benchmarks/bench_compile.py                        every row
    python benchmarks/bench_compile.py rosenbrock-1e3 chain   these rows
    python benchmarks/bench_compile.py --peers jax c          beside these only
    python benchmarks/bench_compile.py --json run.json        with all figures into a file

Each system runs in a process of its own with two threads on two cores.  Its result is compared with the reference first: one
that differs is reported and not timed.  Then the systems take turns; a row shows the best of all rounds.  Compile times are
those of the first call, with an empty cache, in a process that has compiled something else before.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from measure import table
from side import SIDES, THREADS, serve
from workloads.table import ROWS
from workloads.workload import Workload

import arrayad as ad

OURS = ("arrayad", "eager", "ratio")
FRAMEWORKS = ("torch", "torch.compile", "jax")
BY_HAND = ("numpy", "c")
HEAD = ("ms", "arrayad", "eager", *FRAMEWORKS, *BY_HAND, "/ best peer", "goal", "/ C", "goal", "ratio", "goal", "met")
GROWTH = 1.25
"""How far ten times the entries may take more than ten times the seconds and still count as linear."""
COMPILE_HEAD = ("trace + compile + load, s", "arrayad", "torch.compile", "jax", "goal", "met")


@dataclass
class Row:
    """What was found of a workload."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    """By side, the seconds of a call in each round."""
    below: list[float] = field(default_factory=list)
    """The seconds of the lower program of the ratio, in each round."""
    first: dict[str, float] = field(default_factory=dict)
    """By side, the seconds of the first call."""
    wrong: dict[str, str] = field(default_factory=dict)
    """By side, why it was not timed."""

    def best(self, side: str) -> float | None:
        return min(self.seconds[side]) if side in self.seconds else None

    def compile_seconds(self, side: str) -> float | None:
        """What the first call took longer than others."""
        return self.first[side] - statistics.median(self.seconds[side]) if side in self.seconds else None

    def over(self, sides: tuple[str, ...]) -> float | None:
        """arrayad's time over the best of these."""
        others = [best for side in sides if (best := self.best(side)) is not None]
        ours = self.best("arrayad")
        return ours / min(others) if others and ours is not None else None

    def ratio(self) -> float | None:
        best = self.best("ratio")
        return best / min(self.below) if best is not None else None


# --- running -----------------------------------------------------------------------------------------------------------


def start(row: str, side: str, folder: str) -> tuple[Any, Connection]:
    """A process that serves one side of a row."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=serve, args=(row, side, folder, theirs))
    process.start()
    theirs.close()
    return process, mine


def received(process: Any, pipe: Connection) -> dict[str, Any]:
    """A side's first answer; that of one that died says so."""
    try:
        return pipe.recv()
    except EOFError:
        process.join()
        return {"error": f"the process ended with code {process.exitcode}"}


def difference(results: list[Any], expected: list[Any]) -> float:
    """The largest ‖result - reference‖₂ / ‖reference‖₂ of all arrays; inf where there are others than expected."""
    if [np.shape(x) for x in results] != [np.shape(y) for y in expected]:
        return float("inf")
    errors = [
        float(np.linalg.norm(np.ravel(x - y)) / np.linalg.norm(np.ravel(y))) for x, y in zip(results, expected, strict=True)
    ]
    return max(error if error == error else float("inf") for error in errors)


def measured(workload: Workload, sides: list[str], rounds: int, seconds: float) -> Row:
    """All sides of a workload: built one after the other, compared, and timed in turns."""
    row, running = Row(), {}
    expected = workload.expected()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(ARRAYAD_CACHE_DIR=f"{folder}/arrayad", TORCHINDUCTOR_CACHE_DIR=f"{folder}/inductor")
        for side in sides:
            process, pipe = start(workload.key, side, folder)
            answer = received(process, pipe)
            if "absent" in answer:
                print(f"    {side}: {answer['absent']}", file=sys.stderr)
            elif "error" in answer:
                row.wrong[side] = answer["error"]
            elif side != "ratio" and not (error := difference(answer["results"], expected)) <= workload.allowance():
                row.wrong[side] = f"another result: off by {error:.1e}, where {workload.allowance():.0e} is allowed"
                pipe.send(0)
            else:
                if side != "ratio":
                    print(f"    {side}: agrees to {error:.1e}, first call {answer['first']:.2f} s", file=sys.stderr)
                row.first[side] = answer["first"]
                running[side] = process, pipe
                continue
            process.join()
        for _ in range(rounds):
            for side, (_, pipe) in running.items():
                pipe.send(seconds)
                found = pipe.recv()
                row.seconds.setdefault(side, []).append(found[0])
                row.below += found[1:]
        for process, pipe in running.values():
            pipe.send(0)
            process.join()
    for side, reason in row.wrong.items():
        print(f"    {side}: NOT TIMED: {reason}", file=sys.stderr)
    return row


# --- what is printed ---------------------------------------------------------------------------------------------------


def number(x: float | None, scale: float = 1.0) -> str:
    return "" if x is None else f"{x * scale:.3g}" if x * scale < 100 else f"{x * scale:,.0f}"


def verdict(pairs: list[tuple[float | None, float | None]]) -> str:
    """Whether each figure that was found is within its goal."""
    judged = [x <= goal for x, goal in pairs if x is not None and goal is not None]
    return "" if not judged else "yes" if all(judged) else "NO"


def goals_of(workload: Workload, row: Row) -> list[tuple[float | None, float | None]]:
    """Our time over the best peer's and over C's, and the ratio of two programs, each with its goal."""
    goal = workload.ratio.goal if workload.ratio else None
    return [(row.over(FRAMEWORKS), workload.goal), (row.over(("c",)), workload.goal_of_c), (row.ratio(), goal)]


def line_of(workload: Workload, row: Row) -> tuple[str, ...]:
    sides = [number(row.best(side), 1e3) or ("differs" if side in row.wrong else "") for side in SIDES if side != "ratio"]
    goals = goals_of(workload, row)
    cells = [number(x) for pair in goals for x in pair]
    if workload.goal_in_seconds is not None:
        goals.append((row.best("arrayad"), workload.goal_in_seconds))
        cells[1] = f"{number(workload.goal_in_seconds, 1e3)} ms"
    return (workload.title, *sides, *cells, "NO" if "arrayad" in row.wrong else verdict(goals))


def compile_line_of(workload: Workload, row: Row) -> tuple[str, ...]:
    ours, torch, jax = (row.compile_seconds(side) for side in ("arrayad", "torch.compile", "jax"))
    goal = workload.goal_of_compilation or jax
    return (workload.title, number(ours), number(torch), number(jax), number(goal), verdict([(ours, goal)]))


def growth_line_of(found: dict[str, Row]) -> tuple[str, ...]:
    """How much longer ten times the entries take to compile."""
    ratios = []
    for side in ("arrayad", "jax"):
        short, long = (found[key].compile_seconds(side) for key in ("tape-1e3", "tape-1e4"))
        ratios.append(long / short if long is not None and short is not None else None)
    goal = 10.0 * GROWTH
    return ("10^4 entries over 10^3", number(ratios[0]), "", number(ratios[1]), number(goal), verdict([(ratios[0], goal)]))


def record_of(workload: Workload, row: Row) -> dict[str, Any]:
    return {
        "title": workload.title,
        "best": {side: min(found) for side, found in row.seconds.items()},
        "median": {side: statistics.median(found) for side, found in row.seconds.items()},
        "first call": row.first,
        "compile": {side: row.compile_seconds(side) for side in row.seconds},
        "over the best peer": row.over(FRAMEWORKS),
        "over C": row.over(("c",)),
        "goal": workload.goal,
        "goal over C": workload.goal_of_c,
        "goal in seconds": workload.goal_in_seconds,
        "goal of compilation": workload.goal_of_compilation,
        "ratio": row.ratio(),
        "goal of the ratio": workload.ratio.goal if workload.ratio else None,
        "not timed": row.wrong,
    }


def chosen_rows(keys: list[str]) -> list[str]:
    """The rows whose keys begin so, in the table's order; all if none is named."""
    unknown = [key for key in keys if not any(row.startswith(key) for row in ROWS)]
    if unknown:
        raise SystemExit(f"no row begins with {unknown}; the rows are {', '.join(ROWS)}")
    return [row for row in ROWS if not keys or row.startswith(tuple(keys))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"first letters of {', '.join(ROWS)}")
    parser.add_argument("--peers", nargs="*", choices=[*FRAMEWORKS, *BY_HAND], default=[*FRAMEWORKS, *BY_HAND])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.2, help="that each side computes in a round")
    parser.add_argument("--json", metavar="FILE", help="where all figures are written")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARRAYAD_NUM_THREADS"):
        os.environ[name] = str(THREADS)
    if not hasattr(ad, "compile"):
        print("this arrayad has no compile: its column is eager mode, and its compile times are none", file=sys.stderr)
    sides = [side for side in SIDES if side in (*OURS, *options.peers)]
    found: dict[str, Row] = {}
    for key in chosen_rows(options.rows):
        print(f"{ROWS[key].title}", file=sys.stderr, flush=True)
        found[key] = measured(ROWS[key], sides, options.rounds, options.seconds)
    print(table([line_of(ROWS[key], row) for key, row in found.items()], HEAD), end="\n\n")
    compilations = [compile_line_of(ROWS[key], row) for key, row in found.items()]
    if {"tape-1e3", "tape-1e4"} <= set(found):
        compilations.append(growth_line_of(found))
    print(table(compilations, COMPILE_HEAD))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({key: record_of(ROWS[key], row) for key, row in found.items()}, file, indent=1)


if __name__ == "__main__":
    main()

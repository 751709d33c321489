"""What derivatives cost: gradient and tangent over the value on the workloads, and what grows with the number of inputs.

    python benchmarks/bench_cost.py                          every workload, every family
    python benchmarks/bench_cost.py chain lorenz             these workloads
    python benchmarks/bench_cost.py --no-growth              the workloads alone
    python benchmarks/bench_cost.py --plot docs/pictures/cost.png --write docs/cost.md --json cost.json

A workload's value, its value and gradient, and its value and one tangent take turns; a ratio is that of the best of all rounds.
They run operation by operation (eager), which is not judged where all arrays are small, and compiled; "counted" is the ratio of
weighted operations, which no machine changes.  Then the gradient of families of functions is timed by every way, from one input
to a million; a star marks times beyond 10 seconds, which are those of a sample of the directions, scaled.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from capture import Call, captured
from measure import best_of, table
from workloads.table import ROWS

import arrayad as ad
from arrayad import tree
from arrayad.comparison.growth import LIMIT, SIZES, Family, Growth, growth
from arrayad.compiler.toolchain import toolchain

GRADIENT, TANGENT = 4.0, 3.0
"""What value and gradient together may take, and a tangent beside the value, over the value."""

SMALL = 10_000
"""Elements of the largest array below which eager execution takes its time in Python, between the operations."""

HEAD = (
    "workload",
    "counted: gradient",
    "tangent",
    "eager: gradient",
    "tangent",
    "compiled: gradient",
    "tangent",
    "within 4 and 3",
)
BEGIN, END = "<!-- bench_cost: begin -->", "<!-- bench_cost: end -->"


@dataclass(frozen=True)
class Ratios:
    """Value and gradient over the value; the tangent beside the value over the value."""

    gradient: float
    tangent: float

    @property
    def within(self) -> bool:
        return self.gradient <= GRADIENT and self.tangent <= TANGENT


@dataclass(frozen=True)
class Row:
    """What was found of a workload."""

    title: str
    small: bool
    counted: Ratios
    eager: Ratios
    compiled: Ratios | None


def ratios(value: float, both: float, pushed: float) -> Ratios:
    return Ratios(both / value, pushed / value - 1.0)


def timed(calls: tuple[Call, Call, Call], compiled: Callable[[Any], Any], rounds: int, seconds: float) -> Ratios:
    """The three programs in turns."""
    names = ("value", "both", "pushed")
    steps = {name: call.step(compiled) for name, call in zip(names, calls, strict=True)}
    return ratios(*best_of(steps, rounds, seconds).values())


def measured(key: str, rounds: int, seconds: float) -> Row:
    calls = captured(ROWS[key])
    counted = ratios(*(call.flops() for call in calls))
    eager = timed(calls, lambda f: f, rounds, seconds)
    compiled = timed(calls, ad.compile, rounds, seconds) if toolchain() is not None else None
    return Row(ROWS[key].title, largest(calls[0]) < SMALL, counted, eager, compiled)


def largest(call: Call) -> int:
    """The elements of the largest argument."""
    return max(x.size for x in tree.leaves(call.args))


# --- families of functions -----------------------------------------------------------------------------------------------


def point(n: int) -> Any:
    return np.random.default_rng(0).uniform(0.5, 1.5, n)


def wave(x: Any) -> Any:
    return ad.sum(ad.sin(x) * x)


def rosenbrock(x: Any) -> Any:
    return ad.sum(100.0 * (ad.roll(x, -1) - x**2) ** 2 + (1.0 - x) ** 2)


def softmax(x: Any) -> Any:
    return ad.logsumexp(x) + 0.5 * ad.mean(x * x)


FAMILIES: dict[str, tuple[Family, Callable[[Any], Any]]] = {
    "sum of sin(x) x, eager": (lambda n: (wave, point(n)), lambda f: f),
    "Rosenbrock's function on a ring, eager": (lambda n: (rosenbrock, point(n)), lambda f: f),
    "logsumexp(x) + mean(x²)/2, eager": (lambda n: (softmax, point(n)), lambda f: f),
    "Rosenbrock's function on a ring, compiled": (lambda n: (rosenbrock, point(n)), ad.compile),
}


# --- what is printed -----------------------------------------------------------------------------------------------------


def line_of(row: Row) -> tuple[str, ...]:
    pairs = [pair for pair in (row.counted, row.eager, row.compiled) if pair is not None]
    cells = [f"{x:.2f}" for pair in pairs for x in (pair.gradient, pair.tangent)]
    verdict = "yes" if all(getattr(row, name).within for name in judged(row)) else "NO"
    return (row.title, *cells, *[""] * (6 - len(cells)), verdict + (", eager small" if row.small else ""))


def judged(row: Row) -> list[str]:
    """What of a workload the bounds are asked of: not the time that Python takes around small arrays."""
    return ["counted", *(["eager"] if not row.small else []), *(["compiled"] if row.compiled is not None else [])]


def within(rows: list[Row]) -> str:
    """How many workloads keep the bounds, in each way of looking."""
    parts = []
    for name in ("counted", "eager", "compiled"):
        found = [getattr(row, name) for row in rows if name in judged(row)]
        parts.append(f"{name}: {sum(pair.within for pair in found)} of {len(found)}")
    return "within the bounds: " + ", ".join(parts)


def markdown(rows: list[Row], found: list[Growth]) -> str:
    """The tables of the page."""
    lines = [machine(), ""]
    if rows:
        lines += ["| " + " | ".join(HEAD) + " |", "|---" + "|---:" * 6 + "|---|"]
        lines += ["| " + " | ".join(line_of(row)) + " |" for row in rows] + ["", within(rows).capitalize() + ".", ""]
    for one in found:
        lines += ["```text", *(line.rstrip() for line in str(one).splitlines()), "```", ""]
    return "\n".join(lines)


def machine() -> str:
    info = ad.kernels.info()
    return (
        f"arrayad {ad.__version__}, NumPy {np.__version__}, Python {sys.version.split()[0]}, "
        f"instruction set {info['isa']}, {info['threads']} threads."
    )


def write(page: Path, text: str) -> None:
    """Put the tables between the marks of a page."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def plot(rows: list[Row], found: list[Growth], path: str) -> None:
    """Left the growth of one family, right the ratios of the workloads."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.4, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    if found:
        found[0].plot(axes=left)
    for name, marker in (("counted", "_"), ("eager", "o"), ("compiled", "D")):
        for part, colour in (("gradient", "C0"), ("tangent", "C1")):
            ys = [getattr(getattr(row, name), part) if getattr(row, name) is not None else math.nan for row in rows]
            faces = ["white" if name not in judged(row) else colour for row in rows]
            label = f"{name}, {'value and gradient' if part == 'gradient' else 'a tangent beside the value'}"
            edges = {} if marker == "_" else {"edgecolors": colour}
            right.scatter(range(len(rows)), ys, 36, marker=marker, facecolors=faces, label=label, **edges)
    for bound, colour in ((GRADIENT, "C0"), (TANGENT, "C1")):
        right.axhline(bound, color=colour, linestyle="--", linewidth=1)
    right.set_xticks(range(len(rows)), list(CHOSEN), rotation=45, ha="right", fontsize=8)
    right.set_yscale("log", base=2)
    right.set_ylim(bottom=0.25)
    right.set_yticks([0.5, 1, 2, 3, 4, 8, 16], ["½", "1", "2", "3", "4", "8", "16"])
    right.set_ylabel("over the value")
    right.set_title("the bounds, 4 and 3, on the workloads; hollow: eager, small arrays", fontsize=10)
    figure.legend(*right.get_legend_handles_labels(), fontsize=8, ncols=3, loc="outside lower center")
    right.grid(True, axis="y", linewidth=0.4, alpha=0.6)
    figure.savefig(path, dpi=100)


CHOSEN: list[str] = []
"""The keys of the workloads that were measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [key for key, row in ROWS.items() if row.ratio is not None and row.ratio.name.endswith("/ value")]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"first letters of {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.2, help="that each program runs in a round")
    parser.add_argument("--growth", action=argparse.BooleanOptionalAction, default=True, help="whether to time the families")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="numbers of inputs of the families")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds beyond which directions are sampled")
    parser.add_argument("--plot", metavar="PATH", help="write the figure")
    parser.add_argument("--json", metavar="FILE", help="write all figures")
    parser.add_argument("--write", metavar="PAGE", help=f"put the tables into a page, between {BEGIN} and {END}")
    options = parser.parse_args()
    CHOSEN[:] = [key for key in known if not options.rows or key.startswith(tuple(options.rows))]
    if not CHOSEN:
        raise SystemExit(f"no workload begins with {options.rows}; they are {', '.join(known)}")
    rows = []
    for key in CHOSEN:
        print(ROWS[key].title, file=sys.stderr, flush=True)
        rows.append(measured(key, options.rounds, options.seconds))
    print(table([line_of(row) for row in rows], HEAD) + "\n" + within(rows), end="\n\n", flush=True)
    found = []
    for name, (family, compiled) in FAMILIES.items() if options.growth else ():
        if compiled is ad.compile and toolchain() is None:
            continue
        found.append(growth(family, options.sizes, name=name, compiled=compiled, limit=options.limit))
        print(f"{found[-1]}\n", flush=True)
    if options.plot:
        plot(rows, found, options.plot)
    if options.json:
        record = {"workloads": [asdict(row) for row in rows], "growth": [one.record() for one in found]}
        Path(options.json).write_text(json.dumps(record, indent=1), encoding="utf-8")
    if options.write:
        write(Path(options.write), markdown(rows, found))


if __name__ == "__main__":
    main()

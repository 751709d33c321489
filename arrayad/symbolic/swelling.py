"""`swell`: how the derivative of an iterated map grows as a formula of SymPy's, and does not where what is shared stays so.

**Source** the example is that of Baydin, Pearlmutter, Radul & Siskind, Automatic differentiation in machine learning: a survey,
J. Mach. Learn. Res. 18 (2018), table 1.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from arrayad.symbolic.expressions import expression
from arrayad.symbolic.sympy_forms import sympy

FORMS = ("plain", "expanded", "simplified")

PROGRAM = """
import sys, sympy
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
except (ImportError, OSError, ValueError):
    pass
form = {"plain": lambda y: y, "expanded": sympy.expand, "simplified": sympy.simplify}[sys.argv[1]]
x = l = sympy.Symbol("x")
for n in range(1, int(sys.argv[2]) + 1):
    print(n, sympy.count_ops(form(sympy.diff(l, x))), flush=True)
    l = 4 * l * (1 - l)
"""
"""What another Python runs, so that it can be stopped: it prints n and the operations of SymPy's derivative of l_n."""


def iterated(n: int) -> Callable[[Any], Any]:
    """The function l_n: l_1 = x, l_(n+1) = 4 l_n (1 - l_n)."""

    def iterate(x: Any) -> Any:
        for _ in range(n - 1):
            x = 4 * x * (1 - x)
        return x

    return iterate


def counted(form: str, n: int, seconds: float) -> dict[int, int]:
    """The operations of SymPy's derivatives of l_1, l_2, …, l_n, as far as it gets in so many seconds."""
    command = [sys.executable, "-c", PROGRAM, form, str(n)]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False).stdout
    except subprocess.TimeoutExpired as stopped:
        found = (stopped.stdout or b"").decode() if isinstance(stopped.stdout, bytes) else stopped.stdout or ""
    pairs = (line.split() for line in found.splitlines(keepends=True) if line.endswith("\n"))
    return {int(k): int(count) for k, count in pairs}


@dataclass(frozen=True)
class Swell:
    """Operations of the derivative of l_n by n: `counts` of SymPy's forms as far as they got, `ours` of the shared graph.

    `str` is the table.  What SymPy did not reach in `seconds` is extrapolated by its last growth, and marked ≈.
    """

    counts: Mapping[str, Mapping[int, int]]
    ours: Mapping[int, int]
    lines: Mapping[int, int]
    seconds: float

    def extrapolated(self, form: str, n: int) -> float:
        """The operations of a form at n, by the growth between its last two counts; nan where there are no two."""
        counts = self.counts[form]
        last = max(counts, default=0)
        if n <= last:
            return float(counts.get(n, math.nan))
        before = counts.get(last - 1, 0)
        return counts[last] * (counts[last] / before) ** (n - last) if before else math.nan

    def __str__(self) -> str:
        head = [f"{'n':>3}", *(f"{'SymPy, ' + form:>18}" for form in FORMS), f"{'shared graph':>14}", f"{'lines':>7}"]
        rows = ["".join(head)]
        for n in sorted(self.ours):
            cells = [
                f"{self.counts[form][n]:>18,}" if n in self.counts[form] else f"{'≈ ' + large(self.extrapolated(form, n)):>18}"
                for form in FORMS
            ]
            rows.append("".join([f"{n:>3}", *cells, f"{self.ours[n]:>14,}", f"{self.lines[n]:>7}"]))
        rows.append(f"≈: extrapolated; SymPy did not get so far in {self.seconds:g} s")
        return "\n".join(rows)

    def __repr__(self) -> str:
        return str(self)

    def plot(self, path: str | os.PathLike[str] | None = None, axes: Any = None) -> Any:
        """Draw operations against n, on a logarithmic axis; what is extrapolated is dashed.

        **Parameters** `path`: where to write the picture, if anywhere; `axes`: matplotlib's axes to draw into, new ones if None.

        **Returns** the figure.

        **Raises** `ImportError` without the package matplotlib (`pip install "arrayad[plot]"`).
        """
        if axes is None:
            axes = figure_class()(figsize=(7.0, 4.2), layout="constrained").add_subplot()
        for form, colour, size in zip(FORMS, ("#c0392b", "#e59866", "#7d3c98"), (4, 8, 4), strict=True):
            known = {n: count for n, count in self.counts[form].items() if count}
            axes.plot(list(known), list(known.values()), "o-", color=colour, markersize=size, label=f"SymPy, {form}")
            beyond = [n for n in self.ours if known and n >= max(known)]
            guess = [self.extrapolated(form, n) for n in beyond]
            axes.plot(beyond, guess, "--", color=colour, linewidth=1, alpha=0.7)
        ours = {n: count for n, count in self.ours.items() if count}
        axes.plot(list(ours), list(ours.values()), "s-", color="#1e8449", markersize=4, label="arrayad, shared graph")
        axes.plot([], [], "--", color="0.4", linewidth=1, label=f"extrapolated beyond {self.seconds:g} s")
        axes.set(yscale="log", xlabel="n", ylabel="operations", title=r"$dl_n/dx$ for $l_1 = x$, $l_{n+1} = 4\,l_n\,(1 - l_n)$")
        axes.set_ylim(0.5, 1e15)
        axes.grid(True, alpha=0.3)
        axes.legend(loc="upper left", fontsize=8)
        if path is not None:
            axes.figure.savefig(path, dpi=110)
        return axes.figure


def large(count: float) -> str:
    return "?" if math.isnan(count) else f"{count:,.0f}" if count < 1e7 else f"{count:.1e}"


def figure_class() -> Any:
    """matplotlib's Figure, which needs no display.

    **Raises** `ImportError` with the cure where it is not installed.
    """
    try:
        return import_module("matplotlib.figure").Figure
    except ImportError:
        raise ImportError('[plot] the package matplotlib is needed: pip install "arrayad[plot]"') from None


def swell(n: int = 40, seconds: float = 20.0, *, path: str | os.PathLike[str] | None = None) -> Swell:
    """How the derivative of an iterated map grows: operations of SymPy's formulas, and of the graph that keeps what is shared.

    l_1 = x, l_(k+1) = 4 l_k (1 - l_k);  counted are the operations of dl_k/dx for k = 1 … n

    SymPy's derivative, as it comes, expanded and simplified, is made in another process, as far as it gets in `seconds` for each
    form.  The graph's operations grow linearly: each step adds the same few.

    **Parameters** `n`: the largest k; `seconds`: for each of SymPy's three forms; `path`: where to write the figure, if anywhere.

    **Returns** a `Swell`, which prints as a table; `.plot()` draws it.

    **Raises** `ImportError` without the packages sympy (`pip install "arrayad[symbolic]"`) and, for a figure, matplotlib.

    **Source** Baydin, Pearlmutter, Radul & Siskind, J. Mach. Learn. Res. 18 (2018), table 1.
    """
    sympy()
    found = {k: expression(iterated(k), "x").diff("x") for k in range(1, n + 1)}
    counts = {form: counted(form, n, seconds) for form in FORMS}
    result = Swell(
        counts, {k: each.operations for k, each in found.items()}, {k: len(each.lines) for k, each in found.items()}, seconds
    )
    if path is not None:
        result.plot(path)
    return result

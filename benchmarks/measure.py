"""Time two programs side by side: alternating rounds, the best of each, so that a busy moment falls on both."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def best_of(functions: dict[str, Callable[[], Any]], rounds: int = 15, seconds: float = 0.05) -> dict[str, float]:
    """The least seconds that a call of each function took, over rounds in which all of them take turns."""
    repeats = {name: calibrated(function, seconds) for name, function in functions.items()}
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            best[name] = min(best[name], timed(function, repeats[name]))
    return best


def calibrated(function: Callable[[], Any], seconds: float) -> int:
    """How many calls take about so many seconds."""
    function()
    return max(1, int(seconds / max(timed(function, 1), 1e-7)))


def timed(function: Callable[[], Any], repeats: int) -> float:
    """Seconds a call, over `repeats` calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def table(rows: list[tuple[str, ...]], head: tuple[str, ...]) -> str:
    """Rows of text in aligned columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for first, *rest in [head, *rows]:
        lines.append("  ".join([first.ljust(widths[0]), *(text.rjust(w) for text, w in zip(rest, widths[1:], strict=True))]))
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])

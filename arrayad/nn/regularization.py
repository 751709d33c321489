"""Layers that act in training only."""

from __future__ import annotations

from typing import Any

from arrayad.nn import functional
from arrayad.nn.module import Module
from arrayad.random import Generator
from arrayad.tensor import Tensor


class Dropout(Module):
    """In training each element 0 with probability p, else over 1 - p; in evaluation nothing: `functional.dropout`.

    **Parameters** `rng`: by default the shared generator (`arrayad.random.manual_seed`).
    """

    def __init__(self, p: float = 0.5, rng: Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"[Dropout] p is {p}; a probability in [0, 1] is needed")
        self.p, self.rng = p, rng

    def forward(self, x: Any) -> Tensor:
        return functional.dropout(x, self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"

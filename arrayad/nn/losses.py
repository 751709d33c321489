"""Losses as modules."""

from __future__ import annotations

from typing import Any

from arrayad.functions.creation import asarray
from arrayad.nn import functional
from arrayad.nn.module import Module
from arrayad.tensor import Tensor


class CrossEntropyLoss(Module):
    """Cross entropy of logits with labels or probabilities: `functional.cross_entropy`."""

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = None if weight is None else asarray(weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input: Any, target: Any) -> Tensor:
        options = (self.weight, self.ignore_index, self.reduction, self.label_smoothing)
        return functional.cross_entropy(input, target, *options)


class MSELoss(Module):
    """Squared error: `functional.mse_loss`."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Tensor:
        return functional.mse_loss(input, target, self.reduction)

"""Layers that normalise what passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.nn import functional
from arrayad.nn.module import Module, Parameter
from arrayad.tensor import Tensor


class LayerNorm(Module):
    """Mean 0 and variance 1 over the last axes, then a factor and a shift for each element: `functional.layer_norm`."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = Parameter(np.ones(self.normalized_shape), dtype) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape), dtype) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Tensor:
        return functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"

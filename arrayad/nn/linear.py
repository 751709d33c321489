"""Affine layers, and the layer that prepares what comes in for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.functions.shape import reshape
from arrayad.nn import functional
from arrayad.nn.initialization import fan_in_uniform
from arrayad.nn.module import Module
from arrayad.random import Generator
from arrayad.tensor import Tensor


class Linear(Module):
    """Affine map of the last axis: y = x Wᵀ + b.

    **Parameters** `weight` (out, in) and `bias` (out,) begin uniform in ±1/√in; `rng`: by default the shared generator
    (`arrayad.random.manual_seed`).

    **Example**

    >>> import arrayad as ad
    >>> ad.nn.Linear(3, 2)(ad.ones((4, 3))).shape
    (4, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: Any = np.float32, rng: Generator | None = None
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = fan_in_uniform((out_features, in_features), in_features, dtype, rng)
        self.bias = fan_in_uniform((out_features,), in_features, dtype, rng) if bias else None

    def forward(self, x: Any) -> Tensor:
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` as one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Tensor:
        shape = np.shape(x)
        first, last = range(len(shape))[self.start_dim], range(len(shape))[self.end_dim]
        return reshape(x, (*shape[:first], int(np.prod(shape[first : last + 1])), *shape[last + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"

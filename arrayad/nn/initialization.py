"""How parameters begin."""

from __future__ import annotations

import math
from typing import Any

from arrayad.nn.module import Parameter
from arrayad.random import SHARED, Generator
from arrayad.tensor import Tensor


def fan_in_uniform(shape: tuple[int, ...], fan_in: int, dtype: Any, rng: Generator | None) -> Tensor:
    """A parameter uniform in ±1/√fan_in: PyTorch's beginning of a linear layer's weight and bias.

    **Parameters** `fan_in`: how many inputs each output has; `rng`: by default the shared generator.

    **Source** K. He et al., arXiv:1502.01852, with a = √5 for the slope.
    """
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return Parameter((SHARED if rng is None else rng).uniform(-bound, bound, shape, dtype))


def standard_normal(shape: tuple[int, ...], dtype: Any, rng: Generator | None) -> Tensor:
    """A parameter that is normal of mean 0 and variance 1."""
    return Parameter((SHARED if rng is None else rng).standard_normal(shape, dtype))

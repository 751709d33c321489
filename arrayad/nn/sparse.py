"""Layers that look rows up."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.nn import functional
from arrayad.nn.initialization import standard_normal
from arrayad.nn.module import Module
from arrayad.random import Generator
from arrayad.tensor import Tensor


class Embedding(Module):
    """A row of `embedding_dim` numbers for each of `num_embeddings` integers: `functional.embedding`.

    **Parameters** `weight` begins standard normal; `rng`: by default the shared generator (`arrayad.random.manual_seed`).
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, dtype: Any = np.float32, rng: Generator | None = None) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = standard_normal((num_embeddings, embedding_dim), dtype, rng)

    def forward(self, x: Any) -> Tensor:
        return functional.embedding(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"

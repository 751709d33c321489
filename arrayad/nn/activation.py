"""Activations as modules, for use in `Sequential`."""

from __future__ import annotations

from typing import Any

from arrayad.nn import functional
from arrayad.nn.module import Module


class ReLU(Module):
    """Rectified linear unit: y[i] = max(x[i], 0)."""

    def forward(self, x: Any) -> Any:
        return functional.relu(x)


class Tanh(Module):
    """Hyperbolic tangent of each element."""

    def forward(self, x: Any) -> Any:
        return functional.tanh(x)


class Sigmoid(Module):
    """Logistic function of each element."""

    def forward(self, x: Any) -> Any:
        return functional.sigmoid(x)


class GELU(Module):
    """Gaussian error linear unit: `functional.gelu`."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return functional.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """Sigmoid linear unit: y[i] = x[i] / (1 + e^-x[i])."""

    def forward(self, x: Any) -> Any:
        return functional.silu(x)


class Softmax(Module):
    """Shares along an axis: `functional.softmax`."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return functional.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

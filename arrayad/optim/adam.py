"""Adam, and AdamW, whose weight decay does not pass through the moments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from arrayad import kernels
from arrayad.functions.creation import zeros_like
from arrayad.optim.optimizer import Optimizer, refuse_below
from arrayad.primitives.arithmetic import sqrt, square
from arrayad.tensor import Tensor


class Adam(Optimizer):
    """Adam, as PyTorch means it: steps of about `lr` whatever the size of the gradient.

    g' = g + weight_decay p;  m' = β₁ m + (1 - β₁) g';  v' = β₂ v + (1 - β₂) g'²;
    p' = p - lr m̂ / (√v̂ + eps), with m̂ = m' / (1 - β₁^step) and v̂ = v' / (1 - β₂^step).

    **Source** D. P. Kingma, J. Ba, arXiv:1412.6980.

    **Example**

    >>> import arrayad as ad
    >>> w = ad.tensor(1.0, requires_grad=True)
    >>> optimizer = Adam([w], lr=0.25)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w
    Tensor(0.75, requires_grad=True)
    """

    hyperparameters = ("lr", "betas", "eps", "weight_decay")
    memory = ("mean", "square")
    lifted = ("lr", "betas", "eps", "weight_decay", "steps", "state")
    decoupled = False

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params)
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        refuse_below(self, 0, "lr", "eps", "weight_decay")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"[{type(self).__name__}] betas is {betas}; two numbers in [0, 1) are needed")

    def update(self, p: Any, g: Any, state: dict[str, Any], step: int) -> Any:
        if not state:
            state.update(mean=np.zeros_like(p), square=np.zeros_like(p))
        beta1, beta2 = self.betas
        new, state["mean"], state["square"] = kernels.adam(
            p,
            g,
            state["mean"],
            state["square"],
            learning_rate=self.lr,
            beta1=beta1,
            beta2=beta2,
            epsilon=self.eps,
            correction1=1 - beta1**step,
            correction2=1 - beta2**step,
            weight_decay=self.weight_decay,
            decoupled=self.decoupled,
        )
        return new

    def formula(self, p: Tensor, g: Tensor, state: dict[str, Any], step: Any) -> Tensor:
        beta1, beta2 = self.betas
        if not state:
            state.update(mean=zeros_like(p), square=zeros_like(p))
        kept = p
        if self.decoupled:
            kept = p * (1.0 - self.lr * self.weight_decay)
        else:
            g = g + self.weight_decay * p
        state["mean"] = m = state["mean"] + (1.0 - beta1) * (g - state["mean"])
        state["square"] = v = beta2 * state["square"] + (1.0 - beta2) * square(g)
        rate, root = self.lr / (1.0 - beta1**step), (1.0 - beta2**step) ** 0.5
        return kept - rate * (m / (sqrt(v) / root + self.eps))


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- (1 - lr weight_decay) p, then a step of Adam without it.

    **Source** I. Loshchilov, F. Hutter, arXiv:1711.05101.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

"""Gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from arrayad import kernels
from arrayad.optim.optimizer import Optimizer, refuse_below
from arrayad.primitives.comparison import greater
from arrayad.primitives.selection import where
from arrayad.tensor import Tensor


class SGD(Optimizer):
    """Gradient descent, as PyTorch means it.

    g' = g + weight_decay p;  v' = momentum v + (1 - dampening) g', at the first step g';
    p' = p - lr v', with `nesterov` p - lr (g' + momentum v').

    **Source** I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    **Example**

    >>> import arrayad as ad
    >>> w = ad.tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([w], lr=0.25)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w
    Tensor(0.5, requires_grad=True)
    """

    hyperparameters = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    memory = ("velocity",)
    lifted = ("lr", "weight_decay", "steps", "state")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params)
        self.lr, self.momentum, self.dampening = lr, momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov
        refuse_below(self, 0, "lr", "momentum", "weight_decay")
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(f"[SGD] nesterov came with momentum {momentum} and dampening {dampening}; it needs momentum alone")

    def update(self, p: Any, g: Any, state: dict[str, Any], step: int) -> Any:
        new, velocity = kernels.sgd(
            p,
            g,
            state.get("velocity") if step > 1 else None,
            learning_rate=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
        )
        if velocity is not None:
            state["velocity"] = velocity
        return new

    def formula(self, p: Tensor, g: Tensor, state: dict[str, Any], step: Any) -> Tensor:
        g = g + self.weight_decay * p
        if self.momentum:
            if "velocity" in state:
                later = self.momentum * state["velocity"] + (1.0 - self.dampening) * g
                g, first = (later, g) if not self.dampening else (where(greater(step, 1), later, g), g)
            state["velocity"] = v = g
            if self.nesterov:
                g = first + self.momentum * v
        return p - self.lr * g

    def memory_needed(self) -> tuple[str, ...]:
        return self.memory if self.momentum else ()

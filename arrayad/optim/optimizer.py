"""`Optimizer`: what all optimisers share, the list of parameters and what each remembers of its past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from arrayad.errors import DerivativeError, DTypeError, ShapeError, describe
from arrayad.modes import capturing, no_grad
from arrayad.tensor import Tensor, freeze, is_watched, rebind

Array = np.ndarray[Any, Any]


class Optimizer:
    """Moves parameters against their gradients.

    `step` gives each parameter that has a gradient a new value; it remains the leaf that it is, and older values stay as
    they were with whoever holds them.  The hyper-parameters are attributes, read at each step: assign to `lr` to change it.

    A subclass names its hyper-parameters in `hyperparameters`, the arrays that it remembers for each parameter in `memory`,
    and computes in `update` on arrays; what a compiled step records is written in operations, in `formula`.  The numbers and
    arrays in the attributes that are `lifted` are read anew at each call of a compiled function, and written by it.
    """

    hyperparameters: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ("steps", "state")

    def __init__(self, params: Iterable[Tensor]) -> None:
        name = type(self).__name__
        if isinstance(params, Tensor):
            raise TypeError(f"[{name}] params is {describe(params)}; a list of Tensors is needed: [params]")
        self.params = list(params)
        if not self.params:
            raise ValueError(f"[{name}] params is empty; pass model.parameters(), or a list of Tensors")
        for i, p in enumerate(self.params):
            if not isinstance(p, Tensor) or not is_watched(p):
                raise ValueError(
                    f"[{name}] params[{i}] is {describe(p)}; a leaf that requires grad is needed: tensor(…, requires_grad=True)"
                )
            if p.dtype.kind == "O":
                raise DTypeError(
                    f"[{name}] params[{i}] is {describe(p)}; optimisers move floats: use astype, or write the step out"
                )
        if len({id(p) for p in self.params}) < len(self.params):
            raise ValueError(f"[{name}] a Tensor stands twice among params, which would move it twice a step; leave one out")
        self.steps = [0] * len(self.params)
        """How often each parameter has been moved."""
        self.state: list[dict[str, Array]] = [{} for _ in self.params]
        """What is remembered of each parameter, by the names in `memory`; empty before its first step."""

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Move each parameter that has a gradient.

        **Raises** `DerivativeError` where none has.
        """
        moved = False
        is_traced = capturing() is not None
        for i, p in enumerate(self.params):
            gradient = p.grad
            if gradient is not None:
                moved = True
                self.steps[i] += 1
                if is_traced:
                    with no_grad():
                        new = self.formula(p.detach(), gradient.detach(), self.state[i], self.steps[i])
                        rebind(p, new, type(self).__name__)
                else:
                    p.value = self.update(p.value, gradient.value, self.state[i], self.steps[i])
        if not moved:
            raise DerivativeError(f"[{type(self).__name__}] no parameter has a gradient; call backward() before step()")

    def update(self, p: Any, g: Any, state: dict[str, Array], step: int) -> Any:
        """The new value of a parameter of value `p` and gradient `g`, at its `step`-th step, counted from 1."""
        raise TypeError(f"[{type(self).__name__}] this optimiser has no update; define it")

    def formula(self, p: Tensor, g: Tensor, state: dict[str, Any], step: Any) -> Tensor:
        """What `update` computes, in operations: of Tensors, with hyper-parameters and steps that may be Tensors too."""
        raise TypeError(f"[{type(self).__name__}] this optimiser has no formula for compiled steps; define it")

    def allocate(self) -> None:
        """Make what is remembered of each parameter ahead of its first step, lest that be a program of its own."""
        for p, remembered in zip(self.params, self.state, strict=False):
            for name in self.memory_needed():
                remembered.setdefault(name, np.zeros(p.shape, p.dtype))

    def memory_needed(self) -> tuple[str, ...]:
        """The names in `memory` that these hyper-parameters need."""
        return self.memory

    # --- the state ------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Hyper-parameters, numbers of steps and what is remembered: a snapshot, since values never change."""
        return {
            **{name: getattr(self, name) for name in self.hyperparameters},
            "steps": list(self.steps),
            "state": [dict(remembered) for remembered in self.state],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where the optimiser was that gave this state, of parameters of the same shapes in the same order.

        **Raises** `KeyError` where something is missing or unknown; `ShapeError` where it is of other parameters.
        """
        name = type(self).__name__
        wanted = {*self.hyperparameters, "steps", "state"}
        if wanted != set(state_dict):
            missing, unknown = sorted(wanted - set(state_dict)), sorted(set(state_dict) - wanted)
            raise KeyError(f"[{name}] the state has not {missing} and has {unknown}; it is of another optimiser")
        if len(state_dict["state"]) != len(self.params):
            raise ShapeError(f"[{name}] the state is of {len(state_dict['state'])} parameters, here are {len(self.params)}")
        for i, (remembered, p) in enumerate(zip(state_dict["state"], self.params, strict=True)):
            for key, array in remembered.items():
                if key not in self.memory or np.shape(array) != p.shape:
                    raise ShapeError(
                        f"[{name}] the state's {key} of parameter {i} is {describe(array)}, the parameter {describe(p)}"
                    )
        for key in self.hyperparameters:
            setattr(self, key, state_dict[key])
        self.steps = list(state_dict["steps"])
        self.state = [
            {key: freeze(np.asarray(array, p.dtype)) for key, array in remembered.items()}
            for remembered, p in zip(state_dict["state"], self.params, strict=True)
        ]

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.hyperparameters)
        return f"{type(self).__name__}({len(self.params)} parameters, {settings})"


def refuse_below(optimizer: Any, low: float, *names: str) -> None:
    """Raise for a hyper-parameter that is less than `low`, or nan."""
    for name in names:
        value = getattr(optimizer, name)
        if not value >= low:
            raise ValueError(f"[{type(optimizer).__name__}] {name} is {value}; it must be at least {low:g}")

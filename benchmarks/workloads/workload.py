"""What a workload is: one computation, its inputs, and the same program in each of the systems that are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Inputs = dict[str, np.ndarray[Any, Any]]

TOLERANCES = {"float32": 1e-4, "float64": 1e-10}
"""Least ‖result - reference‖₂ / ‖reference‖₂ that counts as another result: some 10³ roundings of 6e-8, some 10⁵ of 1e-16."""


def leaves(out: Any) -> list[Any]:
    """The arrays of a result, in order."""
    if isinstance(out, dict):
        return [x for key in sorted(out) for x in leaves(out[key])]
    return [x for part in out for x in leaves(part)] if isinstance(out, tuple | list) else [out]


@dataclass(frozen=True)
class Step:
    """A program that is ready to run: `call` runs it once and waits; `result` is what is compared of its last output."""

    call: Callable[[], Any]
    result: Callable[[Any], Sequence[Any]] = leaves


@dataclass(frozen=True)
class Ratio:
    """Two programs of arrayad, compiled, of which `above` may take `goal` times as long as `below`."""

    goal: float
    programs: Callable[[Any, Any, Inputs], tuple[Step, Step]]
    name: str = "value and gradient / value"
    by: tuple[int, ...] | None = None
    """The arguments of `below` that `above` differentiates by, if not all."""


@dataclass(frozen=True)
class Workload:
    """A row of the table.

    Programs take what they need of (the system's module, its compiler, the inputs): `arrayad(ad, compiled, x)`,
    `torch(torch, optimized, x)`, with `optimized` None in eager mode, `jax(jax, x)`, `numpy(x)`, and `c(library, x)`, with
    the library built from `source`.  `reference` gives the results that all are compared with: by default those of `numpy` in
    float64.  `calls`: after how many calls the result is compared.
    """

    key: str
    title: str
    inputs: Callable[[], Inputs]
    arrayad: Callable[[Any, Any, Inputs], Step]
    goal: float | None = None
    """Our time over the best peer's."""
    goal_of_c: float | None = None
    """Our time over C's."""
    goal_in_seconds: float | None = None
    goal_of_compilation: float | None = None
    """Seconds that trace, compile and load may take; JAX's if it says nothing."""
    dtype: str = "float64"
    ratio: Ratio | None = None
    torch: Callable[[Any, Any, Inputs], Step] | None = None
    jax: Callable[[Any, Inputs], Step] | None = None
    numpy: Callable[[Inputs], Step] | None = None
    c: Callable[[Any, Inputs], Step] | None = None
    source: str = ""
    reference: Callable[[Inputs], Step] | None = None
    calls: int = 1
    tolerance: float | None = None

    def expected(self) -> list[np.ndarray[Any, Any]]:
        """The results that every system must give."""
        build = self.reference or self.numpy
        assert build is not None
        step = build({name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in self.inputs().items()})
        for _ in range(self.calls):
            out = step.call()
        return [np.array(x) for x in step.result(out)]

    def allowance(self) -> float:
        """How far a result may be from the reference, over the reference, in the Euclidean norm."""
        return self.tolerance or TOLERANCES[self.dtype]


def gradient_in_torch(torch: Any, optimized: Any, f: Any, primals: Sequence[Any], *rest: Any) -> Callable[[], Any]:
    """(value, gradients) of a scalar by its first operands: eager by autograd, compiled as one graph by torch.func."""
    if optimized:
        program = optimized(torch.func.grad_and_value(f, tuple(range(len(primals)))))

        def compiled() -> Any:
            gradients, value = program(*primals, *rest)
            return value, gradients

        return compiled
    leaves_ = [x.clone().requires_grad_() for x in primals]

    def eager() -> Any:
        value = f(*leaves_, *rest)
        return value.detach(), torch.autograd.grad(value, leaves_)

    return eager

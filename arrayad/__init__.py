"""arrayad: derivatives of array programs on a CPU.

>>> import arrayad as ad
>>> ad.grad(lambda x: ad.sin(x**2 + 1))(0.5)
Tensor(0.31532236)
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np

from arrayad import (
    data,
    functions,
    interop,
    linalg,
    nn,
    numerical,
    optim,
    primitives,
    random,
    readers,
    rewrites,
    solvers,
    sparse,
    testing,
)
from arrayad.compiler import cache, compile
from arrayad.control import checkpoint, cond, fori_loop, map, scan, switch, while_loop
from arrayad.custom import custom_jvp, custom_vjp
from arrayad.kernels import backend
from arrayad.modes import detect_anomaly, enable_grad, no_grad
from arrayad.namespace import PUBLIC
from arrayad.shaped import Shaped
from arrayad.solvers import custom_argmin, custom_root, fixed_point, linear_solve, odeint
from arrayad.tensor import NAMESPACE, Tensor
from arrayad.tracing import Tape
from arrayad.transforms import (
    elementwise_grad,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jet,
    jvp,
    linearize,
    taylor,
    trace,
    value_and_grad,
    vjp,
    vmap,
)
from arrayad.version import __version__

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "longdouble", "complex64", "complex128", "clongdouble"),
)
CONSTANTS = ("pi", "e", "inf", "nan")
INSPECTIONS = ("can_cast", "finfo", "iinfo", "isdtype", "newaxis", "result_type")

globals().update(PUBLIC)
globals().update({name: getattr(np, name) for name in (*DTYPES, *CONSTANTS, *INSPECTIONS)})
NAMESPACE["arrayad"] = sys.modules[__name__]

LATER = {
    "compare": "arrayad.comparison",
    "explain": "arrayad.by_hand",
    "manual": "arrayad.by_hand",
    "symbolic": "arrayad",
    "verification": "arrayad",
    "verify": "arrayad.verification",
}
"""What is imported when it is first asked for, lest `import arrayad` take the time: names, and the packages that they are in."""


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module 'arrayad' has no attribute {name!r}")
    package = LATER[name]
    found = import_module(f"{package}.{name}") if package == __name__ else getattr(import_module(package), name)
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})

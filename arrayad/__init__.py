"""arrayad: derivatives of array programs on a CPU.

>>> import arrayad as ad
>>> ad.grad(lambda x: ad.sin(x**2 + 1))(0.5)
Tensor(0.31532236)
"""

from __future__ import annotations

import sys

from arrayad import interop  # noqa: F401
from arrayad.functions import creation, elementwise, linear_algebra, reduction, shape  # noqa: F401
from arrayad.modes import detect_anomaly, enable_grad, no_grad
from arrayad.namespace import PUBLIC
from arrayad.primitives import arithmetic, comparison, exponential, selection, trigonometric  # noqa: F401
from arrayad.shaped import Shaped
from arrayad.tensor import NAMESPACE, Tensor
from arrayad.transforms import backward, grad, trace, value_and_grad, vjp

globals().update(PUBLIC)
NAMESPACE["arrayad"] = sys.modules[__name__]

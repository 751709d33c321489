"""Error functions for NumPy, which has none: SciPy's where it is installed, else those of `math`, one element at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from peers import peer


def of_elements(function: Any) -> Any:
    slow = np.frompyfunc(function, 1, 1)
    return lambda x: slow(x).astype(x.dtype)


SCIPY = peer("scipy.special")
erf = SCIPY.erf if SCIPY else of_elements(math.erf)
erfc = SCIPY.erfc if SCIPY else of_elements(math.erfc)

"""Build and call the C that is written by hand, through cffi with pointers at hand, so that a call costs next to nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI

SOURCES = Path(__file__).parent / "c"
FLAGS = "-O3 -march=native -std=gnu11 -fno-math-errno -fno-trapping-math -fopenmp -fPIC -shared".split()


class Library:
    """A shared library built from one file of `c/`."""

    def __init__(self, source: str, folder: str) -> None:
        path = Path(folder) / Path(source).with_suffix(".so")
        compiler = os.environ.get("CC", "gcc")
        subprocess.run([compiler, *FLAGS, "-o", str(path), str(SOURCES / source), "-lmvec", "-lm"], check=True)
        self.ffi = FFI()
        self.path = str(path)

    def function(self, declaration: str, *arguments: Any) -> Callable[[], None]:
        """The call of a function with these numbers and arrays."""
        name = re.search(r"(\w+)\(", declaration)
        assert name is not None
        self.ffi.cdef(declaration + ";")
        function = getattr(self.ffi.dlopen(self.path), name[1])
        kinds = self.ffi.typeof(function).args
        values = [
            self.ffi.cast(kind, x.ctypes.data) if isinstance(x, np.ndarray) else x
            for kind, x in zip(kinds, arguments, strict=True)
        ]

        # cffi unloads the library when its FFI goes, and pointers keep neither it nor the arrays.
        def call(*, kept: Any = (self, arguments)) -> None:
            function(*values)

        return call

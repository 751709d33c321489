"""Describes the extension module `arrayad._native` to setuptools: cffi's glue around the sources beside this file.

`optional`: where there is no working C compiler the package installs without it, and runs on NumPy.
"""

import sys
from pathlib import Path

from cffi import FFI

CSRC = Path("csrc")  # setuptools wants paths from the root of the project, which it builds in
EMITTED = Path("arrayad/compiler/emitted")  # what compiled programs share with the kernels

ffi = FFI()
ffi.cdef((CSRC / "exports.h").read_text(encoding="utf-8"))
ffi.cdef('extern "Python" int arrayad_python(int64_t program, int64_t number, void **buffers);')
ffi.set_source(
    "arrayad._native",
    '#include "exports.h"',
    sources=[str(CSRC / name) for name in ("dispatch.c", "kernels.c", "program.c", "threads.c")],
    depends=sorted(str(path) for folder in (CSRC, EMITTED) for path in folder.iterdir() if path.suffix in (".h", ".def")),
    include_dirs=[str(CSRC), str(EMITTED)],
    libraries=["m", *(["dl"] if sys.platform == "linux" else [])],
    # Never -ffast-math, which changes the floating-point mode of the whole process, nor -march=native: kernels.c holds the
    # instruction sets.  What is allowed here changes no result: errno and floating-point flags are not asked for.
    extra_compile_args=[
        *("-std=c11", "-O3", "-pthread", "-fvisibility=hidden", "-g0"),
        *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"),
    ],
    extra_link_args=["-pthread"],
    optional=True,
)

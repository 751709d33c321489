"""The C text that programs paste beside their kernels: the host, the rows' scalar functions."""

from __future__ import annotations

import functools
import re

import numpy as np

from arrayad.compiler.ctext import ctext
from arrayad.compiler.text import SUFFIX, c_type

PREAMBLE = """\
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Loops marked so may be computed in vectors: built with -fopenmp-simd and ARRAYAD_SIMD defined. */
#ifdef ARRAYAD_SIMD
#define PRAGMA(text) _Pragma(#text)
#define SIMD(...) PRAGMA(omp simd __VA_ARGS__)
#else
#define SIMD(...)
#endif
#ifdef __GNUC__
#define SCALAR static inline __attribute__((always_inline))
#else
#define SCALAR static inline
#endif
"""

RUN = """
static inline void run_parts(const struct arrayad_host *host, void (*body)(void *, int64_t), void *context, int64_t parts)
{
    if (parts > 1 && host->parallel_for && host->threads > 1)
        host->parallel_for(body, context, parts);
    else
        for (int64_t part = 0; part < parts; ++part)
            body(context, part);
}
"""

HOST = ctext("vector_math.h") + "\n" + ctext("host.h") + RUN

SCALARS = ("scalar.h", "gelu.h", "sinc.h", "special.h", "orders.h")
FUNCTION = re.compile(r"(?:/\*(?:(?!\*/).)*\*/\n)?static inline \w+ NAME\((\w+)\)\([^{;]*\n\{\n.*?\n\}\n", re.DOTALL)
NEEDED = re.compile(r"NAME\((\w+)\)")


@functools.cache
def scalars() -> dict[str, str]:
    """The rows' scalar functions with their comments, by name, in an order in which each stands behind what it needs."""
    return {found[1]: found[0] for name in SCALARS for found in FUNCTION.finditer(ctext(name))}


def scalar_functions(text: str) -> str:
    """Those of the rows' scalar functions that a text uses, for the types in which it does."""
    pasted = []
    for dtype, suffix in SUFFIX.items():
        left = [name for name in scalars() if re.search(rf"\b{name}_{suffix}\(", text)]
        needed: set[str] = set()
        while left:
            name = left.pop()
            needed.add(name)
            left += [other for other in NEEDED.findall(scalars()[name]) if other not in needed]
        if needed:
            short = "f" if suffix == "f32" else ""
            pasted.append(
                f"#define T {c_type(np.dtype(dtype))}\n"
                f"#define M(function) function{'##f' if short else ''}\n"
                f"#define C(value) ((T)(value))\n"
                f"#define NAME(function) function##_{suffix}\n\n"
                + "\n".join(part.replace("static inline", "SCALAR") for name, part in scalars().items() if name in needed)
                + "\n#undef T\n#undef M\n#undef C\n#undef NAME\n"
            )
    return "\n".join(pasted)


CLOCK = "#define _POSIX_C_SOURCE 199309L\n#include <time.h>\n"

TIMES = """
static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Behind the program's number, constants[0] holds for each line the time that it has taken, and how often it was run. */
static void add_time(void *const *constants, int64_t line, int64_t start)
{
    int64_t *found = (int64_t *)constants[0] + 1 + 2 * line;
    found[0] += nanoseconds() - start;
    found[1] += 1;
}
"""


def filled(text: str, **names: str) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text

"""Which C texts a program needs, and in which order: headers of `emitted/` become one text.

| name | functions | dtype | needs |
|---|---|---|---|
| `vectors` | `load`, `store`, `spread`, `fma_at`, … | each | |
| `matmul` | `matmul`: matrix products on one thread | each | `vectors` |
| `matmul_threads` | `matmul_threads`: on those of the host, with an epilogue | each | `matmul`, and host.h before |
| `matvec` | `matvec`: matrix times vector | each | `matmul` |
| `sum`, `prod`, `max`, `min` | `sum_part`, …: parts of reductions along an axis, the prebuilt kernels' | each | `axes` |
| `argmax`, `argmin` | `argmax_part`, … | each | `max`, `min` |
| `scans` | `cumulative_sum`, `cumulative_prod`, `recurrence` | each | |
| `sorting` | `argsort`, `searchsorted` | each | `order` |
| `dense` | `cholesky`, `lu`, `triangular_solve`, `solve`, `inverse`, `det`, `slogdet` | each | `vectors` |
| `axes` | `struct axis_job` | none | |
| `order` | `sort_places`, keys of numbers | none | |
| `philox` | `philox_fill_uniform_f32`, … | none | |
| `permutation` | `philox_fill_permutation` | none | `philox`, `order` |

A function `f` of float32 is called `f_f32` in the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from arrayad.compiler.ctext import ctext

GENERAL: dict[str, tuple[str, ...]] = {
    "axes": (),
    "order": (),
    "philox": (),
    "permutation": ("philox", "order"),
}
"""The texts without a dtype, in the order in which they are pasted, each with those that it needs."""

TYPED: dict[str, tuple[str, ...]] = {
    "vectors": (),
    "matmul": ("vectors",),
    "matmul_threads": ("matmul",),
    "matvec": ("matmul",),
    "sum": ("axes",),
    "prod": ("axes",),
    "max": ("axes",),
    "min": ("axes",),
    "argmax": ("max",),
    "argmin": ("min",),
    "scans": (),
    "sorting": ("order",),
    "dense": ("vectors",),
}
"""The texts for each dtype."""

MACROS = {
    dtype: f"#define T {T}\n#define M(function) {M}\n#define C(value) (({T})(value))\n#define NAME(name) TYPED(name, {dtype})\n"
    for dtype, T, M in (
        ("f32", "float", "function##f"),
        ("f64", "double", "function"),
        ("i64", "int64_t", "function"),
        ("bool", "unsigned char", "function"),
    )
}
"""The dtypes; those that are not real have `sorting` alone."""

NO_MACROS = "#undef T\n#undef M\n#undef C\n#undef NAME\n"

INCLUDE = re.compile(r'^#include "(.*)"\n', re.MULTILINE)


def whole(name: str) -> str:
    """A header with those in it that it includes: head.h, which comes first in any case, is left out."""
    return INCLUDE.sub(lambda found: "" if found[1] == "head.h" else whole(found[1]), ctext(name))


def with_needs(names: Iterable[str]) -> set[str]:
    """These texts and all that they need."""
    wanted: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        wanted.add(name)
        left.extend(TYPED[name] if name in TYPED else GENERAL[name])
    return wanted


def pasted(texts: Iterable[tuple[str, str]]) -> str:
    """The C text that defines what these texts hold, and what they need in turn; empty where there are none.

    **Parameters** texts: pairs of a name and a dtype, of `MACROS`; `""` for a text without one.

    **Example**

    >>> text = pasted([("matvec", "f64")])
    >>> "#define T double" in text, "#define T float" in text, "NAME(matmul)" in text
    (True, False, True)
    """
    wanted = set(texts)
    if not wanted:
        return ""
    needed = {dtype: with_needs(name for name, of in wanted if of == dtype) for dtype in ("", *MACROS)}
    anywhere = set().union(*needed.values())
    parts = [ctext("head.h"), *(whole(f"{name}.h") for name in GENERAL if name in anywhere)]
    for dtype, macros in MACROS.items():
        names = [name for name in TYPED if name in needed[dtype]]
        if names:
            parts += [macros, *(whole(f"{name}.h") for name in names), NO_MACROS]
    return "\n".join(parts)

"""Which C texts a program needs, and in which order: headers of `emitted/` become one text.

| name | functions | dtype | needs |
|---|---|---|---|
| `matmul` | `matmul`, `matvec`: matrix products on one thread | each | `multiply` |
| `matmul_threads` | `matmul_threads`: on those of the host, with an epilogue | each | `matmul`, and host.h before |
| `multiply` | `multiply`, which computes them | each | `vectors`, `product`, `fused` |
| `sum`, `prod`, `max`, `min` | `sum_part`, …: parts of reductions along an axis, the prebuilt kernels' | each | `axes` |
| `argmax`, `argmin` | `argmax_part`, … | each | `max`, `min` |
| `scans` | `cumulative_sum`, `cumulative_prod`, `recurrence` | each, and i64 | |
| `sorting` | `argsort`, `searchsorted` | each, i64 and bool | `order` |
| `dense` | `cholesky`, `lu`, `triangular_solve`, `solve`, `inverse`, `det`, `slogdet` | each | `fused` |
| `cofactors` | `cofactors`, `limit_inverse` | each | `dense` |
| `axes` | `struct axis_job` | none | |
| `order` | `sort_places`, keys of numbers | none | |
| `philox` | `philox_fill_uniform_f32`, … | none | |
| `permutation` | `philox_fill_permutation` | none | `philox`, `order` |

A function `f` of float32 is called `f_f32` in the program.  `multiply` is long to compile, and the library has it prebuilt, to
the bit: a program that it loads takes it from the host (`by_host`), and only what is exported has the text.
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
    "fused": (),
    "product": (),
    "vectors": (),
    "multiply": ("vectors", "product", "fused"),
    "multiply_by_host": ("product", "fused"),
    "matmul": ("multiply",),
    "matmul_threads": ("matmul",),
    "sum": ("axes",),
    "prod": ("axes",),
    "max": ("axes",),
    "min": ("axes",),
    "argmax": ("max",),
    "argmin": ("min",),
    "scans": (),
    "sorting": ("order",),
    "dense": ("fused",),
    "cofactors": ("dense",),
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
"""The dtypes; those that are not real have `sorting` alone, and i64 `scans`."""

NO_MACROS = "#undef T\n#undef M\n#undef C\n#undef NAME\n"

INCLUDE = re.compile(r'^#include "(.*)"\n', re.MULTILINE)


def whole(name: str) -> str:
    """A header with those in it that it includes: head.h, which comes first in any case, is left out."""
    return INCLUDE.sub(lambda found: "" if found[1] == "head.h" else whole(found[1]), ctext(name))


def with_needs(names: Iterable[str], by_host: bool) -> set[str]:
    """These texts and all that they need."""
    wanted: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if by_host and name == "multiply":
            name = "multiply_by_host"
        wanted.add(name)
        left.extend(TYPED[name] if name in TYPED else GENERAL[name])
    return wanted


def pasted(texts: Iterable[tuple[str, str]], by_host: bool = False) -> str:
    """The C text that defines what these texts hold, and what they need in turn; empty where there are none.

    **Parameters** texts: pairs of a name and a dtype, of `MACROS`; `""` for a text without one. by_host: whether
    `multiply_f32` and `multiply_f64` are pointers, which the program sets to those of its host before it calls anything.

    **Example**

    >>> text = pasted([("matmul", "f64")])
    >>> "#define T double" in text, "#define T float" in text, "NAME(multiply)" in text
    (True, False, True)
    """
    wanted = set(texts)
    if not wanted:
        return ""
    needed = {dtype: with_needs((name for name, of in wanted if of == dtype), by_host) for dtype in ("", *MACROS)}
    anywhere = set().union(*needed.values())
    parts = [ctext("head.h"), ctext("machine.h"), *(whole(f"{name}.h") for name in GENERAL if name in anywhere)]
    for dtype, macros in MACROS.items():
        names = [name for name in TYPED if name in needed[dtype]]
        if names:
            parts += [macros, *(whole(f"{name}.h") for name in names), NO_MACROS]
    return "\n".join(parts)

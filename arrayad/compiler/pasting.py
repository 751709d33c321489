"""Which C texts a program needs, in which order, and for which dtypes: the headers in `emitted/` become one text.

| name | functions, of one dtype each | needs |
|---|---|---|
| `vectors` | `load`, `store`, `spread`, `fma_at`, … | |
| `matmul` | `matmul`: matrix products on one thread | `vectors` |
| `matmul_threads` | `matmul_threads`: and on those of the host, with an epilogue | `matmul` |
| `matvec` | `matvec`: matrix times vector | `matmul` |

A function `f` of float32 is called `f_f32` in the program.  Texts without a dtype, such as `philox`, are pasted as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from arrayad.compiler.ctext import ctext

NEEDS: dict[str, tuple[str, ...]] = {
    "vectors": (),
    "matmul": ("vectors",),
    "matmul_threads": ("matmul",),
    "matvec": ("matmul",),
}
"""The texts in the order in which they are pasted, each with those that it needs."""

WITHOUT_DTYPE = ("philox",)

MACROS = {
    "f32": "#define T float\n#define M(function) function##f\n#define C(value) ((float)(value))\n#define NAME(name) name##_f32\n",
    "f64": "#define T double\n#define M(function) function\n#define C(value) ((double)(value))\n#define NAME(name) name##_f64\n",
}
NO_MACROS = "#undef T\n#undef M\n#undef C\n#undef NAME\n"


def with_needs(names: Iterable[str]) -> list[str]:
    """These texts and all that they need, in the order of `NEEDS`."""
    wanted: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        wanted.add(name)
        left.extend(NEEDS[name])
    return [name for name in NEEDS if name in wanted]


def pasted(texts: Iterable[tuple[str, str]]) -> str:
    """The C text that defines what these texts hold, and what they need in turn; empty where there are none.

    **Parameters** texts: pairs of a name and a dtype, `"f32"` or `"f64"`; `""` for a text without one.

    **Example**

    >>> text = pasted([("matvec", "f64")])
    >>> "#define T double" in text, "#define T float" in text, "NAME(matmul)" in text
    (True, False, True)
    """
    wanted = sorted(set(texts))
    if not wanted:
        return ""
    parts = [ctext("head.h")]
    parts += [ctext(f"{name}.h") for name in WITHOUT_DTYPE if (name, "") in wanted]
    for dtype, macros in MACROS.items():
        names = with_needs(name for name, of in wanted if of == dtype)
        if names:
            parts += [macros, *(ctext(f"{name}.h") for name in names), NO_MACROS]
    return "\n".join(parts)

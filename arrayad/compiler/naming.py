"""Names for C of what is called otherwise in Python: `opt.params[0]` becomes `opt_params_0`."""

from __future__ import annotations

import re
from collections.abc import Sequence

RESERVED = frozenset(
    # of C to C23, of C++, and what headers of the standard library define as macros in small letters
    """alignas alignof and and_eq asm atomic auto bitand bitor bool break case catch char char16_t char32_t char8_t class compl
    complex const const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern
    false float for friend goto if imaginary inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq
    private protected public register reinterpret_cast requires restrict return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid typename typeof typeof_unqual union
    unsigned using virtual void volatile wchar_t while xor xor_eq assert errno i linux near far null offsetof setjmp signbit
    stdin stdout stderr unix va_arg va_copy va_end va_start math_errhandling fpclassify isfinite isinf isnan isnormal""".split()
)
"""Words that a name is not to be, in small letters or capitals."""

MACROS = frozenset(
    """EOF BUFSIZ RAND_MAX EDOM ERANGE EILSEQ HUGE_VAL HUGE_VALF HUGE_VALL NAN INFINITY DBL_MAX DBL_MIN DBL_EPSILON FLT_MAX
    FLT_MIN FLT_EPSILON TRUE FALSE M_E M_PI PRAGMA SIMD ALIGNED EXTENDED FUSED INLINE NOINLINE TYPED UNUSED INDEPENDENT SHUFFLE
    VECTOR EACH_TILE_ROW TILE_ROWS FUSE_F32 FUSE_F64 VECTOR_MATH ARRAYAD_SIMD""".split()
)
"""Macros of the C library's headers, and of the texts that programs are pasted from."""

LIBRARY = frozenset(
    f"{name}{suffix}"
    for suffix in ("", "f", "l")
    for name in """acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma
    fmax fmin fmod frexp gamma hypot ilogb j0 j1 jn ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan
    nearbyint nextafter nexttoward pow remainder remquo rint round scalbln scalbn signgam sin sinh sqrt tan tanh tgamma trunc
    y0 y1 yn""".split()
) | frozenset(
    """abort abs atexit atof atoi atol atoll bsearch calloc div exit free getenv index labs ldiv llabs lldiv main malloc mblen
    mbstowcs mbtowc memchr memcmp memcpy memmove memset qsort rand random read realloc rindex select srand strcat strchr strcmp
    strcoll strcpy strcspn strdup strerror strlen strncat strncmp strncpy strpbrk strrchr strspn strstr strtod strtof strtok
    strtol strtold strtoll strtoul strtoull strxfrm system wcstombs wctomb write""".split()
)
"""Functions of the C library that the headers of a program declare, or that a whole program has of its own."""


def identifier(text: str) -> str:
    """A name of C that resembles a text.

    **Example**

    >>> identifier("opt.params[0]"), identifier("['w'][0].bias"), identifier("2λ */"), identifier("float")
    ('opt_params_0', 'w_0_bias', 'x2', 'float_')
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "x"
    name = f"x{name}" if name[0].isdigit() else name
    return f"{name}_" if name.lower() in RESERVED or name.upper() in MACROS else name


def identifiers(texts: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """A name for each text, no two the same, also where capitals and small letters are one.

    **Example**

    >>> identifiers(["w", "W", "b['w']", "b.w"])
    ['w', 'W_2', 'b_w', 'b_w_2']
    """
    used = {name.lower() for name in taken}
    found = []
    for text in texts:
        base = name = identifier(text)
        count = 1
        while name.lower() in used:
            count += 1
            name = f"{base}_{count}"
        used.add(name.lower())
        found.append(name)
    return found

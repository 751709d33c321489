"""The C texts that compiled programs paste, compiled by themselves as a user would, against NumPy and exact sums."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from arrayad.compiler.ctext import ctext
from arrayad.compiler.pasting import pasted

STRICT = "-std=c99 -Wall -Wextra -Wconversion -Werror -pedantic -shared -fPIC"
FAST = "-O3 -march=native -fopenmp-simd -fno-math-errno -fno-trapping-math -ffp-contract=off"
DTYPES = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
PLAIN = "-O2 -DPLAIN_C -Wno-unused-function"  # of all static functions only extensions can say that they may be unused
INTEGER, POINTER = ctypes.c_int64, ctypes.c_void_p


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ctypes.CDLL]:
    """Compiles C text into a library."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) on the path")
    folder = tmp_path_factory.mktemp("emitted")
    built: dict[tuple[str, str], ctypes.CDLL] = {}

    def of(text: str, flags: str = FAST) -> ctypes.CDLL:
        if (text, flags) not in built:
            source = folder / f"{len(built)}.c"
            source.write_text(text, encoding="utf-8")
            library = source.with_suffix(".so")
            subprocess.run([compiler, *STRICT.split(), *flags.split(), "-o", library, source, "-lm"], check=True)
            built[text, flags] = ctypes.CDLL(str(library))
        return built[text, flags]

    return of


def exported(signature: str, call: str) -> str:
    """A function for the tests to call: the texts define static ones."""
    return f"{signature};\n{signature}\n{{\n    {call};\n}}\n"


def pointer(x: np.ndarray) -> ctypes.c_void_p:
    return POINTER(x.ctypes.data)


def steps(x: np.ndarray) -> list[ctypes.c_int64]:
    """Strides in elements."""
    return [INTEGER(stride // x.itemsize) for stride in x.strides]


# --- matrix products ------------------------------------------------------------------------------------------------

PRODUCT = (
    "int64_t m, int64_t n, int64_t k, const {T} *a, int64_t ar, int64_t ac, const {T} *b, int64_t br, int64_t bc, "
    "{T} *c, int64_t cr, int64_t cc, int add, {T} *buffer"
)
PASSED = "m, n, k, a, ar, ac, b, br, bc, c, cr, cc, add, buffer"

# A host that runs its parts backwards, and an epilogue that doubles what is done: once for each element, or it shows.
HOST = """
static void backwards(void (*body)(void *, int64_t), void *context, int64_t parts)
{
    while (parts-- > 0)
        body(context, parts);
}
struct place {
    void *c;
    int64_t row, column, size, columns, seen;
};
"""
DOUBLED = """
static void doubled_%(dtype)s(void *context, int64_t row, int64_t rows, int64_t column, int64_t columns)
{
    struct place *place = context;
    %(T)s *c = place->c;
    if (columns != place->columns)
        place->seen = 0;
    for (int64_t i = row; i < row + rows; ++i)
        for (int64_t j = column; j < column + columns; ++j)
            c[i * place->row + j * place->column] *= 2;
}
"""


def product_text() -> str:
    text = ctext("host.h") + pasted([(name, dtype) for name in ("matmul_threads", "matvec") for dtype in DTYPES]) + HOST
    for dtype, T in (("f32", "float"), ("f64", "double")):
        text += exported(f"void product_{dtype}({PRODUCT.format(T=T)})", f"matmul_{dtype}({PASSED})")
        text += exported(f"int64_t room_{dtype}(void)", f"return matmul_buffer_{dtype}")
        text += exported(
            f"void times_vector_{dtype}(int64_t m, int64_t k, const {T} *a, int64_t ar, int64_t ac, const {T} *x, "
            f"int64_t xs, {T} *y, int64_t ys, int add)",
            f"matvec_{dtype}(m, k, a, ar, ac, x, xs, y, ys, add)",
        )
        text += DOUBLED % {"dtype": dtype, "T": T}
        text += exported(
            f"int64_t shared_{dtype}({PRODUCT.format(T=T)}, int64_t threads, int64_t buffers, int whole)",
            "const struct arrayad_host host = {.threads = threads, .parallel_for = backwards};\n"
            "    struct place place = {c, cr, cc, 0, whole ? n : -1, 1};\n"
            f"    matmul_threads_{dtype}(&host, {PASSED}, buffers, doubled_{dtype}, &place, whole);\n"
            "    return !whole || place.seen",
        )
    return text


LAYOUTS = {
    "rows": lambda draw, m, n: draw((m, n)),
    "columns": lambda draw, m, n: draw((n, m)).T,
    "slices": lambda draw, m, n: draw((2 * m + 1, 3 * n + 2))[1::2, 1 : 3 * n + 1 : 3],
    "backwards": lambda draw, m, n: draw((m, n))[::-1, ::-1],
}
SHAPES = [
    *[(1, 1, 1), (3, 1, 3), (3, 3, 3), (1, 5, 7), (5, 1, 7), (2, 3, 0), (0, 3, 2), (3, 0, 2), (1, 70, 300), (70, 1, 300)],
    *[(6, 16, 10), (7, 17, 257), (32, 64, 64), (32, 10, 64), (64, 64, 32), (13, 33, 600), (31, 7, 5), (1, 1100, 9)],
]
LARGE = [(300, 1100, 270), (520, 120, 600)]


def drawn(rng: np.random.Generator, dtype: np.dtype) -> Callable[[tuple[int, ...]], np.ndarray]:
    return lambda shape: rng.standard_normal(shape).astype(dtype)


def product(library: ctypes.CDLL, name: str, a: np.ndarray, b: np.ndarray, c: np.ndarray, add: bool, buffer=None, *more: int):
    (m, k), n = a.shape, b.shape[1]
    operands = [argument for x in (a, b, c) for argument in (pointer(x), *steps(x))]
    arguments = [INTEGER(m), INTEGER(n), INTEGER(k), *operands, int(add), None if buffer is None else pointer(buffer)]
    function = getattr(library, f"{name}_{'f32' if a.dtype == np.float32 else 'f64'}")
    function.restype = INTEGER
    return function(*arguments, *map(INTEGER, more))


def room(library: ctypes.CDLL, dtype: str, count: int = 1) -> np.ndarray:
    function = getattr(library, f"room_{dtype}")
    function.restype = INTEGER
    return np.full(count * function(), np.nan, DTYPES[dtype])


def assert_product(c: np.ndarray, a: np.ndarray, b: np.ndarray, before: np.ndarray | float) -> None:
    """Each sum of k products errs by at most k roundings of |a| |b|: a bound of which blocks of 256 need but a part."""
    wide = np.longdouble if a.size * b.shape[1] < 200_000 else np.float64
    eps = np.finfo(a.dtype).eps
    exact = a.astype(wide) @ b.astype(wide) + before
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) + np.abs(before)
    assert (np.abs(c - exact) <= eps * size * (1 + np.sqrt(a.shape[1]))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_of_all_layouts_are_right_and_equal_to_the_bit(build, shape, dtype):
    library, (m, n, k) = build(product_text()), shape
    rng = np.random.default_rng(m + 10 * n + 100 * k)
    draw, buffer = drawn(rng, DTYPES[dtype]), room(library, dtype)
    dense_a, dense_b = draw((m, k)), draw((k, n))
    found = None
    for la in LAYOUTS.values():
        for lb in LAYOUTS.values():
            for lc in LAYOUTS.values():
                a, b, c = la(draw, m, k), lb(draw, k, n), lc(draw, m, n)
                a[...], b[...] = dense_a, dense_b
                before, around = c.copy(), c.base.copy() if c.base is not None else None
                product(library, "product", a, b, c, True)
                assert_product(c, a, b, before)
                product(library, "product", a, b, c, False, buffer)
                found = c.copy() if found is None else found
                np.testing.assert_array_equal(c, found)
                if around is not None:  # nothing beside c was written
                    inside = np.zeros(around.shape, bool)
                    lc(lambda shape, inside=inside: inside, m, n)[...] = True
                    np.testing.assert_array_equal(c.base[~inside], around[~inside])
    assert_product(found, dense_a, dense_b, 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", LARGE, ids=str)
@pytest.mark.parametrize("layouts", [("rows", "rows", "rows"), ("columns", "rows", "rows"), ("rows", "columns", "columns")])
def test_neither_buffer_nor_threads_nor_epilogue_change_a_bit(build, shape, layouts, dtype):
    library, (m, n, k) = build(product_text()), shape
    draw, buffer = drawn(np.random.default_rng(m), DTYPES[dtype]), room(library, dtype, 7)
    a, b, c = (LAYOUTS[name](draw, *size) for name, size in zip(layouts, ((m, k), (k, n), (m, n)), strict=True))
    product(library, "product", a, b, c, False)
    assert_product(c, a, b, 0.0)
    alone = c.copy()
    product(library, "product", a, b, c, False, buffer)
    np.testing.assert_array_equal(c, alone)
    for threads in (1, 2, 3, 7):
        for whole in (False, True):
            for room_for in (None, buffer):
                c[...] = np.nan
                assert product(library, "shared", a, b, c, False, room_for, threads, 7, int(whole))
                np.testing.assert_array_equal(c, 2 * alone)


@pytest.mark.parametrize(
    "flags", ["-O0", "-O3 -march=native -mno-fma", "-O2 -D__AVX512F__ -Wno-psabi", "-O1 -D__aarch64__", PLAIN]
)
def test_an_element_depends_on_its_row_and_column_alone(build, flags):
    """However it is compiled, with vectors of any length or none, the sum is that of a loop."""
    library = build(product_text(), flags)
    draw = drawn(np.random.default_rng(5), DTYPES["f64"])
    a, b, c = draw((9, 300)), draw((300, 21)), np.empty((9, 21))
    product(library, "product", a, b, c, False)
    loops = np.zeros_like(c)
    for first in (0, 256):
        part = np.zeros_like(c)
        for p in range(first, min(first + 256, 300)):
            part = part + a[:, p, None] * b[None, p]
        loops = loops + part
    np.testing.assert_array_equal(c, loops)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (4, 32), (7, 100), (100, 33), (3, 5000), (0, 4), (4, 0)], ids=str)
def test_matrix_times_vector(build, shape, dtype):
    library, (m, k) = build(product_text()), shape
    draw = drawn(np.random.default_rng(m + k), DTYPES[dtype])
    for layout in LAYOUTS.values():
        for add in (False, True):
            a, x, y = layout(draw, m, k), draw((3 * k + 1,))[: 3 * k : 3], draw((2 * m,))[::2]
            before = y.copy()
            sizes = [INTEGER(m), INTEGER(k)]
            operands = [argument for array in (a, x, y) for argument in (pointer(array), *steps(array))]
            getattr(library, f"times_vector_{dtype}")(*sizes, *operands, int(add))
            assert_product(y[:, None], a, x[:, None], before[:, None] if add else 0.0)


def test_nan_and_infinities_come_as_sums_give_them(build):
    library = build(product_text())
    a, b, c = np.array([[np.inf, 0.0], [1.0, np.nan], [0.0, 1.0]] * 6), np.ones((2, 20)), np.empty((18, 20))
    b[0, 7] = -0.0
    product(library, "product", a, b, c, False)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(c, a @ b)
    assert np.isnan(c[0, 7])


def test_the_texts_are_installed():
    folder = Path(__file__).parents[2] / "arrayad" / "compiler" / "emitted"
    for path in folder.glob("*.h"):
        assert ctext(path.name) == path.read_text(encoding="utf-8")

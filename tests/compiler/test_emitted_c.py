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
from arrayad.compiler.loading import program_of
from arrayad.compiler.pasting import pasted
from arrayad.compiler.toolchain import toolchain
from arrayad.kernels import native, philox

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
    text = ctext("host.h") + pasted([(name, dtype) for name in ("matmul_threads",) for dtype in DTYPES]) + HOST
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


@pytest.fixture
def same_isa_after():
    before = native.info()["isa"]
    yield
    native.set_isa(before)


BY_HOST = """
int arrayad_program(const struct arrayad_host *host, void *const *buffers)
{
    const int64_t *size = buffers[3], m = size[0], n = size[1], k = size[2];
    multiply_f32 = host->multiply_f32;
    multiply_f64 = host->multiply_f64;
    if (size[3])
        matvec_f32(m, k, buffers[0], k, 1, buffers[1], 1, buffers[2], 1, 0);
    else if (size[4])
        matmul_f64(m, n, k, buffers[0], k, 1, buffers[1], n, 1, buffers[2], n, 1, 0, NULL);
    else
        matmul_f32(m, n, k, buffers[0], k, 1, buffers[1], n, 1, buffers[2], n, 1, 0, NULL);
    return 0;
}
"""


@pytest.mark.skipif(toolchain() is None, reason="there is no C compiler")
@pytest.mark.parametrize("isa", native.isas() if native.why_not_native is None else [])
def test_what_the_host_multiplies_is_equal_to_the_bit(build, isa, private_cache, same_isa_after):
    """Where both have fma or neither has: the baseline of x86-64 has none."""
    native.set_isa(isa)
    flags = ("-O1", "-march=x86-64") if isa == "baseline" else ("-O1", "-march=native")
    program = program_of(ctext("host.h") + pasted([("matmul", "f32"), ("matmul", "f64")], by_host=True) + BY_HOST, flags)
    library = build(product_text(), FAST if isa != "baseline" else "-O2")
    draw = np.random.default_rng(8).standard_normal
    for m, n, k, is_vector, is_double in [(37, 45, 300, 0, 0), (37, 45, 300, 0, 1), (37, 1, 300, 1, 0), (2, 2, 2, 0, 0)]:
        dtype = np.float64 if is_double else np.float32
        a, b, c, d = (x.astype(dtype) for x in (draw((m, k)), draw((k, n)), np.zeros((m, n)), np.zeros((m, n))))
        assert program.run([a, b, c, np.array([m, n, k, is_vector, is_double])]) == 0
        if is_vector:
            sizes = [INTEGER(m), INTEGER(k), pointer(a), *steps(a), pointer(b), INTEGER(1), pointer(d), INTEGER(1), 0]
            library.times_vector_f32(*sizes)
        else:
            product(library, "product", a, b, d, False)
        np.testing.assert_array_equal(c, d)


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


# --- dense linear algebra -------------------------------------------------------------------------------------------

SQUARES = [0, 1, 2, 3, 7, 8, 9, 17, 40]
KINDS = {"f32": "float", "f64": "double"}


def dense_text() -> str:
    text = pasted([("dense", dtype) for dtype in KINDS])
    for dtype, T in KINDS.items():
        work = f"{T} *work, int64_t *pivots"
        for signature, call in [
            (f"cholesky_of_{dtype}(int64_t n, {T} *out, const {T} *x, {T} *work)", f"cholesky_{dtype}(n, out, x, work)"),
            (
                f"solved_{dtype}(int64_t n, int64_t columns, {T} *out, const {T} *a, const {T} *b, {work})",
                f"solve_{dtype}(n, columns, out, a, b, work, pivots)",
            ),
            (f"inverse_of_{dtype}(int64_t n, {T} *out, const {T} *x, {work})", f"inverse_{dtype}(n, out, x, work, pivots)"),
        ]:
            text += exported(f"int64_t {signature}", f"return {call}")
        text += exported(
            f"void determinants_{dtype}(int64_t n, {T} *out, const {T} *x, {work})",
            f"out[0] = det_{dtype}(n, x, work, pivots), slogdet_{dtype}(n, out + 1, out + 2, x, work, pivots)",
        )
        text += exported(
            f"void triangular_{dtype}(int64_t n, int64_t columns, const {T} *t, int64_t row, int64_t column, int lower, "
            f"int unit, {T} *b)",
            f"triangular_solve_{dtype}(n, columns, t, row, column, lower, unit, b)",
        )
    return text


def call(library: ctypes.CDLL, name: str, dtype: str, *arguments: object) -> int:
    function = getattr(library, f"{name}_{dtype}")
    function.restype = INTEGER
    return function(*(pointer(x) if isinstance(x, np.ndarray) else INTEGER(x) for x in arguments))


def matrices(n: int, dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A matrix of moderate condition, and the memory that its factors take."""
    x = np.random.default_rng(seed + n).standard_normal((n, n)) + 2 * np.eye(n)
    return x.astype(DTYPES[dtype]), np.empty((n, n), DTYPES[dtype]), np.empty(n, np.int64)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("n", SQUARES)
def test_systems_are_solved_backward_stably(build, n, dtype):
    library, (a, work, pivots) = build(dense_text()), matrices(n, dtype)
    eps = np.finfo(a.dtype).eps
    for columns in (0, 1, 3, 9):
        b = np.random.default_rng(n).standard_normal((n, columns)).astype(a.dtype)
        y = np.empty_like(b)
        assert call(library, "solved", dtype, n, columns, y, a, b, work, pivots) == 0
        left = a.astype(np.longdouble) @ y - b
        bound = np.abs(a).sum(axis=1, keepdims=True) * np.abs(y).max(axis=0, initial=0, keepdims=True) + np.abs(b)
        assert (np.abs(left) <= 4 * (n + 1) * eps * bound).all()
    inverse = np.empty_like(a)
    assert call(library, "inverse_of", dtype, n, inverse, a, work, pivots) == 0
    exact = np.linalg.inv(a.astype(np.float64))
    np.testing.assert_allclose(
        inverse, exact, rtol=0, atol=8 * eps * (np.linalg.cond(a) if n else 1) * np.abs(exact).max(initial=0)
    )


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("n", SQUARES)
def test_triangles_of_either_kind(build, n, dtype):
    library, (a, _, _) = build(dense_text()), matrices(n, dtype)
    a /= np.sqrt(n + 1)
    a[np.diag_indices(n)] = 1.5
    for lower in (0, 1):
        for unit in (0, 1):
            for turned in (0, 1):
                t = a.T if turned else a
                triangle = (np.tril if lower else np.triu)(t, -1 if lower else 1) + (1 if unit else 1.5) * np.eye(n)
                b = np.random.default_rng(n).standard_normal((n, 4)).astype(a.dtype)
                y = b.copy()
                call(library, "triangular", dtype, n, 4, a, *(stride // a.itemsize for stride in t.strides), lower, unit, y)
                bound = np.abs(triangle) @ np.abs(y) + np.abs(b)
                assert (np.abs(triangle.astype(np.longdouble) @ y - b) <= (n + 2) * np.finfo(a.dtype).eps * bound).all()


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("n", SQUARES)
def test_cholesky_reads_both_triangles(build, n, dtype):
    library, (a, work, _) = build(dense_text()), matrices(n, dtype)
    x = (a @ a.T + np.eye(n)).astype(a.dtype)
    skew = np.triu(np.ones((n, n), a.dtype), 1)
    factor = np.empty_like(x)
    assert call(library, "cholesky_of", dtype, n, factor, x + skew - skew.T, work) == 0
    assert (np.triu(factor, 1) == 0).all() and (np.diagonal(factor) > 0).all()
    product = factor.astype(np.longdouble) @ factor.T.astype(np.longdouble)
    assert np.abs(product - x).max(initial=0) <= 4 * (n + 1) * np.finfo(a.dtype).eps * np.abs(x).max(initial=1)


@pytest.mark.parametrize("dtype", KINDS)
def test_what_is_singular_or_indefinite_is_named(build, dtype):
    library = build(dense_text())
    a, work, pivots = matrices(12, dtype)
    y, three = np.empty_like(a), np.empty(3, a.dtype)
    a[:, 9] = 0
    assert call(library, "solved", dtype, 12, 12, y, a, a, work, pivots) == 10
    assert call(library, "inverse_of", dtype, 12, y, a, work, pivots) == 10
    call(library, "determinants", dtype, 12, three, a, work, pivots)
    assert three.tolist() == [0.0, 0.0, -np.inf]
    x = np.eye(12, dtype=a.dtype)
    for bad in (0.0, -1.0, np.nan):
        x[4, 4] = bad
        assert call(library, "cholesky_of", dtype, 12, y, x, work) == 5
    assert call(library, "solved", dtype, 12, 12, y, x, x, work, pivots) == 0  # nan is no zero, as in LAPACK
    assert np.isnan(y[4]).all()


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("n", SQUARES)
def test_determinants(build, n, dtype):
    library, (a, work, pivots) = build(dense_text()), matrices(n, dtype)
    found = np.empty(3, a.dtype)
    for x in (a, a[::-1].copy(), -a):
        call(library, "determinants", dtype, n, found, x, work, pivots)
        sign, logarithm = np.linalg.slogdet(x.astype(np.float64))
        slack = 40 * (n + 1) * np.finfo(a.dtype).eps
        assert found[1] == sign
        np.testing.assert_allclose(found[2], logarithm, rtol=slack, atol=slack)
        np.testing.assert_allclose(found[0], sign * np.exp(logarithm), rtol=slack)


@pytest.mark.parametrize(("dtype", "exponent"), [("f32", 100), ("f64", 900)])
def test_a_determinant_neither_over_nor_underflows_on_the_way(build, dtype, exponent):
    diagonal = np.ldexp(
        np.array([1, 1, 1, 3, 1, 1, 1, -5], DTYPES[dtype]),
        [exponent, exponent, -exponent, 0, *[-exponent, exponent], -exponent, 0],
    )
    found, work, pivots = np.empty(3, diagonal.dtype), np.empty((8, 8), diagonal.dtype), np.empty(8, np.int64)
    call(build(dense_text()), "determinants", dtype, 8, found, np.diag(diagonal), work, pivots)
    assert found[0] == -15
    call(build(dense_text()), "determinants", dtype, 2, found, np.diag(diagonal[:2]), work, pivots)
    assert found[0] == np.inf


# --- along an axis ------------------------------------------------------------------------------------------------------

SHAPES_3D = [(1, 1, 1), (2, 5, 3), (1, 40, 1), (3, 1000, 1), (2, 7, 600), (0, 3, 2), (2, 3, 0)]


def axis_text() -> str:
    reductions = ("sum", "prod", "max", "min", "argmax", "argmin")
    text = pasted([(name, dtype) for name in (*reductions, "scans") for dtype in KINDS])
    for dtype, T in KINDS.items():
        for name in reductions:
            text += exported(
                f"void {name}_of_{dtype}(int64_t outer, int64_t n, int64_t inner, int64_t group, void *out, const void *x)",
                "const struct axis_job job = {outer, n, inner, group, out, x};\n"
                f"    for (int64_t part = parts_of(&job); part-- > 0;)\n        {name}_part_{dtype}(&job, part)",
            )
        each = "for (int64_t o = 0; o < outer; ++o)\n        for (int64_t j = 0; j < inner; j += 3)\n            "
        place = "o * n * inner + j"
        width = "inner - j < 3 ? inner - j : 3"
        sizes = "int64_t outer, int64_t n, int64_t inner, int64_t reverse"
        for name in ("cumulative_sum", "cumulative_prod"):
            text += exported(
                f"void {name}_of_{dtype}({sizes}, {T} *out, const {T} *x)",
                f"{each}{name}_{dtype}(n, inner, {width}, reverse != 0, out + {place}, x + {place})",
            )
        text += exported(
            f"void recurrence_of_{dtype}({sizes}, {T} *out, const {T} *a, const {T} *b)",
            f"{each}recurrence_{dtype}(n, inner, {width}, reverse != 0, out + {place}, a + {place}, b + {place})",
        )
    return text


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("shape", SHAPES_3D, ids=str)
def test_reductions(build, shape, dtype):
    library, rng = build(axis_text()), np.random.default_rng(sum(shape))
    for special in (False, True):
        x = rng.uniform(0.9, 1.1, shape).astype(DTYPES[dtype])
        if special:
            x[rng.random(shape) < 0.2] = np.nan
            x[rng.random(shape) < 0.2] = 1.0  # ties
        for name in ("sum", "prod", "max", "min", "argmax", "argmin"):
            function = getattr(np, name)
            for group in (1, 1000):
                expected = function(x.astype(np.float64), axis=1)
                found = np.empty(expected.shape, np.int64 if name[:3] == "arg" else x.dtype)
                call(library, f"{name}_of", dtype, *shape, group, found, x)
                if name in ("sum", "prod"):
                    np.testing.assert_allclose(found, expected, rtol=(shape[1] if name == "prod" else 40) * np.finfo(x.dtype).eps)
                else:
                    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("shape", SHAPES_3D, ids=str)
def test_scans(build, shape, reverse, dtype):
    library, rng = build(axis_text()), np.random.default_rng(sum(shape))
    a, b = (rng.uniform(0.5, 1.1, shape).astype(DTYPES[dtype]) for _ in range(2))
    way = slice(None, None, -1 if reverse else 1)
    expected = np.zeros_like(b)
    before = np.zeros_like(b[:, :1])
    for i in range(shape[1])[way]:
        before = a[:, i : i + 1] * before + b[:, i : i + 1]
        expected[:, i : i + 1] = before
    found = np.empty_like(b)
    call(library, "recurrence_of", dtype, *shape, reverse, found, a, b)
    np.testing.assert_array_equal(found, expected)
    for name, function in (("cumulative_sum", np.cumsum), ("cumulative_prod", np.cumprod)):
        call(library, f"{name}_of", dtype, *shape, reverse, found, a)
        np.testing.assert_array_equal(found, function(a[:, way], axis=1)[:, way])
        found[...] = a
        call(library, f"{name}_of", dtype, *shape, reverse, found, found)
        np.testing.assert_array_equal(found, function(a[:, way], axis=1)[:, way])


# --- order --------------------------------------------------------------------------------------------------------------

SORTED = {
    "f32": (np.float32, "float"),
    "f64": (np.float64, "double"),
    "i64": (np.int64, "int64_t"),
    "bool": (np.bool_, "unsigned char"),
}


def order_text() -> str:
    text = pasted([("permutation", ""), *(("sorting", dtype) for dtype in SORTED)])
    for dtype, (_, T) in SORTED.items():
        text += exported(
            f"void argsort_of_{dtype}(int64_t outer, int64_t n, int64_t inner, int64_t descending, int64_t *out, const {T} *x, "
            "uint64_t *buffer)",
            f"argsort_{dtype}(outer, n, inner, descending != 0, out, x, buffer)",
        )
        text += exported(
            f"void places_{dtype}(int64_t n, const {T} *x, int64_t count, const {T} *values, int64_t right, int64_t *out)",
            f"searchsorted_{dtype}(n, x, count, values, right != 0, out)",
        )
    return text + exported(
        "void permutation_of(const uint32_t *key, const uint32_t *counter, int64_t n, int64_t *out, uint64_t *buffer)",
        "philox_fill_permutation(key, counter, n, out, buffer)",
    )


def unordered(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Numbers of any size and sign, and many equal ones; nan, infinities and zeros of both signs where there are such."""
    rng = np.random.default_rng(sum(shape))
    if dtype is np.bool_:
        return rng.random(shape) < 0.5
    if dtype is np.int64:
        return rng.choice([*rng.integers(-(2**63), 2**63, 20), *range(-3, 3)], shape)
    few = [
        np.nan,
        -np.nan,
        np.inf,
        -np.inf,
        0.0,
        -0.0,
        1.0,
        -1.0,
        5e-324,
        1e-40,
        *(10.0 ** rng.uniform(-30, 30, 20)),
        *rng.normal(size=20),
    ]
    return rng.choice(few, shape).astype(dtype)


@pytest.mark.parametrize("dtype", SORTED)
@pytest.mark.parametrize("shape", [*SHAPES_3D, (2, 33, 2), (1, 3000, 2), (2, 0, 3)], ids=str)
def test_sorting(build, shape, dtype):
    library, x = build(order_text()), unordered(shape, SORTED[dtype][0])
    found, buffer = np.empty(shape, np.int64), np.empty(4 * shape[1] + 1, np.uint64)
    call(library, "argsort_of", dtype, *shape, 0, found, x, buffer)
    np.testing.assert_array_equal(found, np.argsort(x, axis=1, kind="stable"))
    call(library, "argsort_of", dtype, *shape, 1, found, x, buffer)
    np.testing.assert_array_equal(found, shape[1] - 1 - np.flip(np.argsort(np.flip(x, 1), axis=1, kind="stable"), 1))


@pytest.mark.parametrize("dtype", SORTED)
@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_searching(build, n, dtype):
    library, x, values = build(order_text()), np.sort(unordered((n,), SORTED[dtype][0])), unordered((50,), SORTED[dtype][0])
    found = np.empty(50, np.int64)
    for right, side in enumerate(("left", "right")):
        call(library, "places", dtype, n, x, 50, values, right, found)
        np.testing.assert_array_equal(found, np.searchsorted(x, values, side=side))


@pytest.mark.parametrize("n", [0, 1, 5, 128, 1001])
def test_permutations_are_those_of_numpy(build, n):
    key, counter = philox.seed_to_key(7), np.array([5, 1, 0, 0], np.uint32)
    found, buffer = np.empty(n, np.int64), np.empty(3 * n + 1, np.uint64)
    build(order_text()).permutation_of(*map(pointer, (key, counter)), INTEGER(n), *map(pointer, (found, buffer)))
    words = philox.philox4x32(key, 5 + 2**32, -(-n // 2))[: 2 * n]
    np.testing.assert_array_equal(found, philox.permutation(words))
    assert sorted(found.tolist()) == list(range(n))

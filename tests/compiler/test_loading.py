"""Programs that are loaded: their buffers, their threads, their BLAS, and what is said where one cannot be loaded."""

import gc
import os
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from arrayad import kernels
from arrayad.compiler.build import build
from arrayad.compiler.ctext import ctext
from arrayad.compiler.loading import load, program_of
from arrayad.compiler.toolchain import toolchain
from arrayad.errors import CompilationError
from arrayad.kernels import native

pytestmark = pytest.mark.skipif(toolchain() is None, reason="there is no C compiler")

HEAD = ctext("host.h") + "int arrayad_program(const struct arrayad_host *host, void *const *buffers)\n"

SUM_OF_FIRSTS = HEAD + (
    "{\n    double sum = 0;\n    for (int i = 1; i < 300; ++i)\n        sum += i * *(const double *)buffers[i];\n"
    "    *(double *)buffers[0] = sum;\n    return host->threads < 1;\n}\n"
)


def compiled(text):
    return program_of(text, ("-O1",))


@pytest.fixture(autouse=True)
def _in_a_private_cache(private_cache):
    pass


@pytest.mark.parametrize("layouts_are_known", [True, False])
def test_buffers_come_in_the_order_of_the_list(layouts_are_known, rng, monkeypatch):
    monkeypatch.setattr(native, "reads_lists", lambda: layouts_are_known)
    program = compiled(SUM_OF_FIRSTS)
    out = np.zeros(1)
    base = rng.random(700)
    base.flags.writeable = False
    arrays = [out, *(base[i : i + 3] for i in range(299))]
    assert program.run(arrays) == 0
    assert out[0] == sum(i * x for i, x in enumerate(base[:299], 1))


def test_layouts_are_known_here():
    """On the interpreters that the package is declared for the fast way is taken."""
    assert native.reads_lists() == (sys.implementation.name == "cpython" and object.__basicsize__ == 16)


def test_prepared_pointers_serve_again_and_again(rng):
    program = compiled(SUM_OF_FIRSTS)
    out, x = np.zeros(1), rng.random(299)
    pointers = native.pointers(300)
    pointers[0] = native.pointer(out)
    for i in range(299):
        pointers[1 + i] = native.pointer(x[i : i + 1])
    for factor in (1.0, 2.0):
        x *= factor
        assert program.call(pointers) == 0
        assert out[0] == sum(i * value for i, value in enumerate(x, 1))


@pytest.mark.parametrize("code", [0, 1, 17, -3])
def test_the_code_of_a_program_comes_back(code):
    program = compiled(HEAD + f"{{\n    (void)host, (void)buffers;\n    return {code};\n}}\n")
    assert program.run([]) == program.call(native.pointers(0)) == code


def test_the_library_lives_as_long_as_an_address_in_it():
    out = np.zeros(1)
    text = HEAD + "{\n    (void)host;\n    *(double *)buffers[0] = 5;\n    return 0;\n}\n"
    run, address = compiled(text).run, compiled(text).address
    library = weakref.ref(compiled(text).library)
    gc.collect()
    assert library() is None
    assert run([out]) == 0 and out[0] == 5
    assert native.call(address, [native.pointer(out)]) == 0


def test_a_program_is_unloaded():
    text = HEAD + "{\n    (void)host, (void)buffers;\n    return 0;\n}\n"
    program = compiled(text)
    path = program.path
    if os.path.exists("/proc/self/maps"):
        assert path in open_maps()
        del program
        assert path not in open_maps()


def open_maps():
    with open("/proc/self/maps", encoding="utf-8") as file:
        return file.read()


def test_what_is_no_program_is_refused(tmp_path):
    (tmp_path / "x.so").write_text("no ELF")
    with pytest.raises(OSError, match=r"x\.so"):
        load(str(tmp_path / "x.so"))
    with pytest.raises(OSError, match=r"nowhere\.so"):
        load(str(tmp_path / "nowhere.so"))
    with pytest.raises(OSError, match="arrayad_program"):
        load(build("int other(void)\n{\n    return 0;\n}\n", toolchain()))


def test_a_program_that_went_away_is_compiled_again(monkeypatch):
    text = HEAD + "{\n    (void)host, (void)buffers;\n    return 6;\n}\n"
    built = []

    def build_and_lose(text, compiler, options):
        built.append(build(text, compiler, options))
        if len(built) == 1:
            os.unlink(built[0])
        return built[-1]

    monkeypatch.setattr("arrayad.compiler.loading.build", build_and_lose)
    assert compiled(text).run([]) == 6 and len(built) == 2


def test_a_program_that_cannot_be_loaded_says_why():
    with pytest.raises(CompilationError, match=r"cannot be loaded.*arrayad_program"):
        program_of("int other(void)\n{\n    return 0;\n}\n")


# --- threads ------------------------------------------------------------------------------------------------------------

LOOPS = (
    ctext("host.h")
    + """
struct outer {
    const struct arrayad_host *host;
    double *counts;
    int64_t part;
};

static void inner_part(void *context, int64_t part)
{
    struct outer *outer = context;
    outer->counts[outer->part * 5 + part] += 1;
}

static void outer_part(void *context, int64_t part)
{
    struct outer own = *(struct outer *)context;
    own.part = part;
    own.host->parallel_for(inner_part, &own, 5);
}

int arrayad_program(const struct arrayad_host *host, void *const *buffers)
{
    struct outer outer = {host, buffers[0], 0};
    for (int i = 0; i < 20; ++i)
        host->parallel_for(outer_part, &outer, 31);
    return (int)host->threads;
}
"""
)


@pytest.fixture
def _threads_as_before():
    before = native.info()["threads"]
    yield
    native.set_threads(before)


@pytest.mark.usefixtures("_threads_as_before")
def test_each_part_runs_once_in_loops_within_loops():
    program = compiled(LOOPS)
    for threads in (1, 2, 3):
        native.set_threads(threads)
        counts = np.zeros((31, 5))
        assert program.run([counts]) == threads
        assert (counts == 20).all()


@pytest.mark.usefixtures("_threads_as_before")
def test_programs_run_in_several_threads_beside_kernels(rng):
    native.set_threads(3)
    program = compiled(LOOPS)
    x = rng.random(1 << 18)
    exp = kernels.elementwise("exp", np.exp)
    expected = exp(x)
    wrong = []

    def submit():
        for _ in range(10):
            counts = np.zeros((31, 5))
            if program.run([counts]) != 3 or not (counts == 20).all() or not (exp(x) == expected).all():
                wrong.append(1)

    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- BLAS ---------------------------------------------------------------------------------------------------------------

PRODUCTS = HEAD + (
    """{
    if (!host->sgemm || !host->dgemm || !host->sgemv || !host->dgemv)
        return 1;
    host->sgemm(101, 111, 111, 33, 17, 65, 1.0f, buffers[0], 65, buffers[1], 17, 0.0f, buffers[2], 17);
    host->dgemm(101, 111, 111, 33, 17, 65, 1.0, buffers[3], 65, buffers[4], 17, 0.0, buffers[5], 17);
    host->sgemv(101, 112, 65, 17, 1.0f, buffers[1], 17, buffers[0], 1, 0.0f, buffers[6], 1);
    host->dgemv(101, 112, 65, 17, 2.0, buffers[4], 17, buffers[3], 1, 0.0, buffers[7], 1);
    if (host->blas_threads_now) {
        int before = host->blas_threads_now();
        host->blas_threads(1);
        int inside = host->blas_threads_now();
        host->blas_threads(before);
        if (inside != 1 || host->blas_threads_now() != before)
            return 2;
    }
    return 0;
}
"""
)


def products(rng):
    """Buffers of PRODUCTS."""
    a, b = rng.random((33, 65)), rng.random((65, 17))
    zeros = [np.zeros((33, 17), "f4"), np.zeros((33, 17)), np.zeros(17, "f4"), np.zeros(17)]
    return [a.astype("f4"), b.astype("f4"), zeros[0], a, b, zeros[1], zeros[2], zeros[3]]


def is_right(buffers):
    """Whether they hold the products: each element to within the roundings of 65 terms that are less than 1."""
    a, b = buffers[3], buffers[4]
    wanted = {2: a @ b, 5: a @ b, 6: b.T @ a[0], 7: 2 * b.T @ a[0]}
    return all(np.abs(buffers[i] - exact).max() < 65 * 65 * np.finfo(buffers[i].dtype).eps for i, exact in wanted.items())


def test_a_program_multiplies_with_the_blas_of_numpy(rng):
    if not native.give_blas():
        pytest.skip("NumPy's BLAS is not to be reached, and scipy-openblas32 is not installed")
    buffers = products(rng)
    assert compiled(PRODUCTS).run(buffers) == 0
    assert is_right(buffers)
    if "numpy.libs" in native.give_blas():
        assert (buffers[2] == buffers[0] @ buffers[1]).all(), "the same library, so the same numbers"


FAKE = """
#define GEMM(name, T)                                                                                                       \\
    void name(int order, int ta, int tb, int m, int n, int k, T alpha, const T *a, int lda, const T *b, int ldb,     \\
                      T beta, T *c, int ldc)                                                                                 \\
    {                                                                                                                        \\
        (void)order, (void)ta, (void)tb, (void)beta;                                                                         \\
        for (int i = 0; i < m; ++i)                                                                                          \\
            for (int j = 0; j < n; ++j) {                                                                                    \\
                T sum = 0;                                                                                                   \\
                for (int l = 0; l < k; ++l)                                                                                  \\
                    sum += a[i * lda + l] * b[l * ldb + j];                                                                  \\
                c[i * ldc + j] = alpha * sum + WRONG;                                                                        \\
            }                                                                                                                \\
    }
#define GEMV(name, T)                                                                                                       \\
    void name(int order, int ta, int m, int n, T alpha, const T *a, int lda, const T *x, int incx, T beta, T *y, int incy)   \\
    {                                                                                                                        \\
        (void)order, (void)beta;                                                                                             \\
        int t = ta == 112, rows = t ? n : m, columns = t ? m : n;                                                            \\
        for (int i = 0; i < rows; ++i) {                                                                                     \\
            T sum = 0;                                                                                                       \\
            for (int j = 0; j < columns; ++j)                                                                                \\
                sum += (t ? a[j * lda + i] : a[i * lda + j]) * x[j * incx];                                                  \\
            y[i * incy] = alpha * sum;                                                                                       \\
        }                                                                                                                    \\
    }
""" + ("GEMM(cblas_sgemm, float)\nGEMM(cblas_dgemm, double)\nGEMV(cblas_sgemv, float)\nGEMV(cblas_dgemv, double)\n")

USE = """
import sys
import numpy as np
sys.path[:0] = {path!r}
from test_loading import PRODUCTS, compiled, is_right, products
from arrayad.kernels import machine, native
machine.files_with_blas = lambda: {files!r}
print(native.give_blas())
buffers = products(np.random.default_rng(0))
print(compiled(PRODUCTS).run(buffers), is_right(buffers))
"""


def used(files, **environment):
    """What a process says in which these are the files with a BLAS: the one it takes, the program's code, whether it is right."""
    code = USE.format(path=[os.path.dirname(__file__)], files=files)
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.slow
def test_a_blas_of_32_bit_integers_serves():
    file = build(FAKE, toolchain(), ("-DWRONG=0",))
    assert used(["/nowhere.so", file]) == [file, "0 True"]


@pytest.mark.slow
def test_a_blas_that_multiplies_wrongly_is_not_used():
    assert used([build(FAKE, toolchain(), ("-DWRONG=1",))]) == ["", "1 False"]


@pytest.mark.slow
def test_blas_can_be_switched_off():
    assert used([build(FAKE, toolchain(), ("-DWRONG=0",))], ARRAYAD_BLAS="none") == ["", "1 False"]

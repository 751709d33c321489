"""Exported programs build as strict C99 and give what the compiled functions give, to the bit where they are built alike."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import arrayad as ad
from arrayad.compiler import backend
from arrayad.compiler.data import declared
from arrayad.compiler.naming import identifiers
from arrayad.compiler.toolchain import toolchain
from arrayad.errors import CompileError

STRICT = "-std=c99 -Wall -Wextra -Werror -pedantic".split()
POINTER = ctypes.c_void_p


def array(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


class Exported:
    """An exported program, built and loaded; the fields of its structs as the header tells them."""

    def __init__(self, folder: Path, name: str, command: list[str]) -> None:
        self.header = (folder / f"{name}.h").read_text(encoding="ascii")
        self.source = (folder / f"{name}.c").read_text(encoding="ascii")
        self.name = name
        subprocess.run([*command, "-o", f"{name}.so", f"{name}.c", "-lm"], check=True, cwd=folder)
        self.function = getattr(ctypes.CDLL(str(folder / f"{name}.so")), name)
        self.inputs, self.outputs = self.fields("inputs"), self.fields("outputs")

    def fields(self, which: str) -> list[str]:
        body = re.search(rf"struct {self.name}_{which} \{{\n(.*?)\}};", self.header, re.DOTALL)[1]
        return re.findall(r"\*(\w+);", body)

    def number(self, macro: str) -> int:
        return int(re.search(rf"#define {self.name.upper()}_{macro} \(?(-?\d+)", self.header)[1])

    def __call__(self, inputs, outputs) -> int:
        """Call with arrays, or None, in the order of the fields."""
        workspace = np.full(self.number("WORKSPACE"), 0xAA, np.uint8)  # what is read before it is written shows
        given, made = (
            (POINTER * max(len(arrays), 1))(*(None if x is None else x.ctypes.data for x in arrays))
            for arrays in (inputs, outputs)
        )
        return self.function(given, made, POINTER(workspace.ctypes.data))


@pytest.fixture
def compiler():
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler (cc) on the path")
    return found


def sides(compiled, args):
    """(the values of the program's inputs, what the program makes of them, the positions of its outputs as exported)."""
    made = compiled.last
    values = [x.copy() for x in made.values_of(args, {})]
    wanted = made.execute([x.copy() for x in values])
    state = [k for _, k in made.ends.updates]
    return values, wanted, [*(k for k in range(len(wanted)) if k not in state), *state]


# --- programs ---------------------------------------------------------------------------------------------------------


def network(make, dtype="float32"):
    w1 = ad.tensor(array(8, 16, dtype=dtype), requires_grad=True)
    w2 = ad.tensor(array(16, 4, dtype=dtype, seed=1), requires_grad=True)
    b = ad.tensor(np.zeros(16, dtype), requires_grad=True)
    optimizer = make([w1, w2, b])

    def step(x, t):
        optimizer.zero_grad()
        loss = ad.mean((ad.tanh(x @ w1 + b) @ w2 - t) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return step, (array(32, 8, dtype=dtype, seed=2), array(32, 4, dtype=dtype, seed=3))


def sgd():
    return network(lambda parameters: ad.optim.SGD(parameters, lr=0.1, momentum=0.9))


def adam():
    return network(lambda parameters: ad.optim.Adam(parameters, lr=0.01), "float64")


def cross_entropy():
    ad.random.manual_seed(0)
    model = ad.nn.Linear(20, 10)

    def f(x, t):
        return ad.nn.functional.cross_entropy(model(x), t)

    return f, (array(16, 20, dtype="float32"), np.arange(16) % 10)


def loop():
    def f(x, a):
        def body(carry, t):
            carry = ad.sin(a @ carry) + t
            return carry, ad.sum(carry)

        last, sums = ad.scan(body, x, ad.tensor(np.linspace(0.0, 1.0, 20)))
        return ad.sum(last * last) + ad.sum(sums)

    return ad.value_and_grad(f, argnums=(0, 1)), (array(5), array(5, 5, seed=1) / 3)


def branch():
    def f(x):
        return ad.grad(lambda x: ad.cond(ad.sum(x) > 0, lambda x: ad.sum(x * x), lambda x: ad.sum(ad.exp(x)), x))(x)

    return f, (array(6),)


def search():
    def f(x):
        return ad.while_loop(lambda x: ad.max(x) < 100.0, lambda x: x * 1.5 + 1.0, x)

    return f, (array(4),)


def rows():
    def f(x, i):
        return ad.value_and_grad(lambda x: ad.sum(ad.sin(x[i]) * x[i + 0]))(x)

    return f, (array(6, 3), np.array([0, 5, 5, -1]))


def integers():
    def f(x, y):
        return {"sum": x + y, "rest": x % y, "or": x | y, "product": ad.sum(x * y), "max": ad.max(x)}

    return f, (np.arange(-6, 6, dtype="int64"), np.arange(1, 13, dtype="int64"))


def small_integers():
    def f(x, y):
        return x + y, x * y, ad.where(x > y, x, y)

    return f, (np.arange(0, 250, 10, dtype="uint8"), np.arange(5, 255, 10, dtype="uint8"))


def truths():
    def f(x, m):
        return ad.any(x > 1.0, axis=0), ad.all(m, axis=1), m & (x > 0), ~m, ad.where(m, x, -x), ad.sum(m)

    return f, (array(4, 5), array(4, 5, seed=1) > 0)


TABLE = np.array([[0.1, -0.0, np.inf], [np.nan, 1e-310, -3.5]])


def constants():
    def f(x):
        return x * TABLE + ad.tensor(np.array([1.0, 2.0, 4.0])), ad.tensor(np.array([np.nan, -1.0])), TABLE[0, 0] * x

    return f, (array(2, 3),)


def curvature():
    def f(x):
        return ad.sum(ad.exp(-(x**2)) * ad.sin(x) * x[::-1])

    return ad.hessian(f), (array(7),)


def vectors():
    def f(a, x):
        return a @ x, x @ a.T @ x, ad.cumsum(x), ad.argmax(x)

    return f, (array(9, 9), array(9, seed=1))


def dropout():
    rng = ad.random.default_rng(0)
    layer = ad.nn.Dropout(0.4, rng=rng)

    def f(x):
        return layer(x) + rng.normal(size=x.shape) * rng.permutation(5), rng.integers(0, 9, size=3)

    return f, (array(3, 5),)


def matrices():
    def f(x):
        y = x @ x.mT + ad.eye(4)
        logarithm = ad.value_and_grad(lambda y: ad.sum(ad.linalg.slogdet(y)[1]))(y)
        return ad.linalg.cholesky(y), ad.linalg.solve(y[0], x[0]), ad.linalg.det(y), *logarithm, ad.grad(ad.linalg.det)(y[0])

    return f, (array(2, 4, 4),)


def places():
    def f(x, i):
        order = ad.argsort(x, axis=0, descending=True)
        found = ad.searchsorted(ad.sort(x[:, 0]), x)
        moved = ad.grad(lambda x: ad.sum(ad.sin(x[:, i])))(x)
        return order, found, moved, ad.cumprod(x, axis=0), ad.argmin(x, axis=1), ad.diag(x[0]), i << 3, i >> 1

    return f, (array(6, 5), np.array([0, 4, 4, -1]))


def special():
    def f(x):
        first = (ad.lgamma(x), ad.digamma(x), ad.i0(x), ad.i1(x), ad.erfinv(x / 10.0), ad.sinc(x))
        return *first, ad.grad(lambda x: ad.sum(ad.sinc(x) + ad.digamma(x)))(x)

    return f, (array(20),)


def split_kernels():
    """So large that its loops are cut into parts, whose sums meet."""
    return ad.value_and_grad(lambda x: ad.sum(ad.exp(ad.sin(x)) * ad.cos(x))), (array(300, 100),)


PROGRAMS = (
    *(sgd, adam, cross_entropy, loop, branch, search, rows),
    *(integers, small_integers, truths, constants, curvature, vectors, split_kernels),
    *(dropout, matrices, places, special),
)


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("alike", [True, False], ids=["the same flags", "strict C99"])
def test_an_exported_program_agrees_with_the_call(program, alike, tmp_path, compiler):
    function, args = program()
    compiled = ad.compile(function)
    compiled(*args)
    compiled.export(tmp_path / "step.c")
    values, wanted, order = sides(compiled, args)
    known = compiled.last.known(("array",))
    chain = toolchain()
    same = [*chain.command, *chain.flags, "-DARRAYAD_SIMD", "-Wall", "-Wextra", "-Werror"]
    exported = Exported(tmp_path, "step", same if alike else [compiler, *STRICT, "-O2", "-fPIC", "-shared"])
    given = [x for k, x in enumerate(values) if k not in known]
    assert len(exported.inputs) == len(given)
    assert len(exported.outputs) == len(order)
    found = [np.full_like(wanted[k], 7) for k in order]
    assert exported(given, found) == exported.number("DONE") == 0
    for k, x in zip(order, found, strict=True):
        if alike or x.dtype.kind != "f":
            np.testing.assert_array_equal(x, wanted[k])
            assert x.dtype.kind != "f" or (np.signbit(x) == np.signbit(wanted[k])).all()
        else:  # exp and its like by scalar functions, products with or without fma: some units in the last place
            eps = np.finfo(x.dtype).eps
            np.testing.assert_allclose(
                x, wanted[k], rtol=64 * eps, atol=64 * eps * np.nanmax(np.abs(wanted[k]), where=np.isfinite(wanted[k]), initial=0)
            )


# --- what the header promises -----------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path, compiler):
    """Exports a compiled function, and builds it as strict C99."""

    def of(compiled, name="step", flags=("-O1",), **options):
        compiled.export(tmp_path / f"{name}.c", **options)
        return Exported(tmp_path, name, [compiler, *STRICT, *flags, "-fPIC", "-shared"])

    return of


def test_state_is_updated_in_place_and_unwanted_outputs_are_null(built):
    function, args = sgd()
    compiled = ad.compile(function)
    compiled(*args)
    exported = built(compiled)
    values, _, _ = sides(compiled, args)
    arrays = dict(zip(exported.inputs, values, strict=True))
    outputs = [arrays.get(name) for name in exported.outputs]
    assert next(name for name, x in zip(exported.outputs, outputs, strict=True) if x is None) == "result"
    losses = []
    for _ in range(5):
        loss = np.empty((), np.float32)
        outputs[exported.outputs.index("result")] = loss
        assert exported(values, outputs) == 0
        losses.append(loss)
    np.testing.assert_allclose(losses, [compiled(*args).numpy() for _ in range(5)], rtol=1e-5)
    for x, y in zip(values, compiled.last.values_of(args, {}), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_state_that_others_need_until_the_end_may_be_in_place_too(built):
    a, b = ad.tensor(np.array([1.0, 1.0])), ad.tensor(np.array([1.0, 2.0]))

    def fibonacci():
        total = a + b
        a[:] = b
        b[:] = total

    compiled = ad.compile(fibonacci)
    compiled()
    exported = built(compiled, "fibonacci")
    x, y = np.array([1.0, 1.0]), np.array([1.0, 2.0])
    both = {"a": x, "b": y}
    assert sorted(exported.inputs) == sorted(exported.outputs) == ["a", "b"]
    for expected in ([1, 2], [2, 3]), ([2, 3], [3, 5]), ([3, 5], [5, 8]):
        assert exported([both[name] for name in exported.inputs], [both[name] for name in exported.outputs]) == 0
        np.testing.assert_array_equal([x, y], expected)


def test_missing_arrays_are_told_before_anything_is_done(built):
    function, args = sgd()
    compiled = ad.compile(function)
    compiled(*args)
    exported = built(compiled)
    values, wanted, order = sides(compiled, args)
    found = [np.full_like(wanted[k], 7) for k in order]
    for k in range(len(values)):
        assert exported([*values[:k], None, *values[k + 1 :]], found) == exported.number("NULL")
    for k, name in enumerate(exported.outputs):
        if name in exported.inputs:
            assert exported(values, [*found[:k], None, *found[k + 1 :]]) == exported.number("NULL")
    assert all((x == 7).all() for x in found)


def test_a_branch_that_goes_another_way_is_told_and_state_stays(built):
    w = ad.tensor(np.ones(3))

    def step(x):
        w[:] = w + x
        if ad.sum(w) > 10.0:
            return w * 0.0
        return w * 2.0

    compiled = ad.compile(step)
    compiled(np.zeros(3))
    exported = built(compiled)
    assert "test_export.py" in re.search(r"STEP_STOPPED_1 1 /\* (.*) \*/", exported.header)[1]
    state, result = np.ones(3), np.empty(3)
    arrays = {"w": state, "x": np.full(3, 100.0)}
    outputs = [{"w": state, "result": result}[name] for name in exported.outputs]
    assert exported([arrays[name] for name in exported.inputs], outputs) == exported.number("STOPPED_1") == 1
    np.testing.assert_array_equal(state, 1.0)
    arrays["x"] = np.ones(3)
    assert exported([arrays[name] for name in exported.inputs], outputs) == 0
    np.testing.assert_array_equal(state, 2.0)
    np.testing.assert_array_equal(result, 4.0)


def test_an_index_out_of_range_is_told(built):
    compiled = ad.compile(lambda x, i: x[i])
    compiled(array(5), np.array([0, 1]))
    exported = built(compiled, "take")
    found = np.empty(2)
    x = array(5)
    assert exported([x, np.array([-5, 4])], [found]) == 0
    np.testing.assert_array_equal(found, x[[0, 4]])
    assert exported([x, np.array([0, 5])], [found]) == 1
    assert "IndexError" in exported.header


def test_what_is_captured_is_data_of_the_file_or_an_input(built):
    function, args = cross_entropy()
    compiled = ad.compile(function)
    wanted = compiled(*args)
    baked = built(compiled, "baked", constants=True)
    assert len(baked.inputs) == 2
    found = np.empty((), np.float32)
    assert baked(list(args), [found]) == 0
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5)
    assert len(built(compiled, "open", constants=False).inputs) == 4

    function, args = constants()
    compiled = ad.compile(function)
    compiled(*args)
    assert built(compiled, "data").inputs == ["x"]
    assert built(compiled, "given", constants=False).inputs == ["x", "TABLE"]


def test_a_changed_learning_rate_is_an_input_and_may_be_data(built):
    function, args = sgd()
    compiled = ad.compile(function)
    compiled(*args)
    assert any(name.endswith("_lr") for name in built(compiled).inputs)
    assert not any(name.endswith("_lr") for name in built(compiled, "fixed", constants=True).inputs)


# --- names ------------------------------------------------------------------------------------------------------------

NASTY = ['*/ system("rm"); /*', "\\", "a\nb", "??/", "é", "float", "NULL", "x", "X", "1", '"', "%s\\n"]


def test_no_string_of_the_users_reaches_the_text_unescaped(built):
    compiled = ad.compile(lambda tree: {key: x + 1.0 for key, x in tree.items()})
    tree = {key: np.full(2, float(k)) for k, key in enumerate(NASTY)}
    compiled(tree)
    exported = built(compiled, "names")
    assert len({name.lower() for name in exported.inputs}) == len(NASTY)
    values, wanted, order = sides(compiled, (tree,))
    found = [np.empty(2) for _ in NASTY]
    assert exported(values, found) == 0
    np.testing.assert_array_equal(found, [wanted[k] for k in order])
    assert 'system("rm");' not in re.sub(r"/\*.*?\*/", "", exported.header, flags=re.DOTALL)


def test_names_are_unique_and_no_keywords():
    assert identifiers(["int", "INT", "a.b", "a b", "", "9"]) == ["int_", "INT__2", "a_b", "a_b_2", "x", "x9"]


@pytest.mark.parametrize("name", ["exp", "main", "float", "kernel_0", "matmul_f64", "a-b", "ä", "1x", "", "NAN"])
def test_names_that_mean_something_in_c_are_refused(name, tmp_path):
    compiled = ad.compile(lambda x: x + 1.0)
    compiled(array(2))
    with pytest.raises(ValueError, match=r"\[export\] the name"):
        compiled.export(tmp_path / "f.c", name=name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", ["f.cpp", "f", 'a"b.c', "a\nb.c", "ä.c", ".c"])
def test_names_of_files_that_no_include_takes_are_refused(file, tmp_path):
    compiled = ad.compile(lambda x: x + 1.0)
    compiled(array(2))
    with pytest.raises(ValueError, match=r"\[export\] the file"):
        compiled.export(tmp_path / file)


def test_the_name_of_the_file_is_made_a_name_of_c(tmp_path):
    compiled = ad.compile(lambda x: x + 1.0)
    compiled(array(2))
    compiled.export(tmp_path / "my-step.2.c")
    header = (tmp_path / "my-step.2.h").read_text(encoding="ascii")
    assert "int my_step_2(" in header and "#ifndef MY_STEP_2_H" in header


# --- what cannot be exported ------------------------------------------------------------------------------------------


def test_an_operation_that_runs_in_python_is_refused_with_its_line(tmp_path):
    compiled = ad.compile(lambda x: ad.linalg.eigvalsh(x) + 1.0)
    compiled(np.eye(3))
    with pytest.raises(CompileError, match=r"\[export\].*eigh.* at .*test_export\.py:\d+"):
        compiled.export(tmp_path / "f.c")
    assert not list(tmp_path.iterdir())


def test_nothing_is_exported_before_the_first_call(tmp_path):
    with pytest.raises(CompileError, match="call the compiled function first"):
        ad.compile(lambda x: x).export(tmp_path / "f.c")


def test_no_compiler_is_needed_to_write_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ARRAYAD_CC", "none")
    compiled = ad.compile(lambda x: x + 1.0)
    monkeypatch.setattr(backend, "TOLD", ["it has been said"])
    compiled(array(2))
    compiled.export(tmp_path / "f.c")
    assert (tmp_path / "f.h").exists()


# --- other ways to build it -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_threads_give_the_same_bits(built):
    function, args = split_kernels()
    compiled = ad.compile(function)
    compiled(*args)
    _, wanted, order = sides(compiled, args)
    serial, threaded = built(compiled, "serial"), built(compiled, "threaded", ("-O1", "-fopenmp"))
    assert "omp parallel for" in serial.source
    results = []
    for exported in (serial, threaded):
        results.append([np.empty_like(wanted[k]) for k in order])
        assert exported(list(args), results[-1]) == 0
    for x, y in zip(*results, strict=True):
        np.testing.assert_array_equal(x, y)


CBLAS = """
enum { CblasRowMajor = 101, CblasNoTrans = 111, CblasTrans = 112 };
typedef enum { order_placeholder = 101 } CBLAS_LAYOUT;
typedef enum { turn_placeholder = 111 } CBLAS_TRANSPOSE;
extern int blas_products;
void cblas_dgemm(CBLAS_LAYOUT order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, double alpha, const double *a,
                 int lda, const double *b, int ldb, double beta, double *c, int ldc);
void cblas_dgemv(CBLAS_LAYOUT order, CBLAS_TRANSPOSE t, int m, int n, double alpha, const double *a, int lda, const double *x,
                 int incx, double beta, double *y, int incy);
"""
BODIES = """
#include "cblas.h"
int blas_products = 0;
void cblas_dgemm(CBLAS_LAYOUT order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, double alpha, const double *a,
                 int lda, const double *b, int ldb, double beta, double *c, int ldc)
{
    blas_products += (int)order == 101 && beta == 0;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
            c[i * ldc + j] = 0;
            for (int l = 0; l < k; ++l)
                c[i * ldc + j] += alpha * ((int)ta == 111 ? a[i * lda + l] : a[l * lda + i])
                                  * ((int)tb == 111 ? b[l * ldb + j] : b[j * ldb + l]);
        }
}
void cblas_dgemv(CBLAS_LAYOUT order, CBLAS_TRANSPOSE t, int m, int n, double alpha, const double *a, int lda, const double *x,
                 int incx, double beta, double *y, int incy)
{
    if ((int)t == 111)
        cblas_dgemm(order, (CBLAS_TRANSPOSE)111, (CBLAS_TRANSPOSE)111, m, 1, n, alpha, a, lda, x, incx, beta, y, incy);
    else
        cblas_dgemm(order, (CBLAS_TRANSPOSE)112, (CBLAS_TRANSPOSE)111, n, 1, m, alpha, a, lda, x, incx, beta, y, incy);
}
"""


def test_a_blas_is_called_where_one_is_asked_for(built, tmp_path):
    (tmp_path / "cblas.h").write_text(CBLAS, encoding="ascii")
    (tmp_path / "blas.c").write_text(BODIES, encoding="ascii")
    compiled = ad.compile(lambda a, b, x: (a @ b, a.T @ b @ a, a @ x, x @ b))
    args = array(20, 20), array(20, 20, seed=1), array(20, seed=2)
    wanted = compiled(*args)
    exported = built(compiled, "products", ("-O1", "-DPRODUCTS_USE_CBLAS", "-I.", "blas.c"))
    found = [np.empty(y.shape) for y in wanted]
    assert exported(list(args), found) == 0
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y.numpy(), rtol=1e-12, atol=1e-12)
    library = ctypes.CDLL(str(tmp_path / "products.so"))
    assert ctypes.c_int.in_dll(library, "blas_products").value == sum(
        "matrix_product" in row.operations for row in compiled.report().rows
    )


@pytest.mark.slow
def test_the_header_is_one_of_c_plus_plus_too(built, tmp_path):
    found = shutil.which("c++")
    if found is None:
        pytest.skip("no C++ compiler (c++) on the path")
    function, args = rows()
    compiled = ad.compile(function)
    compiled(*args)
    built(compiled, "rows")
    (tmp_path / "main.cc").write_text(
        '#include "rows.h"\n#include "rows.h"\nint main() { return rows(0, 0, 0) == ROWS_NULL ? 0 : 1; }\n'
    )
    subprocess.run(
        [found, "-Wall", "-Wextra", "-Werror", "-pedantic", "main.cc", "rows.so", "-Wl,-rpath,.", "-o", "main"],
        check=True,
        cwd=tmp_path,
    )
    subprocess.run(["./main"], check=True, cwd=tmp_path)


# --- data -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
)
def test_every_bit_of_an_array_survives_as_data(dtype, tmp_path, compiler):
    bits = np.random.default_rng(0).integers(0, 256, 8 * 40, dtype=np.uint8)
    x = (bits & 1).astype(bool) if dtype == "bool" else bits.view(dtype)
    info = np.iinfo(dtype) if x.dtype.kind in "iu" else None
    edges = (
        [info.min, info.max, 0] if info else [True] if dtype == "bool" else [0.0, -0.0, np.inf, -np.inf, np.finfo(dtype).tiny / 4]
    )
    arrays = [x, np.array(edges, dtype), np.empty(0, dtype)]
    parts = [declared(f"data_{k}", each) for k, each in enumerate(arrays)]
    functions = [
        f"const void *get_{k}(void);\nconst void *get_{k}(void)\n{{\n    return {pointer};\n}}\n"
        for k, (_, pointer) in enumerate(parts)
    ]
    text = "#include <math.h>\n#include <stdint.h>\n" + "".join(text for text, _ in parts) + "".join(functions)
    (tmp_path / "data.c").write_text(text, encoding="ascii")
    subprocess.run([compiler, *STRICT, "-fPIC", "-shared", "-o", "data.so", "data.c"], check=True, cwd=tmp_path)
    library = ctypes.CDLL(str(tmp_path / "data.so"))
    for k, each in enumerate(arrays):
        get = getattr(library, f"get_{k}")
        get.restype = POINTER
        assert ctypes.string_at(get(), each.nbytes) == each.tobytes()

"""Which compiler is found, what is said where there is none, and what it is asked to do."""

import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from arrayad.compiler import toolchain as toolchains
from arrayad.compiler.build import build
from arrayad.compiler.ctext import ctext
from arrayad.compiler.loading import program_of
from arrayad.compiler.toolchain import toolchain, why_no_toolchain
from arrayad.errors import CompilationError
from arrayad.kernels import native

TEXT = ctext("host.h") + (
    "int arrayad_program(const struct arrayad_host *host, void *const *buffers)\n"
    "{\n    (void)host, (void)buffers;\n    return 0;\n}\n"
)
COMPILER = toolchain()
PATH = os.environ.get("PATH", "")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


@pytest.fixture(autouse=True)
def _in_a_private_cache(private_cache):
    pass


@pytest.fixture
def nothing_installed(tmp_path, monkeypatch):
    """A PATH with nothing in it, and no package ziglang: the folder that is on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("ARRAYAD_CC", raising=False)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(toolchains, "zig", lambda: None)
    toolchains.searched.cache_clear()
    (tmp_path / "bin").mkdir()
    yield tmp_path / "bin"
    toolchains.searched.cache_clear()


def install(path, script):
    """A compiler that is a shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def real(*arguments):
    """A script that calls the compiler of this machine."""
    return f'PATH="{PATH}" exec {" ".join(COMPILER.command)} {" ".join(arguments)} "$@"'


def test_without_a_compiler_it_says_what_was_sought(nothing_installed):
    assert toolchain() is None
    assert why_no_toolchain() == "cc is not there; gcc is not there; clang is not there; the package ziglang is not there"
    with pytest.raises(CompilationError, match=r"there is no C compiler: cc is not there.*install one, or the package ziglang"):
        program_of(TEXT)


def test_no_compiler_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("ARRAYAD_CC", "none")
    assert toolchain() is None and "ARRAYAD_CC=none" in why_no_toolchain()


def test_without_c_kernels_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(native, "why_not_native", "the disk is full")
    toolchains.searched.cache_clear()
    try:
        assert toolchain() is None and "the disk is full" in why_no_toolchain()
    finally:
        toolchains.searched.cache_clear()


@needs_compiler
def test_the_environment_chooses(nothing_installed, tmp_path, monkeypatch):
    for name in ("cc", "clang", "mine", "forced"):
        install(nothing_installed / name, real())
    assert toolchain().command == (str(nothing_installed / "cc"),)
    monkeypatch.setenv("CC", "mine -DFLAG")
    assert toolchain().command == (str(nothing_installed / "mine"), "-DFLAG")
    monkeypatch.setenv("ARRAYAD_CC", str(nothing_installed / "forced"))
    assert toolchain().command == (str(nothing_installed / "forced"),)
    monkeypatch.setenv("ARRAYAD_CC", "absent")
    assert toolchain() is None and why_no_toolchain() == "ARRAYAD_CC=absent is not there"


@needs_compiler
def test_a_compiler_that_does_not_work_is_passed_over(nothing_installed):
    install(nothing_installed / "cc", 'echo "licence expired" >&2; exit 1')
    install(nothing_installed / "gcc", 'for last; do :; done; [ "$1" = --version ] || : > probe.so')
    assert toolchain() is None
    assert "cc does not work (licence expired)" in why_no_toolchain()
    assert "gcc does not work (what it compiles cannot be loaded" in why_no_toolchain()
    install(nothing_installed / "clang", real())
    toolchains.searched.cache_clear()
    assert toolchain().command == (str(nothing_installed / "clang"),)


@needs_compiler
def test_flags_that_a_compiler_lacks_are_left_out(nothing_installed):
    refuse = 'for word; do case $word in -fopenmp-simd|-lmvec) echo "unknown $word"; exit 1;; esac; done\n'
    install(nothing_installed / "cc", refuse + real())
    poor = toolchain()
    assert "-fopenmp-simd" not in poor.flags and poor.libraries == ("-lm",)
    assert set(poor.flags) == set(COMPILER.flags) - {"-fopenmp-simd"}
    assert build(TEXT, poor)


@needs_compiler
def test_what_it_can_do_is_remembered_on_disk(nothing_installed, private_cache, tmp_path):
    log = tmp_path / "log"
    install(nothing_installed / "cc", f"echo called >> {log}\n" + real())
    first = toolchain()
    calls = log.read_text()
    toolchains.searched.cache_clear()
    assert toolchain() == first and log.read_text() == calls
    (remembered,) = private_cache.glob("compiler-*")
    remembered.write_bytes(remembered.read_bytes()[:-1])
    toolchains.searched.cache_clear()
    assert toolchain() == first and log.read_text() != calls
    os.utime(nothing_installed / "cc", (1, 1))
    calls = log.read_text()
    toolchains.searched.cache_clear()
    assert toolchain() == first and log.read_text() != calls, "a compiler that has changed is tried anew"


@needs_compiler
def test_the_flags_keep_the_meaning_of_floating_point(rng):
    """No contraction, no reassociation, no assumption of finite numbers; and vector functions to within 4 ulp."""
    text = (
        ctext("vector_math.h")
        + ctext("host.h")
        + """
int arrayad_program(const struct arrayad_host *host, void *const *buffers)
{
    (void)host;
    const double *x = buffers[0];
    double *y = buffers[1];
    double sum = 0;
    for (int i = 0; i < 1000; ++i) {
        sum += x[i];
        y[i] = x[i] * x[i] - 0.1;
        y[1000 + i] = exp(x[i]);
        y[2000 + i] = y[i] != y[i];
    }
    y[3000] = sum;
    return 0;
}
"""
    )
    x, y = rng.standard_normal(1000), np.zeros(3001)
    x[:3] = np.inf, np.nan, -np.inf
    assert program_of(text).run([x, y]) == 0
    assert np.array_equal(y[:1000], x * x - 0.1, equal_nan=True)
    assert np.isnan(y[3000])
    assert np.array_equal(y[2000:3000], np.isnan(y[:1000]))
    exact = np.exp(x.astype(np.longdouble))
    assert np.isnan(y[1001]) and y[1000] == np.inf and y[1002] == 0
    assert (np.abs(y[1003:2000] - exact[3:]) <= 4 * np.spacing(np.abs(y[1003:2000]))).all()
    x[:3] = 0
    assert program_of(text).run([x, y]) == 0
    assert y[3000] == np.cumsum(x)[-1], "in the order of the text"


@needs_compiler
def test_the_vector_functions_are_those_that_are_called():
    if COMPILER.libraries == ("-lm",) or "clang" in COMPILER.version:
        pytest.skip("the C library has no vector functions that this compiler calls by their prototypes")
    assert {"exp", "expf", "log", "sin", "powf"} <= COMPILER.vector_math
    assert "sqrt" not in COMPILER.vector_math


@needs_compiler
def test_a_text_that_does_not_compile_is_kept_and_explained(private_cache):
    with pytest.raises(CompilationError, match=r"source\.c:1:.*error") as caught:
        build("int x = ;\n", COMPILER)
    assert COMPILER.version in str(caught.value)
    (kept,) = (private_cache / "failed").iterdir()
    assert kept.read_text() == "int x = ;\n" and str(kept) in str(caught.value)
    assert not list(private_cache.glob("work-*"))


@needs_compiler
def test_few_of_the_texts_that_do_not_compile_are_kept(private_cache, nothing_installed):
    broken = COMPILER._replace(command=("/nowhere/cc",))
    for number in range(25):
        with pytest.raises(CompilationError, match="/nowhere/cc cannot be run"):
            build(f"int x{number};\n", broken)
    kept = sorted(path.read_text() for path in (private_cache / "failed").iterdir())
    assert kept == sorted(f"int x{number};\n" for number in range(5, 25))


@needs_compiler
def test_a_long_complaint_is_cut():
    with pytest.raises(CompilationError, match=r"and \d+ lines more"):
        build("".join(f"int x{i} = ;\n" for i in range(100)), COMPILER)


@needs_compiler
def test_no_shell_sees_the_command(tmp_path):
    hostile = COMPILER._replace(flags=(*COMPILER.flags, f"-DX=$(touch {tmp_path}/seen)"))
    assert build(TEXT, hostile)
    assert not (tmp_path / "seen").exists()


@needs_compiler
def test_a_full_disk_is_told_from_a_wrong_text(nothing_installed, private_cache):
    full = '[ -n "$(echo $PWD | grep cache)" ] && { echo "cannot write: No space left on device"; exit 1; }\n'
    install(nothing_installed / "full", f'PATH="{PATH}"\n{full}{real()}')
    elsewhere = COMPILER._replace(command=(str(nothing_installed / "full"),))
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        assert not build(TEXT, elsewhere).startswith(str(private_cache))


IMPORT = """
import sys
import numpy, cffi
before = set(sys.modules)
import subprocess
def refuse(*arguments, **options): raise SystemExit("a process was started")
subprocess.Popen.__init__ = refuse
import arrayad
print(sorted(set(sys.modules) & {"hmac", "tempfile", "json", "shlex"} - before))
"""


@pytest.mark.slow
def test_the_import_starts_no_process_and_makes_no_folder(private_cache):
    ran = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert not private_cache.exists()


@pytest.mark.slow
@pytest.mark.skipif(toolchains.zig() is None, reason="the package ziglang is not installed")
def test_the_package_ziglang_serves_as_a_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("ARRAYAD_CC", raising=False)
    found = toolchain()
    assert found.command == toolchains.zig() and "clang" in found.version
    assert program_of(TEXT).run([]) == 0

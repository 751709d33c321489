"""The C compiler: which there is, and what it can do.

Candidates are $ARRAYAD_CC alone, if it is set (`none` for no compiler at all); else $CC, cc, gcc, clang, and the package
ziglang.  The first that compiles, links and loads a test is taken.  What it can do is tried once and remembered on disk, so
that a process which finds its programs in the cache starts no compiler.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from arrayad.compiler import folder as folders
from arrayad.compiler.ctext import ctext
from arrayad.errors import CompilationError
from arrayad.kernels import native
from arrayad.version import __version__

REQUIRED = ("-std=c11", "-O2", "-fPIC", "-shared", *(["-Wl,-z,defs"] if sys.platform != "darwin" else []))

# What a compiler may lack.  Nothing here changes a result: errno and floating-point flags are not asked for.
# -O3 takes three times as long as this for programs that are no faster.
WISHED = (
    *("-ftree-vectorize", "-fvect-cost-model=dynamic", "-fira-region=one"),
    *("-fno-builtin-sin", "-fno-builtin-cos", "-fno-builtin-sinf", "-fno-builtin-cosf"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fopenmp-simd", "-fno-semantic-interposition"),
)

# Of glibc: vector functions, which vector_math.h declares.
VECTOR_LIBRARY = "-lmvec"


class Toolchain(NamedTuple):
    """A C compiler that works, and how it is called."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]
    libraries: tuple[str, ...]
    vector_math: frozenset[str]
    """The functions of libm, as `exp` and `expf`, of which it calls vector forms where vector_math.h declares them."""
    processor: str
    """The digest of what the processor can do, where the flags ask for all of it; else the name of the architecture."""

    def arguments(self, source: str, output: str, options: Iterable[str] = ()) -> list[str]:
        """The command line that makes a shared object of a source."""
        return [*self.command, *self.flags, *options, "-o", output, source, *self.libraries]

    def identity(self) -> tuple[str, ...]:
        """All that what it makes of a text depends on."""
        return (*self.command, self.version, *self.flags, *self.libraries, self.processor, c_library())


def toolchain() -> Toolchain | None:
    """The compiler to use; None where there is none, and then `why_no_toolchain` says why."""
    return search()[0]


def why_no_toolchain() -> str:
    """Why there is no compiler; "" where there is one."""
    return search()[1]


def search() -> tuple[Toolchain | None, str]:
    """The first compiler that works, or the reasons why none does; sought again when the environment changes."""
    return searched(*(os.environ.get(name) for name in ("ARRAYAD_CC", "CC", "PATH")))


@functools.lru_cache(maxsize=16)
def searched(forced: str | None, chosen: str | None, _path: str | None) -> tuple[Toolchain | None, str]:
    """`search` in an environment."""
    if native.why_not_native is not None:
        return None, f"there are no C kernels, which load programs: {native.why_not_native}"
    if forced == "none":
        return None, "ARRAYAD_CC=none asks for no compiler"
    reasons = []
    for name, command in candidates(forced, chosen):
        if command is None:
            reasons.append(f"{name} is not there")
            continue
        try:
            return examined(command), ""
        except (CompilationError, OSError) as error:
            reasons.append(f"{name} does not work ({error})")
    return None, "; ".join(reasons)


def candidates(forced: str | None, chosen: str | None) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """(what was looked for, its command or None) in the order of preference."""
    import shlex
    import shutil

    names = [("ARRAYAD_CC", forced)] if forced else [("CC", chosen), *((name, name) for name in ("cc", "gcc", "clang"))]
    for variable, given in names:
        words = shlex.split(given or "")
        if words:
            found = shutil.which(words[0])
            label = given if variable == given else f"{variable}={given}"
            yield str(label), (os.path.abspath(found), *words[1:]) if found else None
    if not forced:
        yield "the package ziglang", zig()


def zig() -> tuple[str, ...] | None:
    """The command of the compiler in the package ziglang, if that is installed."""
    package = importlib.util.find_spec("ziglang")
    for folder in (package and package.submodule_search_locations) or []:
        program = os.path.join(folder, "zig")
        if os.access(program, os.X_OK):
            return (program, "cc")
    return None


# --- the machine --------------------------------------------------------------------------------------------------------


@functools.cache
def processor_features() -> frozenset[str]:
    """What Linux says of the first processor: its model and its instruction sets; nothing where it does not say."""
    wanted = {"vendor_id", "cpu family", "model", "model name", "flags", "Features", "isa", "CPU implementer", "CPU part"}
    found: set[str] = set()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if not line.strip() and found:
                    break
                if name.strip() in ("flags", "Features"):
                    found.update(value.split())
                elif name.strip() in wanted:
                    found.add(f"{name.strip()}={value.strip()}")
    except OSError:
        return frozenset()
    return frozenset(found)


def digest(*words: str) -> str:
    """The SHA-256 of a sequence of strings, in hexadecimal; other sequences have others."""
    return hashlib.sha256(repr(words).encode()).hexdigest()


def processor() -> str:
    """The digest of the processor's features; the architecture alone where they are not known."""
    features = processor_features()
    if not features:
        return os.uname().machine
    return f"{os.uname().machine} {digest(*sorted(features))[:16]}"


@functools.cache
def c_library() -> str:
    """Name and version of the C library, with whose vector functions programs are linked."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return " ".join(os.uname())


def wished_flags() -> list[str]:
    """The flags to try: all of the processor's instructions only where the cache can tell it from others."""
    features = processor_features()
    flags = list(WISHED)
    if features:
        flags.append("-march=native")
    if "avx512f" in features:
        flags.append("-mprefer-vector-width=512")
    return flags


# --- what a compiler can do ---------------------------------------------------------------------------------------------


def examined(command: tuple[str, ...]) -> Toolchain:
    """What a compiler can do: as remembered, else as found by trying.

    **Raises** CompilationError where it does not compile.
    """
    import json

    file = os.stat(os.path.realpath(command[0]))
    question = [
        __version__,
        *command,
        str(file.st_mtime_ns),
        str(file.st_size),
        *wished_flags(),
        processor(),
        c_library(),
        probe(),
    ]
    name = f"compiler-{digest(*question)[:32]}"
    known = folders.folder().read(name)
    if known is not None:
        version, flags, libraries, functions = json.loads(known)
        return Toolchain(command, version, tuple(flags), tuple(libraries), frozenset(functions), processor())
    found = tried(command)
    answer = [found.version, found.flags, found.libraries, sorted(found.vector_math)]
    try:
        folders.folder().write(name, json.dumps(answer).encode())
    except OSError as error:
        folders.fall_back(error)
    return found


def tried(command: tuple[str, ...]) -> Toolchain:
    """What a compiler can do: all at once, if it can do all; else flag by flag."""
    version = (run([*command, "--version"], os.curdir).splitlines() or ["unknown"])[0]
    wished = wished_flags()
    if "clang" in version:
        wished.append("-fveclib=libmvec")
    plain = Toolchain(command, version, REQUIRED, ("-lm",), frozenset(), processor())
    full = plain._replace(flags=(*REQUIRED, *wished), libraries=(VECTOR_LIBRARY, "-lm"))
    for candidate in (full, full._replace(libraries=plain.libraries)):
        try:
            return candidate._replace(vector_math=compiled_probe(candidate))
        except CompilationError:
            continue
    found = plain._replace(vector_math=compiled_probe(plain))
    for flags, libraries in [((), full.libraries), *(((flag,), ()) for flag in wished)]:
        richer = found._replace(flags=(*found.flags, *flags), libraries=libraries or found.libraries)
        try:
            found = richer._replace(vector_math=compiled_probe(richer))
        except CompilationError:
            continue
    return found


@functools.cache
def probe() -> str:
    """A program that calls each function of vector_math.h in a loop of its own, for float and double."""
    header = ctext("vector_math.h")
    lines = [header, ctext("host.h")]
    for arity, name in sorted(set(re.findall(r"^VECTOR([12])\((\w+)\)", header, re.MULTILINE))):
        for dtype, suffix in (("double", ""), ("float", "f")):
            argument = "x[i]" if arity == "1" else "x[i], x[i]"
            lines.append(
                f"void loop_{name}{suffix}({dtype} *restrict y, const {dtype} *restrict x)\n"
                f"{{\n    for (int i = 0; i < 1024; ++i)\n        y[i] = {name}{suffix}({argument});\n}}"
            )
    lines.append(
        "int arrayad_program(const struct arrayad_host *host, void *const *buffers)\n"
        "{\n    return host->threads > 0 && !buffers[0] ? 20 : -1;\n}\n"
    )
    return "\n".join(lines)


def compiled_probe(candidate: Toolchain) -> frozenset[str]:
    """Compile, link, load and call the probe; the functions that it calls as vectors.

    **Raises** CompilationError where one of these fails.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix=folders.WORK, dir=folders.folder().path) as work:
        source, output = (os.path.join(work, name) for name in ("probe.c", "probe.so"))
        with open(source, "w", encoding="utf-8") as file:
            file.write(probe())
        run(candidate.arguments("probe.c", "probe.so"), work)
        try:
            library = native.Library(output)
            code = native.call(library.symbol("arrayad_program"), native.pointers(1))
        except OSError as error:
            raise CompilationError(f"what it compiles cannot be loaded: {error}") from None
        if code != 20:
            raise CompilationError(f"a program that returns 20 returned {code}")
        binary = folders.read(output)
    return frozenset(found.decode() for found in re.findall(rb"\0_ZGV\w{1,2}N\d+v+_(\w+)(?=\0)", binary))


def run(arguments: list[str], work: str) -> str:
    """What a compiler prints, called in a folder, where its temporary files go too.

    **Raises** CompilationError with its words where it fails; OSError where that is because the disk is full.
    """
    import errno
    import subprocess

    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": os.path.abspath(work)}
    try:
        ran = subprocess.run(
            arguments,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise CompilationError(f"{arguments[0]} cannot be run: {error}") from None
    if ran.returncode == 0:
        return ran.stdout
    if os.strerror(errno.ENOSPC) in ran.stdout:
        raise OSError(errno.ENOSPC, ran.stdout.strip())
    raise CompilationError(ran.stdout.strip() or f"{arguments[0]} failed with code {ran.returncode}")

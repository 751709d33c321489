"""From C text to a shared object in the cache."""

from __future__ import annotations

import os

from arrayad.compiler import cache
from arrayad.compiler import folder as folders
from arrayad.compiler.toolchain import Toolchain, digest, run
from arrayad.errors import CompilationError
from arrayad.version import __version__

FAILED = "failed"
MOST_FAILED = 20
MOST_LINES = 40


def build(text: str, toolchain: Toolchain, options: tuple[str, ...] = ()) -> str:
    """The path of the shared object that a compiler makes of a C text, by way of the cache.

    **Parameters**

    - `text`: a whole translation unit.
    - `options`: further arguments of the compiler, which override its flags.

    **Raises** CompilationError with the compiler's words, and the path of the text, where it does not compile.
    """

    def make(work: str) -> None:
        try:
            run(toolchain.arguments(cache.SOURCE, cache.PROGRAM, options), work)
        except CompilationError as error:
            raise CompilationError(explain(text, toolchain, str(error))) from None

    try:
        return cache.program(key_of(text, toolchain, options), text, make)
    except OSError as error:
        raise CompilationError(
            f"[compile] there is no place for the compiled program: {error}; set ARRAYAD_CACHE_DIR to a folder with room"
        ) from error


def key_of(text: str, toolchain: Toolchain, options: tuple[str, ...]) -> str:
    """The digest of the text and of everything else that the shared object depends on."""
    return digest(__version__, text, *toolchain.identity(), "options", *options)


def explain(text: str, toolchain: Toolchain, words: str) -> str:
    """What to say of a text that does not compile; the text is kept."""
    lines = words.splitlines()
    shown = "\n".join(f"  {line}" for line in lines[:MOST_LINES])
    rest = f"\n  ... and {len(lines) - MOST_LINES} lines more" if len(lines) > MOST_LINES else ""
    return f"[compile] {toolchain.version} does not compile the program; its text is {kept(text)}:\n{shown}{rest}"


def kept(text: str) -> str:
    """The path under which a text that does not compile is kept, with the last others of its kind."""
    used = folders.folder().path
    name = f"{digest(text)[:16]}.c"
    place = os.path.join(used, FAILED)
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        folders.replace(place, name, text.encode())
        older = sorted(os.scandir(place), key=lambda entry: entry.stat().st_mtime_ns)
        for entry in older[:-MOST_FAILED]:
            os.unlink(entry.path)
    except OSError as error:
        return f"lost ({error})"
    return os.path.join(place, name)

"""The public side of an exported program: the header, and the function that it declares."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad.compiler.plan import ALIGNMENT, aligned
from arrayad.compiler.text import c_type, comment
from arrayad.errors import describe
from arrayad.version import __version__

WIDTH = 116
SHOWN = 300
"""Characters of a text from elsewhere in a comment."""


class Argument(NamedTuple):
    """An input or an output: its name in C, its shape and dtype, and its name in Python.

    An output that is the new value of an input says which, and whether the program may write it into the input's own array.
    """

    name: str
    value: Any
    text: str
    state: int | None = None
    is_free: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.value.shape)

    @property
    def nbytes(self) -> int:
        return self.size * int(np.dtype(self.value.dtype).itemsize)

    @property
    def kind(self) -> str:
        return c_type(np.dtype(self.value.dtype))


class Interface:
    """What an exported program is called, takes and gives."""

    def __init__(self, name: str, of: str, inputs: list[Argument], outputs: list[Argument]) -> None:
        self.name, self.of, self.inputs, self.outputs = name, of, inputs, outputs
        self.conditions: dict[int, str] = {}
        self.spares: dict[int, int] = {}
        self.size = 0

    def macro(self, name: str) -> str:
        """A macro of the program's: all begin with its name."""
        return f"{self.name}_{name}".upper()

    def place_spares(self, size: int) -> None:
        """Give outputs that may be left out, or that must not be written too early, places behind the arena."""
        for k, output in enumerate(self.outputs):
            if not output.is_free:
                self.spares[k] = size
                size += aligned(max(output.nbytes, 1))
        self.size = size + ALIGNMENT

    # --- comments -------------------------------------------------------------------------------------------------

    def comment(self, of_source: bool) -> str:
        """What stands at the top of the file, or of the header."""
        said = [f"{self.name}: the function {comment(self.of)[:SHOWN]}, written by arrayad {__version__}."]
        if of_source:
            said += [
                f"It needs C99 and libm: cc -std=c99 -O3 -c FILE.  With -D{self.macro('use_cblas')} matrix products are those of "
                "a BLAS (cblas.h); with -fopenmp, and with -fopenmp-simd -DARRAYAD_SIMD, loops run in threads and in vectors, "
                "with the same results.  -march=native -fno-math-errno -fno-trapping-math make it faster yet.",
            ]
        else:
            said += [
                f"{self.name}() returns {self.macro('done')}, or says below why it has stopped; then state that is written into "
                "its own array is as it was, and other outputs may hold anything.",
                "Arrays are in C order.  An output may be the array of the input that it is the new value of, which is then "
                "updated in place; beyond that no output may overlap an input or another output.  An output that is no new "
                "value of an input may be null, if it is not wanted.",
                f"The workspace has {self.macro('workspace')} bytes, of any alignment, which need not be kept; calls at the same "
                "time need one each.  Nothing is allocated, nothing is kept from call to call.",
            ]
        lines = [line for part in said for line in textwrap.wrap(part, WIDTH)]
        return "/*\n" + "".join(f" * {line}\n" for line in lines) + " */\n"

    def about(self, argument: Argument) -> str:
        words = f"{describe(argument.value)}: {argument.text}"
        if argument.state is not None:
            words = f"{describe(argument.value)}: the new value of {self.inputs[argument.state].text}"
        return comment(words)[:SHOWN]

    # --- the header -----------------------------------------------------------------------------------------------

    def struct(self, which: str, arguments: Sequence[Argument], qualifier: str) -> list[str]:
        fields = [f"    {qualifier}{x.kind} *{x.name}; /* {self.about(x)} */" for x in arguments]
        return [f"struct {self.name}_{which} {{", *(fields or ["    const void *none; /* there are none */"]), "};", ""]

    def codes(self) -> list[str]:
        lines = [
            f"#define {self.macro('done')} 0",
            f"#define {self.macro('null')} (-1) /* the workspace, an input, or the new value of one is null */",
        ]
        lines += [
            f"#define {self.macro(f'stopped_{number}')} {number} /* {comment(text)[:SHOWN]} */"
            for number, text in self.conditions.items()
        ]
        return [*lines, ""]

    def sizes(self) -> list[str]:
        every = {x.name: x for x in (*self.inputs, *self.outputs)}
        return [
            *(f"#define {self.macro(f'{name}_size')} {x.size} /* elements */" for name, x in every.items()),
            f"#define {self.macro('workspace')} {self.size} /* bytes */",
            "",
        ]

    def signature(self) -> str:
        return f"int {self.name}(const struct {self.name}_inputs *in, const struct {self.name}_outputs *out, void *workspace)"

    # --- the function -----------------------------------------------------------------------------------------------

    def function(self, constants: Sequence[str]) -> str:
        """The public function: it puts the arrays in the program's order."""
        first = len(self.inputs)
        needed = ["workspace", *(f"in->{x.name}" for x in self.inputs if x.size)]
        needed += [f"out->{x.name}" for x in self.outputs if x.state is not None and x.size]
        total = first + len(self.outputs) + 2 + len(constants)
        lines = [
            self.signature(),
            "{",
            f"    const struct arrayad_host host = {{{self.macro('threads')}}};",
            f"    void *buffers[{total}];",
            "    char *arena;",
            "    int code;",
            *(["    (void)in;"] if not self.inputs else []),
            *(["    (void)out;"] if not self.outputs else []),
            *(f"    if (!{each})\n        return {self.macro('null')};" for each in needed),
            f"    arena = (char *)workspace + ({ALIGNMENT} - (uintptr_t)workspace % {ALIGNMENT}) % {ALIGNMENT};",
            *(f"    buffers[{k}] = (void *)in->{x.name};" for k, x in enumerate(self.inputs)),
        ]
        late = []
        for k, x in enumerate(self.outputs):
            spare = f"(void *)(arena + {self.spares.get(k, 0)})"
            own = f"(void *)out->{x.name}"
            if x.state is not None and not x.is_free:
                same = f"(const void *)out->{x.name} == (const void *)in->{self.inputs[x.state].name}"
                lines.append(f"    buffers[{first + k}] = {same} ? {spare} : {own};")
                late.append(f"    if (buffers[{first + k}] != {own})\n        memcpy(out->{x.name}, {spare}, {x.nbytes});")
            else:
                lines.append(f"    buffers[{first + k}] = {own if x.is_free else f'out->{x.name} ? {own} : {spare}'};")
        behind = first + len(self.outputs)
        lines += [f"    buffers[{behind}] = arena;", f"    buffers[{behind + 1}] = NULL;"]
        lines += [f"    buffers[{behind + 2 + k}] = (void *){pointer};" for k, pointer in enumerate(constants)]
        lines += [f"    code = {self.name}_program(&host, buffers);", "    if (code)", "        return code;", *late]
        return "\n".join([*lines, f"    return {self.macro('done')};", "}", ""])


def header(interface: Interface) -> str:
    """The text of the header."""
    guard = interface.macro("h")
    return "\n".join(
        [
            interface.comment(of_source=False) + f"#ifndef {guard}",
            f"#define {guard}",
            "",
            "#include <stdint.h>",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            *interface.sizes(),
            *interface.codes(),
            *interface.struct("inputs", interface.inputs, "const "),
            *interface.struct("outputs", interface.outputs, ""),
            f"{interface.signature()};",
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            "#endif",
            "",
        ]
    )

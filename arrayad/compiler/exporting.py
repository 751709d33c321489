"""`export`: a program as a file of C99 that needs nothing else, and its header."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from arrayad.compiler.ctext import ctext
from arrayad.compiler.data import declared
from arrayad.compiler.emit import ARGUMENTS, Program, Writer
from arrayad.compiler.executable import prepared
from arrayad.compiler.ir import Given, read_of
from arrayad.compiler.lower import Block, Builder, UnsupportedError, check_dtypes
from arrayad.compiler.naming import LIBRARY, MACROS, RESERVED, identifier, identifiers
from arrayad.compiler.outline import place_of
from arrayad.compiler.pasting import whole
from arrayad.compiler.preamble import PREAMBLE, RUN, filled
from arrayad.compiler.public import Argument, Interface, header
from arrayad.errors import CompileError
from arrayad.tensor import Tensor
from arrayad.tracing import Tape

FILE = re.compile(r"[A-Za-z0-9_.+-]+\.c")
INTERNAL = re.compile(
    r"(kernel|body|constant)_\d+|run_parts|[sd]gem[mv]|\w+_(s|d|f32|f64|i64|bool|u?int\d+|float\d+)|arrayad_\w+"
)
"""What functions and data within a file are called."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Named(NamedTuple):
    """A tape, and what its inputs and outputs are to the user."""

    function: str
    tape: Tape
    results: Sequence[str]
    updates: Sequence[tuple[int, int]]
    """Pairs of an input and the output that is its new value."""


def export(program: Named, path: str | os.PathLike[str], name: str | None, known: dict[int, Any]) -> None:
    """Write a program and its header; `known` are the inputs, by number, that are data of the file, and their values.

    **Raises** `ValueError` for names that C, or an #include, does not take; `CompileError` for what runs in Python alone.
    """
    folder, file = os.path.split(os.fspath(path))
    if not FILE.fullmatch(file):
        raise ValueError(f"[export] the file is called {file!r}; a name of letters, digits and _ . + - that ends in .c is needed")
    if name is None:
        name = identifier(file[:-2])
    if not NAME.fullmatch(name):
        raise ValueError(f"[export] the name is {name!r}; letters, digits and _ are needed, a letter first")
    if name.lower() in RESERVED or name.upper() in MACROS or name in LIBRARY or INTERNAL.fullmatch(name):
        raise ValueError(f"[export] the name {name!r} has a meaning in C, or in the file; give another: export(path, name=...)")
    text, interface = exported(program, name, file[:-2] + ".h", known)
    for each, written in ((file, text), (file[:-2] + ".h", header(interface))):
        with open(os.path.join(folder, each), "w", encoding="ascii", newline="\n") as out:
            out.write(written)


def exported(named: Named, name: str, header_file: str, known: dict[int, Any]) -> tuple[str, Interface]:
    """The C text of a program, and the interface that its header declares."""
    tape = named.tape
    try:
        check_dtypes(tape)
    except UnsupportedError as error:
        raise CompileError(f"[export] C has no type for a value: {error}") from None
    tape = prepared(tape)
    given = [i for i in range(len(tape.inputs)) if i not in known]
    updates = [(given.index(i), k) for i, k in named.updates if i not in known]
    states = dict(updates)
    # An output that is the new value of several inputs, or of one that is data, is given for each, and for itself.
    taken = set(states.values())
    order = [k for k in range(len(tape.outputs)) if k not in taken] + list(states.values())
    first_state = len(order) - len(states)
    donated = {i: first_state + at for at, i in enumerate(states)}
    block = lowered(tape, order, known)
    program = Program()
    program.is_alone = True
    writer = Writer(program, block)
    program.main = ["    void *const *constants = buffers + " + str(len(given) + len(order) + 1) + ";", "    (void)constants;"]
    program.main += ["    (void)host;", *writer.write()]
    refuse_python(program)
    may_overwrite = writer.donations(donated)
    interface = interface_of(named, name, tape, given, order, donated, may_overwrite)
    interface.conditions = {code: said(condition, size, tape) for code, condition, size in program.stops()}
    interface.place_spares(writer.plan.size)
    return whole_text(program, interface, header_file), interface


def lowered(tape: Tape, order: Sequence[int], known: dict[int, Any]) -> Block:
    """The block of a tape with some outputs, some of whose inputs are known."""
    builder = Builder()
    inputs = [Given(x.output.shape, x.output.dtype) for x in tape.inputs]
    operands = [builder.constant(np.asarray(known[i], x.dtype)) if i in known else read_of(x) for i, x in enumerate(inputs)]
    outputs = builder.run(tape, operands)
    nodes = [builder.whole(y).node for y in outputs]
    return Block([x for i, x in enumerate(inputs) if i not in known], [nodes[k] for k in order], builder.conditions)


def refuse_python(program: Program) -> None:
    """**Raises** `CompileError` where a program calls back into Python, for each row and place that does."""
    calls = dict.fromkeys(f"{code.name} at {call.location or 'an unknown line'}" for code, call in program.host_calls)
    if calls:
        raise CompileError(
            f"[export] these operations have no text in C and run in Python: {'; '.join(calls)}; "
            "write them with others, or compute them outside and pass their results"
        )


def said(condition: Any, size: int, tape: Tape) -> str:
    """What it means that a condition, of so many truths, does not hold."""
    if condition.error is not None:
        error = condition.error(0)
        return f"{f'or one of the next {size - 1}: ' if size > 1 else ''}{type(error).__name__}: {error}"
    _, truth, place = tape.guards[condition.guard]
    return f"the branch at {place_of(place)}, where the condition was {truth} when the program was made, went the other way"


def interface_of(
    named: Named, name: str, tape: Tape, given: list[int], order: list[int], donated: dict[int, int], free: dict[int, int]
) -> Interface:
    """The public names of inputs and outputs; the new value of an input has that input's name."""
    inputs = identifiers([tape.names[i] for i in given])
    names: dict[int, str] = {at: inputs[i] for i, at in donated.items()}
    rest = [at for at in range(len(order)) if at not in names]
    names.update(zip(rest, identifiers([named.results[order[at]] for at in rest], inputs), strict=True))
    state = {at: i for i, at in donated.items()}
    nodes = [tape.inputs[i].output for i in given]
    values = [y.value if y.__class__ is Tensor else np.asarray(y) for y in (tape.outputs[k] for k in order)]
    return Interface(
        name,
        named.function,
        [Argument(inputs[k], nodes[k], tape.names[i]) for k, i in enumerate(given)],
        [
            Argument(names[at], values[at], named.results[order[at]], state.get(at), at in free.values())
            for at in range(len(order))
        ],
    )


# --- the text ---------------------------------------------------------------------------------------------------------

CONTRACT = """
/* Products and sums are rounded one by one: gcc heeds -std=c99 or -ffp-contract=off, others this. */
#if !defined(__GNUC__) || defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
"""

THREADS = """
#ifdef _OPENMP
#include <omp.h>

/* The parts of a loop nest, or of a product: they do not depend on each other, nor on the number of threads. */
static void parallel_for(void (*body)(void *context, int64_t part), void *context, int64_t parts)
{
#pragma omp parallel for schedule(dynamic)
    for (int64_t part = 0; part < parts; ++part)
        body(context, part);
}

#define {threads} .threads = omp_get_max_threads(), .parallel_for = parallel_for
#else
#define {threads} .threads = 1
#endif
"""

BY_BLAS = """\
#ifdef {use_cblas}
#define multiply_{suffix} multiply_alone_{suffix}
#endif
{multiply}
#ifdef {use_cblas}
#undef multiply_{suffix}
#define OWN(function) function##_alone_{suffix}
#define BLAS(function) cblas_{letter}##function
{by_blas}
#undef OWN
#undef BLAS
#endif
"""


def with_blas(text: str, interface: Interface) -> str:
    """A text in which products are those of a BLAS if one is asked for."""
    own = whole("multiply.h")
    parts = text.split(own)
    found = [parts[0]]
    for before, after in itertools.pairwise(parts):
        is_short = before.rindex("#define T float") > before.rfind("#define T double") if "#define T float" in before else False
        words = {"suffix": "f32", "letter": "s"} if is_short else {"suffix": "f64", "letter": "d"}
        words |= {"use_cblas": interface.macro("use_cblas"), "multiply": own, "by_blas": ctext("multiply_by_blas.h")}
        found += [filled(BY_BLAS, **words), after]
    return "".join(found)


def whole_text(program: Program, interface: Interface, header_file: str) -> str:
    """The file: what it needs, its functions, its data, and the public function."""
    text = "\n".join([*program.functions, *program.main])
    head = [
        interface.comment(of_source=True),
        f'#include "{header_file}"\n',
        PREAMBLE,
        CONTRACT,
        ctext("vector_math.h"),
        ctext("host.h"),
        filled(THREADS, threads=interface.macro("threads")),
        *([RUN] if "run_parts(" in text else []),
        *([f"#ifdef {interface.macro('use_cblas')}\n#include <cblas.h>\n#endif\n"] if program.products else []),
    ]
    data, pointers = [], []
    for node, number in program.constants.items():
        definition, pointer = declared(f"constant_{number}", node.array)
        data.append(definition)
        pointers.append(pointer)
    written = program.text("\n".join(head), f"static int {interface.name}_program({ARGUMENTS})")
    return "\n".join([with_blas(written, interface), *data, interface.function(pointers)])

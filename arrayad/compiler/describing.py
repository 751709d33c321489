"""What is said of a specialisation's program: its text with a head that names what goes in and out, its report."""

from __future__ import annotations

import textwrap
from typing import Any

from arrayad.compiler import report
from arrayad.compiler.any_size import AnySize
from arrayad.compiler.executable import Executable
from arrayad.compiler.replaying import Broken
from arrayad.compiler.report import Report, seconds_of
from arrayad.compiler.specialising import Specialisation
from arrayad.compiler.text import comment
from arrayad.compiler.toolchain import why_no_toolchain
from arrayad.errors import CompileError, describe
from arrayad.tracing import aval_of

WIDTH = 120


def program_of(name: str, made: Specialisation) -> Executable:
    """The compiled program.

    **Raises** `CompileError` where there is none.
    """
    if isinstance(made.execute, Executable):
        return made.execute
    if isinstance(made.execute, AnySize):
        return made.execute.first
    if made.thread is not None and made.thread.is_alive():
        raise CompileError(f"[compile] {name} is being compiled in the background; call .wait() first")
    why = why_no_toolchain() or "it has values of a dtype that C does not have"
    raise CompileError(f"[compile] {name} is replayed by the prebuilt kernels, there is no program in C: {why}")


def source_of(name: str, made: Specialisation) -> str:
    """The C text of the program behind a comment that says what it computes, and what its buffers are."""
    program = program_of(name, made)
    tape, results = made.tape, made.ends.results
    changed = {k: tape.names[i] for i, k in made.ends.updates}
    lines = [f"{name}: {len(tape.inputs)} inputs, {len(tape.outputs)} outputs, an arena of {program.arena_size:,} bytes", ""]
    lines += [f"g{k} = {each}: {describe(x.output)}" for k, (each, x) in enumerate(zip(tape.names, tape.inputs, strict=True))]
    for k, (each, y) in enumerate(zip(results, tape.outputs, strict=True)):
        what = f"the new value of {changed[k]}" if k in changed else each
        lines.append(f"r{k} = {what}: {describe(aval_of(y))}")
    guards = [f"{place} is {truth}" for _, truth, place in tape.guards]
    if guards:
        lines += ["", *textwrap.wrap(f"For calls where the branch at {'; at '.join(guards)}.", WIDTH)]
    head = "".join(f" * {comment(line)}".rstrip() + "\n" for line in lines)
    return f"/*\n{head} */\n{program.source}"


def report_of(name: str, made: Specialisation) -> Report:
    """The report of the program, with times if these have been measured."""
    program = program_of(name, made)
    times = None if made.timed is None else seconds_of(made.timed[0].times, made.timed[1])
    constants = sum(x.nbytes for x in program.constants[1:])
    return report.report_of(name, made.tape, program.tape, program.lines, program.arena_size, constants, times)


def measured(name: str, made: Specialisation, values: list[Any], repeat: int) -> bool:
    """Run the program on these inputs with clocks in it; False where a guard says that it is not for these values."""
    program_of(name, made)
    timed = made.timed[0] if made.timed is not None else Executable(made.tape, is_timed=True)
    try:
        timed(values)
    except Broken:
        return False
    timed.times[...] = 0
    for _ in range(repeat):
        timed(values)
    made.timed = timed, repeat
    return True

"""Write a block as a C program: kernels as functions, and one function that runs them in order.

`int arrayad_program(const struct arrayad_host *host, void *const *buffers)`: the buffers are inputs, constants, outputs, and
the arena.  It returns 0; 1 + the number of the first condition that does not hold; or -1 where a callback has failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from arrayad.compiler.calls import HostCall
from arrayad.compiler.fuse import Item, Kernel, is_outside, schedule
from arrayad.compiler.grouping import Group, groups
from arrayad.compiler.ir import Call, Constant, Map, Node, Part, Read, Reduce, Uniform
from arrayad.compiler.kernel_mode import write_kernel
from arrayad.compiler.kernel_text import Text, combined
from arrayad.compiler.lower import Block, Condition
from arrayad.compiler.outline import Line, about, line_of
from arrayad.compiler.pasting import pasted
from arrayad.compiler.plan import Plan
from arrayad.compiler.preamble import CLOCK, HOST, PREAMBLE, TIMES, scalar_functions
from arrayad.compiler.row_text import loops_of
from arrayad.compiler.text import c_type, index_text, literal, value_type
from arrayad.compiler.views import View, whole

PARALLEL = 40_000.0
"""Nanoseconds of work from which a kernel is worth a second thread."""

PART = 10_000.0
"""Nanoseconds of work of one part."""

MOST_PARTS = 64

TABLE_MARK = "    /* numbers of this size */\n"
"""Where, in programs for several sizes, a function may take numbers from the table (see `arrayad.compiler.dynamic`)."""

TABLE = "    const int64_t *table = (const int64_t *)constants[0] + 1;\n    (void)table;\n" + TABLE_MARK

WEIGHTS = {"M(": 2.0, "NAME(": 3.0}


def weight(node: Node) -> float:
    """Nanoseconds for one element, about."""
    if isinstance(node, Map):
        return 0.15 + sum(cost * node.text.count(mark) for mark, cost in WEIGHTS.items()) * 0.6
    return 0.3


class Function:
    """A block as a C function: its name, and the bytes of its arena."""

    def __init__(self, name: str, size: int, can_fail: bool) -> None:
        self.name, self.size, self.can_fail = name, size, can_fail


class Program:
    """The text of a program and what is needed to run it."""

    def __init__(self, dynamic: bool = False) -> None:
        self.dynamic = dynamic
        self.functions: list[str] = []
        self.by_text: dict[str, str] = {}
        self.bodies: dict[int, Function] = {}
        self.pasted: set[tuple[str, str]] = set()
        self.constants: dict[Constant, int] = {}
        self.host_calls: list[tuple[HostCall, Call]] = []
        self.conditions: list[tuple[Condition, int]] = []
        """For each code, from 1 on, the condition that has stopped the program, and the place of the truth."""
        self.blocks: list[Block] = []
        self.lines: list[Line] = []
        self.donations: dict[int, int] = {}
        self.main: list[str] = []
        self.is_timed = False
        self.is_alone = False
        """Whether it is without a host that lends it products of matrices."""

    def table_of(self, place: int, context: str = "b") -> list[str]:
        """The lines by which a kernel takes the table, where there is one, from this place of its context."""
        found = [f"    const int64_t *table = {context}[{place}];", "    (void)table;", TABLE_MARK[:-1]]
        return found if self.dynamic else []

    def stops(self) -> list[tuple[int, Condition, int]]:
        """The first code of each condition, and the number of its truths."""
        return [(code, each, each.read.view.size) for code, (each, place) in enumerate(self.conditions, 1) if place == 0]

    @property
    def products(self) -> set[str]:
        """The dtypes, by suffix, in which it multiplies matrices."""
        return {suffix for name, suffix in self.pasted if name.startswith("matmul")}

    def function(self, name: str, lines: Sequence[str], about: str = "") -> str:
        """A kernel's function, with what it is about in a comment; the one that is there if its text is the same."""
        text = "\n".join(lines)
        if text not in self.by_text:
            self.by_text[text] = f"{name}_{len(self.by_text)}"
            head = f"/* {about} */\n" if about else ""
            self.functions.append(f"{head}static void {self.by_text[text]}(void *context, int64_t part)\n{{\n{text}\n}}\n")
        return self.by_text[text]

    def text(self, head: str, signature: str) -> str:
        """The whole text: what it takes from elsewhere, the functions that it needs, and the program under this signature."""
        functions = "\n".join(self.functions)
        needed = [pasted(self.pasted, by_host=not self.is_alone), scalar_functions(functions)]
        main = [signature, "{", *self.main, "    return 0;", "}", ""]
        return "\n".join([head, *filter(None, needed), functions, "\n".join(main)])


class Writer:
    """Writes the function of one block."""

    def __init__(self, program: Program, block: Block, function: str = "") -> None:
        self.program, self.block, self.function = program, block, function
        self.lines: list[str] = []
        self.depth = 1
        kept = [condition.read.node for condition in block.conditions]
        self.items = schedule([*block.outputs, *kept])
        checked = self.check_places()
        self.groups = [] if program.is_timed or program.dynamic else groups(self.items, checked)
        self.steps = [(i, i) for i in range(len(self.items))]
        for group in self.groups:
            self.steps[group.start : group.stop] = [(group.start, group.stop - 1)] * (group.stop - group.start)
        self.parts_of_group = {i: group.parts for group in self.groups for i in range(group.start, group.stop)}
        scratch = [item.code.scratch(self, item) if isinstance(item, Call) else 0 for item in self.items]
        self.folds: dict[int, list[tuple[Node, int, int]]] = {}
        self.plan = Plan(
            self.items,
            block.outputs,
            kept,
            [s + self.fold_bytes(i, item) for i, (s, item) in enumerate(zip(scratch, self.items, strict=True))],
            self.steps,
        )
        self.names: dict[Node, str] = {}

    # --- lines ----------------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def open(self, text: str) -> None:
        self.line(f"{text} {{" if text else "{")
        self.depth += 1

    def close(self) -> None:
        self.depth -= 1
        self.line("}")

    # --- arrays ---------------------------------------------------------------------------------------------------

    def name(self, node: Node) -> str:
        """The pointer to a node's first element."""
        if isinstance(node, Constant) and node not in self.names:
            number = self.program.constants.setdefault(node, len(self.program.constants) + 1)
            self.names[node] = f"((const {c_type(node.dtype)} *)constants[{number}])"
        return self.names[node]

    def pointer(self, read: Read, offset: bool = True) -> str:
        start = read.view.offset
        return f"{self.name(read.node)} + {start}" if offset and start else self.name(read.node)

    def result(self, part: Part) -> str:
        return self.name(part)

    def scratch(self, call: Call) -> str:
        return f"arena + {self.plan.scratch.get(self.items.index(call), 0)}"

    def paste(self, name: str, suffix: str) -> None:
        """Have a shared text in the program."""
        self.program.pasted.add((name, suffix))

    def copy(self, target: str, to: View, source: str, view: View) -> None:
        """Copy elements between two views of one shape."""
        for axis, n in enumerate(view.shape):
            self.open(f"for (int64_t j{axis} = 0; j{axis} < {n}; ++j{axis})")
        places = [index_text(x.offset, [(s, f"j{a}") for a, s in enumerate(x.strides)]) for x in (to, view)]
        self.line(f"({target})[{places[0]}] = ({source})[{places[1]}];")
        for _ in view.shape:
            self.close()

    def host_call(self, code: HostCall, call: Call) -> int:
        self.program.host_calls.append((code, call))
        return len(self.program.host_calls) - 1

    def body(self, block: Block) -> Function:
        """The function of a block within this one."""
        found = self.program.bodies.get(id(block))
        if found is None:
            self.program.blocks.append(block)
            number = len(self.program.bodies)
            writer = Writer(self.program, block, f"body_{number}")
            can_fail = bool(block.conditions) or any(isinstance(x, Call) and x.code.can_fail(self) for x in writer.items)
            found = Function(f"body_{number}", writer.plan.size, can_fail)
            self.program.bodies[id(block)] = found
            text = "\n".join(writer.write())
            self.program.functions.append(
                f"static int {found.name}(const struct arrayad_host *host, void *const *constants, void *const *buffers)\n"
                f"{{\n    (void)host;\n    (void)constants;\n{TABLE if self.program.dynamic else ''}{text}\n    return 0;\n}}\n"
            )
        return found

    def invoke(self, function: Function, given: Sequence[str], made: Sequence[str], arena: str) -> None:
        """Call the function of a block."""
        pointers = ", ".join(f"(void *)({p})" for p in (*given, *made, arena))
        self.open("")
        self.line(f"void *s[] = {{{pointers}}};")
        self.line(f"const int code = {function.name}(host, constants, s);")
        self.line("if (code) return code;")
        self.close()

    # --- the function ---------------------------------------------------------------------------------------------

    def fold_bytes(self, i: int, item: Item) -> int:
        """The bytes where the parts of a kernel's folds over its rows meet."""
        if not isinstance(item, Kernel):
            return 0
        parts = self.parts(item)
        found, place = [], 0
        for node in item.members:
            if item.folds_rows(node, item.rows):
                found.append((node, place, node.size))
                place += -(-node.nbytes * parts // 64) * 64
        self.folds[i] = found
        return place

    def parts(self, kernel: Kernel) -> int:
        """How many parts a kernel's rows are cut into, whatever the number of threads."""
        work = sum(math.prod(node.space) * weight(node) for node in kernel.members)
        if work < PARALLEL or kernel.rows < 2:
            return 1
        kept = sum(node.nbytes for node in kernel.members if kernel.folds_rows(node, kernel.rows))
        most = MOST_PARTS if kept < 1 << 14 else 8
        return int(max(2, min(most, work // PART, kernel.rows)))

    def write(self) -> list[str]:
        self.place_outside()
        checks = self.check_places()
        self.check(checks.get(-1, ()))
        starts = {group.start: group for group in self.groups}
        for i, item in enumerate(self.items):
            if i in starts:
                self.group(starts[i])
                self.check(checks.get(starts[i].stop - 1, ()))
            if i in self.parts_of_group:
                continue
            line = line_of(self, item)
            self.line(f"/* {about(line)} */")
            self.start_clock(i)
            if isinstance(item, Call):
                item.code.write(self, item)
            else:
                line.function = self.kernel(i, item, about(line))
            self.stop_clock(i, line)
            self.check(checks.get(i, ()))
        self.copy_outputs()
        return self.lines

    def place_outside(self) -> None:
        """Declare the pointers."""
        count = 0
        for given in self.block.inputs:
            self.names.setdefault(given, f"g{count}")
            self.line(f"const {c_type(given.dtype)} *g{count} = buffers[{count}];")
            count += 1
        self.copies: list[tuple[int, Node, str]] = []
        for number, node in enumerate(self.block.outputs):
            name = f"r{number}"
            self.line(f"{c_type(node.dtype)} *{name} = buffers[{count}];")
            if is_outside(node) or node in self.names:
                self.copies.append((number, node, name))
            else:
                self.names[node] = name
            count += 1
        self.line(f"char *arena = buffers[{count}];")
        self.line("(void)arena;")
        for node, offset in self.plan.offsets.items():
            self.names[node] = f"t{len(self.names)}"
            self.line(f"{c_type(node.dtype)} *{self.names[node]} = (void *)(arena + {offset});")

    def copy_outputs(self) -> None:
        """Outputs that are inputs, constants or other outputs."""
        for _, node, name in self.copies:
            if isinstance(node, Uniform):
                self.line(f"*{name} = {literal(node.value, node.dtype)};")
            else:
                self.line(f"memcpy({name}, {self.name(node)}, {node.nbytes});")

    def start_clock(self, i: int) -> None:
        if self.program.is_timed:
            self.line(f"const int64_t start{i} = nanoseconds();")

    def stop_clock(self, i: int, line: Line) -> None:
        """Add the item to the program's lines; where these are timed, behind the program's number are time and count of each."""
        if self.program.is_timed:
            self.line(f"add_time(constants, {len(self.program.lines)}, start{i});")
        self.program.lines.append(line)

    def group(self, group: Group) -> None:
        """Write the items of a group, and the call that runs them part by part."""
        self.open("")
        functions, work = [], 0.0
        for k, item in enumerate(self.items[group.start : group.stop]):
            line = line_of(self, item)
            self.line(f"/* {about(line)} */")
            if isinstance(item, Kernel):
                text = write_kernel(item, self.plan.in_memory, group.parts)
                line.function = self.program.function("kernel", [*self.declarations(text), *text.lines], about(line))
                pointers = [self.name(buffer.node) for buffer in text.buffers]
                work += sum(math.prod(node.space) * weight(node) for node in item.members)
            else:
                line.function = item.code.stack(self, item, group.parts)
                pointers = [*map(self.pointer, item.operands), *map(self.result, item.parts)]
                work += item.parts[0].size * item.operands[0].view.shape[-1] / 30
            functions.append(line.function)
            self.line(f"void *b{k}[] = {{{', '.join(f'(void *)({p})' for p in pointers)}}};")
            self.program.lines.append(line)
        lines = ["    void *const *g = context;", *(f"    {name}(g[{k}], part);" for k, name in enumerate(functions))]
        function = self.program.function("group", lines)
        self.line(f"void *g[] = {{{', '.join(f'b{k}' for k in range(len(functions)))}}};")
        if work > PARALLEL:
            self.line(f"run_parts(host, {function}, g, {group.parts});")
        else:
            self.line(f"for (int64_t part = 0; part < {group.parts}; ++part) {function}(g, part);")
        self.close()

    def kernel(self, i: int, kernel: Kernel, about: str) -> str:
        """Write a kernel and its call; the name of its function."""
        parts = self.parts(kernel)
        text = write_kernel(kernel, self.plan.in_memory, parts)
        function = self.program.function("kernel", [*self.declarations(text), *text.lines], about)
        base = self.plan.scratch.get(i, 0)
        folds = {node: place for node, place, _ in self.folds.get(i, [])}
        pointers = [
            f"(void *)(arena + {base + folds[buffer.node]})" if buffer.parts else f"(void *)({self.name(buffer.node)})"
            for buffer in text.buffers
        ]
        if self.program.dynamic:
            pointers.append("(void *)table")
        self.open("")
        self.line(f"void *b[] = {{{', '.join(pointers)}}};")
        if text.parts > 1 or self.program.dynamic:
            self.line(f"run_parts(host, {function}, b, {text.parts});")
        else:
            self.line(f"{function}(b, 0);")
        for node, width in text.folds:
            self.meet(node, width, text.parts, f"arena + {base + folds[node]}")
        self.close()
        return function

    def meet(self, node: Node, width: int, parts: int, where: str) -> None:
        """Fold what the parts have found."""
        assert isinstance(node, Reduce)
        kind = c_type(node.dtype)
        out = self.name(node) if node in self.plan.in_memory else None
        if out is None:
            return
        self.open("")
        self.line(f"const {kind} *f = (const void *)({where});")
        self.open(f"for (int64_t k = 0; k < {width}; ++k)")
        self.line(f"{value_type(node.dtype)} total = f[k];")
        if parts > 1 or self.program.dynamic:
            self.line(
                f"for (int64_t part = 1; part < {parts}; ++part) total = {combined(node, 'total', f'f[part * {width} + k]')};"
            )
        self.line(f"{out}[k] = total;")
        self.close()
        self.close()

    def declarations(self, text: Text) -> list[str]:
        lines = ["    void *const *b = context;", "    (void)b;", "    (void)part;"]
        lines += self.program.table_of(len(text.buffers))
        for k, buffer in enumerate(text.buffers):
            lines.append(f"    {c_type(buffer.node.dtype)} *b{k} = b[{k}];")
        return lines

    # --- conditions -----------------------------------------------------------------------------------------------

    def check_places(self) -> dict[int, list[int]]:
        """After which item each condition is known."""
        maker: dict[Node, int] = {}
        for i, item in enumerate(self.items):
            for node in item.members if isinstance(item, Kernel) else item.parts:
                maker[node] = i
        found: dict[int, list[int]] = {}
        for number, condition in enumerate(self.block.conditions):
            found.setdefault(maker.get(condition.read.node, -1), []).append(number)
        return found

    def check(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            condition = self.block.conditions[number]
            node, sign = condition.read.node, "!" if condition.truth else ""
            code = self.code_of(condition)
            if isinstance(node, Uniform):
                self.line(f"if ({sign}{1 if node.value else 0}) return {code};")
            elif node.size == 1:
                self.line(f"if ({sign}(*{self.name(node)})) return {code};")
            else:
                self.line(f"for (int k = 0; k < {node.size}; ++k) if ({sign}{self.name(node)}[k]) return {code} + k;")

    def code_of(self, condition: Condition) -> int:
        """What the program returns where a condition's first truth does not hold; the codes of the others follow."""
        code = len(self.program.conditions) + 1
        self.program.conditions += [(condition, place) for place in range(condition.read.view.size)]
        return code

    # --- donated inputs -------------------------------------------------------------------------------------------

    def donations(self, wanted: Mapping[int, int]) -> dict[int, int]:
        """The inputs that an output may overwrite: nothing reads them later, and nothing can fail from there on."""
        last_failure = -1
        for i, item in enumerate(self.items):
            if isinstance(item, Call) and item.code.can_fail(self):
                last_failure = i
        last_failure = max([last_failure, *self.check_places()])
        return {i: o for i, o in wanted.items() if self.can_donate(self.block.inputs[i], self.block.outputs[o], last_failure)}

    def can_donate(self, given: Node, made: Node, last_failure: int) -> bool:
        """Whether a node may be written where a given one lies."""
        maker = next((i for i, item in enumerate(self.items) if isinstance(item, Kernel) and made in item.inside), -1)
        if maker <= last_failure or self.block.outputs.count(made) != 1 or (given.shape, given.dtype) != (made.shape, made.dtype):
            return False
        if given in self.block.outputs or isinstance(made, Reduce):
            return False
        for i, item in enumerate(self.items):
            readers = item.members if isinstance(item, Kernel) else [item]
            for reader in readers:
                if any(x.node is given for x in reader.reads()):
                    if (
                        i > maker
                        or (i != maker and self.steps[i] == self.steps[maker])
                        or (isinstance(item, Kernel) and i == maker and not reads_before(item, reader, given, made))
                    ):
                        return False
        return True


def reads_before(kernel: Kernel, reader: Node, given: Node, made: Node) -> bool:
    """Whether a member of a kernel reads each element of a given node before another member, or itself, is stored there."""
    if isinstance(reader, Reduce) or reader.space != made.space:
        return False
    if any(x.view != whole(reader.space) for x in reader.reads() if x.node is given):
        return False
    loop = loops_of(kernel)
    return loop[reader] <= loop[made] and kernel.members.index(reader) <= kernel.members.index(made)


def emit(
    block: Block, donated: Mapping[int, int] | None = None, dynamic: bool = False, *, is_timed: bool = False
) -> tuple[str, Program, int]:
    """The C text of a block, what belongs to it, and the bytes of its arena; `dynamic`: it may take numbers from a table."""
    program = Program(dynamic)
    program.is_timed = is_timed
    writer = Writer(program, block)
    lines = writer.write()
    program.donations = writer.donations(donated or {})
    first = len(block.inputs) + len(block.outputs) + 1
    program.main = [
        f"    void *const *constants = buffers + {first};",
        "    (void)constants;",
        "    (void)host;",
        *(f"    multiply_{suffix} = host->multiply_{suffix};" for suffix in sorted(program.products)),
        *([TABLE[:-1]] if dynamic else []),
        *lines,
    ]
    head = [*([CLOCK] if is_timed else []), PREAMBLE, HOST, *([TIMES] if is_timed else [])]
    return program.text("\n".join(head), f"int arrayad_program({ARGUMENTS})"), program, writer.plan.size


ARGUMENTS = "const struct arrayad_host *host, void *const *buffers"
"""The parameters of a program."""

"""Operations that are no loops of elements: products of matrices, scans along an axis, loops and branches, rows' own kernels.

A code writes the C statements of a call.  `writer` is the program's (`arrayad.compiler.emit`): `pointer` gives the address of
what an operand's view begins with, `result` that of a result, `paste` adds a text of emitted/, `body` writes a block as a
function of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from arrayad.compiler.ir import Call, Part, Read
from arrayad.compiler.text import SUFFIX, c_type, index_text
from arrayad.compiler.views import View, contiguous


class Code:
    """What a call does.  `name` is for people to read."""

    name = ""

    def scratch(self, writer: Any, call: Call) -> int:
        """The bytes of the arena that a call needs while it runs."""
        return 0

    def can_fail(self, writer: Any) -> bool:
        """Whether the program may stop within."""
        return False

    def write(self, writer: Any, call: Call) -> None:
        raise TypeError(f"[compile] {type(self).__name__} writes nothing")  # every code defines it


class HostCall(Code):
    """A row's own kernel, called back from C: `numbers` are the operands that are Python's."""

    def __init__(self, primitive: Any, params: Any, numbers: dict[int, Any], bundle: bool) -> None:
        self.name = primitive.name
        self.primitive, self.params, self.numbers, self.bundle = primitive, params, numbers, bundle

    def can_fail(self, writer: Any) -> bool:
        return True

    def write(self, writer: Any, call: Call) -> None:
        number = writer.host_call(self, call)
        pointers = [*(writer.pointer(x) for x in call.operands), *map(writer.result, call.parts)]
        writer.open("")
        writer.line(f"void *p[] = {{{', '.join(f'(void *)({p})' for p in pointers) or '0'}}};")
        writer.line(f"if (host->python(*(const int64_t *)constants[0], {number}, p)) return -1;")
        writer.close()


class Product(Code):
    """Products of stacks of matrices, of any strides: one on all threads, or the threads share the stack."""

    name = "matrix_product"

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.suffix = SUFFIX[dtype.name]

    def buffers(self, call: Call) -> int:
        """How many buffers a product is given: some where it is too large to be read as it lies, and not one of a stack."""
        a, _ = call.operands
        *lead, m, k = a.view.shape
        is_large = m * min(k, DEPTH) * self.dtype.itemsize > READ_AS_IT_LIES
        return MOST_BUFFERS if is_large and math.prod(lead) == 1 else 0

    def scratch(self, writer: Any, call: Call) -> int:
        return self.buffers(call) * BUFFER * self.dtype.itemsize

    def write(self, writer: Any, call: Call) -> None:
        a, b = call.operands
        (out,) = call.parts
        writer.paste("matmul_threads", self.suffix)
        *lead, m, k = a.view.shape
        n = b.view.shape[-1]
        pointers = [writer.pointer(a), writer.pointer(b), writer.result(out)]
        if math.prod(lead) > 1:
            self.write_stack(writer, call, pointers)
            return
        count = self.buffers(call)
        buffer = f"({c_type(self.dtype)} *)({writer.scratch(call)})" if count else "0"
        writer.line(
            f"matmul_threads_{self.suffix}(host, {m}, {n}, {k}, {steps(pointers[0], a.view)}, {steps(pointers[1], b.view)}, "
            f"{pointers[2]}, {n}, 1, 0, {buffer}, {count}, 0, 0, 0);"
        )

    def write_stack(self, writer: Any, call: Call, pointers: list[str]) -> None:
        """Have the threads share a stack of products."""
        *lead, m, k = call.operands[0].view.shape
        size = math.prod(lead)
        work = 2.0 * size * m * call.operands[1].view.shape[-1] * k
        parts = min(size, MOST_PARTS) if work > STACK_ON_THREADS else 1
        function, dynamic = self.stack(writer, call, parts), writer.program.dynamic
        pointers = [*pointers, "table"] if dynamic else pointers
        writer.open("")
        writer.line(f"void *b[] = {{{', '.join(f'(void *)({p})' for p in pointers)}}};")
        writer.line(f"run_parts(host, {function}, b, {parts});" if parts > 1 or dynamic else f"{function}(b, 0);")
        writer.close()

    def stack(self, writer: Any, call: Call, parts: int) -> str:
        """The function of a part of a stack of products, given the addresses of the factors and of the result."""
        writer.paste("matmul_threads", self.suffix)
        a, b = call.operands
        *lead, m, k = a.view.shape
        n = b.view.shape[-1]
        size = math.prod(lead)
        chunk = -(-size // parts)
        kind = c_type(self.dtype)
        views = [a.view, b.view, View((*lead, m, n), 0, contiguous((*lead, m, n)))]
        places, first = [], []
        step = size
        for axis, length in enumerate(lead):
            step //= length
            first.append(
                f"        const int64_t i{axis} = {'at' if step == 1 else f'at / {step}'}{f' % {length}' if axis else ''};"
            )
        for k_, view in enumerate(views):
            terms = [(s, f"i{axis}") for axis, s in enumerate(view.strides[: len(lead)])]
            places.append(f"b{k_} + {index_text(0, terms)}")
        lines = [
            "    void *const *b = context;",
            *writer.program.table_of(3),
            *(f"    {kind} *b{k_} = b[{k_}];" for k_ in range(3)),
            f"    for (int64_t at = part * {chunk}; at < {size} && at < (part + 1) * {chunk}; ++at) {{",
            *first,
            *(f"        (void)i{axis};" for axis in range(len(lead))),
            f"        matmul_{self.suffix}({m}, {n}, {k}, {steps(places[0], a.view)}, {steps(places[1], b.view)}, "
            f"{places[2]}, {n}, 1, 0, 0);",
            "    }",
        ]
        return writer.program.function("products", lines)


DEPTH, BUFFER = 256, 256 * (96 + 1024)
"""Of product.h: the length of a block of sums, and the elements of a buffer."""

READ_AS_IT_LIES = 262144
"""Bytes of a factor up to which a product needs no buffer."""

MOST_BUFFERS = 8
"""How many threads compute one product at most."""

STACK_ON_THREADS = 500_000.0
"""The operations of a stack of products from which on threads share it."""

MOST_PARTS = 64


def steps(pointer: str, view: View) -> str:
    """A matrix as the products take it: where it begins, its step from row to row and from column to column."""
    return f"{pointer}, {view.strides[-2]}, {view.strides[-1]}"


def begin(writer: Any, out: Part, base: Sequence[Read]) -> None:
    """Fill a result with a base, or with zeros where there is none."""
    if base:
        writer.line(f"memcpy({writer.result(out)}, {writer.pointer(base[0])}, {out.nbytes});")
    else:
        writer.line(f"memset({writer.result(out)}, 0, {out.nbytes});")


class Overwrite(Code):
    """An array, the second operand or zeros, of which a strided part is overwritten."""

    name = "overwrite"

    def __init__(self, target: View) -> None:
        self.target = target

    def write(self, writer: Any, call: Call) -> None:
        value, *base = call.operands
        (out,) = call.parts
        begin(writer, out, base)
        writer.copy(writer.result(out), self.target, writer.pointer(value, offset=False), value.view)


class Assemble(Code):
    """An array put together from pieces, each with a place of its own."""

    name = "assemble"

    def __init__(self, targets: list[View]) -> None:
        self.targets = targets

    def write(self, writer: Any, call: Call) -> None:
        (out,) = call.parts
        for target, read in zip(self.targets, call.operands, strict=True):
            writer.copy(writer.result(out), target, writer.pointer(read, offset=False), read.view)


class Scatter(Code):
    """Elements written into a base, its last operand, or added up in zeros, where index arrays say.

    `target` is a view of the elements' space, moved by each array times a stride; the arrays wrap once at a length.
    """

    def __init__(self, name: str, target: View, moves: list[tuple[int, int]]) -> None:
        self.name, self.target, self.moves = name, target, moves

    def write(self, writer: Any, call: Call) -> None:
        value, *rest = call.operands
        indices, base = rest[: len(self.moves)], rest[len(self.moves) :]
        (out,) = call.parts
        begin(writer, out, base)
        shape = self.target.shape
        last = max((a for index in indices for a, s in enumerate(index.view.strides) if s), default=-1)
        writer.open("")
        for axis in range(len(shape) + 1):
            if axis == last + 1:
                writer.line(f"{c_type(out.dtype)} *to = {writer.result(out)} + {self.place(writer, indices)};")
            if axis < len(shape):
                if axis == len(shape) - 1 and axis > last and self.target.strides[axis]:
                    writer.lines.append("SIMD()")
                writer.open(f"for (int64_t j{axis} = 0; j{axis} < {shape[axis]}; ++j{axis})")
        sign = "=" if base else "|=" if out.dtype.kind == "b" else "+="
        source = f"({writer.pointer(value, offset=False)})[{at(value.view)}]"
        writer.line(f"to[{at(self.target)}] {sign} {source};")
        for _ in range(len(shape) + 1):
            writer.close()

    def place(self, writer: Any, indices: Sequence[Read]) -> str:
        """How far the arrays move what is written."""
        terms = []
        for index, (length, stride) in zip(indices, self.moves, strict=True):
            k = f"(int64_t)({writer.pointer(index, offset=False)})[{at(index.view)}]"
            wrapped = f"({k} < 0 ? {k} + {length} : {k})" if index.node.dtype.kind == "i" else k
            terms.append(f"{stride} * {wrapped}")
        return " + ".join(terms)


def at(view: View) -> str:
    """The place of an element of a space, whose index is j0, j1, …"""
    return index_text(view.offset, [(s, f"j{axis}") for axis, s in enumerate(view.strides)])


class Scan(Code):
    """A loop of known length over a block."""

    name = "scan"

    def __init__(self, block: Any, captures: int, carries: int, length: int, reverse: bool, keep: Sequence[int]) -> None:
        self.block, self.captures, self.carries = block, captures, carries
        self.length, self.reverse, self.keep = length, reverse, list(keep)

    def sizes(self) -> list[int]:
        """The bytes of one carry of each kind, as places in the arena."""
        return [-(-x.nbytes // 64) * 64 for x in self.block.outputs[: self.carries]]

    def can_fail(self, writer: Any) -> bool:
        return any(writer.body(block).can_fail for block in [self.block])

    def scratch(self, writer: Any, call: Call) -> int:
        return 2 * sum(self.sizes()) + writer.body(self.block).size

    def write(self, writer: Any, call: Call) -> None:
        body = writer.body(self.block)
        operands = [writer.pointer(x) for x in call.operands]
        results = [writer.result(x) for x in call.parts]
        fixed = operands[: self.captures]
        first = operands[self.captures : self.captures + self.carries]
        xs = list(zip(operands[self.captures + self.carries :], self.block.inputs[self.captures + self.carries :], strict=True))
        ys = list(zip(results[self.carries :], self.block.outputs[self.carries :], strict=False))
        kept = results[len(self.block.outputs) :]
        arena = writer.scratch(call)
        offsets, place = [], 0
        for size in self.sizes():
            offsets.append((place, place + size))
            place += 2 * size
        writer.open("")
        carries = self.block.outputs[: self.carries]
        if carries:
            writer.line(f"const void *now[] = {{{', '.join(first)}}};")
        whole = bool(kept) and self.keep == list(range(self.length))
        if kept and not whole:
            writer.line(f"static const int64_t keep[] = {{{', '.join(map(str, self.keep))}}};")
            writer.line("int64_t coming = 0;")
        writer.open(f"for (int64_t step = 0; step < {self.length}; ++step)")
        writer.line(f"const int64_t i = {f'{self.length - 1} - step' if self.reverse else 'step'};")
        writer.line("(void)i;")
        for c, node in enumerate(carries):
            where = f"(char *)({arena}) + (step % 2 ? {offsets[c][0]} : {offsets[c][1]})"
            if whole:
                sign = "-" if self.reverse else "+"
                writer.line(f"if (step == 0) memcpy((char *)({kept[c]}) + i * {node.nbytes}, now[{c}], {node.nbytes});")
                where = f"step + 1 < {self.length} ? (char *)({kept[c]}) + (i {sign} 1) * {node.nbytes} : (char *)({results[c]})"
            else:
                where = f"step + 1 < {self.length} ? {where} : (char *)({results[c]})"
            writer.line(f"void *next{c} = {where};")
        if kept and not whole:
            count = len(self.keep)
            writer.open(f"if (coming < {count} && step == keep[coming])")
            writer.line(f"const int64_t place = {f'{count - 1} - coming' if self.reverse else 'coming'};")
            for c, node in enumerate(carries):
                writer.line(f"memcpy((char *)({kept[c]}) + place * {node.nbytes}, now[{c}], {node.nbytes});")
            writer.line("++coming;")
            writer.close()
        given = [
            *fixed,
            *(f"now[{c}]" for c in range(self.carries)),
            *(f"(const char *)({x}) + i * {node.nbytes}" for x, node in xs),
        ]
        made = [
            *(f"next{c}" for c in range(self.carries)),
            *(f"(char *)({y}) + i * {node.nbytes}" for y, node in ys),
        ]
        writer.invoke(body, given, made, f"(char *)({arena}) + {place}")
        for c in range(self.carries):
            writer.line(f"now[{c}] = next{c};")
        writer.close()
        if not self.length:
            for c, node in enumerate(carries):
                writer.line(f"memcpy({results[c]}, now[{c}], {node.nbytes});")
        writer.close()


class While(Code):
    """A loop that goes on as long as a condition holds; its second to last result is the number of trips."""

    name = "while"

    def __init__(self, condition: Any, block: Any, captures: int) -> None:
        self.condition, self.block, self.captures = condition, block, captures

    def sizes(self) -> list[int]:
        return [-(-x.nbytes // 64) * 64 for x in self.block.outputs]

    def can_fail(self, writer: Any) -> bool:
        return any(writer.body(block).can_fail for block in [self.condition, self.block])

    def scratch(self, writer: Any, call: Call) -> int:
        return 64 + 2 * sum(self.sizes()) + max(writer.body(self.condition).size, writer.body(self.block).size)

    def write(self, writer: Any, call: Call) -> None:
        condition, body = writer.body(self.condition), writer.body(self.block)
        operands = [writer.pointer(x) for x in call.operands]
        results = [writer.result(x) for x in call.parts]
        fixed, first = operands[: self.captures], operands[self.captures :]
        arena = writer.scratch(call)
        writer.open("")
        writer.line(f"char *places = (char *)({arena}) + 64;")
        writer.line(f"const void *now[] = {{{', '.join(first)}}};")
        writer.line("int64_t trips = 0;")
        writer.open("for (;; ++trips)")
        rest = f"places + {2 * sum(self.sizes())}"
        now = [f"now[{c}]" for c in range(len(first))]
        writer.invoke(condition, [*fixed, *now], [arena], rest)
        writer.line(f"if (!*(uint8_t *)({arena})) break;")
        place = 0
        made = []
        for size in self.sizes():
            made.append(f"places + {place} + (trips % 2 ? {size} : 0)")
            place += 2 * size
        for c, where in enumerate(made):
            writer.line(f"void *next{c} = {where};")
        writer.invoke(body, [*fixed, *now], [f"next{c}" for c in range(len(first))], rest)
        for c in range(len(first)):
            writer.line(f"now[{c}] = next{c};")
        writer.close()
        for c, node in enumerate(self.block.outputs):
            writer.line(f"memcpy({results[c]}, now[{c}], {node.nbytes});")
        writer.line(f"*(int64_t *)({results[-1]}) = trips;")
        writer.close()


class Switch(Code):
    """The block that an index, in range, takes."""

    name = "switch"

    def __init__(self, blocks: list[Any]) -> None:
        self.blocks = blocks

    def can_fail(self, writer: Any) -> bool:
        return any(writer.body(block).can_fail for block in self.blocks)

    def scratch(self, writer: Any, call: Call) -> int:
        return max(writer.body(block).size for block in self.blocks)

    def write(self, writer: Any, call: Call) -> None:
        index, *operands = (writer.pointer(x) for x in call.operands)
        results = [writer.result(x) for x in call.parts]
        arena = writer.scratch(call)
        for number, block in enumerate(self.blocks):
            start = "" if number == 0 else "else "
            test = f"if (*(const int64_t *)({index}) == {number})" if number < len(self.blocks) - 1 else ""
            writer.open(f"{start}{test}".strip())
            writer.invoke(writer.body(block), operands, results, arena)
            writer.close()

"""Products of matrices in loops: those of the elements of all steps with one matrix become one product before the loop, those
that the steps add up, or only return, one behind it.

One large product takes a fraction of the time of many small ones, but may round differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arrayad.control.program import Program
from arrayad.control.scanning import SCAN
from arrayad.primitives.arithmetic import add, subtract
from arrayad.primitives.broadcasting import reduce_sum
from arrayad.primitives.linear_algebra import matrix_product
from arrayad.primitives.picking import pick
from arrayad.primitives.shape import permute_dims, reshape
from arrayad.rewrites.loops import Loop, evaluated, outside, part, steps
from arrayad.rewriting import Match, rewrite, row_of, sample
from arrayad.shaped import Bundle
from arrayad.tape import Traced
from arrayad.tracing import aval_of, is_member, record

LARGEST = 1 << 28
"""Bytes that the products of all steps may take together."""


def is_product(entry: Any) -> bool:
    return entry.primitive is row_of(matrix_product)


def products_ahead(m: Match) -> Any:
    """The loop that takes as elements what its steps have computed as products of an element with what is captured."""
    loop = Loop(m)
    if loop.length < 2:
        return None
    by_carry = loop.entries_from(loop.carry)
    by_element = loop.entries_from(loop.along)
    chosen = [
        entry
        for entry in loop.tape.entries
        if is_product(entry)
        and entry in by_element
        and entry not in by_carry
        and sum(is_member(x, loop.tape) and x.history in by_element for x in entry.inputs) == 1
        and entry.output.nbytes * loop.length <= LARGEST
    ]
    if not chosen:
        return None
    places = [*loop.fixed, *loop.along]
    alone = Program(
        record(lambda *xs: evaluated(loop.tape, dict(zip(places, xs, strict=True)), chosen), [entry.output for entry in places])
    )
    flags = (*(False for _ in loop.fixed), *(True for _ in loop.along))
    every = alone.batched(loop.length, flags, (True,) * len(chosen))
    values = m.graph.inlined(every.tape, [loop.outside[entry] for entry in places])
    return loop.again({}, along=list(zip(chosen, values, strict=True)))


rewrite(
    "Products of the elements of all steps with what is captured are one product before the loop.",
    (SCAN, ...),
    to=products_ahead,
    samples=[sample(steps(lambda w, c, x: [c * matrix_product(x, w)], 1, 1, 3), (3, 4), (2, 4), (3, 2, 3))],
    reorders=True,
)


class Stacked:
    """Values of the steps that are needed behind the loop: elements that came in, or results to be stacked."""

    def __init__(self, loop: Loop, kept: Sequence[Any]) -> None:
        self.loop = loop
        self.results = list(kept)
        self.places = {y: k for k, y in enumerate(kept) if isinstance(y, Traced)}

    def ask(self, entry: Any) -> None:
        """Have a value of the steps stacked, if it is not at hand."""
        if entry not in self.loop.along and entry not in self.places:
            self.places[entry] = len(self.results)
            self.results.append(entry)

    def found(self, entry: Any, outer: Any) -> Any:
        """The values of all steps, given the loop that stacks them."""
        if entry in self.loop.along:
            return self.loop.outside[entry]
        return part(self.loop.m, outer, self.places[entry])


def factor(loop: Loop, x: Any) -> tuple[Any, bool]:
    """An operand of a product as the entry to stack, and whether it is its transpose."""
    entry = x.history
    if entry.primitive is row_of(permute_dims):
        n = len(entry.output.shape)
        (inner,) = entry.inputs
        if entry.params["axes"] == (*range(n - 2), n - 1, n - 2) and is_member(inner, loop.tape):
            return inner.history, True
    return entry, False


def joined(m: Match, x: Any, rows: bool) -> Any:
    """The matrices of all steps as one: below each other, or, unless by `rows`, beside each other."""
    length, *lead, first, second = aval_of(x).shape
    n = len(lead)
    axes = (*range(1, n + 1), 0, n + 1, n + 2) if rows else (*range(1, n + 1), n + 1, 0, n + 2)
    shape = (*lead, length * first, second) if rows else (*lead, first, length * second)
    return m(reshape, m(permute_dims, x, axes=axes), shape=shape)


def matrix_of_all(m: Match, x: Any, transposed: bool, rows: bool) -> Any:
    """A factor of the product that sums up those of all steps."""
    if not transposed:
        return joined(m, x, rows)
    y = joined(m, x, not rows)
    n = aval_of(y).ndim
    return m(permute_dims, y, axes=(*range(n - 2), n - 1, n - 2))


def addend(loop: Loop, i: int) -> tuple[Any, Any] | None:
    """What each step adds to a carry that it does nothing else with, and the row by which it does so."""
    carry, y = loop.carry[i], loop.results[i]
    if not isinstance(y, Traced) or y.primitive not in (row_of(add), row_of(subtract)):
        return None
    uses = sum(x.history is carry for entry in loop.tape.entries for x in entry.inputs if is_member(x, loop.tape))
    others = [x for x in y.inputs if not (is_member(x, loop.tape) and x.history is carry)]
    if uses != 1 or len(others) != 1 or not is_member(others[0], loop.tape) or sum(y is z for z in loop.results) != 1:
        return None
    if y.primitive is row_of(subtract) and y.inputs[0] is others[0]:
        return None
    if any(x.history is y for entry in loop.tape.entries for x in entry.inputs if is_member(x, loop.tape)):
        return None
    return others[0].history, y.primitive


def sums_behind(m: Match) -> Any:
    """The loop without the carries to which its steps add products, which one product behind the loop sums up."""
    loop = Loop(m)
    if loop.length < 2 or loop.keep:
        return None
    found = {i: given for i in range(loop.carries) if (given := addend(loop, i)) is not None}
    products = {i for i, (entry, _) in found.items() if is_product(entry) and varies(loop, entry)}
    stacked = Stacked(loop, [y for i, y in enumerate(loop.results) if i not in products])
    for i in products:
        for x in found[i][0].inputs:
            stacked.ask(factor(loop, x)[0])
    reductions = {
        i
        for i, (entry, _) in found.items()
        if entry.primitive is row_of(reduce_sum)
        and is_member(entry.inputs[0], loop.tape)
        and (entry.inputs[0].history in stacked.places or entry.inputs[0].history in loop.along)
    }
    gone = products | reductions
    if not gone or sum(y.output.nbytes for y in stacked.places) * loop.length > LARGEST:
        return None
    kept = [i for i in range(len(loop.results)) if i not in gone]
    final = Stacked(loop, [loop.results[i] for i in kept])
    stayed = [i for i in range(loop.carries) if i not in gone]
    final.places = {y: k for y, k in final.places.items() if k >= len(stayed)}
    for i in products:
        for x in found[i][0].inputs:
            final.ask(factor(loop, x)[0])
    for i in reductions:
        final.ask(found[i][0].inputs[0].history)
    outer = loop.rebuilt(
        loop.pairs(loop.fixed), loop.pairs([loop.carry[i] for i in stayed]), loop.pairs(loop.along), final.results, ()
    )
    values = {i: part(m, outer, k) for k, i in enumerate(kept)}
    for i in gone:
        entry, row = found[i]
        values[i] = m(row, loop.outside[loop.carry[i]], total_of(m, loop, entry, final, outer))
    return Bundle(values[i] for i in range(len(loop.results)))


def varies(loop: Loop, product: Any) -> bool:
    """Whether both factors are values of the body."""
    return all(is_member(x, loop.tape) and x.history not in loop.fixed for x in product.inputs)


def total_of(m: Match, loop: Loop, entry: Any, stacked: Stacked, outer: Any) -> Any:
    """The sum over all steps of a product, or of a sum."""
    if entry.primitive is row_of(reduce_sum):
        x = stacked.found(entry.inputs[0].history, outer)
        return m(reduce_sum, x, axis=(0, *(a + 1 for a in entry.params["axis"])))
    factors = []
    for x, rows in zip(entry.inputs, (False, True), strict=True):
        source, transposed = factor(loop, x)
        factors.append(matrix_of_all(m, stacked.found(source, outer), transposed, rows))
    return m(matrix_product, *factors)


rewrite(
    "Products that steps add up are one product of all their factors behind the loop.",
    (SCAN, ...),
    to=sums_behind,
    samples=[
        sample(
            steps(lambda c, d, x: [c + matrix_product(permute_dims(x, axes=(1, 0)), d), d * 0.5 + x], 0, 2, 3),
            *((3, 3), (2, 3), (3, 2, 3)),
        )
    ],
    reorders=True,
)


def products_behind(m: Match) -> Any:
    """The loop that returns, instead of products with what is captured, the other factors."""
    loop = Loop(m)
    if loop.length < 2:
        return None
    variant = loop.entries_from([*loop.carry, *loop.along])
    used = {x.history for entry in loop.tape.entries for x in entry.inputs if is_member(x, loop.tape)}
    used.update(y for y in loop.results[: loop.carries] if isinstance(y, Traced))
    chosen = {
        i
        for i, y in enumerate(loop.results)
        if i >= loop.carries
        and isinstance(y, Traced)
        and is_product(y)
        and y in variant
        and y not in used
        and is_member(y.inputs[0], loop.tape)
        and y.inputs[0].history in variant
        and not (is_member(y.inputs[1], loop.tape) and y.inputs[1].history in variant)
    }
    if not chosen:
        return None
    kept = [i for i in range(len(loop.results)) if i not in chosen]
    stacked = Stacked(loop, [loop.results[i] for i in kept])
    stacked.places = {y: k for y, k in stacked.places.items() if k >= loop.carries}
    for i in chosen:
        stacked.ask(loop.results[i].inputs[0].history)
    outer = loop.rebuilt(loop.pairs(loop.fixed), loop.pairs(loop.carry), loop.pairs(loop.along), stacked.results, loop.keep)
    values = {i: part(m, outer, k) for k, i in enumerate(kept)}
    constant = {entry for entry in loop.tape.entries if entry not in variant}
    for i in chosen:
        left, right = loop.results[i].inputs
        other = outside(loop, constant, [right.history])[0] if is_member(right, loop.tape) else right
        values[i] = rows_times(m, stacked.found(left.history, outer), other)
    count, more = len(loop.results), len(stacked.results)
    for k in range(len(m.output) - count):
        values[count + k] = part(m, outer, more + k)
    return Bundle(values[i] for i in range(len(m.output)))


def rows_times(m: Match, x: Any, matrix: Any) -> Any:
    """The matrices of all steps times one: y[t, …] = x[t, …] matrix, as one product of all their rows."""
    length, *lead, rows, _ = aval_of(x).shape
    n = len(lead)
    y = m(matrix_product, joined(m, x, True), matrix)
    y = m(reshape, y, shape=(*lead, length, rows, aval_of(matrix).shape[-1]))
    return m(permute_dims, y, axes=(n, *range(n), n + 1, n + 2))


rewrite(
    "Products with what is captured that steps only return are one product behind the loop.",
    (SCAN, ...),
    to=products_behind,
    samples=[sample(steps(lambda w, c, x: [c + x, matrix_product(c, w)], 1, 1, 3), (3, 4), (2, 3), (3, 2, 3))],
    reorders=True,
)


# --- of two loops, the second of which does again what the first did --------------------------------------------------


def kept_carry(m: Match) -> tuple[Any, int] | None:
    """The loop all of whose carries are kept, and which of these the operand of a product holds, all steps below each other."""
    pick_of = m.inner[1]
    (x,) = pick_of.inputs
    entry = m.graph.producer(x)
    if entry is None or entry.primitive is not SCAN or len(entry.params["keep"]) != entry.params["length"]:
        return None
    place = pick_of.params["index"] - len(entry.params["body"].out_avals)
    return (entry, place) if place >= 0 and len(pick_of.output.shape) == 3 else None


def done_before(m: Match) -> Any:
    """The products that a loop has made of its carry, where they are stacked; else it is asked to stack them."""
    found = kept_carry(m)
    if found is None:
        return None
    entry, place = found
    body, captures = entry.params["body"], entry.params["captures"]
    tape = body.tape
    matrices = {e for e, x in zip(tape.inputs[:captures], entry.inputs[:captures], strict=True) if m.graph.same(x, m["w"])}
    carry = tape.inputs[captures + place]
    for product in tape.entries:
        x, *rest = product.inputs
        if (
            is_product(product)
            and is_member(x, tape)
            and x.history is carry
            and is_member(rest[0], tape)
            and rest[0].history in matrices
        ):
            return stacked_before(m, entry, product)
    return None


def stacked_before(m: Match, entry: Any, product: Any) -> Any:
    """The products of all steps of a loop below each other, if it returns them; else that is noted as a wish."""
    body, carries = entry.params["body"], entry.params["carries"]
    for k, y in enumerate(body.tape.outputs):
        if k >= carries and is_member(y, body.tape) and y.history is product:
            scan = m.inner[1].inputs[0]
            return m(reshape, part(m, scan, k), shape=m.output.shape)
    m.graph.wish(entry, product)
    return None


rewrite(
    "The product of what a loop has kept of its carry with a matrix that the loop has multiplied it with.",
    (matrix_product, (reshape, (pick, "kept")), "w"),
    when=lambda m: len(m.output.shape) == 2 and aval_of(m.inner[0].inputs[0]).shape[-1] == m.inner[0].output.shape[-1],
    to=done_before,
    samples=[
        sample(
            lambda w, c, x: matrix_product(
                reshape(steps(lambda w, c, x: [matrix_product(c, w) + x], 1, 1, 3, (0, 1, 2))(w, c, x)[1], shape=(6, 3)), w
            ),
            *((3, 3), (2, 3), (3, 2, 3)),
        )
    ],
    reorders=True,
)


def stacking(m: Match) -> Any:
    """The loop that stacks what has been wished for."""
    wished = m.graph.wished(m.root)
    if not wished:
        return None
    loop = Loop(m)
    count = len(loop.results)
    outer = loop.rebuilt(
        loop.pairs(loop.fixed), loop.pairs(loop.carry), loop.pairs(loop.along), [*loop.results, *wished], loop.keep
    )
    found = [part(m, outer, k) for k in range(count)]
    return Bundle([*found, *(part(m, outer, k + len(wished)) for k in range(count, len(m.output)))])


rewrite(
    "A loop stacks what another computes again of what it has kept.",
    (SCAN, ...),
    to=stacking,
    samples=[],
    reorders=True,
)

"""Loops of known length: what nobody asks of them goes, what does not change from step to step is computed once.

A loop's body is a program of captures, carry and elements of this step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from arrayad.binding import bind
from arrayad.control.program import Program
from arrayad.control.scanning import SCAN
from arrayad.control.schedule import EVERY
from arrayad.primitives.broadcasting import broadcast_to
from arrayad.primitives.exponential import exp
from arrayad.primitives.picking import pick
from arrayad.rewrites.views import is_repeated
from arrayad.rewriting import Match, rewrite, row_of, sample
from arrayad.shaped import Bundle, Shaped, aval
from arrayad.tape import Traced
from arrayad.tensor import Tensor, handle
from arrayad.tracing import Tape, is_member, record

LARGEST = 1 << 28
"""Bytes that the products of all steps may take together."""


class Loop:
    """A loop that is being rewritten: its parts, and for each input of the body what it stands for outside."""

    def __init__(self, m: Match) -> None:
        params = m.params
        self.m = m
        self.body: Program = params["body"]
        self.tape: Tape = self.body.tape
        self.captures, self.carries, self.length = params["captures"], params["carries"], params["length"]
        self.reverse, self.keep, self.schedule = params["reverse"], params["keep"], params["schedule"]
        self.operands = list(m.inputs)
        self.results: list[Any] = [y.history if is_member(y, self.tape) else y for y in self.tape.outputs]
        self.inputs = self.tape.inputs
        self.fixed = self.inputs[: self.captures]
        self.carry = self.inputs[self.captures : self.captures + self.carries]
        self.along = self.inputs[self.captures + self.carries :]
        self.outside = dict(zip(self.inputs, self.operands, strict=True))

    def entries_from(self, sources: Iterable[Any]) -> set[Any]:
        """The sources, and the entries that depend on them."""
        found = set(sources)
        for entry in self.tape.entries:
            if any(is_member(x, self.tape) and x.history in found for x in entry.inputs):
                found.add(entry)
        return found

    def rebuilt(
        self,
        fixed: Sequence[Any],
        carry: Sequence[Any],
        along: Sequence[Any],
        results: Sequence[Any],
        keep: Sequence[int],
        known: dict[Any, Any] | None = None,
        equal: dict[Any, Any] | None = None,
    ) -> Any:
        """The loop whose captures, carry and elements are these pairs of an entry of the body and its value outside.

        `results` are entries and constants, the next carry first; inputs may be `known` constants, or `equal` to others.
        """
        places = [*fixed, *carry, *along]

        def function(*xs: Tensor) -> list[Any]:
            given = {**(known or {}), **{entry: x for (entry, _), x in zip(places, xs, strict=True)}}
            given.update({entry: given[other] for entry, other in (equal or {}).items() if other in given})
            return evaluated(self.tape, given, results)

        body = Program(record(function, [entry.output for entry, _ in places]), self.body.primal)
        return self.m(
            SCAN,
            *(x for _, x in places),
            body=body,
            captures=len(fixed),
            carries=len(carry),
            length=self.length,
            reverse=self.reverse,
            keep=keep,
            schedule=self.schedule,
        )

    def pairs(self, entries: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Inputs of the body, each with what it stands for outside."""
        return [(entry, self.outside[entry]) for entry in entries]

    def again(self, changed: dict[Any, Any], fixed: Sequence[Any] = (), along: Sequence[Any] = ()) -> Any:
        """The loop with further captures and elements, which stand for entries of its body; `changed` results by index."""
        results = [changed.get(i, y) for i, y in enumerate(self.results)]
        return self.rebuilt(
            [*self.pairs(self.fixed), *fixed], self.pairs(self.carry), [*self.pairs(self.along), *along], results, self.keep
        )


def evaluated(tape: Tape, given: dict[Any, Any], results: Sequence[Any]) -> list[Any]:
    """What entries of a tape, and constants, are where some entries are given; only what they need is computed."""
    needed: set[Any] = set()
    stack = [y for y in results if isinstance(y, Traced)]
    while stack:
        entry = stack.pop()
        if entry not in needed and entry not in given:
            needed.add(entry)
            stack += [x.history for x in entry.inputs if is_member(x, tape)]
    values = dict(given)
    for entry in tape.entries:
        if entry in needed:
            operands = tuple(values[x.history] if is_member(x, tape) else x for x in entry.inputs)
            values[entry] = y = bind(entry.primitive, operands, entry.params)
            if isinstance(y.history, Traced):
                y.history.location = entry.location
    return [values[y] if isinstance(y, Traced) else y for y in results]


def unused(like: Shaped) -> Tensor:
    """What stands for a result that nobody looks at."""
    return handle(np.broadcast_to(np.zeros((), like.dtype), like.shape))


def part(m: Match, y: Any, index: int) -> Any:
    """One result of a loop."""
    return m(pick, y, index=index)


# --- what nobody asks for ---------------------------------------------------------------------------------------------


def asked_for(m: Match) -> set[int]:
    """The results that somebody looks at; all, where that cannot be seen."""
    takers = m.graph.consumers.get(m.root, ())
    if m.root is None or any(taker.primitive is not row_of(pick) for taker in takers):
        return set(range(len(m.output)))
    return {taker.params["index"] for taker in takers}


def settled_constants(loop: Loop) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Inputs of the body that are constants, and those that are another input or outlive the loop unchanged, as that."""
    known: dict[Any, Any] = {}
    equal: dict[Any, Any] = {}
    graph = loop.m.graph
    for group in (loop.fixed, loop.along):
        first: dict[Any, Any] = {}
        for entry in group:
            x = loop.outside[entry]
            key = graph.key_of(x)
            if x.history is None and group is loop.fixed:
                known[entry] = x
            elif group is loop.along and x.history is None and loop.length and is_repeated(x.value, 0):
                known[entry] = handle(x.value[0])
            elif key in first:
                equal[entry] = first[key]
            else:
                first[key] = entry
    return known, equal


def leaner(m: Match) -> Any:
    """The loop without results, carries and operands that play no part."""
    loop = Loop(m)
    wanted = asked_for(m)
    count, carries = len(loop.results), loop.carries
    keep = loop.keep if any(i >= count for i in wanted) else ()
    live = {i % count if i < count else i - count for i in wanted}
    constant = {i for i in range(carries) if loop.results[i] is loop.carry[i]}
    moving = slice(loop.captures, loop.captures + carries)
    while True:
        reach = 0
        for i in live:
            reach |= loop.body.reach[i]
        more = live | {i for i in range(carries) if reach >> (moving.start + i) & 1}
        if more == live:
            break
        live = more
    known, equal = settled_constants(loop)
    needed = {entry for i, entry in enumerate(loop.inputs) if reach >> i & 1}
    fixed = [e for e in loop.fixed if e in needed and e not in known and e not in equal]
    along = [e for e in loop.along if e in needed and e not in known and e not in equal]
    still = [loop.carry[i] for i in sorted(constant & live)]
    moves = [i for i in range(carries) if i in live and i not in constant]
    stacks = [i for i in range(carries, count) if i in live]
    if (
        len(fixed) + len(along) + len(moves) == len(loop.inputs)
        and len(stacks) == count - carries
        and len(keep) == len(loop.keep)
    ):
        return None
    results = [loop.results[i] for i in (*moves, *stacks)]
    if not results:
        return without_steps(m, loop, wanted)
    if not moves:
        keep = ()
    fixed_pairs = [*loop.pairs(fixed), *loop.pairs(still)]
    carry = [loop.carry[i] for i in moves]
    outer = loop.rebuilt(fixed_pairs, loop.pairs(carry), loop.pairs(along), results, keep, known, equal)
    found = {i: part(m, outer, k) for k, i in enumerate((*moves, *stacks))}
    if keep:
        found.update({count + i: part(m, outer, len(results) + k) for k, i in enumerate(moves)})
    return all_results(m, loop, found, constant, wanted)


def all_results(m: Match, loop: Loop, found: dict[int, Any], constant: set[int], wanted: set[int]) -> Bundle:
    """The results of the loop: those found, carries that stay as they were, and what nobody looks at."""
    count = len(loop.results)
    for i in constant:
        x = loop.outside[loop.carry[i]]
        found[i] = x
        if count + i in wanted:
            found[count + i] = m(broadcast_to, x, shape=m.output[count + i].shape)
    return Bundle(found[i] if i in found else unused(like) for i, like in enumerate(m.output))


def without_steps(m: Match, loop: Loop, wanted: set[int]) -> Bundle:
    """The results of a loop of which only carries are asked for that no step changes."""
    constant = {i for i in range(loop.carries) if loop.results[i] is loop.carry[i]}
    return all_results(m, loop, {}, constant, wanted)


def steps(f: Callable[..., Any], captures: int, carries: int, length: int, keep: Sequence[int] = ()) -> Callable[..., Any]:
    """A loop for samples: `f` of captures, carry and elements gives the next carry and results."""

    def function(*operands: Any) -> Any:
        avals = [aval(x.value) for x in operands[: captures + carries]]
        avals += [Shaped(x.shape[1:], x.dtype) for x in operands[captures + carries :]]
        y = bind(
            SCAN,
            operands,
            {
                "body": Program(record(f, avals)),
                "captures": captures,
                "carries": carries,
                "length": length,
                "reverse": False,
                "keep": keep,
                "schedule": EVERY,
            },
        )
        return [pick(y, index=i) for i in range(len(y.value))]

    return function


def first_of(loop: Callable[..., Any], *chosen: int) -> Callable[..., Any]:
    """Some of the results of a loop."""
    return lambda *operands: [loop(*operands)[i] for i in chosen]


rewrite(
    "Results, carries and operands of a loop that play no part in what is asked of it.",
    (SCAN, ...),
    to=leaner,
    samples=[
        sample(first_of(steps(lambda w, c, x: [c + x, c * w], 1, 1, 3), 0), (), (), (3,)),
        sample(first_of(steps(lambda a, b, x: [a, b + a * x, x], 0, 2, 3, (0, 1, 2)), 1, 3), (2,), (2,), (3,)),
        sample(lambda x: first_of(steps(lambda w, c, x: [c * w + x], 1, 1, 3), 0)(handle(np.array(2.0)), x[0], x), (3,)),
        sample(lambda x: first_of(steps(lambda c, x, y: [c + x * y], 0, 1, 3), 0)(x[0], x, x), (3,)),
    ],
)


# --- what does not change from step to step ---------------------------------------------------------------------------


def frontier(loop: Loop, inner: set[Any], reached: set[Any]) -> list[Any]:
    """The entries of `inner` that others, in `reached`, or results take."""
    taken = {y for y in loop.results if isinstance(y, Traced)}
    for entry in loop.tape.entries:
        if entry in reached:
            taken.update(x.history for x in entry.inputs if is_member(x, loop.tape))
    return [entry for entry in loop.tape.entries if entry in inner and entry in taken]


def invariant(m: Match) -> Any:
    """The loop that captures what its steps have computed of captures alone."""
    loop = Loop(m)
    if not loop.length:
        return None
    variant = loop.entries_from([*loop.carry, *loop.along])
    inner = {entry for entry in loop.tape.entries if entry not in variant}
    computed: set[Any] = set()
    for entry in loop.tape.entries:
        if entry in inner and (
            not entry.primitive.is_view or any(is_member(x, loop.tape) and x.history in computed for x in entry.inputs)
        ):
            computed.add(entry)
    chosen = [e for e in frontier(loop, inner, variant) if e in computed and e.output.__class__ is Shaped]
    if not chosen:
        return None
    return loop.again({}, fixed=[(entry, x) for entry, x in zip(chosen, outside(loop, inner, chosen), strict=True)])


def outside(loop: Loop, inner: set[Any], chosen: Sequence[Any]) -> list[Any]:
    """Entries of the body that depend on captures alone, as expressions outside."""
    values = dict(loop.outside)
    for entry in loop.tape.entries:
        if entry in inner:
            operands = [values[x.history] if is_member(x, loop.tape) else x for x in entry.inputs]
            values[entry] = loop.m.graph.make(entry.primitive, operands, entry.params, entry.output)
    return [values[entry] for entry in chosen]


rewrite(
    "What steps compute of captures alone is computed before the loop.",
    (SCAN, ...),
    to=invariant,
    samples=[sample(steps(lambda w, c, x: [c + exp(w) * x], 1, 1, 3), (2,), (2,), (3,))],
)

"""Loops, branches, and what is computed again."""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayad.compiler import calls
from arrayad.compiler.ir import Read
from arrayad.compiler.lower import Builder, lowered_body, rule


@rule("recall", "recall_elements")
def recall(builder: Builder, entry: Any, saved: Read, *operands: Any, body: Any) -> Read:
    return saved


@rule("checkpoint")
def checkpoint(builder: Builder, entry: Any, *operands: Read, body: Any, again: Any) -> list[Read]:
    return builder.run(body.tape, operands)


@rule("scan")
def scan(builder: Builder, entry: Any, *operands: Read, body: Any, schedule: Any, **params: Any) -> list[Read]:
    block = lowered_body(body.tape)
    code = calls.Scan(block, **params)
    return builder.call(code, [builder.whole(x) for x in operands], [(y.shape, y.dtype) for y in entry.output])


@rule("while")
def while_loop(
    builder: Builder, entry: Any, *operands: Read, condition: Any, body: Any, captures: int, checkpoint: Any
) -> list[Read]:
    code = calls.While(lowered_body(condition.tape), lowered_body(body.tape), captures)
    return builder.call(code, [builder.whole(x) for x in operands], [(y.shape, y.dtype) for y in entry.output])


@rule("switch")
def switch(builder: Builder, entry: Any, index: Read, *operands: Read, branches: Any) -> list[Read]:
    index = builder.whole(builder.map("astype", "x", np.int64, [index], np.int64))
    code = calls.Switch([lowered_body(branch.tape) for branch in branches])
    return builder.call(code, [index, *map(builder.whole, operands)], [(y.shape, y.dtype) for y in entry.output])

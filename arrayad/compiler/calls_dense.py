"""Calls of dense linear algebra, a matrix of a stack a piece: see emitted/dense.h and emitted/cofactors.h."""

from __future__ import annotations

from typing import Any, NamedTuple

from arrayad.compiler.ir import Call
from arrayad.compiler.pieces import Pieces
from arrayad.compiler.text import c_type


class Routine(NamedTuple):
    """A function of emitted/: its header, what operands and results are called, the statement, the matrices it works in."""

    header: str
    names: tuple[str, ...]
    statement: str
    rooms: int = 1


ROUTINES = {
    "cholesky": Routine("dense", ("x", "out", "code"), "code[at] = cholesky_{s}({n}, out + {m}, x + {m}, room);"),
    "solve": Routine(
        "dense",
        ("a", "b", "out", "code"),
        "code[at] = solve_{s}({n}, {columns}, out + at * {n} * {columns}, a + {m}, b + at * {n} * {columns}, room, pivots);",
    ),
    "inverse": Routine("dense", ("x", "out", "code"), "code[at] = inverse_{s}({n}, out + {m}, x + {m}, room, pivots);"),
    "det": Routine("dense", ("x", "out"), "out[at] = det_{s}({n}, x + {m}, room, pivots);"),
    "slogdet": Routine(
        "dense", ("x", "sign", "logarithm"), "slogdet_{s}({n}, sign + at, logarithm + at, x + {m}, room, pivots);"
    ),
    "cofactors": Routine("cofactors", ("x", "out"), "cofactors_{s}({n}, out + {m}, x + {m}, room, pivots);", 2),
    "limit_inverse": Routine("cofactors", ("x", "out"), "limit_inverse_{s}({n}, out + {m}, x + {m}, room, pivots);", 2),
}
"""By row.  In a statement, s is the suffix, n the order of the matrices, m where one begins."""


class Dense(Pieces):
    """A routine on each matrix of a stack; `code` tells where it has failed, and is 0 where it has not."""

    def __init__(self, name: str, stack: int, n: int, columns: int, dtype: Any, suffix: str) -> None:
        self.name, self.n, self.columns, self.dtype, self.suffix = name, n, columns, dtype, suffix
        self.routine = ROUTINES[name]
        room = 8 * n + self.routine.rooms * n * n * dtype.itemsize
        super().__init__(stack, 50.0 + 0.5 * n * n * (n + columns), room)

    def write(self, writer: Any, call: Call) -> None:
        writer.paste(self.routine.header, self.suffix)
        n, T = self.n, c_type(self.dtype)
        statement = self.routine.statement.format(s=self.suffix, n=n, columns=self.columns, m=f"at * {n * n}")
        pivots = ["int64_t *pivots = (int64_t *)work;"] if "pivots" in statement else []
        room = f"{T} *room = ({T} *)(work + {8 * n});"
        self.write_pieces(writer, call, self.routine.names, [*pivots, room, statement])

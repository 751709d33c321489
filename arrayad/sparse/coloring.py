"""Colourings of sparsity patterns: which columns, or rows, of a sparse matrix one product with a vector can determine together.

A *column colouring* gives two columns that have a nonzero in one row different colours: the sum of the columns of one colour
then shows each of their nonzeros by itself.  A row colouring does the same for the transpose.  A *star colouring* uses the
symmetry of a Hessian: neighbours differ, and so do two of the ends in every path of four vertices.

The colours that are taken around a vertex are the bits of one Python integer, so that a colouring takes time proportional to
the nonzeros, as long as the colours are few.

**Source** Gebremedhin, Manne & Pothen, What color is your Jacobian? Graph coloring for computing derivatives, SIAM Review
47(4), 629-705 (2005).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from arrayad.readers.pattern import import_sparse

Colors = np.ndarray[Any, Any]

ORDERS = ("auto", "natural", "largest_first", "smallest_last")
MODES = ("auto", "forward", "reverse", "both", "symmetric")
MANY = 1 << 18
"""Edges of a graph beyond which "auto" leaves out what takes another pass over all of them."""

TRIES = 1 << 10
"""Colourings of a grid that are tried."""


class Coloring(NamedTuple):
    """Which sweep shows the nonzeros of each column and of each row; -1 where none need show them.

    `columns[j]` is the forward sweep whose tangent holds a 1 for input j, `rows[i]` the reverse sweep whose cotangent holds a
    1 for output i.  In a "symmetric" colouring both are one star colouring, and one set of sweeps is both.
    """

    mode: str
    columns: Colors
    rows: Colors

    @property
    def sweeps(self) -> int:
        """The number of products with the matrix or its transpose."""
        return count(self.columns) if self.mode == "symmetric" else count(self.columns) + count(self.rows)


def count(colors: Colors) -> int:
    """The number of colours, which are 0, 1, 2, …"""
    return int(colors.max(initial=-1)) + 1


def color(pattern: Any, mode: str = "auto", order: str = "auto") -> Coloring:
    """A colouring of a sparsity pattern, by greedy methods: with few colours, not always the fewest.

    **Parameters** `pattern`: a sparse matrix, or what `scipy.sparse.csr_array` takes, of which the nonzeros count.  `mode`:
    "forward" colours columns; "reverse" rows; "both" the fullest rows, or columns, and leaves what these do not show to
    sweeps of the other kind; "auto" takes the one of these with the fewest sweeps; "symmetric" is the star colouring of a
    symmetric pattern.  `order`, in which vertices are coloured: "natural", "largest_first", "smallest_last", or "auto": these
    and repeated colourings, as long as a bound is not met.

    **Source** Gebremedhin, Manne & Pothen (2005), sections 3 to 6; for "both" the idea of Coleman & Verma, SIAM J. Sci.
    Comput. 19(4), 1210-1233 (1998); for repeated colourings Culberson, Iterated greedy graph coloring (1992).

    **Example**

    >>> import numpy as np, arrayad as ad
    >>> ad.sparse.color(np.eye(6) + np.eye(6, k=1) + np.eye(6, k=-1)).columns.tolist()
    [0, 1, 2, 0, 1, 2]
    """
    if mode not in MODES or order not in ORDERS:
        raise ValueError(f"[sparse.color] mode is one of {MODES} and order of {ORDERS}; {mode!r} and {order!r} came")
    matrix = boolean(pattern)
    if mode == "symmetric":
        return symmetric(matrix, order)
    plans = {
        "forward": (fullest(matrix), forward),
        "reverse": (fullest(matrix.T.tocsr()), reverse),
        "both": (threshold(matrix)[0], by_full_rows),
        "both, transposed": (threshold(matrix.T.tocsr())[0], by_full_columns),
    }
    best: Coloring | None = None
    for name, (bound, method) in sorted(plans.items(), key=lambda plan: plan[1][0]):
        if mode in ("auto", name.partition(",")[0]) and (best is None or bound < best.sweeps):
            best = min((found for found in (best, method(matrix, order)) if found), key=lambda found: found.sweeps)
    assert best is not None
    return best


def boolean(pattern: Any) -> Any:
    """A pattern as a boolean CSR array without explicit zeros, its columns in order."""
    matrix = import_sparse().csr_array(pattern).astype(np.bool_, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def fullest(matrix: Any) -> int:
    """The nonzeros of the fullest row, which all need different colours."""
    return int(np.diff(matrix.indptr).max(initial=0))


# --- columns and rows ------------------------------------------------------------------------------------------------


def forward(matrix: Any, order: str) -> Coloring:
    return Coloring("forward", column_colors(matrix, order), np.full(matrix.shape[0], -1))


def reverse(matrix: Any, order: str) -> Coloring:
    return Coloring("reverse", np.full(matrix.shape[1], -1), column_colors(matrix.T.tocsr(), order))


def threshold(matrix: Any) -> tuple[int, int]:
    """The fewest sweeps if rows with more than some number of nonzeros go in reverse and the others forward; that number."""
    lengths = np.diff(matrix.indptr)
    candidates = np.unique(lengths)
    if candidates.size > 16:
        candidates = candidates[np.linspace(0, candidates.size - 1, 16).astype(np.intp)]
    bounds = []
    for most in candidates.tolist():
        shown_in_reverse = np.repeat(lengths > most, lengths)
        height = np.bincount(matrix.indices[shown_in_reverse], minlength=1).max()
        bounds.append((int(lengths[lengths <= most].max(initial=0)) + int(height), most))
    return min(bounds, default=(0, 0))


def by_full_rows(matrix: Any, order: str) -> Coloring:
    """The fullest rows in reverse, the others forward."""
    full = np.diff(matrix.indptr) > threshold(matrix)[1]
    rows = np.full(matrix.shape[0], -1)
    rows[full] = column_colors(matrix[full].T.tocsr(), order)
    return Coloring("both", column_colors(matrix[~full], order), rows)


def by_full_columns(matrix: Any, order: str) -> Coloring:
    """The fullest columns forward, the others in reverse."""
    found = by_full_rows(matrix.T.tocsr(), order)
    return Coloring("both", found.rows, found.columns)


def column_colors(matrix: Any, order: str) -> Colors:
    """Colours of columns such that no row has two nonzeros of one colour; -1 for columns without any."""
    by_column = matrix.T.tocsr()
    pointers, rows = by_column.indptr.tolist(), by_column.indices.tolist()
    lengths = np.diff(matrix.indptr)

    def greedy(vertices: list[int]) -> Colors:
        colors = [-1] * matrix.shape[1]
        taken = [0] * matrix.shape[0]
        for v in vertices:
            met = rows[pointers[v] : pointers[v + 1]]
            used = 0
            for row in met:
                used |= taken[row]
            bit = ~used & (used + 1)  # the lowest bit that is not used
            if met:
                colors[v] = bit.bit_length() - 1
            for row in met:
                taken[row] |= bit
        return np.array(colors, np.intp)

    edges = int(lengths.astype(np.int64) @ lengths)
    neighbours = np.asarray(by_column @ lengths.astype(np.int64))
    bound = fullest(matrix)
    colors = repeatedly(greedy, order, neighbours, edges, bound, lambda: by_column @ matrix)
    return grid_colors(matrix, bound, colors) if order == "auto" and count(colors) > bound else colors


def grid_colors(matrix: Any, bound: int, colors: Colors) -> Colors:
    """Fewer colours than these for the columns of a stencil on a grid, if it has some that repeat along its axes.

    On a grid whose axes have the strides 1, w and W in the order of the columns, column j gets the colour
    j + s (j // w) + S (j // W) mod k.  Strides are looked for among the distances from the diagonal.

    **Source** Goldfarb & Toint, Optimal estimation of Jacobian and Hessian matrices that arise in finite difference
    calculations, Mathematics of Computation 43(167), 69-88 (1984).
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    distances = np.unique(np.abs(matrix.indices - rows))
    if distances.size > 16:
        return colors
    strides = [int(w) for w in distances if w > 1]
    choices = [(w,) for w in strides] + list(itertools.combinations(strides, 2))
    columns, some = np.arange(matrix.shape[1]), slice(0, 2000)
    tries = 0
    for k in range(max(bound, 1), count(colors)):
        for chosen in choices:
            for shifts in itertools.product(range(k), repeat=len(chosen)):
                tries += 1
                if tries > TRIES:
                    return colors
                found = (columns + sum(s * (columns // w) for s, w in zip(shifts, chosen, strict=True))) % k
                keys = rows * k + found[matrix.indices]
                if all(np.unique(part).size == part.size for part in (keys[some], keys)):
                    found[colors < 0] = -1
                    return numbered(found)
    return colors


def numbered(colors: Colors) -> Colors:
    """The colours as 0, 1, 2, …, with -1 for none."""
    return np.unique(np.append(colors, -1), return_inverse=True)[1][:-1] - 1


# --- the symmetric case ----------------------------------------------------------------------------------------------


def symmetric(matrix: Any, order: str) -> Coloring:
    """A star colouring of a symmetric pattern."""
    if matrix.shape[0] != matrix.shape[1] or (matrix != matrix.T).nnz:
        raise ValueError(f"[sparse.color] a symmetric pattern was needed, one of shape {matrix.shape} came that is not")
    coo = matrix.tocoo()
    off = coo.row != coo.col
    graph = import_sparse().csr_array((coo.data[off], (coo.row[off], coo.col[off])), shape=matrix.shape)
    pointers, neighbours = graph.indptr.tolist(), graph.indices.tolist()
    degrees = np.diff(graph.indptr)
    bound = 2 if graph.nnz else 1
    colors = repeatedly(
        lambda vertices: star_colors(pointers, neighbours, vertices), order, degrees, 2 * graph.nnz, bound, lambda: graph
    )
    colors[np.diff(matrix.indptr) == 0] = -1
    colors = numbered(colors)
    if order == "auto" and fullest(matrix) < count(colors):  # colours of columns do as well, and may be fewer
        colors = min(colors, column_colors(matrix, order), key=count)
    return Coloring("symmetric", colors, colors)


def star_colors(pointers: list[int], neighbours: list[int], vertices: list[int]) -> Colors:
    """A star colouring, the lowest possible colour for each vertex in turn.

    A path v-w-x-y makes the colour of x impossible for v if y has that of w.  There are two such: w is one of several
    neighbours of x with its colour, so that x is the hub of a star with w at a tip (`barred[w]` holds these colours of hubs),
    or v itself has several neighbours with w's colour.  `sole[x]` gives the neighbour of x with a colour, -1 if several.
    """
    size = len(pointers) - 1
    colors = [-1] * size
    near, barred = [0] * size, [0] * size
    sole: list[dict[int, int]] = [{} for _ in range(size)]
    for v in vertices:
        around, seen, used = neighbours[pointers[v] : pointers[v + 1]], sole[v], near[v]
        for w in around:
            if colors[w] >= 0:
                used |= barred[w] if seen[colors[w]] >= 0 else near[w]
        bit = ~used & (used + 1)
        colors[v] = own = bit.bit_length() - 1
        for w in around:
            theirs = colors[w]
            if theirs >= 0 and seen[theirs] < 0:  # v is the hub of a star and w a tip
                barred[w] |= bit
            first = sole[w].setdefault(own, v)
            if first != v:  # w is the hub, if it has a colour yet, and v a tip
                sole[w][own] = -1
                if theirs >= 0:
                    barred[v] |= 1 << theirs
                    if first >= 0:
                        barred[first] |= 1 << theirs
            near[w] |= bit
    return np.array(colors, np.intp)


# --- orders ----------------------------------------------------------------------------------------------------------


def repeatedly(
    greedy: Callable[[list[int]], Colors], order: str, degrees: Colors, edges: int, bound: int, graph: Callable[[], Any]
) -> Colors:
    """The best of greedy colourings in the order asked for, or for "auto" in several, until there are `bound` colours."""
    best = None
    for vertices in orders(order, degrees, edges, graph):
        found = greedy(vertices)
        best = found if best is None or count(found) < count(best) else best
        if count(best) <= bound:
            return best
    assert best is not None
    if order == "auto":  # each colour class as a whole, the last first: of columns, this never takes more colours
        for _ in range(8 if edges <= MANY else 2):
            found = greedy(np.argsort(-best, kind="stable").tolist())
            if count(found) >= count(best):
                break
            best = found
    return best


def orders(order: str, degrees: Colors, edges: int, graph: Callable[[], Any]) -> Iterator[list[int]]:
    """The vertices in the order of this name; for "auto" one order after the other."""
    if order in ("auto", "natural"):
        yield list(range(degrees.size))
    if order in ("auto", "largest_first"):
        yield np.argsort(-degrees, kind="stable").tolist()
    if order == "smallest_last" or (order == "auto" and edges <= MANY):
        yield smallest_last(graph())


def smallest_last(graph: Any) -> list[int]:
    """The vertices in reverse of the order in which one of the smallest degree is taken out of the graph.

    **Source** Matula & Beck, Smallest-last ordering and clustering and graph coloring algorithms, J. ACM 30(3) (1983).
    """
    pointers, neighbours = graph.indptr.tolist(), graph.indices.tolist()
    degrees = np.diff(graph.indptr).tolist()
    buckets: list[list[int]] = [[] for _ in range(max(degrees, default=0) + 1)]
    for v, degree in enumerate(degrees):
        buckets[degree].append(v)
    taken: list[int] = []
    out = [False] * len(degrees)
    lowest = 0
    while len(taken) < len(degrees):
        while not buckets[lowest]:
            lowest += 1
        v = buckets[lowest].pop()
        if out[v] or degrees[v] != lowest:  # it stands in the bucket of an earlier degree
            continue
        out[v] = True
        taken.append(v)
        for w in neighbours[pointers[v] : pointers[v + 1]]:
            if not out[w]:
                degrees[w] -= 1
                buckets[degrees[w]].append(w)
                lowest = min(lowest, degrees[w])
    return taken[::-1]

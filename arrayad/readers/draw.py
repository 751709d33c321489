"""Draw a tape as a graph, through Graphviz (an extra)."""

from __future__ import annotations

import os
from typing import Any

from arrayad.extras import extra
from arrayad.readers.show import formula, input_names, names_of, shown
from arrayad.tracing import Tape, is_member


def draw(tape: Tape, filename: str | os.PathLike[str] | None = None) -> Any:
    """Draw the directed graph of the tape: inputs above, each operation under its operands, outputs below.

    **Parameters** `filename`: where to write; its ending says what: .svg, .png, .pdf through the program `dot`, or .dot
    and .gv for the source, which needs no program.  Without it the `graphviz.Digraph` is returned, which notebooks show.

    **Raises** `ImportError` without the package graphviz (`pip install "arrayad[draw]"`), `RuntimeError` without `dot`.
    """
    graphviz = import_graphviz()
    graph = graphviz.Digraph(
        graph_attr={"rankdir": "TB", "bgcolor": "white", "fontname": "Helvetica"},
        node_attr={"fontname": "Helvetica", "fontsize": "11", "shape": "box", "style": "rounded,filled", "color": "#4a5568"},
        edge_attr={"color": "#718096", "arrowsize": "0.7", "fontname": "Helvetica", "fontsize": "9"},
    )
    names = names_of(tape)
    results = {y.history for y in tape.outputs if is_member(y, tape)}
    for entry, name in zip(tape.inputs, input_names(tape), strict=True):
        graph.node(
            names[entry], f"{names[entry]} = {name}\n{entry.output!r}", fillcolor="#e6f0fa", shape="ellipse", style="filled"
        )
    for entry in tape.entries:
        color = "#e3f4e1" if entry in results else "#f7fafc"
        graph.node(names[entry], f"{names[entry]} = {formula(entry, names, tape)}\n{entry.output!r}", fillcolor=color)
        for i, x in enumerate(entry.inputs):
            if is_member(x, tape):
                graph.edge(names[x.history], names[entry])
            elif getattr(x, "size", 1) > 1 and not shown(x):
                constant = f"{names[entry]}_{i}"
                graph.node(constant, repr(x.value.shape), shape="plaintext", style="", fontcolor="#718096")
                graph.edge(constant, names[entry], style="dashed")
    if filename is not None:
        write(graph, os.fspath(filename), graphviz)
    return graph


Tape.draw = draw


def import_graphviz() -> Any:
    """The package graphviz, or an error that says how to get it."""
    return extra("draw", "graphviz", "draw")


def write(graph: Any, path: str, graphviz: Any) -> None:
    """Render the graph, or save its source, by the file's ending."""
    stem, ending = os.path.splitext(path)
    if ending in (".dot", ".gv"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(graph.source)
        return
    try:
        graph.render(outfile=path, cleanup=True)
    except graphviz.ExecutableNotFound:
        raise RuntimeError(
            f"[draw] the program `dot` of Graphviz is needed for {ending}: install Graphviz, or write {stem}.dot"
        ) from None

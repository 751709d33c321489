"""Draw a compiled program as a graph: loop nests, calls, and the arrays between them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from arrayad.compiler.outline import Array, Line
from arrayad.readers.draw import import_graphviz, write
from arrayad.tracing import Tape

COLORS = {"loops": "#f7fafc", "call": "#fdf3dc", "python": "#fbe3e1"}
LONGEST = 80


def draw(tape: Tape, results: Sequence[str], lines: Sequence[Line], filename: str | os.PathLike[str] | None) -> Any:
    """Draw the lines of a program: inputs above, what reads them below, an edge for each array that one hands to another."""
    graphviz = import_graphviz()
    graph = graphviz.Digraph(
        graph_attr={"rankdir": "TB", "bgcolor": "white", "fontname": "Helvetica"},
        node_attr={"fontname": "Helvetica", "fontsize": "11", "shape": "box", "style": "rounded,filled", "color": "#4a5568"},
        edge_attr={"color": "#718096", "arrowsize": "0.7", "fontname": "Helvetica", "fontsize": "9"},
    )
    blocks: dict[str, list[tuple[int, Line]]] = {}
    for k, line in enumerate(lines):
        blocks.setdefault(line.block, []).append((k, line))
    for block, members in sorted(blocks.items()):
        if block:
            with graph.subgraph(name=f"cluster_{block}") as cluster:
                cluster.attr(label=block, color="#a0aec0", fontname="Helvetica")
                add(cluster, block, members, {}, {})
        else:
            inputs = {f"g{k}": name for k, name in enumerate(tape.names)}
            add(graph, block, members, inputs, {f"r{k}": name for k, name in enumerate(results)})
    for k, line in enumerate(lines):
        for body in line.bodies:
            if body in blocks:
                graph.edge(f"n{k}", f"n{blocks[body][0][0]}", style="dotted", lhead=f"cluster_{body}", label="runs")
    graph.attr(compound="true")
    if filename is not None:
        write(graph, os.fspath(filename), graphviz)
    return graph


def add(graph: Any, block: str, members: Sequence[tuple[int, Line]], inputs: dict[str, str], outputs: dict[str, str]) -> None:
    """The lines of one block, the arrays that it is given, and those that it gives."""
    makers: dict[str, str] = {}
    for k, line in members:
        label = f"{shortened(line.operations)}\n{shortened(line.places)}".rstrip("\n")
        graph.node(f"n{k}", label.replace("\\", "\\\\"), fillcolor=COLORS[line.kind])
        for array in line.reads:
            if array.name not in makers:
                makers[array.name] = given(graph, block, array, inputs)
            graph.edge(makers[array.name], f"n{k}", label=array.text)
        for array in line.writes:
            makers[array.name] = f"n{k}"
            if array.name in outputs or (block and array.name.startswith("r")):
                node = f"{block}{array.name}"
                name = outputs.get(array.name, array.name)
                graph.node(
                    node, f"{name}\n{array.text}".replace("\\", "\\\\"), fillcolor="#e3f4e1", shape="ellipse", style="filled"
                )
                graph.edge(f"n{k}", node)


def given(graph: Any, block: str, array: Array, inputs: dict[str, str]) -> str:
    """The node of an array that comes from outside: an input or a constant."""
    node = f"{block}{array.name}".replace(":", "_")
    is_input = array.name.startswith("g")
    name = inputs.get(array.name, array.name if is_input else "constant")
    color = "#e6f0fa" if is_input else "white"
    graph.node(node, f"{name}\n{array.text}".replace("\\", "\\\\"), fillcolor=color, shape="ellipse", style="filled")
    return node


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

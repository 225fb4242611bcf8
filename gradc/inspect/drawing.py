"""A graph as boxes in layers, operands above what uses them: where everything stands, for an SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import networkx as nx

from gradc.ir.graph import CONSTANT, INPUT, Graph, Node

_CHARACTER: Final = 6.7
"""The width of a character, in the units of the drawing."""
_HEIGHT: Final = 24.0
_GAP: Final = 14.0
_LAYER: Final = 54.0
_MARGIN: Final = 12.0
_SWEEPS: Final = 8
"""How often layers are put in the order of their neighbours."""


@dataclass(frozen=True)
class Box:
    """A node: its middle, its width, what it says, which kind of node it is, and the links of its line."""

    x: float
    y: float
    width: float
    text: str
    kind: str
    links: str


@dataclass(frozen=True)
class Edge:
    """From a box to one below it: a curve of four points."""

    path: str


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    box_height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def drawn(graph: Graph, links: Callable[[int], str]) -> Drawing:
    """Where nodes stand, constants within those that use them; ``links`` gives what a node is linked by."""
    shown = [node for node in graph.nodes if node.op is not CONSTANT or node.id in graph.outputs]
    kept = {node.id for node in shown}
    edges = list(dict.fromkeys((i, node.id) for node in shown for i in node.operands if i in kept))
    layers = _layers([node.id for node in shown], edges)
    names = _names(graph)
    texts = {node.id: _text(graph, node, names.get(node.id, "")) for node in shown}
    widths = {node_id: _CHARACTER * len(text) + 16 for node_id, text in texts.items()}
    middles = _middles(layers, edges, widths)
    left = min((middles[i] - widths[i] / 2 for i in middles), default=0.0)
    right = max((middles[i] + widths[i] / 2 for i in middles), default=0.0)
    depth = {node_id: number for number, layer in enumerate(layers) for node_id in layer}
    places = {i: (middles[i] - left + _MARGIN, depth[i] * _LAYER + _MARGIN + _HEIGHT / 2) for i in middles}
    boxes = [
        Box(*_rounded(*places[node.id], widths[node.id]), texts[node.id], _kind(graph, node), links(node.id))
        for node in shown
    ]
    curves = [Edge(_curve(places[i], places[k])) for i, k in edges]
    height = max(len(layers) - 1, 0) * _LAYER + _HEIGHT + 2 * _MARGIN
    return Drawing(round(right - left + 2 * _MARGIN, 1), round(height, 1), _HEIGHT, tuple(boxes), tuple(curves))


def _layers(nodes: Sequence[int], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Nodes by the longest way that leads to them; what nothing leads to stands right above its first use."""
    whole: nx.DiGraph = nx.DiGraph()
    whole.add_nodes_from(nodes)
    whole.add_edges_from(edges)
    depth: dict[int, int] = {}
    for number, generation in enumerate(nx.topological_generations(whole)):
        depth.update(dict.fromkeys(generation, number))
    for node in nodes:
        if not whole.in_degree(node) and whole.out_degree(node):
            depth[node] = min(depth[k] for k in whole.successors(node)) - 1
    layers: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        layers[depth[node]].append(node)
    return [layer for layer in layers if layer]


def _middles(layers: list[list[int]], edges: Sequence[tuple[int, int]], widths: dict[int, float]) -> dict[int, float]:
    """The place of each node from left to right: layers are put in the order of their neighbours, down and up."""
    neighbours: dict[int, list[int]] = {node: [] for layer in layers for node in layer}
    for above, below in edges:
        neighbours[above].append(below)
        neighbours[below].append(above)
    middles: dict[int, float] = {}
    for layer in layers:
        _spread(layer, widths, middles)
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {
                node: sum(middles[k] for k in neighbours[node]) / len(neighbours[node]) if neighbours[node] else 0.0
                for node in layer
            }
            layer.sort(key=lambda node: (wanted[node], node))
            _spread(layer, widths, middles, wanted)
    return middles


def _spread(
    layer: Sequence[int], widths: dict[int, float], middles: dict[int, float], wanted: dict[int, float] | None = None
) -> None:
    """Put a layer down in its order, without overlaps, its middle where its nodes want to be on average."""
    edge = 0.0
    for node in layer:
        place = edge + widths[node] / 2
        if wanted is not None:
            place = max(place, wanted[node])
        middles[node] = place
        edge = place + widths[node] / 2 + _GAP
    shift = sum((wanted or {}).get(node, 0.0) - middles[node] for node in layer) / len(layer)
    for node in layer:
        middles[node] += shift


def _names(graph: Graph) -> dict[int, str]:
    """What nodes are called: as the user does, cotangents by what they are the slopes by, results by their paths."""
    named = {slope: f"d_{graph.names[primal]}" for primal, slope in graph.cotangents.items() if primal in graph.names}
    return named | dict(zip(graph.outputs, graph.output_names, strict=True)) | dict(graph.names)


def _text(graph: Graph, node: Node, name: str) -> str:
    if node.op is INPUT:
        return str(node.params["name"])
    constants = [graph.nodes[i].params["value"] for i in node.operands if graph.nodes[i].op is CONSTANT]
    numbers = [f"{value.flat[0]:.6g}" for value in constants if value.size == 1]
    told = f"{node.op.name} {' '.join(numbers)}".strip()
    return f"{name} = {told}" if name else told


def _kind(graph: Graph, node: Node) -> str:
    if node.op is INPUT:
        return "input"
    if node.id in graph.outputs:
        return "output"
    return "adjoint" if node.id in graph.cotangents.values() else "value"


def _rounded(*numbers: float) -> tuple[float, float, float]:
    x, y, width = [round(number, 1) for number in numbers]
    return x, y, width


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    x, y = start[0], start[1] + _HEIGHT / 2
    u, v = end[0], end[1] - _HEIGHT / 2
    bend = (v - y) / 2
    return f"M{x:.1f} {y:.1f}C{x:.1f} {y + bend:.1f} {u:.1f} {v - bend:.1f} {u:.1f} {v:.1f}"

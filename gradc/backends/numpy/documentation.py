"""The docstring of a generated module: what it computes, its arguments with dtypes and shapes, its results."""

from __future__ import annotations

import textwrap
from itertools import groupby

from gradc.backends.numpy.annotations import number
from gradc.backends.numpy.boundary import Result, shown_path, updated_paths
from gradc.backends.numpy.comments import loss_name, printable
from gradc.ir.aval import Aval
from gradc.ir.graph import Graph
from gradc.ir.signature import Branch, Leaf, Signature, Static, Tree, leaves

COLUMNS = 117
LICENCE = "Output is yours (0BSD)"
"""Generated code belongs to who generates it, under no conditions."""


def docstring(graph: Graph, signature: Signature, name: str, *, needs: str = "Needs only NumPy") -> list[str]:
    """The lines between the triple quotes, safe inside them; ``needs`` says what the module cannot do without."""
    from gradc import __version__

    of = f" of {signature.function}" if signature.function else ""
    origin = f" ({signature.origin})" if signature.origin else ""
    head = f"{name}: {signature.summary}{of}{origin}."
    origin = f"gradc {__version__}. {needs}. {LICENCE}."
    heads = [f"{head} {origin}"] if len(head) + len(origin) < COLUMNS else [head, "", origin]
    lines = [*heads, "", *_arguments(graph, signature)]
    if signature.updates:
        lines.append(f"Writes new values into {', '.join(updated_paths(signature).values())}.")
    lines.append(f"Returns {_returns(graph, signature)}.")
    return [_escaped(part) for line in lines for part in _filled(line)]


def _filled(line: str) -> list[str]:
    return textwrap.wrap(printable(line), COLUMNS, subsequent_indent="    ", break_on_hyphens=False) or [""]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _arguments(graph: Graph, signature: Signature) -> list[str]:
    """One line for each run of arguments of one aval, and for each compiled-in value."""
    avals = graph.input_avals
    entries = [entry for a in signature.arguments for entry in _entries(a.tree, a.name)]
    lines = []
    for key, group in groupby(entries, key=lambda e: _kind(e[1], avals)):
        shown = [path for path, _ in group]
        listed = ", ".join(shown) if len(shown) <= 8 else f"{shown[0]} ... {shown[-1]}"
        lines.append(f"{listed}: {key}")
    return lines


def _entries(tree: Tree, path: str) -> list[tuple[str, Leaf | Static]]:
    if not isinstance(tree, Branch):
        return [(path, tree)]
    found = []
    for key, child in zip(tree.keys, tree.children, strict=True):
        found += _entries(child, shown_path(path, ((tree.kind, key),)))
    return found


def _kind(tree: Leaf | Static, avals: tuple[Aval, ...]) -> str:
    if isinstance(tree, Static):
        return f"{tree.text}, compiled in"
    aval = avals[tree.index]
    text = str(aval).removeprefix("~")
    return f"{number(aval)} or {text}" if not aval.shape else text


def _returns(graph: Graph, signature: Signature) -> str:
    """The nesting of the results, gradients as ``dL/dw``."""
    updated = updated_paths(signature)
    labels = [updated.get(k, label) for k, label in enumerate(result_labels(graph, signature))]
    return Result(signature).text(labels, shown=True)


def result_labels(graph: Graph, signature: Signature) -> list[str]:
    """What each output is to the user: ``L``, ``dL/dw["hidden"]``, or the name or key that it has."""
    loss = loss_name(graph)
    paths = {graph.input_names[leaf]: shown_path(root, steps) for leaf, root, steps in signature.input_paths()}
    keys = {leaf: steps[-1][1] if steps else "" for leaf, steps in leaves(signature.output)}
    labels = []
    for k, (name, node) in enumerate(zip(graph.output_names, graph.outputs, strict=True)):
        path = paths.get(name.removeprefix("d_"), "")
        if name.startswith("d_") and path:
            labels.append(f"d{loss}/d{path}")
        else:
            own = paths[graph.input_names[node]] if node in graph.inputs else graph.names.get(node)
            key = keys.get(k, "")
            labels.append(own or (loss if k == 0 else key if isinstance(key, str) and key else name))
    return labels

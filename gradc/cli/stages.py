"""The forms in which ``gradc show`` prints a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gradc.cli.failure import Failure
from gradc.ir.graph import Graph
from gradc.passes.pipeline import simplify

if TYPE_CHECKING:
    from gradc.kernel import Kernel

EMITS: Final = {
    "graph": "text", "derivation": "text", "final": "text", "numpy": "python", "loops": "text", "llvm": "llvm",
    "asm": "gas", "c": "c", "dot": "dot",
}  # fmt: skip
"""What can be printed, and the language in whose colours."""

STAGES: Final = ("trace", "canonicalize", "stabilize", "derivation", "final")
"""The graphs on the way: the function as written, after each pass, its derivative as written, and what runs."""


def emitted(kernel: Kernel, emit: str, after: str | None, stabilize: str) -> str:
    """The text of one form of a kernel. ``after`` chooses the stage of the graph that graph and dot print."""
    texts: dict[str, Callable[[], str]] = {
        "graph": lambda: str(stage(kernel, after or "trace", stabilize)),
        "derivation": lambda: str(kernel.derivation),
        "final": lambda: str(kernel.graph),
        "dot": lambda: dot(stage(kernel, after or "final", stabilize)),
        "numpy": lambda: kernel.numpy_source,
        "loops": lambda: kernel.loops,
        "llvm": lambda: kernel.llvm_ir,
        "asm": lambda: kernel.assembly,
        "c": lambda: kernel.c_source,
    }
    return texts[emit]()


def stage(kernel: Kernel, name: str, stabilize: str) -> Graph:
    """The graph after one of ``STAGES``. Raises Failure for the stable one where nothing is to be stabilised."""
    if name == "stabilize" and stabilize == "off":
        raise Failure("--after stabilize: there is no such stage with --stabilize off")
    graphs: dict[str, Callable[[], Graph]] = {
        "trace": lambda: kernel.trace,
        "canonicalize": lambda: simplify(kernel.trace, stabilize="off"),
        "stabilize": lambda: simplify(kernel.trace, stabilize=stabilize),
        "derivation": lambda: kernel.derivation,
        "final": lambda: kernel.graph,
    }
    return graphs[name]()


def dot(graph: Graph) -> str:
    """The graph in Graphviz's language: inputs as boxes, results in bold, operands numbered where order matters."""
    lines = ["digraph gradc {", "  rankdir=TB;", '  node [shape=ellipse, fontname="monospace"];']
    for node in graph.nodes:
        name = graph.names.get(node.id, "")
        style = "shape=box" if node.id in graph.inputs else "style=bold" if node.id in graph.outputs else ""
        what = str(node.params["name"]) if node.op.name == "input" else node.op.name
        if node.op.name == "constant":
            what = str(node.params["value"]) if node.params["value"].size == 1 else "constant"
        label = "\\n".join(map(_escaped, filter(None, (name and f"{name} =", what, str(node.aval)))))
        lines.append(f'  n{node.id} [label="{label}"{", " if style else ""}{style}];')
    for node in graph.nodes:
        ordered = len(node.operands) > 1 and not node.op.commutative
        for position, operand in enumerate(node.operands):
            label = f' [label="{position}"]' if ordered else ""
            lines.append(f"  n{operand} -> n{node.id}{label};")
    return "\n".join([*lines, "}"])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")

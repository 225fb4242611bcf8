"""One HTML page about a kernel: what was written, how its derivative comes about, and all forms of the code.

The page needs nothing besides itself. A line of one form is linked with those of the others that come from the same
line of the user's; which that is stands in the graph, and in the comments of the generated texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Protocol

from gradc.errors import DerivativeError
from gradc.inspect.derivation import Derivation
from gradc.inspect.drawing import Drawing, drawn
from gradc.ir.graph import CONSTANT, INPUT, Graph
from gradc.ir.node import Fired, Node, Origin
from gradc.ir.signature import Signature
from gradc.ir.text import array_text, param_text

Place = tuple[str, int]
"""A line of the user's: file, as far as a comment tells where its name begins, and number."""

MOST_DRAWN: Final = 80
"""Graphs of more nodes are told, not drawn: a page does not hold them."""

_FILE: Final = r"(?<![\w./])([\w.-]+\.\w+|<[^<>]+>)"
"""A file in a comment: the name from its last space on, or what Python writes where there is none, ``<string>``."""

_WRITTEN: Final = re.compile(_FILE + r":(\d+)")
"""How comments of generated texts name a line."""

_LAST: Final = re.compile(_FILE + "$")

_SLOPE: Final = re.compile(r"\s*d_(\w+) = ")
"""A line of a NumPy module that computes the cotangent of a value with a name."""


@dataclass(frozen=True)
class Row:
    """A line of a panel: code, comment, and which of the user's lines it comes from."""

    code: str
    comment: str = ""
    places: tuple[Place, ...] = ()
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """One form of the code."""

    title: str
    about: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Forms:
    """What a report is made of; texts are those that the kernel prints."""

    name: str
    function: str
    arguments: tuple[tuple[str, str], ...]
    results: tuple[tuple[str, str], ...]
    cost: tuple[tuple[str, str], ...]
    derivation: str
    trace: Graph
    graph: Graph
    numpy: str
    loops: str
    llvm: str
    assembly: str


class Printing(Protocol):
    """What is asked of a kernel."""

    @property
    def name(self) -> str: ...
    @property
    def signature(self) -> Signature: ...
    @property
    def trace(self) -> Graph: ...
    @property
    def graph(self) -> Graph: ...
    @property
    def cost(self) -> Any: ...
    @property
    def numpy_source(self) -> str: ...
    @property
    def loops(self) -> str: ...
    @property
    def llvm_ir(self) -> str: ...
    @property
    def assembly(self) -> str: ...
    def explain(self) -> Derivation: ...


def forms_of(kernel: Printing) -> Forms:
    """What a kernel prints, in one place."""
    graph, cost = kernel.graph, kernel.cost
    try:
        derivation = kernel.explain().text()
    except DerivativeError as error:
        derivation = str(error)
    named = zip(graph.input_names, graph.input_avals, strict=True)
    return Forms(
        name=kernel.name,
        function=" of ".join(filter(None, (kernel.signature.summary, kernel.signature.function))),
        arguments=tuple((name, str(aval)) for name, aval in named),
        results=tuple((n, str(aval)) for n, aval in zip(graph.output_names, graph.output_avals, strict=True)),
        cost=(
            ("floating-point operations", str(cost.flops)),
            ("bytes of arguments and results", str(cost.bytes)),
            ("bytes of scratch memory", str(cost.arena)),
            ("nodes of the graph", str(len(graph.nodes))),
        ),
        derivation=derivation,
        trace=kernel.trace,
        graph=graph,
        numpy=kernel.numpy_source,
        loops=kernel.loops,
        llvm=kernel.llvm_ir,
        assembly=kernel.assembly,
    )


def report(forms: Forms, written: Sequence[tuple[str, int, str]] = ()) -> str:
    """The page. ``written`` are the user's lines (file as shown, number, text), by default those that made nodes."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("gradc.templates").joinpath("html/report.html.j2").read_text("utf-8")
    panels = [
        Panel("As written", "the function, as Python has it", tuple(_source(written or _lines_of(forms.trace)))),
        Panel("NumPy", "the module that needs NumPy alone", tuple(_numpy(forms.numpy, forms.graph))),
        Panel("Loops", "the loop program between graph and machine", tuple(_loops(forms.loops))),
        Panel("Graph", "what runs: differentiated, simplified", tuple(_nodes(forms.graph))),
        Panel("LLVM IR", "what LLVM is given", tuple(_llvm(forms.llvm))),
        Panel("Assembly", "what LLVM makes of it here", tuple(_assembly(forms.assembly))),
    ]
    numbers = _numbered(panels)
    return environment.from_string(source).render(
        forms=forms,
        panels=panels,
        links=lambda row: " ".join(str(numbers[place]) for place in row.places),
        drawing=_drawing(forms.graph, numbers),
        most_drawn=MOST_DRAWN,
        fired=list(_fired(forms.graph.fired)),
    )


def _numbered(panels: Iterable[Panel]) -> dict[Place, int]:
    places = dict.fromkeys(place for panel in panels for row in panel.rows for place in row.places)
    return {place: number for number, place in enumerate(places)}


def _lines_of(graph: Graph) -> list[tuple[str, int, str]]:
    """The user's lines that made nodes, in the order of their files."""
    origins = dict.fromkeys(origin for own in graph.origins.values() for origin in own)
    return sorted((o.file, o.line, o.text) for o in origins)


def _source(written: Sequence[tuple[str, int, str]]) -> Iterator[Row]:
    for file, line, text in written:
        yield Row(text, places=(_place(file, line),), label=str(line))


def _numpy(text: str, graph: Graph) -> Iterator[Row]:
    """Lines say where they come from; those of the backward sweep do so by the value that they are the slope of."""
    named = {name: _places_of(graph.origins.get(node, ())) for node, name in graph.names.items()}
    for line in text.rstrip().splitlines():
        code, comment = _parted(line, "  # ")
        slope = _SLOPE.match(code)
        yield Row(code, comment, _places(comment) or (named.get(slope[1], ()) if slope else ()))


def _loops(text: str) -> Iterator[Row]:
    """A comment of its own stands above what comes from its lines: down to the next, or to where the block ends."""
    above: list[tuple[int, tuple[Place, ...]]] = []
    for line in text.rstrip().splitlines():
        indent = len(line) - len(line.lstrip())
        code, comment = _parted(line, "  # ")
        if line.strip():
            while above and above[-1][0] > indent:
                above.pop()
        if line.lstrip().startswith("# "):
            while above and above[-1][0] >= indent:
                above.pop()
            above.append((indent, _places(line)))
            yield Row(" " * indent, line.strip(), _places(line))
        else:
            yield Row(code, comment, _places(comment) or (above[-1][1] if above else ()))


def _nodes(graph: Graph) -> Iterator[Row]:
    for node in graph.nodes:
        yield Row(_node_text(graph, node), places=_places_of(graph.origins.get(node.id, ())))
    results = zip(graph.outputs, graph.output_names, strict=True)
    yield Row("return " + ", ".join(f"%{node} as {name}" for node, name in results))


def _node_text(graph: Graph, node: Node) -> str:
    name = graph.names.get(node.id)
    head = f"%{node.id}" + (f" {name}" if name else "")
    if node.op is INPUT:
        return f"{head} = input {node.params['name']} : {node.aval}"
    if node.op is CONSTANT:
        value = node.params["value"]
        told = array_text(value) if value.size <= 4 else f"{value.size} elements"
        return f"{head} = constant {told} : {node.aval}"
    operands = ", ".join(f"%{i}" for i in node.operands)
    params = "".join(f", {key}={param_text(value)}" for key, value in node.params.items())
    return f"{head} = {node.op.name}({operands}{params}) : {node.aval}"


def _llvm(text: str) -> Iterator[Row]:
    """A comment that names lines holds down to the next, or to the end of its function."""
    above: tuple[Place, ...] = ()
    for line in text.rstrip().splitlines():
        bare = line.lstrip()
        if bare.startswith(";"):
            above = _places(bare) or above
            yield Row("", line, above)
        else:
            above = () if bare.startswith(("}", "define")) else above
            yield Row(line, places=above if line.startswith(" ") else ())


def _assembly(text: str) -> Iterator[Row]:
    return (Row(line.expandtabs(8)) for line in text.rstrip().splitlines())


def _parted(line: str, mark: str) -> tuple[str, str]:
    code, found, comment = line.partition(mark)
    return (code, found + comment) if found and code.strip() else (line, "")


def _places(comment: str) -> tuple[Place, ...]:
    return tuple(dict.fromkeys((file, int(line)) for file, line in _WRITTEN.findall(comment)))


def _places_of(origins: Sequence[Origin]) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(_place(origin.file, origin.line) for origin in origins))


def _place(file: str, line: int) -> Place:
    """A line as comments give it back."""
    found = _LAST.search(file)
    return (found[1] if found else file, line)


def _fired(log: Sequence[Fired]) -> Iterator[tuple[str, int, str]]:
    """Laws by name, in the order in which they first fired: how often, and the user's lines."""
    by_law: dict[str, list[Fired]] = {}
    for fired in log:
        if fired.law:
            by_law.setdefault(fired.law, []).append(fired)
    for law, all_of in by_law.items():
        lines = dict.fromkeys(str(origin) for fired in all_of for origin in fired.origins)
        shown = ", ".join(list(lines)[:4]) + (" ..." if len(lines) > 4 else "")
        yield law, len(all_of), shown


def _drawing(graph: Graph, numbers: dict[Place, int]) -> Drawing | None:
    if len(graph.nodes) > MOST_DRAWN:
        return None

    def links(node_id: int) -> str:
        return " ".join(str(numbers[place]) for place in _places_of(graph.origins.get(node_id, ())))

    return drawn(graph, links)

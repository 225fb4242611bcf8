"""A graph rendered as a module that needs NumPy alone: the mathematics first, checks, helpers and constants below."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradc.backends.numpy.annotations import result_type
from gradc.backends.numpy.body import Body, Line
from gradc.backends.numpy.boundary import OWN_NAMES, ending, local_names, new_classes, parameters, quoted, shown_path
from gradc.backends.numpy.checking import argument_rows, leaf_order
from gradc.backends.numpy.documentation import docstring
from gradc.backends.numpy.expand import expand
from gradc.backends.numpy.layout import aligned, heading, wrapped
from gradc.backends.numpy.load import load
from gradc.backends.numpy.memory import MemoryBody
from gradc.backends.numpy.naming import Names, identifier
from gradc.backends.numpy.outputs import own_outputs
from gradc.backends.numpy.symbols import with_local_symbols
from gradc.errors import ArgumentError, CompileError
from gradc.ir.graph import Graph
from gradc.ir.signature import Signature, flat_signature

if TYPE_CHECKING:
    from jinja2 import Template

_BODIES: Final[dict[str, type[Body]]] = {"readable": Body, "fast": MemoryBody}
"""The styles of a module: as a person would read it, and so that it makes few arrays."""


def render(graph: Graph, signature: Signature, *, name: str, style: str = "readable", tests: Sequence[str] = ()) -> str:
    """The source of a standalone module with one function ``name`` that computes ``graph``.

    It has the user's parameters and containers, checks its arguments (TypeError, ValueError), never warns, and its
    results alias nothing. Symbolic sizes are read off the arguments. The same graph gives the same text. With
    ``style="fast"`` values are computed into arrays that are not needed any more (``gradc.backends.numpy.memory``).
    ``tests`` are the statements of its self-test (``gradc.backends.numpy.selftest``).
    Raises CompileError for names, keys or ops that cannot be written, ArgumentError for another style.
    """
    if style not in _BODIES:
        raise ArgumentError(f"style={style!r} is not one of {', '.join(map(quoted, _BODIES))}")
    signature.check(len(graph.inputs), len(graph.outputs))
    return _render(graph, signature, name, checked=True, style=style, tests=tests)


def flat_entry(graph: Graph, *, name: str) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """The same statements as a callable from the list of inputs, checked already, to the list of outputs."""
    name = identifier(name, "kernel")
    names = Names()
    names.take(name)
    inputs = tuple(names.take(path, "x") for path in graph.input_names)
    function = load(_render(graph, flat_signature(graph, inputs), name, checked=False), name)

    def entry(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(result) for result in function(*[array[()] for array in inputs])]  # 0-d: numbers

    return entry


def _render(
    graph: Graph,
    signature: Signature,
    name: str,
    *,
    checked: bool,
    style: str = "readable",
    tests: Sequence[str] = (),
) -> str:
    if identifier(name.lstrip("_")) != name.lstrip("_") or name in OWN_NAMES or name in _helper_texts():
        raise CompileError(
            f"{name!r} cannot be the name of a generated function; choose an identifier that its code does not use"
        )
    names = Names()
    names.take(name)
    classes = new_classes(signature)
    for argument in signature.arguments:
        if argument.name in classes:
            raise CompileError(f"an argument and a class of the result are both called {argument.name}; rename one")
    names.reserve(classes)
    inputs = local_names(signature, graph, names)
    paths = [
        path for _, path in sorted((leaf, shown_path(root, steps)) for leaf, root, steps in signature.input_paths())
    ]
    documentation = docstring(graph, signature, name) if checked else []
    graph, sizes = with_local_symbols(expand(graph), names)
    body = _BODIES[style](graph, names, inputs, paths)
    body.write()
    outputs = own_outputs(body, graph)
    returned = ending(signature, outputs, names)
    rows = [*_size_rows(graph, inputs, sizes, [*(line.code for line in body.lines), *returned]), *body.lines]
    typed = graph.input_avals if checked else None
    returns = result_type(signature.output, graph.output_avals, classes) if checked else ""
    checked = checked and bool(signature.arguments)
    if checked:
        rows.insert(0, Line(_unpack(signature, inputs, leaf_order(signature, graph.input_avals))))
    arguments = argument_rows(signature, graph.input_avals) if checked else []
    code = [row.code for row in rows] + arguments + returned
    used = set(re.findall(r"\b[A-Z][A-Z_0-9]*\b", "\n".join(code)))
    constants = [(constant, text) for constant, text in body.constants if constant in used]
    heads = [text.partition("(")[0] + "(" for _, text in constants]
    helpers = helpers_of([*code, *heads, *tests])
    return _template().render(
        documentation=documentation,
        classes=[f'{c} = namedtuple("{c}", {list(fields)!r})' for c, fields in classes.items()],
        heading=heading(name, parameters(signature.arguments, typed), returns),
        lines=[*aligned(rows), *(line for statement in returned for line in wrapped(statement))],
        floats=any(node.aval.is_float for node in graph.nodes),
        checked=checked,
        passed=", ".join(a.name for a in signature.arguments),
        argument_rows=arguments,
        helpers=helpers,
        constants=[f"{constant} = {text}" for constant, text in constants],
        tests=tests,
    )


def _unpack(signature: Signature, inputs: Sequence[str], order: Sequence[int]) -> str:
    """The first statement: the checked arrays under their local names."""
    targets = ", ".join(inputs[leaf] for leaf in order)
    call = f"_arguments({', '.join(argument.name for argument in signature.arguments)})"
    return f"{targets} = {call}" if targets else call


def _size_rows(graph: Graph, inputs: Sequence[str], sizes: dict[str, str], code: list[str]) -> list[Line]:
    """``batch = x.shape[0]`` for the symbolic sizes that the code speaks of."""
    rows = []
    for symbol, local in sizes.items():
        if any(re.search(rf"\b{local}\b", text) for text in code):
            for name, aval in zip(inputs, graph.input_avals, strict=True):
                axes = [axis for axis, dim in enumerate(aval.shape) if str(dim) == local]
                if axes:
                    rows.append(Line(f"{local} = {name}.shape[{axes[0]}]"))
                    break
            else:
                raise CompileError(f"the size {symbol} cannot be read off the arguments: none has an axis of that size")
    return rows


def helpers_of(code: Sequence[str]) -> list[str]:
    """The texts of the helpers that the code calls, and of those that they call."""
    available = _helper_texts()
    found: dict[str, str] = {}
    queue = list(code)
    while queue:
        for called in re.findall(r"\b_[a-z]\w*(?=\()", queue.pop(0)):
            if called in available and called not in found:
                found[called] = available[called]
                queue.append(available[called])
    return [text for name, text in available.items() if name in found]


@cache
def _helper_texts() -> dict[str, str]:
    folder = resources.files("gradc.templates") / "numpy" / "helpers"
    ending = ".py.j2"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(ending)), key=lambda f: f.name)
    return {f.name.removesuffix(ending): f.read_text(encoding="utf-8").rstrip() for f in files}


@cache
def _template() -> Template:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def source(name: str) -> Any:
        return (resources.files("gradc.templates") / "numpy" / name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("kernel.py.j2")

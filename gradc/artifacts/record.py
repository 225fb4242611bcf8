"""A kernel as plain data: what was asked for, how it is called, and the text of its graph.

The record goes through JSON; the graph as traced is text of its own (``gradc.ir.text``). From both the kernel is made
again, with everything to inspect it. Nothing that is read is evaluated: literals are parsed, graphs are verified, and
whatever is not as it was written raises ArtifactError.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from typing import Any, Final, NamedTuple

from gradc.compiler import Compiled, compile_trace
from gradc.errors import ArtifactError, CompileError, GradcError
from gradc.frontend.layout import Call
from gradc.frontend.tree import LEAF, NONE, TreeDef
from gradc.ir.aval import Aval
from gradc.ir.draft import draft_of
from gradc.ir.graph import Graph
from gradc.ir.parse import parse_graph
from gradc.ir.signature import KEYS_BY_NAME, Argument, Branch, Leaf, Signature, Static, Tree, leaves
from gradc.ir.verify import verify
from gradc.request import Backend, Request

_KINDS: Final = {kind.description: kind for kind in inspect._ParameterKind}
_CONTAINERS: Final[dict[str, type]] = {"dict": dict, "list": list, "tuple": tuple}
_DEEPEST: Final = 64
"""Containers within containers that are read back."""

_LONGEST_LITERAL: Final = 10_000
"""Characters of a value that was compiled in; Python's parser could run out of stack on endless ones."""


def record_of(compiled: Compiled) -> dict[str, Any]:
    """Everything of a kernel but its graph. Raises CompileError for values compiled in that no text stands for."""
    request, signature = compiled.request, compiled.signature
    for argument in signature.arguments:
        for static in _statics(argument.tree):
            if static.named:
                raise CompileError(
                    f"{argument.name} holds {static.text}, which is compiled in and cannot be saved; "
                    "make it part of the function instead"
                )
    return {
        "request": {
            "derivative": request.derivative, "wrt": list(request.wrt), "primals": request.primals,
            "stabilize": request.stabilize, "name": request.name, "donate": [list(pair) for pair in request.donate],
        },
        "arguments": [
            {"name": a.name, "kind": a.kind, "default": a.default, "value": _plain(a.tree)} for a in signature.arguments
        ],
        "output": _plain(signature.output),
        "updates": [list(pair) for pair in signature.updates],
        "function": signature.function,
        "origin": signature.origin,
        "summary": signature.summary,
    }  # fmt: skip


def compiled_from(record: Any, text: str, *, backend: Backend = "llvm", threads: int = 1) -> Compiled:
    """The kernel of a record and the text of its trace. Raises ArtifactError."""
    try:
        trace = parse_graph(text)
        verify(trace)
        asked = record["request"]
        request = Request(
            backend=backend,
            threads=threads,
            derivative=_word(asked["derivative"]),  # type: ignore[arg-type]
            wrt=tuple([_whole(k, len(trace.inputs)) for k in asked["wrt"]]),
            primals=_whole(asked["primals"], len(trace.outputs) + 1),
            stabilize=asked["stabilize"],
            name=_word(asked["name"]),
            donate=_pairs(asked["donate"], trace),
        )
        arguments = tuple([_argument(entry) for entry in record["arguments"]])
        facts = {fact: _line(record[fact]) for fact in ("function", "origin", "summary")}
        output, updates = _tree(record["output"]), _pairs(record["updates"], trace)
        signature = Signature(arguments, output, updates=updates, **facts)
        compiled = compile_trace(draft_of(trace), lambda results: signature, request)
        _require_fitting(compiled)
        return compiled
    except ArtifactError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, GradcError) as error:
        raise ArtifactError(f"the record of a kernel is not as it was written: {error!r}") from None


def _require_fitting(compiled: Compiled) -> None:
    """Raise ArtifactError unless results stand in order and those in the memory of inputs are of the same kind."""
    signature, donate = compiled.signature, compiled.request.donate
    found = [index for index, _ in leaves(signature.output)]
    if found != list(range(len(found))):
        raise ArtifactError(f"the results of a kernel are {found!r:.60} and not in order")
    pairs = [(compiled.input_avals[source], compiled.output_avals[result]) for source, result in donate]
    alike = all((a.shape, a.dtype) == (b.shape, b.dtype) for a, b in pairs)
    once = all(len(set(side)) == len(donate) for side in zip(*donate, strict=True))
    if not (alike and once and set(signature.updates) <= set(donate)):
        raise ArtifactError(f"the results {donate!r:.60} cannot take the memory of these inputs")


def call_of(
    signature: Signature, avals: Sequence[Aval], classes: Sequence[type] = ()
) -> tuple[Call, list[Leaf | Static], TreeDef]:
    """A call with abstract values, what each leaf of it is, and the structure of the result.

    Namedtuples and dataclasses are those of ``classes`` by name, else new ones. Raises ArtifactError.
    """
    made = {cls.__name__: cls for cls in classes}
    slots: list[Leaf | Static] = []
    trees = [(argument.name, _structure(argument.tree, made, slots)) for argument in signature.arguments]
    leaves = [avals[slot.index] if isinstance(slot, Leaf) else ast.literal_eval(slot.text) for slot in slots]
    call = Call(_python_signature(signature.arguments), tuple(trees), tuple(leaves))
    return call, slots, _structure(signature.output, made, [])


def _python_signature(arguments: Sequence[Argument]) -> inspect.Signature:
    """The signature with the defaults that have a literal, as far as Python's grammar lets them stand."""
    positional = [a for a in arguments if a.kind in ("positional-only", "positional or keyword")]
    required = max((k for k, a in enumerate(positional) if a.default is None), default=-1)
    parameters = []
    for argument in arguments:
        has_default = argument.default is not None and argument not in positional[:required]
        default = ast.literal_eval(argument.default or "") if has_default else inspect.Parameter.empty
        parameters.append(inspect.Parameter(argument.name, _KINDS[argument.kind], default=default))
    return inspect.Signature(parameters)


def _structure(tree: Tree, classes: dict[str, type], slots: list[Leaf | Static]) -> TreeDef:
    """The structure of a tree; its leaves are added to ``slots``."""
    if isinstance(tree, Static) and tree.text == "None":
        return NONE
    if not isinstance(tree, Branch):
        slots.append(tree)
        return LEAF
    children = tuple([_structure(child, classes, slots) for child in tree.children])
    if tree.kind not in KEYS_BY_NAME:
        return TreeDef(_CONTAINERS[tree.kind], tree.keys, children)
    fields = [str(key) for key in tree.keys]
    if tree.type_name not in classes:
        classes[tree.type_name] = _new_class(tree.kind, tree.type_name, fields)
    cls = classes[tree.type_name]
    own = getattr(cls, "_fields", None) or tuple(getattr(cls, "__dataclass_fields__", ()))
    if list(own) != fields:
        raise ArtifactError(f"the class {tree.type_name} has the fields {list(own)} and the artifact {fields}")
    return TreeDef(cls, tree.keys, children)


def _new_class(kind: str, name: str, fields: list[str]) -> type:
    if kind == "dataclass":
        return make_dataclass(name, fields)
    made: type = NamedTuple(name, [(field, Any) for field in fields])  # type: ignore[misc]
    return made


# Trees as plain data: {"input": 0}, {"static": "'mean'"}, {"dict": [["a", {...}], ...], "class": "..."}.


def _plain(tree: Tree) -> dict[str, Any]:
    if isinstance(tree, Leaf):
        return {"leaf": tree.index}
    if isinstance(tree, Static):
        return {"static": tree.text}
    entries = [[_plain_key(key), _plain(child)] for key, child in zip(tree.keys, tree.children, strict=True)]
    return {tree.kind: entries} | ({"class": tree.type_name} if tree.type_name else {})


def _tree(data: Any, depth: int = 0) -> Tree:
    if not isinstance(data, dict) or depth > _DEEPEST:
        raise ArtifactError(f"{data!r:.60} is no argument or result")
    if "leaf" in data:
        return Leaf(_whole(data["leaf"], 2**31))
    if "static" in data:
        return Static(_literal(data["static"]))
    kind = next(iter(data), None)
    if kind not in (*_CONTAINERS, *KEYS_BY_NAME):
        raise ArtifactError(f"{kind!r} is no container of arguments or results")
    keys = tuple([_key(key) for key, _ in data[kind]])
    children = tuple([_tree(child, depth + 1) for _, child in data[kind]])
    name = _word(data["class"]) if kind in KEYS_BY_NAME else ""
    return Branch(kind, keys, children, name)


def _plain_key(key: Any) -> Any:
    return {"tuple": [_plain_key(part) for part in key]} if isinstance(key, tuple) else key


def _key(data: Any) -> Any:
    if isinstance(data, dict):
        return tuple([_key(part) for part in data["tuple"]])
    if data is not None and type(data) not in (str, int, float, bool):
        raise ArtifactError(f"{data!r:.60} is no key of a container")
    return data


def _argument(data: Mapping[str, Any]) -> Argument:
    default = None if data["default"] is None else _literal(data["default"])
    if data["kind"] not in _KINDS:
        raise ArtifactError(f"{data['kind']!r} is no kind of parameter")
    return Argument(_word(data["name"]), _tree(data["value"]), data["kind"], default)


def _statics(tree: Tree) -> list[Static]:
    if isinstance(tree, Branch):
        return [static for child in tree.children for static in _statics(child)]
    return [tree] if isinstance(tree, Static) else []


def _pairs(data: Any, trace: Graph) -> tuple[tuple[int, int], ...]:
    """Pairs of an input and an output."""
    return tuple([(_whole(a, len(trace.inputs)), _whole(b, len(trace.outputs))) for a, b in data])


def _whole(number: Any, end: int) -> int:
    """A whole number from 0 to below ``end``."""
    if type(number) is not int or not 0 <= number < end:
        raise ArtifactError(f"{number!r:.60} is no number from 0 to {end - 1}")
    return number


def _literal(text: Any) -> str:
    """The text of a literal of Python's."""
    try:
        if isinstance(text, str) and len(text) <= _LONGEST_LITERAL:
            ast.literal_eval(text)
            return text
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    raise ArtifactError(f"{text!r:.60} is no literal")


def _word(text: Any) -> str:
    if not isinstance(text, str) or not text.isidentifier():
        raise ArtifactError(f"{text!r:.60} is no name")
    return text


def _line(text: Any) -> str:
    if not isinstance(text, str) or len(text.splitlines()) > 1:
        raise ArtifactError(f"{text!r:.60} is no line of text")
    return text

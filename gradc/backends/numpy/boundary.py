"""The edge of a generated function: its parameters, the names of its inputs, and the result."""

from __future__ import annotations

import ast
import keyword
import math
from collections.abc import Iterable, Sequence

from gradc.backends.numpy.annotations import argument_type
from gradc.backends.numpy.naming import Names
from gradc.errors import CompileError
from gradc.ir.aval import Aval
from gradc.ir.graph import Graph
from gradc.ir.signature import KEYS_BY_NAME, Argument, Branch, Key, Leaf, Signature, Static, Tree, leaves

OWN_NAMES = frozenset(
    {"_arguments", "_array", "_fields", "_items", "_keys", "_named", "_selftest", "_sizes", "_static"}
)
"""What generated modules call their own functions around the arguments."""

MARKS = {"variadic positional": "*", "variadic keyword": "**"}


def quoted(text: str) -> str:
    """A string literal, in double quotes where the text has none."""
    text = repr(text)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text


def key_text(key: Key) -> str:
    """A container's key as a literal. Raises CompileError for a key that has none."""
    if isinstance(key, str):
        return quoted(key)
    if isinstance(key, tuple):
        return f"({', '.join(key_text(k) for k in key)}{',' if len(key) == 1 else ''})"
    if key is None or type(key) in (bool, int) or (type(key) is float and math.isfinite(key)):
        return repr(key)
    raise CompileError(
        f"the key {key!r} of a container cannot be written into a module; use strings or numbers as keys"
    )


def literal_text(text: str) -> str:
    """A literal of the signature, checked to be one: nothing else gets into a module. Raises CompileError."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise CompileError(f"{text} is not a literal that can be written into a module") from error
    return quoted(value) if isinstance(value, str) else repr(value)


def shown_path(root: str, steps: Iterable[tuple[str, Key]]) -> str:
    """The path of a leaf as messages and comments show it."""
    return root + "".join(f".{key}" if kind in KEYS_BY_NAME else f"[{key_text(key)}]" for kind, key in steps)


def parameters(arguments: Sequence[Argument], avals: Sequence[Aval] | None = None) -> str:
    """The parameter list as in the user's function, with types where the avals of the inputs are given.

    A default that has no literal is left out, and then so are those before it, as Python's grammar wants.
    """
    parts: list[str] = []
    previous = ""
    positional = [a for a in arguments if a.kind in ("positional-only", "positional or keyword")]
    required = max((k for k, a in enumerate(positional) if a.default is None), default=-1)
    for argument in arguments:
        check_name(argument.name)
        if previous == "positional-only" and argument.kind != previous:
            parts.append("/")
        if argument.kind == "keyword-only" and previous not in ("keyword-only", "variadic positional"):
            parts.append("*")
        text = MARKS.get(argument.kind, "") + argument.name
        known = "" if avals is None else argument_type(argument.tree, avals, argument.kind)
        text += f": {known}" if known else ""
        if argument.default is not None and argument not in positional[:required]:
            text += (" = " if known else "=") + literal_text(argument.default)
        parts.append(text)
        previous = argument.kind
    if previous == "positional-only":
        parts.append("/")
    return ", ".join(parts)


def check_name(name: str) -> None:
    """Raise CompileError for a name that cannot stand in a module: the user's own parameters and fields keep theirs."""
    if not name.isidentifier() or keyword.iskeyword(name) or name == "np" or name in OWN_NAMES:
        raise CompileError(f"{name!r} cannot be the name of an argument or a field in a generated module; rename it")


def local_names(signature: Signature, graph: Graph, names: Names) -> list[str]:
    """A local name for each input: the user's own for it, the argument's, or the last key that tells leaves apart.

    A key that is also the name of a variable of the user's is left to that variable.
    """
    paths = signature.input_paths()
    for argument in signature.arguments:
        names.take(argument.name)
    found = [""] * len(paths)
    last_keys = [steps[-1][1] if steps else None for _, _, steps in paths]
    variables = set(graph.names.values())
    for (leaf, root, steps), last in zip(paths, last_keys, strict=True):
        if not steps:
            found[leaf] = root
        elif graph.inputs[leaf] in graph.names:
            found[leaf] = names.take(graph.names[graph.inputs[leaf]])
        elif isinstance(last, str) and last.isidentifier() and last_keys.count(last) == 1 and last not in variables:
            found[leaf] = names.take(last)
        else:
            found[leaf] = names.take("_".join([root, *(str(key) for _, key in steps)]))
    return found


class Result:
    """Writes the result. A namedtuple or dataclass is rebuilt with the class of the argument that has its name."""

    def __init__(self, signature: Signature) -> None:
        self._tree = signature.output
        self._given: dict[str, str] = {}
        for argument in signature.arguments:
            _note_classes(argument.tree, argument.name, self._given)

    def text(self, outputs: Sequence[str], *, shown: bool = False) -> str:
        """The expression of the result, an outermost tuple without parentheses; ``shown`` in documentation."""
        text = self._text(self._tree, outputs, shown)
        bare = isinstance(self._tree, Branch) and self._tree.kind == "tuple" and len(self._tree.children) > 1
        return text[1:-1] if bare else text

    def _text(self, tree: Tree, outputs: Sequence[str], shown: bool) -> str:
        if isinstance(tree, Leaf):
            return outputs[tree.index]
        if isinstance(tree, Static):
            if tree.named:
                raise CompileError(f"the result holds {tree.text}, which cannot be written into a module")
            return literal_text(tree.text)
        children = [self._text(child, outputs, shown) for child in tree.children]
        if tree.kind == "dict":
            return "{" + ", ".join(f"{key_text(k)}: {c}" for k, c in zip(tree.keys, children, strict=True)) + "}"
        if tree.kind == "list":
            return f"[{', '.join(children)}]"
        if tree.kind == "tuple":
            return f"({', '.join(children)}{',' if len(children) == 1 else ''})"
        fields = ", ".join(f"{key}={child}" for key, child in zip(tree.keys, children, strict=True))
        return f"{tree.type_name if shown else self._class(tree)}({fields})"

    def _class(self, tree: Branch) -> str:
        given = self._given.get(tree.type_name)
        return f"{given}.__class__" if given else tree.type_name


def updated_paths(signature: Signature) -> dict[int, str]:
    """The arguments that the function writes into, by the output that has the new value."""
    paths = {leaf: shown_path(root, steps) for leaf, root, steps in signature.input_paths()}
    return {output: paths[leaf] for leaf, output in signature.updates}


def ending(signature: Signature, outputs: Sequence[str], names: Names) -> list[str]:
    """The last statements of a function: arguments get the new values that they are to have, the result is returned."""
    updated = updated_paths(signature)
    result = Result(signature).text([updated.get(k, text) for k, text in enumerate(outputs)])
    if not updated:
        return [f"return {result}"]
    places = ", ".join(f"{path}[...]" for path in updated.values())
    update = f"{places} = {', '.join(outputs[k] for k in updated)}"
    if result.isidentifier() or all(index in updated for index, _ in leaves(signature.output)):
        return [update, f"return {result}"]
    kept = names.take("result")
    return [f"{kept} = {result}", update, f"return {kept}"]


def new_classes(signature: Signature) -> dict[str, tuple[str, ...]]:
    """The classes of the result that no argument has, by name: their fields. The module defines them itself."""
    given: dict[str, str] = {}
    for argument in signature.arguments:
        _note_classes(argument.tree, argument.name, given)
    found: dict[str, tuple[str, ...]] = {}
    _collect_classes(signature.output, given, found)
    return found


def _collect_classes(tree: Tree, given: dict[str, str], found: dict[str, tuple[str, ...]]) -> None:
    if not isinstance(tree, Branch):
        return
    if tree.kind in KEYS_BY_NAME and tree.type_name not in given:
        keys = tuple(map(str, tree.keys))
        for name in (tree.type_name, *keys):
            check_name(name)
        if found.setdefault(tree.type_name, keys) != keys:
            raise CompileError(f"two classes of the result are called {tree.type_name}; rename one")
    for child in tree.children:
        _collect_classes(child, given, found)


def _note_classes(tree: Tree, code: str, found: dict[str, str]) -> None:
    """Where in the arguments an instance of each class stands."""
    if isinstance(tree, Branch):
        if tree.kind in KEYS_BY_NAME:
            found.setdefault(tree.type_name, code)
        for key, child in zip(tree.keys, tree.children, strict=True):
            step = f".{key}" if tree.kind in KEYS_BY_NAME else f"[{key_text(key)}]"
            _note_classes(child, code + step, found)

"""The types in the ``def`` line of a generated function, made of builtins and NumPy alone.

A 0-d input is a ``float`` (``int``, ``bool``, ``complex``), which NumPy's scalars and 0-d arrays stand in for; other
arrays are ``np.ndarray``. A class of the user's that the module does not define stays without a type.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence

from gradc.backends.numpy.expressions import dtype_text
from gradc.ir.aval import Aval
from gradc.ir.signature import Branch, Leaf, Static, Tree

LONGEST_TUPLE = 3
"""Elements of one type up to which a tuple is written out."""


def argument_type(tree: Tree, avals: Sequence[Aval], kind: str) -> str:
    """The type of an argument; of one element or value of ``*args`` or ``**kwargs``. Empty where none is known."""
    if kind.startswith("variadic") and isinstance(tree, Branch):
        return _union([_type(child, avals, number, ()) for child in tree.children])
    return _type(tree, avals, number, ())


def result_type(tree: Tree, avals: Sequence[Aval], classes: Collection[str]) -> str:
    """The type of the result; ``classes`` are those that the module defines."""
    return _type(tree, avals, lambda aval: dtype_text(aval.dtype), classes)


def number(aval: Aval) -> str:
    """The Python type of a number of this dtype."""
    return {"b": "bool", "i": "int", "u": "int", "c": "complex"}.get(aval.dtype.kind, "float")


def _type(tree: Tree, avals: Sequence[Aval], scalar: Callable[[Aval], str], classes: Collection[str]) -> str:
    if isinstance(tree, Leaf):
        aval = avals[tree.index]
        return "np.ndarray" if aval.shape else scalar(aval)
    if isinstance(tree, Static):
        value = None if tree.named else ast.literal_eval(tree.text)
        return "" if tree.named else "None" if value is None else type(value).__name__
    parts = [_type(child, avals, scalar, classes) for child in tree.children]
    if tree.kind in ("namedtuple", "dataclass"):
        return tree.type_name if tree.type_name in classes else ""
    if not all(parts):
        return tree.kind
    if tree.kind == "dict":
        keys = _union([type(key).__name__ if key is not None else "None" for key in tree.keys])
        return f"dict[{keys}, {_union(parts)}]" if parts else "dict"
    if tree.kind == "list":
        return f"list[{_union(parts)}]" if parts else "list"
    if len(parts) > LONGEST_TUPLE and len(set(parts)) == 1:
        return f"tuple[{parts[0]}, ...]"
    return f"tuple[{', '.join(parts) or '()'}]"


def _union(types: Sequence[str]) -> str:
    """One of several types, each said once; empty where one of them is not known."""
    return " | ".join(dict.fromkeys(types)) if all(types) else ""

"""How a kernel is called: the user's argument names and nested containers, told in plain data.

A graph takes a flat list of arrays and gives one back. A ``Signature`` says how they come out of the arguments of
the user's function and how the results are put together again: enough to write ``def loss_grad(w, x, y):``, to
unpack ``w["hidden"]`` into a local name, to check arguments by name, and to build dicts, lists and tuples.

    Signature(
        arguments=(
            Argument("w", Branch("dict", ("hidden", "out"), (Leaf(0), Leaf(1)))),
            Argument("x", Leaf(2)),
            Argument("mode", Static("'mean'"), default="'mean'"),
        ),
        output=Branch("tuple", (0, 1), (Leaf(0), Branch("dict", ("hidden", "out"), (Leaf(1), Leaf(2))))),
        function="loss",
        origin="net.py:4",
        summary="value and gradient",
    )

``Leaf(k)`` in an argument is input k of the graph, in the output it is output k. Each input stands in exactly one
leaf, in any order; an output may stand in several. Names and keys come from outside: they are data here, and what
writes code from them has to quote them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gradc.errors import CompileError
from gradc.ir.graph import Graph

Key = str | int | float | bool | None | tuple["Key", ...]
"""A key of a container: a dict's key, a position, or the name of a field."""

KEYS_BY_NAME = ("namedtuple", "dataclass")
"""Containers whose children are attributes: ``w.hidden``."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An array: input ``index`` of the graph in an argument, output ``index`` in the result."""

    index: int


@dataclass(frozen=True, slots=True)
class Static:
    """A value that was compiled in: None, a bool, a string, a callable, or an int that Python needed as a number.

    ``text`` is its repr where that is a Python literal; with ``named`` it is the ``__name__`` of a callable or a
    class, for which there is no literal.
    """

    text: str
    named: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """A container of one of the ``kind``s; ``keys`` and ``children`` go together, in the order of the container.

    ``type_name`` is the name of the class of a namedtuple or a dataclass, empty for the others.
    """

    kind: Literal["dict", "list", "tuple", "namedtuple", "dataclass"]
    keys: tuple[Key, ...]
    children: tuple[Tree, ...]
    type_name: str = ""


Tree = Leaf | Static | Branch
"""A nested container of leaves and static values."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of the user's function.

    ``kind`` is ``inspect.Parameter.kind.description``; the tree of ``*args`` is a tuple, that of ``**kwargs`` a dict.
    ``default`` is the text of the default where that is a Python literal, else None: the argument is required then.
    """

    name: str
    tree: Tree
    kind: str = "positional or keyword"
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """The call of a kernel: its arguments, its result, and what the documentation says about it.

    ``function`` is the name of the user's function, ``origin`` its place (``net.py:4``), ``summary`` what the kernel
    computes of it (``value``, ``gradient``, ``value and gradient``). ``updates`` are pairs of an input that the
    function writes into and the output that has its new value, which may be one behind those that ``output`` holds.
    """

    arguments: tuple[Argument, ...]
    output: Tree
    function: str = ""
    origin: str = ""
    summary: str = "value"
    updates: tuple[tuple[int, int], ...] = ()

    def input_paths(self) -> list[tuple[int, str, tuple[tuple[str, Key], ...]]]:
        """For each leaf of the arguments in order: the input, the argument's name, and the steps that lead to it.

        A step is the kind of the container and the key in it.
        """
        return [(leaf, a.name, steps) for a in self.arguments for leaf, steps in leaves(a.tree)]

    def check(self, inputs: int, outputs: int) -> None:
        """Raise CompileError unless the leaves are the inputs of a graph with so many, each once, and its outputs."""
        taken = sorted(index for index, _, _ in self.input_paths())
        if taken != list(range(inputs)):
            raise CompileError(f"the arguments hold the inputs {taken}, and the graph has {inputs}, each wanted once")
        given = {index for index, _ in leaves(self.output)} | {output for _, output in self.updates}
        if given != set(range(outputs)):
            raise CompileError(f"the result holds the outputs {sorted(given)}, and the graph has {outputs}")


def leaves(tree: Tree, steps: tuple[tuple[str, Key], ...] = ()) -> Iterator[tuple[int, tuple[tuple[str, Key], ...]]]:
    """The index of every leaf with the steps to it, in order."""
    if isinstance(tree, Leaf):
        yield tree.index, steps
    elif isinstance(tree, Branch):
        for key, child in zip(tree.keys, tree.children, strict=True):
            yield from leaves(child, (*steps, (tree.kind, key)))


def flat_signature(graph: Graph, names: tuple[str, ...] = ()) -> Signature:
    """The signature of a kernel that takes the inputs one by one and returns a list of the outputs."""
    names = names or tuple(f"x{k}" for k in range(len(graph.inputs)))
    arguments = tuple(Argument(name, Leaf(k)) for k, name in enumerate(names))
    positions = tuple(range(len(graph.outputs)))
    return Signature(arguments, Branch("list", positions, tuple(map(Leaf, positions))))

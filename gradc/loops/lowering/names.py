"""The names in a loop program: the user's where there are any, valid and distinct; and the lines for the reader.

While statements are written, every scalar has a raw name that is unique in the kernel. ``lowering.tidy.spell``
replaces them by those that people read, which may repeat in blocks beside each other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from gradc.ir.graph import Graph
from gradc.loops.language.program import PRIMITIVES
from gradc.loops.lowering.plan import Stage
from gradc.ops.shape import reshape

_LOOPS: Final[tuple[str, ...]] = (*"ijklmnpqrs", *(f"axis{n}" for n in range(64)))
_WORDS: Final = """
program input output arena constant message function begin pass for in to step seq parallel vector carry let if else
local check call contract convert select and or xor not true false inf nan lanes of blocks sequence read write hex
bytes at min max
"""
_RESERVED: Final = frozenset(PRIMITIVES) | frozenset(_WORDS.split())
_PARTIALS: Final = {
    "add": "sum", "mul": "product", "maximum": "largest", "minimum": "smallest", "logical_or": "any",
    "logical_and": "all",
}  # fmt: skip


class Names:
    """Gives out the names of buffers, and remembers which names scalars should have."""

    def __init__(self, graph: Graph, taken: Collection[str] = ()) -> None:
        self.graph = graph
        given = {identifier(name) for name in (*graph.names.values(), *graph.input_names, *graph.output_names)}
        self._loops = [name for name in _LOOPS if name not in given and name not in taken]
        self.taken: set[str] = {*self._loops, *_RESERVED, *taken}
        """Names of buffers and of scalars in the outermost block, and what may be no name."""
        self.wanted: dict[str, str] = {}
        """The name that a person should read, by raw name; empty for none in particular."""
        self.spoken: set[str] = set()
        """The raw names of scalars that stay even where they are used once."""
        self._cotangents = {ct: graph.names[p] for p, ct in graph.cotangents.items() if p in graph.names}
        self._reshaped: dict[int, str] = {}
        for node in reversed(graph.nodes):
            if node.op is reshape:
                self._reshaped[node.operands[0]] = self.of_array(node.id)
        self._backward = _backward(graph)
        self._buffers: set[str] = set()
        self._last = ""

    def of(self, node: int) -> str:
        """The user's name of a node as an identifier, ``d_x`` for the cotangent of x; empty where there is none."""
        name = self.graph.names.get(node, "")
        if not name and node in self._cotangents:
            name = f"d_{self._cotangents[node]}"
        return identifier(name)

    def of_array(self, node: int) -> str:
        """The same for an array: where it has no name, that of the same elements in another shape."""
        return self.of(node) or self._reshaped.get(node, "")

    def outer(self) -> set[str]:
        """What is no name in an internal function of this kernel: all that is taken, but for loop variables."""
        return self.taken - set(self._loops)

    def buffer(self, wanted: str) -> str:
        """A name for a buffer."""
        name = free_name(identifier(wanted) or "t", self.taken)
        self.taken.add(name)
        self._buffers.add(identifier(wanted))
        return name

    def loop(self, depth: int) -> str:
        """The name of a loop variable."""
        return self._loops[depth]

    def let(self, node: int, loops: Sequence[str], *, speak: bool) -> str:
        """The raw name of a scalar; ``loops`` are the variables of the loops around it. ``speak`` says that it is worth
        its line for the name's sake, unless an array has the name."""
        user = self.of(node)
        raw = self._raw(f"{user}_{''.join(loops)}" if user and loops else user)
        if user and speak and user not in self._buffers:
            self.spoken.add(raw)
        return raw

    def start(self, loop: str) -> str:
        """A name for where blocks of a loop start."""
        name = free_name(f"{loop}_start", self.taken)
        self.taken.add(name)
        return name

    def partial(self, stage: Stage, combine: str = "") -> str:
        """The raw name of the scalar in which a reduction accumulates."""
        word = _PARTIALS[combine or stage.combine or "add"]
        return self._raw(f"{self.of(stage.node)}_{word}".lstrip("_"))

    def scalar(self, wanted: str) -> str:
        """The raw name of a scalar that a person should read by this word."""
        return self._raw(wanted)

    def comment(self, stages: Iterable[Stage]) -> str:
        """What some stages compute: names and the user's lines; empty where there is nothing new to say."""
        names: list[str] = []
        lines: list[str] = []
        for stage in stages:
            line = self.told(stage.node)
            if line and line not in lines:
                lines.append(line)
            name = self.of(stage.node)
            if name and name not in names and f": {name} = " not in line:
                names.append(name)
        if not lines or lines == [self._last]:
            return ""
        self._last = lines[-1]
        listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        where = "; ".join(lines[:3])
        return f"{listed} ({where})" if listed else where

    def line_of(self, node: int) -> str:
        """The user's line of a node, in parentheses; empty where it is not known."""
        told = self._line(node)
        return f" ({told})" if told else ""

    def told(self, node: int) -> str:
        """The user's line of a node, said to be run backward where it is."""
        line = self._line(node)
        return f"backward of {line}" if line and node in self._backward else line

    def _line(self, node: int) -> str:
        origin = next(iter(self.graph.origins.get(node, ())), None)
        if origin is None:
            return ""
        text = f"{origin}: {origin.text}" if origin.text else str(origin)
        return " ".join(text.split())

    def _raw(self, wanted: str) -> str:
        raw = f"{wanted}'{len(self.wanted)}"
        self.wanted[raw] = wanted
        return raw


class Spelling:
    """The names of one block and of those around it, given out in order."""

    def __init__(self, outer: Spelling | None, taken: set[str]) -> None:
        self.outer = outer
        self.taken = taken
        self.numbers: dict[str, int] = {}

    def name(self, wanted: str) -> str:
        """A free name: the wanted one, with a number where that is taken; ``s1`` outside of loops, ``t1`` in them."""
        number = self._number(wanted)
        name = wanted
        if not wanted or self._is_taken(name):
            base = f"{wanted}_" if wanted else ("t" if self.outer else "s")
            name = f"{base}{number}"
            while self._is_taken(name):
                number += 1
                name = f"{base}{number}"
            number += 1
        self.numbers[wanted] = number
        self.taken.add(name)
        return name

    def count_on(self, inner: Spelling) -> None:
        """After an inner block: go on with its numbers, so that within a nest one number means one thing."""
        if self.outer is not None:
            self.numbers[""] = inner._number("")

    def _number(self, wanted: str) -> int:
        block: Spelling | None = self
        while block is not None and wanted not in block.numbers:
            block = block.outer if block.outer and block.outer.outer else None
        return block.numbers[wanted] if block else (2 if wanted else 1)

    def _is_taken(self, name: str) -> bool:
        block: Spelling | None = self
        while block is not None:
            if name in block.taken:
                return True
            block = block.outer
        return False


def _backward(graph: Graph) -> set[int]:
    """The nodes of a reverse pass: those that no named value and none with a cotangent is computed from."""
    forward = bytearray(len(graph.nodes))
    for node in (*graph.cotangents, *graph.names):
        forward[node] = 1
    for later in reversed(graph.nodes):
        if forward[later.id]:
            for operand in later.operands:
                forward[operand] = 1
    return {n.id for n in graph.nodes if not forward[n.id]} if graph.cotangents else set()


def identifier(text: str) -> str:
    """The letters, digits and underscores of a name, ``w['hidden']`` as ``w_hidden``; empty where there are none."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    return f"v{name}" if name[:1].isdigit() else name


def free_name(wanted: str, taken: set[str]) -> str:
    """``wanted``, with a number where it is taken."""
    if wanted not in taken:
        return wanted
    number = 2
    while f"{wanted}_{number}" in taken:
        number += 1
    return f"{wanted}_{number}"

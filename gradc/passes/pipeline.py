"""The passes, in the one list that says their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, Protocol

from gradc.errors import ArgumentError
from gradc.ir.graph import Graph, rebuild
from gradc.ir.verify import verify
from gradc.passes.canonicalize import ARITHMETIC, UNSIGNED
from gradc.passes.fold import FOLD
from gradc.passes.movement import MOVEMENTS
from gradc.passes.rewrite import Rules
from gradc.passes.scattered import SCATTERED
from gradc.passes.stabilize import AGGRESSIVE, SAFE

Level = Literal["off", "safe", "aggressive"]
LEVELS: Final = ("off", "safe", "aggressive")


class Pass(Protocol):
    """A graph to a graph of the same function; the input itself where nothing changed."""

    @property
    def name(self) -> str: ...

    def __call__(self, graph: Graph) -> Graph: ...


@dataclass(frozen=True, slots=True)
class Canonicalize:
    """Canonical forms and folded constants; equal nodes become one and unused ones go, as in every rebuild."""

    name: str = "canonicalize"

    def __call__(self, graph: Graph) -> Graph:
        return _kept(graph, rebuild(graph, builder_rewrite("off")))


@dataclass(frozen=True, slots=True)
class Stabilize:
    """Stable and canonical forms; equal nodes become one and unused ones go."""

    level: Level = "safe"
    name: str = "stabilize"

    def __call__(self, graph: Graph) -> Graph:
        return _kept(graph, rebuild(graph, builder_rewrite(self.level)))


PASSES: Final[Mapping[str, tuple[Pass, ...]]] = {
    "off": (Canonicalize(),),
    "safe": (Stabilize("safe"),),
    "aggressive": (Stabilize("aggressive"),),
}
"""The passes of each level, in order. ``Stabilize`` holds the canonical laws too: a second walk would find nothing."""

CANONICAL: Final = (FOLD, MOVEMENTS, SCATTERED, ARITHMETIC)


@cache
def builder_rewrite(stabilize: str) -> Rules:
    """The laws of a level, to be tried while a graph is built: ``Builder(builder_rewrite("safe"))``.

    Raises ArgumentError for a level that is not one of ``LEVELS``.
    """
    if stabilize not in LEVELS:
        raise ArgumentError(f"stabilize={stabilize!r} is not a level; it is one of {', '.join(map(repr, LEVELS))}")
    stable = {"off": (), "safe": (SAFE,), "aggressive": (SAFE, AGGRESSIVE)}[stabilize]
    return Rules(*CANONICAL, *stable)


@cache
def rewrite_of_parts() -> Rules:
    """The canonical laws that keep the sign of zeros, for a graph of the parts of complex numbers.

    The part that a real number lacks is a zero there, of which the graph of complex numbers knows nothing: the others
    would give parts other signs than the operation on complex numbers does.
    """
    return Rules(*[[law for law in table if law.name not in UNSIGNED] for table in CANONICAL])


def simplify(
    graph: Graph, *, stabilize: str = "off", check: bool = False, after: Callable[[str, Graph], None] | None = None
) -> Graph:
    """The same function in canonical and, by level, stable form; ``graph`` itself where nothing changed.

    Each pass leaves every node in normal form (see ``rewrite.py``), so each runs once. ``check`` verifies the graph
    before the first pass and after each; ``after(name, graph)`` sees every stage. Raises ArgumentError for an unknown
    level and VerifyError where a check fails.
    """
    builder_rewrite(stabilize)
    if check:
        verify(graph)
    for step in PASSES[stabilize]:
        graph = step(graph)
        if check:
            verify(graph)
        if after is not None:
            after(step.name, graph)
    return graph


def _kept(before: Graph, now: Graph) -> Graph:
    """``before`` where the new graph is the same."""
    same = (
        len(before.nodes) == len(now.nodes)
        and before.outputs == now.outputs
        and all(
            n.op is m.op and n.operands == m.operands and (n.params is m.params or n.op.name == "input")
            for n, m in zip(before.nodes, now.nodes, strict=True)
        )
    )
    return before if same else now

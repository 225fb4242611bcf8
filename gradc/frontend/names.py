"""The user's names and helper calls, told by where operations stand and by what frames leave behind.

The instruction that an operation stands at tells the variable that its result goes to (``bytecode``). What it cannot
tell is completed from a frame's locals when it has returned: ``a, b = e1, e2``, or ``z = helper(h)`` where the helper
returns a variable. A value may get names in several frames: the outermost frame's wins. A frame called as ``return
helper(h)`` continues its caller, so it counts as being as far out. ``follower`` follows the frames themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gradc.frontend.bytecode import RETURNED, Site
from gradc.ir.graph import INPUT, Builder, Origin


@dataclass(slots=True)
class Call:
    """One call of a function of the user's inside the traced one.

    ``arguments`` and ``results`` are node ids, the results empty where none is a traced value. ``origin`` is the
    line that calls, ``depth`` the number of calls around it. ``nodes`` is the range of ids made inside.
    """

    function: str
    arguments: tuple[int, ...]
    results: tuple[int, ...]
    depth: int
    origin: tuple[Origin, ...]
    nodes: tuple[int, int]
    returned: bool = False


@dataclass(slots=True, eq=False)
class _Active:
    """A frame of the user's that is running."""

    depth: int
    targets: tuple[str, ...]
    target_depth: int
    call: Call | None
    tail: bool


@dataclass(slots=True, eq=False)
class Recorder:
    """What one trace has told of the user's frames: names of nodes, and calls."""

    builder: Builder
    calls: list[Call] = field(default_factory=list)
    stack: list[_Active] = field(default_factory=list)
    names: dict[int, tuple[int, str]] = field(default_factory=dict)

    def name(self, site: Site, results: Sequence[int]) -> tuple[int, str] | None:
        """Name the results of the operation at ``site``; gives the depth and name of a single result."""
        targets = site.targets
        if not targets or not self.stack:
            return None
        active = self.stack[-1]
        depth = active.depth
        if targets == RETURNED:
            if active.call is not None:
                active.call.results, active.call.returned = tuple(results), True
            targets, depth = active.targets, active.target_depth
        if len(targets) != len(results):
            return None
        for name, node in zip(targets, results, strict=True):
            self.give(node, depth, name)
        return (depth, targets[0]) if len(targets) == 1 else None

    def give(self, node: int, depth: int, name: str) -> None:
        """Name a node as a frame at ``depth`` calls it; names from further out win, and the first of one frame.

        A parameter keeps its name, whatever else the function calls it or a copy of it.
        """
        known = self.names.get(node)
        if known is None or depth < known[0]:
            made = self.builder.nodes[node]
            if made.op is not INPUT or not made.params["name"].isidentifier():
                self.names[node] = (depth, name)

    def called(self, function: str, arguments: Sequence[int], results: Sequence[int], start: int) -> None:
        """Record a call that no frame shows: of a compiled function, whose nodes are those from ``start`` on."""
        nodes = (start, len(self.builder.nodes))
        call = Call(
            function, tuple(arguments), tuple(results), len(self.stack), self.builder.origin, nodes, returned=True
        )
        self.calls.append(call)

    def entered(self, function: str, site: Site, arguments: tuple[int, ...]) -> None:
        """A frame is entered from an instruction at ``site``; it is the call of a function, unless that has no name."""
        if not self.stack:
            self.stack.append(_Active(0, (), 0, None, tail=False))
            return
        caller = self.stack[-1]
        tail = site.targets == RETURNED
        depth = caller.depth if tail else caller.depth + 1
        targets, target_depth = (caller.targets, caller.target_depth) if tail else (site.targets, caller.depth)
        call = None
        if function:
            start = len(self.builder.nodes)
            call = Call(function, arguments, (), len(self.stack), site.origin, (start, start))
            self.calls.append(call)
        self.stack.append(_Active(depth, targets, target_depth, call, tail))

    def left(self, found: Sequence[int | None], variables: Sequence[tuple[str, int]]) -> None:
        """The innermost frame is left: what it returns where that are variables, and what its variables hold."""
        active = self.stack.pop()
        results = [node for node in found if node is not None]
        call = active.call
        if call is not None:
            call.nodes = (call.nodes[0], len(self.builder.nodes))
            if results and not call.returned:
                call.results, call.returned = tuple(results), True
            if active.tail and call.returned and self.stack and (outer := self.stack[-1].call) is not None:
                outer.results, outer.returned = call.results, True
        if len(found) == len(active.targets):
            for name, node in zip(active.targets, found, strict=True):
                if node is not None and name:
                    self.give(node, active.target_depth, name)
        for name, node in variables:
            self.give(node, active.depth, name)

    def standing(self) -> list[Any]:
        """What later names depend on."""
        outermost = [(node, name) for node, (depth, name) in self.names.items() if depth == 0]
        return [outermost, [(a.depth, a.targets, a.target_depth, a.tail) for a in self.stack]]

    def helper_calls(self, image: dict[int, int], outputs: set[int]) -> tuple[Call, ...]:
        """The calls of helpers with node ids by ``image``; calls that left nothing in it are dropped.

        Where a call's results are not known by its return, they are what was made inside and is used outside.
        """
        last_use = [-1] * len(self.builder.nodes)
        for node in self.builder.nodes:
            for operand in node.operands:
                last_use[operand] = node.id
        for node_id in outputs:
            last_use[node_id] = len(self.builder.nodes)
        kept: list[Call] = []
        for call in self.calls:
            start, stop = call.nodes
            results = call.results if call.returned else tuple(i for i in range(start, stop) if last_use[i] >= stop)
            results = tuple([image[i] for i in results if i in image])
            if results:
                inside = [image[i] for i in range(start, stop) if i in image]
                kept.append(
                    replace(
                        call,
                        arguments=tuple([image[i] for i in call.arguments if i in image]),
                        results=results,
                        nodes=(inside[0], inside[-1] + 1) if inside else (0, 0),
                    )
                )
        return tuple(kept)

"""The user's names, lines and helper calls, found while the function runs.

At each operation the instruction that made it stand in the user's frame tells the variable that its result goes to
(``bytecode``). What the instruction cannot tell is completed from a frame's locals when it has returned: ``a, b = e1,
e2``, or ``z = helper(h)`` where the helper returns a variable. A value may get names in several frames: the outermost
frame's wins. A frame called as ``return helper(h)`` continues its caller, so it counts as being as far out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, Final

from gradc.frontend.bytecode import RETURNED, CodeTable, Site, table_of
from gradc.frontend.frames import user_frame
from gradc.ir.graph import INPUT, Builder, Origin

Identify = Callable[[object], "int | None"]
"""The node id of a traced value of this trace; None for anything else."""

NO_SITE: Final = Site((), ())
_GENERATORS: Final = 0x20 | 0x80 | 0x200


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

    frame: FrameType
    table: CodeTable
    depth: int
    targets: tuple[str, ...]
    target_depth: int
    call: Call | None
    tail: bool


@dataclass(slots=True, eq=False)
class Recorder:
    """Follows the user's frames of one trace. ``root`` is the frame below which they stand.

    ``frame`` is the innermost of the user's that was met last, and ``sites`` those of its code.
    """

    builder: Builder
    identify: Identify
    root: FrameType | None = None
    frame: FrameType | None = None
    sites: dict[int, Site] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    stack: list[_Active] = field(default_factory=list)
    names: dict[int, tuple[int, str]] = field(default_factory=dict)

    def enter(self, frame: FrameType | None) -> Site:
        """The site of the user's code that runs at or above ``frame``; its line becomes the origin of new nodes."""
        if frame is not self.frame or frame is None:
            frame = user_frame(frame, self.root)
            if frame is None:
                return NO_SITE
            if frame is not self.frame:
                self._switch(frame)
        site = self.sites.get(frame.f_lasti, NO_SITE)
        self.builder.origin = site[1]
        return site

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

    def finish(self) -> None:
        """The traced function has returned: complete the names from its locals and let go of all frames."""
        while self.stack:
            self._leave()

    def abandon(self) -> None:
        """The traced function has raised: let go of all frames."""
        self.stack.clear()
        self.frame = None

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

    def _switch(self, frame: FrameType) -> None:
        stack = self.stack
        if len(stack) > 1 and stack[-2].frame is frame:
            self._leave()
        elif stack and user_frame(frame.f_back, self.root) is stack[-1].frame:
            self._enter(frame)
        else:
            self._walk(frame)
        self.frame, self.sites = frame, stack[-1].table.sites

    def _walk(self, frame: FrameType) -> None:
        standing = {id(active.frame): k for k, active in enumerate(self.stack)}
        entered: list[FrameType] = []
        current: FrameType | None = frame
        while current is not None and id(current) not in standing:
            entered.append(current)
            current = user_frame(current.f_back, self.root)
        kept = 0 if current is None else standing[id(current)] + 1
        while len(self.stack) > kept:
            self._leave()
        for new in reversed(entered):
            self._enter(new)

    def _enter(self, frame: FrameType) -> None:
        code = frame.f_code
        table = table_of(code, frame.f_globals)
        if not self.stack:
            self.stack.append(_Active(frame, table, 0, (), 0, None, tail=False))
            return
        caller = self.stack[-1]
        site = caller.table.sites.get(caller.frame.f_lasti, NO_SITE)
        tail = site.targets == RETURNED
        depth = caller.depth if tail else caller.depth + 1
        targets, target_depth = (caller.targets, caller.target_depth) if tail else (site.targets, caller.depth)
        call = None
        if not code.co_name.startswith("<") and not code.co_flags & _GENERATORS:
            start = len(self.builder.nodes)
            call = Call(code.co_name, self._arguments(frame), (), len(self.stack), site.origin, (start, start))
            self.calls.append(call)
        self.stack.append(_Active(frame, table, depth, targets, target_depth, call, tail))

    def _leave(self) -> None:
        active = self.stack.pop()
        self.frame = None
        variables = active.frame.f_locals
        returned = active.table.returns.get(active.frame.f_lasti, ())
        found = [self.identify(variables.get(name)) for name in returned]
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
        for name, content in variables.items():
            node = self.identify(content)
            if node is not None:
                self.give(node, active.depth, name)

    def _arguments(self, frame: FrameType) -> tuple[int, ...]:
        code = frame.f_code
        variables = frame.f_locals
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
        found: list[int] = []
        for name in code.co_varnames[:count]:
            self._collect(variables.get(name), found)
        return tuple(found)

    def _collect(self, content: Any, found: list[int]) -> None:
        node = self.identify(content)
        if node is not None:
            found.append(node)
        elif type(content) in (list, tuple):
            for item in content:
                self._collect(item, found)
        elif type(content) is dict:
            for item in content.values():
                self._collect(item, found)

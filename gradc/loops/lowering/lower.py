"""From a graph to a loop program. Sizes may be symbolic.

The steps, each a module: ``decompose`` tells composite ops in simpler ones, ``multiply_add`` fuses products with sums,
``stages`` decides what is computed where, ``fuse`` which loops are shared, ``crossings`` what a nest computes again
rather than read it, ``storage`` and ``buffers`` where values live; this one writes the statements. Then ``tidy`` makes
them read well, ``split`` and ``merge`` cut and join nests, ``distribute`` takes out of them what can run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from gradc.errors import CompileError, IndexBoundsError
from gradc.ir.graph import Graph, Node
from gradc.loops.algebra.panels import require
from gradc.loops.language.program import (
    SEQUENTIAL,
    Accumulate,
    Apply,
    Buffer,
    Check,
    Comment,
    Expression,
    For,
    Lanes,
    Local,
    LoopProgram,
    Mode,
    Order,
    Reduction,
    Statement,
    Store,
    b,
    rewrite,
    size,
    variable,
    walk,
)
from gradc.loops.lowering.costs import DEAR, used_again
from gradc.loops.lowering.crossings import computed_again
from gradc.loops.lowering.decompose import BLOCK, decompose, neutral
from gradc.loops.lowering.double_words import without_doubles
from gradc.loops.lowering.doubling import with_doublings
from gradc.loops.lowering.elements import Elements
from gradc.loops.lowering.exponentials import with_shared_exponentials
from gradc.loops.lowering.fuse import Block, Loop, Nest, fuse, stages_in
from gradc.loops.lowering.memory import Memory
from gradc.loops.lowering.multiply_add import with_multiply_adds
from gradc.loops.lowering.names import Names
from gradc.loops.lowering.orders import LANES, adds_columns, lanes_and_block, may_exceed
from gradc.loops.lowering.plan import Member, Plan, Stage
from gradc.loops.lowering.requirements import Requirement, requirements
from gradc.loops.lowering.scan import Scans
from gradc.loops.lowering.scopes import Scopes
from gradc.loops.lowering.squares import with_separate_squares
from gradc.loops.lowering.stages import plan
from gradc.loops.lowering.storage import Storages, assign, has_partial_array, partial_dtype, runs_in_blocks
from gradc.loops.lowering.tidy import spell, tidy
from gradc.loops.lowering.wholes import Wholes
from gradc.loops.lowering.windows import is_spread
from gradc.loops.shaping.distribute import Scalars, distribute
from gradc.loops.shaping.merge import merge
from gradc.loops.shaping.split import split


def lower(
    graph: Graph,
    *,
    name: str = "kernel",
    taken: Collection[str] = (),
    doubles: bool = True,
    steps: Callable[[LoopProgram], LoopProgram] | None = None,
) -> LoopProgram:
    """The loop program of a graph: its inputs and outputs are the first buffers, in order. No name is one of ``taken``.

    Without ``doubles``, for a machine that lacks them, sums of f32 are added up in f32, and rules that compute f32 in
    f64 take sums of two numbers. ``steps`` is done to the
    program of each step of a recurrence before it becomes a function.

    Raises CompileError for dtypes that loops do not compute in (complex and half precision), IndexBoundsError for a
    write at indices into an array without elements.
    """
    _check(graph)
    required = requirements(graph)
    graph = with_shared_exponentials(with_multiply_adds(decompose(graph)))
    stages = plan(graph)
    nest = fuse(stages)
    again = computed_again(stages, nest)
    if again:
        stages = plan(graph, again)
        nest = fuse(stages)
    stages = replace(stages, doubles=doubles)
    return _Writer(stages, nest, assign(stages, nest), taken, steps).program(name, required)


def _check(graph: Graph) -> None:
    for node in graph.nodes:
        dtype = node.aval.dtype
        if dtype.kind not in "fiub" or (dtype.kind == "f" and dtype.itemsize not in (4, 8)):
            raise CompileError(
                f"{node.op.name}: loops do not compute in {dtype}; convert {node.aval} to f32 or f64 first"
            )
        if node.op.name == "scatter" and 0 in node.aval.shape and 0 not in graph.nodes[node.operands[1]].aval.shape:
            raise IndexBoundsError(f"scatter: no index is in bounds of {node.aval}, which has no elements")


class _Writer:
    """Writes the statements of a nest, from the outermost block inwards."""

    def __init__(
        self,
        stages: Plan,
        nest: Nest,
        storages: Storages,
        taken: Collection[str],
        steps: Callable[[LoopProgram], LoopProgram] | None,
    ) -> None:
        self.plan = stages
        self.nodes = stages.graph.nodes
        self.nest = nest
        self.storages = storages
        self.names = Names(stages.graph, taken)
        self.memory = Memory(stages, storages, self.names)
        self.scopes = Scopes(self.names)
        self.elements = Elements(stages, nest, self.memory, self.names, self.scopes)
        self.sums: dict[Stage, Buffer] = {}
        step = partial(lower, doubles=stages.doubles, steps=steps)
        self.scans = Scans(self.names, step, self.elements.messages, steps or (lambda program: program))
        self.wholes = Wholes(self.elements, self.scans)
        self.lanes: dict[Loop, tuple[int, int]] = {}

    def program(self, name: str, required: Sequence[Requirement]) -> LoopProgram:
        for requirement in required:
            code = self.elements.code(requirement.message, requirement.node)
            self.scopes.emit(Check(requirement.condition, code, stops=True))
        self._block(self.nest.root)
        buffers = {buffer.name: buffer for buffer in self.memory.buffers()}
        statements = with_separate_squares(with_doublings(tuple(self.scopes.blocks[0].statements)))
        body = split(tidy(statements, self.names.spoken), self.names.loop)
        scalars = Scalars(lambda raw: self.names.wanted[raw], self.names.scalar)
        body = spell(distribute(merge(body, buffers), scalars, buffers), self.names)
        scratch, arena_bytes = self.scans.placed(self.storages.arena_bytes)
        return LoopProgram(
            name,
            (*self.memory.buffers(), *scratch, *self.scans.constants),
            body,
            self.wholes.functions(),
            tuple(self.elements.messages),
            arena_bytes,
        )

    # Blocks and loops.

    def _block(self, block: Block) -> None:
        for stage in block.follow.get(-1, ()):
            self._settled(stage)
        for position, item in enumerate(block.items):
            if isinstance(item, Loop):
                self._comment(item)
                self._loop(item)
            else:
                self._settled(item)
            for stage in block.follow.get(position, ()):
                self._settled(stage)

    def _settled(self, stage: Stage) -> None:
        self._comment(stage)
        self._stage(stage)

    def _loop(self, loop: Loop) -> None:
        for stage in loop.before:
            self._start(stage)
        self.scopes.open(loop)
        self._block(loop.body)
        self.scopes.close()
        blocked = [stage for stage in loop.before if runs_in_blocks(self.plan, stage)]
        if blocked:
            self._cut(blocked)
        for stage in loop.before:
            self._finish(stage)

    def _cut(self, blocked: list[Stage]) -> None:
        """Run the loop that was just written block by block, each from partial results 0 that are then added up."""
        statements = self.scopes.blocks[-1].statements
        loop = statements.pop()
        assert isinstance(loop, For), "the loop is the last statement"
        start = variable(self.names.start(loop.var))
        mark = len(statements)
        for stage in blocked:
            self._over_partials(stage, "set")
        statements.append(replace(loop, lo=start, hi=b.minimum(start + BLOCK, loop.hi)))
        for stage in blocked:
            self._over_partials(stage, "add")
        block = tuple(statements[mark:])
        del statements[mark:]
        self.scopes.emit(For(str(start), loop.lo, loop.hi, block, BLOCK))

    def _comment(self, item: Loop | Stage) -> None:
        if len(self.scopes.blocks) > 1:
            return
        text = self.names.comment(stages_in(item))
        if text:
            self.scopes.emit(Comment(text))

    # Stages.

    def _stage(self, stage: Stage) -> None:
        self.elements.begin()
        if stage.kind == "call":
            for statement in self.wholes.statements(stage):
                self.scopes.emit(statement)
            return
        for member in stage.members:
            self._compute(stage, member)
        assert stage.source is not None
        value = self.elements.element(stage, stage.source)
        if stage.kind == "reduce":
            self._accumulate(stage, value)
        elif stage.kind == "write":
            self._write(stage, value)
        else:
            self._keep(stage, value)

    def _compute(self, stage: Stage, member: Member) -> None:
        """Compute a node at an index, unless the block has it already."""
        node = self.nodes[member.node]
        key = self.elements.key(stage, (member.node, member.index))
        if self.scopes.known(key) is not None:
            return
        if node.op.name == "gather":
            self.scopes.remember(key, self._gather(stage, member))
            return
        operands = [self.elements.element(stage, operand) for operand in member.operands]
        if node.op is require:
            value, holds = operands
            if not self.elements.is_checked(holds):
                self.elements.check(holds, self.elements.code(node.params["message"], node.id))
            self.scopes.remember(key, value)
            return
        value = self._applied(node, operands)
        self.scopes.remember(key, self.scopes.bind(value, member.node))

    def _applied(self, node: Node, operands: list[Expression]) -> Expression:
        """The op's element rule on scalars."""
        value: Expression
        if node.op.loops is not None:
            value = node.op.loops(b, *operands, **node.params)
            return self._shared(value if self.plan.doubles else without_doubles(value))
        primitive = getattr(b, node.op.name, None)
        if primitive is None:
            raise CompileError(f"{node.op.name} has no element rule and is no primitive of loop programs")
        value = primitive(*operands, **node.params)
        return value

    def _shared(self, value: Expression) -> Expression:
        """Dear parts of a rule with several steps get names of their own, so that other rules find them; of a long rule
        all parts that it uses again, for its text would have them again and again."""
        named: dict[Expression, Expression] = {}
        parts = list(walk(value))
        again = used_again(parts)
        for part in parts:
            if part is value or not isinstance(part, Apply) or not (part.primitive in DEAR or part in again):
                continue
            known = self.scopes.known((part,))
            if known is None:
                known = self.scopes.bind(rewrite(part, dict(named)), -1)
                self.scopes.remember((part,), known)
            named[part] = known
        return rewrite(value, named) if named else value

    def _gather(self, stage: Stage, member: Member) -> Expression:
        array, place = member.operands[0]
        if self.elements.refuse(stage, place):
            return b.constant(0, self.nodes[member.node].aval.dtype)
        return self.elements.element(stage, (array, place))

    def _keep(self, stage: Stage, value: Expression) -> None:
        """Give the element of a map its name in this block, and store it where it has an array."""
        if stage.defines_value and len(self.plan.makers[stage.node]) == 1:
            self.scopes.remember(self.elements.key(stage, (stage.node, stage.place)), value)
        buffer = self.memory.buffer_of(stage.node)
        if buffer is not None:
            self.scopes.emit(Store(buffer.name, self.elements.where(stage, stage.node, stage.place), value))

    def _write(self, stage: Stage, value: Expression) -> None:
        buffer = self.memory.buffer_of(stage.node)
        assert buffer is not None, "what is written in parts has an array"
        op = self.plan.origin(stage.node).op.name
        if op == "scatter":
            self.scopes.keep_order(around=is_spread(stage.place, len(stage.extents)))
        place = self.elements.where(stage, stage.node, stage.place)
        if stage.combine == "add":
            self.scopes.emit(Accumulate("add", buffer.name, place, value))
        else:
            self.scopes.emit(Store(buffer.name, place, value))

    # Reductions.

    def _start(self, stage: Stage) -> None:
        """Set the partial results of a reduction to its neutral element, before its first reduced loop."""
        self.elements.begin()
        dtype = self.plan.origin(stage.node).aval.dtype
        wide = partial_dtype(self.plan, stage)
        if not has_partial_array(stage):
            local = Buffer(self.names.partial(stage), wide, (), "local")
            self.scopes.emit(Local(local))
            self.scopes.emit(Store(local.name, (), b.constant(neutral(stage.combine, dtype), wide)))
            self.sums[stage] = local
            return
        if stage in self.storages.local:
            shape = tuple(stage.extents[level] for level in stage.kept_inside)
            self.sums[stage] = Buffer(self.names.partial(stage), wide, shape, "local")
            self.scopes.emit(Local(self.sums[stage]))
        self._over_partials(stage, "clear" if runs_in_blocks(self.plan, stage) else "set")

    def _accumulate(self, stage: Stage, value: Expression) -> None:
        if has_partial_array(stage):
            buffer, place = self._partial(stage)
        else:
            buffer, place = self.sums[stage], ()
        order = self._order(stage)
        for level in stage.reduced:
            block = self.scopes.blocks[level + 1]
            block.runs_in_order |= not (isinstance(order, Lanes) and order.over == block.var)
        combine: Reduction = stage.combine  # type: ignore[assignment]
        self.scopes.emit(Accumulate(combine, buffer.name, place, b.convert(value, buffer.dtype), order))

    def _order(self, stage: Stage) -> Order:
        """The innermost long loop runs in lanes; with an array of partial results, the kept loop inside does.

        A short sum down columns runs in sequence, so that whole rows can be added up.
        """
        if has_partial_array(stage) or adds_columns(stage):
            return SEQUENTIAL
        long = [level for level in stage.reduced if may_exceed(stage.extents[level], 2 * LANES - 1)]
        level = max(long or stage.reduced)
        block = self.scopes.blocks[level + 1]
        assert block.loop is not None, "a reduced axis has a loop"
        lanes, length = self._lanes(block.loop)
        is_cut = any(runs_in_blocks(self.plan, other) for other in block.loop.before)
        return Lanes(block.var, lanes, 0 if is_cut else length) if lanes > 1 else SEQUENTIAL

    def _lanes(self, loop: Loop) -> tuple[int, int]:
        """How many partial results sums over a loop have, and after how many terms these are combined."""
        if loop not in self.lanes:
            members = [self.nodes[member.node] for stage in stages_in(loop) for member in stage.members]
            inner = any(isinstance(item, Loop) for item in loop.body.items)
            self.lanes[loop] = lanes_and_block(loop.extent, members, nested=inner)
        return self.lanes[loop]

    def _finish(self, stage: Stage) -> None:
        """After the loop: the result gets its name, or its array."""
        self.elements.begin()
        dtype = self.plan.origin(stage.node).aval.dtype
        if not has_partial_array(stage):
            total = b.convert(b.load(self.sums[stage]), dtype)
            self._keep(stage, self.scopes.bind(total, stage.node, depth=len(self.scopes.blocks) - 1))
        elif (stage in self.storages.partial or stage in self.sums) and not runs_in_blocks(self.plan, stage):
            self._over_partials(stage, "store")

    def _partial(
        self, stage: Stage, inner: dict[int, Expression] | None = None
    ) -> tuple[Buffer, tuple[Expression, ...]]:
        """The array of partial results and the place in it; ``inner`` gives the loops inside the reduced one."""
        place = tuple([self.elements.axis(level, inner) for level in stage.kept_inside])
        if stage in self.sums:
            return self.sums[stage], place
        if stage in self.storages.partial:
            return self.memory.partial_of(stage), place
        buffer = self.memory.buffer_of(stage.node)
        assert buffer is not None, "a reduction into an array has one"
        return buffer, self.elements.where(stage, stage.node, stage.place, inner)

    def _over_partials(self, stage: Stage, what: Literal["set", "clear", "add", "store"]) -> None:
        """A loop nest that sets the partial results or clears the result, or adds or stores the ones to the other."""
        levels = stage.kept_inside
        names = [self.names.loop(len(self.scopes.blocks) - 1 + k) for k in range(len(levels))]
        inner = {level: variable(name) for level, name in zip(levels, names, strict=True)}
        buffer, place = self._partial(stage, inner)
        result = self.memory.buffer_of(stage.node)
        assert result is not None, "a reduction into an array has one"
        target = self.elements.where(stage, stage.node, stage.place, inner)
        start, partial = neutral(stage.combine, result.dtype), b.convert(b.load(buffer, place), result.dtype)
        statement: Statement
        match what:
            case "set":
                statement = Store(buffer.name, place, b.constant(start, buffer.dtype))
            case "clear":
                statement = Store(result.name, target, b.constant(start, result.dtype))
            case "add":
                statement = Accumulate("add", result.name, target, partial)
            case "store":
                statement = Store(result.name, target, partial)
        for level, name in zip(reversed(levels), reversed(names), strict=True):
            mode: Mode = "vector" if level == levels[-1] else "seq"
            statement = For(name, size(0), size(stage.extents[level]), (statement,), mode=mode)
        self.scopes.emit(statement)

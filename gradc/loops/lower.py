"""From a graph of fixed shapes to a loop program.

The steps, each a module: ``decompose`` tells composite ops in simpler ones, ``stages`` decides what is computed where,
``fuse`` which loops are shared, ``storage`` and ``buffers`` where values live; this one writes the statements.
"""

from __future__ import annotations

from typing import Final

from gradc.errors import CompileError
from gradc.ir.graph import Graph
from gradc.loops.contraction import contraction_call
from gradc.loops.decompose import decompose, neutral
from gradc.loops.fuse import Block, Loop, Nest, common_depth, fuse
from gradc.loops.indexing import AnyIndex, Axis, Datum, Index, Indices, express, flat_index, is_split
from gradc.loops.memory import Memory
from gradc.loops.names import Names
from gradc.loops.program import (
    I64,
    SEQUENTIAL,
    Accumulate,
    Apply,
    Buffer,
    Check,
    Comment,
    Constant,
    Expression,
    For,
    Lanes,
    Let,
    Load,
    Local,
    LoopProgram,
    Mode,
    Order,
    Reduction,
    Statement,
    Store,
    Variable,
    b,
    rewrite,
    variable,
    walk,
)
from gradc.loops.stages import Element, Member, Plan, Stage, plan
from gradc.loops.storage import Storages, assign, has_partial_array, partial_dtype
from gradc.loops.tidy import spell, tidy

LANES: Final = 8
BLOCK: Final = 1024
"""Long sums run in this many partial sums, which are combined after this many terms."""

DEAR: Final = frozenset({"exp", "log", "log1p", "expm1", "tanh", "sin", "cos", "erf", "pow", "sqrt"})
"""Primitives that are worth a name where they are part of a larger rule."""


def lower(graph: Graph, *, name: str = "kernel") -> LoopProgram:
    """The loop program of a graph: its inputs and outputs are the first buffers, in order.

    Raises CompileError for symbolic sizes and for dtypes that loops do not compute in (complex and half precision).
    """
    _check(graph)
    graph = decompose(graph)
    stages = plan(graph)
    nest = fuse(stages)
    return _Writer(stages, nest, assign(stages, nest)).program(name)


def _check(graph: Graph) -> None:
    for node in graph.nodes:
        dtype = node.aval.dtype
        if node.aval.is_symbolic:
            raise CompileError(f"{node.op.name}: {node.aval} has a symbolic size, and loops need fixed ones")
        if dtype.kind not in "fiub" or (dtype.kind == "f" and dtype.itemsize not in (4, 8)):
            raise CompileError(
                f"{node.op.name}: loops do not compute in {dtype}; convert {node.aval} to f32 or f64 first"
            )


class _Scope:
    """A block that is being written: its statements, and the elements that have names in it."""

    def __init__(self, loop: Loop | None, var: str) -> None:
        self.loop = loop
        self.var = var
        self.statements: list[Statement] = []
        self.known: dict[object, Expression] = {}
        self.runs_in_order = False


class _Writer:
    """Writes the statements of a nest, from the outermost block inwards."""

    def __init__(self, stages: Plan, nest: Nest, storages: Storages) -> None:
        self.plan = stages
        self.nodes = stages.graph.nodes
        self.nest = nest
        self.storages = storages
        self.names = Names(stages.graph)
        self.memory = Memory(stages, storages, self.names)
        self.scopes = [_Scope(None, "")]
        self.depths: dict[str, int] = {}
        self.sums: dict[Stage, tuple[Buffer, tuple[Expression, ...]]] = {}
        self.messages: list[str] = []
        self.numbers: dict[AnyIndex, Expression] = {}
        """Indices of the present stage as expressions."""

    def program(self, name: str) -> LoopProgram:
        self._block(self.nest.root)
        body = spell(tidy(tuple(self.scopes[0].statements), self.names.spoken), self.names)
        return LoopProgram(
            name, self.memory.buffers(), body, messages=tuple(self.messages), arena_bytes=self.storages.arena_bytes
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
        var = self.names.loop(len(self.scopes) - 1)
        self.scopes.append(_Scope(loop, var))
        self.depths[var] = len(self.scopes) - 1
        self._block(loop.body)
        scope = self.scopes.pop()
        inner = any(isinstance(s, For) for s in scope.statements)
        mode: Mode = "seq" if inner or scope.runs_in_order else "vector"
        body = tuple(scope.statements)
        self._emit(For(var, b.constant(0), b.constant(loop.extent), body, mode=mode))
        for stage in loop.before:
            self._finish(stage)

    def _comment(self, item: Loop | Stage) -> None:
        if len(self.scopes) > 1:
            return
        text = self.names.comment(_stages_in(item))
        if text:
            self._emit(Comment(text))

    # Stages.

    def _stage(self, stage: Stage) -> None:
        self.numbers.clear()
        if stage.kind == "call":
            call = contraction_call(self.nodes[stage.node], self.plan.graph, stage.views, self.memory.buffer_of)
            self._emit(call)
            return
        for member in stage.members:
            self._compute(stage, member)
        assert stage.source is not None
        value = self._element(stage, stage.source)
        if stage.kind == "reduce":
            self._accumulate(stage, value)
        elif stage.kind == "write":
            self._write(stage, value)
        else:
            self._keep(stage, value)

    def _compute(self, stage: Stage, member: Member) -> None:
        """Compute a node at an index, unless the block has it already."""
        node = self.nodes[member.node]
        key = self._key(stage, (member.node, member.index))
        if self._known(key) is not None:
            return
        if node.op.name == "gather":
            self._remember(key, self._gather(stage, member))
            return
        operands = [self._element(stage, operand) for operand in member.operands]
        rule = node.op.loops
        value = rule(b, *operands, **node.params) if rule else getattr(b, node.op.name)(*operands, **node.params)
        if rule:
            value = self._shared(value)
        self._remember(key, self._bind(value, member.node))

    def _shared(self, value: Expression) -> Expression:
        """Dear parts of a rule with several steps get names of their own, so that other rules find them."""
        named: dict[Expression, Expression] = {}
        for part in walk(value):
            if part is value or not isinstance(part, Apply) or part.primitive not in DEAR:
                continue
            known = self._known((part,))
            if known is None:
                known = self._bind(rewrite(part, dict(named)), -1)
                self._remember((part,), known)
            named[part] = known
        return rewrite(value, named) if named else value

    def _gather(self, stage: Stage, member: Member) -> Expression:
        array, place = member.operands[0]
        if self._refuse(stage, place):
            return b.constant(0, self.nodes[member.node].aval.dtype)
        return self._element(stage, (array, place))

    def _refuse(self, stage: Stage, place: Indices) -> bool:
        """An index that is data into an axis without elements is an error, and nothing is loaded or stored."""
        empty = [
            atom
            for i in place
            if isinstance(i, Index)
            for atom in i.atoms
            if isinstance(atom, Datum) and not atom.extent
        ]
        for atom in empty:
            self._check(b.constant(False, bool), stage, _outside(atom), self._datum_number(stage, atom))
        return bool(empty)

    def _keep(self, stage: Stage, value: Expression) -> None:
        """Give the element of a map its name in this block, and store it where it has an array."""
        if stage.defines_value and len(self.plan.makers[stage.node]) == 1:
            self._remember(self._key(stage, (stage.node, stage.place)), value)
        buffer = self.memory.buffer_of(stage.node)
        if buffer is not None:
            self._emit(Store(buffer.name, self._where(stage, stage.node, stage.place), value))

    def _write(self, stage: Stage, value: Expression) -> None:
        buffer = self.memory.buffer_of(stage.node)
        assert buffer is not None, "what is written in parts has an array"
        op = self.plan.origin(stage.node).op.name
        if op == "scatter":
            self._in_order()
            if self._refuse(stage, stage.place):
                return
        place = self._where(stage, stage.node, stage.place)
        if stage.combine == "add":
            self._emit(Accumulate("add", buffer.name, place, value))
        else:
            self._emit(Store(buffer.name, place, value))

    # Reductions.

    def _start(self, stage: Stage) -> None:
        """Set the partial results of a reduction to its neutral element, before its first reduced loop."""
        self.numbers.clear()
        dtype = self.plan.origin(stage.node).aval.dtype
        wide = partial_dtype(stage.combine, dtype)
        start = b.constant(neutral(stage.combine, dtype), wide)
        if not has_partial_array(stage):
            local = Buffer(self.names.partial(stage), wide, (), "local")
            self._emit(Local(local))
            self._emit(Store(local.name, (), start))
            self.sums[stage] = (local, ())
            return
        self._over_partials(stage, start)

    def _accumulate(self, stage: Stage, value: Expression) -> None:
        if has_partial_array(stage):
            buffer, place = self._partial(stage)
        else:
            buffer, place = self.sums[stage]
        order = self._order(stage)
        loops = self.nest.places[stage].loops
        for level in stage.reduced:
            scope = self.scopes[level + 1]
            assert scope.loop is loops[level]
            scope.runs_in_order = True
        combine: Reduction = stage.combine  # type: ignore[assignment]
        self._emit(Accumulate(combine, buffer.name, place, b.convert(value, buffer.dtype), order))

    def _order(self, stage: Stage) -> Order:
        """Long inner sums run in lanes; where another loop is innermost, its iterations are independent already."""
        innermost = len(stage.extents) - 1
        if innermost not in stage.reduced or stage.extents[innermost] < 2 * LANES:
            return SEQUENTIAL
        return Lanes(self.scopes[innermost + 1].var, LANES, BLOCK if stage.extents[innermost] > BLOCK else 0)

    def _finish(self, stage: Stage) -> None:
        """After the loop: the result gets its name, or its array."""
        self.numbers.clear()
        dtype = self.plan.origin(stage.node).aval.dtype
        if not has_partial_array(stage):
            local, _ = self.sums[stage]
            total = b.convert(b.load(local), dtype)
            self._keep(stage, self._bind(total, stage.node, depth=len(self.scopes) - 1))
        elif stage in self.storages.partial:
            self._over_partials(stage, None)

    def _partial(
        self, stage: Stage, inner: dict[int, Expression] | None = None
    ) -> tuple[Buffer, tuple[Expression, ...]]:
        """The array of partial results and the place in it; ``inner`` gives the loops inside the reduced one."""
        if stage not in self.storages.partial:
            buffer = self.memory.buffer_of(stage.node)
            assert buffer is not None, "a reduction into an array has one"
            return buffer, self._where(stage, stage.node, stage.place, inner)
        place = [self._axis(level, inner) for level in _inner_kept(stage)]
        return self.memory.partial_of(stage), tuple(place)

    def _over_partials(self, stage: Stage, start: Expression | None) -> None:
        """A loop nest over the partial results that sets them to ``start``, or stores them as the result."""
        levels = _inner_kept(stage)
        names = [self.names.loop(len(self.scopes) - 1 + k) for k in range(len(levels))]
        inner = {level: variable(name) for level, name in zip(levels, names, strict=True)}
        buffer, place = self._partial(stage, inner)
        if start is not None:
            statement: Statement = Store(buffer.name, place, start)
        else:
            result = self.memory.buffer_of(stage.node)
            assert result is not None, "a reduction into an array has one"
            total = b.convert(b.load(buffer, place), result.dtype)
            statement = Store(result.name, self._where(stage, stage.node, stage.place, inner), total)
        for level, name in zip(reversed(levels), reversed(names), strict=True):
            mode: Mode = "vector" if level == levels[-1] else "seq"
            statement = For(name, b.constant(0), b.constant(stage.extents[level]), (statement,), mode=mode)
        self._emit(statement)

    # Elements and indices.

    def _element(self, stage: Stage, element: Element) -> Expression:
        """An element that the stage needs: a number, a name that is known here, or a load."""
        node, index = element
        literal = self.memory.literal(node)
        if literal is not None:
            return literal
        key = self._key(stage, element)
        known = self._known(key)
        if known is not None:
            return known
        makers = self.plan.makers.get(node, [])
        floor = 0
        if len(makers) == 1:
            floor = common_depth(self.nest.places[stage], self.nest.places[makers[0]])
        value = self._bind(self._load(stage, node, index), node, depth=floor)
        self._remember(key, value)
        return value

    def _load(self, stage: Stage, node: int, index: Indices) -> Expression:
        buffer = self.memory.buffer_of(node)
        assert buffer is not None, "what is read outside of its iteration has an array"
        flat = flat_index(index, [int(d) for d in self.plan.origin(node).aval.shape])
        if is_split(index) and not is_split((flat,)) and len(buffer.shape) == len(index):
            return b.load(buffer, [self._number(stage, flat)])
        return b.load(buffer, self._where(stage, node, index))

    def _where(
        self, stage: Stage, node: int, index: Indices, inner: dict[int, Expression] | None = None
    ) -> tuple[Expression, ...]:
        """An index into the array of a node, which may lack axes."""
        axes = self.memory.axes_of(node)
        return tuple(self._number(stage, index[a], inner) for a in axes)

    def _number(self, stage: Stage, index: AnyIndex, inner: dict[int, Expression] | None = None) -> Expression:
        if isinstance(index, int):
            return b.constant(index)
        if inner is not None:
            return express(index, lambda atom: self._atom(stage, atom, inner))
        if index not in self.numbers:
            self.numbers[index] = express(index, lambda atom: self._atom(stage, atom, None))
        return self.numbers[index]

    def _atom(self, stage: Stage, atom: Axis | Datum, inner: dict[int, Expression] | None) -> Expression:
        return self._axis(atom.position, inner) if isinstance(atom, Axis) else self._datum(stage, atom)

    def _axis(self, level: int, inner: dict[int, Expression] | None = None) -> Expression:
        if inner is not None and level in inner:
            return inner[level]
        return variable(self.scopes[level + 1].var)

    def _datum(self, stage: Stage, atom: Datum) -> Expression:
        """An index that is data: counted from the end where negative, checked, and moved into bounds."""
        number = self._datum_number(stage, atom)
        key = ("datum", number, atom.extent)
        known = self._known(key)
        if known is not None:
            return known
        number = self._bind(number, atom.node)
        inside = b.in_range(number, -atom.extent, atom.extent)
        if not (isinstance(number, Constant) and -atom.extent <= number.value < atom.extent):
            self._check(inside, stage, _outside(atom), number)
        place = self._bind(b.clamp(b.from_end(number, atom.extent), atom.extent), atom.node)
        self._remember(key, place)
        return place

    def _datum_number(self, stage: Stage, atom: Datum) -> Expression:
        return b.convert(self._element(stage, (atom.node, atom.at)), I64)

    def _check(self, condition: Expression, stage: Stage, message: str, value: Expression) -> None:
        text = message + self.names.line_of(self.plan.origin(stage.node).id)
        if text not in self.messages:
            self.messages.append(text)
        scope = self.scopes[self._depth(condition)]
        scope.runs_in_order = True
        scope.statements.append(Check(condition, self.messages.index(text) + 1, value))

    # Names that are known in the blocks around.

    def _key(self, stage: Stage, element: Element) -> tuple[object, ...]:
        node, index = element
        return (node, *[self._number(stage, i) for i in index])

    def _known(self, key: object) -> Expression | None:
        for scope in reversed(self.scopes):
            found = scope.known.get(key)
            if found is not None:
                return found
        return None

    def _remember(self, key: tuple[object, ...], value: Expression) -> None:
        depths = [self._depth(part) for part in (*key, value) if isinstance(part, Expression)]
        self.scopes[max(depths)].known[key] = value

    def _bind(self, value: Expression, node: int, *, depth: int = 0) -> Expression:
        """A name for a scalar, in the outermost block (from ``depth`` inwards) where all of its parts are known."""
        if isinstance(value, (Variable, Constant)):
            return value
        depth = max(depth, self._depth(value))
        loops = [scope.var for scope in self.scopes[1 : depth + 1]]
        name = self.names.let(node, loops, speak=not isinstance(value, Load))
        let = Let(name, value)
        self.scopes[depth].statements.append(let)
        self.depths[name] = depth
        return let.variable

    def _depth(self, value: Expression) -> int:
        if isinstance(value, Variable):
            return self.depths[value.name]
        return max((self.depths[part.name] for part in walk(value) if isinstance(part, Variable)), default=0)

    def _emit(self, statement: Statement) -> None:
        self.scopes[-1].statements.append(statement)

    def _in_order(self) -> None:
        for scope in self.scopes:
            scope.runs_in_order = True


def _outside(atom: Datum) -> str:
    return f"index {{}} is out of bounds for axis {atom.axis} with size {atom.extent}"


def _inner_kept(stage: Stage) -> list[int]:
    """The loops of a reduction that are inside its first reduced one and not summed over."""
    return [a for a in range(min(stage.reduced), len(stage.extents)) if a not in stage.reduced]


def _stages_in(item: Loop | Stage) -> list[Stage]:
    """The stages of a loop, or the one itself, in the order in which they run."""
    if isinstance(item, Stage):
        return [item]
    found = list(item.body.follow.get(-1, ()))
    for position, inner in enumerate(item.body.items):
        found += [*_stages_in(inner), *item.body.follow.get(position, ())]
    return found

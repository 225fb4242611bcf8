"""Elements as scalar expressions: literals, names that are known, loads; and their indices, data among them."""

from __future__ import annotations

from gradc.ir.aval import Dim
from gradc.loops.language.program import I64, ZERO, Check, Expression, Load, b, size, variable, walk
from gradc.loops.lowering.fuse import Nest, common_depth
from gradc.loops.lowering.indexing import AnyIndex, Axis, Datum, Index, Indices, express, flat_index, is_split
from gradc.loops.lowering.memory import Memory
from gradc.loops.lowering.names import Names
from gradc.loops.lowering.plan import Element, Plan, Stage
from gradc.loops.lowering.scopes import Scopes
from gradc.ops.shape import iota


class Elements:
    """Gives the elements that the present stage needs, in the open blocks."""

    def __init__(self, plan: Plan, nest: Nest, memory: Memory, names: Names, scopes: Scopes) -> None:
        self.plan = plan
        self.nest = nest
        self.memory = memory
        self.names = names
        self.scopes = scopes
        self.messages: list[str] = []
        """What failed checks mean."""
        self.numbers: dict[AnyIndex, Expression] = {}
        """Indices of the present stage as expressions."""

    def begin(self) -> None:
        """Another stage, or another part of it, is the present one."""
        self.numbers.clear()

    def element(self, stage: Stage, element: Element) -> Expression:
        """An element that the stage needs: a number, a name that is known here, or a load."""
        node, index = element
        literal = self.memory.literal(node)
        if literal is not None:
            return literal
        if self.plan.origin(node).op is iota:
            return self._number(stage, index[0])
        key = self.key(stage, element)
        known = self.scopes.known(key)
        if known is not None:
            return known
        makers = self.plan.makers.get(node, [])
        floor = 0
        if len(makers) == 1:
            floor = common_depth(self.nest.places[stage], self.nest.places[makers[0]])
        value = self._load(stage, node, index)
        if not self._reads_as_argument(value, node):
            value = self.scopes.bind(value, node, depth=floor)
        self.scopes.remember(key, value)
        return value

    def _load(self, stage: Stage, node: int, index: Indices) -> Expression:
        buffer = self.memory.buffer_of(node)
        assert buffer is not None, "what is read outside of its iteration has an array"
        return b.load(buffer, self.where(stage, node, index))

    def _reads_as_argument(self, value: Expression, node: int) -> bool:
        """Whether a load outside of all loops is a scalar argument, whose own name says the most: ``s - y[]``."""
        buffer = self.memory.buffer_of(node)
        scalar = isinstance(value, Load) and not value.index
        return scalar and buffer is not None and buffer.kind == "input" and len(self.scopes.blocks) == 1

    def where(
        self, stage: Stage, node: int, index: Indices, inner: dict[int, Expression] | None = None
    ) -> tuple[Expression, ...]:
        """An index into the array of a node, which may lack axes. ``inner`` gives loops that are not open blocks.

        It counts all elements where that is simpler and the array has all axes.
        """
        axes = self.memory.axes_of(node)
        home, index = self.plan.at_home(node, index)
        if is_split(index) and len(axes) == len(index):
            flat = flat_index(index, self.plan.origin(home).aval.shape)
            if not is_split((flat,)):
                return (self._number(stage, flat, inner),)
        return tuple(self._number(stage, index[a], inner) for a in axes)

    def _number(self, stage: Stage, index: AnyIndex, inner: dict[int, Expression] | None = None) -> Expression:
        if not isinstance(index, Index):
            return size(index)
        if inner is not None:
            return express(index, lambda atom: self._atom(stage, atom, inner))
        if index not in self.numbers:
            self.numbers[index] = express(index, lambda atom: self._atom(stage, atom, None))
        return self.numbers[index]

    def _atom(self, stage: Stage, atom: Axis | Datum, inner: dict[int, Expression] | None) -> Expression:
        return self.axis(atom.position, inner) if isinstance(atom, Axis) else self._datum(stage, atom)

    def axis(self, level: int, inner: dict[int, Expression] | None = None) -> Expression:
        """The variable of a loop of the present stage."""
        if inner is not None and level in inner:
            return inner[level]
        return variable(self.scopes.blocks[level + 1].var)

    def _datum(self, stage: Stage, atom: Datum) -> Expression:
        """An index that is data: counted from the end where negative, checked, and moved into bounds."""
        number = self._datum_number(stage, atom)
        key = ("datum", number, atom.extent)
        known = self.scopes.known(key)
        if known is not None:
            return known
        number = self.scopes.bind(number, atom.node)
        length = size(atom.extent)
        low, high = self.memory.bounds(atom.node) or (-(2**63), 2**63 - 1)
        if not _is_inside(low, high, atom.extent):
            inside = b.in_range(number, b.sub(0, length), length)
            self.check(inside, self.code_of(_outside(atom), stage), number)
        from_start = number if low >= 0 else b.from_end(number, length)
        place = self.scopes.bind(b.clamp(from_start, length), atom.node)
        self.scopes.remember(key, place)
        return place

    def _datum_number(self, stage: Stage, atom: Datum) -> Expression:
        return b.convert(self.element(stage, (atom.node, atom.at)), I64)

    def check(self, condition: Expression, code: int, value: Expression = ZERO) -> None:
        """A check, in the outermost block where its parts are known."""
        block = self.scopes.blocks[max(self.scopes.depth_of(condition), self.scopes.depth_of(value))]
        block.statements.append(Check(condition, code, value))
        block.known["checked", condition] = condition

    def is_checked(self, condition: Expression) -> bool:
        """Whether an open block has a check of the same condition, which memory does not change."""
        known = self.scopes.known(("checked", condition)) is not None
        return known and not any(isinstance(part, Load) for part in walk(condition))

    def code_of(self, message: str, stage: Stage) -> int:
        """The code of a check that the present stage makes, under which the message is told with the user's line."""
        return self.code(message, self.plan.origin(stage.node).id)

    def code(self, message: str, node: int) -> int:
        """The code of a check, under which the message is told with the user's line of a node."""
        text = message + self.names.line_of(node)
        if text not in self.messages:
            self.messages.append(text)
        return self.messages.index(text) + 1

    def key(self, stage: Stage, element: Element) -> tuple[object, ...]:
        """Under which an element is remembered in the open blocks."""
        node, index = element
        return (node, *[self._number(stage, i) for i in index])

    def refuse(self, stage: Stage, place: Indices) -> bool:
        """An index that is data into an axis without elements is an error, and nothing is loaded or stored."""
        empty = [
            atom
            for i in place
            if isinstance(i, Index)
            for atom in i.atoms
            if isinstance(atom, Datum) and atom.extent == 0
        ]
        for atom in empty:
            code = self.code_of(_outside(atom), stage)
            self.check(b.constant(False, bool), code, self._datum_number(stage, atom))
        return bool(empty)


def _is_inside(low: int, high: int, extent: Dim) -> bool:
    """Whether all numbers from ``low`` to ``high`` are indices of an axis, negative ones from its end."""
    return isinstance(extent, int) and -extent <= low and high < extent


def _outside(atom: Datum) -> str:
    return f"index {{}} is out of bounds for axis {atom.axis} with size {atom.extent}"

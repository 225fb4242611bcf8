"""The blocks that are being written, and the scalars that have names in them."""

from __future__ import annotations

from gradc.loops.language.program import Constant, Expression, For, Let, Load, Mode, Statement, Variable, b, size, walk
from gradc.loops.lowering.fuse import Loop
from gradc.loops.lowering.names import Names


class OpenBlock:
    """A block that is being written: its statements, and the elements that have names in it."""

    def __init__(self, loop: Loop | None, var: str) -> None:
        self.loop = loop
        self.var = var
        self.statements: list[Statement] = []
        self.known: dict[object, Expression] = {}
        self.runs_in_order = False


class Scopes:
    """The open blocks, outermost first: the kernel's, and those of the loops around the present statement."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.blocks = [OpenBlock(None, "")]
        self.depths: dict[str, int] = {}

    def open(self, loop: Loop) -> None:
        """Begin the body of a loop."""
        var = self.names.loop(len(self.blocks) - 1)
        self.blocks.append(OpenBlock(loop, var))
        self.depths[var] = len(self.blocks) - 1

    def close(self) -> None:
        """End the body of the innermost loop, and add the loop to the block around it."""
        block = self.blocks.pop()
        assert block.loop is not None, "the kernel's own block stays open"
        inner = any(isinstance(s, For) for s in block.statements)
        mode: Mode = "seq" if inner or block.runs_in_order else "vector"
        self.emit(For(block.var, b.constant(0), size(block.loop.extent), tuple(block.statements), mode=mode))

    def known(self, key: object) -> Expression | None:
        """The scalar remembered under a key in an open block."""
        for block in reversed(self.blocks):
            found = block.known.get(key)
            if found is not None:
                return found
        return None

    def remember(self, key: tuple[object, ...], value: Expression) -> None:
        """Remember a scalar, in the outermost block where its parts and those of the key are known."""
        depths = [self.depth_of(part) for part in (*key, value) if isinstance(part, Expression)]
        self.blocks[max(depths)].known[key] = value

    def bind(self, value: Expression, node: int, *, depth: int = 0) -> Expression:
        """A name for a scalar, in the outermost block (from ``depth`` inwards) where all of its parts are known."""
        if isinstance(value, (Variable, Constant)):
            return value
        depth = max(depth, self.depth_of(value))
        loops = [block.var for block in self.blocks[1 : depth + 1]]
        name = self.names.let(node, loops, speak=not isinstance(value, Load))
        let = Let(name, value)
        self.blocks[depth].statements.append(let)
        self.depths[name] = depth
        return let.variable

    def depth_of(self, value: Expression) -> int:
        """How many loops are around the outermost block in which all parts of a scalar are known."""
        if isinstance(value, Variable):
            return self.depths[value.name]
        return max((self.depths[part.name] for part in walk(value) if isinstance(part, Variable)), default=0)

    def emit(self, statement: Statement) -> None:
        """Add a statement to the innermost block."""
        self.blocks[-1].statements.append(statement)

    def keep_order(self, *, around: bool = False) -> None:
        """Say that no open loop's iterations are independent; with ``around``, those of the innermost one may be."""
        for block in self.blocks[: -1 if around else None]:
            block.runs_in_order = True

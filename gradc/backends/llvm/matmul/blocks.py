"""Products in register tiles, block by block: which tile comes after which, and what is packed before."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.finish import VectorFinish
from gradc.backends.llvm.matmul.packing import copy_panels, transpose_panel
from gradc.backends.llvm.matmul.product import Axis, Product, is_turned
from gradc.backends.llvm.matmul.tile import Matrices, Tile
from gradc.backends.llvm.matmul.ways import Part, TilePlan, gap, parts
from gradc.backends.llvm.matmul.windows import nest_of

SCRATCH: Final = "%scratch"
"""Packed blocks: of the left operand, ``panel[k, m]`` for panel after panel, then of the right, ``panel[k, n]``."""

FETCHED_ROWS: Final = 8
"""How far ahead a block of a left operand is asked for that is dense along its rows: those of a block are short, and
too far apart for the machine to see what comes next."""

RARE: Final = 1 / 8
"""The share of a product up to which a tile at its edge is rare."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of a product's axes: numbers, or the parameters that hold them; ``deep`` is that of the outermost of
    several axes of k.
    """

    m: Index
    n: Index
    k: Index
    deep: Index = 1


def emit_tiles(
    code: Code,
    product: Product,
    plan: TilePlan,
    matrices: Matrices,
    lengths: Lengths,
    finish: VectorFinish | None = None,
) -> None:
    """The whole product, tile by tile."""
    _Tiles(code, product, plan, lengths, finish).emit(matrices)


class _Tiles:
    def __init__(
        self, code: Code, product: Product, plan: TilePlan, lengths: Lengths, finish: VectorFinish | None
    ) -> None:
        self.code = code
        self.product = product
        self.plan = plan
        self.lengths = lengths
        self.finish = finish
        self.nest: tuple[tuple[Axis, ...], tuple[Axis, ...]] = (), (product.k,)
        if product.deep:
            self.nest = nest_of(product, plan.depth)
        self.panel = ""
        if plan.packs_blocks:
            self.panel = code.pointer(SCRATCH, plan.left_scratch, "right_block")
        elif plan.packing in ("copy", "transpose"):
            self.panel = code.local(plan.depth * plan.columns, "panel")

    def emit(self, matrices: Matrices) -> None:
        """Blocks of columns, in them blocks of k, in them blocks of rows."""
        code, depth = self.code, self.lengths.k
        for columns in code.parts(self.lengths.n, self.plan.width):
            with code.loop("columns", columns.start, columns.stop, columns.step) as across:
                place = matrices.moved(code, self.product.n, across.index)
                if self.product.deep:
                    self._nest_or_nothing(place, columns.step)
                    continue
                if isinstance(depth, str):
                    self._blocks_of_depth(place, columns.step, depth)
                    continue
                for block in self._blocks_of_k(depth):
                    with code.loop("k", block.start, block.stop, block.step) as along:
                        self._block_of_k(
                            place.moved(code, self.product.k, along.index), columns.step, block.step, along.index
                        )

    def _nest_or_nothing(self, matrices: Matrices, width: int) -> None:
        """The blocks of several axes of k, or, where the call tells that one has no length, sums of no terms."""
        blocks, inner = self.nest
        if isinstance(self.lengths.deep, int):
            self._blocks_of_nest(matrices, width)
            return
        with self.code.either(f"icmp eq i64 {self.lengths.deep}, 0") as otherwise:
            self.nest = (), (replace(inner[-1], length=0),)
            self._block_of_k(matrices, width, 0, 0)
            otherwise()
            self.nest = blocks, inner
            self._blocks_of_nest(matrices, width)

    def _blocks_of_nest(self, matrices: Matrices, width: int) -> None:
        """The blocks; which of them is the first, their indices tell together."""
        code = self.code
        number: Index = 0
        with ExitStack() as loops:
            for axis in self.nest[0]:
                length = axis.length if isinstance(axis.length, int) else self.lengths.deep
                loop = loops.enter_context(code.loop("k", 0, length))
                matrices = matrices.moved(code, axis, loop.index)
                number = code.add(number, loop.index)
            self._block_of_k(matrices, width, int(self.nest[1][-1].length), number)

    def _blocks_of_depth(self, matrices: Matrices, width: int, depth: str) -> None:
        """The blocks of a k that the call tells, one of no products where it is 0."""
        code = self.code
        limit: Index = self.plan.depth
        if self.plan.streams is not None:
            most, narrow = self.plan.streams
            is_large = code.writer.value(f"icmp ugt i64 {depth}, {most}")
            limit = code.writer.value(f"select i1 {is_large}, i64 {narrow}, i64 {limit}")
        each = code.even(depth, limit)
        with code.loop("k", 0, code.larger(depth, 1), each) as along:
            length = code.smaller(each, code.minus(depth, along.index))
            self._block_of_k(matrices.moved(code, self.product.k, along.index), width, length, along.index)

    def _blocks_of_k(self, depth: int) -> list[Part]:
        """With an epilogue, the last block stands by itself, unless the code of one serves all."""
        each = self.plan.depth
        last = (depth - 1) // each * each
        if self.finish is None or self._is_even(depth) or last == 0:
            return list(parts(depth, each))
        return [Part(0, last, each), Part(last, depth, depth - last)]

    def _is_even(self, depth: int) -> bool:
        """Whether one code serves all blocks of so many products: they are equal, and no functions."""
        return depth % self.plan.depth == 0 and not self.plan.packs_blocks

    def _block_of_k(self, matrices: Matrices, width: int, depth: Index, k_start: Index) -> None:
        """The products of ``depth`` elements of k for ``width`` columns, one block of rows after the other."""
        code = self.code
        if self.plan.packs_blocks:
            self._pack_right(matrices.right, width, depth)
        if isinstance(self.lengths.m, str):
            self._blocks_of_rows(matrices, self.lengths.m, width, depth, k_start)
            return
        for rows in parts(self.lengths.m, self.plan.height):
            with code.loop("block", rows.start, rows.stop, rows.step) as down:
                place = matrices.moved(code, self.product.m, down.index)
                if self.plan.packs_blocks:
                    self._pack_left(place.left, rows.step, depth)
                self._block(place, (rows.step, width), depth, k_start)

    def _blocks_of_rows(self, matrices: Matrices, height: str, width: int, depth: Index, k_start: Index) -> None:
        """The blocks of rows that the call tells; all rows are one where nothing is packed."""
        code = self.code
        if not self.plan.packs_blocks:
            self._block(matrices, (height, width), depth, k_start)
            return
        with code.loop("block", 0, height, self.plan.height) as down:
            count = code.smaller(self.plan.height, code.minus(height, down.index))
            place = matrices.moved(code, self.product.m, down.index)
            self._pack_left(place.left, count, depth)
            self._block(place, (count, width), depth, k_start)

    def _pack_left(self, left: str, height: Index, depth: Index) -> None:
        """Copy the left operand's block to scratch memory: panel after panel of a tile's rows."""
        code, m, k, rows = self.code, self.product.m, self.product.k, self.plan.rows
        pitch = self._left_pitch(depth)
        if m.left == 1 and isinstance(height, int):
            copy_panels(code, left, k.left, SCRATCH, height, rows, depth, pitch, FETCHED_ROWS)
            return
        for part in code.parts(height, rows):
            with code.loop("packed", part.start, part.stop, part.step) as down:
                source = code.pointer(left, code.scale(down.index, m.left))
                panel = code.pointer(SCRATCH, code.scale(down.index, pitch))
                columns = self._panel_rows(part)
                if m.left == 1:
                    copy_panels(code, source, k.left, panel, part.step, columns, depth, pitch, FETCHED_ROWS)
                else:
                    transpose_panel(code, source, m.left, panel, part.step, columns, int(depth))

    def _left_pitch(self, depth: Index) -> Index:
        return self.code.add(depth, gap(self.plan.rows))

    def _right_pitch(self, depth: Index) -> Index:
        return self.code.add(depth, gap(self.plan.columns))

    def _panel_rows(self, part: Part) -> int:
        """How many elements of a packed panel of the left operand are neighbours: a tile's rows, also at the end."""
        return part.step if isinstance(self.lengths.m, str) else self.plan.rows

    def _pack_right(self, right: str, width: int, depth: Index) -> None:
        """Copy the right operand's block to scratch memory: panel after panel of a tile's columns."""
        code, n, k, columns = self.code, self.product.n, self.product.k, self.plan.columns
        pitch = self._right_pitch(depth)
        if self.plan.packing == "copy":
            copy_panels(code, right, k.right, self.panel, width, columns, depth, pitch)
            return
        for part in parts(width, columns):
            with code.loop("packed", part.start, part.stop, part.step) as across:
                source = code.pointer(right, code.scale(across.index, n.right))
                panel = code.pointer(self.panel, code.scale(across.index, pitch))
                transpose_panel(code, source, n.right, panel, part.step, columns, int(depth))

    def _block(self, matrices: Matrices, shape: tuple[Index, int], depth: Index, k_start: Index) -> None:
        """The products of ``depth`` elements of k for some rows and columns, panel by panel of columns."""
        code = self.code
        height, width = shape
        for columns in parts(width, self.plan.columns):
            with code.loop("column", columns.start, columns.stop, columns.step) as across:
                place = matrices.moved(code, self.product.n, across.index)
                if self.plan.packs_blocks:
                    panel = code.pointer(self.panel, code.scale(across.index, self._right_pitch(depth)))
                    place = replace(place, left=SCRATCH, right=panel)
                elif self.panel:
                    self._pack_right(place.right, columns.step, depth)
                    place = replace(place, right=self.panel)
                self._panel(place, height, columns.step, depth, k_start)

    def _panel(self, matrices: Matrices, height: Index, width: int, depth: Index, k_start: Index) -> None:
        """All rows of a block with the columns of one panel."""
        code, m = self.code, self.product.m
        stride = self._left_pitch(depth) if self.plan.packs_blocks else m.left
        for rows in code.parts(height, self.plan.rows):
            with code.loop("row", rows.start, rows.stop, rows.step) as down:
                place = Matrices(
                    code.pointer(matrices.left, code.scale(down.index, stride), "left"),
                    matrices.right,
                    code.pointer(matrices.out, code.scale(down.index, m.out), "out"),
                    matrices.beside(code, m, down.index),
                )
                self._tile(place, rows, width, depth, k_start)

    def _tile(self, place: Matrices, rows: Part, width: int, depth: Index, k_start: Index) -> None:
        """One tile: in place, or, among packed blocks, by a call of a function that all blocks share."""
        code, product, plan = self.code, self.product, self.plan
        adds: bool | str
        if product.accumulate or isinstance(k_start, int):
            adds = product.accumulate or k_start != 0
        else:
            adds = code.writer.value(f"icmp ne i64 {k_start}, 0")
        *deep, along = self.nest[1]
        down = product.group or product.m
        each = int(down.length) if product.group else 1
        left = (1, self._panel_rows(rows)) if plan.packs_blocks else (down.left, along.left)
        until, ends = self._ending(depth, k_start)
        others = (down.others, product.n.others) if ends else ((), ())
        tile = Tile(
            rows.step * each,
            width,
            left,
            plan.columns if self.panel else along.right,
            down.out,
            self.finish if ends else None,
            *others,
            ahead=plan.ahead,
            turned=product.n.out if is_turned(product) else 0,
            spread=product.n.right if plan.packing == "registers" else 0,
            rare=self._is_rare(rows.step, width),
            deep=tuple((int(axis.length), axis.left, axis.right) for axis in deep),
            group=(each, product.m.left) if product.group else None,
        )
        if not plan.packs_blocks:
            tile.emit(code, place, depth, adds, padded=bool(self.panel), until=until)
            return
        arguments = {
            "ptr noalias readonly %left": place.left,
            "ptr noalias readonly %right": place.right,
            "ptr %out" if tile.finish else "ptr noalias %out": place.out,
            "i64 %depth": str(depth),
            "i1 %adds": str(adds).lower(),
        }
        names = tuple(f"%other.{position}" for position in range(len(place.others) if tile.finish else 0))
        arguments |= {f"ptr {name}": other for name, other in zip(names, place.others, strict=False)}
        scalars = [f"%scalar.{position}" for position in range(tile.finish.scalars)] if tile.finish else []

        def body(inner: Code) -> str:
            tile.prefetch(inner, "%out")
            tile.emit(inner, Matrices("%left", "%right", "%out", names), "%depth", "%adds", padded=True)
            return f"a tile of {tile.rows} rows by {tile.width} columns of packed operands"

        code.call(tile, arguments, body, scalars)

    def _ending(self, depth: Index, k_start: Index) -> tuple[str, bool]:
        """The condition under which sums end with this block, if that takes one, and whether they may."""
        length = self.lengths.k
        if self.finish is None:
            return "", False
        if self.product.deep:
            return "", True
        stop = self.code.minus(length, depth)
        if isinstance(length, str) or (isinstance(k_start, str) and self._is_even(length)):
            return f"icmp eq i64 {k_start}, {stop}", True
        return "", k_start == stop

    def _is_rare(self, rows: int, width: int) -> bool:
        """Whether tiles of this shape, rows or columns left over, compute a small part of the result."""
        m, n = self.lengths.m, self.lengths.n
        shares = [
            part / length
            for part, whole, length in ((rows, self.plan.rows, m), (width, self.plan.columns, n))
            if part < whole and isinstance(length, int)
        ]
        return bool(shares) and min(shares) <= RARE

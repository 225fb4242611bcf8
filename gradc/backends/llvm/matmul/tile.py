"""Products in register tiles: each lane of a tile sums one element of the result along k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.packing import copy_panels, transpose_panel
from gradc.backends.llvm.matmul.plan import Part, TilePlan, parts
from gradc.backends.llvm.matmul.product import Product

SCRATCH: Final = "%scratch"
"""Packed blocks: of the left operand, ``panel[k, m]`` for panel after panel, then of the right, ``panel[k, n]``."""

UNROLLED: Final = 64
"""Multiply-adds of a tile that are written out one after the other."""


@dataclass(frozen=True, slots=True)
class Matrices:
    """Where the matrices of one product begin."""

    left: str
    right: str
    out: str


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of a product's axes: numbers, or the parameters that hold them."""

    m: Index
    n: Index
    k: Index


def emit_tiles(code: Code, product: Product, plan: TilePlan, matrices: Matrices, lengths: Lengths) -> None:
    """The whole product, tile by tile."""
    _Tiles(code, product, plan, lengths).emit(matrices)


class _Tiles:
    def __init__(self, code: Code, product: Product, plan: TilePlan, lengths: Lengths) -> None:
        self.code = code
        self.product = product
        self.plan = plan
        self.lengths = lengths
        self.panel = ""
        if plan.packs_blocks:
            self.panel = code.pointer(SCRATCH, plan.left_scratch, "right_block")
        elif plan.packing != "none":
            self.panel = code.local(plan.depth * plan.columns, "panel")

    def emit(self, matrices: Matrices) -> None:
        """Blocks of columns, in them blocks of k, in them blocks of rows."""
        code, depth = self.code, self.lengths.k
        for columns in code.parts(self.lengths.n, self.plan.width):
            with code.loop("columns", columns.start, columns.stop, columns.step) as across:
                place = self._moved(matrices, n=across.index)
                if isinstance(depth, str):
                    self._blocks_of_depth(place, columns.step, depth)
                    continue
                for block in parts(depth, self.plan.depth):
                    with code.loop("k", block.start, block.stop, block.step) as along:
                        self._block_of_k(self._moved(place, k=along.index), columns.step, block.step, along.index)

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
            self._block_of_k(self._moved(matrices, k=along.index), width, length, along.index)

    def _moved(self, matrices: Matrices, m: Index = 0, n: Index = 0, k: Index = 0) -> Matrices:
        """The matrices from row m, column n, element k on; one of them is not 0."""
        code, product = self.code, self.product
        left = code.add(code.scale(m, product.m.left), code.scale(k, product.k.left))
        right = code.add(code.scale(n, product.n.right), code.scale(k, product.k.right))
        out = code.add(code.scale(m, product.m.out), code.scale(n, product.n.out))
        return Matrices(
            code.pointer(matrices.left, left), code.pointer(matrices.right, right), code.pointer(matrices.out, out)
        )

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
                place = self._moved(matrices, m=down.index)
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
            place = self._moved(matrices, m=down.index)
            self._pack_left(place.left, count, depth)
            self._block(place, (count, width), depth, k_start)

    def _pack_left(self, left: str, height: Index, depth: Index) -> None:
        """Copy the left operand's block to scratch memory: panel after panel of a tile's rows."""
        code, m, k, rows = self.code, self.product.m, self.product.k, self.plan.rows
        if m.left == 1 and isinstance(height, int):
            copy_panels(code, left, k.left, SCRATCH, height, rows, depth)
            return
        for part in code.parts(height, rows):
            with code.loop("packed", part.start, part.stop, part.step) as down:
                source = code.pointer(left, code.scale(down.index, m.left))
                panel = code.pointer(SCRATCH, code.scale(down.index, depth))
                columns = self._panel_rows(part)
                if m.left == 1:
                    copy_panels(code, source, k.left, panel, part.step, columns, depth)
                else:
                    transpose_panel(code, source, m.left, panel, part.step, columns, int(depth))

    def _panel_rows(self, part: Part) -> int:
        """How many elements of a packed panel of the left operand are neighbours: a tile's rows, also at the end."""
        return part.step if isinstance(self.lengths.m, str) else self.plan.rows

    def _pack_right(self, right: str, width: int, depth: Index) -> None:
        """Copy the right operand's block to scratch memory: panel after panel of a tile's columns."""
        code, n, k, columns = self.code, self.product.n, self.product.k, self.plan.columns
        if self.plan.packing == "copy":
            copy_panels(code, right, k.right, self.panel, width, columns, depth)
            return
        for part in parts(width, columns):
            with code.loop("packed", part.start, part.stop, part.step) as across:
                source = code.pointer(right, code.scale(across.index, n.right))
                panel = code.pointer(self.panel, code.scale(across.index, depth))
                transpose_panel(code, source, n.right, panel, part.step, columns, int(depth))

    def _block(self, matrices: Matrices, shape: tuple[Index, int], depth: Index, k_start: Index) -> None:
        """The products of ``depth`` elements of k for some rows and columns, panel by panel of columns."""
        code = self.code
        height, width = shape
        for columns in parts(width, self.plan.columns):
            with code.loop("column", columns.start, columns.stop, columns.step) as across:
                place = self._moved(matrices, n=across.index)
                if self.plan.packs_blocks:
                    panel = code.pointer(self.panel, code.scale(across.index, depth))
                    place = Matrices(SCRATCH, panel, place.out)
                elif self.panel:
                    self._pack_right(place.right, columns.step, depth)
                    place = Matrices(place.left, self.panel, place.out)
                self._panel(place, height, columns.step, depth, k_start)

    def _panel(self, matrices: Matrices, height: Index, width: int, depth: Index, k_start: Index) -> None:
        """All rows of a block with the columns of one panel."""
        code, m = self.code, self.product.m
        stride = depth if self.plan.packs_blocks else m.left
        for rows in code.parts(height, self.plan.rows):
            with code.loop("row", rows.start, rows.stop, rows.step) as down:
                place = Matrices(
                    code.pointer(matrices.left, code.scale(down.index, stride), "left"),
                    matrices.right,
                    code.pointer(matrices.out, code.scale(down.index, m.out), "out"),
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
        left = (1, self._panel_rows(rows)) if plan.packs_blocks else (product.m.left, product.k.left)
        tile = Tile(rows.step, width, left, plan.columns if self.panel else product.k.right, product.m.out)
        if not plan.packs_blocks:
            tile.emit(code, place, depth, adds, padded=bool(self.panel))
            return
        arguments = {
            "ptr noalias readonly %left": place.left,
            "ptr noalias readonly %right": place.right,
            "ptr noalias %out": place.out,
            "i64 %depth": str(depth),
            "i1 %adds": str(adds).lower(),
        }

        def body(inner: Code) -> str:
            tile.prefetch(inner, "%out")
            tile.emit(inner, Matrices("%left", "%right", "%out"), "%depth", "%adds", padded=True)
            return f"a tile of {tile.rows} rows by {tile.width} columns of packed operands"

        code.call(tile, arguments, body)


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` by ``width`` elements of the result, their sums in registers.

    left   the steps, in elements, from row to row and from element to element of k in the left operand
    right  the step along k in the right operand, where columns are neighbours
    out    the step from row to row in the result
    """

    rows: int
    width: int
    left: tuple[int, int]
    right: int
    out: int

    def emit(self, code: Code, place: Matrices, depth: Index, adds: bool | str, *, padded: bool) -> None:
        """The sums of ``depth`` products; where ``adds`` holds, added to what the result has.

        ``padded`` says that the right operand's last vector may be read in full.
        """
        code.writer.comment(f"a tile of {self.rows} rows by {self.width} columns, {depth} products each")
        row = self._row(code)
        left, right = place.left, place.right
        if isinstance(depth, int) and depth * self.rows * len(row) <= UNROLLED:
            sums: list[str] = []
            for step in range(depth):
                place_of_step = code.pointer(left, step * self.left[1]), code.pointer(right, step * self.right)
                sums = self._step(row, *place_of_step, sums, padded)
        else:
            zeros = [(vector.code.vector, "zeroinitializer") for _ in range(self.rows) for vector in row]
            with code.loop("step", 0, depth, carried=[("ptr", left), ("ptr", right), *zeros]) as loop:
                left, right, *sums = loop.values
                sums = self._step(row, left, right, sums, padded)
                loop.following = [code.pointer(left, self.left[1]), code.pointer(right, self.right), *sums]
            sums = loop.following[2:]
        self._finish(code, place.out, sums, adds)

    def prefetch(self, code: Code, out: str) -> None:
        """Ask for the result's cache lines before the sums are there."""
        for row in range(self.rows):
            for column in range(0, self.width, code.lanes):
                code.prefetch(code.pointer(out, row * self.out + column))

    def _row(self, code: Code) -> list[_Vector]:
        """The vectors of a row of the result; the last is as narrow as what is left allows."""
        found = []
        for start in range(0, self.width, code.lanes):
            count = min(code.lanes, self.width - start)
            found.append(_Vector(code.narrowed(count), start, count))
        return found

    def _step(self, row: list[_Vector], left: str, right: str, sums: list[str], padded: bool) -> list[str]:
        """The products of a column of ``left`` and a row of ``right``, added to ``sums``."""
        loaded = [v.code.load(v.code.pointer(right, v.start), None if padded else v.count) for v in row]
        added: list[str] = []
        for number in range(self.rows):
            place = row[0].code.pointer(left, number * self.left[0])
            factors: dict[int, str] = {}
            for position, (vector, other) in enumerate(zip(row, loaded, strict=True), number * len(row)):
                code = vector.code
                if code.lanes not in factors:
                    factors[code.lanes] = code.spread(place)
                factor = factors[code.lanes]
                if sums:
                    added.append(code.multiply_add(factor, other, sums[position]))
                else:
                    added.append(code.multiply(factor, other))
        return added

    def _finish(self, code: Code, out: str, sums: list[str], adds: bool | str) -> None:
        """Store the sums, or add them to what earlier blocks of k left."""
        if isinstance(adds, bool):
            self._store(code, out, sums, adds=adds)
            return
        writer = code.writer
        labels = [writer.name(label) for label in ("later", "first", "stored")]
        writer.line(f"br i1 {adds}, label %{labels[0]}, label %{labels[1]}")
        for label, later in zip(labels, (True, False), strict=False):
            writer.label(label)
            self._store(code, out, sums, adds=later)
            writer.line(f"br label %{labels[2]}")
        writer.label(labels[2])

    def _store(self, code: Code, out: str, sums: list[str], *, adds: bool) -> None:
        row = self._row(code)
        for position, total in enumerate(sums):
            number, vector = divmod(position, len(row))
            part = row[vector]
            place = code.pointer(out, number * self.out + part.start)
            if adds:
                total = part.code.sum(part.code.load(place, part.count), total)
            part.code.store(total, place, part.count)


@dataclass(frozen=True, slots=True)
class _Vector:
    """Some columns of a tile: from ``start`` on, ``count`` of them real, in vectors of ``code``."""

    code: Code
    start: int
    count: int

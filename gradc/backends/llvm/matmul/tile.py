"""Products in register tiles: each lane of a tile sums one element of the result along k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.packing import copy_panel, transpose_panel
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


def emit_tiles(code: Code, product: Product, plan: TilePlan, matrices: Matrices) -> None:
    """The whole product, tile by tile."""
    _Tiles(code, product, plan).emit(matrices)


class _Tiles:
    def __init__(self, code: Code, product: Product, plan: TilePlan) -> None:
        self.code = code
        self.product = product
        self.plan = plan
        self.panel = ""
        if plan.packs_blocks:
            self.panel = code.pointer(SCRATCH, plan.left_scratch, "right_block")
        elif plan.packing != "none":
            self.panel = code.local(plan.depth * plan.columns, "panel")

    def emit(self, matrices: Matrices) -> None:
        """Blocks of columns, in them blocks of k, in them blocks of rows."""
        code, n, k = self.code, self.product.n, self.product.k
        for columns in parts(n.length, self.plan.width):
            with code.loop("columns", columns.start, columns.stop, columns.step) as across:
                place = self._moved(matrices, n=across.index)
                for block in parts(k.length, self.plan.depth):
                    with code.loop("k", block.start, block.stop, block.step) as along:
                        self._block_of_k(self._moved(place, k=along.index), columns.step, block.step, along.index)

    def _moved(self, matrices: Matrices, m: Index = 0, n: Index = 0, k: Index = 0) -> Matrices:
        """The matrices from row m, column n, element k on; one of them is not 0."""
        code, product = self.code, self.product
        left = code.add(code.scale(m, product.m.left), code.scale(k, product.k.left))
        right = code.add(code.scale(n, product.n.right), code.scale(k, product.k.right))
        out = code.add(code.scale(m, product.m.out), code.scale(n, product.n.out))
        return Matrices(
            code.pointer(matrices.left, left), code.pointer(matrices.right, right), code.pointer(matrices.out, out)
        )

    def _block_of_k(self, matrices: Matrices, width: int, depth: int, k_start: Index) -> None:
        """The products of ``depth`` elements of k for ``width`` columns, one block of rows after the other."""
        code, m = self.code, self.product.m
        if self.plan.packs_blocks:
            self._pack_right(matrices.right, width, depth)
        for rows in parts(m.length, self.plan.height):
            with code.loop("block", rows.start, rows.stop, rows.step) as down:
                place = self._moved(matrices, m=down.index)
                if self.plan.packs_blocks:
                    self._pack_left(place.left, rows.step, depth)
                self._block(place, (rows.step, width), depth, k_start)

    def _pack_left(self, left: str, height: int, depth: int) -> None:
        """Copy the left operand's block to scratch memory: panel after panel of a tile's rows."""
        code, m, k = self.code, self.product.m, self.product.k
        for rows in parts(height, self.plan.rows):
            with code.loop("packed", rows.start, rows.stop, rows.step) as down:
                source = code.pointer(left, code.scale(down.index, m.left))
                panel = code.pointer(SCRATCH, code.scale(down.index, depth))
                if m.left == 1:
                    copy_panel(code, source, k.left, panel, rows.step, rows.step, depth)
                else:
                    transpose_panel(code, source, m.left, panel, rows.step, rows.step, depth)

    def _pack_right(self, right: str, width: int, depth: int) -> None:
        """Copy the right operand's block to scratch memory: panel after panel of a tile's columns."""
        code, n = self.code, self.product.n
        for columns in parts(width, self.plan.columns):
            with code.loop("packed", columns.start, columns.stop, columns.step) as across:
                source = code.pointer(right, code.scale(across.index, n.right))
                self._pack_panel(source, code.pointer(self.panel, code.scale(across.index, depth)), columns.step, depth)

    def _pack_panel(self, source: str, panel: str, width: int, depth: int) -> None:
        product, columns = self.product, self.plan.columns
        if self.plan.packing == "copy":
            copy_panel(self.code, source, product.k.right, panel, width, columns, depth)
        else:
            transpose_panel(self.code, source, product.n.right, panel, width, columns, depth)

    def _block(self, matrices: Matrices, shape: tuple[int, int], depth: int, k_start: Index) -> None:
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
                    self._pack_panel(place.right, self.panel, columns.step, depth)
                    place = Matrices(place.left, self.panel, place.out)
                self._panel(place, height, columns.step, depth, k_start)

    def _panel(self, matrices: Matrices, height: int, width: int, depth: int, k_start: Index) -> None:
        """All rows of a block with the columns of one panel."""
        code, m = self.code, self.product.m
        stride = depth if self.plan.packs_blocks else m.left
        for rows in parts(height, self.plan.rows):
            with code.loop("row", rows.start, rows.stop, rows.step) as down:
                place = Matrices(
                    code.pointer(matrices.left, code.scale(down.index, stride), "left"),
                    matrices.right,
                    code.pointer(matrices.out, code.scale(down.index, m.out), "out"),
                )
                self._tile(place, rows, width, depth, k_start)

    def _tile(self, place: Matrices, rows: Part, width: int, depth: int, k_start: Index) -> None:
        """``rows`` by ``width`` elements of the result, their sums in registers."""
        code, m, k, lanes = self.code, self.product.m, self.product.k, self.plan.lanes
        counts = [min(lanes, width - column) for column in range(0, width, lanes)]
        height = rows.step
        code.writer.comment(f"a tile of {height} rows by {width} columns, {depth} products each")
        packed = bool(self.panel)
        step = self.plan.columns if packed else k.right
        left_row, left_step = (1, height) if self.plan.packs_blocks else (m.left, k.left)
        if self.plan.packs_blocks:
            self._prefetch(place.out, height, len(counts))

        def products(left: str, right: str, sums: list[str]) -> list[str]:
            """One step along k: the products of a column of ``left`` and a row of ``right``, added to ``sums``."""
            vectors = [
                code.load(code.pointer(right, vector * lanes), None if packed else count)
                for vector, count in enumerate(counts)
            ]
            added: list[str] = []
            for row in range(height):
                factor = code.spread(code.pointer(left, row * left_row))
                for position, vector in enumerate(vectors, row * len(vectors)):
                    added.append(
                        code.multiply_add(factor, vector, sums[position]) if sums else code.multiply(factor, vector)
                    )
            return added

        left, right = place.left, place.right
        if depth * height * len(counts) <= UNROLLED:
            sums: list[str] = []
            for step_of_k in range(depth):
                sums = products(code.pointer(left, step_of_k * left_step), code.pointer(right, step_of_k * step), sums)
        else:
            zeros = [(code.vector, "zeroinitializer")] * (height * len(counts))
            with code.loop("step", 0, depth, carried=[("ptr", left), ("ptr", right), *zeros]) as loop:
                left, right, *sums = loop.values
                sums = products(left, right, sums)
                loop.following = [code.pointer(left, left_step), code.pointer(right, step), *sums]
            sums = loop.following[2:]
        self._finish(place.out, sums, counts, k_start)

    def _prefetch(self, out: str, height: int, vectors: int) -> None:
        for row in range(height):
            for vector in range(vectors):
                self.code.prefetch(self.code.pointer(out, row * self.product.m.out + vector * self.plan.lanes))

    def _finish(self, out: str, sums: list[str], counts: list[int], k_start: Index) -> None:
        """Store a tile's sums; later blocks of k are added to what the earlier ones left."""
        if self.product.accumulate or (isinstance(k_start, int) and k_start > 0):
            self._store(out, sums, counts, adds=True)
        elif isinstance(k_start, int):
            self._store(out, sums, counts, adds=False)
        else:
            writer = self.code.writer
            first, later, after = (writer.name(label) for label in ("first", "later", "stored"))
            is_first = writer.value(f"icmp eq i64 {k_start}, 0")
            writer.line(f"br i1 {is_first}, label %{first}, label %{later}")
            for label, adds in ((first, False), (later, True)):
                writer.label(label)
                self._store(out, sums, counts, adds=adds)
                writer.line(f"br label %{after}")
            writer.label(after)

    def _store(self, out: str, sums: list[str], counts: list[int], *, adds: bool) -> None:
        code = self.code
        for position, total in enumerate(sums):
            row, vector = divmod(position, len(counts))
            place = code.pointer(out, row * self.product.m.out + vector * self.plan.lanes)
            if adds:
                total = code.sum(code.load(place, counts[vector]), total)
            code.store(total, place, counts[vector])

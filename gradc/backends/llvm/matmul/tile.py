"""Products in register tiles: each lane of a tile sums one element of the result along k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.packing import copy_panel, transpose_panel
from gradc.backends.llvm.matmul.plan import Part, TilePlan, parts
from gradc.backends.llvm.matmul.product import Product


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
        if plan.packing != "none":
            self.panel = code.local(plan.depth * plan.columns, "panel")

    def emit(self, matrices: Matrices) -> None:
        """Blocks of k, in them blocks of rows, in them panels of columns."""
        code, k, m = self.code, self.product.k, self.product.m
        for block in parts(k.length, self.plan.depth):
            with code.loop("k", block.start, block.stop, block.step) as along:
                left = code.pointer(matrices.left, code.scale(along.index, k.left))
                right = code.pointer(matrices.right, code.scale(along.index, k.right))
                for rows in parts(m.length, self.plan.height):
                    with code.loop("block", rows.start, rows.stop, rows.step) as down:
                        place = Matrices(
                            code.pointer(left, code.scale(down.index, m.left)),
                            right,
                            code.pointer(matrices.out, code.scale(down.index, m.out)),
                        )
                        self._block(place, rows.step, block.step, along.index)

    def _block(self, matrices: Matrices, height: int, depth: int, k_start: Index) -> None:
        """The products of ``depth`` elements of k for ``height`` rows, panel by panel."""
        code, n = self.code, self.product.n
        for columns in parts(n.length, self.plan.columns):
            with code.loop("column", columns.start, columns.stop, columns.step) as across:
                place = Matrices(
                    matrices.left,
                    code.pointer(matrices.right, code.scale(across.index, n.right)),
                    code.pointer(matrices.out, code.scale(across.index, n.out)),
                )
                self._panel(place, height, columns.step, depth, k_start)

    def _panel(self, matrices: Matrices, height: int, width: int, depth: int, k_start: Index) -> None:
        """All rows of a block with the columns of one panel."""
        code, m = self.code, self.product.m
        right = self._packed(matrices.right, width, depth)
        for rows in parts(height, self.plan.rows):
            with code.loop("row", rows.start, rows.stop, rows.step) as down:
                place = Matrices(
                    code.pointer(matrices.left, code.scale(down.index, m.left), "left"),
                    right,
                    code.pointer(matrices.out, code.scale(down.index, m.out), "out"),
                )
                self._tile(place, rows, width, depth, k_start)

    def _packed(self, right: str, width: int, depth: int) -> str:
        """Where the panel's elements are read from, packed first if the plan says so."""
        if self.plan.packing == "copy":
            copy_panel(self.code, right, self.product.k.right, self.panel, width, self.plan.columns, depth)
        elif self.plan.packing == "transpose":
            transpose_panel(self.code, right, self.product.n.right, self.panel, width, self.plan.columns, depth)
        else:
            return right
        return self.panel

    def _tile(self, place: Matrices, rows: Part, width: int, depth: int, k_start: Index) -> None:
        """``rows`` by ``width`` elements of the result, their sums in registers."""
        code, m, k, lanes = self.code, self.product.m, self.product.k, self.plan.lanes
        counts = [min(lanes, width - column) for column in range(0, width, lanes)]
        height = rows.step
        code.writer.comment(f"a tile of {height} rows by {width} columns, {depth} products each")
        packed = bool(self.panel)
        step = self.plan.columns if packed else k.right
        if self.plan.packing == "copy":
            self._prefetch(place.out, height, len(counts))

        def products(left: str, right: str, sums: list[str]) -> list[str]:
            """One step along k: the products of a column of ``left`` and a row of ``right``, added to ``sums``."""
            vectors = [
                code.load(code.pointer(right, vector * lanes), None if packed else count)
                for vector, count in enumerate(counts)
            ]
            added: list[str] = []
            for row in range(height):
                factor = code.spread(code.pointer(left, row * m.left))
                for position, vector in enumerate(vectors, row * len(vectors)):
                    added.append(
                        code.multiply_add(factor, vector, sums[position]) if sums else code.multiply(factor, vector)
                    )
            return added

        left, right = place.left, place.right
        if depth * height * len(counts) <= UNROLLED:
            sums = []
            for step_of_k in range(depth):
                sums = products(code.pointer(left, step_of_k * k.left), code.pointer(right, step_of_k * step), sums)
        else:
            zeros = [(code.vector, "zeroinitializer")] * (height * len(counts))
            with code.loop("step", 0, depth, carried=[("ptr", left), ("ptr", right), *zeros]) as loop:
                left, right, *sums = loop.values
                sums = products(left, right, sums)
                loop.following = [code.pointer(left, k.left), code.pointer(right, step), *sums]
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

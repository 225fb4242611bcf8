"""Products in register tiles: each lane of a tile sums one element of the result along k."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.finish import VectorFinish
from gradc.backends.llvm.matmul.packing import copy_panels, transpose_panel
from gradc.backends.llvm.matmul.plan import Part, TilePlan, gap, parts
from gradc.backends.llvm.matmul.product import Axis, Product

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
    others: tuple[str, ...] = ()

    def moved(self, code: Code, axis: Axis, index: Index) -> Matrices:
        """Where they begin from place ``index`` of an axis on."""
        return Matrices(
            code.pointer(self.left, code.scale(index, axis.left)),
            code.pointer(self.right, code.scale(index, axis.right)),
            code.pointer(self.out, code.scale(index, axis.out)),
            self.beside(code, axis, index),
        )

    def beside(self, code: Code, axis: Axis, index: Index) -> tuple[str, ...]:
        """Where what the epilogue loads and stores begins from there on."""
        steps = zip(self.others, axis.others, strict=True) if self.others else ()
        return tuple(code.pointer(base, code.scale(index, step)) for base, step in steps)


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of a product's axes: numbers, or the parameters that hold them."""

    m: Index
    n: Index
    k: Index


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
                place = matrices.moved(code, self.product.n, across.index)
                if isinstance(depth, str):
                    self._blocks_of_depth(place, columns.step, depth)
                    continue
                for block in self._blocks_of_k(depth):
                    with code.loop("k", block.start, block.stop, block.step) as along:
                        self._block_of_k(
                            place.moved(code, self.product.k, along.index), columns.step, block.step, along.index
                        )

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
        """With an epilogue, the last block stands by itself."""
        each = self.plan.depth
        last = (depth - 1) // each * each
        if self.finish is None or last == 0:
            return list(parts(depth, each))
        return [Part(0, last, each), Part(last, depth, depth - last)]

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
            copy_panels(code, left, k.left, SCRATCH, height, rows, depth, pitch)
            return
        for part in code.parts(height, rows):
            with code.loop("packed", part.start, part.stop, part.step) as down:
                source = code.pointer(left, code.scale(down.index, m.left))
                panel = code.pointer(SCRATCH, code.scale(down.index, pitch))
                columns = self._panel_rows(part)
                if m.left == 1:
                    copy_panels(code, source, k.left, panel, part.step, columns, depth, pitch)
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
        left = (1, self._panel_rows(rows)) if plan.packs_blocks else (product.m.left, product.k.left)
        stop = code.minus(self.lengths.k, depth) if self.finish is not None else None
        until = f"icmp eq i64 {k_start}, {stop}" if isinstance(stop, str) else ""
        ends = bool(until) or k_start == stop
        others = (product.m.others, product.n.others) if ends else ((), ())
        tile = Tile(
            rows.step,
            width,
            left,
            plan.columns if self.panel else product.k.right,
            product.m.out,
            self.finish if ends else None,
            *others,
            ahead=plan.ahead,
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


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` by ``width`` elements of the result, their sums in registers.

    left   the steps, in elements, from row to row and from element to element of k in the left operand
    right  the step along k in the right operand, where columns are neighbours
    out    the step from row to row in the result
    finish the epilogue, if the sums end with this tile; ``down`` and ``across`` are the steps from row to row and from
           column to column in what it loads and stores
    ahead  how far after the right operand the next one lies; the odd rows of that are fetched
    """

    rows: int
    width: int
    left: tuple[int, int]
    right: int
    out: int
    finish: VectorFinish | None = None
    down: tuple[int, ...] = ()
    across: tuple[int, ...] = ()
    ahead: int = 0

    def emit(
        self, code: Code, place: Matrices, depth: Index, adds: bool | str, *, padded: bool, until: str = ""
    ) -> None:
        """The sums of ``depth`` products, from 0 on, or of one; where ``adds`` holds, added to what the result has.

        ``padded``: the right operand's last vector may be read in full. ``until``: the epilogue's condition, if any.
        """
        code.writer.comment(f"a tile of {self.rows} rows by {self.width} columns, {depth} products each")
        row, left, right = self._row(code), place.left, place.right
        if isinstance(depth, int) and depth * self.rows * len(row) <= UNROLLED:
            zeros = ["zeroinitializer"] * (self.rows * len(row) if depth > 1 else 0)
            sums = self._steps(row, left, right, zeros, depth, padded)[2]
        else:
            together = 2 if self.ahead else 1
            alone = depth % together if isinstance(depth, int) else 0
            whole = depth - alone if isinstance(depth, int) else depth
            carried = [(vector.code.vector, "zeroinitializer") for vector in row * self.rows]
            with code.loop("step", 0, whole, together, [("ptr", left), ("ptr", right), *carried]) as loop:
                left, right, *sums = loop.values
                left, right, sums = self._steps(row, left, right, sums, together, padded)
                loop.following = [left, right, *sums]
            left, right, *sums = loop.following
            sums = self._steps(row, left, right, sums, alone, padded)[2]
        if not until:
            self._finish(code, place, sums, adds)
            return
        with code.either(until) as otherwise:
            self._finish(code, place, sums, adds)
            otherwise()
            replace(self, finish=None)._finish(code, place, sums, adds)

    def _steps(
        self, row: list[_Vector], left: str, right: str, sums: list[str], count: int, padded: bool
    ) -> tuple[str, str, list[str]]:
        """``count`` steps along k: where the operands go on, and the sums."""
        code = row[0].code
        for step in range(count):
            if self.ahead and step % 2:
                code.fetch_ahead(right, self.ahead, self.width)
            sums = self._step(row, left, right, sums, padded)
            left, right = code.pointer(left, self.left[1]), code.pointer(right, self.right)
        return left, right, sums

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

    def _finish(self, code: Code, place: Matrices, sums: list[str], adds: bool | str) -> None:
        """Store the sums, or add them to what earlier blocks of k left."""
        if isinstance(adds, bool):
            self._store(code, place, sums, adds=adds)
            return
        writer = code.writer
        labels = [writer.name(label) for label in ("later", "first", "stored")]
        writer.line(f"br i1 {adds}, label %{labels[0]}, label %{labels[1]}")
        for label, later in zip(labels, (True, False), strict=False):
            writer.label(label)
            self._store(code, place, sums, adds=later)
            writer.line(f"br label %{labels[2]}")
        writer.label(labels[2])

    def _store(self, code: Code, place: Matrices, sums: list[str], *, adds: bool) -> None:
        row = self._row(code)
        shared = self._loads(row, place, 0, moving=False)
        for position, total in enumerate(sums):
            number, vector = divmod(position, len(row))
            part = row[vector]
            out = code.pointer(place.out, number * self.out + part.start)
            if adds:
                total = part.code.sum(part.code.load(out, part.count), total)
            if self.finish is None or self.finish.keeps:
                part.code.store(total, out, part.count)
            if self.finish is not None:
                loads = shared[vector] | self._loads([part], place, number, moving=True)[0]
                scalars = {s: part.code.broadcast(f"%scalar.{s}") for s in range(self.finish.scalars)}
                values = self.finish.emit(part.code, total, loads, scalars)
                for other, value in enumerate(values, self.finish.loads):
                    part.code.store(value, self._other(part, place, other, number), part.count)

    def _loads(self, row: list[_Vector], place: Matrices, number: int, *, moving: bool) -> list[dict[int, str]]:
        """What the epilogue loads for each vector of a row: what differs from row to row, or what does not."""
        found: list[dict[int, str]] = [{} for _ in row]
        for other in range(self.finish.loads if self.finish else 0):
            if (self.down[other] != 0) != moving:
                continue
            for part, loaded in zip(row, found, strict=True):
                at = self._other(part, place, other, number)
                loaded[other] = part.code.load(at, part.count) if self.across[other] else part.code.spread(at)
        return found

    def _other(self, part: _Vector, place: Matrices, other: int, number: int) -> str:
        return part.code.pointer(place.others[other], number * self.down[other] + part.start * self.across[other])


@dataclass(frozen=True, slots=True)
class _Vector:
    """Some columns of a tile: from ``start`` on, ``count`` of them real, in vectors of ``code``."""

    code: Code
    start: int
    count: int

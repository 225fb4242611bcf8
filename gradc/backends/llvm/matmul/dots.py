"""Products in dots: each element of the result is a sum in the lanes of vectors along k, which are then added up."""

from __future__ import annotations

from dataclasses import replace

from gradc.backends.llvm.matmul.blocks import Lengths
from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.packing import gather_columns
from gradc.backends.llvm.matmul.product import Product
from gradc.backends.llvm.matmul.tile import Matrices
from gradc.backends.llvm.matmul.ways import DotPlan, parts


def emit_dots(code: Code, product: Product, plan: DotPlan, matrices: Matrices, lengths: Lengths) -> None:
    """The whole product: both operands are dense along k, one of them perhaps once it is gathered."""
    m, n, k = product.m, product.n, product.k
    gathers_left, gathers_right = k.left != 1, k.right != 1
    count = int((m if gathers_left else n).length) if gathers_left or gathers_right else 0
    panel = code.local(plan.depth * count, "gathered") if count else ""
    m = replace(m, left=plan.depth) if gathers_left else m
    n = replace(n, right=plan.depth) if gathers_right else n
    for block in parts(int(k.length), plan.depth):
        with code.loop("k", block.start, block.stop, block.step) as along:
            left = code.pointer(matrices.left, code.scale(along.index, k.left))
            right = code.pointer(matrices.right, code.scale(along.index, k.right))
            if count:
                gather_columns(code, left if gathers_left else right, count, panel, plan.depth, block.step)
            left, right = panel if gathers_left else left, panel if gathers_right else right
            for rows in code.parts(lengths.m, plan.rows):
                with code.loop("row", rows.start, rows.stop, rows.step) as down:
                    row = code.pointer(left, code.scale(down.index, m.left), "left")
                    out = code.pointer(matrices.out, code.scale(down.index, m.out))
                    for columns in code.parts(lengths.n, plan.columns):
                        with code.loop("column", columns.start, columns.stop, columns.step) as across:
                            place = Matrices(
                                row,
                                code.pointer(right, code.scale(across.index, n.right), "right"),
                                code.pointer(out, code.scale(across.index, n.out), "out"),
                            )
                            shape = rows.step, columns.step, block.step
                            _Dots(code, replace(product, m=m, n=n), plan, shape).emit(place, along.index)


class _Dots:
    """``rows`` by ``columns`` sums of ``depth`` products."""

    def __init__(self, code: Code, product: Product, plan: DotPlan, shape: tuple[int, int, int]) -> None:
        self.code = code
        self.product = product
        self.plan = plan
        self.rows, self.columns, self.depth = shape

    def emit(self, place: Matrices, k_start: Index) -> None:
        code, plan = self.code, self.plan
        code.writer.comment(f"{self.rows} by {self.columns} sums of {self.depth} products in lanes")
        step = plan.lanes * plan.unroll
        whole = self.depth - self.depth % step
        count = self.rows * self.columns * plan.unroll
        sums = ["zeroinitializer"] * count
        if whole:
            with code.loop("step", 0, whole, step, [(code.vector, zero) for zero in sums]) as loop:
                loop.following = self._products(place, loop.index, loop.values, step)
            sums = loop.following
        if whole != self.depth:
            sums = self._products(place, whole, sums, self.depth - whole)
        vectors = [_total(code, sums[start : start + plan.unroll]) for start in range(0, count, plan.unroll)]
        for start in range(0, len(vectors), plan.lanes):
            self._finish(place.out, start, vectors[start : start + plan.lanes], k_start)

    def _products(self, place: Matrices, start: Index, sums: list[str], length: int) -> list[str]:
        """``length`` products of each element added to its sums; vectors past the end leave theirs as they are."""
        code, plan, product = self.code, self.plan, self.product
        left, right = (code.pointer(base, start) for base in (place.left, place.right))
        following = list(sums)
        for vector in range(plan.unroll):
            offset = vector * plan.lanes
            count = length - offset
            if count <= 0:
                break
            factors = [code.load(code.pointer(left, row * product.m.left + offset), count) for row in range(self.rows)]
            for column in range(self.columns):
                begin = code.pointer(right, column * product.n.right + offset)
                others = code.load(begin, count)
                if plan.ahead and column % 2 == 0:
                    code.fetch_ahead(begin, plan.ahead, min(count, plan.lanes))
                for row, factor in enumerate(factors):
                    position = (row * self.columns + column) * plan.unroll + vector
                    following[position] = code.multiply_add(factor, others, following[position])
        return following

    def _finish(self, out: str, start: int, vectors: list[str], k_start: Index) -> None:
        """Add up the lanes of the elements from ``start`` on and store them, those of a dense row together."""
        code, product = self.code, self.product
        totals, apart = _folded(code, vectors)
        together = self.columns if product.n.out == 1 and apart == 1 and code.lanes % self.columns == 0 else 1
        for position in range(0, len(vectors), together):
            row, column = divmod(start + position, self.columns)
            place = code.pointer(out, row * product.m.out + column * product.n.out)
            if together > 1:
                part = Code(code.library, code.dtype, together, code.writer)
                self._store(code.piece(totals, part, position), part.vector, place, k_start)
            else:
                total = code.writer.value(f"extractelement {code.vector} {totals}, i64 {position * apart}")
                self._store(total, code.element, place, k_start)

    def _store(self, total: str, kind: str, place: str, k_start: Index) -> None:
        """Store one sum, or a vector of them; later blocks of k are added to what the earlier ones left."""
        code, writer = self.code, self.code.writer
        if self.product.accumulate or k_start != 0:
            before = writer.value(f"load {kind}, ptr {place}, align {code.bytes}")
            if isinstance(k_start, str) and not self.product.accumulate:
                is_first = writer.value(f"icmp eq i64 {k_start}, 0")
                zero = "0.0" if kind == code.element else "zeroinitializer"
                before = writer.value(f"select i1 {is_first}, {kind} {zero}, {kind} {before}")
            total = writer.value(f"fadd {kind} {before}, {total}")
        writer.line(f"store {kind} {total}, ptr {place}, align {code.bytes}")


def _total(code: Code, vectors: list[str]) -> str:
    """The sum of some vectors, halves first."""
    while len(vectors) > 1:
        half = len(vectors) // 2
        rest = vectors[2 * half :]
        vectors = [code.sum(vectors[k], vectors[k + half]) for k in range(half)] + rest
    return vectors[0]


def _folded(code: Code, vectors: list[str]) -> tuple[str, int]:
    """The sum of the lanes of each vector, halves first, of at most as many as lanes; how far apart they are in one.

    Halves of two vectors are added at a time, so that no lane is added up in vain while there are two.
    """
    count = 1 << (len(vectors) - 1).bit_length()
    vectors = vectors + vectors[-1:] * (count - len(vectors))
    every, distance = range(code.lanes), code.lanes
    while distance > 1:
        distance //= 2
        half = max(1, len(vectors) // 2)
        pairs = zip(vectors[:half], vectors[half:] or vectors, strict=True)
        low = [lane if not lane & distance else code.lanes + lane - distance for lane in every]
        high = [lane + distance if not lane & distance else code.lanes + lane for lane in every]
        vectors = [code.sum(code.shuffle(a, b, low), code.shuffle(a, b, high)) for a, b in pairs]
    return vectors[0], code.lanes // count

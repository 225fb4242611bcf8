"""Products in dots: each element of the result is a sum in the lanes of vectors along k, which are then added up."""

from __future__ import annotations

from gradc.backends.llvm.matmul.blocks import Lengths
from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.plan import DotPlan, parts
from gradc.backends.llvm.matmul.product import Product
from gradc.backends.llvm.matmul.tile import Matrices


def emit_dots(code: Code, product: Product, plan: DotPlan, matrices: Matrices, lengths: Lengths) -> None:
    """The whole product: both operands are dense along k."""
    m, n, k = product.m, product.n, product.k
    for block in parts(int(k.length), plan.depth):
        with code.loop("k", block.start, block.stop, block.step) as along:
            left, right = (code.pointer(base, along.index) for base in (matrices.left, matrices.right))
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
                            _Dots(code, product, plan, shape).emit(place, along.index)


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
        for element in range(self.rows * self.columns):
            lanes = sums[element * plan.unroll : (element + 1) * plan.unroll]
            self._finish(place.out, element, _total(code, lanes), k_start)

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

    def _finish(self, out: str, element: int, total: str, k_start: Index) -> None:
        """Store one sum; later blocks of k are added to what the earlier ones left."""
        code, writer = self.code, self.code.writer
        row, column = divmod(element, self.columns)
        place = code.pointer(out, row * self.product.m.out + column * self.product.n.out)
        if self.product.accumulate or k_start != 0:
            before = code.load_scalar(place)
            if isinstance(k_start, str) and not self.product.accumulate:
                is_first = writer.value(f"icmp eq i64 {k_start}, 0")
                before = writer.value(f"select i1 {is_first}, {code.element} 0.0, {code.element} {before}")
            total = writer.value(f"fadd {code.element} {before}, {total}")
        code.store_scalar(total, place)


def _total(code: Code, vectors: list[str]) -> str:
    """The sum of all lanes of some vectors, halves first."""
    while len(vectors) > 1:
        half = len(vectors) // 2
        rest = vectors[2 * half :]
        vectors = [code.sum(vectors[k], vectors[k + half]) for k in range(half)] + rest
    total, lanes = vectors[0], code.lanes
    while lanes > 1:
        lanes //= 2
        order = [lane + lanes if lane < lanes else lane for lane in range(code.lanes)]
        total = code.sum(total, code.shuffle(total, "poison", order))
    return code.writer.value(f"extractelement {code.vector} {total}, i64 0")

"""The functions of a module's contractions: one for each signature, defined where it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from gradc.backends.llvm.matmul.blocks import SCRATCH, Lengths, emit_tiles
from gradc.backends.llvm.matmul.code import Code, Index, Library
from gradc.backends.llvm.matmul.dots import emit_dots
from gradc.backends.llvm.matmul.finish import VectorFinish, vector_finish
from gradc.backends.llvm.matmul.pieces import emit_pieces
from gradc.backends.llvm.matmul.plan import copied_from, fetching, packed_from, plan, without_blocks
from gradc.backends.llvm.matmul.product import Axis, Product, product_of
from gradc.backends.llvm.matmul.tile import Matrices
from gradc.backends.llvm.matmul.turned import turned
from gradc.backends.llvm.matmul.ways import DotPlan, Share, TilePlan
from gradc.backends.llvm.matmul.windows import nest_of
from gradc.backends.llvm.writer import Module
from gradc.ir.aval import Dim, short_dtype
from gradc.ir.target import Target
from gradc.loops.language.epilogue import Finish, finish_of
from gradc.loops.language.program import Buffer, Call, Contraction


@dataclass(frozen=True, slots=True)
class Kernel:
    """The product that a contraction is, how it is computed, and its epilogue in views and in vectors."""

    product: Product
    plan: TilePlan | DotPlan
    epilogue: Finish | None = None
    finish: VectorFinish | None = None


def kernel_of(call: Call, buffers: Mapping[str, Buffer], target: Target) -> Kernel | None:
    """How a contraction is computed; None where loops do as well or nothing fits it or its epilogue."""
    contraction = call.callee
    if not isinstance(contraction, Contraction) or contraction.dtype.kind != "f":
        return None
    if contraction.dtype.itemsize not in (4, 8):
        return None
    strides = [view.strides for view in call.views[:3]]
    if call.epilogue is None:
        product = product_of(contraction, strides)
        if product is None:
            return None
        found, other = plan(product, target), turned(product, target)
        if isinstance(found, TilePlan) and other is not product and isinstance(product.k.length, int):
            better = plan(other, target)
            if isinstance(better, TilePlan):  # the same blocks of k, so that an epilogue changes no bit of the sums
                product, found = other, replace(better, depth=found.depth)
        if isinstance(contraction, Share):
            found = contraction.plan
        return Kernel(product, found) if found is not None else None
    epilogue = finish_of(call, buffers)
    if epilogue is None:
        return None
    views = (*epilogue.loads, *epilogue.stores)
    finish = vector_finish(epilogue, contraction.dtype, keeps=call.views[2] not in epilogue.stores)
    product = product_of(contraction, strides, [view.strides for view in views])
    if finish is None or product is None or any(buffers[view.buffer].dtype != contraction.dtype for view in views):
        return None
    if not _has_fixed_result(product) or packed_from(product, target) is not None:
        return None
    chosen = contraction.plan if isinstance(contraction, Share) else plan(product, target)
    if not isinstance(chosen, TilePlan) or not _is_dense(product, finish):
        return None
    if product.deep and nest_of(product, chosen.depth)[0]:
        return None  # which of several blocks is the last is not looked at
    return Kernel(product, chosen, epilogue, finish)


def _has_fixed_result(product: Product) -> bool:
    """Whether all lengths but those of the depth and of the rows are numbers."""
    return all(isinstance(axis.length, int) for axis in (*product.outer, product.n))


def _is_dense(product: Product, finish: VectorFinish) -> bool:
    """Whether vectors along n are loaded whole or from one element, and stored whole."""
    loads, stores = product.n.others[: finish.loads], product.n.others[finish.loads :]
    return all(step in (0, 1) for step in loads) and all(step == 1 for step in stores)


def runs_epilogue(call: Call, buffers: Mapping[str, Buffer], target: Target) -> bool:
    """Whether the epilogue of a contraction runs where its sums are stored."""
    kernel = kernel_of(call, buffers, target)
    return kernel is not None and kernel.finish is not None


def scratch_of(kernel: Kernel, target: Target) -> int:
    """How many elements of scratch memory make a product faster."""
    if not isinstance(kernel.plan, TilePlan):
        return 0
    packed = packed_from(kernel.product, target)
    return packed[1].scratch if packed is not None else kernel.plan.scratch


class MatmulFunctions:
    """Defines functions of a module, and finds those that are there."""

    def __init__(self, module: Module, prefix: str, target: Target) -> None:
        self._library = Library(module, prefix, target)

    def kernel(self, call: Call, buffers: Mapping[str, Buffer], ahead: tuple[int, int] = (0, 0)) -> Kernel:
        """The kernel of a contraction that has one.

        ``ahead`` are the distances, in elements, to what the next iteration of a loop around the call has for lhs, rhs.
        """
        kernel = kernel_of(call, buffers, self._library.target)
        assert kernel is not None, "a contraction without a kernel is expanded into loops"
        right = ahead[0 if kernel.product.swapped else 1]
        return replace(kernel, plan=fetching(kernel.plan, kernel.product, right))

    def call(
        self,
        kernel: Kernel,
        pointers: Sequence[str],
        size: Callable[[Dim], str],
        others: Sequence[str] = (),
        scalars: Sequence[str] = (),
    ) -> str:
        """The instruction for a kernel on views that begin at these pointers (lhs, rhs, out, perhaps scratch).

        ``size`` gives the operand of a symbolic size. ``others`` are the pointers of its epilogue's views, first
        those that it loads from, and ``scalars`` the operands of its scalars.
        """
        product, chosen = kernel.product, kernel.plan
        lhs, rhs, out, *scratch = pointers
        if isinstance(chosen, TilePlan) and chosen.packs_blocks and not scratch:
            chosen = without_blocks(chosen, product.dtype.itemsize)
        packed = packed_from(product, self._library.target) if scratch and isinstance(chosen, TilePlan) else None
        left, right = (rhs, lhs) if product.swapped else (lhs, rhs)
        free = " noalias" if kernel.finish is None else ""
        arguments = {
            "ptr noalias readonly %left": left, "ptr noalias readonly %right": right, f"ptr{free} %out": out
        }  # fmt: skip
        if packed is not None or (isinstance(chosen, TilePlan) and chosen.packs_blocks):
            (arguments[f"ptr noalias {SCRATCH}"],) = scratch
        names = tuple(f"%other.{position}" for position in range(len(others)))
        arguments |= {f"ptr {name}": other for name, other in zip(names, others, strict=True)}

        lengths, outer = _lengths(product)
        named = zip((*outer, lengths.m, lengths.n, lengths.k, lengths.deep), _axes(product), strict=True)
        sizes = {name: axis.length for name, axis in named if isinstance(name, str)}
        arguments |= {f"i64 {name}": size(dim) for name, dim in sizes.items()}

        def emit(code: Code, way: TilePlan | DotPlan) -> None:
            with ExitStack() as loops:
                matrices = _outer_loops(code, product, outer, loops, names)
                if isinstance(way, TilePlan) and kernel.finish is None:
                    emit_pieces(code, product, way, matrices, lengths)
                elif isinstance(way, TilePlan):
                    emit_tiles(code, product, way, matrices, lengths, kernel.finish)
                else:
                    emit_dots(code, product, way, matrices, lengths)

        copied = copied_from(product, self._library.target) if isinstance(chosen, TilePlan) else None
        longer = [way for way in (packed, copied) if way is not None]

        def choose(code: Code, ways: Sequence[tuple[int, TilePlan]]) -> None:
            if not ways:
                emit(code, chosen)
                return
            (least, way), *others = ways
            (length,) = sizes
            with code.either(f"icmp uge i64 {length}, {least}") as otherwise:
                emit(code, way)
                otherwise()
                choose(code, others)

        def body(code: Code) -> str:
            choose(code, longer)
            return _described(product)

        key = product, chosen, packed, kernel.finish
        return self._library.call(key, product.dtype, chosen.lanes, arguments, scalars, body)


def _axes(product: Product) -> tuple[Axis, ...]:
    return (*product.outer, product.m, product.n, product.k, product.deep[0] if product.deep else Axis(1, 0, 0, 0))


def _lengths(product: Product) -> tuple[Lengths, tuple[Index, ...]]:
    """The lengths of a product's axes and of the loops around it: numbers, or names of parameters."""
    names = [*[f"%outer.{k}" for k in range(len(product.outer))], "%rows", "%columns", "%depth", "%windows"]
    lengths = [x.length if isinstance(x.length, int) else n for x, n in zip(_axes(product), names, strict=True)]
    return Lengths(*lengths[-4:]), tuple(lengths[:-4])


def _described(product: Product) -> str:
    """A line about a product: shapes, and the strides of rows and columns."""
    m, n, k = product.m, product.n, product.k
    element = short_dtype(product.dtype)
    times = "".join(f"{axis.length} times " for axis in product.outer)
    rows = f"{m.length}*{product.group.length}" if product.group else f"{m.length}"
    depth = "*".join(str(axis.length) for axis in (*product.deep, k))
    left = ",".join(str(axis.left) for axis in (m, *([product.group] if product.group else []), *product.deep, k))
    right = ",".join(str(axis.right) for axis in (*product.deep, k, n))
    return (
        f"{times}{element}[{rows},{depth}] by [{depth},{n.length}], "
        f"strides {left} by {right} to {(product.group or m).out},{n.out}"
    )


def _outer_loops(
    code: Code, product: Product, lengths: Sequence[Index], loops: ExitStack, others: tuple[str, ...]
) -> Matrices:
    """Opens the loops around a product; where its matrices begin inside them."""
    places = Matrices("%left", "%right", "%out", others)
    for axis, length in zip(product.outer, lengths, strict=True):
        loop = loops.enter_context(code.loop("outer", 0, length))
        places = places.moved(code, axis, loop.index)
    return places

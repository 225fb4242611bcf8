"""The functions of a module's contractions: one for each signature, defined where it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from gradc.backends.llvm.matmul.code import Code, Index, Library
from gradc.backends.llvm.matmul.dots import emit_dots
from gradc.backends.llvm.matmul.plan import DotPlan, Share, TilePlan, packed_from, plan, without_blocks
from gradc.backends.llvm.matmul.product import Axis, Product, product_of
from gradc.backends.llvm.matmul.tile import SCRATCH, Lengths, Matrices, emit_tiles
from gradc.backends.llvm.writer import Module
from gradc.ir.aval import Dim, short_dtype
from gradc.ir.target import Target
from gradc.loops.program import Contraction

Kernel = tuple[Product, TilePlan | DotPlan]


def kernel_of(contraction: Contraction, strides: Sequence[Sequence[Dim]], target: Target) -> Kernel | None:
    """The product that a contraction is and how it is computed; None where loops do as well or nothing fits."""
    if contraction.dtype.kind != "f" or contraction.dtype.itemsize not in (4, 8):
        return None
    product = product_of(contraction, strides)
    if product is None:
        return None
    chosen = contraction.plan if isinstance(contraction, Share) else plan(product, target)
    return (product, chosen) if chosen is not None else None


def scratch_of(kernel: Kernel, target: Target) -> int:
    """How many elements of scratch memory make a product faster."""
    product, chosen = kernel
    if not isinstance(chosen, TilePlan):
        return 0
    packed = packed_from(product, target)
    return packed[1].scratch if packed is not None else chosen.scratch


class MatmulFunctions:
    """Defines functions of a module, and finds those that are there."""

    def __init__(self, module: Module, prefix: str, target: Target) -> None:
        self._library = Library(module, prefix, target)

    def call(
        self,
        contraction: Contraction,
        strides: Sequence[Sequence[Dim]],
        pointers: Sequence[str],
        size: Callable[[Dim], str],
    ) -> str:
        """The instruction for a contraction on views that begin at these pointers (lhs, rhs, out, perhaps scratch).

        ``size`` gives the operand that holds a symbolic size.
        """
        kernel = kernel_of(contraction, strides, self._library.target)
        assert kernel is not None, "a contraction without a kernel is expanded into loops"
        product, chosen = kernel
        lhs, rhs, out, *scratch = pointers
        if isinstance(chosen, TilePlan) and chosen.packs_blocks and not scratch:
            chosen = without_blocks(chosen, product.dtype.itemsize)
        packed = packed_from(product, self._library.target) if scratch and isinstance(chosen, TilePlan) else None
        arguments = [*((rhs, lhs) if product.swapped else (lhs, rhs)), out]
        parameters = ["ptr noalias readonly %left", "ptr noalias readonly %right", "ptr noalias %out"]
        if packed is not None or (isinstance(chosen, TilePlan) and chosen.packs_blocks):
            arguments += scratch
            parameters.append(f"ptr noalias {SCRATCH}")

        lengths, outer = _lengths(product)
        named = zip((*outer, lengths.m, lengths.n, lengths.k), _axes(product), strict=True)
        sizes = {name: axis.length for name, axis in named if isinstance(name, str)}
        parameters += [f"i64 {name}" for name in sizes]

        def emit(code: Code, way: TilePlan | DotPlan) -> None:
            with ExitStack() as loops:
                matrices = _outer_loops(code, product, outer, loops)
                if isinstance(way, TilePlan):
                    emit_tiles(code, product, way, matrices, lengths)
                else:
                    emit_dots(code, product, way, matrices, lengths)

        def body(code: Code) -> str:
            if packed is None:
                emit(code, chosen)
            else:
                (length,) = sizes
                with code.either(f"icmp uge i64 {length}, {packed[0]}") as otherwise:
                    emit(code, packed[1])
                    otherwise()
                    emit(code, chosen)
            return _described(product)

        symbol = self._library.function((product, chosen, packed), product.dtype, chosen.lanes, parameters, body)
        typed = [*[f"ptr {argument}" for argument in arguments], *[f"i64 {size(dim)}" for dim in sizes.values()]]
        return f"call void {symbol}({', '.join(typed)})"


def _axes(product: Product) -> tuple[Axis, ...]:
    return (*product.outer, product.m, product.n, product.k)


def _lengths(product: Product) -> tuple[Lengths, tuple[Index, ...]]:
    """The lengths of a product's axes and of the loops around it: numbers, or names of parameters."""
    names = [*[f"%outer.{k}" for k in range(len(product.outer))], "%rows", "%columns", "%depth"]
    lengths = [x.length if isinstance(x.length, int) else n for x, n in zip(_axes(product), names, strict=True)]
    return Lengths(*lengths[-3:]), tuple(lengths[:-3])


def _described(product: Product) -> str:
    """A line about a product: shapes, and the strides of rows and columns."""
    m, n, k = product.m, product.n, product.k
    element = short_dtype(product.dtype)
    times = "".join(f"{axis.length} times " for axis in product.outer)
    return (
        f"{times}{element}[{m.length},{k.length}] by [{k.length},{n.length}], "
        f"strides {m.left},{k.left} by {k.right},{n.right} to {m.out},{n.out}"
    )


def _outer_loops(code: Code, product: Product, lengths: Sequence[Index], loops: ExitStack) -> Matrices:
    """Opens the loops around a product; where its matrices begin inside them."""
    places = Matrices("%left", "%right", "%out")
    for axis, length in zip(product.outer, lengths, strict=True):
        loop = loops.enter_context(code.loop("outer", 0, length))
        places = Matrices(
            code.pointer(places.left, code.scale(loop.index, axis.left)),
            code.pointer(places.right, code.scale(loop.index, axis.right)),
            code.pointer(places.out, code.scale(loop.index, axis.out)),
        )
    return places

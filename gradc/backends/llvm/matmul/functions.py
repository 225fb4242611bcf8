"""The functions of a module's contractions: one for each signature, defined where it is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from gradc.backends.llvm.matmul.code import Code
from gradc.backends.llvm.matmul.dots import emit_dots
from gradc.backends.llvm.matmul.plan import DotPlan, TilePlan, plan, without_blocks
from gradc.backends.llvm.matmul.product import Product, product_of
from gradc.backends.llvm.matmul.tile import Matrices, emit_tiles
from gradc.backends.llvm.types import symbol_name
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
    chosen = plan(product, target)
    return (product, chosen) if chosen is not None else None


def scratch_elements(contraction: Contraction, strides: Sequence[Sequence[Dim]], target: Target) -> int:
    """How many elements of scratch memory make a contraction faster."""
    kernel = kernel_of(contraction, strides, target)
    return kernel[1].scratch if kernel is not None and isinstance(kernel[1], TilePlan) else 0


class MatmulFunctions:
    """Defines functions of a module, and finds those that are there."""

    def __init__(self, module: Module, prefix: str, target: Target) -> None:
        self._module = module
        self._prefix = prefix
        self._target = target
        self._made: dict[Kernel, str] = {}

    def call(self, contraction: Contraction, strides: Sequence[Sequence[Dim]], pointers: Sequence[str]) -> str:
        """The instruction for a contraction on views that begin at these pointers (lhs, rhs, out, perhaps scratch)."""
        kernel = kernel_of(contraction, strides, self._target)
        assert kernel is not None, "a contraction without a kernel is expanded into loops"
        product, chosen = kernel
        lhs, rhs, *others = pointers
        if isinstance(chosen, TilePlan) and chosen.packs_blocks and len(others) == 1:
            chosen = without_blocks(chosen, product.dtype.itemsize)
        kernel = product, chosen
        if kernel not in self._made:
            self._made[kernel] = symbol_name(f"{self._prefix}.matmul.{len(self._made) + 1}")
            self._module.functions.append(self._definition(self._made[kernel], product, chosen))
        arguments = [*((rhs, lhs) if product.swapped else (lhs, rhs)), others[0]]
        if isinstance(chosen, TilePlan) and chosen.packs_blocks:
            arguments.append(others[1])
        return f"call void {self._made[kernel]}({', '.join(f'ptr {argument}' for argument in arguments)})"

    def _definition(self, symbol: str, product: Product, chosen: TilePlan | DotPlan) -> str:
        code = Code(self._module, product.dtype, chosen.lanes, self._target)
        with ExitStack() as loops:
            matrices = _outer_loops(code, product, loops)
            if isinstance(chosen, TilePlan):
                emit_tiles(code, product, chosen, matrices)
            else:
                emit_dots(code, product, chosen, matrices)
        writer = code.writer
        element = short_dtype(product.dtype)
        scratch = chosen.scratch if isinstance(chosen, TilePlan) else 0
        times = "".join(f"{axis.length} times " for axis in product.outer)
        comma = "," if scratch else ""
        head = [
            f"; {times}{element}[{product.m.length},{product.k.length}] by [{product.k.length},{product.n.length}]",
            f"define internal void {symbol}(",
            f"    ptr noalias readonly %left,  ; row stride {product.m.left}, column stride {product.k.left}",
            f"    ptr noalias readonly %right,  ; row stride {product.k.right}, column stride {product.n.right}",
            f"    ptr noalias %out{comma}  ; row stride {product.m.out}, column stride {product.n.out}",
            *([f"    ptr noalias %scratch  ; {scratch} elements"] if scratch else []),
            f') noinline nounwind "prefer-vector-width"="{self._target.vector_bits}" {{',
        ]
        return "\n".join([*head, ".entry:", *writer.entry, *writer.lines, "  ret void", "}"])


def _outer_loops(code: Code, product: Product, loops: ExitStack) -> Matrices:
    """Opens the loops around a product; where its matrices begin inside them."""
    places = Matrices("%left", "%right", "%out")
    for name in ("left", "right", "out", "scratch"):
        code.writer.name(name)
    for axis in product.outer:
        loop = loops.enter_context(code.loop("outer", 0, axis.length))
        places = Matrices(
            code.pointer(places.left, code.scale(loop.index, axis.left)),
            code.pointer(places.right, code.scale(loop.index, axis.right)),
            code.pointer(places.out, code.scale(loop.index, axis.out)),
        )
    return places

"""In which order a contraction is added up here."""

from __future__ import annotations

from collections.abc import Mapping

from gradc.backends.llvm.matmul.functions import kernel_of
from gradc.backends.llvm.matmul.plan import packed_from, without_blocks
from gradc.backends.llvm.matmul.ways import DotPlan, TilePlan
from gradc.ir.aval import SymbolicDim
from gradc.ir.target import Target
from gradc.loops.language.program import Buffer, Call
from gradc.loops.lowering.sums import Blocks, SumOrder


def sum_order(call: Call, buffers: Mapping[str, Buffer], target: Target) -> SumOrder | None:
    """The order of a contraction that has a kernel; None of one that runs as the loops of ``loops.shaping.matmul``."""
    kernel = kernel_of(call, buffers, target)
    if kernel is None:
        return None
    product, chosen = kernel.product, kernel.plan
    if isinstance(chosen, DotPlan):
        return SumOrder(Blocks(chosen.depth), chosen.lanes, chosen.unroll)
    has_scratch = len(call.views) > 3
    if chosen.packs_blocks and not has_scratch:
        chosen = without_blocks(chosen, product.dtype.itemsize)
    depth = product.k.length
    blocks = _blocks(chosen, depth)
    packed = packed_from(product, target) if has_scratch else None
    if packed is not None:
        length, plan = packed
        symbolic = depth if isinstance(depth, SymbolicDim) else product.m.length
        return SumOrder(blocks, longer=(symbolic, length, _blocks(plan, depth)))
    if chosen.streams is not None:
        most, narrow = chosen.streams
        return SumOrder(blocks, longer=(depth, most + 1, Blocks(narrow, even=True)))
    return SumOrder(blocks)


def _blocks(plan: TilePlan, depth: object) -> Blocks:
    """A depth that the call tells is cut when it is known, so that its blocks are even."""
    return Blocks(plan.depth, even=isinstance(depth, SymbolicDim))

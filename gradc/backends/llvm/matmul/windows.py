"""Products whose sums run along several axes, as those over windows of an array do, which is read where it stands.

In ``out[i, j, f] += x[i + u, j + v] * kernel[u, v, f]``, summed over u and v, strides join neither u and v nor i and j
of x. A tile goes through the summed axes one inside the other, its sums in registers all the while.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from gradc.backends.llvm.matmul.pairs import pairs_up
from gradc.backends.llvm.matmul.product import Axis, Product
from gradc.backends.llvm.matmul.shapes import MAX_ROWS, MAX_VECTORS, Room, tile_shape
from gradc.backends.llvm.matmul.ways import TilePlan
from gradc.ir.target import Target
from gradc.loops.lowering.sums import cut

LEAST_BLOCK: Final = 32
"""Blocks of k of fewer terms would store sums too often."""


@lru_cache(maxsize=256)
def in_windows(product: Product, target: Target, lanes: int, limit: int) -> TilePlan | None:
    """How to compute a product with several axes of k in tiles, with blocks of k of at most ``limit`` terms.

    None where the right operand or the result is not dense along n, lengths other than those of outer loops and of the
    outermost axis of k are not known, or no part of the axes makes blocks.
    """
    m, n, k = product.m.length, product.n.length, product.k.length
    if not (isinstance(m, int) and isinstance(n, int) and isinstance(k, int)):
        return None
    if product.n.right != 1 or product.n.out != 1 or n < 2:
        return None
    terms = _block(product, limit)
    if terms is None:
        return None
    each = int(product.group.length) if product.group else 1
    room = Room(target.registers, lanes, MAX_ROWS, MAX_VECTORS)
    columns = -(-n // lanes), pairs_up(lanes, n, product.dtype.itemsize)
    rows, vectors = tile_shape(m * each, columns, terms, room)
    return TilePlan(max(1, min(m, rows // each)), vectors, lanes, terms, m, n)


def nest_of(product: Product, terms: int) -> tuple[tuple[Axis, ...], tuple[Axis, ...]]:
    """The axes of blocks of so many terms, and those of the sum of one block, from the outermost in.

    One of symbolic length is the first.
    """
    axes = [*product.deep, product.k]
    around = () if isinstance(axes[0].length, int) else (axes.pop(0),)
    level, part = cut([int(axis.length) for axis in axes], terms)
    axis = axes[level]
    blocks, inner = axes[:level], axes[level + 1 :]
    if part < int(axis.length):
        steps = replace(axis, length=int(axis.length) // part, left=axis.left * part, right=axis.right * part)
        blocks = [*blocks, steps]
    if part > 1:
        inner = [replace(axis, length=part), *inner]
    return (*around, *blocks), tuple(inner)


def _block(product: Product, limit: int) -> int | None:
    """How many terms blocks have: as many of the innermost axes as there is room for, and an equal part of the next."""
    terms = 1
    for axis in (product.k, *reversed(product.deep)):
        if not isinstance(axis.length, int):
            break
        length, room = int(axis.length), limit // terms
        part = max(part for part in range(1, min(length, room) + 1) if length % part == 0)
        terms *= part
        if part < length:
            return terms if terms >= LEAST_BLOCK else None
    return terms

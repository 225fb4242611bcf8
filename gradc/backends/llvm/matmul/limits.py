"""What the caches hold, as far as it decides how a product is computed.

Measured on two kinds of machines, which the number of vector registers tells apart: 32 of them come with first caches
of 48 kB and second ones of 1 MB (Zen 5), 16 with 32 and 512 kB (Zen 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gradc.backends.llvm.matmul.product import Product
from gradc.ir.target import Target

LARGE: Final = 128
"""Rows and columns from which whole blocks of large operands are packed."""

BLOCKED_BYTES: Final = 2048 * 1024
"""With an operand that is larger than this, whole blocks are packed, where there is memory for them."""

RIGHT_BYTES: Final = 4352 * 1024
"""Bytes of a packed block of the right operand."""

Packing = Literal["none", "copy", "transpose", "registers"]
"""How a panel of the right operand is made: not at all, copied, transposed, or transposed in registers by each tile."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one kind of machine.

    packed_rows    rows from which packing a right operand that is dense along n pays
    unpacked_bytes a right operand of at most this size is read where it stands
    scattered_bytes a left operand that is dense along its rows and larger than this is packed in whole blocks: every
                   panel of columns reads it again, a few elements of each of its lines at a time
    block_depth    elements along k of blocks that are packed whole, by the size of an element
    left_bytes     bytes of such a block of the left operand, which stays in the second cache
    """

    packed_rows: int
    unpacked_bytes: int
    scattered_bytes: int
    block_depth: dict[int, int]
    left_bytes: dict[int, int]


MANY: Final = Limits(LARGE, 512 * 1024, BLOCKED_BYTES, {4: 1024, 8: 512}, {4: 512 * 1024, 8: 640 * 1024})
FEW: Final = Limits(48, 16 * 1024, 256 * 1024, {4: 512, 8: 512}, {4: 256 * 1024, 8: 384 * 1024})


def limits(target: Target) -> Limits:
    """Those of a machine with as many registers."""
    return MANY if target.registers >= 32 else FEW


def copies_panels(product: Product, target: Target) -> bool:
    """Whether panels of a right operand that is dense along n are packed."""
    m, n, k = _lengths(product)
    bounds = limits(target)
    return k * n * product.dtype.itemsize > bounds.unpacked_bytes and m >= bounds.packed_rows


def packs_blocks(product: Product, target: Target) -> bool:
    """Whether whole blocks of both operands are packed, where panels of the right one are."""
    m, n, k = _lengths(product)
    size, bounds = product.dtype.itemsize, limits(target)
    if 1 not in (product.m.left, product.k.left):
        return False
    if product.m.left == 1 and k * m * size > bounds.scattered_bytes and min(m, n) >= bounds.packed_rows:
        return True
    return k * max(m, n) * size > BLOCKED_BYTES and min(m, n) >= LARGE


def _lengths(product: Product) -> tuple[int, int, int]:
    return int(product.m.length), int(product.n.length), int(product.k.length)

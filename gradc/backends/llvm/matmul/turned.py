"""Products with their operands in each other's place: vectors along the rows of the left operand, not the columns.

What few columns leave empty of a vector, many rows fill. The tile is transposed as it is stored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gradc.backends.llvm.matmul.pairs import pairs_up
from gradc.backends.llvm.matmul.plan import PANEL_BYTES, TRANSPOSING_REGISTERS, in_tiles, is_crowded, plan
from gradc.backends.llvm.matmul.product import Product, is_turned
from gradc.backends.llvm.matmul.shapes import MAX_ROWS
from gradc.backends.llvm.matmul.ways import DotPlan, TilePlan
from gradc.ir.target import Target

TURN_DEPTH: Final = 16
TURN_COLUMNS: Final = 64
TURN_BYTES: Final = 512 * 1024
TURN_GAIN: Final = 0.97
"""From so many terms on, and up to so many columns and bytes of the left operand, it pays to store a result transposed
where that leaves so much of the vectors."""

TURNED_LANES: Final = 4
"""Where it leaves as many vectors, it pays for vectors of at most so many lanes: transposing longer ones of the right
operand takes no more, or, with few registers, a tile has fewer rows than they have lanes, and is stored in pieces."""

READ_ONCE_COLUMNS: Final = 8
READ_ONCE_BYTES: Final = 16 * 1024 * 1024
"""Up to so many columns a left operand that is dense along its rows is read once, where it stands, however large; up to
so many bytes for as many columns as one tile has, where there are many registers."""

TRANSPOSED_LANES: Final = 16
TRANSPOSED_GAIN: Final = 0.8
"""The same where the left operand is transposed for it beside the first tiles; in vectors of fewer lanes only for as
many columns as lanes."""

TRANSPOSED_PART: Final = 4
"""In vectors of so many lanes it pays to transpose the left operand for the last columns, if they fill at most the
inverse of this of one."""


def turned(product: Product, target: Target) -> Product:
    """The product with its operands in each other's place where tiles do that faster, though they store columns.

    A left operand that is dense along its rows fills vectors that few columns leave empty, or that a right operand
    which is dense along k fills only once it is transposed. One that is dense along k is transposed for few columns.
    A depth that the call tells is taken to be ``turned_below`` of the product.
    """
    m, n, k = product.m, product.n, product.k
    lanes = target.lanes(product.dtype.itemsize)
    if product.deep or not (isinstance(m.length, int) and isinstance(n.length, int)):
        return product
    if n.out != 1 or 1 not in (m.left, k.left):
        return product
    rows, columns, depth = m.length, n.length, int(product.typical.k.length)
    most = turned_below(product, target) if m.left == 1 else None
    crowded = m.left != 1 and lanes < TRANSPOSED_LANES and is_crowded(product)
    fits = columns <= TURN_COLUMNS and depth >= TURN_DEPTH and not crowded and (most is None or depth < most)
    after, before = columns * -(-rows // lanes), rows * -(-columns // lanes)
    if m.left == 1 and _splits(rows, columns, lanes):
        before = rows * (columns // lanes) + (columns % lanes + 1) * -(-rows // lanes)
    squares = lanes <= TURNED_LANES
    gains = after < TURN_GAIN * before or (after == before and n.right != 1 and squares)
    if m.left != 1:
        shares = lanes >= TRANSPOSED_LANES or columns >= lanes
        before -= rows // 2 * pairs_up(lanes, columns, product.dtype.itemsize)
        gains = target.registers >= TRANSPOSING_REGISTERS and shares and after < TRANSPOSED_GAIN * before
    return product.transposed if fits and gains and columns > 1 else product


def turned_below(product: Product, target: Target) -> int | None:
    """The depth from which on a left operand that is dense along its rows is too large for vectors along them, if any.

    The rows and the columns are known.
    """
    rows, columns = int(product.m.length), int(product.n.length)
    if columns <= READ_ONCE_COLUMNS:
        return None
    once = columns <= MAX_ROWS and target.registers >= TRANSPOSING_REGISTERS
    return (READ_ONCE_BYTES if once else TURN_BYTES) // (rows * product.dtype.itemsize) + 1


def ragged(product: Product, chosen: TilePlan | DotPlan, target: Target) -> tuple[Product, TilePlan] | None:
    """The last columns, that leave most of a vector empty, with the operands in each other's place, and their plan.

    Their vectors run along the rows: of a left operand that is dense along them, or, where the columns are very few, is
    transposed. None where that gains nothing.
    """
    m, n, lanes = product.m.length, product.n.length, target.lanes(product.dtype.itemsize)
    if not isinstance(chosen, TilePlan) or chosen.packs_blocks or is_turned(product) or product.deep:
        return None
    if not (isinstance(m, int) and isinstance(n, int) and _splits(m, n, lanes)):
        return None
    alone = chosen.packing == "registers"  # vectors of other columns are in other tiles
    few = n % lanes * TRANSPOSED_PART <= lanes
    if product.m.left != 1 and (not few if alone else pairs_up(lanes, n, product.dtype.itemsize)):
        return None
    last = replace(product, n=replace(product.n, length=n % lanes))
    other = turned(last, target)
    dense = product.n.right == product.k.left == product.n.out == 1
    if other is last and dense and few and lanes >= TRANSPOSED_LANES and chosen.depth >= TURN_DEPTH:
        other = last.transposed
    found = plan(other, target)
    if isinstance(found, DotPlan) and other == other.typical:
        found = in_tiles(other, target)
    if other is last or not isinstance(found, TilePlan):
        return None
    found = replace(found, depth=chosen.depth, streams=chosen.streams)
    fits = found.packing in ("none", "registers") or found.depth * found.columns * product.dtype.itemsize <= PANEL_BYTES
    return (other, found) if fits else None


def _splits(rows: int, columns: int, lanes: int) -> bool:
    """Whether the last columns fill at most half a vector, and the rows some."""
    return columns > lanes and 0 < columns % lanes <= lanes // 2 and rows >= lanes

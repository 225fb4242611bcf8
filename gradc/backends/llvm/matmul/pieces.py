"""Products without an epilogue, piece by piece: some of them with their operands in each other's place.

Those are the last columns; whole groups of rows, where the call tells how many rows there are; or all of a product
whose depth the call tells, if that is not too long. A piece has the blocks of k of the product, so no bit of a sum
depends on the pieces.
"""

from __future__ import annotations

from dataclasses import replace

from gradc.backends.llvm.matmul.blocks import Lengths, emit_tiles
from gradc.backends.llvm.matmul.code import Code
from gradc.backends.llvm.matmul.plan import plan
from gradc.backends.llvm.matmul.product import Product
from gradc.backends.llvm.matmul.tile import Matrices
from gradc.backends.llvm.matmul.turned import ragged, turned, turned_below
from gradc.backends.llvm.matmul.ways import TilePlan
from gradc.ir.target import Target


def emit_pieces(code: Code, product: Product, way: TilePlan, matrices: Matrices, lengths: Lengths) -> None:
    """The whole product in tiles, in a way that may give up pieces of it to better ones."""
    if way.packs_blocks or product.deep:
        emit_tiles(code, product, way, matrices, lengths)
    elif isinstance(lengths.k, str):
        _emit_by_depth(code, product, way, matrices, lengths)
    elif isinstance(lengths.m, str):
        _emit_by_rows(code, product, way, matrices, lengths)
    else:
        _emit_by_columns(code, product, way, matrices, lengths)


def _emit_by_columns(code: Code, product: Product, way: TilePlan, matrices: Matrices, lengths: Lengths) -> None:
    """A product, perhaps of a depth that the call tells, with the last columns in vectors along the rows."""
    rest = ragged(product, way, code.library.target)
    whole = int(product.n.length) - (int(rest[0].m.length) if rest else 0)
    emit_tiles(code, product, way, matrices, replace(lengths, n=whole))
    if rest is not None:
        _emit_turned(code, rest, matrices.moved(code, product.n, whole), replace(lengths, n=0))


def _emit_by_depth(code: Code, product: Product, way: TilePlan, matrices: Matrices, lengths: Lengths) -> None:
    """A product of a depth that the call tells: in vectors along the rows, if it is not too long for them."""
    better = _in_place_of(product, way, code.library.target)
    if better is None:
        _emit_by_columns(code, product, way, matrices, lengths)
        return
    most = turned_below(product, code.library.target)
    if most is None:
        _emit_turned(code, better, matrices, lengths)
        return
    with code.either(f"icmp ult i64 {lengths.k}, {most}") as otherwise:
        _emit_turned(code, better, matrices, lengths)
        otherwise()
        _emit_by_columns(code, product, way, matrices, lengths)


def _emit_by_rows(code: Code, product: Product, way: TilePlan, matrices: Matrices, lengths: Lengths) -> None:
    """A product of rows that the call tells: groups of them in vectors along the rows, and what is left."""
    better = _in_place_of(product.typical, way, code.library.target)
    if better is None:
        emit_tiles(code, product, way, matrices, lengths)
        return
    other, chosen = better
    rows = chosen.columns
    left = code.writer.value(f"urem i64 {lengths.m}, {rows}")
    whole = code.minus(lengths.m, left)
    group = replace(other, n=replace(other.n, length=rows)), replace(chosen, width=rows)
    with code.loop("group", 0, whole, rows) as down:
        _emit_turned(code, group, matrices.moved(code, product.m, down.index), replace(lengths, m=rows))
    emit_tiles(code, product, way, matrices.moved(code, product.m, whole), replace(lengths, m=left))


def _in_place_of(product: Product, way: TilePlan, target: Target) -> tuple[Product, TilePlan] | None:
    """The product with its operands in each other's place, and a plan with the same blocks of k; None for the worse."""
    other = turned(product, target)
    found = plan(other, target)
    if other is product or not isinstance(found, TilePlan):
        return None
    return other, replace(found, depth=way.depth, streams=way.streams)


def _emit_turned(code: Code, piece: tuple[Product, TilePlan], matrices: Matrices, lengths: Lengths) -> None:
    """A piece with its operands in each other's place, of a depth as in ``lengths``, in vectors of its own."""
    product, way = piece
    own = Code(code.library, code.dtype, way.lanes, code.writer)
    place = Matrices(matrices.right, matrices.left, matrices.out)
    emit_tiles(own, product, way, place, Lengths(int(product.m.length), int(product.n.length), lengths.k))

"""Which kernel a product gets: the shape of its register tile and the blocks that its caches hold.

A tile is ``rows`` by ``vectors`` sums in registers. A step along k loads ``vectors`` vectors of the right operand and
spreads ``rows`` elements of the left over the lanes. Where the right operand is dense along k instead of n, a panel of
it is first transposed into local memory, or each tile transposes what it needs in registers, or, with few rows, the
sums run in the lanes themselves (dots).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from gradc.backends.llvm.matmul.limits import RIGHT_BYTES, Packing, copies_panels, limits, packs_blocks
from gradc.backends.llvm.matmul.pairs import pairs_up
from gradc.backends.llvm.matmul.product import TYPICAL, Product, is_turned
from gradc.backends.llvm.matmul.shapes import MAX_ROWS, MAX_VECTORS, Room, tile_shape
from gradc.backends.llvm.matmul.ways import DotPlan, TilePlan
from gradc.backends.llvm.matmul.windows import in_windows
from gradc.ir.target import Target

PANEL_BYTES: Final = 48 * 1024
"""A packed panel of the right operand: local memory that stays in the first or second cache."""

BLOCK_TILE: Final = {4: (8, 8), 8: (6, 4)}
"""The most rows and vectors of a tile on blocks that are packed whole, by the size of an element. With few registers
tiles are as for 4 bytes."""

WIDE_BYTES: Final = 512 * 1024
PANEL_TILE: Final = {4: (8, 3), 8: (6, 4)}
"""The most rows and vectors of a tile on panels of a right operand that is larger than the first, by the size of an
element: wide, for fewer passes over the left operand."""

LONGEST: Final = 4096
"""Where a length is symbolic, whole blocks are packed as for this one, from the length on from which it is done."""

COPIED_ROWS: Final = 256
"""Where rows are symbolic, and panels are copied from some number on, that is done as for so many."""

DEPTH: Final = 1024
"""The longest sum in one register: longer ones are sums of such blocks, which loses fewer digits."""

DOT_DEPTH: Final = 16 * 1024
"""The same for sums in lanes."""

STREAM_ROWS: Final = 2
STREAM_BYTES: Final = 512 * 1024
STREAM_DEPTH: Final = 6
STREAM_VECTORS: Final = 4
"""With few rows, a right operand that is larger than this is read along its rows, so many side by side: fewer than a
cache has ways, as rows may lie a power of two apart."""

NEAR_BYTES: Final = 32 * 1024
"""In a batch every left operand is new, and comes from farther away than a right one of at most this size does when it
is read again. Wide tiles read the left one less often."""

FETCHED_BYTES: Final = 8 * 1024
FETCHED_ROWS: Final = 4
"""A right operand of at least this size, and at most that of a panel, is fetched ahead for at most so many rows."""

DOT_ROWS: Final = 3
MANY_DOT_ROWS: Final = 8
MANY_DOT_VECTORS: Final = 2
"""With at most so many rows, transposing the right operand costs more than it saves: of the second number where there
are registers for four rows by four columns, and so many vectors along k, which pay for adding up their lanes."""

GATHERED_ROWS: Final = 8
GATHERED_VECTORS: Final = 2
GATHERED_LEFT_VECTORS: Final = 4
CROWDED_GATHERED_ROWS: Final = 4
"""A right operand of at most half a vector of columns, one row of it right after the other, is gathered into columns
for dots from so many rows for each column on, and so many vectors along k, and half as many vectors as columns. A
transposed left operand of few rows is gathered from as many columns for each row on, and so many vectors. The last
number of rows is for a left operand whose rows share one place of a cache, which vectors along them suffer from."""

DOT_BURST: Final = 8 * 1024 * 1024
"""A vector meets a matrix of at most this size two rows of it at a time, in long bursts: caches give those faster than
many short ones. A larger one comes from memory, of which more rows ask for more at once."""

TRANSPOSING_REGISTERS: Final = 32
TRANSPOSING_BITS: Final = 512
"""With so many registers, of so many bits, tiles transpose the right operand as they add up."""

CROWDED_BYTES: Final = 2048
CROWDED_TILE: Final = (8, 1)
CROWDED_ROWS: Final = 192
"""Columns that are a multiple of so many bytes apart share two places of a first cache: tiles are smaller for that.
From so many rows on, or with columns twice as far apart, a panel is transposed at once."""


@lru_cache(maxsize=256)
def plan(product: Product, target: Target) -> TilePlan | DotPlan | None:
    """How to compute a product; None where no kernel fits its strides, or its symbolic lengths.

    Tiles take any number of rows and, where they do not transpose, any depth; dots any number of rows and columns.
    """
    if product.deep:
        lanes = _lanes(int(product.typical.n.length), target.lanes(product.dtype.itemsize))
        return in_windows(product, target, lanes, DEPTH)
    if _gathers(product, target):
        return _dots(product.typical, target)
    if product == product.typical:
        return _plan(product, target)
    packed = packed_from(product, target)
    chosen = _plan(product.with_lengths(min(TYPICAL, packed[0] - 1) if packed else TYPICAL), target)
    if isinstance(product.k.length, int):
        if isinstance(chosen, DotPlan):
            return chosen
    elif chosen is None or isinstance(chosen, DotPlan) or chosen.packing in ("transpose", "registers"):
        return None
    if chosen is None or not isinstance(product.n.length, int):
        return None
    size = product.dtype.itemsize
    chosen = without_blocks(chosen, size)
    if isinstance(product.k.length, int):
        copied = copied_from(product, target)
        return replace(chosen, depth=copied[1].depth) if copied else chosen
    streams = None
    if _may_stream(product, chosen.packing, chosen.lanes):
        streams = STREAM_BYTES // (product.n.length * size), STREAM_DEPTH
    return replace(chosen, depth=_panel_depth(chosen.packing, chosen.columns * size), streams=streams)


def packed_from(product: Product, target: Target) -> tuple[int, TilePlan] | None:
    """The length of its one symbolic axis from which on a product packs whole blocks, and how; None where it does not.

    The rows of the left operand, or its depth, where what is packed is copied.
    """
    symbolic = [name for name in ("m", "n", "k") if not isinstance(getattr(product, name).length, int)]
    if (
        product.deep
        or symbolic not in (["m"], ["k"])
        or any(not isinstance(axis.length, int) for axis in product.outer)
    ):
        return None
    (name,) = symbolic

    def at(length: int) -> TilePlan | None:
        found = _plan(product.with_lengths(length), target)
        return found if isinstance(found, TilePlan) and found.packs_blocks else None

    chosen = at(LONGEST)
    if chosen is None or (name == "k" and (chosen.packing != "copy" or product.m.left != 1)):
        return None
    without, packed = 0, LONGEST
    while packed - without > 1:
        middle = (packed + without) // 2
        without, packed = (middle, packed) if at(middle) is None else (without, middle)
    return packed, chosen


def copied_from(product: Product, target: Target) -> tuple[int, TilePlan] | None:
    """The number of symbolic rows from which on panels of the right operand are copied, and how.

    None where they are not, or for any number.
    """
    fixed = (*product.outer, product.n, product.k)
    if product.deep or isinstance(product.m.length, int) or not all(isinstance(axis.length, int) for axis in fixed):
        return None
    least, packed = limits(target).packed_rows, packed_from(product, target)
    most = packed[0] - 1 if packed else LONGEST
    few, many = (_plan(product.with_lengths(rows), target) for rows in (TYPICAL, min(COPIED_ROWS, most)))
    if not (isinstance(few, TilePlan) and isinstance(many, TilePlan)) or least > most:
        return None
    return (least, many) if few.packing == "none" and many.packing == "copy" and not many.packs_blocks else None


def _plan(product: Product, target: Target) -> TilePlan | DotPlan | None:
    n, k = product.n, product.k
    both_deep = k.right == 1 and k.left == 1
    if not _has_dense_rows(product):
        return _dots(product, target) if both_deep else None
    if both_deep and _few_rows(product, target) and (n.right != 1 or n.length == 1):
        return _dots(product, target)
    return in_tiles(product, target)


def in_tiles(product: Product, target: Target) -> TilePlan | None:
    """How to compute a product in tiles, whether or not dots would be faster; None where its strides do not fit."""
    if not _has_dense_rows(product) or product.n.length == 1:
        return None
    if product.n.right == 1:
        return _tiles(product, target, "none")
    if product.k.right == 1:
        return _tiles(product, target, "registers" if _in_registers(product, target) else "transpose")
    return None


def _has_dense_rows(product: Product) -> bool:
    """Whether columns of the result are neighbours, or tiles are transposed as they are stored."""
    return product.n.out == 1 or product.n.length == 1 or is_turned(product)


def _tiles(product: Product, target: Target, packing: Packing) -> TilePlan:
    m, n, k = (int(axis.length) for axis in (product.m, product.n, product.k))
    size = product.dtype.itemsize
    lanes = _lanes(n, target.lanes(size))
    if _may_stream(product, packing, lanes) and k * n * size > STREAM_BYTES:
        vectors = min(STREAM_VECTORS, (target.registers - 1) // (m + 1))
        return TilePlan(m, vectors, lanes, _even(k, STREAM_DEPTH), m, n)
    if packing == "none" and copies_panels(product, target):
        packing = "copy"
    blocks = packing != "none" and packs_blocks(product, target)
    most = MAX_ROWS, MAX_VECTORS
    if blocks:
        most = BLOCK_TILE[size if target.registers >= 32 else 4]
    elif packing == "registers" and product.n.right * size % CROWDED_BYTES == 0:
        most = CROWDED_TILE
    elif packing in ("copy", "transpose") and k * n * size > WIDE_BYTES:
        most = PANEL_TILE[size]
    in_all = -(-n // lanes), product.m.left != 1 and pairs_up(lanes, n, size)
    in_place = packing == "none" and not is_turned(product)
    wide = bool(product.outer) and product.k.left == 1 and in_place and k * n * size <= NEAR_BYTES
    turned = 16 // size if packing == "registers" else 0
    room = Room(target.registers, lanes, *most, square=lanes if is_turned(product) else 1, turned=turned, wide=wide)
    rows, vectors = tile_shape(m, in_all, k, room)
    columns = vectors * lanes
    if blocks:
        bounds = limits(target)
        depth = _even(k, bounds.block_depth[size])
        height = min(m, _even(m, bounds.left_bytes[size] // (depth * size), rows))
        width = min(n, _even(n, RIGHT_BYTES // (depth * size), columns))
        return TilePlan(rows, vectors, lanes, depth, height, width, packing, packs_blocks=True)
    return TilePlan(rows, vectors, lanes, _even(k, _panel_depth(packing, columns * size)), m, n, packing)


def _in_registers(product: Product, target: Target) -> bool:
    """Whether tiles transpose the right operand, a few elements of each column at a time, as they need them."""
    apart, rows = product.n.right * product.dtype.itemsize, int(product.m.length)
    crowded = apart % (2 * CROWDED_BYTES if rows < CROWDED_ROWS else CROWDED_BYTES) == 0
    many = target.registers >= TRANSPOSING_REGISTERS and target.vector_bits >= TRANSPOSING_BITS
    return many and not crowded and not packs_blocks(product, target)


def _may_stream(product: Product, packing: Packing, lanes: int) -> bool:
    """Whether a right operand, if it is large, is read along its rows for few rows of the left one."""
    m, n = product.typical.m.length, product.typical.n.length
    few = int(m) <= STREAM_ROWS and not is_turned(product)
    return packing == "none" and few and int(n) >= 4 * lanes


def fetching(plan: TilePlan | DotPlan, product: Product, ahead: int) -> TilePlan | DotPlan:
    """The plan for a product in a loop that goes on to a right operand ``ahead`` elements later.

    Where the product does little with what it reads, memory would idle while the caches are worked on, so it is asked
    for what comes next: for the even columns of the right operand where these are sums in lanes, for the odd rows
    where sums are in tiles. A strip of a matrix that meets both is fetched once.
    """
    m, n, k = product.m.length, product.n.length, product.k.length
    if not (isinstance(m, int) and isinstance(n, int) and isinstance(k, int)):
        return plan
    wanted = ahead > 0 and m <= FETCHED_ROWS and FETCHED_BYTES <= n * k * product.dtype.itemsize <= PANEL_BYTES
    return replace(plan, ahead=ahead) if wanted else plan


def without_blocks(plan: TilePlan, itemsize: int) -> TilePlan:
    """The plan for a call that has no scratch memory: panels of the right operand alone are packed."""
    depth = min(plan.depth, _panel_depth(plan.packing, plan.columns * itemsize))
    return replace(plan, depth=depth, packs_blocks=False)


def _panel_depth(packing: Packing, row: int) -> int:
    """The depth of a panel with rows of so many bytes."""
    return DEPTH if packing == "none" else min(DEPTH, PANEL_BYTES // row)


def _gathers(product: Product, target: Target) -> bool:
    """Whether dots with few columns, or few rows, that are gathered first take less time than tiles."""
    m, n, k, lanes = product.m, product.n, product.k, target.lanes(product.dtype.itemsize)
    if not (isinstance(n.length, int) and isinstance(k.length, int)):
        return False
    if isinstance(m.length, int) and m.left == k.right == 1 and k.left == m.length > 1:
        deep = k.length >= GATHERED_LEFT_VECTORS * lanes
        return deep and n.length >= GATHERED_ROWS * m.length and _few_rows(product, target)
    narrow = 2 <= n.length <= lanes // 2 and n.right == n.out == k.left == 1 and k.right == n.length
    rows, vectors = int(product.typical.m.length), max(GATHERED_VECTORS, -(-n.length // 2))
    least = (CROWDED_GATHERED_ROWS if is_crowded(product) else GATHERED_ROWS) * n.length
    return narrow and rows >= least and k.length >= vectors * lanes


def is_crowded(product: Product) -> bool:
    """Whether all rows of the left operand share two places of a first cache."""
    return product.m.left * product.dtype.itemsize % (2 * CROWDED_BYTES) == 0


def _few_rows(product: Product, target: Target) -> bool:
    """Whether dots take less time than transposing the right operand."""
    m, k = int(product.m.length), int(product.k.length)
    vectors = k // target.lanes(product.dtype.itemsize)
    return m <= DOT_ROWS or (target.registers >= 32 and m <= MANY_DOT_ROWS and vectors >= MANY_DOT_VECTORS)


def _dots(product: Product, target: Target) -> DotPlan:
    m, n, k = (int(axis.length) for axis in (product.m, product.n, product.k))
    lanes = _lanes(k, target.lanes(product.dtype.itemsize))
    rows = _even(m, 4 if target.registers >= 32 else 2)
    bursts = rows == 1 and k >= 16 * lanes and n * k * product.dtype.itemsize <= DOT_BURST
    columns = min(n, 2 if bursts else 4 if rows > 2 else 8 // rows)
    unroll = max(1, min(target.registers // 2 // (rows * columns), k // lanes))
    step = lanes * unroll
    gathered = n if product.k.right != 1 else m if product.k.left != 1 else 0
    limit = PANEL_BYTES // (gathered * product.dtype.itemsize) // step * step if gathered else DOT_DEPTH
    return DotPlan(rows, columns, lanes, unroll, min(k, _even(k, limit, step)))


def _lanes(length: int, most: int) -> int:
    """The narrowest vector of at least two lanes that holds ``length`` elements, at most ``most``."""
    lanes = min(2, most)
    while lanes < min(length, most):
        lanes *= 2
    return lanes


def _even(length: int, limit: int, multiple: int = 1) -> int:
    """The length of equal blocks of at most about ``limit``, a multiple of ``multiple``."""
    blocks = -(-length // limit)
    each = -(-length // blocks)
    return -(-each // multiple) * multiple

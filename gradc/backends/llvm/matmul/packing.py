"""Packed panels of an operand: ``panel[k, n]`` or ``panel[k, m]``, rows of ``columns`` elements without gaps.

What a ragged panel of ``width`` columns lacks is 0, so that tiles load whole vectors of the right operand.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.ways import parts


def copy_panels(
    code: Code,
    source: str,
    stride: int,
    panels: str,
    width: int,
    columns: int,
    depth: Index,
    pitch: Index,
    fetched: int = 0,
) -> None:
    """Copy ``depth`` rows of ``width`` elements, ``stride`` apart, to panels whose columns are ``pitch`` elements each.

    Row by row, so that memory is read as it lies; the row that is ``fetched`` rows further down is asked for.
    """
    code.writer.comment(f"copy {depth} rows of {width} to panels of {columns}")
    with code.loop("copied", 0, depth) as down:
        row = code.pointer(source, code.scale(down.index, stride))
        place = code.pointer(panels, code.scale(down.index, columns))
        if fetched:
            code.fetch_ahead(row, fetched * stride, width)
        for part in parts(width, columns):
            with code.loop("panel", part.start, part.stop, part.step) as across:
                begin = code.pointer(row, across.index)
                target = code.pointer(place, code.scale(across.index, pitch))
                for start in range(0, part.step, code.lanes):
                    some = code.narrowed(min(code.lanes, columns - start))
                    vector = some.load(code.pointer(begin, start), part.step - start)
                    some.store(vector, code.pointer(target, start), columns - start)


def transpose_panel(code: Code, right: str, stride: int, panel: str, width: int, columns: int, depth: int) -> None:
    """Transpose ``width`` rows of ``depth`` elements, ``stride`` apart, a square of vectors at a time."""
    code.writer.comment(f"transpose a panel of {width} by {depth}")
    lanes = code.lanes
    for part in parts(width, lanes):
        with code.loop("group", part.start, part.stop, part.step) as across:
            rows = code.pointer(right, code.scale(across.index, stride))
            target = code.pointer(panel, across.index)
            for steps in parts(depth, lanes):
                with code.loop("square", steps.start, steps.stop, steps.step) as down:
                    source = code.pointer(rows, down.index)
                    place = code.pointer(target, code.scale(down.index, columns))
                    shape = Square(part.step, steps.step, stride, columns, columns - int(part.start))
                    arguments = {"ptr noalias readonly %source": source, "ptr noalias %target": place}
                    code.call(shape, arguments, shape.emit)


@dataclass(frozen=True, slots=True)
class Square:
    """``rows`` by ``steps`` elements, each at most a vector, whose rows lie ``stride`` apart.

    Written with columns as rows, ``columns`` apart, of which at most ``room`` elements.
    """

    rows: int
    steps: int
    stride: int
    columns: int
    room: int

    def emit(self, code: Code) -> str:
        """The function that transposes it, from ``%source`` to ``%target``."""
        vectors = [
            code.load(code.pointer("%source", row * self.stride), self.steps) if row < self.rows else "zeroinitializer"
            for row in range(code.lanes)
        ]
        for step, vector in enumerate(transposed(code, vectors)[: self.steps]):
            code.store(vector, code.pointer("%target", step * self.columns), self.room)
        return f"transpose {self.rows} by {self.steps} elements"


def gather_columns(code: Code, source: str, width: int, columns: str, pitch: int, depth: int) -> None:
    """Copy ``depth`` rows of ``width`` elements, one right after the other, to columns that lie ``pitch`` apart.

    As many rows as a vector has lanes at a time, and single ones for what is left.
    """
    whole = depth - depth % code.lanes
    for start, stop, lanes in ((0, whole, code.lanes), (whole, depth, 1)):
        if start == stop:
            continue
        rows, part = (Code(code.library, code.dtype, count, code.writer) for count in (width * lanes, lanes))
        with code.loop("gathered", start, stop, lanes) as along:
            every = rows.load(code.pointer(source, code.scale(along.index, width)))
            target = code.pointer(columns, along.index)
            for column in range(width):
                vector = rows.shuffle(every, "poison", range(column, width * lanes, width))
                part.store(vector, code.pointer(target, column * pitch))


def short(code: Code) -> int:
    """The elements of 16 bytes."""
    return 16 // code.bytes


def columns_in_registers(code: Code, right: str, stride: int, count: int, depth: int) -> list[str]:
    """``depth`` vectors, at most as many as 16 bytes have elements: one element of each of ``count`` columns.

    Columns are dense and ``stride`` apart. 16 bytes of each are loaded to their place in a vector, which takes nothing
    of the units that multiply, add and shuffle; then elements change places within 16 bytes, which one of several units
    does. So a tile's sums may go on beside it.
    """
    part = Code(code.library, code.dtype, short(code), code.writer)
    blocks = max(1, code.lanes // part.lanes)
    rows = []
    for first in range(part.lanes):
        pieces = [
            part.load(code.pointer(right, column * stride), depth) if column < count else "zeroinitializer"
            for column in range(first, blocks * part.lanes, part.lanes)
        ]
        rows.append(_joined(part, pieces))
    wide = Code(code.library, code.dtype, blocks * part.lanes, code.writer)
    return [wide.piece(step, code, 0) for step in transposed(wide, rows)[:depth]]


def _joined(part: Code, pieces: list[str]) -> str:
    """Vectors of ``part`` one after the other, a power of two of them, in one."""
    while len(pieces) > 1:
        order = range(2 * part.lanes)
        pieces = [part.shuffle(*pair, order) for pair in zip(pieces[::2], pieces[1::2], strict=True)]
        part = Code(part.library, part.dtype, 2 * part.lanes, part.writer)
    return pieces[0]


def transposed(code: Code, rows: list[str]) -> list[str]:
    """The columns of a square of vectors, or of several squares that lie side by side in fewer of them.

    Blocks of 1, 2, 4 ... lanes change places with those across the diagonal.
    """
    lanes, distance = code.lanes, 1
    while distance < len(rows):
        low = [lane if not lane & distance else lanes + (lane ^ distance) for lane in range(lanes)]
        high = [lanes + lane if lane & distance else lane ^ distance for lane in range(lanes)]
        following = list(rows)
        for row in range(len(rows)):
            if not row & distance:
                upper, lower = rows[row], rows[row | distance]
                following[row] = code.shuffle(upper, lower, low)
                following[row | distance] = code.shuffle(upper, lower, high)
        rows = following
        distance *= 2
    return rows

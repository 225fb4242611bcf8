"""A register tile: each of its lanes sums one element of the result along k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gradc.backends.llvm.matmul.code import Code, Index
from gradc.backends.llvm.matmul.finish import VectorFinish
from gradc.backends.llvm.matmul.packing import columns_in_registers, short, transposed
from gradc.backends.llvm.matmul.pairs import apart, both, of_two, pairs_up, twice
from gradc.backends.llvm.matmul.product import Axis
from gradc.backends.llvm.matmul.ways import parts

UNROLLED: Final = 64
"""Multiply-adds of a tile that are written out one after the other."""

TOGETHER: Final = 32
RARELY: Final = 16
"""Of longer sums, as many multiply-adds as an iteration has at most, if it takes more than one step along k; the second
is for tiles that take so little of a product's time that the time of compiling them counts for more. Where products and
sums are apart, more steps would want more registers than there are."""


TURNED_STEPS: Final = 4
SHORT_STEPS: Final = 8
SHORT_DEPTH: Final = 32
"""Steps along k of an iteration where the right operand is transposed in registers: the second number in sums of at
most the third, which end before loops of shorter iterations run at full speed."""

CROWDED_VECTORS: Final = 3
"""Where a row has more vectors than this, one element in all lanes serves so many multiply-adds that it does not matter
which units spread it; with so many, if the last is short it does not either."""


@dataclass(frozen=True, slots=True)
class Matrices:
    """Where the matrices of one product begin."""

    left: str
    right: str
    out: str
    others: tuple[str, ...] = ()

    def moved(self, code: Code, axis: Axis, index: Index) -> Matrices:
        """Where they begin from place ``index`` of an axis on."""
        return Matrices(
            code.pointer(self.left, code.scale(index, axis.left)),
            code.pointer(self.right, code.scale(index, axis.right)),
            code.pointer(self.out, code.scale(index, axis.out)),
            self.beside(code, axis, index),
        )

    def beside(self, code: Code, axis: Axis, index: Index) -> tuple[str, ...]:
        """Where what the epilogue loads and stores begins from there on."""
        steps = zip(self.others, axis.others, strict=True) if self.others else ()
        return tuple(code.pointer(base, code.scale(index, step)) for base, step in steps)


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` by ``width`` elements of the result, their sums in registers.

    left   the steps, in elements, from row to row and from element to element of k in the left operand
    right  the step along k in the right operand, where columns are neighbours
    out    the step from row to row in the result
    turned the step from column to column in the result where that is dense along rows, else 0
    spread the step from column to column in a right operand that is dense along k and transposed in registers, else 0
    deep   axes that are summed around k: their lengths, and the steps in the left and the right operand
    group  where rows of the left operand come in groups, how many one has, and the step from group to group
    finish the epilogue, if the sums end with this tile; ``down`` and ``across`` are the steps from row to row and from
           column to column in what it loads and stores
    ahead  how far after the right operand the next one lies; the odd rows of that are fetched
    rare   whether it takes a small part of a product's time, so that short code counts
    """

    rows: int
    width: int
    left: tuple[int, int]
    right: int
    out: int
    finish: VectorFinish | None = None
    down: tuple[int, ...] = ()
    across: tuple[int, ...] = ()
    ahead: int = 0
    turned: int = 0
    spread: int = 0
    rare: bool = False
    deep: tuple[tuple[int, int, int], ...] = ()
    group: tuple[int, int] | None = None

    def emit(
        self, code: Code, place: Matrices, depth: Index, adds: bool | str, *, padded: bool, until: str = ""
    ) -> None:
        """The sums of ``depth`` products, from 0 on, or of one; where ``adds`` holds, added to what the result has.

        ``padded``: the right operand's last vector may be read in full. ``until``: the epilogue's condition, if any.
        """
        code.writer.comment(f"a tile of {self.rows} rows by {self.width} columns, {depth} products each")
        row = self._row(code)
        if self.spread:
            assert isinstance(depth, int), "no panel of a depth that the call tells is transposed"
            sums = self._transposing(row, place, depth)
        else:
            sums = [] if depth == 1 and not self.deep else self._zeros(row)
            sums = self._deep_sums(row, place, sums, depth, padded)
        if not until:
            self._finish(code, place, sums, adds)
            return
        with code.either(until) as otherwise:
            self._finish(code, place, sums, adds)
            otherwise()
            replace(self, finish=None)._finish(code, place, sums, adds)

    def _zeros(self, row: list[_Vector]) -> list[str]:
        return ["zeroinitializer"] * len(self._kinds(row))

    def _kinds(self, row: list[_Vector]) -> list[str]:
        """The types of the sums, row after row; then of the last columns of each pair of rows, if they are in pairs."""
        if not self._pairs(row):
            return [vector.code.vector for vector in row] * self.rows
        *whole, last = (vector.code for vector in row)
        pairs = [of_two(last).vector] * (self.rows // 2) + [last.vector] * (self.rows % 2)
        return [code.vector for code in whole] * self.rows + pairs

    def _pairs(self, row: list[_Vector]) -> bool:
        """Whether the last columns of two rows are in one vector."""
        code = row[0].code
        return self.rows > 1 and pairs_up(code.lanes, self.width, code.bytes)

    def _sums(
        self, row: list[_Vector], left: str, right: str, sums: list[str], depth: Index, padded: bool
    ) -> tuple[str, str, list[str]]:
        """``depth`` steps along k, unrolled where they are few: where the operands go on, and the sums."""
        code = row[0].code
        if isinstance(depth, int) and depth * self.rows * len(row) <= UNROLLED:
            return self._steps(row, left, right, sums, depth, padded)
        together = self._together(len(row), depth, code.library.target.fma)
        alone = depth % together if isinstance(depth, int) else 0
        whole = depth - alone if isinstance(depth, int) else depth
        carried = [("ptr", left), ("ptr", right), *self._carried(row, sums)]
        with code.loop("step", 0, whole, together, carried) as loop:
            left, right, *sums = loop.values
            left, right, sums = self._steps(row, left, right, sums, together, padded)
            loop.following = [left, right, *sums]
        left, right, *sums = loop.following
        return self._steps(row, left, right, sums, alone, padded)

    def _deep_sums(
        self, row: list[_Vector], place: Matrices, sums: list[str], depth: Index, padded: bool, level: int = 0
    ) -> list[str]:
        """The sums along k, for each place of the axes around it from ``level`` on."""
        if level == len(self.deep):
            return self._sums(row, place.left, place.right, sums, depth, padded)[2]
        code, (length, left_step, right_step) = row[0].code, self.deep[level]
        carried = [("ptr", place.left), ("ptr", place.right), *self._carried(row, sums)]
        with code.loop("window", 0, length, 1, carried) as loop:
            left, right, *sums = loop.values
            here = replace(place, left=left, right=right)
            sums = self._deep_sums(row, here, sums, depth, padded, level + 1)
            loop.following = [code.pointer(left, left_step), code.pointer(right, right_step), *sums]
        return loop.following[2:]

    def _together(self, vectors: int, depth: Index, fused: bool) -> int:
        """Steps of an iteration: a power of two, at most the depth; few where only the call tells that."""
        least = 2 if self.ahead else 1
        if not isinstance(depth, int) or not fused:
            return least
        adds = RARELY if self.rare else TOGETHER
        most = min(max(least, adds // (self.rows * vectors)), depth)
        return 1 << most.bit_length() - 1

    def _carried(self, row: list[_Vector], sums: list[str]) -> list[tuple[str, str]]:
        """The sums and their types, for a loop that carries them."""
        return list(zip(self._kinds(row), sums or self._zeros(row), strict=True))

    def _transposing(self, row: list[_Vector], place: Matrices, depth: int) -> list[str]:
        """The sums, while columns of the right operand are transposed, 16 bytes of each at a time."""
        code = row[0].code
        each = short(code)
        together = SHORT_STEPS if depth <= SHORT_DEPTH else TURNED_STEPS
        carried = [("ptr", place.right), ("ptr", place.left), *self._carried(row, [])]
        for part in parts(depth, together):
            with code.loop("group", part.start, part.stop, part.step, carried) as loop:
                right, left, *sums = loop.values
                for start in range(0, part.step, each):
                    count = min(each, part.step - start)
                    left, sums = self._turning_steps(row, left, right, sums, count)
                    right = code.pointer(right, count)
                loop.following = [right, left, *sums]
            carried = [(kind, value) for (kind, _), value in zip(carried, loop.following, strict=True)]
        return loop.following[2:]

    def _turning_steps(
        self, row: list[_Vector], left: str, right: str, sums: list[str], count: int
    ) -> tuple[str, list[str]]:
        """``count`` steps along k, at most as many as 16 bytes have elements: where ``left`` goes on, and the sums."""
        code = row[0].code
        firsts = [code.pointer(right, vector.start * self.spread) for vector in row]
        turned = [
            columns_in_registers(v.code, f, self.spread, v.count, count) for v, f in zip(row, firsts, strict=True)
        ]
        for loaded in zip(*turned, strict=True):
            sums = self._products(row, left, loaded, sums)
            left = code.pointer(left, self.left[1])
        return left, sums

    def _steps(
        self, row: list[_Vector], left: str, right: str, sums: list[str], count: int, padded: bool
    ) -> tuple[str, str, list[str]]:
        """``count`` steps along k: where the operands go on, and the sums."""
        code = row[0].code
        for step in range(count):
            if self.ahead and step % 2:
                code.fetch_ahead(right, self.ahead, self.width)
            loaded = [v.code.load(code.pointer(right, v.start), None if padded else v.count) for v in row]
            sums = self._products(row, left, loaded, sums)
            left, right = code.pointer(left, self.left[1]), code.pointer(right, self.right)
        return left, right, sums

    def prefetch(self, code: Code, out: str) -> None:
        """Ask for the result's cache lines before the sums are there."""
        for row in range(self.rows):
            for column in range(0, self.width, code.lanes):
                code.prefetch(code.pointer(out, row * self.out + column))

    def _row(self, code: Code) -> list[_Vector]:
        """The vectors of a row of the result; the last is as narrow as what is left allows."""
        found = []
        for start in range(0, self.width, code.lanes):
            count = min(code.lanes, self.width - start)
            found.append(_Vector(code.narrowed(count), start, count))
        return found

    def _products(self, row: list[_Vector], left: str, loaded: Sequence[str], sums: list[str]) -> list[str]:
        """The products of a column of ``left`` and the vectors of a row of the right operand, added to ``sums``."""
        pairs, last = self._pairs(row), row[-1].code
        whole = row[:-1] if pairs else row
        doubled = twice(last, loaded[-1]) if pairs else ""
        added: list[str] = []
        paired: list[str] = []
        waiting: list[str] = []
        for number in range(self.rows):
            factors = self._factors(row, row[0].code.pointer(left, self._left_row(number)))
            for vector, other in zip(whole, loaded, strict=not pairs):
                added.append(_added(vector.code, factors[vector.code.lanes], other, sums, len(added)))
            waiting.append(factors[row[0].code.lanes])
            if pairs and number % 2:
                factor = both(last, row[0].code, *waiting[-2:])
                position = self.rows * len(whole) + number // 2
                paired.append(_added(of_two(last), factor, doubled, sums, position))
        if pairs and self.rows % 2:
            paired.append(_added(last, factors[last.lanes], loaded[-1], sums, -1))
        return added + paired

    def _left_row(self, number: int) -> int:
        """Where a row of the left operand begins."""
        if self.group is None:
            return number * self.left[0]
        each, step = self.group
        return number // each * step + number % each * self.left[0]

    def _factors(self, row: list[_Vector], place: str) -> dict[int, str]:
        """The element at ``place`` in all lanes of each kind of vector of a row, by their number.

        One that a single multiply-add uses is loaded by it.
        """
        kinds = {vector.code.lanes: vector.code for vector in row}
        first = row[0].code
        if first.spreads_aside and self._is_crowded(row):
            factor = first.spread_aside(place)
            return {lanes: first.piece(factor, code, 0) for lanes, code in kinds.items()}
        return {lanes: code.spread(place) for lanes, code in kinds.items()}

    def _is_crowded(self, row: list[_Vector]) -> bool:
        """Whether spreading would be in the way of multiply-adds: few of them use an element, and they are narrow, or
        there are shuffles beside them."""
        last = row[-1].code.lanes
        long = 2 * last >= row[0].code.lanes or self._pairs(row)
        few = len(row) == 2 or (len(row) == CROWDED_VECTORS and long)
        return few and (bool(self.spread) or last < row[0].code.lanes)

    def _finish(self, code: Code, place: Matrices, sums: list[str], adds: bool | str) -> None:
        """Store the sums, or add them to what earlier blocks of k left."""
        sums = self._apart(self._row(code), sums)
        if isinstance(adds, bool):
            self._store(code, place, sums, adds=adds)
            return
        writer = code.writer
        labels = [writer.name(label) for label in ("later", "first", "stored")]
        writer.line(f"br i1 {adds}, label %{labels[0]}, label %{labels[1]}")
        for label, later in zip(labels, (True, False), strict=False):
            writer.label(label)
            self._store(code, place, sums, adds=later)
            writer.line(f"br label %{labels[2]}")
        writer.label(labels[2])

    def _apart(self, row: list[_Vector], sums: list[str]) -> list[str]:
        """The sums row after row, none in pairs."""
        if not self._pairs(row):
            return sums
        columns, last = len(row) - 1, row[-1].code
        whole, paired = sums[: self.rows * columns], sums[self.rows * columns :]
        ends = [end for pair in paired[: self.rows // 2] for end in apart(last, pair)] + paired[self.rows // 2 :]
        return [x for k, end in enumerate(ends) for x in (*whole[k * columns : (k + 1) * columns], end)]

    def _store(self, code: Code, place: Matrices, sums: list[str], *, adds: bool) -> None:
        row = self._row(code)
        if self.turned:
            self._store_turned(row, place.out, sums, adds=adds)
            return
        shared = self._loads(row, place, 0, moving=False)
        places = [
            code.pointer(place.out, number * self.out + part.start) for number in range(self.rows) for part in row
        ]
        if adds:  # before any is stored: a masked load waits for a store next to it
            each = zip(row * self.rows, places, sums, strict=True)
            sums = [part.code.sum(part.code.load(out, part.count), total) for part, out, total in each]
        for position, (out, total) in enumerate(zip(places, sums, strict=True)):
            number, vector = divmod(position, len(row))
            part = row[vector]
            if self.finish is None or self.finish.keeps:
                part.code.store(total, out, part.count)
            if self.finish is not None:
                loads = shared[vector] | self._loads([part], place, number, moving=True)[0]
                scalars = {s: part.code.broadcast(f"%scalar.{s}") for s in range(self.finish.scalars)}
                values = self.finish.emit(part.code, total, loads, scalars)
                for other, value in enumerate(values, self.finish.loads):
                    part.code.store(value, self._other(part, place, other, number), part.count)

    def _store_turned(self, row: list[_Vector], out: str, sums: list[str], *, adds: bool) -> None:
        """Transpose the sums, a square of vectors at a time, and store them column by column."""
        for vector, part in enumerate(row):
            code = part.code
            for first in range(0, self.rows, code.lanes):
                square = sums[vector :: len(row)][first : first + code.lanes]
                count = len(square)
                columns = transposed(code, [*square, *["zeroinitializer"] * (code.lanes - count)])
                narrow = code.narrowed(count)
                for lane, column in enumerate(columns[: part.count]):
                    place = code.pointer(out, (part.start + lane) * self.turned + first)
                    total = code.piece(column, narrow, 0)
                    total = narrow.sum(narrow.load(place, count), total) if adds else total
                    narrow.store(total, place, count)

    def _loads(self, row: list[_Vector], place: Matrices, number: int, *, moving: bool) -> list[dict[int, str]]:
        """What the epilogue loads for each vector of a row: what differs from row to row, or what does not."""
        found: list[dict[int, str]] = [{} for _ in row]
        for other in range(self.finish.loads if self.finish else 0):
            if (self.down[other] != 0) != moving:
                continue
            for part, loaded in zip(row, found, strict=True):
                at = self._other(part, place, other, number)
                loaded[other] = part.code.load(at, part.count) if self.across[other] else part.code.spread(at)
        return found

    def _other(self, part: _Vector, place: Matrices, other: int, number: int) -> str:
        return part.code.pointer(place.others[other], number * self.down[other] + part.start * self.across[other])


def _added(code: Code, factor: str, other: str, sums: list[str], position: int) -> str:
    """A product, added to the sum at a position; the first of all are not."""
    return code.multiply_add(factor, other, sums[position]) if sums else code.multiply(factor, other)


@dataclass(frozen=True, slots=True)
class _Vector:
    """Some columns of a tile: from ``start`` on, ``count`` of them real, in vectors of ``code``."""

    code: Code
    start: int
    count: int

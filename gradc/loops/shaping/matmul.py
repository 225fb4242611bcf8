"""A contraction as an internal function of loops, blocked for the cache and shaped so that its inner loop vectorises.

The general case: every dtype, all strides. A backend may have kernels of its own for the common ones.

With ``n`` the letter along which ``out`` is dense, and the operand that has it called the right one, the sum is done
in rows: ``out[m, n] += left[m, k] * right[k, n]``, the inner loop over n, ``ROWS`` values of m and ``STEPS`` of k at a
time, so that each element of the right operand and of the result is loaded once for several products. A right operand
that is not dense along n is first copied, tile by tile. Without m (a matrix by a vector) and dense along k, it is done
in dot products. The order of each sum depends on the shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gradc.ir.aval import Dim, size_of
from gradc.ir.target import Target
from gradc.loops.language.program import (
    I64,
    SEQUENTIAL,
    Accumulate,
    Buffer,
    Constant,
    Contraction,
    Expression,
    For,
    Function,
    Lanes,
    Let,
    Local,
    Mode,
    Statement,
    Store,
    Variable,
    b,
    constant,
    size,
    variable,
)

ROWS: Final = 4
STEPS: Final = 4
TILE_K: Final = 64
TILE_N: Final = 64
"""The tile of a copied right operand: 32 kB of f64."""

BLOCK_K: Final = 128
BLOCK_N: Final = 512
"""The part of a dense right operand that is used for all m before the next: 512 kB of f64."""

DOT_LANES: Final = 32

SMALL: Final = 512
"""Products below which the blocked form's code costs more to compile than it saves."""


def contraction_function(
    name: str, contraction: Contraction, strides: Sequence[Sequence[Dim]], target: Target
) -> Function:
    """The function that does ``contraction`` on views of these strides (lhs, rhs, out), given their first elements."""
    return _Plan(contraction, strides, target).function(name)


@dataclass(frozen=True)
class _Operand:
    """A view with its letters: ``strides[letter]``, 0 for a letter that it lacks."""

    buffer: Buffer
    strides: dict[str, Dim]

    def at(self, place: dict[str, Expression]) -> tuple[Expression, ...]:
        """The index of an element, for the value of each letter."""
        total: Expression = constant(0, I64)
        for letter, stride in self.strides.items():
            total = b.add(total, b.mul(place[letter], size(stride)))
        return (total,)

    def load(self, place: dict[str, Expression]) -> Expression:
        return b.load(self.buffer, self.at(place))


class _Plan:
    def __init__(self, contraction: Contraction, strides: Sequence[Sequence[Dim]], target: Target) -> None:
        self.sizes = dict(contraction.sizes)
        self.dtype = contraction.dtype
        self.accumulate = contraction.accumulate
        self.fused = target.fma and contraction.dtype.kind == "f"
        letters = (contraction.lhs, contraction.rhs, contraction.out)
        self.lhs, self.rhs, self.out = (
            _Operand(
                self._parameter(name, word, list(step), writable=name == "out"), dict(zip(word, step, strict=True))
            )
            for name, word, step in zip(("lhs", "rhs", "out"), letters, strides, strict=True)
        )
        self.summed = [letter for letter in self.sizes if letter not in contraction.out]
        self.kept = list(contraction.out)

    def _parameter(self, name: str, letters: str, strides: list[Dim], *, writable: bool) -> Buffer:
        extent: Dim = 1
        for letter, stride in zip(letters, strides, strict=True):
            extent = extent + (self.sizes[letter] - 1) * stride
        return Buffer(name, self.dtype, (extent,), "parameter", writable=writable)

    def function(self, name: str) -> Function:
        parameters = (self.lhs.buffer, self.rhs.buffer, self.out.buffer)
        return Function(name, parameters, (), tuple(self._body()))

    def _body(self) -> list[Statement]:
        dense = self._dense_letter()
        if not self.summed:
            return self._products(dense)
        if dense is None or (dense in self.lhs.strides and dense in self.rhs.strides):
            return self._dots()
        products = size_of(tuple(self.sizes.values()))
        if isinstance(products, int) and products <= SMALL:
            return self._dots()
        left, right = (self.rhs, self.lhs) if dense in self.lhs.strides else (self.lhs, self.rhs)
        only_left = [m for m in self.kept if m not in right.strides and self.sizes[m] != 1]
        inner = self.summed[-1]
        if right.strides[dense] == 1:
            return self._rows(left, right, dense, only_left[-1] if only_left else None, copied=False)
        if only_left and self.sizes[only_left[-1]] != 1 and inner in right.strides:
            return self._rows(left, right, dense, only_left[-1], copied=True)
        return self._dots()

    def _dense_letter(self) -> str | None:
        """The letter along which neighbouring elements of the result lie closest."""
        long = [letter for letter in self.kept if self.sizes[letter] != 1]
        order = sorted(long, key=lambda letter: (self.out.strides[letter] != 1, -self.kept.index(letter)))
        return order[0] if order else None

    def _fma(self, x: Expression, y: Expression, total: Expression) -> Expression:
        return b.fma(x, y, total) if self.fused else b.add(total, b.mul(x, y))

    def _loops(self, letters: Sequence[str], body: list[Statement], vector: str | None = None) -> list[Statement]:
        """``body`` in a loop for each letter, the first outermost."""
        for letter in reversed(letters):
            mode: Mode = "vector" if letter == vector else "seq"
            body = [For(letter, size(0), size(self.sizes[letter]), tuple(body), mode=mode)]
        return body

    def _clear(self, vector: str | None) -> list[Statement]:
        """The result set to zero, unless it is added to."""
        if self.accumulate:
            return []
        here = {letter: variable(letter) for letter in self.kept}
        letters = [x for x in self.kept if x != vector] + ([vector] if vector else [])
        zero: list[Statement] = [Store("out", self.out.at(here), constant(0, self.dtype))]
        return self._loops(letters, zero, vector)

    def _products(self, vector: str | None) -> list[Statement]:
        """No letter is summed: each element is one product."""
        here = {letter: variable(letter) for letter in self.sizes}
        product = b.mul(self.lhs.load(here), self.rhs.load(here))
        place = self.out.at(here)
        done: Statement = (
            Accumulate("add", "out", place, product, SEQUENTIAL) if self.accumulate else Store("out", place, product)
        )
        letters = [x for x in self.kept if x != vector] + ([vector] if vector else [])
        return self._loops(letters, [done], vector)

    def _dots(self) -> list[Statement]:
        """One element of the result after the other, its sum in lanes of the innermost letter."""
        here = {letter: variable(letter) for letter in self.sizes}
        product = b.mul(self.lhs.load(here), self.rhs.load(here))
        inner = min(self.summed, key=lambda k: (self.lhs.strides.get(k) != 1) + (self.rhs.strides.get(k) != 1))
        order = [k for k in self.summed if k != inner] + [inner]
        length = self.sizes[inner]
        lanes = Lanes(inner, DOT_LANES) if not isinstance(length, int) or length >= DOT_LANES else SEQUENTIAL
        total = Buffer("total", self.dtype, (), "local")
        body: list[Statement] = [Local(total), Store("total", (), constant(0, self.dtype))]
        body += self._loops(order, [Accumulate("add", "total", (), product, lanes)])
        place, value = self.out.at(here), b.load(total)
        if self.accumulate:
            body.append(Accumulate("add", "out", place, value, SEQUENTIAL))
        else:
            body.append(Store("out", place, value))
        return self._loops(self.kept, body)

    def _rows(self, left: _Operand, right: _Operand, n: str, m: str | None, *, copied: bool) -> list[Statement]:
        """The blocked form; ``m`` is a letter that the right operand lacks, n is dense in the result."""
        k = self.summed[-1]
        outer = [x for x in self.kept if x not in (n, m)] + self.summed[:-1]
        block_k, block_n = (TILE_K, TILE_N) if copied else (BLOCK_K, BLOCK_N)
        tile = Buffer("tile", self.dtype, (_at_most(TILE_K, self.sizes[k]), _at_most(TILE_N, self.sizes[n])), "local")
        bounds = (*self._ends(k, block_k, "k"), *self._ends(n, block_n, "n"))
        k_start, k_end, n_start, n_end = bounds

        def right_at(place: dict[str, Expression]) -> Expression:
            if copied:
                return b.load(tile, (b.sub(place[k], k_start), b.sub(place[n], n_start)))
            return right.load(place)

        here = {letter: variable(letter) for letter in self.sizes}
        inner: list[Statement] = []
        if copied:
            copy = Store("tile", (b.sub(here[k], k_start), b.sub(here[n], n_start)), right.load(here))
            row = For(n, n_start, n_end, (copy,), mode="vector")
            inner.append(For(k, k_start, k_end, (row,)))
        if m is None:
            inner += self._panel(left, right_at, (k, n), None, here, bounds)
        else:
            whole = self.sizes[m] - self.sizes[m] % ROWS
            if whole != 0:
                panel = self._panel(left, right_at, (k, n), (m, ROWS), here, bounds)
                inner.append(For(m, size(0), size(whole), tuple(panel), ROWS))
            if whole != self.sizes[m]:
                panel = self._panel(left, right_at, (k, n), (m, 1), here, bounds)
                inner.append(For(m, size(whole), size(self.sizes[m]), tuple(panel)))
        blocks = self._blocks(k, block_k, (k_start, k_end), self._blocks(n, block_n, (n_start, n_end), inner))
        body: list[Statement] = [Local(tile)] if copied else []
        return [*self._clear(n), *body, *self._loops(outer, blocks)]

    def _ends(self, letter: str, length: int, word: str) -> tuple[Expression, Expression]:
        """The ends of a block of the letter's range: of all of it, where it is no longer than ``length``."""
        total = self.sizes[letter]
        if isinstance(total, int) and total <= length:
            return size(0), size(total)
        return variable(f"{word}_start"), variable(f"{word}_end")

    def _blocks(
        self, letter: str, length: int, ends: tuple[Expression, Expression], body: list[Statement]
    ) -> list[Statement]:
        """``body`` for each block of the letter's range."""
        start, end = ends
        if not isinstance(start, Variable):
            return body
        total = size(self.sizes[letter])
        stop = Let(str(end), b.minimum(b.add(start, length), total))
        return [For(str(start), size(0), total, (stop, *body), length)]

    def _panel(
        self,
        left: _Operand,
        right_at: Callable[[dict[str, Expression]], Expression],
        letters: tuple[str, str],
        rows: tuple[str, int] | None,
        here: dict[str, Expression],
        bounds: tuple[Expression, Expression, Expression, Expression],
    ) -> list[Statement]:
        """Some rows of the result, along n: the products of all k of a block, STEPS at a time."""
        k, n = letters
        k_start, k_end, n_start, n_end = bounds
        m, count = rows or ("", 1)

        def steps(depth: int) -> tuple[Statement, ...]:
            lets: list[Statement] = []
            stores: list[Statement] = []
            for row in range(count):
                place = {**here, m: b.add(here[m], row)} if m else here
                total = b.load(self.out.buffer, self.out.at(place))
                for step in range(depth):
                    deeper = {**place, k: b.add(here[k], step)}
                    factor = Let(f"left_{row}_{step}", left.load(deeper))
                    lets.append(factor)
                    total = self._fma(factor.variable, right_at(deeper), total)
                stores.append(Store("out", self.out.at(place), total))
            return (*lets, For(n, n_start, n_end, tuple(stores), mode="vector"))

        length = self.sizes[k]
        whole = b.sub(k_end, b.mod(b.sub(k_end, k_start), STEPS))
        if isinstance(length, int) and length < STEPS:
            return [For(k, k_start, k_end, steps(1))]
        panel: list[Statement] = []
        if not isinstance(whole, Constant):
            panel.append(Let("k_whole", whole))
            whole = variable("k_whole")
        panel.append(For(k, k_start, whole, steps(STEPS), STEPS))
        if not isinstance(length, int) or length % STEPS:
            panel.append(For(k, whole, k_end, steps(1)))
        return panel


def _at_most(limit: int, dim: Dim) -> int:
    return min(limit, dim) if isinstance(dim, int) else limit

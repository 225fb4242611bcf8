"""The statements of factors and systems: filling panels from an operand, checks, and calls of internal functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradc.ir.aval import Dim, short_dtype
from gradc.ir.graph import Node
from gradc.loops.algebra.cofactors import cofactors_function
from gradc.loops.algebra.factors import Index, cholesky_function, each, let, loop, lu_function, store
from gradc.loops.algebra.general_spectra import spectrum_statements
from gradc.loops.algebra.orthogonal import orthonormal, orthonormal_statements, reflections, reflections_statements
from gradc.loops.algebra.panels import (
    ORDER,
    PIVOTS,
    Panels,
    cholesky_panels,
    complete_cofactors,
    lower_panels,
    lu_panels,
    reordered,
    sweeps,
)
from gradc.loops.algebra.schur_form import schur_statements
from gradc.loops.algebra.singular import (
    singular_statements,
    singular_value_row,
    singular_vectors,
    two_diagonals,
    two_diagonals_statements,
)
from gradc.loops.algebra.spectra import (
    diagonals_statements,
    eigen_statements,
    eigen_values,
    eigen_vectors,
    three_diagonals,
)
from gradc.loops.algebra.substitution import System, sweep_function
from gradc.loops.algebra.triangular_equations import root_statements, sylvester_statements
from gradc.loops.language.program import (
    I64,
    Buffer,
    Call,
    Check,
    Expression,
    Function,
    If,
    Statement,
    View,
    b,
    contiguous_strides,
    size,
    variable,
)
from gradc.loops.lowering.ordered import (
    merged,
    merged_statements,
    recurring,
    recurring_statements,
    running,
    running_statements,
)
from gradc.ops.general_spectra import general_spectrum
from gradc.ops.schur import schur_parts
from gradc.ops.triangular_equations import root_parts, sylvester_parts

NOT_POSITIVE_DEFINITE = "cholesky: the matrix is not positive definite"

Read = Callable[..., Expression]
"""An element of an operand that is used as a whole, by its index."""


@dataclass(frozen=True)
class Whole:
    """A stage that works on whole arrays, and what it may ask of the kernel that is being written.

    ``read[k]`` reads operand k, ``shape`` is that of the first one; ``out`` is the array of the result,
    ``arrays`` those of the operands that have some, ``names`` are variables of loops.
    ``code(message)`` is the code of a check, ``scalar(word)`` a raw name, ``function(name, make)`` enters an internal
    function.
    """

    node: Node
    out: Buffer
    read: Sequence[Read]
    shape: tuple[Dim, ...]
    arrays: Sequence[Buffer]
    names: tuple[str, str, str, str]
    code: Callable[[str], int]
    scalar: Callable[[str], str]
    function: Callable[[str, Callable[[str], Function]], str]

    def statements(self) -> tuple[Statement, ...]:
        """All of the stage, for one matrix after the other."""
        one = self.names[0]
        count = self.out.shape[0]
        rule = _RULES[self.node.op.name]
        if count == 1:
            return rule(self, b.constant(0))
        return (loop(one, 0, size(count), *rule(self, variable(one))),)

    @property
    def size(self) -> int:
        """The size of the last axis as a number."""
        return int(self.shape[-1])

    @property
    def sizes(self) -> tuple[int, int]:
        """The sizes of the last two axes as numbers."""
        return int(self.shape[-2]), int(self.shape[-1])

    @property
    def factors(self) -> Buffer:
        """The array of the first operand."""
        return self.arrays[0]

    @property
    def params(self) -> dict[str, Any]:
        return self.node.params

    def put(self, index: tuple[Index, ...], value: Expression) -> Statement:
        """Set an element of the result."""
        return store(self.out, index, value)

    def number(self, value: float) -> Expression:
        """A constant of the result's dtype."""
        return b.constant(value, self.out.dtype)

    def call(self, name: str, make: Callable[[str], Function], one: Expression, *buffers: Buffer) -> Call:
        """Call the internal function of this name and dtype on the parts of one matrix.

        It is made where the kernel has none yet.
        """
        made = self.function(f"{name}_{short_dtype(self.out.dtype)}", make)
        return Call(made, tuple(_part(buffer, one) for buffer in buffers))


def _part(buffer: Buffer, one: Expression) -> View:
    """The part of a buffer that belongs to one matrix of the stack."""
    strides = contiguous_strides(buffer.shape)
    return View(buffer.name, strides[1:], b.mul(one, b.constant(int(strides[0]))))


# Factors.


def _fill(whole: Whole, one: Expression, layout: Panels, *, lower: bool) -> tuple[Statement, ...]:
    """The panels from the operand; of the lower triangle only the blocks that have a part of it. Padded by ones."""
    (read,) = whole.read
    row, column = variable(whole.names[2]), variable(whole.names[3])
    size, width, count = layout.size, layout.width, layout.count
    zero = whole.number(0.0)

    def copied(at: Index, lo: Index, columns: int) -> Statement:
        element = whole.put((one, at, row, column), read(one, row, b.add(b.mul(at, width), column)))
        return loop(whole.names[2], lo, size, loop(whole.names[3], 0, columns, element, mode="vector"))

    def cleared(at: Index, lo: Index, hi: Index, start: int = 0) -> Statement:
        nothing = whole.put((one, at, row, column), zero)
        return loop(whole.names[2], lo, hi, loop(whole.names[3], start, width, nothing, mode="vector"))

    def filled(at: Expression) -> tuple[Statement, ...]:
        top = (cleared(at, 0, at * width),) if lower and count > 1 else ()
        bottom = (cleared(at, size, layout.rows),) if size < layout.rows else ()
        return (*top, copied(at, at * width if lower else 0, width), *bottom)

    whole_panels = size // width
    statements = each(whole.names[1], whole_panels, filled) if whole_panels else ()
    if whole_panels == count:
        return statements
    last, start = b.constant(count - 1), (count - 1) * width
    diagonal = whole.put((one, last, row, b.sub(row, b.constant(start))), whole.number(1.0))
    return (
        *statements,
        *((cleared(last, 0, start),) if lower and start else ()),
        copied(last, start if lower else 0, size - start),
        cleared(last, 0, size, size - start),
        cleared(last, size, layout.rows),
        loop(whole.names[2], size, layout.rows, diagonal),
    )


def _cholesky(whole: Whole, one: Expression) -> tuple[Statement, ...]:
    layout, dtype = Panels.of(whole.size), whole.out.dtype
    call = whole.call(f"cholesky_{layout.size}", lambda name: cholesky_function(name, layout, dtype), one, whole.out)
    column, code = variable(whole.names[2]), whole.code(NOT_POSITIVE_DEFINITE)

    def checked(panel: Expression) -> tuple[Statement, ...]:
        diagonal = b.load(whole.out, (one, panel, b.add(panel * layout.width, column), column))
        return (loop(whole.names[2], 0, layout.width, Check(b.gt(diagonal, whole.number(0.0)), code)),)

    return (*_fill(whole, one, layout, lower=True), call, *each(whole.names[1], layout.count, checked))


def _lower(whole: Whole, one: Expression) -> tuple[Statement, ...]:
    return _fill(whole, one, Panels.of(whole.size), lower=True)


def _lu(whole: Whole, one: Expression) -> tuple[Statement, ...]:
    layout, dtype = Panels.of(whole.size), whole.out.dtype
    call = whole.call(f"lu_{layout.size}", lambda name: lu_function(name, layout, dtype), one, whole.out)
    return (*_fill(whole, one, layout, lower=False), call)


# Systems.


def _sweeps(whole: Whole, one: Expression) -> tuple[Statement, ...]:
    """The right-hand sides as panels, a check of the diagonal, and a call for each system."""
    layout, columns = Panels.of(whole.params["size"]), Panels.of_columns(whole.params["columns"])
    factors, dtype = whole.factors, whole.out.dtype
    statements = list(_sides(whole, one, layout, columns))
    if whole.params["message"]:
        statements += _check_diagonal(whole, one, layout)
    stride = int(factors.shape[2])
    for step in whole.params["steps"]:
        words = [word for word, holds in zip(("forward", "transposed", "ones"), step, strict=True) if holds]
        kind = "lu" if stride != layout.rows else "lower"
        name = "_".join(["sweep", *words, kind, str(layout.size), str(columns.size)])

        def make(name: str, step: System = step) -> Function:
            return sweep_function(name, step, layout, stride, columns, dtype)

        statements.append(whole.call(name, make, one, factors, whole.out))
    return tuple(statements)


def _sides(whole: Whole, one: Expression, layout: Panels, columns: Panels) -> tuple[Statement, ...]:
    """Fill the panels of the right-hand sides; rows and columns of the padding are 0."""
    row, column = variable(whole.names[2]), variable(whole.names[3])
    source, named = _source(whole, one, row, layout)
    zero = whole.number(0.0)

    def cleared(at: Index, lo: int, hi: int, start: int) -> Statement:
        nothing = whole.put((one, at, row, column), zero)
        return loop(whole.names[2], lo, hi, loop(whole.names[3], start, columns.width, nothing, mode="vector"))

    if len(whole.read) == 1:  # an identity
        place = (one, source // columns.width, row, source % columns.width)
        return (
            *each(whole.names[1], columns.count, lambda at: (cleared(at, 0, layout.rows, 0),)),
            loop(whole.names[2], 0, layout.size, *named, whole.put(place, whole.number(1.0))),
        )

    def copied(at: Expression, width: int) -> Statement:
        element = whole.put((one, at, row, column), whole.read[1](one, source, b.add(at * columns.width, column)))
        return loop(whole.names[2], 0, layout.size, *named, loop(whole.names[3], 0, width, element, mode="vector"))

    def filled(at: Expression) -> tuple[Statement, ...]:
        bottom = (cleared(at, layout.size, layout.rows, 0),) if layout.size < layout.rows else ()
        return (copied(at, columns.width), *bottom)

    whole_panels = columns.size // columns.width
    statements = each(whole.names[1], whole_panels, filled)
    if whole_panels == columns.count:
        return statements
    last, rest = b.constant(columns.count - 1), columns.size % columns.width
    bottom = (cleared(last, layout.size, layout.rows, 0),) if layout.size < layout.rows else ()
    return (*statements, copied(last, rest), cleared(last, 0, layout.size, rest), *bottom)


def _source(whole: Whole, one: Expression, row: Expression, layout: Panels) -> tuple[Expression, tuple[Statement, ...]]:
    """The row of the operand that belongs to a row of the factors, and the statements that name it."""
    if not whole.params.get("ordered", True):
        return row, ()
    factors = whole.factors
    panel, column = row // layout.width, row % layout.width
    number = b.load(factors, (one, panel, b.constant(layout.rows + ORDER), column))
    named, source = let(whole.scalar("source"), b.clamp(b.convert(number, I64), layout.size))
    return source, (named,)


def _check_diagonal(whole: Whole, one: Expression, layout: Panels) -> tuple[Statement, ...]:
    factors, column, code = whole.factors, variable(whole.names[2]), whole.code(whole.params["message"])

    def checked(panel: Expression) -> tuple[Statement, ...]:
        has_pivots = int(factors.shape[2]) != layout.rows
        row = b.constant(layout.rows + PIVOTS) if has_pivots else b.add(panel * layout.width, column)
        holds = b.ne(b.load(factors, (one, panel, row, column)), whole.number(0.0))
        return (loop(whole.names[2], 0, layout.width, Check(holds, code)),)

    return each(whole.names[1], layout.count, checked)


def _reordered(whole: Whole, one: Expression) -> tuple[Statement, ...]:
    """Row i of the operand goes to the row that was brought to i."""
    size, columns = (int(d) for d in whole.out.shape[1:])
    layout = Panels.of(size)
    row, column = variable(whole.names[1]), variable(whole.names[2])
    source, named = _source(whole, one, row, layout)
    moved = whole.put((one, source, column), whole.read[1](one, row, column))
    return (loop(whole.names[1], 0, size, *named, loop(whole.names[2], 0, columns, moved, mode="vector")),)


def _complete_cofactors(whole: Whole, one: Expression) -> tuple[Statement, ...]:
    """The cofactors of a matrix where there is no other way to them."""
    size, dtype = whole.size, whole.out.dtype
    row, column = variable(whole.names[1]), variable(whole.names[2])
    copied = whole.put((one, row, column), whole.read[0](one, row, column))
    copying = loop(whole.names[1], 0, size, loop(whole.names[2], 0, size, copied, mode="vector"))
    call = whole.call(f"cofactors_{size}", lambda name: cofactors_function(name, size, dtype), one, whole.out)
    return (If(b.logical_not(whole.read[1](one)), (copying, call)),)


_RULES = {
    complete_cofactors.name: _complete_cofactors,
    cholesky_panels.name: _cholesky,
    lower_panels.name: _lower,
    lu_panels.name: _lu,
    sweeps.name: _sweeps,
    reordered.name: _reordered,
    running.name: running_statements,
    recurring.name: recurring_statements,
    merged.name: merged_statements,
    reflections.name: reflections_statements,
    orthonormal.name: orthonormal_statements,
    three_diagonals.name: diagonals_statements,
    eigen_values.name: eigen_statements,
    eigen_vectors.name: eigen_statements,
    two_diagonals.name: two_diagonals_statements,
    singular_value_row.name: singular_statements,
    singular_vectors.name: singular_statements,
    general_spectrum.name: spectrum_statements,
    schur_parts.name: schur_statements,
    sylvester_parts.name: sylvester_statements,
    root_parts.name: root_statements,
}

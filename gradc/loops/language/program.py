"""Loop programs: imperfect loop nests over buffers, between a graph and LLVM or C.

A program is a list of buffers and a list of statements. A statement is one of

    For         a counted loop; its body may hold anything, so nests may be imperfect and bounds depend on outer loops
    Let         a name for a scalar
    Store       an element written
    Accumulate  an element combined with a term (``+=``), in a stated order
    If          one of two lists of statements
    Local       a small buffer of this block
    Choose      a name for one buffer out of several
    Call        a contraction, or an internal function, on views of buffers
    Check       a condition on data; where it fails, the kernel ends with a status that names the failure
    Comment     a line for the reader

Scalars are expressions (``language.expressions``), made with ``b``. Names of buffers, loop variables and lets are
distinct within a function. A program that passes ``language.verify`` never reads or writes outside its buffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np

from gradc.ir.aval import Aval, Dim, SymbolicDim, size_of
from gradc.loops.language.builder import ExpressionBuilder, b
from gradc.loops.language.expressions import (
    BOOL,
    I64,
    PRIMITIVES,
    Apply,
    Constant,
    Expression,
    Load,
    Size,
    Variable,
    constant,
    rewrite,
    size,
    variable,
    walk,
)

__all__ = [
    "ALIGNMENT", "BOOL", "I64", "PRIMITIVES", "SEQUENTIAL", "ZERO", "Accumulate", "Apply", "Buffer", "Call", "Carry",
    "Check", "Choose", "Comment", "Constant", "Contraction", "Epilogue", "Expression", "ExpressionBuilder", "For",
    "Function", "If", "Kind", "Lanes", "Let", "Load", "Local", "LoopProgram", "Mode", "Order", "Reduction",
    "Sequential", "Size", "Statement", "Store", "Variable", "View", "b", "constant", "contiguous_strides", "rewrite",
    "size", "variable", "walk", "whole",
]  # fmt: skip

ALIGNMENT: Final = 64
"""Arena buffers start at multiples of this many bytes, and so does the arena."""

ZERO: Final = constant(0, I64)

Kind = Literal["input", "output", "arena", "constant", "local", "parameter"]
Mode = Literal["seq", "parallel", "vector"]
Reduction = Literal["add", "mul", "minimum", "maximum", "logical_and", "logical_or"]
"""What an Accumulate combines with: primitives that are associative up to rounding."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A row-major block of memory.

    kind     ``input`` (read only), ``output``, ``arena`` (scratch), ``constant`` (read only), ``local`` (declared by a
             Local statement), ``parameter`` (of an internal function)
    offset   arena only: its place in bytes, a multiple of ALIGNMENT
    data     constant only: its bytes, row by row
    writable parameter only: whether the function may write it
    place    output only: the input whose memory it takes, and whose elements it holds until they are written
    comment  what it holds, in the user's words: ``z1 (net.py:5)``
    """

    name: str
    dtype: np.dtype
    shape: tuple[Dim, ...]
    kind: Kind
    offset: Dim = 0
    data: bytes = b""
    writable: bool = False
    comment: str = ""
    place: str = ""

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, self.dtype)

    @property
    def is_writable(self) -> bool:
        return self.kind in ("output", "arena", "local") or self.writable

    @property
    def bytes(self) -> Dim:
        return size_of(self.shape) * self.dtype.itemsize

    @property
    def array(self) -> np.ndarray:
        """The value of a constant buffer (read only)."""
        shape = tuple(int(d) for d in self.shape)
        return np.frombuffer(self.data, self.dtype).reshape(shape)


@dataclass(frozen=True, slots=True)
class Carry:
    """State of a ``seq`` loop in two buffers that trade places after each iteration.

    In the body, ``now`` names the state before the iteration (read only) and ``next`` the one after it (to be written
    in full). ``first`` holds the initial state; ``first`` and ``second`` are writable buffers of one shape and dtype
    that the body does not name. In the statements after the loop ``now`` names the final state.
    """

    now: str
    next: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class For:
    """``body`` for ``var = lo, lo + step, ... < hi``. ``lo`` and ``hi`` are affine in outer loop variables and sizes.

    mode ``seq`` keeps the order; ``parallel`` says that iterations are independent and may run on several threads;
    ``vector`` that they may run in lanes of one.
    """

    var: str
    lo: Expression
    hi: Expression
    body: tuple[Statement, ...]
    step: int = 1
    mode: Mode = "seq"
    carry: tuple[Carry, ...] = ()


@dataclass(frozen=True, slots=True)
class Let:
    """``name`` stands for ``value`` in the statements after this one, to the end of the block."""

    name: str
    value: Expression

    @property
    def variable(self) -> Expression:
        """The name as an expression."""
        return variable(self.name, self.value.dtype)


@dataclass(frozen=True, slots=True)
class Store:
    """``buffer[index] = value``; indices as in a load."""

    buffer: str
    index: tuple[Expression, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Sequential:
    """Terms are combined one after the other, as the loops run."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Term k of loop ``over`` (counted from 0) goes to partial result ``k % lanes``.

    The partials start from the neutral element. After every ``block`` terms (0: only at the end of the loop) they are
    combined pairwise, halves first (p[i] with p[i + lanes/2]), and the result is combined with the element. ``lanes``
    is a power of two and divides ``block``. So the value does not depend on vector width or threads.
    """

    over: str
    lanes: int
    block: int = 0


Order = Sequential | Lanes
SEQUENTIAL: Final = Sequential()


@dataclass(frozen=True, slots=True)
class Accumulate:
    """``buffer[index] = op(buffer[index], value)`` in the stated order."""

    op: Reduction
    buffer: str
    index: tuple[Expression, ...]
    value: Expression
    order: Order = SEQUENTIAL


@dataclass(frozen=True, slots=True)
class If:
    """``then`` where ``condition`` holds, else ``otherwise``; only one is run."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Local:
    """A buffer of kind ``local`` for the rest of the block: small, of fixed size, its elements not set."""

    buffer: Buffer


@dataclass(frozen=True, slots=True)
class Choose:
    """``name`` stands for ``buffers[index]``, to the end of the block, where internal functions are called.

    The buffers are the kernel's, of one shape and dtype; ``index`` is an i64 that counts them from 0.
    """

    name: str
    buffers: tuple[str, ...]
    index: Expression


@dataclass(frozen=True, slots=True)
class View:
    """A strided part of a buffer: element (i, j, ...) is at ``offset + i*strides[0] + ...``, counted in elements."""

    buffer: str
    strides: tuple[Dim, ...]
    offset: Expression = ZERO


@dataclass(frozen=True, slots=True)
class Contraction:
    """A two-operand einsum ``out[...] = sum lhs[...] * rhs[...]`` over the letters that ``out`` lacks.

    ``sizes`` gives the length of every letter, in order of first appearance in lhs, rhs. Each letter stands at most
    once in an operand, and in at least two of the three. ``accumulate`` adds to what ``out`` holds.
    """

    lhs: str
    rhs: str
    out: str
    sizes: tuple[tuple[str, Dim], ...]
    dtype: np.dtype
    accumulate: bool = False


@dataclass(frozen=True, slots=True)
class Epilogue:
    """What becomes of each element of a contraction's result, which ``element`` names, once its sum is there.

    ``index`` names its place, a name for each letter of the result. The body runs for each element by itself, in any
    order: what it means is a loop nest after the contraction (``gradc.loops.language.epilogue``).
    """

    element: str
    index: tuple[str, ...]
    body: tuple[Let | Store, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A contraction on the views (lhs, rhs, out), or the internal function of that name on one view a parameter.

    A contraction may have a fourth view: all of an arena buffer of its dtype, as scratch (``shaping.scratch``).
    A view given to a function is row-major and has the parameter's shape. ``scalars`` are the function's i64 arguments.
    Only a contraction has an ``epilogue``.
    """

    callee: Contraction | str
    views: tuple[View, ...]
    scalars: tuple[Expression, ...] = ()
    epilogue: Epilogue | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Where ``condition`` is false, the kernel ends with a status that tells ``code`` and ``value``.

    The kernel runs on to its end: accesses that depend on the condition are clamped by the program. If several checks
    fail, one of them is told. ``code`` counts from 1 in ``LoopProgram.messages``; ``{}`` in the message stands for
    ``value``, an i64. One that ``stops`` is about sizes, comes before everything else, and nothing runs after it fails.
    """

    condition: Expression
    code: int
    value: Expression = ZERO
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Comment:
    """A line for the reader: what the next statements compute, in the user's words."""

    text: str


Statement = For | Let | Store | Accumulate | If | Local | Choose | Call | Check | Comment


@dataclass(frozen=True, slots=True)
class Function:
    """An internal function: buffers of kind ``parameter``, names of i64 scalars, a body."""

    name: str
    parameters: tuple[Buffer, ...]
    scalars: tuple[str, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class LoopProgram:
    """A kernel as loops over buffers.

    ``buffers`` are the inputs, outputs, arena buffers and constants; inputs and outputs in the order of the kernel's
    arguments and results. ``messages[k - 1]`` tells what a failed check of code k means. ``arena_bytes`` covers every
    arena buffer. Prints as text that ``gradc.loops.language.parse.parse_program`` reads back.
    """

    name: str
    buffers: tuple[Buffer, ...]
    body: tuple[Statement, ...]
    functions: tuple[Function, ...] = ()
    messages: tuple[str, ...] = ()
    arena_bytes: Dim = 0

    @cached_property
    def buffer(self) -> dict[str, Buffer]:
        """The program's buffers by name."""
        return {buffer.name: buffer for buffer in self.buffers}

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The symbolic sizes of the inputs, sorted."""
        dims = [dim for b in self.inputs for dim in b.shape if isinstance(dim, SymbolicDim)]
        return tuple(sorted(frozenset().union(*[dim.symbols for dim in dims])))

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return tuple(b for b in self.buffers if b.kind == "input")

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return tuple(b for b in self.buffers if b.kind == "output")

    def __str__(self) -> str:
        from gradc.loops.language.text import program_text

        return program_text(self)

    def __repr__(self) -> str:
        return f"<LoopProgram {self.name}: {len(self.buffers)} buffers, {len(self.body)} statements>"


def contiguous_strides(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The strides, in elements, of a row-major array."""
    strides: list[Dim] = []
    step: Dim = 1
    for length in reversed(shape):
        strides.append(step)
        step = step * length
    return tuple(reversed(strides))


def whole(buffer: Buffer) -> View:
    """The view of all of a buffer."""
    return View(buffer.name, contiguous_strides(buffer.shape))

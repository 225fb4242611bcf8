"""Contractions in equal shares that run side by side.

A share is a range of one letter of the result. How an element is summed up does not depend on the range: shares have
the whole contraction's blocks of k, and its lanes, so the bits are those of the contraction on one thread. An operand
that lacks the letter is read, and perhaps packed, by every share: the letter and the number of shares are those for
which all this costs least.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from gradc.backends.llvm.matmul.functions import kernel_of, scratch_of
from gradc.backends.llvm.matmul.plan import without_blocks
from gradc.backends.llvm.matmul.product import Product
from gradc.backends.llvm.matmul.ways import DotPlan, Share, TilePlan
from gradc.ir.target import Target
from gradc.loops.language.program import (
    I64,
    ZERO,
    Buffer,
    Call,
    Contraction,
    Epilogue,
    Expression,
    For,
    Let,
    LoopProgram,
    Statement,
    Store,
    View,
    b,
    constant,
    rewrite,
    variable,
    whole,
)
from gradc.loops.language.traversal import declared_names
from gradc.loops.shaping.expand import unused_name
from gradc.loops.shaping.work import NANOSECONDS, PRODUCT_BYTES, products_of

LEAST: Final = 30_000
"""Nanoseconds of a contraction from which on it is shared."""

LEAST_SHARE: Final = 2_000
MOST_SHARES: Final = 32
"""The least nanoseconds of a share, and how many there are at most."""

PACKING: Final = 10
"""Products in the time in which an element is packed."""

FULL_SUMS: Final = 8
FULL_BYTES: Final = 32
"""Vectors of sums that a tile needs for multiply-adds not to wait for each other, and bytes that such a vector has."""

DISPATCH: Final = 300
"""Nanoseconds that handing out a share costs."""

PANEL_BYTES: Final = 128 * 1024
"""Local memory for a panel of a share, whose depth is the whole contraction's."""

MOST_SCRATCH: Final = 1 << 22
"""Elements of scratch memory for all shares of a contraction."""


@dataclass(frozen=True, slots=True)
class Shares:
    """``count`` shares of a contraction, along a letter, each with so many elements of scratch memory."""

    letter: str
    count: int
    share: Share
    scratch: int


def share_contractions(program: LoopProgram, target: Target, threads: int) -> LoopProgram:
    """The program with its large contractions in shares, each the iterations of a parallel loop."""
    index = unused_name("share", set(program.buffer) | declared_names(program.body))

    def shared(statement: Statement) -> Statement:
        found = _shares_in(statement, program, target, threads)
        if found is None or not isinstance(statement, Call):
            return statement
        views = statement.views
        scratch = program.buffer[views[3].buffer] if len(views) > 3 else None
        words = (found.share.lhs, found.share.rhs, found.share.out)
        parts = [_part(view, word, found, variable(index)) for view, word in zip(views[:3], words, strict=True)]
        if scratch is not None and found.scratch:
            parts.append(replace(whole(scratch), offset=b.mul(variable(index), found.scratch)))
        call = Call(found.share, tuple(parts), epilogue=_part_of_epilogue(statement, found, variable(index)))
        return For(index, ZERO, constant(found.count, I64), (call,), mode="parallel")

    return replace(program, body=tuple(shared(s) for s in program.body))


def is_shared(statement: Statement, program: LoopProgram, target: Target, threads: int) -> bool:
    """Whether a statement of the kernel's outermost block is a contraction for several threads."""
    return threads > 1 and _shares_in(statement, program, target, threads) is not None


def _shares_in(statement: Statement, program: LoopProgram, target: Target, threads: int) -> Shares | None:
    if not isinstance(statement, Call) or not isinstance(statement.callee, Contraction):
        return None
    scratch = program.buffer[statement.views[3].buffer] if len(statement.views) > 3 else None
    room = math.prod(int(d) for d in scratch.shape if isinstance(d, int)) if scratch is not None else 0
    return shares_of(statement, program.buffer, target, threads, room)


def scratch_elements(call: Call, buffers: Mapping[str, Buffer], target: Target, threads: int = 1) -> int:
    """How many elements of scratch memory make a contraction faster, whole and in shares for so many threads."""
    kernel = kernel_of(call, buffers, target)
    alone = scratch_of(kernel, target) if kernel is not None else 0
    shares = shares_of(call, buffers, target, threads, MOST_SCRATCH)
    return max(alone, shares.count * shares.scratch if shares is not None else 0)


def shares_of(call: Call, buffers: Mapping[str, Buffer], target: Target, threads: int, room: int) -> Shares | None:
    """The best shares for so many threads, with ``room`` elements of scratch memory; None where it stays whole."""
    contraction = call.callee
    assert isinstance(contraction, Contraction), "only contractions are shared"
    kernel = kernel_of(call, buffers, target)
    time = products_of(contraction) * contraction.dtype.itemsize / PRODUCT_BYTES * NANOSECONDS
    fixed = all(isinstance(length, int) for _, length in contraction.sizes)
    if kernel is None or threads < 2 or time < LEAST or not fixed:
        return None
    best: tuple[float, Shares] | None = None
    for letter, count in _choices(contraction, time):
        again = 0 if kernel.product.deep else _read_twice(contraction, letter)  # windows are never packed
        twice = again * (count - 1) * PACKING / products_of(contraction)
        cost = time * (1 + twice) * -(-count // threads) / count + DISPATCH * count / threads
        if cost > 0.8 * time or (best is not None and cost >= best[0]):
            continue
        shares = _planned(call, buffers, target, kernel.plan, (letter, count, room))
        if shares is not None and kernel.product.deep:
            cost *= _slowness(replace(call, callee=shares.share), buffers, target)
        if shares is not None and cost <= 0.8 * time and (best is None or cost < best[0]):
            best = cost, shares
    return best[1] if best is not None else None


def _slowness(share: Call, buffers: Mapping[str, Buffer], target: Target) -> float:
    """How much longer a share over windows takes for tiles that are too small: rows that come apart make them so."""
    kernel = kernel_of(share, buffers, target)
    if kernel is None or not isinstance(kernel.plan, TilePlan):
        return 1.0
    plan, group = kernel.plan, kernel.product.group
    sums = plan.rows * plan.vectors * (int(group.length) if group is not None else 1)
    return max(1.0, FULL_SUMS / sums) * max(1.0, FULL_BYTES / (plan.lanes * kernel.product.dtype.itemsize))


def _choices(contraction: Contraction, time: float) -> Iterator[tuple[str, int]]:
    """Letters of the result and numbers of equal shares along them."""
    for letter, length in contraction.sizes:
        if letter in contraction.out and isinstance(length, int):
            most = min(length, MOST_SHARES, int(time / LEAST_SHARE))
            yield from ((letter, count) for count in range(2, most + 1) if length % count == 0)


def _read_twice(contraction: Contraction, letter: str) -> int:
    """The elements of the operand that lacks the letter."""
    word = next((w for w in (contraction.lhs, contraction.rhs) if letter not in w), "")
    sizes = dict(contraction.sizes)
    return math.prod(int(sizes[a]) for a in word if isinstance(sizes[a], int)) if word else 0


def _planned(
    call: Call,
    buffers: Mapping[str, Buffer],
    target: Target,
    chosen: TilePlan | DotPlan,
    choice: tuple[str, int, int],
) -> Shares | None:
    """The shares of a choice (letter, number, room for scratch), with a plan that gives the bits of ``chosen``."""
    letter, count, room = choice
    contraction = call.callee
    assert isinstance(contraction, Contraction), "only contractions are shared"
    sizes = tuple((a, d // count if a == letter else d) for a, d in contraction.sizes)
    share = replace(contraction, sizes=sizes)
    own = kernel_of(replace(call, callee=share), buffers, target)
    if own is None:
        return None
    planned = _same_bits(own.product, own.plan, chosen, count, room)
    if planned is None:
        return None
    scratch = planned.scratch if isinstance(planned, TilePlan) else 0
    given = {field.name: getattr(share, field.name) for field in fields(share)}
    return Shares(letter, count, Share(**given, plan=planned), scratch)


def _same_bits(
    product: Product, own: TilePlan | DotPlan, chosen: TilePlan | DotPlan, count: int, room: int
) -> TilePlan | DotPlan | None:
    """A plan for a share that sums up as ``chosen`` does for the whole; None where there is none."""
    if isinstance(own, DotPlan) or isinstance(chosen, DotPlan):
        return chosen if isinstance(own, DotPlan) and isinstance(chosen, DotPlan) else None
    size = product.dtype.itemsize
    if chosen.packs_blocks and chosen.scratch > room:
        chosen = without_blocks(chosen, size)
    adapted = replace(own, depth=chosen.depth)
    if adapted.packs_blocks and adapted.scratch * count > room:
        adapted = replace(without_blocks(own, size), depth=chosen.depth)
    panel = adapted.depth * adapted.columns * size
    if adapted.packing != "none" and not adapted.packs_blocks and panel > PANEL_BYTES:
        return None
    return adapted


def _part_of_epilogue(call: Call, shares: Shares, index: Expression) -> Epilogue | None:
    """The epilogue for the elements of a share, whose place it counts from the share's first."""
    epilogue = call.epilogue
    if epilogue is None:
        return None
    here = variable(epilogue.index[shares.share.out.index(shares.letter)])
    start = b.mul(index, int(dict(shares.share.sizes)[shares.letter]))

    def moved(expression: Expression) -> Expression:
        return rewrite(expression, {here: b.add(here, start)})

    body: list[Let | Store] = []
    for statement in epilogue.body:
        if isinstance(statement, Store):
            statement = replace(statement, index=tuple(map(moved, statement.index)))
        body.append(replace(statement, value=moved(statement.value)))
    return replace(epilogue, body=tuple(body))


def _part(view: View, word: str, shares: Shares, index: Expression) -> View:
    """The part of a view that a share works on."""
    if shares.letter not in word:
        return view
    length = dict(shares.share.sizes)[shares.letter]
    stride = view.strides[word.index(shares.letter)]
    return replace(view, offset=b.add(b.mul(index, int(length) * int(stride)), view.offset))

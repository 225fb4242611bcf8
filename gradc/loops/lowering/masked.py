"""Masked contractions: a plain one where the other operand is finite, which is looked at first, else term by term.

Entries of the left operand that are not under the mask are 0 in its array, and 0 times a finite number adds nothing. 0
times an infinity would be NaN, where a masked entry has to add an exact 0: such terms are selected one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gradc.loops.language.expressions import load_from
from gradc.loops.language.program import (
    BOOL,
    Accumulate,
    Buffer,
    Call,
    Contraction,
    Expression,
    For,
    If,
    Lanes,
    Local,
    Statement,
    Store,
    View,
    b,
    size,
    variable,
)

LANES: Final = 64
"""A look at whether all elements are finite goes on so many at a time."""

Partial = Callable[[str], str]
"""A name for what is combined by a primitive."""


def masked_contraction(call: Call, mask: View, partial: Partial, loops: Callable[[int], str]) -> list[Statement]:
    """The statements for ``call``, whose left operand is 0 outside of ``mask``, a view with that operand's letters."""
    contraction, (lhs, rhs, out) = call.callee, call.views
    assert isinstance(contraction, Contraction), "a contraction is masked"
    sizes = dict(contraction.sizes)
    summed = [letter for letter in sizes if letter not in contraction.out]
    place = {letter: variable(loops(k)) for k, letter in enumerate((*contraction.out, *summed))}
    dtype = contraction.dtype

    def at(view: View, letters: str, kind: np.dtype = dtype) -> Expression:
        return load_from(view.buffer, kind, (_index(view, letters, place),))

    def nest(letters: list[str], body: list[Statement]) -> list[Statement]:
        for letter in reversed(letters):
            body = [For(str(place[letter]), size(0), size(sizes[letter]), tuple(body))]
        return body

    finite = Buffer(partial("logical_and"), BOOL, (), "local")
    looked = sorted(contraction.rhs, key=lambda letter: _stride(rhs, contraction.rhs, letter), reverse=True)
    look = Accumulate(
        "logical_and", finite.name, (), b.isfinite(at(rhs, contraction.rhs)), Lanes(str(place[looked[-1]]), LANES)
    )
    total = Buffer(partial("add"), np.dtype(np.float64), (), "local")
    product = b.mul(at(lhs, contraction.lhs), at(rhs, contraction.rhs))
    term = b.select(at(mask, contraction.lhs, BOOL), product, b.constant(0.0, dtype))
    element: list[Statement] = [
        Local(total),
        Store(total.name, (), b.constant(0.0, np.float64)),
        *nest(summed, [Accumulate("add", total.name, (), b.convert(term, np.float64))]),
        Store(out.buffer, (_index(out, contraction.out, place),), b.convert(b.load(total), dtype)),
    ]
    return [
        Local(finite),
        Store(finite.name, (), b.constant(True, BOOL)),
        *nest(looked, [look]),
        If(b.load(finite), (call,), tuple(nest(list(contraction.out), element))),
    ]


def _index(view: View, letters: str, place: dict[str, Expression]) -> Expression:
    index = view.offset
    for letter, stride in zip(letters, view.strides, strict=True):
        index = b.add(index, b.mul(place[letter], size(stride)))
    return index


def _stride(view: View, letters: str, letter: str) -> int:
    """How far apart the elements along a letter are; a symbolic stride is a long one."""
    stride = view.strides[letters.index(letter)]
    return stride if isinstance(stride, int) else 2**62

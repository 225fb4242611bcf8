"""Sums of products in letters: any number of operands, told in contractions of two."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError, ShapeError, TraceError
from gradc.frontend.numpy_api.orders import contraction_order
from gradc.frontend.numpy_api.promote import astype, common_dtype, truth
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.aval import Dim, SymbolicDim
from gradc.ir.graph import Value
from gradc.ops import contraction as contractions
from gradc.ops import reduce as reductions
from gradc.ops import shape as shapes
from gradc.ops.shape import broadcast, reshaped

Term = tuple[Value, str]
"""A value and the letters of its axes."""

_GUESS = 64  # stands for a symbolic size when orders are compared


@implements(np.einsum, sequences=("operands",))
def einsum(
    *operands: Any, optimize: Any = False, dtype: Any = None, casting: Any = "safe", order: Any = "K", out: Any = None
) -> Value:
    """``np.einsum`` with a string of subscripts: implicit output, ellipsis, repeated letters, any number of operands.

    Operands of more than two are contracted in the order that needs the fewest multiplications. Raises ShapeError,
    TraceError for subscripts that are no letters, and DtypeError where ``casting`` does not allow ``dtype``.
    """
    if not operands:
        raise TraceError("np.einsum: needs subscripts and operands, as in np.einsum('ij,jk->ik', a, b)")
    subscripts, values = (operands[0], list(operands[1:])) if isinstance(operands[0], str) else _spelled(operands)
    inputs, result = _parse(subscripts.replace(" ", ""), values)
    kind = common_dtype(*values) if dtype is None else np.dtype(dtype)
    for value in values:
        if not np.can_cast(value.aval.dtype, kind, casting):
            raise DtypeError(f"np.einsum: {value.aval} is not cast to {kind} under casting={casting!r}; write 'unsafe'")
    return contraction("np.einsum", [astype(v, kind) for v in values], inputs, result)


_PATH: Final = np.einsum_path
"""Kept from import on: during a trace there is a stand-in in its place."""


@implements(np.einsum_path, sequences=("operands",))
def einsum_path(*operands: Any, optimize: Any = "greedy") -> tuple[list[Any], str]:
    """The order of contractions that NumPy finds for the shapes of the operands, and how it tells it."""
    shapes = [x.aval for x in operands if isinstance(x, Value)]
    if any(isinstance(d, SymbolicDim) for a in shapes for d in a.shape):
        raise ShapeError(f"np.einsum_path: the sizes of {', '.join(map(str, shapes))} are not all known; fix them")
    stand = [
        np.broadcast_to(x.aval.dtype.type(0), [int(d) for d in x.aval.shape]) if isinstance(x, Value) else x
        for x in operands
    ]
    found: tuple[list[Any], str] = _PATH(*stand, optimize=optimize)
    return found


def rearranges(operands: Sequence[Any]) -> bool:
    """Whether ``np.einsum`` of these arguments sums nothing over one array, so that NumPy gives a view of it."""
    if operands and isinstance(operands[0], str) and len(operands) == 2:
        left, arrow, right = operands[0].replace(" ", "").replace("...", "").partition("->")
        return set(left) == set(right) if arrow else len(set(left)) == len(left)
    if len(operands) in (2, 3) and not isinstance(operands[0], str) and isinstance(operands[1], (list, tuple)):
        axes = [n for n in operands[1] if n is not Ellipsis]
        return set(axes) <= set(operands[2]) if len(operands) == 3 else len(set(axes)) == len(axes)
    return False


def _spelled(operands: Sequence[Any]) -> tuple[str, list[Value]]:
    """Subscripts as lists of numbers behind each operand, ``x, [0, 1], y, [1, 2], [0, 2]``, as a string."""
    count = len(operands) // 2
    values, lists = list(operands[: 2 * count : 2]), list(operands[1 : 2 * count : 2])
    if not all(isinstance(v, Value) for v in values) or not all(isinstance(x, (list, tuple)) for x in lists):
        raise TraceError("np.einsum: operands and lists of subscripts must take turns: np.einsum(x, [0, 1], y, [1, 2])")
    numbers = sorted({n for x in (*lists, *operands[2 * count :]) for n in x if n is not Ellipsis})
    if len(numbers) > len(ascii_letters) or not all(isinstance(n, int) for n in numbers):
        raise TraceError(f"np.einsum: the subscripts {numbers} are not at most {len(ascii_letters)} ints")
    letter = {n: ascii_letters[k] for k, n in enumerate(numbers)}
    words = ["".join("..." if n is Ellipsis else letter[n] for n in x) for x in (*lists, *operands[2 * count :])]
    return ",".join(words[:count]) + ("->" + words[count] if len(words) > count else ""), values


def _parse(subscripts: str, values: Sequence[Value]) -> tuple[list[str], str]:
    """The letters of every operand and of the result, ellipses replaced by letters. Raises ShapeError, TraceError."""
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(values):
        raise ShapeError(f"np.einsum: {subscripts!r} names {len(terms)} operands and {len(values)} are given")
    if not all(c in ascii_letters for c in subscripts.replace("...", "").replace("->", "").replace(",", "")):
        raise TraceError(f"np.einsum: {subscripts!r} has characters that are not letters, ',', '->' or '...'")
    free = [c for c in reversed(ascii_letters) if c not in subscripts]
    depths = [v.aval.ndim - len(t.replace("...", "")) if "..." in t else 0 for t, v in zip(terms, values, strict=True)]
    dots = "".join(free[: max([0, *depths])])
    inputs = []
    for term, value, depth in zip(terms, values, depths, strict=True):
        letters = term.replace("...", dots[len(dots) - depth :] if depth > 0 else "")
        if depth < 0 or len(letters) != value.aval.ndim:
            raise ShapeError(f"np.einsum: the subscripts {term!r} do not fit {value.aval}")
        inputs.append(letters)
    if arrow:
        if "..." not in right and dots:
            raise ShapeError(f"np.einsum: the result of {subscripts!r} needs '...' too")
        out = right.replace("...", dots)
    else:
        once = sorted(c for c in set(left) - set(".,") if left.count(c) == 1)
        out = dots + "".join(once)
    missing = [c for c in out if not any(c in letters for letters in inputs)]
    if missing or len(set(out)) != len(out):
        raise ShapeError(f"np.einsum: the result {right!r} has letters that no operand has, or one twice")
    return inputs, out


def contraction(name: str, values: Sequence[Value], inputs: Sequence[str], out: str) -> Value:
    """The sum of products of values of one dtype, whose axes are named by letters. Sizes of 1 broadcast.

    Raises ShapeError where the sizes of a letter differ.
    """
    if values[0].aval.dtype == np.dtype(bool):
        counted = contraction(name, [astype(v, np.int64) for v in values], inputs, out)
        return truth(counted)
    sizes = _sizes(name, values, inputs)
    terms = [_prepared(value, letters, sizes) for value, letters in zip(values, inputs, strict=True)]
    numbers = {letter: size if isinstance(size, int) else _GUESS for letter, size in sizes.items()}
    live = dict(enumerate(terms))
    for number, pair in enumerate(contraction_order([t[1] for t in terms], out, numbers), len(terms)):
        left, right = (live.pop(position) for position in pair)
        kept = set(out).union(*[letters for _, letters in live.values()])
        live[number] = _product(left, right, kept, out if not live else "")
    (last,) = live.values()
    return _finished(last, out, sizes)


def _sizes(name: str, values: Sequence[Value], inputs: Sequence[str]) -> dict[str, Dim]:
    sizes: dict[str, Dim] = {}
    for value, letters in zip(values, inputs, strict=True):
        own: dict[str, Dim] = {}
        for letter, size in zip(letters, value.aval.shape, strict=True):
            if own.setdefault(letter, size) != size:
                raise ShapeError(f"{name}: {letters!r} asks for a diagonal of {value.aval}, whose sizes differ there")
            known = sizes.setdefault(letter, size)
            if known == 1:
                sizes[letter] = size
            elif size not in (1, known):
                listed = " and ".join(f"{v.aval} ({t})" for v, t in zip(values, inputs, strict=True))
                raise ShapeError(f"{name}: the sizes of axis {letter!r} differ: {listed}")
    return sizes


def _prepared(x: Value, letters: str, sizes: dict[str, Dim]) -> Term:
    """The term without axes that broadcast, each letter once: repeated letters become a diagonal."""
    real = [k for k, c in enumerate(letters) if x.aval.shape[k] == sizes[c]]
    x = reshaped(x, tuple(x.aval.shape[k] for k in real))
    letters = "".join(letters[k] for k in real)
    for letter in sorted(set(letters)):
        while letters.count(letter) > 1:
            x, letters = _diagonal(x, letters, letter)
    return x, letters


def _diagonal(x: Value, letters: str, letter: str) -> Term:
    first = letters.index(letter)
    second = letters.index(letter, first + 1)
    rest = [k for k in range(len(letters)) if k not in (first, second)]
    size = x.aval.shape[first]
    if not isinstance(size, int):
        raise ShapeError(f"np.einsum: {x.aval} has a symbolic size along the diagonal {letter!r}; fix the size")
    lead = tuple(x.aval.shape[k] for k in rest)
    flat = reshaped(shapes.transpose(x, axes=(*rest, first, second)), (*lead, size * size))
    steps = (1,) * len(lead) + (size + 1,)
    taken = shapes.slice_(flat, starts=(0,) * len(steps), sizes=(*lead, size), steps=steps)
    return taken, "".join(letters[k] for k in rest) + letter


# Two terms, and the last.


def _summed(term: Term, kept: set[str]) -> Term:
    x, letters = term
    gone = tuple(k for k, c in enumerate(letters) if c not in kept)
    if not gone:
        return term
    return reductions.reduce_sum(x, axes=gone, keepdims=False), "".join(c for c in letters if c in kept)


def _product(left: Term, right: Term, kept: set[str], out: str) -> Term:
    """Two terms contracted; the result's letters follow ``out`` where it is given and names them all."""
    left = _summed(left, kept | set(right[1]))
    right = _summed(right, kept | set(left[1]))
    lhs, rhs = left[1], right[1]
    result = [c for c in lhs + rhs if c in kept]
    letters = "".join(dict.fromkeys(result))
    if set(out) == set(letters):
        letters = out
    summed = set(lhs + rhs) - kept
    if not summed and (set(lhs) & set(rhs) or not lhs or not rhs):
        return _elementwise_product(left, right, letters)
    return contractions.contract(left[0], right[0], lhs=lhs, rhs=rhs, out=letters), letters


def _elementwise_product(left: Term, right: Term, letters: str) -> Term:
    sizes = dict(zip(left[1] + right[1], left[0].aval.shape + right[0].aval.shape, strict=True))
    return _spread(left, letters, sizes) * _spread(right, letters, sizes), letters


def _spread(term: Term, letters: str, sizes: dict[str, Dim]) -> Value:
    """The term with its axes in the order of ``letters``, repeated along those it does not have."""
    x, own = _ordered(term, letters)
    aligned = reshaped(x, tuple(sizes[c] if c in own else 1 for c in letters))
    return broadcast(aligned, tuple(sizes[c] for c in letters))


def _ordered(term: Term, letters: str) -> Term:
    x, own = term
    order = tuple(sorted(range(len(own)), key=lambda k: letters.index(own[k])))
    if order == tuple(range(len(own))):
        return term
    return shapes.transpose(x, axes=order), "".join(own[k] for k in order)


def _finished(term: Term, out: str, sizes: dict[str, Dim]) -> Value:
    return _spread(_summed(term, set(out)), out, sizes)

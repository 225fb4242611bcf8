"""Products so far and linear recurrences of complex numbers in pairs of real ones: a loop over the rows of an axis."""

from __future__ import annotations

from collections.abc import Callable

from gradc.errors import CompileError
from gradc.ir.aval import SymbolicDim
from gradc.ir.graph import Builder, Value
from gradc.ir.node import Node
from gradc.ops.complex import complex_dtype
from gradc.ops.control import Parts, scan
from gradc.ops.shape import concatenate, inverse_permutation, reshape, slice_, transpose
from gradc.passes.complex_functions import Pair, number, product
from gradc.passes.pipeline import rewrite_of_parts

Step = Callable[[Pair, list[Pair]], Pair]


def cumprod(node: Node, x: Pair) -> Pair:
    """The product of all elements up to each, in NumPy's order; the first is taken as it is."""
    shape, axis = x.re.aval.shape, node.params["axis"]
    _check_sizes(node, x)
    if 0 in shape or shape[axis] == 1:
        return x
    first, rest = (taken(x, axis, start, size) for start, size in ((0, 1), (1, int(shape[axis]) - 1)))
    behind = _scanned(node, (rest,), first, lambda before, given: product(before, given[0]))
    return Pair(*[concatenate(a, b, axis=axis) for a, b in zip(first, behind, strict=True)])


def recurrence(node: Node, x: Pair, factor: Pair) -> Pair:
    """``r[j] = x[j] + factor[j] r[j-1]``, from 0 on."""
    _check_sizes(node, x)
    if 0 in x.re.aval.shape:
        return x
    start = taken(x, node.params["axis"], 0, 1)
    return _scanned(node, (x, factor), Pair(*[number(part, 0.0) for part in start]), _next)


def _next(before: Pair, given: list[Pair]) -> Pair:
    term, factor = given
    moved = product(factor, before)
    return Pair(term.re + moved.re, term.im + moved.im)


def _check_sizes(node: Node, x: Pair) -> None:
    """Raises CompileError for symbolic sizes."""
    if any(isinstance(d, SymbolicDim) for d in x.re.aval.shape):
        raise CompileError(
            f"{node.op.name}: {x.re.aval.with_dtype(complex_dtype(x.re.aval.dtype))} has a symbolic size; "
            "compile with a fixed one, or choose backend='numpy'"
        )


def taken(x: Pair, axis: int, start: int, size: int) -> Pair:
    """The elements from a place on along an axis."""
    shape = x.re.aval.shape
    starts = tuple(start if k == axis else 0 for k in range(len(shape)))
    sizes = tuple(size if k == axis else d for k, d in enumerate(shape))
    return Pair(*[slice_(part, starts=starts, sizes=sizes, steps=(1,) * len(shape)) for part in x])


def _scanned(node: Node, operands: tuple[Pair, ...], start: Pair, step: Step) -> Pair:
    """What ``step`` makes of what came before and of the operands' rows, row after row along the axis."""
    first, axis, reverse = operands[0].re, node.params["axis"], node.params.get("reverse", False)
    order = (axis, *(k for k in range(first.aval.ndim) if k != axis))
    rows = [transpose(part, axes=order) for x in operands for part in x]
    state, count = rows[0].aval.shape[1:], int(rows[0].aval.shape[0])
    states = [reshape(transpose(part, axes=order), shape=state) for part in start]
    if count == 1:  # a loop of one step is none
        made = step(Pair(*states), _pairs([reshape(row, shape=state) for row in rows]))
        found = [reshape(part, shape=(1, *state)) for part in made]
    else:
        inner = Builder(rewrite_of_parts())
        given = [inner.input(f"x{k}", x.aval.with_shape(state)) for k, x in enumerate((*states, *rows))]
        made = step(Pair(*given[:2]), _pairs(given[2:]))
        body = inner.freeze([*made, *made])
        flat = scan(*states, *rows, body=body, states=2, rows=len(rows), count=count, backwards=reverse, pullback=None)
        found = [Parts(body, 2, count).rows(flat, k) for k in range(2)]
    return Pair(*[transpose(part, axes=inverse_permutation(order)) for part in found])


def _pairs(parts: list[Value]) -> list[Pair]:
    return [Pair(*parts[k : k + 2]) for k in range(0, len(parts), 2)]

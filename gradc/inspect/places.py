"""Parts of arrays: how the subscript of a slice, an element, a gather or a write is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradc.inspect.expression import ZERO, Apply, Expr, narrow
from gradc.ir.aval import Dim
from gradc.ops.index import subscript_text
from gradc.ops.shape import slice_text

Printer = Callable[[Expr], str]


def subscript(expression: Apply, printed: Printer) -> str:
    """What stands between the brackets of a part that is read: ``1:``, ``0, 2``, ``rows, labels``."""
    x = expression.args[0]
    match expression.function:
        case "item":
            return ", ".join(str(i) for i in expression.param("index"))
        case "slice":
            starts, sizes, steps = (expression.param(k) for k in ("starts", "sizes", "steps"))
            return slice_text(starts, sizes, steps, x.shape)
    indices = [printed(i) for i in expression.args[1:]]
    return subscript_text(expression.param("axes"), 0, len(x.shape)).format(*indices)


def written_place(expression: Apply, printed: Printer) -> str:
    """What stands between the brackets of a part that is written; one element is told by its index."""
    base, value, *indices = expression.args
    if expression.function == "scatter":
        return subscript_text(expression.param("axes"), 0, len(base.shape)).format(*[printed(i) for i in indices])
    starts, steps = expression.param("starts"), expression.param("steps")
    parts = [_axis(*axis) for axis in zip(starts, value.shape, steps, base.shape, strict=True)]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def new_axes(expression: Apply) -> str:
    """``:, None`` for a reshape that puts axes of size 1 behind or between others, else empty."""
    old, new = expression.args[0].shape, expression.shape
    if not old or len(new) <= len(old):
        return ""
    parts: list[str] = []
    rest = list(old)
    for size in new:
        if rest and size == rest[0]:
            rest.pop(0)
            parts.append(":")
        elif size == 1:
            parts.append("None")
        else:
            return ""
    while parts and parts[0] == "None":
        parts.pop(0)
    return ", ".join(parts) if "None" in parts and not rest else ""


def picked(expression: Apply) -> str:
    """``:, 0`` for a reshape that takes the axes of size 1 out of a slice: an index stands for each; else empty."""
    part = expression.args[0]
    if not isinstance(part, Apply) or part.function != "slice":
        return ""
    shape = part.args[0].shape
    axes = list(zip(part.param("starts"), part.shape, part.param("steps"), shape, strict=True))
    if expression.shape != tuple(size for _, size, _, length in axes if size != 1 or length == 1):
        return ""
    parts = [_axis(*axis) for axis in axes]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def read_diagonal(expression: Apply) -> Expr | None:
    """The matrix whose main diagonal a slice of its elements, row by row, takes; None where it is something else."""
    rows = expression.args[0]
    if expression.function != "slice" or not isinstance(rows, Apply) or rows.function != "reshape":
        return None
    matrix = rows.args[0]
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1] or len(rows.shape) != 1:
        return None
    length = matrix.shape[0]
    every = (expression.param("starts"), expression.param("steps"), expression.shape)
    return matrix if every == ((0,), (length + 1,), (length,)) else None


def written_diagonal(expression: Apply) -> Expr | None:
    """What stands on the main diagonal of a matrix, the reshape of a row of zeros with it in steps; else None."""
    row = expression.args[0]
    if not isinstance(row, Apply) or row.function != "update_slice" or narrow(row.args[0]) != ZERO:
        return None
    shape, value = expression.shape, row.args[1]
    if len(shape) != 2 or shape[0] != shape[1] or value.shape != shape[:1]:
        return None
    return value if (row.param("starts"), row.param("steps")) == ((0,), (shape[0] + 1,)) else None


def triangle_of(expression: Apply) -> tuple[str, int] | None:
    """``tril`` or ``triu`` and the diagonal where a selection with a constant mask leaves a triangle of a matrix."""
    mask, _, other = expression.args
    if not isinstance(mask, Apply) or mask.function != "constant" or narrow(other) != ZERO or len(mask.shape) != 2:
        return None
    array = mask.param("value").array
    for diagonal in (0, -1, 1):
        if np.array_equal(array, np.tri(len(array), array.shape[1], diagonal, dtype=bool)):
            return "tril", diagonal
        if np.array_equal(array, ~np.tri(len(array), array.shape[1], diagonal - 1, dtype=bool)):
            return "triu", diagonal
    return None


def is_flattened(expression: Expr) -> bool:
    """Whether an index counts elements row by row: the base is a reshape that changes more than axes of size 1."""
    if not isinstance(expression, Apply) or expression.function != "reshape" or len(expression.shape) != 1:
        return False
    x = expression.args[0]
    return len([size for size in x.shape if size != 1]) > 1 and not picked(expression)


def _axis(start: Dim, size: Dim, step: int, length: Dim) -> str:
    return str(start) if size == 1 and length != 1 else slice_text((start,), (size,), (step,), (length,))


def element_of(starts: Sequence[Dim], sizes: Sequence[Dim]) -> tuple[int, ...] | None:
    """The index of the one element that a slice takes, None where it takes more or starts at a symbolic place."""
    if any(size != 1 for size in sizes) or not all(isinstance(start, int) for start in starts):
        return None
    return tuple(int(start) for start in starts if isinstance(start, int))

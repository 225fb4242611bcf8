"""Parts of arrays: how the subscript of a slice, an element, a gather or a write is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradc.inspect.expression import Apply, Expr
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


def _axis(start: Dim, size: Dim, step: int, length: Dim) -> str:
    return str(start) if size == 1 and length != 1 else slice_text((start,), (size,), (step,), (length,))


def element_of(starts: Sequence[Dim], sizes: Sequence[Dim]) -> tuple[int, ...] | None:
    """The index of the one element that a slice takes, None where it takes more or starts at a symbolic place."""
    if any(size != 1 for size in sizes) or not all(isinstance(start, int) for start in starts):
        return None
    return tuple(int(start) for start in starts if isinstance(start, int))

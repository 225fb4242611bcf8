"""How arrays that NumPy would broadcast on its own are brought to their exact shape, and how reshapes are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradc.backends.numpy.expressions import Expression, dtype_text, filled, typed
from gradc.ir.aval import Aval, Dim

Shape = tuple[Dim, ...]


def shape_text(shape: Shape) -> str:
    """A shape as Python writes a tuple."""
    return f"({', '.join(str(d) for d in shape)}{',' if len(shape) == 1 else ''})"


def exact(expression: Expression, aval: Aval) -> Expression:
    """The expression with the shape and dtype of ``aval``: no Python number, nothing left to broadcast."""
    if expression.shape == aval.shape:
        return typed(expression, aval.dtype)
    if expression.weak:
        return full(expression, aval)
    if aval.shape[len(aval.shape) - len(expression.shape) :] == expression.shape and all(
        d == 1 for d in aval.shape[: len(aval.shape) - len(expression.shape)]
    ):
        return _view(
            f"{{0}}[{', '.join(['None'] * (len(aval.shape) - len(expression.shape)))}]", expression, aval.shape
        )
    return _view(f"np.broadcast_to({{0}}, {shape_text(aval.shape)})", expression, aval.shape)


def owned(expression: Expression, aval: Aval) -> Expression:
    """``exact``, in memory of its own that nothing else refers to and that may be written."""
    if not aval.shape:
        return typed(expression, aval.dtype)
    if expression.shape == aval.shape and not expression.weak:
        return expression if expression.fresh else filled("{0}.copy()", [expression], aval.shape)
    if not expression.shape:
        return full(expression, aval)
    return filled("{0}.copy()", [exact(expression, aval)], aval.shape)


def full(number: Expression, aval: Aval) -> Expression:
    """A new array of one number: zeros, ones, or full."""
    shape = shape_text(aval.shape) if len(aval.shape) != 1 else str(aval.shape[0])
    default = np.dtype(np.float64)
    if number.weak and number.text in ("0.0", "1.0", "0", "1", "0j", "False", "True"):
        maker = "np.zeros" if number.text in ("0.0", "0", "0j", "False") else "np.ones"
        dtype = "" if aval.dtype == default else f", {dtype_text(aval.dtype)}"
        return filled(f"{maker}({shape}{dtype})", [], aval.shape)
    dtype = f", {dtype_text(aval.dtype)}" if number.weak and aval.dtype != default else ""
    return filled(f"np.full({shape}, {{0}}{dtype})", [number], aval.shape)


def _view(template: str, expression: Expression, shape: Shape) -> Expression:
    made = filled(template, [expression], shape)
    return Expression(made.tree, made.width, shape)


def reshaped(x: Expression, source: Shape, target: Shape, subscripts: Sequence[str] = ()) -> Expression:
    """``x`` reshaped: by a subscript where sizes of 1 come or go, by ``reshape`` otherwise.

    ``x`` has the shape ``source``, or smaller where only leading ones come. ``subscripts`` are those of a slice that
    is written in the same brackets.
    """
    steps = _ones(source, target)
    if steps is None:
        if subscripts:
            x = _view(f"{{0}}[{', '.join(subscripts)}]", x, source)
        listed = ", ".join(str(d) for d in target) or "()"
        return _view(f"{{0}}.reshape({listed})", x, target)
    own = list(subscripts) or [":"] * len(source)
    parts = ["None" if step == "new" else own[axis] if step == "keep" else _first(own[axis]) for step, axis in steps]
    while parts and parts[-1] == ":":
        parts.pop()
    return _view(f"{{0}}[{', '.join(parts)}]", x, target) if parts else x.shaped(target)


def _first(subscript: str) -> str:
    """The index of the only element of a slice; without a start it is the first, or the last of one that runs back."""
    start, *rest = subscript.split(":")
    return start or ("-1" if len(rest) == 2 and rest[1].startswith("-") else "0")


def _ones(source: Shape, target: Shape) -> list[tuple[str, int]] | None:
    """The axes kept, dropped or made, in order, where the two shapes differ in ones alone."""
    steps: list[tuple[str, int]] = []
    i = j = 0
    while i < len(source) or j < len(target):
        if i < len(source) and j < len(target) and source[i] == target[j]:
            steps.append(("keep", i))
            i, j = i + 1, j + 1
        elif i < len(source) and source[i] == 1:
            steps.append(("drop", i))
            i += 1
        elif j < len(target) and target[j] == 1:
            steps.append(("new", i))
            j += 1
        else:
            return None
    return steps

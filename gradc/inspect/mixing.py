"""Expressions that mix elements of arrays: sums, products of matrices, transposes."""

from __future__ import annotations

from gradc.inspect.expression import AXES, Apply, Expr, Shape, factors_of, mul


def total(expression: Expr, axes: tuple[int, ...], *, keepdims: bool) -> Expr:
    """The sum over some axes."""
    shape = expression.shape
    kept = tuple(1 if k in axes else d for k, d in enumerate(shape) if keepdims or k not in axes)
    return Apply("reduce_sum", (expression,), kept, (("axes", axes), ("keepdims", keepdims)))


def unreduced(ct: Expr, shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Expr:
    """The cotangent of a sum, ready to be broadcast over the places that were summed."""
    if not ct.shape or keepdims or axes == tuple(range(len(axes))):
        return ct
    kept = tuple(1 if k in axes else d for k, d in enumerate(shape))
    return Apply("reshape", (ct,), kept, (("shape", kept),))


def contraction(a: Expr, b: Expr, lhs: str, rhs: str, out: str, shape: Shape) -> Expr:
    """The product of two arrays summed over the letters that ``out`` does not have; a plain product where it is one."""
    a, lhs = _untransposed(a, lhs)
    b, rhs = _untransposed(b, rhs)
    if (not lhs and rhs == out) or (not rhs and lhs == out) or lhs == rhs == out:
        return mul(a, b)
    for scalar, array, letters in ((a, b, rhs), (b, a, lhs)):
        if not scalar.shape and sorted(letters) == sorted(out):
            return mul(scalar, turned(array, tuple(letters.index(letter) for letter in out)))
    names = dict(zip(dict.fromkeys(lhs + rhs), AXES, strict=False))
    lhs, rhs, out = ("".join(names[letter] for letter in letters) for letters in (lhs, rhs, out))
    return Apply("contract", (a, b), shape, (("lhs", lhs), ("out", out), ("rhs", rhs)))


def _untransposed(operand: Expr, letters: str) -> tuple[Expr, str]:
    """A transposed operand as itself, with its letters exchanged instead."""
    if not isinstance(operand, Apply) or operand.function != "transpose":
        return operand, letters
    axes = operand.param("axes")
    return operand.args[0], "".join(letters[axes.index(axis)] for axis in range(len(axes)))


def scalars(expression: Expr) -> list[Expr]:
    return [f for f in factors_of(expression) if not f.shape]


def arrays(expression: Expr) -> list[Expr]:
    return [f for f in factors_of(expression) if f.shape]


def turned(operand: Expr, axes: tuple[int, ...]) -> Expr:
    """The transpose, of a matrix product as the product the other way round."""
    shape = tuple(operand.shape[axis] for axis in axes)
    if isinstance(operand, Apply) and operand.function == "contract":
        lhs, rhs, out = (operand.param(k) for k in ("lhs", "rhs", "out"))
        a, b = operand.args
        return contraction(a, b, lhs, rhs, "".join(out[axis] for axis in axes), shape)
    return Apply("transpose", (operand,), shape, (("axes", axes),))

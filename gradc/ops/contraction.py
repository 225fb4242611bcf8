"""Contractions of two operands, named by letters as in einsum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import Value
from gradc.ir.op import REGISTRY, Op, VjpContext, register
from gradc.ops.elementwise import select
from gradc.ops.reduce import reduce_any


def _sizes(a: Aval, b: Aval, lhs: str, rhs: str, out: str) -> dict[str, Dim]:
    """The size of each letter. Raises ShapeError where the letters do not fit."""
    sizes: dict[str, Dim] = {}
    for letters, aval in ((lhs, a), (rhs, b)):
        if len(letters) != aval.ndim or len(set(letters)) != len(letters):
            raise ShapeError(f"contract: the letters {letters!r} do not name the axes of {aval}, each once")
        for letter, size in zip(letters, aval.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ShapeError(f"contract: axis {letter!r} differs: {a} {lhs} and {b} {rhs} -> {out}")
    if len(set(out)) != len(out) or not set(out) <= set(sizes):
        raise ShapeError(f"contract: the result {out!r} has letters that {lhs!r} and {rhs!r} do not, or one twice")
    alone = (set(lhs) ^ set(rhs)) - set(out)
    if alone:
        raise ShapeError(
            f"contract: letters {sorted(alone)} of {lhs},{rhs}->{out} stand in one operand only; sum them first"
        )
    return sizes


def _infer_contract(a: Aval, b: Aval, *, lhs: str, rhs: str, out: str) -> Aval:
    if a.dtype != b.dtype or a.dtype.kind not in "fciu":
        raise DtypeError(f"contract: operands differ in dtype or have none that multiplies: {a} and {b}")
    sizes = _sizes(a, b, lhs, rhs, out)
    return Aval(tuple(sizes[letter] for letter in out), a.dtype)


def _infer_masked(a: Aval, mask: Aval, b: Aval, *, lhs: str, rhs: str, out: str) -> Aval:
    if mask.shape != a.shape or mask.dtype != np.dtype(bool):
        raise ShapeError(f"masked_contract: the mask {mask} does not fit {a}")
    return _infer_contract(a, b, lhs=lhs, rhs=rhs, out=out)


def _evaluate_contract(a: Any, b: Any, *, lhs: str, rhs: str, out: str) -> Any:
    return np.asarray(np.einsum(f"{lhs},{rhs}->{out}", a, b, optimize=False), dtype=a.dtype)


def _evaluate_masked(a: Any, mask: Any, b: Any, *, lhs: str, rhs: str, out: str) -> Any:
    every = out + "".join(sorted(set(lhs + rhs) - set(out)))

    def aligned(x: Any, letters: str) -> Any:
        order = sorted(range(len(letters)), key=lambda k: every.index(letters[k]))
        moved = np.transpose(x, order)
        return moved.reshape([x.shape[letters.index(c)] if c in letters else 1 for c in every])

    products = np.where(aligned(mask, lhs), aligned(a, lhs) * aligned(b, rhs), np.zeros((), a.dtype))
    full = tuple(dict(zip(lhs + rhs, a.shape + b.shape, strict=True))[c] for c in every)
    return np.asarray(np.broadcast_to(products, full).sum(axis=tuple(range(len(out), len(every))), dtype=a.dtype))


def contraction_flops(result: Aval, *avals: Aval, lhs: str, rhs: str, out: str) -> Dim:
    """A multiply and an add for every combination of letters."""
    flops: Dim = 2
    sizes = dict(zip(lhs + rhs, avals[0].shape + avals[-1].shape, strict=True))
    for size in sizes.values():
        flops = flops * size
    return flops


def _contract_vjp(context: VjpContext) -> Sequence[Any]:
    a, b = context.operands
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    return [
        contract(context.ct, b, lhs=out, rhs=rhs, out=lhs) if context.active[0] else None,
        contract(context.ct, a, lhs=out, rhs=lhs, out=rhs) if context.active[1] else None,
    ]


def masked_contract_vjp(context: VjpContext, mask: Value) -> Sequence[Any]:
    """The vjp of ``contract`` where only the results under ``mask`` are alive: what is not contributes an exact 0."""
    a, b = context.operands
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    return [
        masked_contract(context.ct, mask, b, lhs=out, rhs=rhs, out=lhs) if context.active[0] else None,
        masked_contract(context.ct, mask, a, lhs=out, rhs=lhs, out=rhs) if context.active[1] else None,
    ]


def masked_contract_live(context: VjpContext, mask: Value) -> Sequence[Value]:
    """Which elements of the operands of ``contract`` reach a result under ``mask``."""
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    return [
        _reached(mask, out, letters, operand) for letters, operand in zip((lhs, rhs), context.operands, strict=True)
    ]


def _reached(mask: Value, out: str, letters: str, operand: Value) -> Value:
    gone = tuple(k for k, c in enumerate(out) if c not in letters)
    reached = reduce_any(mask, axes=gone, keepdims=False) if gone else mask
    left = [c for c in out if c in letters]
    order = sorted(range(len(left)), key=lambda k: letters.index(left[k]))
    if order != list(range(len(order))):
        reached = REGISTRY["transpose"](reached, axes=tuple(order))
    shape = tuple(d if c in left else 1 for c, d in zip(letters, operand.aval.shape, strict=True))
    if reached.aval.shape != shape:
        reached = REGISTRY["reshape"](reached, shape=shape)
    return reached if shape == operand.aval.shape else REGISTRY["broadcast_to"](reached, shape=operand.aval.shape)


def _masked_vjp(context: VjpContext) -> Sequence[Any]:
    """An entry of ``a`` under the mask meets ``b`` as in ``contract``; the others meet nothing."""
    a, mask, b = context.operands
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    by_a = None
    if context.active[0]:
        plain = contract(context.ct, b, lhs=out, rhs=rhs, out=lhs)
        by_a = (select(mask, plain, a.builder.full(0.0, a.aval)), mask)
    by_b = masked_contract(a, mask, context.ct, lhs=lhs, rhs=out, out=rhs) if context.active[2] else None
    return [by_a, None, by_b]


def _live_contract(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    return masked_contract_live(context, mask)


def _live_masked(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    a, _, b = context.operands
    return [_reached(mask, out, lhs, a), None, _reached(mask, out, rhs, b)]


def numpy_contract(params: dict[str, Any], result: Aval, a: Aval, b: Aval) -> str:
    """``@`` where the letters are those of a matrix product of at most two axes, einsum otherwise."""
    lhs, rhs, out = params["lhs"], params["rhs"], params["out"]
    matrix = _matrix_text(lhs, rhs, out)
    return matrix or f'np.einsum("{lhs},{rhs}->{out}", {{0}}, {{1}})'


def _matrix_text(lhs: str, rhs: str, out: str) -> str:
    if len(lhs) > 2 or len(rhs) > 2 or not lhs or not rhs:
        return ""
    shared = [c for c in lhs if c in rhs]
    if not shared and len(lhs) == len(rhs) == 1:
        return "np.outer({0}, {1})" if out == lhs + rhs else "np.outer({1}, {0})"
    if len(shared) != 1 or shared[0] in out:
        return ""
    (k,) = shared
    left = "{0}" if lhs[-1] == k else "{0}.T"
    right = "{1}" if rhs[0] == k else "{1}.T"
    rest = lhs.replace(k, "") + rhs.replace(k, "")
    if out == rest:
        return f"{left} @ {right}"
    left_again = "{1}" if rhs[-1] == k else "{1}.T"
    right_again = "{0}" if lhs[0] == k else "{0}.T"
    return f"{left_again} @ {right_again}"


contract = register(
    Op(
        "contract",
        _infer_contract,
        _evaluate_contract,
        numpy_contract,
        vjp=_contract_vjp,
        live=_live_contract,
        flops=contraction_flops,
        latex=r"{0} \, {1}",
    )
)
masked_contract = register(
    Op(
        "masked_contract",
        _infer_masked,
        _evaluate_masked,
        lambda p, result, a, mask, b: f'_masked_contract({{0}}, {{1}}, {{2}}, "{p["lhs"]},{p["rhs"]}->{p["out"]}")',
        vjp=_masked_vjp,
        live=_live_masked,
        flops=contraction_flops,
    )
)

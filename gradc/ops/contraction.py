"""Contractions of two operands, named by letters as in einsum."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import CONSTANT, Value
from gradc.ir.op import REGISTRY, BatchContext, JvpContext, Op, Taken, VjpContext, register
from gradc.ops.elementwise import logical_and, select
from gradc.ops.reduce import reduce_any, reduce_sum


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


def _contract_jvp(context: JvpContext) -> Value | None:
    return masked_contract_jvp(context, (None, None))


def masked_contract_jvp(context: JvpContext, masks: Sequence[Value | None]) -> Value | None:
    """The jvp of ``contract`` where only the elements of a tangent under its mask, if it has one, are alive."""
    (a, b), (of_a, of_b) = context.operands, context.tangents
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    terms = []
    if of_a is not None:
        terms.append(_masked_product(of_a, masks[0], b, lhs, rhs, out))
    if of_b is not None:
        terms.append(
            contract(a, of_b, lhs=lhs, rhs=rhs, out=out)
            if masks[1] is None
            else _masked_product(of_b, masks[1], a, rhs, lhs, out)
        )
    return sum_of(terms)


def _masked_product(x: Value, mask: Value | None, y: Value, lhs: str, rhs: str, out: str) -> Value:
    """The contraction of what is 0 outside of the mask, so that nothing there counts, whatever it meets."""
    if mask is None or _is_finite_constant(y):
        return contract(x, y, lhs=lhs, rhs=rhs, out=out)
    return masked_contract(x, mask, y, lhs=lhs, rhs=rhs, out=out)


def _is_finite_constant(x: Value) -> bool:
    node = x.node
    return node.op is CONSTANT and bool(np.isfinite(node.params["value"]).all())


def sum_of(terms: Sequence[Value]) -> Value | None:
    """The sum of values, None of no value."""
    found: Value | None = None
    for term in terms:
        found = term if found is None else found + term
    return found


def masked_contract_vjp(context: VjpContext, mask: Value) -> Sequence[Any]:
    """The vjp of ``contract`` where only the results under ``mask`` are alive: what is not contributes an exact 0."""
    a, b = context.operands
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    return [
        _masked_product(context.ct, mask, b, out, rhs, lhs) if context.active[0] else None,
        _masked_product(context.ct, mask, a, out, lhs, rhs) if context.active[1] else None,
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
        by_a = Taken(select(mask, plain, a.builder.full(0.0, a.aval)), mask, strict=True)
    by_b = masked_contract(a, mask, context.ct, lhs=lhs, rhs=out, out=rhs) if context.active[2] else None
    return [by_a, None, by_b]


def _masked_jvp(context: JvpContext) -> Value | None:
    return doubly_masked_jvp(context, (None, None, None))


def doubly_masked_jvp(context: JvpContext, alive: Sequence[Value | None]) -> Value | None:
    """The jvp of ``masked_contract`` where only the elements of a tangent under its mask are alive."""
    (a, mask, b), (of_a, _, of_b) = context.operands, context.tangents
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    terms = []
    if of_a is not None:
        kept = mask if alive[0] is None else logical_and(mask, alive[0])
        terms.append(masked_contract(of_a, kept, b, lhs=lhs, rhs=rhs, out=out))
    if of_b is not None:
        terms.append(
            masked_contract(a, mask, of_b, lhs=lhs, rhs=rhs, out=out)
            if alive[2] is None
            else selected_contract((a, lhs), (of_b, rhs), [(mask, lhs), (alive[2], rhs)], out)
        )
    return sum_of(terms)


def doubly_masked_vjp(context: VjpContext, alive: Value) -> Sequence[Value | None]:
    """The vjp of ``masked_contract`` where only the results under ``alive`` are alive."""
    a, mask, b = context.operands
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    masks = [(mask, lhs), (alive, out)]
    by_a = selected_contract((context.ct, out), (b, rhs), masks, lhs) if context.active[0] else None
    by_b = selected_contract((context.ct, out), (a, lhs), masks, rhs) if context.active[2] else None
    return [by_a, None, by_b]


def aligned(value: Value, own: str, letters: str, sizes: dict[str, Dim]) -> Value:
    """A value with an axis for each letter of ``own``, repeated to one with an axis for each of ``letters``."""
    order = tuple(sorted(range(len(own)), key=lambda k: letters.index(own[k])))
    if order != tuple(range(len(own))):
        value = REGISTRY["transpose"](value, axes=order)
    ones, full = tuple(sizes[c] if c in own else 1 for c in letters), tuple(sizes[c] for c in letters)
    if value.aval.shape != ones:
        value = REGISTRY["reshape"](value, shape=ones)
    return value if ones == full else REGISTRY["broadcast_to"](value, shape=full)


def selected_contract(
    first: tuple[Value, str], second: tuple[Value, str], masks: Sequence[tuple[Value, str]], out: str
) -> Value:
    """Sum of products, each of them 0 where a mask is False, with every letter as an axis of its own."""
    letters = out + "".join(sorted(set(first[1] + second[1]) - set(out)))
    sizes = dict(zip(first[1] + second[1], first[0].aval.shape + second[0].aval.shape, strict=True))
    product = aligned(*first, letters, sizes) * aligned(*second, letters, sizes)
    for mask, own in masks:
        product = select(aligned(mask, own, letters, sizes), product, product.builder.full(0.0, product.aval))
    return reduce_sum(product, axes=tuple(range(len(out), len(letters))), keepdims=False)


def _live_contract(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    return masked_contract_live(context, mask)


def _live_masked(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    lhs, rhs, out = (context.params[k] for k in ("lhs", "rhs", "out"))
    a, _, b = context.operands
    return [_reached(mask, out, lhs, a), None, _reached(mask, out, rhs, b)]


def _reach(mask: Value, k: int, context: JvpContext) -> Value:
    letters = context.params["lhs" if k == 0 else "rhs"]
    return _reached(mask, letters, context.params["out"], context.result)


def fresh_letters(used: str, count: int) -> str:
    """Letters for further axes. Raises ShapeError where the alphabet has no more."""
    free = [c for c in ascii_letters if c not in used]
    if len(free) < count:
        raise ShapeError(f"contract: {len(set(used)) + count} axes are more than there are letters")
    return "".join(free[:count])


def _batch_contract(c: BatchContext) -> Value:
    """The batch axes are letters more; an operand without them is the same for all."""
    lhs, rhs, out = (c.params[k] for k in ("lhs", "rhs", "out"))
    lead = fresh_letters(lhs + rhs, len(c.lead))
    first, *mask, second = c.operands
    in_first = any(c.batched[:-1])
    if mask and in_first:
        first, mask[0] = (
            x if batched else REGISTRY["broadcast_to"](x, shape=(*c.lead, *aval.shape))
            for x, batched, aval in zip(c.operands, c.batched, c.avals[:-1], strict=False)
        )
    op = masked_contract if mask else contract
    letters = {"lhs": (lead if in_first else "") + lhs, "rhs": (lead if c.batched[-1] else "") + rhs}
    return op(first, *mask, second, **letters, out=lead + out)


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


contract: Op = register(
    Op(
        "contract",
        _infer_contract,
        _evaluate_contract,
        numpy_contract,
        vjp=_contract_vjp,
        jvp=_contract_jvp,
        batch=_batch_contract,
        live=_live_contract,
        reach=_reach,
        flops=contraction_flops,
        latex=r"{0} \, {1}",
    )
)
masked_contract: Op = register(
    Op(
        "masked_contract",
        _infer_masked,
        _evaluate_masked,
        lambda p, result, a, mask, b: f'_masked_contract({{0}}, {{1}}, {{2}}, "{p["lhs"]},{p["rhs"]}->{p["out"]}")',
        vjp=_masked_vjp,
        jvp=_masked_jvp,
        batch=_batch_contract,
        live=_live_masked,
        reach=_reach,
        flops=contraction_flops,
    )
)

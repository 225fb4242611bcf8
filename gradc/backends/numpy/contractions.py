"""Contractions as a person writes them: ``@``, products that broadcast, ``np.tensordot``, ``np.einsum`` at last."""

from __future__ import annotations

from collections.abc import Sequence


def contraction(lhs: str, rhs: str, out: str) -> str:
    """The template of the contraction ``lhs,rhs->out`` of operands {0} and {1}. Each letter stands once an operand."""
    shared = [c for c in lhs if c in rhs and c not in out]
    if not shared:
        return _product(lhs, rhs, out)
    batch = [c for c in out if c in lhs and c in rhs]
    if len(shared) == 1:
        matrix = _matmul(lhs, rhs, out, "".join(batch), shared[0])
        if matrix:
            return matrix
    if not batch:
        return _tensordot(lhs, rhs, out, shared)
    return f'np.einsum("{lhs},{rhs}->{out}", {{0}}, {{1}}, optimize=True)'


def _product(lhs: str, rhs: str, out: str) -> str:
    """No letter is summed: a product that broadcasts."""
    if len(lhs) == len(rhs) == 1 and lhs != rhs:
        return "np.outer({0}, {1})" if out == lhs + rhs else "np.outer({1}, {0})"
    return f"{_aligned('{0}', lhs, out)} * {_aligned('{1}', rhs, out)}"


def _aligned(operand: str, letters: str, out: str) -> str:
    """The operand with its axes in the order of ``out``, and new axes where it lacks a letter."""
    order = sorted(range(len(letters)), key=lambda k: out.index(letters[k]))
    text = operand + permuted(order)
    parts = [":" if c in letters else "None" for c in out]
    while parts and parts[0] == "None":
        parts.pop(0)
    while parts and parts[-1] == ":":
        parts.pop()
    return f"{text}[{', '.join(parts)}]" if parts else text


def permuted(axes: Sequence[int]) -> str:
    """The suffix that permutes axes: nothing, ``.T``, ``.swapaxes(-1, -2)`` or ``.transpose(...)``."""
    rank = len(axes)
    if list(axes) == list(range(rank)):
        return ""
    if list(axes) == list(reversed(range(rank))):
        return ".T"
    if list(axes) == [*range(rank - 2), rank - 1, rank - 2]:
        return ".swapaxes(-1, -2)"
    return f".transpose({', '.join(str(a) for a in axes)})"


def _matmul(lhs: str, rhs: str, out: str, batch: str, k: str) -> str:
    """``@`` over leading batch axes, in the order that reads better; empty where the letters do not fit."""
    if not (lhs.startswith(batch) and rhs.startswith(batch) and out.startswith(batch)):
        return ""
    a, b, c = lhs[len(batch) :], rhs[len(batch) :], out[len(batch) :]
    ways = []
    for first, second, one, two in ((a, b, "{0}", "{1}"), (b, a, "{1}", "{0}")):
        if first.replace(k, "") + second.replace(k, "") == c:
            left, right = _last(first, k, one, bool(batch)), _first(second, k, two, bool(batch))
            if left and right:
                ways.append(f"{left} @ {right}")
    return min(ways, key=len, default="")


def _last(letters: str, k: str, operand: str, batched: bool) -> str:
    """The left operand of ``@``, ``k`` last; more than two axes are fine where nothing else is batched."""
    if letters[-1] == k and (len(letters) == 2 or not batched):
        return operand
    if len(letters) == 2:
        return operand + (".swapaxes(-1, -2)" if batched else ".T")
    return ""


def _first(letters: str, k: str, operand: str, batched: bool) -> str:
    """The right operand of ``@``, ``k`` first of its one or two axes."""
    if len(letters) == 1:
        return "" if batched else operand
    if len(letters) != 2:
        return ""
    return operand if letters[0] == k else operand + (".swapaxes(-1, -2)" if batched else ".T")


def _tensordot(lhs: str, rhs: str, out: str, shared: list[str]) -> str:
    ways = []
    for first, second, one, two in ((lhs, rhs, "{0}", "{1}"), (rhs, lhs, "{1}", "{0}")):
        rest = [c for c in first + second if c not in shared]
        axes = f"({[first.index(c) for c in shared]}, {[second.index(c) for c in shared]})"
        ways.append(f"np.tensordot({one}, {two}, axes={axes})" + permuted([rest.index(c) for c in out]))
    return min(ways, key=len)

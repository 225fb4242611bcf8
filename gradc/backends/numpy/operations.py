"""How nodes are written: the template of the op's record, or a rule of this table where more must be known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from gradc.backends.numpy.closed_forms import Form, closed_form
from gradc.backends.numpy.constants import array_text, small, uniform
from gradc.backends.numpy.contractions import contraction, permuted
from gradc.backends.numpy.expressions import Expression, dtype_text, filled, literal, typed, whole
from gradc.backends.numpy.shapes import exact, reshaped
from gradc.backends.numpy.triangles import diagonal_read, is_lower, is_swap, triangle_taken
from gradc.errors import CompileError
from gradc.ir.aval import Aval, broadcast_shapes
from gradc.ir.node import Node
from gradc.ops.linalg import transposed_text
from gradc.ops.shape import slice_text


class Scope(Protocol):
    """What a rule may ask for: the operands of its node, and a place for constants."""

    nodes: tuple[Node, ...]

    def operand(self, node: Node, position: int) -> Expression:
        """An operand as it stands: it may be a Python number or leave broadcasting to NumPy."""

    def value(self, node: int) -> Expression:
        """A node that was written already, not only an operand."""

    def constant(self, node: Node, form: Form | None) -> Expression:
        """The name of a constant array, which stands below the function, in a form where there is one."""


COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})

Rule = Callable[[Scope, Node], Expression]


def expression_of(scope: Scope, node: Node) -> Expression:
    """The expression that computes ``node``."""
    rule = RULES.get(node.op.name)
    if rule is not None:
        return rule(scope, node)
    template = _template(scope, node)
    if node.op.elementwise:
        return _elementwise(scope, node, template)
    return filled(template, _exact_operands(scope, node), node.aval.shape)


def _template(scope: Scope, node: Node) -> str:
    template = node.op.numpy
    if callable(template):
        template = template(node.params, node.aval, *[scope.nodes[i].aval for i in node.operands])
    if not template:
        raise CompileError(f"the op {node.op.name} has no NumPy expression")
    return template


def _exact_operands(scope: Scope, node: Node) -> list[Expression]:
    return [exact(scope.operand(node, k), scope.nodes[i].aval) for k, i in enumerate(node.operands)]


def _elementwise(scope: Scope, node: Node, template: str) -> Expression:
    """Operands broadcast. Python numbers take the dtype of an array operand; among themselves they would not."""
    operands = [scope.operand(node, k) for k in range(len(node.operands))]
    first = 1 if node.op.name == "select" else 0
    if all(o.weak for o in operands[first:]) and not _where_gives(node, operands):
        operands[first] = typed(operands[first], scope.nodes[node.operands[first]].aval.dtype)
    if node.op.name in COMPARISONS:
        operands = [whole(o) for o in operands]
    shape = broadcast_shapes(*(o.shape for o in operands))
    return filled(template, operands, shape)


def _where_gives(node: Node, operands: list[Expression]) -> bool:
    """Whether ``np.where`` of two Python numbers has the dtype of the node."""
    return node.op.name == "select" and not operands[0].weak and node.aval.dtype in (np.dtype(float), np.dtype(bool))


def _convert(scope: Scope, node: Node) -> Expression:
    x = typed(scope.operand(node, 0), scope.nodes[node.operands[0]].aval.dtype)
    return filled(f"{{0}}.astype({dtype_text(node.params['dtype'])})", [x], x.shape)


def _constant(scope: Scope, node: Node) -> Expression:
    value = node.params["value"]
    number = uniform(value)
    if number is not None:
        return literal(number)
    form = closed_form(value)
    if form is not None and form.is_range and (value.size > 2 or not value[0]):
        return filled(form.text, [], node.aval.shape)
    if small(value):
        return filled(array_text(value), [], node.aval.shape)
    return scope.constant(node, form)


def _broadcast(scope: Scope, node: Node) -> Expression:
    """Nothing is written: NumPy broadcasts where the value is used, and ``exact`` where it does not."""
    x = scope.operand(node, 0)
    return Expression(x.tree, x.width, x.shape, x.weak)


def _reshape(scope: Scope, node: Node) -> Expression:
    source, target = scope.nodes[node.operands[0]].aval, node.params["shape"]
    x = scope.operand(node, 0)
    lead = len(target) - source.ndim
    if not x.shape or (lead > 0 and target[lead:] == source.shape and all(d == 1 for d in target[:lead])):
        return Expression(x.tree, x.width, x.shape, x.weak)
    sliced = scope.nodes[node.operands[0]]
    if sliced.op.name == "slice" and not x.atomic:
        whole_aval = scope.nodes[sliced.operands[0]].aval
        inner = exact(scope.operand(sliced, 0), whole_aval)
        return reshaped(inner, source.shape, target, _slice_parts(sliced, whole_aval))
    return reshaped(exact(x, source), source.shape, target)


def _transpose(scope: Scope, node: Node) -> Expression:
    x = scope.operand(node, 0)
    if not x.shape:
        return Expression(x.tree, x.width, x.shape, x.weak)
    source = scope.nodes[node.operands[0]]
    if source.op.name == "contract" and not x.atomic:
        out = "".join(source.params["out"][axis] for axis in node.params["axes"])
        return _contraction(scope, source, out, node.aval)
    x = exact(x, source.aval)
    return _view(f"{{0}}{permuted(node.params['axes'])}", x, node.aval)


def _slice(scope: Scope, node: Node) -> Expression:
    x = scope.operand(node, 0)
    if not x.shape:
        return Expression(x.tree, x.width, x.shape, x.weak)
    diagonal = diagonal_read(scope.nodes, node)
    if diagonal is not None:
        matrix, k = diagonal
        whole_matrix = exact(scope.value(matrix), scope.nodes[matrix].aval)
        return _view(f"np.diag({{0}}{f', {k}' if k else ''})", whole_matrix, node.aval)
    source = scope.nodes[node.operands[0]].aval
    text = slice_text(node.params["starts"], node.params["sizes"], node.params["steps"], source.shape)
    return _view(f"{{0}}[{text}]", exact(x, source), node.aval)


def _slice_parts(node: Node, source: Aval) -> list[str]:
    """The subscript of a slice, one part an axis."""
    params = zip(node.params["starts"], node.params["sizes"], node.params["steps"], source.shape, strict=True)
    return [slice_text((start,), (size,), (step,), (length,)) for start, size, step, length in params]


def _view(template: str, x: Expression, aval: Aval) -> Expression:
    made = filled(template, [x], aval.shape)
    return Expression(made.tree, made.width, aval.shape)


def _part(scope: Scope, node: Node) -> Expression:
    """The real or the imaginary parts, in the memory of the complex numbers."""
    x = typed(scope.operand(node, 0), scope.nodes[node.operands[0]].aval.dtype)
    made = filled(f"{{0}}.{node.op.name}", [x])
    return Expression(made.tree, made.width, x.shape)


def _dim_value(scope: Scope, node: Node) -> Expression:
    made = filled(str(node.params["dim"]), [])
    return Expression(made.tree, made.width, weak=True)


def _contract(scope: Scope, node: Node) -> Expression:
    return _contraction(scope, node, node.params["out"], node.aval)


def _contraction(scope: Scope, node: Node, out: str, aval: Aval) -> Expression:
    """The contraction with its result in the order ``out``. Transposed operands are taken as they were before."""
    lhs, a = _untransposed(scope, node.operands[0], node.params["lhs"])
    rhs, b = _untransposed(scope, node.operands[1], node.params["rhs"])
    operands = [exact(scope.value(i), scope.nodes[i].aval) for i in (a, b)]
    return filled(contraction(lhs, rhs, out), operands, aval.shape)


def _untransposed(scope: Scope, operand: int, letters: str) -> tuple[str, int]:
    """The operand below its transposes, with its letters; not where that would compute a value twice."""
    while scope.nodes[operand].op.name == "transpose":
        node = scope.nodes[operand]
        (inner,) = node.operands
        if scope.value(operand).atomic and not scope.value(inner).atomic:
            break
        axes = node.params["axes"]
        letters = "".join(letters[axes.index(axis)] for axis in range(len(axes)))
        operand = inner
    return letters, operand


def _select(scope: Scope, node: Node) -> Expression:
    """A triangle of a matrix has a name in NumPy."""
    found = triangle_taken(scope.nodes, node)
    if found is not None:
        kept, word, k = found
        x = scope.value(kept)
        if x.shape[-2:] == node.aval.shape[-2:]:
            return filled(f"np.{word}({{0}}{f', {k}' if k else ''})", [x], x.shape)
    return _elementwise(scope, node, _template(scope, node))


def _triangular_solve(scope: Scope, node: Node) -> Expression:
    """Of a factor that is a triangle already none is taken."""
    factor = node.operands[0]
    if not is_lower(scope.nodes, factor):
        return filled(_template(scope, node), _exact_operands(scope, node), node.aval.shape)
    aval, transposed = scope.nodes[factor].aval, node.params["transposed"]
    if transposed and scope.nodes[factor].op.name == "transpose" and is_swap(scope.nodes[factor]):
        (factor,), transposed = scope.nodes[factor].operands, False
    matrix = exact(scope.value(factor), scope.nodes[factor].aval)
    text = transposed_text(aval) if transposed else "{0}"
    return filled(f"np.linalg.solve({text}, {{1}})", [matrix, _exact_operands(scope, node)[1]], node.aval.shape)


def _update_of_number(scope: Scope, node: Node) -> Expression:
    """A write into a 0-d array; the others are statements, see updates.py."""
    value = scope.operand(node, 1)
    if node.params["mode"] == "set":
        return Expression(value.tree, value.width, value.shape, value.weak)
    return _elementwise(scope, node, "{0} + {1}")


def _integer_reduction(scope: Scope, node: Node) -> Expression:
    """NumPy widens small integers in sums and products; the dtype is said where it would."""
    template = _template(scope, node)
    if node.aval.dtype.kind in "iu" and node.aval.dtype.itemsize < 8:
        template = f"{template[:-1]}, dtype={dtype_text(node.aval.dtype)})"
    return filled(template, _exact_operands(scope, node), node.aval.shape)


def _gather(scope: Scope, node: Node) -> Expression:
    x = exact(scope.operand(node, 0), scope.nodes[node.operands[0]].aval)
    indices = [index_operand(scope, node, k) for k in range(1, len(node.operands))]
    parts = subscripts(scope.nodes[node.operands[0]].aval.ndim, node.params["axes"], 1)
    made = filled(f"{{0}}[{', '.join(parts)}]", [x, *indices], node.aval.shape)
    is_copy = bool(scope.nodes[node.operands[1]].aval.shape)
    return made if is_copy else Expression(made.tree, made.width, made.shape)


def index_operand(scope: Scope, node: Node, position: int) -> Expression:
    """An array of indices; a single one may be a Python number."""
    index, aval = scope.operand(node, position), scope.nodes[node.operands[position]].aval
    return exact(index, aval) if aval.shape else index


def subscripts(rank: int, axes: tuple[int, ...], first: int) -> list[str]:
    """Placeholders of the index operands at their axes, ``:`` before and between."""
    parts = [":"] * rank
    for k, axis in enumerate(axes):
        parts[axis] = f"{{{first + k}}}"
    return parts[: axes[-1] + 1]


RULES: dict[str, Rule] = {
    "constant": _constant,
    "broadcast_to": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "real": _part,
    "imag": _part,
    "convert": _convert,
    "dim_value": _dim_value,
    "contract": _contract,
    "reduce_sum": _integer_reduction,
    "reduce_prod": _integer_reduction,
    "gather": _gather,
    "select": _select,
    "triangular_solve": _triangular_solve,
    "update_slice": _update_of_number,
}

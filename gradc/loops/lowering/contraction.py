"""Contractions as calls on strided views of buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradc.errors import CompileError
from gradc.ir.aval import Dim
from gradc.ir.graph import Graph, Node
from gradc.loops.language.program import Buffer, Call, Contraction, View, contiguous_strides, size
from gradc.loops.lowering.indexing import flat_index, strides_of
from gradc.loops.lowering.plan import Element, identity


def contraction_call(
    node: Node, graph: Graph, views: Sequence[Element], buffer_of: Callable[[int], Buffer | None]
) -> Call:
    """The call that computes a ``contract`` node into its buffer; ``views`` tell where its operands are found."""
    lhs, rhs, out = node.params["lhs"], node.params["rhs"], node.params["out"]
    shapes = [graph.nodes[operand].aval.shape for operand in node.operands]
    sizes = dict(zip(lhs + rhs, shapes[0] + shapes[-1], strict=True))
    left, *_, right = _operands(node, graph, views, buffer_of)
    contraction = Contraction(lhs, rhs, out, tuple(sizes.items()), node.aval.dtype)
    result = View(_present(buffer_of(node.id)).name, contiguous_strides(node.aval.shape))  # perhaps of another shape
    return Call(contraction, (left, right, result))


def masked_call(
    node: Node, graph: Graph, views: Sequence[Element], buffer_of: Callable[[int], Buffer | None]
) -> tuple[Call, View]:
    """The plain contraction of a ``masked_contract`` node, and the view of its mask."""
    _, mask, _ = _operands(node, graph, views, buffer_of)
    return contraction_call(node, graph, views, buffer_of), mask


def _operands(
    node: Node, graph: Graph, views: Sequence[Element], buffer_of: Callable[[int], Buffer | None]
) -> list[View]:
    return [
        _view(element, graph.nodes[operand].aval.shape, graph.nodes[element[0]].aval.shape, buffer_of)
        for element, operand in zip(views, node.operands, strict=True)
    ]


def _view(
    element: Element, shape: tuple[Dim, ...], source: tuple[Dim, ...], buffer_of: Callable[[int], Buffer | None]
) -> View:
    """The operand of ``shape`` as a view of the buffer in which it is found."""
    node, index = element
    _, extents = identity(shape)
    affine = strides_of(flat_index(index, source), len(extents))
    assert affine is not None, "the plan gives an array to an operand that strides cannot express"
    by_axis = iter(affine[0])
    strides: tuple[Dim, ...] = tuple(0 if length == 1 else next(by_axis) for length in shape)
    return View(_present(buffer_of(node)).name, strides, size(affine[1]))


def _present(buffer: Buffer | None) -> Buffer:
    if buffer is None:
        raise CompileError("a contraction's operand has no array")
    return buffer

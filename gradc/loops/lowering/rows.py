"""Where the operands of a scan can be read: arrays whose rows, or all of whose elements, lie side by side."""

from __future__ import annotations

from gradc.ir.aval import Dim
from gradc.ir.graph import Node
from gradc.loops.language.program import contiguous_strides
from gradc.loops.lowering.indexing import Indices, flat_index, strides_of
from gradc.loops.lowering.plan import identity


def is_row(node: Node, position: int) -> bool:
    """Whether the scan reads a row of this operand in each step."""
    first: int = node.params["states"]
    return first <= position < first + int(node.params["rows"])


def rows_of(index: Indices, source: tuple[Dim, ...], shape: tuple[Dim, ...], *, by_row: bool) -> tuple[int, int] | None:
    """The start and the distance of the rows of an operand of ``shape``, which is found at ``index`` of an array of
    shape ``source``; the distance is 0 where it is read as a whole.

    None where the elements (of a row, with ``by_row``) do not lie side by side. Scans are of fixed sizes.
    """
    _, extents = identity(shape)
    affine = strides_of(flat_index(index, source), len(extents))
    if affine is None:
        return None
    strides, start = [int(stride) for stride in affine[0]], int(affine[1])
    lead = strides[0] if by_row else 0
    inner = extents[1:] if by_row else extents
    dense = tuple(strides[len(extents) - len(inner) :]) == contiguous_strides(inner)
    return (start, lead) if dense and lead >= 0 else None

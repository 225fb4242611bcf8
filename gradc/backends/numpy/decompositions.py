"""Decompositions of which several parts are used: NumPy's function is called once, and gives them by their names."""

from __future__ import annotations

from typing import Final, NamedTuple

from gradc.ir.graph import Graph
from gradc.ir.node import Node
from gradc.ops.general_spectra import complex_text
from gradc.ops.singular import right_text


class Part(NamedTuple):
    """A part of what a call gives: the name of the whole, the call on an operand, and the part of the whole."""

    whole: str
    call: str
    part: str


_QR, _EIG, _EIGH, _SVD, _SLOGDET = (
    "np.linalg.qr({0})",
    "np.linalg.eig({0})",
    "np.linalg.eigh({0})",
    "np.linalg.svd({0}, full_matrices=False)",
    "np.linalg.slogdet({0})",
)

_LU: Final = "_eliminated({0})"
_SCHUR: Final = "_schur({0})"

_PARTS: Final = {
    "qr_q": Part("qr", _QR, "{0}.Q"),
    "qr_r": Part("qr", _QR, "{0}.R"),
    "eigenvalues": Part("eigen", _EIGH, "{0}.eigenvalues"),
    "eigenvectors": Part("eigen", _EIGH, "{0}.eigenvectors"),
    "left_vectors": Part("svd", _SVD, "{0}.U"),
    "singular_values": Part("svd", _SVD, "{0}.S"),
    "det_sign": Part("slogdet", _SLOGDET, "{0}.sign"),
    "log_abs_det": Part("slogdet", _SLOGDET, "{0}.logabsdet"),
    "lu_factors": Part("lu", _LU, "{0}[0]"),
    "lu_order": Part("lu", _LU, "{0}[1]"),
    "lu_pivots": Part("lu", _LU, "{0}[2]"),
    "schur_form": Part("schur", _SCHUR, "{0}[0]"),
    "schur_vectors": Part("schur", _SCHUR, "{0}[1]"),
}


def _part_of(node: Node) -> Part | None:
    if node.op.name == "right_vectors":
        return Part("svd", _SVD, right_text(node.aval).format("{0}.Vh"))
    if node.op.name in ("general_eigenvalues", "general_eigenvectors"):
        return Part("eig", _EIG, complex_text("{0}." + node.op.name.removeprefix("general_"), node.aval))
    return _PARTS.get(node.op.name)


def shared_parts(graph: Graph) -> dict[int, Part]:
    """The nodes that are parts of a call of which another node is a part too."""
    together: dict[tuple[str, int], list[Node]] = {}
    for node in graph.nodes:
        part = _part_of(node)
        if part is not None:
            together.setdefault((part.call, node.operands[0]), []).append(node)
    shared = [node for nodes in together.values() if len(nodes) > 1 for node in nodes]
    return {node.id: part for node in shared if (part := _part_of(node)) is not None}

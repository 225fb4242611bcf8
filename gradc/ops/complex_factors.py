"""Decompositions of complex matrices that are given in their parts, as loops of real numbers have them.

They stand in the place of those of complex numbers once a graph is split into parts, after it has been differentiated.
A result that is complex has an axis of its two parts in front.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.ir.aval import Aval, Dim
from gradc.ir.op import Op
from gradc.ops import orthogonal, singular, spectra
from gradc.ops.complex import complex_dtype, real_dtype


def _of_parts(op: Op) -> Op:
    """The op on the real and the imaginary part of its operand."""

    def infer(re: Aval, im: Aval) -> Aval:
        found = op.infer(re.with_dtype(complex_dtype(re.dtype)))
        lead = (2,) if found.dtype.kind == "c" else ()
        return Aval((*lead, *found.shape), real_dtype(found.dtype))

    def evaluate(re: np.ndarray, im: np.ndarray) -> Any:
        a = np.empty(np.shape(re), complex_dtype(re.dtype))
        a.real, a.imag = re, im
        found = op.evaluate(a)
        return np.stack([found.real, found.imag]) if np.iscomplexobj(found) else found

    def flops(result: Aval, re: Aval, im: Aval) -> Dim:
        assert op.flops is not None, "decompositions tell what they take"
        return op.flops(result, re) * 4

    return Op(f"{op.name}_of_parts", infer, evaluate, flops=flops)


qr_q = _of_parts(orthogonal.qr_q)
qr_r = _of_parts(orthogonal.qr_r)
qr_complement = _of_parts(orthogonal.qr_complement)
eigenvalues = _of_parts(spectra.eigenvalues)
eigenvectors = _of_parts(spectra.eigenvectors)
singular_values = _of_parts(singular.singular_values)
left_vectors = _of_parts(singular.left_vectors)
right_vectors = _of_parts(singular.right_vectors)

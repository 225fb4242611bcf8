"""NumPy's functions told in gradc's ops: importing this package enters all of them into the registry."""

from gradc.frontend.numpy_api import (
    contractions,
    einsum,
    joining,
    linalg,
    norms,
    operators,
    positions,
    reductions,
    rounding,
    scipy_linalg,
    shapes,
    special,
    taking,
    ufuncs,
)
from gradc.frontend.numpy_api.registry import Implementation, lookup, places, supported

__all__ = [
    "Implementation",
    "contractions",
    "einsum",
    "joining",
    "linalg",
    "lookup",
    "norms",
    "operators",
    "places",
    "positions",
    "reductions",
    "rounding",
    "scipy_linalg",
    "shapes",
    "special",
    "supported",
    "taking",
    "ufuncs",
]

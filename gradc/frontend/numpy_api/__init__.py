"""NumPy's functions told in gradc's ops: importing this package enters all of them into the registry."""

from gradc.frontend.numpy_api import (
    contractions,
    einsum,
    joining,
    linalg,
    operators,
    positions,
    reductions,
    rounding,
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
    "operators",
    "places",
    "positions",
    "reductions",
    "rounding",
    "shapes",
    "special",
    "supported",
    "taking",
    "ufuncs",
]

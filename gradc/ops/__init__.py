"""What may stand in a graph: importing this package registers every op."""

from gradc.ops import (
    contraction,
    control,
    cumulative,
    determinants,
    elementwise,
    functions,
    gamma,
    index,
    linalg,
    reduce,
    regions,
    rounding,
    shape,
    systems,
)

__all__ = [
    "contraction",
    "control",
    "cumulative",
    "determinants",
    "elementwise",
    "functions",
    "gamma",
    "index",
    "linalg",
    "reduce",
    "regions",
    "rounding",
    "shape",
    "systems",
]

"""What may stand in a graph: importing this package registers every op."""

from gradc.ops import (
    complex,
    contraction,
    control,
    cumulative,
    determinants,
    elementwise,
    functions,
    gamma,
    index,
    linalg,
    orthogonal,
    reduce,
    regions,
    rounding,
    shape,
    systems,
)

__all__ = [
    "complex",
    "contraction",
    "control",
    "cumulative",
    "determinants",
    "elementwise",
    "functions",
    "gamma",
    "index",
    "linalg",
    "orthogonal",
    "reduce",
    "regions",
    "rounding",
    "shape",
    "systems",
]

"""What may stand in a graph: importing this package registers every op."""

from gradc.ops import (
    contraction,
    control,
    determinants,
    elementwise,
    functions,
    gamma,
    index,
    linalg,
    reduce,
    shape,
    systems,
)

__all__ = [
    "contraction",
    "control",
    "determinants",
    "elementwise",
    "functions",
    "gamma",
    "index",
    "linalg",
    "reduce",
    "shape",
    "systems",
]

"""What may stand in a graph: importing this package registers every op."""

from gradc.ops import contraction, control, elementwise, functions, index, linalg, reduce, shape

__all__ = ["contraction", "control", "elementwise", "functions", "index", "linalg", "reduce", "shape"]

"""The formulas of mathematical functions, for all backends that write code."""

"""What machine code is made for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A machine, as LLVM names it, with what loops are cut to.

    triple, cpu, features   as in ``llc -mtriple -mcpu -mattr``; an empty triple is this machine's
    vector_bits             width of a vector register
    registers               number of vector registers
    fma                     whether a fused multiply-add is an instruction
    doubles                 whether it computes in f64
    vectors                 whether it has vector registers; else products of matrices alone are cut as if it had
    abi                     the calling convention, as in ``llc -target-abi``; empty for the triple's own
    """

    triple: str = ""
    cpu: str = ""
    features: str = ""
    vector_bits: int = 128
    registers: int = 16
    fma: bool = False
    abi: str = ""
    doubles: bool = True
    vectors: bool = True

    def lanes(self, itemsize: int) -> int:
        """How many elements of ``itemsize`` bytes a vector register holds."""
        return max(1, self.vector_bits // (8 * itemsize))

    @property
    def holds_tables(self) -> bool:
        """Whether two registers hold 32 numbers of f32 to choose from: those of AVX-512."""
        return "+avx512f" in self.features


GENERIC = Target()
"""A machine of which nothing is known."""

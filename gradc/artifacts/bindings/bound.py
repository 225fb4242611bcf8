"""What bindings are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradc.backends.abi import Interface
from gradc.ir.graph import Graph


@dataclass(frozen=True)
class Bound:
    """A function of a library that other languages shall call.

    interface   how C calls it
    graph       what it computes
    selftest    bytes of memory that its self-test wants from its caller; 0 where it takes none
    suffixes    of its versions for processors of more and more instructions; ``("",)`` where there is one
    """

    interface: Interface
    graph: Graph
    selftest: int = 0
    suffixes: Sequence[str] = ("",)

    @property
    def selects(self) -> bool:
        """Whether the library has ``NAME_select``, which chooses a version for the processor."""
        return len(self.suffixes) > 1

    @property
    def head(self) -> str:
        """``value and gradient of loss (net.py:4)``"""
        signature = self.interface.signature
        of = f" of {signature.function}" if signature.function else ""
        return f"{signature.summary}{of}{f' ({signature.origin})' if signature.origin else ''}"

"""What a derivation says, apart from how it is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gradc.inspect.expression import Apply, Expr, Slope, Symbol, walk
from gradc.inspect.laws import Reason
from gradc.ir.aval import Dim


@dataclass(frozen=True)
class Line:
    """A line of the forward pass: ``symbol = written = expression``, its value and the user's source line."""

    symbol: Symbol
    written: Expr
    expression: Expr
    value: Any
    line: str


@dataclass(frozen=True)
class Step:
    """The derivative of ``of`` with respect to one value.

    ``chain`` is the chain rule, None for the function's own definition; ``stages`` are the forms that the expression
    takes, each with the reason for it, the last of them being ``result``. A step that reads like an earlier one but for
    the names in ``exchanged`` has no ``number`` of its own; ``like`` is that of the other.
    """

    number: int
    slope: Slope
    wrt: Symbol
    via: tuple[Symbol, ...]
    chain: Expr | None
    stages: tuple[tuple[Expr, Reason], ...]
    reason: Reason
    value: Any
    line: str
    like: int = 0
    exchanged: tuple[tuple[str, str], ...] = ()

    @property
    def result(self) -> Expr:
        return self.stages[-1][0]


@dataclass(frozen=True)
class Bridge:
    """What the code that runs computes in another form than the formula as written, by which law, at which line."""

    law: str
    what: str
    line: str


@dataclass(frozen=True)
class Derivation:
    """The derivation of a function as written. Print it with ``text()``, ``latex()``, ``json()``."""

    function: str
    of: Symbol
    forward: tuple[Line, ...]
    steps: tuple[Step, ...]
    sizes: Mapping[Symbol, Dim]
    at: Mapping[str, Any]
    skipped: int
    never_computed: tuple[int, ...]
    bridges: tuple[Bridge, ...]
    kinks: tuple[str, ...]
    wrt: tuple[str, ...]
    constants: Mapping[Symbol, np.ndarray]

    @property
    def has_matrices(self) -> bool:
        """Whether a product of matrices occurs, so that products of elements want a sign of their own."""
        return any(
            isinstance(e, Apply) and e.function == "contract" for line in self.forward for e in walk(line.expression)
        )

    @property
    def counts(self) -> dict[Symbol, Fraction]:
        """The numbers that letters such as ``n`` stand for, where they are fixed."""
        return {symbol: Fraction(count) for symbol, count in self.sizes.items() if isinstance(count, int)}

    def __str__(self) -> str:
        return self.text()

    def text(self, *, width: int = 110, rate: float | None = None) -> str:
        """The derivation for a terminal of ``width`` characters.

        With ``rate`` one step of gradient descent is told in numbers, where values are given.
        """
        from gradc.inspect.render_text import render_text

        return render_text(self, width, rate)

    def latex(self, latex_names: Mapping[str, str] | None = None, *, document: bool = False) -> str:
        """The derivation as ``align*`` environments of amsmath; ``document`` makes it a file that compiles.

        ``latex_names`` overrides how names are printed: ``{"w11": r"w_{11}^{(1)}"}``.
        """
        from gradc.inspect.render_latex import render_latex

        return render_latex(self, latex_names or {}, document)

    def json(self) -> list[dict[str, Any]]:
        """One record a derivative: name, of, wrt, chain, steps, result, law, line, sympy (and value, where known)."""
        from gradc.inspect.render_json import render_json

        return render_json(self)

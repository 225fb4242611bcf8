"""A derivation as plain data."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.inspect.derivation import Derivation, Step
from gradc.inspect.expression import Expr, Number, Slope, leaves, substituted
from gradc.inspect.render_text import reason_text
from gradc.inspect.sympy_text import Sympy
from gradc.inspect.text import Text

_SYMPY: Final = Sympy()
_MOST_LEAVES: Final = 200
"""In ``sympy`` the derivatives that a result refers to are filled in up to this size; beyond it, dL_dz stands there."""


def render_json(derivation: Derivation) -> list[dict[str, Any]]:
    """One record a derivative, nearest the result first.

    ``steps`` are records of ``expression`` and ``law``; ``like`` is the name of the derivative that a step reads like,
    or None; ``sympy`` is the result for ``sympy.sympify``; ``value`` its number (or nested lists), or None.
    """
    filled: dict[Expr, Expr] = {s: Number(c) for s, c in derivation.counts.items()}
    text = Text(has_matrices=derivation.has_matrices)
    names = {s.number: text(s.slope) for s in derivation.steps if s.number}
    records = []
    for step in derivation.steps:
        full = substituted(step.result, filled)
        if leaves(full) <= _MOST_LEAVES:
            filled[step.slope] = full
        else:
            full = substituted(step.result, {s: e for s, e in filled.items() if not isinstance(s, Slope)})
        records.append(_record(derivation.of.name, step, full, names, text))
    return records


def _record(of: str, step: Step, full: Expr, names: dict[int, str], text: Text) -> dict[str, Any]:
    return {
        "name": text(step.slope),
        "of": of,
        "wrt": step.wrt.name,
        "chain": text(step.chain if step.chain is not None else step.slope),
        "steps": [{"expression": text(e), "law": reason_text(why, text)} for e, why in step.stages],
        "result": text(step.result),
        "law": reason_text(step.reason, text),
        "line": step.line,
        "sympy": _SYMPY(full),
        "like": names.get(step.like),
        "value": None if step.value is None else np.asarray(step.value).tolist(),
    }

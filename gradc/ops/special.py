"""How a function of ``scipy.special`` that is made of other functions becomes an op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradc.ir.op import Op
from gradc.ops.elementwise import Partials, elementwise
from gradc.ops.helpers import evaluated


def special(
    name: str,
    partials: Partials,
    loops: Callable[..., Any],
    latex: str,
    *,
    flops: int,
    arity: int = 1,
    captured: bool = True,
    **fields: Any,
) -> Op:
    """The op ``name``: what it means is told by the helper ``_name`` of saved modules, and in loops by ``loops``.

    ``flops`` are those of an element; ``captured`` says whether it is SciPy's function of that name.
    """
    operands = ", ".join(f"{{{k}}}" for k in range(arity))
    return elementwise(
        name,
        evaluated(f"_{name}"),
        f"_{name}({operands})",
        partials,
        kinds="f",
        loops=loops,
        flops=lambda result, *avals: result.size * flops,
        captures=(f"scipy.special:{name}",) if captured else (),
        latex=latex,
        text=f"{name}({operands})",
        **fields,
    )

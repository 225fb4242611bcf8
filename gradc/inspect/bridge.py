"""From the derivation to the code that runs: which steps it never computes, and what it computes in another form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gradc.inspect.derivation import Bridge, Step
from gradc.ir.graph import INPUT, Graph
from gradc.ir.node import Fired

_STABLE: Final[Mapping[str, str]] = {
    "logistic": "σ({0}) by exp(-|{1}|), which cannot overflow",
    "softplus": "log1p(exp(-|{0}|)) + max({0}, 0)",
    "logistic_bce": "log1p(exp(-|{0}|)) + where({0} >= 0, 1 - {1}, {1})·|{0}|",
    "logsumexp": "m + log Σ exp({0} - m), m = max {0}",
    "softmax": "softmax({0} - max {0})",
}
"""How the ops that laws of stability introduce are computed."""


_NOUNS: Final[Mapping[str, str]] = {
    "logistic": "the sigmoid",
    "softplus": "the softplus",
    "logistic_bce": "each cross entropy",
    "logsumexp": "the log-sum-exp",
    "softmax": "the softmax",
}
"""What their results are called where the user has no name for them."""


def never_computed(steps: Sequence[Step], final: Graph | None) -> tuple[int, ...]:
    """The steps whose value is alive in the final graph, and whose derivative nothing there stands for."""
    if final is None:
        return ()
    alive = set(final.names.values())
    computed = {final.names[primal] for primal in final.cotangents if primal in final.names}
    told = [s for s in steps if s.number and s.wrt.role == "value"]
    return tuple(s.number for s in told if s.wrt.name in alive and s.wrt.name not in computed)


def bridges(final: Graph | None, of: str) -> tuple[Bridge, ...]:
    """What the laws that fired have left in the final graph, each result once; its first output is called ``of``."""
    found: dict[int, Bridge] = {}
    for fired in final.fired if final is not None else ():
        if final is not None and fired.result >= 0:
            line = str(fired.origins[-1]) if fired.origins else ""
            found.setdefault(fired.result, Bridge(fired.law, _what(final, fired, of), line))
    return tuple(dict.fromkeys(found.values()))


def _what(final: Graph, fired: Fired, of: str) -> str:
    node = final.nodes[fired.result]
    unnamed = (letter for letter in "uvw" if letter not in final.names.values())
    operands = [_operand(final, i, unnamed) for i in node.operands]
    form = _STABLE.get(node.op.name)
    bare = [operand.removeprefix("-") for operand in operands]
    shown = form.format(*operands, *bare) if form else _without_axes(fired.after)
    name: str | None = of if fired.result == final.outputs[0] else final.names.get(fired.result)
    if name is None:
        written = fired.before.replace("1.0 ", "1 ")
        name = _NOUNS.get(node.op.name, written) if "(" in written else written
    return f"{name} is {shown}"


def _operand(final: Graph, node: int, unnamed: Iterator[str]) -> str:
    """An operand by its name, or by a letter."""
    name = _name(final, node)
    if not name and final.nodes[node].op.name == "neg":
        return f"-{_name(final, final.nodes[node].operands[0]) or next(unnamed)}"
    return name or next(unnamed)


def _without_axes(text: str) -> str:
    """What a law has made, without the keywords of ops."""
    return re.sub(r", (axes|keepdims|lhs|rhs|out)=(\([^)]*\)|\w+)", "", text)


def _name(final: Graph, node: int) -> str:
    if final.nodes[node].op is INPUT:
        return str(final.nodes[node].params["name"])
    return final.names.get(node, "")

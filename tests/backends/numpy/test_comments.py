"""What stands behind a line that is written otherwise than the user wrote it."""

from __future__ import annotations

import pytest

import gradc.ops  # noqa: F401
from gradc.backends.numpy import render
from gradc.ir.aval import aval
from gradc.ir.graph import Builder
from gradc.ir.node import Origin
from gradc.ir.op import REGISTRY
from gradc.ir.signature import flat_signature


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("p = e / e.sum()", "n.py:3: e / e.sum()"),
        ("p: object = e / e.sum()", "n.py:3: e / e.sum()"),
        ("return e / e.sum()", "n.py:3: e / e.sum()"),
        ("return e / e.sum(axis=-1)", "n.py:3: e / e.sum(axis=-1)"),
        ("p['a'] = e[x == 1]", "n.py:3: e[x == 1]"),
        ("e / e.sum(axis=-1))", "n.py:3"),  # the end of a statement over several lines
        ("p += e", "n.py:3"),
        ("", "n.py:3"),
    ],
)
def test_the_users_formula_is_told_whole_or_not_at_all(text: str, comment: str) -> None:
    b = Builder()
    x = b.input("x", aval("f64[3]"))
    b.origin = (Origin("n.py", 3, text),)
    graph = b.freeze([REGISTRY["softmax"](x, axes=(0,))])
    line = next(
        t for t in render(graph, flat_signature(graph, ("x",)), name="f").splitlines() if "weights / total" in t
    )
    assert line.partition("# ")[2] == comment

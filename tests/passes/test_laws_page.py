"""docs/laws.md lists every law; it is written from the tables with ``--bless``."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradc.passes.pipeline import CANONICAL
from gradc.passes.rewrite import Law, Rules
from gradc.passes.stabilize import AGGRESSIVE, SAFE

PAGE = Path(__file__).parents[2] / "docs" / "laws.md"

HEAD = """\
# The laws

Every simplification is one of these directed equalities. `kernel.explain()` and the comments of generated code name
those that are worth telling. This page is written from the tables in `gradc/passes/` by
`pytest tests/passes/test_laws_page.py --bless`; each law has a test there.
"""

PARTS = (
    (
        "Canonical forms (every level)",
        """\
Exact for every number, NaN and the infinities included, but for the sign of a real zero, a product with a power of two,
which may stay finite where it overflowed on the way, and a last digit where several roundings become one; never dearer.
See the head of `gradc/passes/canonicalize.py`.""",
        tuple(law for table in CANONICAL for law in table),
    ),
    (
        'Stable forms (`stabilize="safe"`, the default)',
        """\
Within 8 units in the last place of the sum of absolute terms of the real value, in value and gradient; finite where
the formula as written may not be; NaN wherever a leaf of the left side is.""",
        SAFE,
    ),
    (
        'Further forms (`stabilize="aggressive"`)',
        "These may lose a NaN or an infinity of what they drop.",
        AGGRESSIVE,
    ),
)


def section(title: str, promise: str, laws: tuple[Law, ...]) -> str:
    rows = []
    for name in Rules(laws).names:
        statements = dict.fromkeys(law.statement for law in laws if law.name == name)
        shown = "<br>".join(f"`{statement}`" for statement in statements).replace("|", r"\|")
        rows.append(f"| {name} | {shown} |")
    return "\n".join([f"## {title}", "", promise, "", "| law | equality |", "|---|---|", *rows, ""])


def test_the_page_lists_every_law(request: pytest.FixtureRequest) -> None:
    text = "\n".join([HEAD, *(section(*part) for part in PARTS)])
    if request.config.getoption("--bless"):
        PAGE.write_text(text, encoding="utf-8", newline="\n")
    assert PAGE.read_text(encoding="utf-8") == text, "docs/laws.md is old; pytest --bless writes it"

"""Write docs/supported.md: the functions that gradc knows, with their parameters, from the registry itself.

python tools/supported.py          writes the page
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from gradc.frontend.numpy_api import Implementation
from gradc.frontend.numpy_api.registry import records

PAGE = Path(__file__).parent.parent / "docs" / "supported.md"

HEAD = """# Supported functions

These functions of NumPy and SciPy have their meaning in a traced function, on every backend and with derivatives of
any order. A function that is not here, or a parameter that is not listed, raises `TraceError` with its name and the
line of the call. Functions that make arrays (`np.zeros`, `np.array`, `np.arange`, `np.eye` ...) work as they do in
NumPy. Made by `tools/supported.py` from the registry.
"""

TITLES = {
    "np": "NumPy", "np.linalg": "numpy.linalg", "np.lib.stride_tricks": "numpy.lib.stride_tricks",
}  # fmt: skip


def page() -> str:
    """The page as text."""
    found = sorted(records(), key=lambda record: (module_of(record), record.name.lower()))
    parts = [HEAD]
    for module, members in groupby(found, key=module_of):
        listed = list(members)
        parts += [f"\n## {TITLES.get(module, module)}\n\n| function | parameters | |\n|---|---|---|\n"]
        parts += [line(record) for record in listed]
    return "".join(parts)


def module_of(record: Implementation) -> str:
    """The module of a function, as the page sorts it."""
    return record.name.rpartition(".")[0]


def line(record: Implementation) -> str:
    """The row of a function."""
    name = record.name.rpartition(".")[2]
    text = (
        (inspect.getdoc(record.function) or "Element by element, as NumPy's.")
        .partition("\n")[0]
        .replace("``", "`")
        .replace("|", "\\|")
    )
    return f"| `{name}` | {', '.join(parameters(record))} | {text} |\n"


def parameters(record: Implementation) -> Iterator[str]:
    """The parameters that are known; of a ufunc those of its call as well."""
    yield from (f"`{name}`" for name in record.parameters)
    if record.is_ufunc:
        yield "`out`, `where`, `dtype`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

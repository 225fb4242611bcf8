"""Write docs/supported.md: the functions that gradc knows, with their parameters, from the registry itself.

python tools/supported.py          writes the page
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from gradc.frontend.numpy_api import Implementation
from gradc.frontend.numpy_api.registry import records

PAGE = Path(__file__).parent.parent / "docs" / "supported.md"
PEERS: dict[str, Any] = json.loads(Path(__file__).with_name("peers.json").read_text(encoding="utf-8"))
"""What ``tools/peers.py`` measured."""

HEAD = """# Supported functions

These functions of NumPy and SciPy have their meaning in a traced function, on every backend and with derivatives of
any order. A function that is not here, or a parameter that is not listed, raises `TraceError` with its name and the
line of the call. Functions that make arrays (`np.zeros`, `np.array`, `np.arange`, `np.eye` ...) work as they do in
NumPy. Made by `tools/supported.py` from the registry.

The columns JAX and autograd say whether they take the same plain NumPy source, with `import numpy as np`: the call
under `jax.jit`, or while autograd differentiates, and its gradient. `tools/peers.py` measures it on the calls that
gradc's own tests make, all of which gradc takes. *yes*: value and gradient are right; *refused*: an error, or no answer
in {seconds} seconds; *wrong*: something else came out, without an error; counts where calls of a function differ; empty
where there is no such call.
{versions}
"""

COLUMNS = "| function | parameters | | JAX | autograd |\n|---|---|---|---|---|\n"

TITLES = {
    "np": "NumPy", "np.linalg": "numpy.linalg", "np.lib.stride_tricks": "numpy.lib.stride_tricks",
}  # fmt: skip


def page() -> str:
    """The page as text."""
    found = sorted(records(), key=lambda record: (module_of(record), record.name.lower()))
    versions = ", ".join(f"{name} {number}" for name, number in PEERS["versions"].items())
    parts = [HEAD.format(seconds=PEERS["seconds"], versions=f"Measured with {versions}: {_told_totals()}.")]
    for module, members in groupby(found, key=module_of):
        listed = list(members)
        parts += [f"\n## {TITLES.get(module, module)}\n\n{COLUMNS}"]
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
    peers = " | ".join(peer(record.name, label) for label in ("JAX", "autograd"))
    return f"| `{name}` | {', '.join(parameters(record))} | {text} | {peers} |\n"


def peer(name: str, label: str) -> str:
    """What another library does with the plain calls of a function."""
    counts: dict[str, int] = {}
    for called, outcomes in PEERS["functions"].items():
        if called == name or called.startswith(f"{name}."):  # a distribution is called by its methods
            for kind, number in outcomes[label].items():
                counts[kind] = counts.get(kind, 0) + number
    words = {"taken": "yes", "refused": "refused", "wrong": "wrong"}
    if len(counts) == 1:
        return words[next(iter(counts))]
    return ", ".join(f"{number} {words[kind]}" for kind, number in sorted(counts.items()))


def _told_totals() -> str:
    """Of how many calls the others take how many."""
    found = PEERS["functions"].values()
    calls = sum(sum(outcomes["JAX"].values()) for outcomes in found)
    told = [
        f"{label} takes {sum(outcomes[label].get('taken', 0) for outcomes in found)} and is wrong in "
        f"{sum(outcomes[label].get('wrong', 0) for outcomes in found)}"
        for label in ("JAX", "autograd")
    ]
    return f"of {calls} calls {', '.join(told)}"


def parameters(record: Implementation) -> Iterator[str]:
    """The parameters that are known; of a ufunc those of its call as well."""
    yield from (f"`{name}`" for name in record.parameters if not (record.methods and name == "method"))
    if record.is_ufunc:
        yield "`out`, `where`, `dtype`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

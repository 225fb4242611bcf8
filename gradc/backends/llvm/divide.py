"""Dividing a module: functions that are written as they should run, and those that LLVM's passes make fast.

Products of matrices are emitted in registers and vectors, and LLVM's passes take most of their time on them without
making them faster. So they go through a short list of passes in a module of their own, which is linked to the rest
before machine code is made.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_DEFINITION: Final = re.compile(r"^define [^@]*(@[\w.$]+|@\"[^\"]*\")\(.*?^\}$", re.MULTILINE | re.DOTALL)
_HEAD: Final = re.compile(r"define (?:internal )?(.*?) \{\n", re.DOTALL)
_SYMBOL: Final = re.compile(r"@[\w.$]+|@\"[^\"]*\"")
_WRITTEN: Final = re.compile(r"\.matmul\.\d+\"?$")


class Divided(NamedTuple):
    """The texts of two modules, and the functions of the second that the first one calls."""

    rest: str
    written: str
    shared: tuple[str, ...]


def divide(ir: str) -> Divided:
    """A module's text in two; ``written`` is empty where nothing is to be divided off."""
    found = list(_DEFINITION.finditer(ir))
    bodies = {match.group(1): match.group(0) for match in found}
    written = {name for name in bodies if _WRITTEN.search(name)}
    if not written:
        return Divided(ir, "", ())
    uses = {name: {s for s in _SYMBOL.findall(body) if s in bodies and s != name} for name, body in bodies.items()}
    needed = _closure(written, uses)
    shared = {name for other in bodies.keys() - written for name in uses[other]} & written
    rest, apart = [], []
    end = 0
    for match in found:
        name, body = match.group(1), match.group(0)
        between = ir[end : match.start()]
        end = match.end()
        declared = _declared(body) if name in shared else ""
        rest += [between, declared if name in written else body]
        apart += [between, body.replace("define internal ", "define ", 1) if name in shared else body]
        if name not in needed:
            apart.pop()
    rest.append(ir[end:])
    apart.append(ir[end:])
    gone = bodies.keys() - needed
    lines = [line for line in "".join(apart).split("\n") if not (line[:1] == "@" and gone & set(_SYMBOL.findall(line)))]
    return Divided("".join(rest), "\n".join(lines), tuple(sorted(name.strip('@"') for name in shared)))


def _closure(names: set[str], uses: dict[str, set[str]]) -> set[str]:
    found, stack = set(names), list(names)
    while stack:
        for name in uses[stack.pop()] - found:
            found.add(name)
            stack.append(name)
    return found


def _declared(definition: str) -> str:
    head = _HEAD.match(definition)
    assert head is not None, "a definition has a head"
    return f"declare {head.group(1)}\n"

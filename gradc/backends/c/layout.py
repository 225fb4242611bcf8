"""Lines of C: indentation, and long ones in several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 110
INDENT: Final = "    "


def indented(lines: Sequence[str]) -> list[str]:
    """Lines one block further in."""
    return [f"{INDENT}{line}" if line and not line.startswith("#") else line for line in lines]


def words(lines: Sequence[str]) -> frozenset[str]:
    """The names in code, comments apart."""
    code = re.sub(r"/\*.*?\*/", "", "\n".join(lines), flags=re.DOTALL)
    return frozenset(re.findall(r"\b[A-Za-z_]\w*", code))


def wrapped(lines: Sequence[str]) -> list[str]:
    """Lines of at most WIDTH, as far as there are spaces to break them at; what goes on stands further in."""
    return [part for line in lines for part in _wrap(line)]


def _wrap(line: str) -> list[str]:
    pad = line[: len(line) - len(line.lstrip())]
    further = f"{pad} * " if line.lstrip().startswith("/*") else f"{pad}{INDENT * 2}"
    parts = []
    while len(line) > WIDTH:
        place = _break(line, len(pad) + 8)
        if not place:
            break
        parts.append(line[:place].rstrip())
        line = further + line[place:].lstrip()
    return [*parts, line]


def _break(line: str, least: int) -> int:
    """The space to break a line at: in the fewest parentheses, then behind a comma, then far right; 0 for none."""
    best, depth = (99, False, 0), 0
    for place, letter in enumerate(line[: WIDTH + 1]):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and place > least and line[place + 1] != "{":
            outer = depth if place > WIDTH // 2 else depth + 50
            best = min(best, (outer, line[place - 1] != ",", -place))
    return -best[2]

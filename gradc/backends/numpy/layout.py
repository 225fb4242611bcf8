"""Lines of code on a page: comments aligned, long statements broken inside their brackets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from gradc.backends.numpy.body import Line
from gradc.backends.numpy.comments import printable

COLUMNS = 100
FURTHEST_COMMENT = 60


def aligned(rows: Sequence[Line]) -> list[str]:
    """The rows as text, comments in one column where the code leaves it free.

    Here every comment is made printable, so that no name or line of the user's ends it and becomes code.
    """
    column = max((len(row.code) for row in rows if row.comment and len(row.code) <= FURTHEST_COMMENT), default=0)
    lines: list[str] = []
    for row in rows:
        comment = printable(row.comment)
        if not row.code:
            lines.append(f"# {comment}" if comment else "")
            continue
        code = wrapped(row.code)
        if comment:
            code[-1] = f"{code[-1].ljust(column)}  # {comment}"
        lines += code
    return lines


def wrapped(code: str) -> list[str]:
    """A statement as lines of at most about ``COLUMNS``, broken after commas inside brackets.

    A statement without brackets around its commas, such as a ``return`` of a tuple, gets them.
    """
    if len(code) + 4 <= COLUMNS:
        return [code]
    breaks = _breaks(code)
    if any(depth == 0 and position < len(code) for position, depth in breaks) and not code.endswith(","):
        if not code.startswith("return "):
            return _many_targets(code)
        code = f"return ({code.removeprefix('return ')})"
        breaks = _breaks(code)
    pairs = [pair for pair in _brackets(code) if pair.commas.intersection(position for position, _ in breaks)]
    if not pairs:
        return [code]
    outermost = min(pair.depth for pair in pairs)
    pair = max((pair for pair in pairs if pair.depth == outermost), key=lambda pair: pair.closing - pair.opening)
    head, content, rest = code[: pair.opening + 1], code[pair.opening + 1 : pair.closing], code[pair.closing + 1 :]
    first, *more = wrapped(rest)
    return [head, *(f"    {line}" for line in listed(content)), f"{code[pair.closing]}{first}", *more]


def heading(name: str, parameters: str, returns: str) -> list[str]:
    """A ``def`` line, the parameters on lines of their own where it is long."""
    arrow = f" -> {returns}" if returns else ""
    whole = f"def {name}({parameters}){arrow}:"
    if len(whole) <= COLUMNS or not parameters:
        return [whole]
    return [f"def {name}(", *(f"    {line}" for line in listed(parameters)), f"){arrow}:"]


def listed(content: str) -> list[str]:
    """What stands between brackets, as lines that end after its own commas; an item too long is broken inside."""
    cuts = [0, *(position for position, depth in _breaks(content) if depth == 0), len(content)]
    lines: list[str] = []
    current = ""
    for start, end in pairwise(cuts):
        item = content[start:end].rstrip().removesuffix(",") + ","
        if current and len(current) + 1 + len(item) <= COLUMNS - 8:
            current = f"{current} {item}"
            continue
        if current:
            lines += wrapped(current)
        current = item
    return [*lines, *wrapped(current)]


def _many_targets(code: str) -> list[str]:
    """An assignment to several names, each side broken by itself."""
    targets, _, value = code.partition(" = ")
    first, *rest = wrapped(value)
    return ["(", *(f"    {line}" for line in listed(targets)), f") = {first}", *rest]


def _breaks(code: str) -> list[tuple[int, int]]:
    """Positions after ``, `` outside strings, with the depth of brackets there."""
    return [(k + 1, depth) for k, character, depth in _outside_strings(code) if character == " " and code[k - 1] == ","]


class _Pair(NamedTuple):
    """A pair of brackets: where it opens and closes, in how many others it stands, and where it may be broken."""

    opening: int
    closing: int
    depth: int
    commas: frozenset[int]


def _brackets(code: str) -> list[_Pair]:
    """The pairs of brackets outside strings."""
    pairs: list[_Pair] = []
    open_: list[tuple[int, set[int]]] = []
    for position, character, _ in _outside_strings(code):
        if character in "([{":
            open_.append((position, set()))
        elif character in ")]}":
            opening, commas = open_.pop()
            pairs.append(_Pair(opening, position, len(open_), frozenset(commas)))
        elif character == "," and open_:
            open_[-1][1].add(position + 2)
    return pairs


def _outside_strings(code: str) -> Iterator[tuple[int, str, int]]:
    """Each character that is not in a string literal: its position, itself, the depth of brackets behind it."""
    depth = 0
    quote = ""
    escaped = False
    for position, character in enumerate(code):
        if quote:
            if character == quote and not escaped:
                quote = ""
            escaped = character == "\\" and not escaped
            continue
        if character in "'\"":
            quote, escaped = character, False
        depth += (character in "([{") - (character in ")]}")
        yield position, character, depth

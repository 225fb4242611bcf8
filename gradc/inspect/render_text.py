"""A derivation for the terminal: three columns, what, its value, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from gradc.inspect.derivation import Derivation, Line, Step
from gradc.inspect.expression import Apply, Symbol, walk
from gradc.inspect.laws import Reason
from gradc.inspect.likeness import repetitive
from gradc.inspect.notation import printable
from gradc.inspect.text import Text

_GAP: Final = 2
MOST_ALIKE: Final = 12
"""Up to this many similar derivatives are written out in a line each; more are listed by name."""

_ONE_LINE: Final = 60
"""A chain rule and its result stand in one line up to this length."""

Row = tuple[str, str, str]
"""What stands in the three columns."""


def render_text(derivation: Derivation, width: int, rate: float | None) -> str:
    """The derivation as lines of text of about ``width`` characters."""
    text = Text(has_matrices=derivation.has_matrices)
    forward = [*_forward(derivation, text)]
    backward = [*_backward(derivation, text)]
    lines = [_title(derivation)]
    if derivation.at:
        lines.append("at " + ", ".join(_given(name, value) for name, value in derivation.at.items()))
    lines += [f"{s.name} = {count}" for s, count in derivation.sizes.items() if s.name != str(count)]
    lines += [f"{c.name} = {_listing(value)}" for c, value in derivation.constants.items()]
    lines += ["", *_table([("FORWARD", "value" if derivation.at else "", "line"), *forward], width)]
    lines += ["", *_table([("BACKWARD", "value" if derivation.at else "", "because"), *backward], width)]
    lines += ["", *_closing(derivation, rate)]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _title(derivation: Derivation) -> str:
    wrt = ", ".join(printable(name) for name in derivation.wrt) or "nothing"
    return f"{derivation.function + ': ' if derivation.function else ''}d{derivation.of.name}/d({wrt})"


def _table(rows: Sequence[Row], width: int) -> Iterator[str]:
    """The rows with their columns aligned; what is too long for its column has value and reason on the next line."""
    values = max((len(v) for _, v, _ in rows), default=0)
    reasons = max((len(r) for _, _, r in rows), default=0)
    room = max(40, width - values - 2 * _GAP - min(reasons, 26))
    first = min(room, max((len(w) for w, _, _ in rows), default=0))
    gap = " " * _GAP
    for what, value, why in rows:
        beside = f"{gap if values else ''}{value:>{values}}{gap}{why}"
        if len(what) > first and not value and len(what) + _GAP <= first + values + 2 * _GAP:
            yield f"{what:<{first + values + 2 * _GAP}}{why}".rstrip()
            continue
        if len(what) > first and beside.strip():
            yield from _wrapped(what, width)
            what = ""
        yield (f"{what:<{first}}" + beside).rstrip()


def _wrapped(what: str, width: int) -> Iterator[str]:
    indent = " " * (what.find("= ") + 4)
    yield from textwrap.wrap(what, width, subsequent_indent=indent, break_long_words=False, drop_whitespace=True)


def _forward(derivation: Derivation, text: Text) -> Iterator[Row]:
    names = max((len(text(line.symbol)) for line in derivation.forward), default=0)
    left_out = repetitive(derivation.forward, MOST_ALIKE // 2)
    for place, line in enumerate(derivation.forward):
        if place not in left_out:
            yield f"  {text(line.symbol):<{names}} = {_definition(line, text)}", shown(line.value), line.line
        elif left_out[place]:
            yield f"  … and {left_out[place]} more lines of this form", "", ""


def _definition(line: Line, text: Text) -> str:
    written, read = text(line.written), text(line.expression)
    if isinstance(line.written, Apply) and read.startswith(f"{line.written.function}("):
        return read
    return read if written == read else f"{written} = {read}"


def _backward(derivation: Derivation, text: Text) -> Iterator[Row]:
    numbers = max((len(str(s.number)) for s in derivation.steps), default=1)
    names = min(16, max((len(text(s.slope)) for s in derivation.steps), default=0))
    for step in derivation.steps:
        if not step.like:
            yield from _step(step, numbers, names, text)
    alike = [s for s in derivation.steps if s.like]
    if alike:
        yield "Similarly", "", ""
    for step in alike[:MOST_ALIKE]:
        yield f"{'':>{numbers}} {text(step.slope):<{names}} = {text(step.result)}", shown(step.value), _like(step)
    if len(alike) > MOST_ALIKE:
        rest = alike[MOST_ALIKE:]
        yield f"{'':>{numbers}} and {len(rest)} more: {_listed([text(s.wrt) for s in rest])}", "", ""
    if derivation.skipped:
        yield f"{'':>{numbers}} the derivatives of {derivation.skipped} further values are left out", "", ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:4])}, …, {', '.join(names[-2:])}"


def _step(step: Step, numbers: int, names: int, text: Text) -> Iterator[Row]:
    """A step: in one line where nothing is to be worked out, else line by line."""
    head = f"{step.number:>{numbers}} {text(step.slope):<{names}} = "
    indent = " " * (numbers + names + 2) + "= "
    stages = [(text(expression), reason_text(why, text)) for expression, why in step.stages]
    if step.chain is not None:
        chain, (result, why) = text(step.chain), stages[0]
        together = chain if chain == result else f"{chain} = {result}"
        if len(stages) == 1 and (chain == result or len(together) <= _ONE_LINE):
            yield head + together, shown(step.value), why
            return
        if chain != result:
            yield head + chain, "", "chain rule"
            head = indent
    for k, (stage, why) in enumerate(stages):
        yield head + stage, shown(step.value) if k == len(stages) - 1 else "", why
        head = indent


def reason_text(reason: Reason, notation: Text) -> str:
    """A reason in plain text."""
    text = reason.text
    for k, part in enumerate(reason.parts):
        text = text.replace(f"{{{k}}}", notation(part))
    return text


def _like(step: Step) -> str:
    seen = {part.name for part in walk(step.result) if isinstance(part, Symbol)}
    names = [new for _, new in step.exchanged if new in seen]
    return f"like {step.like}" + (f" with {', '.join(names)}" if names else "")


def closing_sentences(derivation: Derivation) -> Iterator[str]:
    """What is left to say: the kinks, and how the code that runs differs."""
    if derivation.kinks:
        yield "At the kinks: " + "; ".join(derivation.kinks) + "."
    bridge = [_never(derivation.never_computed)] if derivation.never_computed else []
    bridge += [f"{b.what} [{b.law}{', ' + b.line if b.line else ''}]" for b in derivation.bridges]
    if bridge:
        yield "In code: " + "; ".join(bridge) + "."


def _never(steps: Sequence[int]) -> str:
    if len(steps) == 1:
        return f"step {steps[0]} is never computed"
    return f"steps {_listed([str(s) for s in steps])} are never computed"


def _closing(derivation: Derivation, rate: float | None) -> Iterator[str]:
    if derivation.wrt:
        slope = f"d{derivation.of.name}/dw"
        weights = _listed([printable(name) for name in derivation.wrt])
        yield f"Gradient descent: w_new = w_old - rate·{slope} for each w of {weights}."
    if rate is not None:
        yield from _update(derivation, rate)
    yield from closing_sentences(derivation)


def _update(derivation: Derivation, rate: float) -> Iterator[str]:
    """One step of gradient descent in numbers, for the weights that are told with their values."""
    told = {step.wrt.name: step.value for step in derivation.steps if step.value is not None}
    width = max((len(printable(name)) for name in derivation.wrt), default=0)
    for name in derivation.wrt:
        if name in told:
            old, slope = np.asarray(derivation.at[name], np.float64), np.asarray(told[name])
            yield (
                f"  {printable(name):<{width}} = {shown(old)} - {_number(rate)}·({shown(slope)})"
                f" = {shown(old - rate * slope)}"
            )


def _listing(value: np.ndarray) -> str:
    if value.size > 8:
        return f"{'×'.join(map(str, value.shape))} numbers"
    return str([_number(float(v)) for v in value.flat]).replace("'", "")


def _given(name: str, value: Any) -> str:
    array = np.asarray(value)
    short = array.ndim == 0 or (array.ndim == 1 and array.size <= 4)
    size = "×".join(map(str, array.shape))
    return f"{printable(name)} = " + (shown(value) if short else f"{size} numbers")


def shown(value: Any) -> str:
    """A value in a few characters; an array of more than four numbers by its largest magnitude."""
    if value is None:
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return _number(float(array))
    if array.size <= 4 and array.ndim == 1:
        return "[" + ", ".join(_number(float(v)) for v in array) + "]"
    return f"|·| ≤ {_number(float(np.max(np.abs(array))))}" if array.size else "empty"


def _number(value: float) -> str:
    if not np.isfinite(value) or (value == round(value) and abs(value) < 1e6):
        return f"{value:.0f}"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}"
    short = round(value, 3)
    return f"{short:g}" if abs(value - short) < 1e-9 else f"{value:.4f}"

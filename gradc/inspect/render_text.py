"""A derivation for the terminal: three columns, what, its value, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from gradc.inspect.derivation import Derivation, Line, Step
from gradc.inspect.laws import Reason
from gradc.inspect.text import Text

_TEXT: Final = Text()
_GAP: Final = 2
_MOST_ALIKE: Final = 12
"""Up to this many similar derivatives are written out in a line each; more are listed by name."""

Row = tuple[str, str, str]
"""What stands in the three columns."""


def render_text(derivation: Derivation, width: int) -> str:
    """The derivation as lines of text of about ``width`` characters."""
    forward = [*_forward(derivation)]
    backward = [*_backward(derivation)]
    lines = [_title(derivation)]
    if derivation.at:
        lines.append("at " + ", ".join(f"{name} = {shown(value)}" for name, value in derivation.at.items()))
    lines += [f"{s.name} = {count}" for s, count in derivation.sizes.items() if s.name != str(count)]
    lines += ["", *_table([("FORWARD", "value" if derivation.at else "", "line"), *forward], width)]
    lines += ["", *_table([("BACKWARD", "value" if derivation.at else "", "because"), *backward], width)]
    lines += ["", *_closing(derivation)]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _title(derivation: Derivation) -> str:
    wrt = ", ".join(derivation.wrt) or "nothing"
    return f"{derivation.function + ': ' if derivation.function else ''}d{derivation.of.name}/d({wrt})"


def _table(rows: Sequence[Row], width: int) -> Iterator[str]:
    """The rows with their columns aligned; a row too long for its column pushes the others to the right."""
    values = max((len(v) for _, v, _ in rows), default=0)
    room = width - values - 2 * _GAP - 24
    first = min(room, max((len(w) for w, _, _ in rows), default=0))
    for what, value, why in rows:
        pad = " " * _GAP if values else ""
        yield f"{what:<{first}}{pad}{value:>{values}}{' ' * _GAP}{why}".rstrip()


def _forward(derivation: Derivation) -> Iterator[Row]:
    names = max((len(line.symbol.name) for line in derivation.forward), default=0)
    for line in derivation.forward:
        yield f"  {line.symbol.name:<{names}} = {_definition(line)}", shown(line.value), line.line


def _definition(line: Line) -> str:
    written, read = _TEXT(line.written), _TEXT(line.expression)
    return read if written == read else f"{written} = {read}"


def _backward(derivation: Derivation) -> Iterator[Row]:
    numbers = max((len(str(s.number)) for s in derivation.steps), default=1)
    names = min(16, max((len(_TEXT(s.slope)) for s in derivation.steps), default=0))
    for step in derivation.steps:
        if not step.like:
            yield from _step(step, numbers, names)
    alike = [s for s in derivation.steps if s.like]
    if alike:
        yield "Similarly", "", ""
    for step in alike[:_MOST_ALIKE]:
        yield f"{'':>{numbers}} {_TEXT(step.slope):<{names}} = {_TEXT(step.result)}", shown(step.value), _like(step)
    if len(alike) > _MOST_ALIKE:
        rest = alike[_MOST_ALIKE:]
        yield f"{'':>{numbers}} and {len(rest)} more: {_listed([s.wrt.name for s in rest])}", "", ""
    if derivation.skipped:
        yield f"{'':>{numbers}} {derivation.skipped} further values are left out", "", ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:4])}, …, {', '.join(names[-2:])}"


def _step(step: Step, numbers: int, names: int) -> Iterator[Row]:
    """A step: in one line where nothing is to be worked out, else line by line."""
    head = f"{step.number:>{numbers}} {_TEXT(step.slope):<{names}} = "
    indent = " " * (numbers + names + 2) + "= "
    stages = [(_TEXT(expression), reason_text(why)) for expression, why in step.stages]
    if step.chain is not None:
        chain = _TEXT(step.chain)
        if len(stages) == 1:
            result, why = stages[0]
            yield f"{head}{chain} = {result}", shown(step.value), why
            return
        yield head + chain, "", "chain rule"
        head = indent
    for k, (text, why) in enumerate(stages):
        yield head + text, shown(step.value) if k == len(stages) - 1 else "", why
        head = indent


def reason_text(reason: Reason) -> str:
    """A reason in plain text."""
    text = reason.text
    for k, part in enumerate(reason.parts):
        text = text.replace(f"{{{k}}}", _TEXT(part))
    return text


def _like(step: Step) -> str:
    names = [new for old, new in step.exchanged if new != step.wrt.name]
    return f"like {step.like}" + (f" with {', '.join(names)}" if names else "")


def closing_sentences(derivation: Derivation) -> Iterator[str]:
    """What is left to say: the kinks, and how the code that runs differs."""
    if derivation.kinks:
        yield "At the kinks: " + "; ".join(derivation.kinks) + "."
    bridge = []
    if derivation.never_computed:
        steps = "step" if len(derivation.never_computed) == 1 else "steps"
        bridge.append(f"{steps} {', '.join(map(str, derivation.never_computed))} never computed")
    bridge += [f"{b.after} [{b.law}{', ' + b.line if b.line else ''}]" for b in derivation.bridges]
    if bridge:
        yield "In code: " + "; ".join(bridge) + "."


def _closing(derivation: Derivation) -> Iterator[str]:
    if derivation.wrt:
        slope = f"d{derivation.of.name}/dw"
        yield f"Gradient descent: w_new = w_old - rate·{slope} for each w of {_listed(derivation.wrt)}."
    yield from closing_sentences(derivation)


def shown(value: Any) -> str:
    """A value in a few characters; a large array by its shape and its largest magnitude."""
    if value is None:
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return _number(float(array))
    if array.size <= 4 and array.ndim == 1:
        return "[" + ", ".join(_number(float(v)) for v in array) + "]"
    size = "×".join(map(str, array.shape))
    return f"{size}, |max| {_number(float(np.max(np.abs(array))))}" if array.size else size


def _number(value: float) -> str:
    if not np.isfinite(value) or (value == round(value) and abs(value) < 1e6):
        return f"{value:.0f}"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}"
    short = round(value, 3)
    return f"{short:g}" if abs(value - short) < 1e-9 else f"{value:.4f}"

"""Which steps of a derivation say the same with other names, so that they need not be told again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gradc.inspect.derivation import Line, Step
from gradc.inspect.expression import Apply, Expr, Number, Slope, Symbol, children


def with_likeness(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, those that say something new numbered, the others marked with the one that they are like."""
    known: dict[tuple[object, ...], Step] = {}
    marked = []
    for step in steps:
        names: dict[str, int] = {}
        form = tuple(_form(step, names))
        first = known.get(form)
        if first is None:
            known[form] = replace(step, number=len(known) + 1)
            marked.append(known[form])
            continue
        own: dict[str, int] = {}
        for _ in _form(first, own):
            pass
        pairs = zip(own, names, strict=True)
        exchanged = tuple((old, new) for old, new in pairs if old != new)
        marked.append(replace(step, number=0, like=first.number, exchanged=exchanged))
    return tuple(marked)


def repetitive(lines: Sequence[Line], most: int) -> dict[int, int]:
    """Where lines repeat a form more than ``most`` times: places to leave out, the first of a form with their number.

    The first two and the last line of a form stay; the other places have the number 0.
    """
    by_form: dict[tuple[object, ...], list[int]] = {}
    for place, line in enumerate(lines):
        names: dict[str, int] = {}
        form = (_numbered(line.symbol, names), *_shape(line.expression, names))
        by_form.setdefault(form, []).append(place)
    left_out: dict[int, int] = {}
    for places in by_form.values():
        if len(places) > most:
            left_out.update(dict.fromkeys(places[2:-1], 0))
            left_out[places[2]] = len(places) - 3
    return left_out


def _form(step: Step, names: dict[str, int]) -> Iterator[object]:
    """What a step says, with its names numbered in order of occurrence."""
    yield _numbered(step.wrt, names)
    for expression in (*([step.chain] if step.chain else []), *[e for e, _ in step.stages]):
        yield from _shape(expression, names)
    for _, reason in step.stages:
        yield reason.law


def _numbered(symbol: Symbol, names: dict[str, int]) -> tuple[object, ...]:
    return symbol.role, len(symbol.shape), names.setdefault(symbol.name, len(names))


def _shape(expression: Expr, names: dict[str, int]) -> Iterator[object]:
    match expression:
        case Symbol():
            yield _numbered(expression, names)
        case Slope(of, wrt):
            yield "slope", names.setdefault(of, len(names)), names.setdefault(wrt, len(names))
        case Number(value):
            yield value
        case Apply(function, _, _, params):
            yield function, repr([p for p in params if p[0] != "shape"])
    yield type(expression).__name__, len(children(expression))
    for part in children(expression):
        yield from _shape(part, names)

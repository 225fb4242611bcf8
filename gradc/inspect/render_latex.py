"""A derivation as LaTeX: two ``align*`` environments of amsmath, or a whole file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

from gradc.inspect.derivation import Derivation, Step
from gradc.inspect.latex import Latex, escaped
from gradc.inspect.laws import Reason
from gradc.inspect.likeness import repetitive
from gradc.inspect.render_text import MOST_ALIKE, closing_sentences, shown

Row = tuple[str, str, str]
"""Left of the equals sign, right of it, and why."""


def render_latex(derivation: Derivation, names: Mapping[str, str], document: bool) -> str:
    """The environments that state the forward pass and derive, each with its reasons; rendered through a template."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("gradc.templates").joinpath("latex/derivation.tex.j2").read_text("utf-8")
    latex = Latex(names, has_matrices=derivation.has_matrices)
    text = environment.from_string(source).render(
        document=document,
        forward=list(_forward(derivation, latex)),
        backward=list(_backward(derivation, latex)),
        update=list(_update(derivation, latex)),
        closing=[escaped(sentence) for sentence in closing_sentences(derivation)],
    )
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def _forward(derivation: Derivation, latex: Latex) -> Iterator[Row]:
    left_out = repetitive(derivation.forward, MOST_ALIKE // 2)
    for place, line in enumerate(derivation.forward):
        if place not in left_out:
            written, read = latex(line.written), latex(line.expression)
            right = read if written == read else f"{written} = {read}"
            yield latex(line.symbol), right + _value(line.value), ""
        elif left_out[place]:
            yield "", rf"\dots \text{{ ({left_out[place]} more of this form)}}", ""


def _backward(derivation: Derivation, latex: Latex) -> Iterator[Row]:
    for step in derivation.steps:
        if not step.like:
            yield from _step(step, latex)
    alike = [step for step in derivation.steps if step.like]
    for step in alike[:MOST_ALIKE]:
        yield latex(step.slope), latex(step.result) + _value(step.value), rf"\text{{like ({step.like})}}"
    if len(alike) > MOST_ALIKE:
        yield "", rf"\dots \text{{ ({len(alike) - MOST_ALIKE} more of this form)}}", ""


def _step(step: Step, latex: Latex) -> Iterator[Row]:
    left, tag = latex(step.slope), rf" \tag{{{step.number}}}"
    stages = [latex(expression) for expression, _ in step.stages]
    chain = latex(step.chain) if step.chain is not None else stages[0]
    if chain != stages[0]:
        if len(stages) == 1:
            stages = [f"{chain} = {stages[0]}"]
        else:
            yield left, chain, r"\text{chain rule}" + tag
            left, tag = "", ""
    for k, (right, (_, why)) in enumerate(zip(stages, step.stages, strict=True)):
        value = _value(step.value) if k == len(stages) - 1 else ""
        yield left, right + value, _reason(why, latex) + tag
        left, tag = "", ""


def _value(value: object) -> str:
    text = shown(value)
    return rf" \approx {text}" if text and "≤" not in text and text != "empty" else ""


def _reason(reason: Reason, latex: Latex) -> str:
    text = reason.latex or _with_math(reason.text)
    parts = {f"{{{k}}}": latex(part) for k, part in enumerate(reason.parts)}
    # In one pass: the index of a name, z_{1}, is no place for a part.
    filled = re.sub(r"\{\d\}", lambda place: parts.get(place[0], place[0]), text)
    return rf"\text{{{filled}}}"


def _with_math(text: str) -> str:
    """``{0} cancels`` with its places in math mode."""
    for k in range(text.count("{")):
        text = text.replace(f"{{{k}}}", f"${{{k}}}$")
    return text


def _update(derivation: Derivation, latex: Latex) -> Iterator[Row]:
    """The step of gradient descent for the first of the weights, standing for all."""
    for name in derivation.wrt[:1]:
        weight, slope = latex.name(name), latex.slope(derivation.of.name, name)
        others = ", ".join(f"${latex.name(other)}$" for other in derivation.wrt[1:])
        why = rf"\text{{gradient descent{'; likewise ' + others if others else ''}}}"
        yield (
            rf"{weight}_{{\text{{new}}}}" if "_" not in weight else rf"{{{weight}}}^{{\text{{new}}}}",
            (rf"{weight} - \text{{rate}} \cdot {slope}"),
            why,
        )

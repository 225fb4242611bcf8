"""What an epilogue means, and where it reads and writes.

``z = contract ... then z_i of i, k: h[i, k] = maximum(z_i + b[k], 0.0)`` is the contraction, and after it a loop nest
over its result. A backend that can runs the nest's body where it stores the sums. That is the same as long as nothing
that the body writes is an operand, and what it reads is not the contraction's result in another place: law 10.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gradc.loops.language.expressions import load_from
from gradc.loops.language.program import (
    Apply,
    Buffer,
    Call,
    Constant,
    Contraction,
    Expression,
    For,
    Let,
    Load,
    Mode,
    Statement,
    Variable,
    View,
    b,
    contiguous_strides,
    rewrite,
    size,
    variable,
    walk,
)


def unfused(call: Call) -> tuple[Call, Statement]:
    """The contraction without its epilogue, and the loop nest that the epilogue is."""
    contraction, epilogue, out = call.callee, call.epilogue, call.views[2]
    assert isinstance(contraction, Contraction), "only a contraction has an epilogue"
    assert epilogue is not None, "there is nothing to separate"
    place = out.offset
    for name, stride in zip(epilogue.index, out.strides, strict=True):
        place = b.add(place, b.mul(variable(name), size(stride)))
    element = Let(epilogue.element, load_from(out.buffer, contraction.dtype, (place,)))
    nest: tuple[Statement, ...] = (element, *epilogue.body)
    sizes = dict(contraction.sizes)
    mode: Mode = "vector"
    for name, letter in reversed(list(zip(epilogue.index, contraction.out, strict=True))):
        nest = (For(name, size(0), size(sizes[letter]), nest, mode=mode),)
        mode = "parallel"
    return replace(call, epilogue=None), nest[0]


@dataclass(frozen=True, slots=True)
class Finish:
    """An epilogue in terms of views: the values that are stored, from elements of views and from scalars.

    In ``values`` the variable ``the element`` is the contraction's, ``load 0`` and so on are the elements of ``loads``,
    ``scalar 0`` and so on the ``scalars``. A view's strides are by the letters of the result.
    """

    loads: tuple[View, ...]
    scalars: tuple[Expression, ...]
    stores: tuple[View, ...]
    values: tuple[Expression, ...]


def finish_of(call: Call, buffers: Mapping[str, Buffer]) -> Finish | None:
    """The epilogue of a contraction in terms of views of ``buffers``.

    None where it names another buffer, an index is not linear in the letters, or a letter is used as a number.
    """
    contraction, epilogue = call.callee, call.epilogue
    assert isinstance(contraction, Contraction), "only a contraction has an epilogue"
    assert epilogue is not None, "there is nothing to look at"
    element = variable(epilogue.element, contraction.dtype)
    known: dict[Expression, Expression] = {element: variable("the element", element.dtype)}
    loads: dict[View, Expression] = {}
    stores: list[View] = []
    values: list[Expression] = []
    for statement in epilogue.body:
        for part in walk(statement.value):
            if isinstance(part, Load) and part not in known:
                view = _view(part.buffer, part.index, epilogue.index, buffers)
                if view is None:
                    return None
                known[part] = loads.setdefault(view, variable(f"load {len(loads)}", part.dtype))
        value = rewrite(statement.value, dict(known))
        if isinstance(statement, Let):
            known[variable(statement.name, value.dtype)] = value
            continue
        written = _view(statement.buffer, statement.index, epilogue.index, buffers)
        if written is None:
            return None
        stores.append(written)
        values.append(value)
    own = {known[element], *loads.values()}
    scalars = [part for part in walk(*values) if isinstance(part, Variable) and part not in own]
    if any(part.name in epilogue.index for part in scalars):
        return None
    named: dict[Expression, Expression] = {
        part: variable(f"scalar {position}", part.dtype) for position, part in enumerate(scalars)
    }
    final = tuple(rewrite(value, dict(named)) for value in values)
    return Finish(tuple(loads), tuple(scalars), tuple(stores), final)


def _view(
    name: str, index: tuple[Expression, ...], letters: tuple[str, ...], buffers: Mapping[str, Buffer]
) -> View | None:
    """The elements at an index for all letters; None where it is not linear in them."""
    if name not in buffers:
        return None
    shape = buffers[name].shape
    steps = contiguous_strides(shape) if len(index) == len(shape) else (1,)
    strides = dict.fromkeys(letters, 0)
    offset: Expression = size(0)
    for position, step in zip(index, steps, strict=True):
        for term, factor in linear_terms(position):
            if not isinstance(step, int):
                return None
            if isinstance(term, Variable) and term.name in strides:
                strides[term.name] += factor * step
            elif any(isinstance(part, Variable) and part.name in strides for part in walk(term)):
                return None
            else:
                offset = b.add(offset, b.mul(term, factor * step))
    return View(name, tuple(strides.values()), offset)


def linear_terms(index: Expression, factor: int = 1) -> Iterator[tuple[Expression, int]]:
    """An index as a sum of terms, each with its factor."""
    match index:
        case Apply(primitive="add", arguments=(left, right)):
            yield from linear_terms(left, factor)
            yield from linear_terms(right, factor)
        case Apply(primitive="sub", arguments=(left, right)):
            yield from linear_terms(left, factor)
            yield from linear_terms(right, -factor)
        case Apply(primitive="mul", arguments=(left, Constant(value=value))):
            yield from linear_terms(left, factor * int(value))
        case _:
            yield index, factor

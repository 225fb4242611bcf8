"""One rule of a derivative made of the other: a map that is linear in a tangent is transposed by its own adjoint."""

from __future__ import annotations

from collections.abc import Sequence

from gradc.errors import DerivativeError
from gradc.ir.aval import Aval
from gradc.ir.graph import Builder, Graph, Value
from gradc.transforms.adjoint import adjoint


class Sides:
    """The operands and results of a function, and which of them are of floating point."""

    def __init__(self, body: Graph) -> None:
        self.operands = body.input_avals
        self.results = body.output_avals
        self.places = tuple([k for k, aval in enumerate(self.operands) if aval.is_float])
        self.moved = tuple([k for k, aval in enumerate(self.results) if aval.is_float])

    def primals(self, builder: Builder) -> list[Value]:
        """Inputs for the results and the operands."""
        avals = [*self.results, *self.operands]
        return [builder.input(f"primal {k}", aval) for k, aval in enumerate(avals)]

    def pullbacks(self, rule: Graph, positions: Sequence[int]) -> tuple[Graph | None, ...]:
        """The pullbacks of the single results, of a rule for all: from cotangents, results and operands to the
        cotangents of the operands at ``positions``."""
        made: list[Graph | None] = []
        for k, aval in enumerate(self.results):
            if k not in self.moved:
                made.append(None)
                continue
            builder = Builder()
            ct = builder.input("ct", aval)
            cts = [ct if j == k else builder.full(0, self.results[j]) for j in self.moved]
            found = rule.replay(builder, [*cts, *self.primals(builder)])
            by_place = dict(zip(positions, found, strict=True))
            made.append(builder.freeze([by_place.get(p) or builder.full(0, self.operands[p]) for p in self.places]))
        return tuple(made)


def pushforward_of(pullbacks: Sequence[Graph | None], sides: Sides) -> Graph:
    """The pushforward that the pullbacks are the transposes of."""
    builder = Builder()
    tangents = [builder.input(f"t {p}", sides.operands[p]) for p in sides.places]
    primals = sides.primals(builder)
    pushed = []
    for pullback, aval in zip(pullbacks, sides.results, strict=True):
        if pullback is None:
            pushed.append(builder.full(0, aval))
            continue
        ct = _unknown(builder, aval)
        (found,) = adjoint(builder, pullback.replay(builder, [ct, *primals]), tangents, [ct])
        pushed.append(_known(builder, found, [ct], aval, "vjp"))
    return builder.freeze(pushed)


def pullbacks_of(pushforward: Graph, sides: Sides) -> tuple[Graph | None, ...]:
    """The pullbacks that are the transposes of a pushforward."""
    made: list[Graph | None] = []
    for k, aval in enumerate(sides.results):
        if k not in sides.moved:
            made.append(None)
            continue
        builder = Builder()
        ct = builder.input("ct", aval)
        primals = sides.primals(builder)
        tangents = [_unknown(builder, sides.operands[p]) for p in sides.places]
        pushed = pushforward.replay(builder, [*tangents, *primals])[k]
        found = adjoint(builder, [pushed], [ct], tangents)
        avals = [sides.operands[p] for p in sides.places]
        made.append(builder.freeze([_known(builder, x, tangents, a, "jvp") for x, a in zip(found, avals, strict=True)]))
    return tuple(made)


def _unknown(builder: Builder, aval: Aval) -> Value:
    """A value that stands for any, and that no result may need in the end."""
    value = builder.input("any", aval)
    builder.inputs.pop()
    return value


def _known(builder: Builder, found: Value | None, unknown: Sequence[Value], aval: Aval, rule: str) -> Value:
    """What was found, 0 where there is nothing. Raises DerivativeError where it depends on what is not known."""
    if found is None:
        return builder.full(0, aval)
    needed = {found.id}
    for node in reversed(builder.nodes[: found.id + 1]):
        if node.id in needed:
            needed.update(node.operands)
    if any(x.id in needed for x in unknown):
        raise DerivativeError(f"the {rule} rule is not linear in its first argument; give both rules")
    return found

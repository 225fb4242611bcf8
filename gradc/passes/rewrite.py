"""Rule sets: laws tried on every node before it is made.

Because a node is rewritten while it is built, and what a law gives is built the same way, operands are always in
normal form and one pass over a graph is the fixpoint: no law looks at the users of a node. A set ends because each
of its laws lowers the measure that is written at the head of its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gradc.errors import GradcError
from gradc.ir.graph import Builder, Fired, Value
from gradc.ir.op import Op
from gradc.passes.pattern import (
    ANY,
    Apply,
    Match,
    Pattern,
    build,
    described,
    formula,
    kind,
    kind_of_pattern,
    match_operands,
    variables_of,
    variants,
)

Attempt = Callable[[Builder, Op, tuple[int, ...], dict[str, Any]], Value | None]
"""Tries a law on a node about to be made: the value that stands for it, or None."""

Condition = Callable[[Builder, Match], bool]

_KINDS_SEEN = 3
"""How many operands the dispatch looks at; an attempt checks the others itself."""


REAL: Final = "fiub"
"""The kinds of dtype that are not complex."""


@dataclass(frozen=True, eq=False)
class Law:
    """One directed equality.

    name       as it stands in logs, explain and the comments of generated code
    statement  the equality as text
    root       name of the op at its left, or ANY
    kinds      for each of the first operands the kinds it may have (see ``pattern.kind``), or None for all
    attempt    tries it
    logged     whether a firing is worth telling the user
    dtypes     the kinds of dtype its first operand may have
    """

    name: str
    statement: str
    root: str
    kinds: tuple[frozenset[str] | None, ...]
    attempt: Attempt
    logged: bool = False
    dtypes: str = "fciub"

    def may_apply(self, op: str, dtype: str, kinds: tuple[str, ...]) -> bool:
        """Whether op, dtype and operand kinds allow the law."""
        if self.root not in (ANY, op) or dtype not in self.dtypes:
            return False
        return all(allowed is None or k in allowed for allowed, k in zip(self.kinds, kinds, strict=False))


def equality(
    name: str, left: Pattern, right: Pattern, *, when: Condition | None = None, where: str = "", logged: bool = False
) -> tuple[Law, ...]:
    """The law ``left -> right``, as one Law for each order of commutative operands.

    A NaN in a leaf must survive: every variable of the left stands in the right, or ``when`` asks that the leaves of
    those that do not stand there reach the right all the same; ``where`` says it in words. Raises GradcError otherwise.
    """
    missing = variables_of(left) - variables_of(right)
    if missing and when is None:
        raise GradcError(f"the law {name} drops {', '.join(sorted(missing))} without a condition on its leaves")
    if not isinstance(left, Apply):
        raise GradcError(f"the left side of the law {name} is not an operation")
    statement = f"{left} -> {right}{f' where {where}' if where else ''}"
    laws = []
    for variant in variants(left):
        assert isinstance(variant, Apply)
        kinds = tuple(None if k == ANY else frozenset([k]) for k in map(kind_of_pattern, variant.operands))
        laws.append(Law(name, statement, variant.op, kinds, _attempt(variant, right, when), logged))
    return tuple(laws)


def only_for(dtypes: str, *tables: Iterable[Law]) -> tuple[Law, ...]:
    """The laws of the tables, for operands of these kinds of dtype alone."""
    return tuple(replace(law, dtypes=dtypes) for table in tables for law in table)


def _attempt(left: Apply, right: Pattern, when: Condition | None) -> Attempt:
    def attempt(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        found: Match = {}
        if not match_operands(builder, left, ids, found) or (when is not None and not when(builder, found)):
            return None
        return build(builder, right, found)

    return attempt


def procedure(
    name: str, statement: str, roots: str, *kinds: str, logged: bool = False
) -> Callable[[Attempt], tuple[Law, ...]]:
    """Makes laws of a function: for what a pattern cannot say. ``roots`` and each of ``kinds`` list names."""
    allowed = tuple(None if k == ANY else frozenset(k.split()) for k in kinds)

    def made(attempt: Attempt) -> tuple[Law, ...]:
        return tuple(Law(name, statement, root, allowed, attempt, logged) for root in roots.split())

    return made


class Rules:
    """A set of laws, tried in order; a Rewrite for a Builder."""

    def __init__(self, *tables: Iterable[Law]) -> None:
        self.laws: tuple[Law, ...] = tuple(law for table in tables for law in table)
        self._of_op: dict[str, tuple[Law, ...]] = {}
        self._candidates: dict[tuple[str, ...], tuple[Law, ...]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the laws, each once, in order."""
        return tuple(dict.fromkeys(law.name for law in self.laws))

    def __call__(self, builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        """What stands for the node, or None where it is in normal form."""
        dtype = builder.nodes[ids[0]].aval.dtype.kind if ids else ""
        key = (op.name, dtype, *[kind(builder, i) for i in ids[:_KINDS_SEEN]])
        candidates = self._candidates.get(key)
        if candidates is None:
            candidates = tuple(law for law in self._laws_of(op.name) if law.may_apply(op.name, dtype, key[2:]))
            self._candidates[key] = candidates
        earlier = len(builder.fired)
        for law in candidates:
            value = law.attempt(builder, op, ids, params)
            if value is not None:
                _check(builder, law, op, ids, params, value)
                if law.logged:
                    builder.fired.insert(earlier, _firing(builder, law, op, ids, params, value))
                return value
        return None

    def _laws_of(self, op: str) -> tuple[Law, ...]:
        """The laws whose left side may have the op as its root, in order."""
        if op not in self._of_op:
            self._of_op[op] = tuple(law for law in self.laws if law.root in (ANY, op))
        return self._of_op[op]


def _check(builder: Builder, law: Law, op: Op, ids: Sequence[int], params: dict[str, Any], value: Value) -> None:
    expected = op.infer(*[builder.nodes[i].aval for i in ids], **params)
    if value.aval.shape != expected.shape or value.aval.dtype != expected.dtype:
        raise GradcError(f"the law {law.name} ({law.statement}) gives {value.aval} for {expected}")


def _firing(builder: Builder, law: Law, op: Op, ids: tuple[int, ...], params: dict[str, Any], value: Value) -> Fired:
    """The entry of the log; it stands before those of the laws that what it gives met in turn."""
    before, after = described(builder, op, ids, params), formula(builder, value.id)
    return Fired(law.name, before, after, builder.origin, value.id)


_REACH_LIMIT = 1000
"""How many nodes a question about leaves may look at; beyond it the answer is no, and the law does not fire."""

_STOPS_NAN = frozenset({"sign", "select", "eq", "ne", "lt", "le", "gt", "ge", "isfinite", "isnan", "convert", "pow"})
"""Elementwise ops whose result may be a number though an operand is NaN."""


def leaves_reach(builder: Builder, source: int, target: int) -> bool:
    """Whether every NaN that makes an element of ``source`` NaN also makes the same element of ``target`` NaN.

    Asked element by element: only elementwise ops are looked through, so every path down from ``source`` must end
    in a constant or in a value that ``target`` is computed of by elementwise arithmetic.
    """
    nodes = builder.nodes

    def looks_through(node_id: int) -> bool:
        op = nodes[node_id].op
        return op.elementwise and op.name not in _STOPS_NAN

    reached = _cone(builder, target, looks_through, frozenset())
    if reached is None:
        return False
    below = _cone(builder, source, lambda i: nodes[i].op.elementwise, reached)
    if below is None:
        return False
    ends = (i for i in below - reached if not nodes[i].op.elementwise)
    return all(builder.is_constant(Value(builder, i)) for i in ends)


def _cone(
    builder: Builder, top: int, looks_through: Callable[[int], bool], stop: frozenset[int]
) -> frozenset[int] | None:
    """The nodes met going down from ``top``, not below those of ``stop``; None where they are too many."""
    seen, stack = {top}, [top]
    while stack:
        node_id = stack.pop()
        if node_id in stop or not looks_through(node_id):
            continue
        for operand in builder.nodes[node_id].operands:
            if operand not in seen:
                if len(seen) >= _REACH_LIMIT:
                    return None
                seen.add(operand)
                stack.append(operand)
    return frozenset(seen)

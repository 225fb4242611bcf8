"""What an operation is: one record with everything the house needs to know about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradc.errors import GradcError
from gradc.ir.aval import Aval, Dim

if TYPE_CHECKING:
    from gradc.ir.graph import Value

REGISTRY: Final[dict[str, Op]] = {}
"""Every op by name, in order of definition."""


@dataclass(frozen=True)
class Cost:
    """What one application takes: floating-point operations, and bytes read and written."""

    flops: Dim
    bytes: Dim


@dataclass(frozen=True, slots=True)
class Context:
    """What the rule of a partial derivative may look at.

    ``operands`` and ``result`` are the primal values, ``params`` the static keywords. ``active[k]`` says whether the
    result is differentiated by operand k, ``constant[k]`` whether operand k depends on no input of the graph (the
    criterion for ties, see docs/derivatives.md).
    """

    operands: tuple[Value, ...]
    result: Value
    params: dict[str, Any]
    active: tuple[bool, ...]
    constant: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class VjpContext(Context):
    """What a vjp rule may look at: ``ct`` is the cotangent of the result."""

    ct: Value


@dataclass(frozen=True, slots=True)
class JvpContext(Context):
    """What a jvp rule may look at: ``tangents[k]`` is that of operand k, None where it is 0."""

    tangents: tuple[Value | None, ...]


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What a batching rule may look at: an op that is applied many times at once.

    ``operands`` have axes of the sizes ``lead`` in front where ``batched`` says so; ``avals`` and ``result`` are those
    of a single application, and ``params`` its keywords.
    """

    operands: tuple[Value, ...]
    batched: tuple[bool, ...]
    lead: tuple[Dim, ...]
    avals: tuple[Aval, ...]
    result: Aval
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RealLinear:
    """A partial derivative that is linear over the reals alone: the op is not holomorphic.

    ``forward`` makes the tangent of the result of that of the operand; ``back`` is its transpose, for the pairing
    ``Re(cotangent * tangent)`` (docs/complex.md).
    """

    forward: Callable[[Value], Value]
    back: Callable[[Value], Value]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a rule gives of a cotangent or a tangent where the op takes some elements and leaves others.

    ``value`` is an exact 0 where ``mask`` is False, and stays one through every partial derivative. A ``strict`` mask
    holds in contractions too, at the price of a select for each product. One that is not ends there, so that the
    gradients of networks of ``maximum`` are products of plain matrices: a weight that is infinite is not left out.
    """

    value: Value
    mask: Value
    strict: bool


Vjp = Callable[[VjpContext], Sequence["Value | Taken | None"]]
Jvp = Callable[[JvpContext], "Value | None"]


@dataclass(frozen=True, eq=False)
class Op:
    """An operation. Adding one is one record here and one row in the systematic test.

    name        unique; the word in printed graphs
    infer       ``infer(*avals, **params) -> Aval``: the shape and dtype rule; raises ShapeError, DtypeError
    evaluate    ``evaluate(*arrays, **params) -> array``: NumPy's meaning, the oracle and the folder of constants
    numpy       the NumPy expression, ``"np.exp({0})"``, or ``numpy(node, *avals) -> str`` that makes it. Placeholders
                ``{0}``, ``{1}`` are operands; a helper of ``templates/numpy/helpers/`` is named ``_name(...)``
    loops       how one element is computed. Elementwise ops: ``loops(b, *scalars, **params) -> expression``, by default
                the method of ``b`` (``loops.language.builder``) that has the op's name. Ops that only move elements:
                ``loops(index, aval, **params) -> index``, where in the operand (of ``aval``) the element ``index`` of
                the result is found; an index is a tuple that takes integer arithmetic. None for the rest, which
                ``gradc.loops`` lowers by name
    partials    elementwise ops: the partial derivatives, ``partials(context) -> [d0, d1, ...]``, each a Value, None
                (zero), the literal 1 or -1 (no multiply), a function of the cotangent or tangent that may give a
                Taken, or a RealLinear
    vjp         other ops: ``vjp(context) -> [ct0, ct1, ...]``, each a Value, a Taken, or None where there is none
    linear      the result is linear in all operands of floating point together, so that the op is its own jvp, and the
                vjp rule also carries masks
    jvp         other ops: ``jvp(context) -> tangent``, None where it is 0; an op without it has its vjp transposed
    live        other ops with a mask: ``live(mask, context) -> [mask0, ...]``: which elements of each operand a live
                element of the result depends upon
    reach       forward the same: ``reach(mask, k, context) -> mask``: which elements of the result depend upon a live
                element of operand k; by default all
    batch       other ops: ``batch(context) -> value``: the results of all applications, with the batch axes in front
    flops       ``flops(result, *avals, **params)``; by default the size of the result for elementwise ops, else 0
    latex       the formula, ``r"\\exp\\left({0}\\right)"``; empty where it is never shown
    text        the formula as explain prints it, ``"exp({0})"``; by default the ``numpy`` text without ``np.``; like
                ``latex`` it may be a function of the params that gives it
    elementwise one result element for each element of operands of one shape
    commutative the first two operands may be exchanged
    captures    the functions outside that mean this op, as ``"module:attribute"``, never imported by us
    """

    name: str
    infer: Callable[..., Aval]
    evaluate: Callable[..., Any]
    numpy: str | Callable[..., str] = ""
    loops: Callable[..., Any] | None = None
    partials: Callable[[Context], Sequence[Any]] | None = None
    vjp: Vjp | None = None
    linear: bool = False
    jvp: Jvp | None = None
    live: Callable[[Value, VjpContext], Sequence[Value | None]] | None = None
    reach: Callable[[Value, int, JvpContext], Value] | None = None
    batch: Callable[[BatchContext], Value] | None = None
    flops: Callable[..., Dim] | None = None
    latex: str | Callable[[dict[str, Any]], str] = ""
    text: str | Callable[[dict[str, Any]], str] = ""
    elementwise: bool = False
    commutative: bool = False
    captures: tuple[str, ...] = field(default=())

    def __call__(self, *operands: Value, **params: Any) -> Value:
        """Apply the op to values of one builder; at least one operand is a Value."""
        return operands[0].builder.apply(self, *operands, **params)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def cost(self, result: Aval, *avals: Aval, **params: Any) -> Cost:
        """Flops and bytes of one application, as a function of the avals."""
        if self.flops is not None:
            flops = self.flops(result, *avals, **params)
        else:
            flops = result.size if self.elementwise else 0
        traffic = result.size * result.dtype.itemsize
        for operand in avals:
            traffic = traffic + operand.size * operand.dtype.itemsize
        return Cost(flops, traffic)


def register(op: Op) -> Op:
    """Enter an op into the registry. Raises GradcError when the name is taken."""
    if op.name in REGISTRY:
        raise GradcError(f"an op named {op.name!r} is registered already")
    REGISTRY[op.name] = op
    return op

"""A graph of complex numbers as one of real numbers: each complex value is a pair of its parts.

Loops compute in real numbers. A complex input is an array of its parts, the last axis of 2: the same memory read in
another way, as NumPy lays complex numbers out. So are complex results.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from gradc.errors import CompileError
from gradc.ir.aval import Aval, SymbolicDim
from gradc.ir.graph import CONSTANT, INPUT, Builder, Graph, Node, Value
from gradc.ir.op import Op
from gradc.ops import elementwise as ops
from gradc.ops.complex import complex_dtype, real_dtype
from gradc.ops.contraction import contract, masked_contract
from gradc.ops.general_spectra import general_eigenvalues
from gradc.ops.shape import concatenate, reshape, slice_
from gradc.passes import (
    complex_elimination,
    complex_factors,
    complex_matrices,
    complex_recurrences,
    complex_triangles,
)
from gradc.passes import complex_functions as functions
from gradc.passes import complex_inverses as inverses
from gradc.passes.complex_fourier import transform
from gradc.passes.complex_functions import Pair, number, product
from gradc.passes.complex_recurrences import taken
from gradc.passes.complex_spectra import values_of, vectors_of
from gradc.passes.pipeline import rewrite_of_parts


def has_complex(graph: Graph) -> bool:
    """Whether any value is complex, in the graphs that ops hold too."""
    return any(
        node.aval.dtype.kind == "c" or any(isinstance(x, Graph) and has_complex(x) for x in node.params.values())
        for node in graph.nodes
    )


def split_complex(graph: Graph) -> Graph:
    """The graph in real numbers; the graph itself where nothing is complex.

    An input or output ``c128[n]`` becomes ``f64[n,2]``. Raises CompileError for an op that has no form in parts.
    """
    if not has_complex(graph):
        return graph
    builder = Builder(rewrite_of_parts())
    inputs = [builder.input(graph.nodes[i].params["name"], _stored(graph.nodes[i].aval)) for i in graph.inputs]
    image: list[Value | Pair] = []
    given = iter(inputs)
    for node in graph.nodes:
        builder.origin = graph.origins.get(node.id, ())
        if node.op is INPUT:
            value = next(given)
            made: Value | Pair = _parts(value) if node.aval.dtype.kind == "c" else value
        else:
            made = _split(builder, graph, node, [image[i] for i in node.operands])
        image.append(made)
        _name(builder, made, graph.names.get(node.id))
    builder.origin = ()
    outputs = [x if isinstance(x, Value) else _joined(x) for x in (image[i] for i in graph.outputs)]
    return builder.freeze(outputs, graph.output_names)


def _stored(aval: Aval) -> Aval:
    if aval.dtype.kind != "c":
        return aval
    return Aval((*aval.shape, 2), real_dtype(aval.dtype))


def _parts(stored: Value) -> Pair:
    shape = stored.aval.shape[:-1]
    steps = (1,) * (len(shape) + 1)
    columns = [slice_(stored, starts=(0,) * len(shape) + (k,), sizes=(*shape, 1), steps=steps) for k in (0, 1)]
    return Pair(*[reshape(column, shape=shape) for column in columns])


def _joined(x: Pair) -> Value:
    shape = (*x.re.aval.shape, 1)
    return concatenate(*[reshape(part, shape=shape) for part in x], axis=len(shape) - 1)


def _name(builder: Builder, made: Value | Pair, name: str | None) -> None:
    if name is None:
        return
    if isinstance(made, Value):
        builder.name(made, name)
        return
    builder.name(made.re, f"{name}_re")
    builder.name(made.im, f"{name}_im")


def _split(builder: Builder, graph: Graph, node: Node, operands: list[Value | Pair]) -> Value | Pair:
    is_complex = node.aval.dtype.kind == "c"
    if node.op is CONSTANT and is_complex:
        value = node.params["value"]
        return Pair(builder.constant(value.real), builder.constant(value.imag))
    if not is_complex and all(isinstance(x, Value) for x in operands):
        return builder.apply(node.op, *[x for x in operands if isinstance(x, Value)], **node.params)
    rule: Rule = _RULES.get(node.op.name, _refused)
    if node.op is general_eigenvalues:
        rule = partial(values_of, graph)
    try:
        return rule(node, *operands)
    except CompileError as error:
        origins = graph.origins.get(node.id, ())
        if not origins:
            raise
        raise CompileError(str(error), line=f"{origins[0]}: {origins[0].text}") from None


def _refused(node: Node, *operands: Value | Pair) -> Pair:
    raise CompileError(
        f"{node.op.name}: complex numbers are not compiled to loops ({node.aval}); choose backend='numpy'"
    )


Rule = Callable[..., "Value | Pair"]


def _in_each_part(node: Node, *operands: Value | Pair) -> Pair:
    """The op on the real parts, and on the imaginary parts; indices and masks are the same for both."""

    def of(k: int) -> Value:
        return node.op(*[x[k] if isinstance(x, Pair) else x for x in operands], **node.params)

    return Pair(of(0), of(1))


def _function(function: Callable[..., Value | Pair]) -> Rule:
    return lambda node, *operands: function(*operands)


def _convert(node: Node, x: Value | Pair) -> Pair:
    dtype = real_dtype(node.params["dtype"])
    if isinstance(x, Pair):
        return Pair(*[ops.convert(part, dtype=dtype) for part in x])
    re = ops.convert(x, dtype=dtype)
    return Pair(re, number(re, 0.0))


def _equal(x: Pair, y: Pair) -> Value:
    return ops.logical_and(ops.equal(x.re, y.re), ops.equal(x.im, y.im))


def _contract(op: Op) -> Rule:
    """A contraction is linear in each operand: four of real parts. A mask is an operand between both."""

    def rule(node: Node, x: Pair, *rest: Any) -> Pair:
        *mask, y = rest

        def of(a: Value, b: Value) -> Value:
            return op(a, *mask, b, **node.params)

        return Pair(of(x.re, y.re) - of(x.im, y.im), of(x.re, y.im) + of(x.im, y.re))

    return rule


def _reduce_prod(node: Node, x: Pair) -> Pair:
    """A tree of products: the first half of the elements times the second, and again."""
    axes, shape = node.params["axes"], x.re.aval.shape
    for axis in axes:
        if isinstance(shape[axis], SymbolicDim):
            complete = x.re.aval.with_dtype(complex_dtype(x.re.aval.dtype))
            raise CompileError(
                f"reduce_prod: the length {shape[axis]} of a product of {complete} is symbolic; "
                "compile with a fixed one, or choose backend='numpy'"
            )
    for axis in axes:
        while (length := int(x.re.aval.shape[axis])) > 1:
            half = length // 2
            first, second = (taken(x, axis, start, half) for start in (0, half))
            paired = product(first, second)
            if length % 2:
                paired = Pair(*map(_appended(axis), paired, taken(x, axis, length - 1, 1)))
            x = paired
        if length == 0:
            full = tuple(1 if k == axis else d for k, d in enumerate(x.re.aval.shape))
            x = Pair(*[x.re.builder.full(n, x.re.aval.with_shape(full)) for n in (1.0, 0.0)])
    return Pair(*[reshape(part, shape=node.aval.shape) for part in x])


def _appended(axis: int) -> Callable[[Value, Value], Value]:
    return lambda part, last: concatenate(part, last, axis=axis)


_MOVING: Final = (
    "add", "sub", "neg", "select", "broadcast_to", "reshape", "transpose", "slice", "update_slice", "concatenate",
    "gather", "scatter", "reduce_sum", "cumsum", "stop_gradient", "recompute",
)  # fmt: skip
"""Ops that are linear with real coefficients."""

_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_MOVING, _in_each_part),
    "mul": _function(product),
    "div": _function(functions.quotient),
    "pow": _function(functions.power),
    "exp": _function(functions.exponential),
    "log": _function(functions.logarithm),
    "sqrt": _function(functions.square_root),
    "sin": _function(functions.sine),
    "cos": _function(functions.cosine),
    "tan": _function(functions.tangent),
    "sinh": _function(functions.hyperbolic_sine),
    "cosh": _function(functions.hyperbolic_cosine),
    "tanh": _function(functions.hyperbolic_tangent),
    "arcsin": _function(inverses.arcsine),
    "arccos": _function(inverses.arccosine),
    "arctan": _function(inverses.arctangent),
    "arcsinh": _function(inverses.hyperbolic_arcsine),
    "arccosh": _function(inverses.hyperbolic_arccosine),
    "arctanh": _function(inverses.hyperbolic_arctangent),
    "expm1": _function(functions.exponential_less_one),
    "log1p": _function(functions.logarithm_of_one_more),
    "exp2": _function(functions.exponential_of_two),
    "log2": _function(lambda z: functions.logarithm_to(2, z)),
    "log10": _function(lambda z: functions.logarithm_to(10, z)),
    "abs": _function(functions.magnitude),
    "real": _function(lambda z: z.re),
    "imag": _function(lambda z: z.im),
    "conj": _function(lambda z: Pair(z.re, -z.im)),
    "complex": _function(Pair),
    "convert": _convert,
    "eq": _function(_equal),
    "ne": _function(lambda x, y: ops.logical_not(_equal(x, y))),
    "isfinite": _function(lambda z: ops.logical_and(*map(ops.isfinite, z))),
    "isnan": _function(lambda z: ops.logical_or(*map(ops.isnan, z))),
    "fft": transform,
    "contract": _contract(contract),
    "masked_contract": _contract(masked_contract),
    "reduce_prod": _reduce_prod,
    "cumprod": complex_recurrences.cumprod,
    "recurrence": complex_recurrences.recurrence,
    "solve": complex_matrices.solve,
    "triangular_solve": complex_matrices.triangular_solve,
    "inverse": complex_matrices.inverse,
    "cholesky": complex_matrices.cholesky,
    "general_eigenvectors": vectors_of,
    **complex_factors.RULES,
    **complex_elimination.RULES,
    **complex_triangles.RULES,
}

"""The one table from scalar primitives to IR.

An entry is an instruction template or a function of the writer. ``{t}`` is the operands' type, ``{s}`` its suffix,
``{0}`` and ``{1}`` are operands. Another way to compute a function is a new entry here and nothing else; exp and its
like are in ``gradc.backends.llvm.math``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gradc.backends.llvm import helpers
from gradc.backends.llvm.types import Kind, Packed, mask_type, scalar_type, suffix
from gradc.backends.llvm.writer import Writer
from gradc.loops.expressions import FUNCTIONS, FUNCTIONS_OF_TWO

Emitter = Callable[[Writer, Kind, tuple[str, ...]], str]


VECTORS: Final = frozenset((
    "add", "sub", "mul", "div", "fma", "neg", "abs", "sqrt", "floor", "minimum", "maximum", "isnan", "select",
    "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor",
    "exp", "log", "log1p", "expm1", "tanh", "erf",
))  # fmt: skip
"""The primitives on floats and masks that vectors may be given to as well; constants among them as ``splat (...)``."""


def emit_primitive(writer: Writer, name: str, source: Kind, result: Kind, operands: tuple[str, ...]) -> str:
    """Emit one primitive on operands of dtype ``source`` (of a select: of its arms); the name of the result."""
    if name == "convert":
        assert isinstance(source, np.dtype), "vectors are not converted"
        assert isinstance(result, np.dtype), "vectors are not converted"
        return _convert(writer, source, result, operands[0])
    if name == "select":
        mask, left, right = operands
        t = scalar_type(result)
        return writer.value(f"select {mask_type(result)} {mask}, {t} {left}, {t} {right}")
    entry = _TABLE[name, _KIND[source.kind]]
    if callable(entry):
        return entry(writer, source, operands)
    return writer.value(entry.format(*operands, t=scalar_type(source), s=suffix(source)))


_KIND: Final = {"f": "f", "i": "i", "u": "u", "b": "b"}


def _intrinsic(name: str, count: int = 1) -> Emitter:
    """A call of an LLVM intrinsic."""

    def emit(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
        t = scalar_type(dtype)
        symbol = f"@llvm.{name}.{suffix(dtype)}"
        writer.module.declare(f"declare {t} {symbol}({', '.join([t] * count)})")
        return writer.value(f"call {t} {symbol}({', '.join(f'{t} {o}' for o in operands)})")

    return emit


def _math(name: str) -> Emitter:
    """A call of our own function, which the module carries."""

    def emit(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
        scalar_type(dtype)
        if isinstance(dtype, Packed):
            return writer.value(writer.module.math.call_on_vectors(name, dtype.element, operands, dtype.lanes))
        return writer.value(writer.module.math.call(name, dtype, operands, in_loop=writer.block != ".entry"))

    return emit


def _float_power(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
    """A power. Few products are as exact as the function (2 ULP), and neither overflow nor vanish before the result."""
    t, (x, exponent) = scalar_type(dtype), operands
    match exponent:
        case "2.0":
            return writer.value(f"fmul {t} {x}, {x}")
        case "3.0":
            square = writer.value(f"fmul {t} {x}, {x}")
            return writer.value(f"fmul {t} {square}, {x}")
        case "-1.0":
            return writer.value(f"fdiv {t} 1.0, {x}")
        case "-2.0":
            inverse = writer.value(f"fdiv {t} 1.0, {x}")
            return writer.value(f"fdiv {t} {inverse}, {x}")
    return _math("pow")(writer, dtype, operands)


def _helper(template: str, symbol: str) -> Emitter:
    """A call of a function that the module carries."""

    def emit(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
        t, s = scalar_type(dtype), suffix(dtype)
        writer.module.carry(template.format(t=t, s=s))
        name = symbol.format(s=s)
        return writer.value(f"call {t} @{name}({', '.join(f'{t} {o}' for o in operands)})")

    return emit


def _extremum(comparison: str) -> Emitter:
    """NumPy's: the first operand where the comparison holds or it is NaN, else the second."""

    def emit(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
        t, (left, right) = scalar_type(dtype), operands
        if not right.startswith("%") and not right.startswith(("0x7FF", "0xFFF")):
            chosen = writer.value(f"fcmp u{comparison} {t} {left}, {right}")
        else:
            ordered = writer.value(f"fcmp o{comparison} {t} {left}, {right}")
            is_nan = writer.value(f"fcmp uno {t} {left}, {left}")
            chosen = writer.value(f"or {mask_type(dtype)} {ordered}, {is_nan}")
        return writer.value(f"select {mask_type(dtype)} {chosen}, {t} {left}, {t} {right}")

    return emit


def _float_sign(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
    t, x = scalar_type(dtype), operands[0]
    positive = writer.value(f"fcmp ogt {t} {x}, 0.0")
    negative = writer.value(f"fcmp olt {t} {x}, 0.0")
    is_nan = writer.value(f"fcmp uno {t} {x}, {x}")
    rest = writer.value(f"select i1 {is_nan}, {t} {x}, {t} 0.0")
    lower = writer.value(f"select i1 {negative}, {t} -1.0, {t} {rest}")
    return writer.value(f"select i1 {positive}, {t} 1.0, {t} {lower}")


def _signed_sign(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
    t, x = scalar_type(dtype), operands[0]
    positive = writer.value(f"icmp sgt {t} {x}, 0")
    negative = writer.value(f"icmp slt {t} {x}, 0")
    lower = writer.value(f"select i1 {negative}, {t} -1, {t} 0")
    return writer.value(f"select i1 {positive}, {t} 1, {t} {lower}")


def _unsigned_sign(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
    t = scalar_type(dtype)
    positive = writer.value(f"icmp ne {t} {operands[0]}, 0")
    return writer.value(f"select i1 {positive}, {t} 1, {t} 0")


def _isfinite(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
    magnitude = _intrinsic("fabs")(writer, dtype, operands)
    return writer.value(f"fcmp olt {scalar_type(dtype)} {magnitude}, 0x7FF0000000000000")


def _signed_abs(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
    t = scalar_type(dtype)
    writer.module.declare(f"declare {t} @llvm.abs.{suffix(dtype)}({t}, i1)")
    return writer.value(f"call {t} @llvm.abs.{suffix(dtype)}({t} {operands[0]}, i1 false)")


def _signed_floor_div(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
    t, (x, divisor) = scalar_type(dtype), operands
    if not divisor.isdigit() or int(divisor) == 0:
        return _helper(helpers.SIGNED_FLOOR_DIV, "gradc.floor_div.s{s}")(writer, dtype, operands)
    count = int(divisor)
    if count & (count - 1) == 0:
        return writer.value(f"ashr {t} {x}, {count.bit_length() - 1}")
    quotient = writer.value(f"sdiv {t} {x}, {divisor}")
    remainder = writer.value(f"srem {t} {x}, {divisor}")
    negative = writer.value(f"icmp slt {t} {remainder}, 0")
    lower = writer.value(f"sub {t} {quotient}, 1")
    return writer.value(f"select i1 {negative}, {t} {lower}, {t} {quotient}")


def _signed_mod(writer: Writer, dtype: Kind, operands: tuple[str, ...]) -> str:
    t, (x, divisor) = scalar_type(dtype), operands
    if not divisor.isdigit() or int(divisor) == 0:
        return _helper(helpers.SIGNED_MOD, "gradc.mod.s{s}")(writer, dtype, operands)
    count = int(divisor)
    if count & (count - 1) == 0:
        return writer.value(f"and {t} {x}, {count - 1}")
    remainder = writer.value(f"srem {t} {x}, {divisor}")
    negative = writer.value(f"icmp slt {t} {remainder}, 0")
    upper = writer.value(f"add {t} {remainder}, {divisor}")
    return writer.value(f"select i1 {negative}, {t} {upper}, {t} {remainder}")


def _convert(writer: Writer, source: np.dtype, result: np.dtype, x: str) -> str:
    """NumPy's cast. A float beyond i64 saturates; beyond a narrower integer it wraps."""
    old, new = scalar_type(source), scalar_type(result)
    if result.kind == "b":
        zero, test = ("0.0", "fcmp une") if source.kind == "f" else ("0", "icmp ne")
        return writer.value(f"{test} {old} {x}, {zero}")
    if source.kind == "f" and result.kind == "f":
        return writer.value(f"{'fpext' if result.itemsize > source.itemsize else 'fptrunc'} {old} {x} to {new}")
    if source.kind == "f":
        which = "fptoui" if result.kind == "u" and result.itemsize == 8 else "fptosi"
        symbol = f"@llvm.{which}.sat.i64.{suffix(source)}"
        writer.module.declare(f"declare i64 {symbol}({old})")
        wide = writer.value(f"call i64 {symbol}({old} {x})")
        return wide if result.itemsize == 8 else writer.value(f"trunc i64 {wide} to {new}")
    if result.kind == "f":
        return writer.value(f"{'sitofp' if source.kind == 'i' else 'uitofp'} {old} {x} to {new}")
    if source.kind == "b":
        return writer.value(f"zext i1 {x} to {new}")
    if result.itemsize == source.itemsize:
        return x
    if result.itemsize < source.itemsize:
        return writer.value(f"trunc {old} {x} to {new}")
    return writer.value(f"{'sext' if source.kind == 'i' else 'zext'} {old} {x} to {new}")


_TABLE: Final[dict[tuple[str, str], str | Emitter]] = {
    ("add", "f"): "fadd {t} {0}, {1}",
    ("sub", "f"): "fsub {t} {0}, {1}",
    ("mul", "f"): "fmul {t} {0}, {1}",
    ("div", "f"): "fdiv {t} {0}, {1}",
    ("fma", "f"): _intrinsic("fma", 3),
    ("neg", "f"): "fneg {t} {0}",
    ("abs", "f"): _intrinsic("fabs"),
    ("sign", "f"): _float_sign,
    ("floor", "f"): _intrinsic("floor"),
    ("minimum", "f"): _extremum("le"),
    ("maximum", "f"): _extremum("ge"),
    ("floor_div", "f"): _helper(helpers.FLOAT_FLOOR_DIV, "gradc.floor_div.{s}"),
    ("mod", "f"): _helper(helpers.FLOAT_MOD, "gradc.mod.{s}"),
    ("sqrt", "f"): _intrinsic("sqrt"),
    ("pow", "f"): _float_power,
    **{(name, "f"): _math(name) for name in (*FUNCTIONS, *FUNCTIONS_OF_TWO)},
    ("isnan", "f"): "fcmp uno {t} {0}, {0}",
    ("isfinite", "f"): _isfinite,
    ("eq", "f"): "fcmp oeq {t} {0}, {1}",
    ("ne", "f"): "fcmp une {t} {0}, {1}",
    ("lt", "f"): "fcmp olt {t} {0}, {1}",
    ("le", "f"): "fcmp ole {t} {0}, {1}",
    ("gt", "f"): "fcmp ogt {t} {0}, {1}",
    ("ge", "f"): "fcmp oge {t} {0}, {1}",
    **{
        (name, kind): text
        for kind in "iu"
        for name, text in {
            "add": "add {t} {0}, {1}",
            "sub": "sub {t} {0}, {1}",
            "mul": "mul {t} {0}, {1}",
            "neg": "sub {t} 0, {0}",
        }.items()
    },
    **{(name, kind): f"icmp {name} {{t}} {{0}}, {{1}}" for kind in "iub" for name in ("eq", "ne")},
    **{(name, "i"): f"icmp s{name} {{t}} {{0}}, {{1}}" for name in ("lt", "le", "gt", "ge")},
    **{(name, kind): f"icmp u{name} {{t}} {{0}}, {{1}}" for kind in "ub" for name in ("lt", "le", "gt", "ge")},
    ("abs", "i"): _signed_abs,
    ("abs", "u"): lambda writer, dtype, operands: operands[0],
    ("sign", "i"): _signed_sign,
    ("sign", "u"): _unsigned_sign,
    ("minimum", "i"): _intrinsic("smin", 2),
    ("maximum", "i"): _intrinsic("smax", 2),
    ("minimum", "u"): _intrinsic("umin", 2),
    ("maximum", "u"): _intrinsic("umax", 2),
    ("floor_div", "i"): _signed_floor_div,
    ("mod", "i"): _signed_mod,
    ("floor_div", "u"): _helper(helpers.UNSIGNED_DIV, "gradc.floor_div.u{s}"),
    ("mod", "u"): _helper(helpers.UNSIGNED_MOD, "gradc.mod.u{s}"),
    ("pow", "i"): _helper(helpers.SIGNED_POW, "gradc.pow.s{s}"),
    ("pow", "u"): _helper(helpers.UNSIGNED_POW, "gradc.pow.u{s}"),
    ("add", "b"): "or {t} {0}, {1}",
    ("mul", "b"): "and {t} {0}, {1}",
    ("minimum", "b"): "and {t} {0}, {1}",
    ("maximum", "b"): "or {t} {0}, {1}",
    ("logical_and", "b"): "and {t} {0}, {1}",
    ("logical_or", "b"): "or {t} {0}, {1}",
    ("logical_xor", "b"): "xor {t} {0}, {1}",
    ("logical_not", "b"): "xor i1 {0}, true",
}

"""The one table from scalar primitives to IR.

An entry is an instruction template or a function of the writer. ``{t}`` is the operands' type, ``{0}`` and ``{1}`` are
operands. Where the writer works in lanes, types are of vectors, and a number stands in every lane; ``has_lanes`` says
which primitives can. Another way to compute a function is a new entry here and nothing else; exp and its like are in
``gradc.backends.math``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from gradc.backends.llvm import helpers
from gradc.backends.llvm.types import number, scalar_type, suffix, vector_type
from gradc.backends.llvm.writer import Writer
from gradc.loops.language.expressions import MATHEMATICS
from gradc.loops.language.program import Constant, Expression

Emitter = Callable[[Writer, np.dtype, tuple[str, ...]], str]


def emit_primitive(writer: Writer, name: str, source: np.dtype, result: np.dtype, operands: tuple[str, ...]) -> str:
    """Emit one primitive on operands of dtype ``source`` (of a select: of its arms); the name of the result."""
    if name == "convert":
        return _convert(writer, source, result, operands[0])
    if name == "select":
        mask, left, right = operands
        t, condition = writer.type(result), _lifted(writer, mask, np.dtype(bool))
        left, right = (_lifted(writer, arm, result) for arm in (left, right))
        return writer.value(f"select {writer.type(np.dtype(bool))} {condition}, {t} {left}, {t} {right}")
    entry = _TABLE[name, source.kind]
    if callable(entry):
        return entry(writer, source, operands)
    lifted = [_lifted(writer, operand, source) for operand in operands]
    zero, true = writer.number("0", source), writer.number("true", source)
    return writer.value(entry.format(*lifted, t=writer.type(source), zero=zero, true=true))


def has_lanes(name: str, source: np.dtype, operands: Sequence[Expression]) -> bool:
    """Whether a primitive can be emitted for several elements at once."""
    if name in ("floor_div", "mod") and source.kind != "f":
        by = operands[1]
        return source.kind == "i" and isinstance(by, Constant) and by.value > 0 and int(by.value).bit_count() == 1
    return name != "pow" or source.kind == "f"


def _lifted(writer: Writer, operand: str, dtype: np.dtype) -> str:
    """An operand; a number stands in every lane."""
    return operand if operand.startswith(("%", "splat")) else writer.number(operand, dtype)


def _intrinsic(name: str, count: int = 1) -> Emitter:
    """A call of an LLVM intrinsic."""

    def emit(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
        t = writer.type(dtype)
        symbol = f"@llvm.{name}.{writer.suffix(dtype)}"
        writer.module.declare(f"declare {t} {symbol}({', '.join([t] * count)})")
        arguments = ", ".join(f"{t} {_lifted(writer, operand, dtype)}" for operand in operands)
        return writer.value(f"call {t} {symbol}({arguments})")

    return emit


def _multiply_add(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    """Rounded once where the machine has the instruction; else a product and a sum, not a call of the C library."""
    name = "fma" if writer.module.target.fma else "fmuladd"
    return _intrinsic(name, 3)(writer, dtype, operands)


def _math(name: str) -> Emitter:
    """A call of our own function, which the module carries."""

    def emit(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
        scalar_type(dtype)
        lifted = [_lifted(writer, operand, dtype) for operand in operands]
        return writer.value(writer.module.math.call(name, dtype, lifted, writer.lanes))

    return emit


def _float_power(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    """A power. Few products are as exact as the function (2 ULP), and neither overflow nor vanish before the result."""
    t, (x, exponent) = writer.type(dtype), operands
    x, one = _lifted(writer, x, dtype), writer.number("1.0", dtype)
    match exponent:
        case "2.0":
            return writer.value(f"fmul {t} {x}, {x}")
        case "3.0":
            square = writer.value(f"fmul {t} {x}, {x}")
            return writer.value(f"fmul {t} {square}, {x}")
        case "-1.0":
            return writer.value(f"fdiv {t} {one}, {x}")
        case "-2.0":
            inverse = writer.value(f"fdiv {t} {one}, {x}")
            return writer.value(f"fdiv {t} {inverse}, {x}")
    return _math("pow")(writer, dtype, operands)


def _helper(template: str, symbol: str) -> Emitter:
    """A call of a function that the module carries."""

    def emit(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
        t, s = scalar_type(dtype), suffix(dtype)
        writer.module.carry(template.format(t=t, s=s))
        name = symbol.format(s=s)
        return writer.value(f"call {t} @{name}({', '.join(f'{t} {o}' for o in operands)})")

    return emit


def _extremum(comparison: str) -> Emitter:
    """NumPy's: the first operand where the comparison holds or it is NaN, else the second."""

    def emit(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
        t, mask = writer.type(dtype), writer.type(np.dtype(bool))
        never_nan = not operands[1].startswith(("%", "0x7FF", "0xFFF"))
        left, right = (_lifted(writer, operand, dtype) for operand in operands)
        if never_nan:
            chosen = writer.value(f"fcmp u{comparison} {t} {left}, {right}")
        else:
            ordered = writer.value(f"fcmp o{comparison} {t} {left}, {right}")
            is_nan = writer.value(f"fcmp uno {t} {left}, {left}")
            chosen = writer.value(f"or {mask} {ordered}, {is_nan}")
        return writer.value(f"select {mask} {chosen}, {t} {left}, {t} {right}")

    return emit


def _sign(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    """1, -1 or 0, in the operand's dtype; a NaN stays one."""
    t, mask, is_float = writer.type(dtype), writer.type(np.dtype(bool)), dtype.kind == "f"
    x = _lifted(writer, operands[0], dtype)
    one, minus_one, zero = (writer.number(f"{n}.0" if is_float else n, dtype) for n in ("1", "-1", "0"))
    rest = zero
    if is_float:
        is_nan = writer.value(f"fcmp uno {t} {x}, {x}")
        rest = writer.value(f"select {mask} {is_nan}, {t} {x}, {t} {zero}")
    compare = "fcmp o" if is_float else "icmp s" if dtype.kind == "i" else "icmp u"
    negative = writer.value(f"{compare}lt {t} {x}, {zero}")
    lower = writer.value(f"select {mask} {negative}, {t} {minus_one}, {t} {rest}")
    positive = writer.value(f"{compare}gt {t} {x}, {zero}")
    return writer.value(f"select {mask} {positive}, {t} {one}, {t} {lower}")


def _isfinite(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    magnitude = _intrinsic("fabs")(writer, dtype, operands)
    return writer.value(f"fcmp olt {writer.type(dtype)} {magnitude}, {writer.number('0x7FF0000000000000', dtype)}")


def _signed_abs(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    t, symbol = writer.type(dtype), f"@llvm.abs.{writer.suffix(dtype)}"
    writer.module.declare(f"declare {t} {symbol}({t}, i1)")
    return writer.value(f"call {t} {symbol}({t} {_lifted(writer, operands[0], dtype)}, i1 false)")


def _remainder(writer: Writer, dtype: np.dtype, x: str, y: str) -> tuple[str, str]:
    """``fmod(x, y)``, and whether NumPy's remainder, which has the sign of y, is that plus y."""
    t, mask, zero = writer.type(dtype), writer.type(np.dtype(bool)), writer.number("0.0", dtype)
    remainder = _math("fmod")(writer, dtype, (x, y))
    nonzero = writer.value(f"fcmp une {t} {remainder}, {zero}")
    negative = writer.value(f"fcmp olt {t} {remainder}, {zero}")
    divisor_negative = writer.value(f"fcmp olt {t} {y}, {zero}")
    differs = writer.value(f"xor {mask} {negative}, {divisor_negative}")
    return remainder, writer.value(f"and {mask} {nonzero}, {differs}")


def _float_mod(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    """NumPy's ``npy_divmod``: the remainder has the sign of the divisor, and so has a 0."""
    t, mask, zero = writer.type(dtype), writer.type(np.dtype(bool)), writer.number("0.0", dtype)
    x, y = (_lifted(writer, operand, dtype) for operand in operands)
    remainder, moves = _remainder(writer, dtype, x, y)
    shifted = writer.value(f"fadd {t} {remainder}, {y}")
    moved = writer.value(f"select {mask} {moves}, {t} {shifted}, {t} {remainder}")
    is_zero = writer.value(f"fcmp oeq {t} {remainder}, {zero}")
    signed = _intrinsic("copysign", 2)(writer, dtype, (zero, y))
    return writer.value(f"select {mask} {is_zero}, {t} {signed}, {t} {moved}")


def _float_floor_div(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    """NumPy's ``npy_divmod``: ``(x - fmod(x, y)) / y``, less 1 where the remainder moves, to the nearest integer."""
    t, mask, zero = writer.type(dtype), writer.type(np.dtype(bool)), writer.number("0.0", dtype)
    x, y = (_lifted(writer, operand, dtype) for operand in operands)
    remainder, moves = _remainder(writer, dtype, x, y)
    ratio = writer.value(f"fdiv {t} {x}, {y}")
    difference = writer.value(f"fsub {t} {x}, {remainder}")
    quotient = writer.value(f"fdiv {t} {difference}, {y}")
    lower = writer.value(f"fsub {t} {quotient}, {writer.number('1.0', dtype)}")
    chosen = writer.value(f"select {mask} {moves}, {t} {lower}, {t} {quotient}")
    rounded = _nearest(writer, dtype, chosen)
    is_zero = writer.value(f"fcmp oeq {t} {chosen}, {zero}")
    signed = _intrinsic("copysign", 2)(writer, dtype, (zero, ratio))
    finite = writer.value(f"select {mask} {is_zero}, {t} {signed}, {t} {rounded}")
    by_zero = writer.value(f"fcmp oeq {t} {y}, {zero}")
    return writer.value(f"select {mask} {by_zero}, {t} {ratio}, {t} {finite}")


def _nearest(writer: Writer, dtype: np.dtype, x: str) -> str:
    """The integer nearest to a number, with its sign: what sums with a number of that many bits leave of it."""
    t, mask = writer.type(dtype), writer.type(np.dtype(bool))
    bound = writer.number(number(2.0 ** np.finfo(dtype).nmant, dtype), dtype)
    size = _intrinsic("fabs")(writer, dtype, (x,))
    small = writer.value(f"fcmp olt {t} {size}, {bound}")
    raised = writer.value(f"fadd {t} {size}, {bound}")
    whole = writer.value(f"fsub {t} {raised}, {bound}")
    signed = _intrinsic("copysign", 2)(writer, dtype, (whole, x))
    return writer.value(f"select {mask} {small}, {t} {signed}, {t} {x}")


def _float_floor(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    """An instruction on machines with fused multiply-adds of f64 or vectors of 256 bits; else by the next integer."""
    target = writer.module.target
    if (target.fma and target.doubles) or target.vector_bits > 128:
        return _intrinsic("floor")(writer, dtype, operands)
    t, x = writer.type(dtype), _lifted(writer, operands[0], dtype)
    nearest = _nearest(writer, dtype, x)
    above = writer.value(f"fcmp ogt {t} {nearest}, {x}")
    lower = writer.value(f"fsub {t} {nearest}, {writer.number('1.0', dtype)}")
    return writer.value(f"select {writer.type(np.dtype(bool))} {above}, {t} {lower}, {t} {nearest}")


def _signed_floor_div(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    t, (x, divisor) = writer.type(dtype), operands
    if not divisor.isdigit() or int(divisor) == 0:
        return _helper(helpers.SIGNED_FLOOR_DIV, "gradc.floor_div.s{s}")(writer, dtype, operands)
    count, x = int(divisor), _lifted(writer, x, dtype)
    if count & (count - 1) == 0:
        return writer.value(f"ashr {t} {x}, {writer.number(str(count.bit_length() - 1), dtype)}")
    quotient = writer.value(f"sdiv {t} {x}, {divisor}")
    remainder = writer.value(f"srem {t} {x}, {divisor}")
    negative = writer.value(f"icmp slt {t} {remainder}, 0")
    lower = writer.value(f"sub {t} {quotient}, 1")
    return writer.value(f"select i1 {negative}, {t} {lower}, {t} {quotient}")


def _signed_mod(writer: Writer, dtype: np.dtype, operands: tuple[str, ...]) -> str:
    t, (x, divisor) = writer.type(dtype), operands
    if not divisor.isdigit() or int(divisor) == 0:
        return _helper(helpers.SIGNED_MOD, "gradc.mod.s{s}")(writer, dtype, operands)
    count, x = int(divisor), _lifted(writer, x, dtype)
    if count & (count - 1) == 0:
        return writer.value(f"and {t} {x}, {writer.number(str(count - 1), dtype)}")
    remainder = writer.value(f"srem {t} {x}, {divisor}")
    negative = writer.value(f"icmp slt {t} {remainder}, 0")
    upper = writer.value(f"add {t} {remainder}, {divisor}")
    return writer.value(f"select i1 {negative}, {t} {upper}, {t} {remainder}")


def _convert(writer: Writer, source: np.dtype, result: np.dtype, x: str) -> str:
    """NumPy's cast. A float beyond i64 saturates; beyond a narrower integer it wraps."""
    old, new = writer.type(source), writer.type(result)
    x = _lifted(writer, x, source)
    if result.kind == "b":
        zero, test = ("0.0", "fcmp une") if source.kind == "f" else ("0", "icmp ne")
        return writer.value(f"{test} {old} {x}, {writer.number(zero, source)}")
    if source.kind == "f" and result.kind == "f":
        return writer.value(f"{'fpext' if result.itemsize > source.itemsize else 'fptrunc'} {old} {x} to {new}")
    if source.kind == "f":
        which = "fptoui" if result.kind == "u" and result.itemsize == 8 else "fptosi"
        long = vector_type("i64", writer.lanes)
        symbol = f"@llvm.{which}.sat.{'' if writer.lanes == 1 else f'v{writer.lanes}'}i64.{writer.suffix(source)}"
        writer.module.declare(f"declare {long} {symbol}({old})")
        wide = writer.value(f"call {long} {symbol}({old} {x})")
        return wide if result.itemsize == 8 else writer.value(f"trunc {long} {wide} to {new}")
    if result.kind == "f":
        return writer.value(f"{'sitofp' if source.kind == 'i' else 'uitofp'} {old} {x} to {new}")
    if source.kind == "b":
        return writer.value(f"zext {old} {x} to {new}")
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
    ("fma", "f"): _multiply_add,
    ("neg", "f"): "fneg {t} {0}",
    ("abs", "f"): _intrinsic("fabs"),
    ("sign", "f"): _sign,
    ("floor", "f"): _float_floor,
    ("minimum", "f"): _extremum("le"),
    ("maximum", "f"): _extremum("ge"),
    ("floor_div", "f"): _float_floor_div,
    ("mod", "f"): _float_mod,
    ("sqrt", "f"): _intrinsic("sqrt"),
    ("copysign", "f"): _intrinsic("copysign", 2),
    ("pow", "f"): _float_power,
    **{(name, "f"): _math(name) for name in sorted(MATHEMATICS - {"pow"})},
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
            "neg": "sub {t} {zero}, {0}",
        }.items()
    },
    **{(name, kind): f"icmp {name} {{t}} {{0}}, {{1}}" for kind in "iub" for name in ("eq", "ne")},
    **{(name, "i"): f"icmp s{name} {{t}} {{0}}, {{1}}" for name in ("lt", "le", "gt", "ge")},
    **{(name, kind): f"icmp u{name} {{t}} {{0}}, {{1}}" for kind in "ub" for name in ("lt", "le", "gt", "ge")},
    ("abs", "i"): _signed_abs,
    ("abs", "u"): lambda writer, dtype, operands: _lifted(writer, operands[0], dtype),
    ("sign", "i"): _sign,
    ("sign", "u"): _sign,
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
    **{(f"bitwise_{word}", kind): f"{word} {{t}} {{0}}, {{1}}" for word in ("and", "or", "xor") for kind in "iu"},
    ("add", "b"): "or {t} {0}, {1}",
    ("mul", "b"): "and {t} {0}, {1}",
    ("minimum", "b"): "and {t} {0}, {1}",
    ("maximum", "b"): "or {t} {0}, {1}",
    ("logical_and", "b"): "and {t} {0}, {1}",
    ("logical_or", "b"): "or {t} {0}, {1}",
    ("logical_xor", "b"): "xor {t} {0}, {1}",
    ("logical_not", "b"): "xor {t} {0}, {true}",
}

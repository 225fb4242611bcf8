"""Scalar expressions of loop programs: typed, interned, without effects.

Two expressions of the same form are the same object, so that ``is`` and ``==`` agree, a shared part is computed once,
and walking a large expression costs its distinct parts. Every expression is evaluated eagerly: both arms of a
``select`` are computed, so a load in either must lie in bounds (clamp its index, or use ``If``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import numpy as np

from gradc.errors import DtypeError
from gradc.ir.aval import SymbolicDim, short_dtype

if TYPE_CHECKING:
    from gradc.loops.language.builder import ExpressionBuilder

I64: Final[np.dtype] = np.dtype(np.int64)
BOOL: Final[np.dtype] = np.dtype(np.bool_)

Number = bool | int | float
"""A Python number; it takes the dtype of the expression that it meets."""

MOST_KEPT: Final = 64
"""An expression of at most so many parts keeps them."""

_LOCK = Lock()
_INTERNED: WeakValueDictionary[tuple[Any, ...], Expression] = WeakValueDictionary()


@dataclass(frozen=True, eq=False)
class Expression:
    """A scalar value of one dtype. Made by the builder ``b`` or the functions of this module, never directly.

    The operators ``+ - * // %`` make integer index arithmetic; the other side may be a Python int.
    """

    dtype: np.dtype

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The expressions that this one is computed from."""
        return ()

    def __add__(self, other: Expression | int) -> Expression:
        return _builder().add(self, other)

    def __radd__(self, other: int) -> Expression:
        return _builder().add(other, self)

    def __sub__(self, other: Expression | int) -> Expression:
        return _builder().sub(self, other)

    def __rsub__(self, other: int) -> Expression:
        return _builder().sub(other, self)

    def __mul__(self, other: Expression | int) -> Expression:
        return _builder().mul(self, other)

    def __rmul__(self, other: int) -> Expression:
        return _builder().mul(other, self)

    def __floordiv__(self, other: Expression | int) -> Expression:
        return _builder().floor_div(self, other)

    def __mod__(self, other: Expression | int) -> Expression:
        return _builder().mod(self, other)

    def __str__(self) -> str:
        from gradc.loops.language.text import expression_text

        return expression_text(self)


@dataclass(frozen=True, eq=False)
class Constant(Expression):
    """A number; ``value`` is a Python bool, int or float that ``dtype`` holds exactly."""

    value: Number


@dataclass(frozen=True, eq=False)
class Variable(Expression):
    """A loop variable (i64) or the name bound by a Let."""

    name: str


@dataclass(frozen=True, eq=False)
class Size(Expression):
    """A symbolic size as an i64."""

    dim: SymbolicDim


@dataclass(frozen=True, eq=False)
class Load(Expression):
    """An element of a buffer: one i64 index an axis, or a single one that counts elements row by row."""

    buffer: str
    index: tuple[Expression, ...]

    @property
    def operands(self) -> tuple[Expression, ...]:
        return self.index


@dataclass(frozen=True, eq=False)
class Apply(Expression):
    """A primitive (see ``PRIMITIVES``) applied to operands."""

    primitive: str
    arguments: tuple[Expression, ...]

    @property
    def operands(self) -> tuple[Expression, ...]:
        return self.arguments


@dataclass(frozen=True, slots=True)
class Primitive:
    """What the operands of a primitive may be: their number, their kinds, and whether the result is a bool.

    ``kinds`` holds NumPy kind letters (``f`` floats, ``i`` and ``u`` integers, ``b`` bool). The operands of a
    primitive share one dtype, which is the result's unless ``to_bool``; ``select`` and ``convert`` are special.
    """

    arity: int
    kinds: str
    to_bool: bool = False


FUNCTIONS: Final = (
    "exp", "exp_unit", "log", "log1p", "expm1", "tanh", "sin", "cos", "erf",
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "cosh", "digamma", "erfc", "exp2",
    "gammaln", "log10", "log1p_unit", "log2", "sinh", "tan",
)  # fmt: skip
"""The primitives of one number that take many operations.

``exp_unit`` is ``exp`` of numbers that are not positive, to the same bits; ``log1p_unit`` is ``log1p`` of those from 0
to 1.
"""

FUNCTIONS_OF_TWO: Final = ("arctan2", "fmod", "hypot")
"""The same of two numbers; the power, which integers have too, apart."""

EXPANSIONS: Final = {
    **dict.fromkeys(("area_series", "stirling", "log_gamma_bend"), 1),
    **dict.fromkeys(("gamma_series", "gamma_fraction", "gamma_complement", "gamma_middle"), 2),
    **dict.fromkeys(("beta_fraction", "beta_middle"), 4),
}
"""Series and continued fractions of so many numbers, parts of functions."""

MATHEMATICS: Final = frozenset((*FUNCTIONS, *FUNCTIONS_OF_TWO, *EXPANSIONS, "pow"))
"""All of them."""

PRIMITIVES: Final[dict[str, Primitive]] = {
    **dict.fromkeys(("add", "mul", "minimum", "maximum"), Primitive(2, "fiub")),
    **dict.fromkeys(("sub", "floor_div", "mod", "pow"), Primitive(2, "fiu")),
    **dict.fromkeys(("div", "copysign"), Primitive(2, "f")),
    "fma": Primitive(3, "f"),
    **dict.fromkeys(("neg", "abs", "sign"), Primitive(1, "fiu")),
    **dict.fromkeys((*FUNCTIONS, "sqrt", "floor"), Primitive(1, "f")),
    **dict.fromkeys(FUNCTIONS_OF_TWO, Primitive(2, "f")),
    **{name: Primitive(arity, "f") for name, arity in EXPANSIONS.items()},
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), Primitive(2, "fiub", True)),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), Primitive(2, "b", True)),
    "logical_not": Primitive(1, "b", True),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), Primitive(2, "iu")),
    **dict.fromkeys(("isnan", "isfinite"), Primitive(1, "f", True)),
    "select": Primitive(3, "fiub"),
    "convert": Primitive(1, "fiub"),
}  # fmt: skip
"""Every scalar primitive.

Their meaning is NumPy's: ``minimum`` and ``maximum`` propagate NaN, ``floor_div`` and ``mod`` round towards minus
infinity and give 0 for an integer divisor 0, integers wrap, arithmetic on bools is logical, and a float that an integer
type cannot hold converts to some value of that type. An integer ``pow`` with a negative exponent is 0 unless the base
is 1 or -1.
"""


def constant(value: Number | np.generic, dtype: np.dtype | type | str) -> Constant:
    """A number of a dtype; floats are rounded to it. Raises DtypeError or OverflowError where it does not fit."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iub" and value != int(value):
        raise DtypeError(f"the constant {value} is not a value of {short_dtype(dtype)}")
    exact = np.asarray(value, dtype).item()
    key = struct.pack("<d", exact) if isinstance(exact, float) else exact
    made = _interned((Constant, dtype, type(exact), key), lambda: Constant(dtype, exact))
    assert isinstance(made, Constant)
    return made


def variable(name: str, dtype: np.dtype | type | str = I64) -> Expression:
    """The loop variable or bound name ``name``."""
    dtype = np.dtype(dtype)
    return _interned((Variable, dtype, name), lambda: Variable(dtype, name))


def size(dim: int | SymbolicDim) -> Expression:
    """A size as an i64: a constant, or a symbolic one."""
    if isinstance(dim, SymbolicDim):
        return _interned((Size, dim), lambda: Size(I64, dim))
    return constant(dim, I64)


def load_from(buffer: str, dtype: np.dtype, index: tuple[Expression, ...]) -> Expression:
    """An element of the buffer called ``buffer``, whose dtype is ``dtype``."""
    return _interned((Load, dtype, buffer, index), lambda: Load(dtype, buffer, index))


def apply(primitive: str, arguments: tuple[Expression, ...], dtype: np.dtype) -> Expression:
    """A primitive applied, without any check or folding; ``b`` is what rules use."""
    return _interned((Apply, dtype, primitive, arguments), lambda: Apply(dtype, primitive, arguments))


def walk(*roots: Expression) -> tuple[Expression, ...]:
    """Every distinct part of the roots, operands before users."""
    if len(roots) == 1:
        return _parts(roots[0])
    return tuple(dict.fromkeys(chain.from_iterable(map(_parts, roots))))


def _parts(root: Expression) -> tuple[Expression, ...]:
    """Every distinct part of one expression, itself the last. It keeps the others, where they are few: many ask."""
    operands = root.operands
    if not operands:
        return (root,)
    below: tuple[Expression, ...] | None = root.__dict__.get("below")
    if below is None:
        below = _below(operands)
        if len(below) <= MOST_KEPT:
            root.__dict__["below"] = below
    return (*below, root)


def _below(operands: tuple[Expression, ...]) -> tuple[Expression, ...]:
    found: list[Expression] = []
    seen: set[Expression] = set()
    stack: list[tuple[Expression, bool]] = [(operand, False) for operand in reversed(operands)]
    while stack:
        expression, done = stack.pop()
        if done:
            found.append(expression)
        elif expression not in seen:
            seen.add(expression)
            inner = expression.operands
            if not inner:
                found.append(expression)
                continue
            stack.append((expression, True))
            stack += [(operand, False) for operand in reversed(inner)]
    return tuple(found)


def rewrite(
    root: Expression, replace: dict[Expression, Expression], rename: dict[str, str] | None = None
) -> Expression:
    """``root`` with expressions replaced and buffers renamed; ``replace`` is filled with the image of every part."""
    renamed = rename or {}
    for part in walk(root):
        if part in replace:
            continue
        operands = tuple([replace[o] for o in part.operands])
        if isinstance(part, Load):
            replace[part] = load_from(renamed.get(part.buffer, part.buffer), part.dtype, operands)
        elif operands != part.operands and isinstance(part, Apply):
            replace[part] = apply(part.primitive, operands, part.dtype)
        else:
            replace[part] = part
    return replace[root]


def _interned(key: tuple[Any, ...], make: Any) -> Expression:
    found = _INTERNED.get(key)
    if found is None:
        with _LOCK:
            found = _INTERNED.get(key)
            if found is None:
                found = _INTERNED[key] = make()
    return found


def _builder() -> ExpressionBuilder:
    from gradc.loops.language.builder import b

    return b

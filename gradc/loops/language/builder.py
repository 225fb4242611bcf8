"""The expression builder ``b``: one method a scalar primitive, with checked dtypes and folded index arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradc.errors import DtypeError
from gradc.ir.aval import short_dtype
from gradc.loops.language.expressions import (
    BOOL,
    EXPANSIONS,
    FUNCTIONS,
    FUNCTIONS_OF_TWO,
    I64,
    PRIMITIVES,
    Apply,
    Constant,
    Expression,
    Number,
    apply,
    constant,
    load_from,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradc.loops.language.program import Buffer

Scalar = Expression | Number
"""What the methods take: an expression, or a Python number that takes the other operand's dtype."""


class ExpressionBuilder:
    """Makes scalar expressions with NumPy's meaning. It has no state; use the instance ``b``.

    Operands of one primitive must agree in dtype; a Python number takes the dtype of the expression beside it (i64
    where there is none). i64 arithmetic of constants, and neutral elements in it, fold, so that indices stay readable.
    Raises DtypeError where a primitive does not take the dtype.
    """

    def __getattr__(self, name: str) -> Callable[..., Expression]:
        """The functions of numbers, ``FUNCTIONS``, ``FUNCTIONS_OF_TWO`` and ``EXPANSIONS``, by their names."""
        if name in FUNCTIONS:
            return lambda x: self._unary(name, x)
        if name in FUNCTIONS_OF_TWO:
            return lambda x, y: self._binary(name, x, y)
        if name in EXPANSIONS:
            return lambda *operands: self._expansion(name, *operands)
        raise AttributeError(f"there is no scalar primitive called {name}")

    def constant(self, value: Number | np.generic, dtype: np.dtype | type | str = I64) -> Expression:
        """A number of ``dtype``."""
        return constant(value, dtype)

    def load(self, buffer: Buffer, index: Sequence[Scalar] = ()) -> Expression:
        """The element of ``buffer`` at ``index``: one i64 an axis, or a single one that counts elements row by row."""
        indices = tuple(self._i64(i) for i in index)
        if len(indices) not in (1, len(buffer.shape)):
            raise DtypeError(f"{buffer.name} has {len(buffer.shape)} axes and is read with {len(indices)} indices")
        return load_from(buffer.name, buffer.dtype, indices)

    def add(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("add", x, y)

    def sub(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("sub", x, y)

    def mul(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("mul", x, y)

    def div(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("div", x, y)

    def floor_div(self, x: Scalar, y: Scalar) -> Expression:
        """Rounded towards minus infinity; 0 for an integer divisor 0."""
        return self._binary("floor_div", x, y)

    def mod(self, x: Scalar, y: Scalar) -> Expression:
        """The remainder of ``floor_div``, of the divisor's sign; 0 for an integer divisor 0."""
        return self._binary("mod", x, y)

    def pow(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("pow", x, y)

    def minimum(self, x: Scalar, y: Scalar) -> Expression:
        """The smaller one; NaN where either is NaN."""
        return self._binary("minimum", x, y)

    def maximum(self, x: Scalar, y: Scalar) -> Expression:
        """The larger one; NaN where either is NaN."""
        return self._binary("maximum", x, y)

    def fma(self, x: Scalar, y: Scalar, z: Expression) -> Expression:
        """``x * y + z``, rounded once; on machines without that instruction a product and a sum."""
        product = self._binary("mul", x, y)
        if product.dtype != z.dtype or z.dtype.kind != "f":
            raise DtypeError(
                f"fma takes floats of one dtype, got {short_dtype(product.dtype)} and {short_dtype(z.dtype)}"
            )
        return apply("fma", (*product.operands, z), z.dtype)

    def neg(self, x: Expression) -> Expression:
        return self._unary("neg", x)

    def abs(self, x: Expression) -> Expression:
        return self._unary("abs", x)

    def sign(self, x: Expression) -> Expression:
        """-1, 0 or 1; NaN of NaN."""
        return self._unary("sign", x)

    def sqrt(self, x: Expression) -> Expression:
        return self._unary("sqrt", x)

    def copysign(self, x: Scalar, y: Scalar) -> Expression:
        """The size of x with the sign of y, which may be -0.0 or a NaN's."""
        return self._binary("copysign", x, y)

    def floor(self, x: Expression) -> Expression:
        return self._unary("floor", x)

    def isnan(self, x: Expression) -> Expression:
        return self._unary("isnan", x)

    def isfinite(self, x: Expression) -> Expression:
        return self._unary("isfinite", x)

    def eq(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("eq", x, y)

    def ne(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("ne", x, y)

    def lt(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("lt", x, y)

    def le(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("le", x, y)

    def gt(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("gt", x, y)

    def ge(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("ge", x, y)

    def logical_and(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("logical_and", x, y)

    def logical_or(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("logical_or", x, y)

    def logical_xor(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("logical_xor", x, y)

    def bitwise_and(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("bitwise_and", x, y)

    def bitwise_or(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("bitwise_or", x, y)

    def bitwise_xor(self, x: Scalar, y: Scalar) -> Expression:
        return self._binary("bitwise_xor", x, y)

    def logical_not(self, x: Expression) -> Expression:
        return self._unary("logical_not", x)

    def select(self, mask: Expression, x: Scalar, y: Scalar) -> Expression:
        """``x`` where ``mask`` is true, else ``y``; both are computed."""
        x, y = self._pair(x, y)
        if mask.dtype != BOOL or x.dtype != y.dtype:
            raise DtypeError(
                f"select takes a bool and two values of one dtype, "
                f"got {short_dtype(mask.dtype)}, {short_dtype(x.dtype)}, {short_dtype(y.dtype)}"
            )
        if isinstance(mask, Constant):
            return x if mask.value else y
        return x if x is y else apply("select", (mask, x, y), x.dtype)

    def convert(self, x: Expression, dtype: np.dtype | type | str) -> Expression:
        """``x`` in another dtype, by NumPy's cast."""
        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x
        if isinstance(x, Constant) and x.dtype.kind in "iub" and dtype.kind == "f":
            return constant(x.value, dtype)
        return apply("convert", (x,), dtype)

    def clamp(self, index: Expression, length: Scalar) -> Expression:
        """``index`` moved to the nearest of ``0 .. length-1``: what an index that is data needs to stay in bounds."""
        return self.minimum(self.maximum(index, 0), self.sub(length, 1))

    def in_range(self, index: Expression, lo: Scalar, hi: Scalar) -> Expression:
        """Whether ``lo <= index < hi``."""
        return self.logical_and(self.ge(index, lo), self.lt(index, hi))

    def from_end(self, index: Expression, length: Scalar) -> Expression:
        """NumPy's index: a negative one counts from the end. Not clamped."""
        return self.select(self.lt(index, 0), self.add(index, length), index)

    def _i64(self, x: Scalar) -> Expression:
        expression = x if isinstance(x, Expression) else constant(x, I64)
        if expression.dtype != I64:
            raise DtypeError(f"an index is i64, got {short_dtype(expression.dtype)}: convert it")
        return expression

    def _pair(self, x: Scalar, y: Scalar) -> tuple[Expression, Expression]:
        if isinstance(x, Expression):
            return x, y if isinstance(y, Expression) else constant(y, x.dtype)
        if isinstance(y, Expression):
            return constant(x, y.dtype), y
        return constant(x, I64), constant(y, I64)

    def _unary(self, name: str, x: Expression) -> Expression:
        primitive = PRIMITIVES[name]
        if x.dtype.kind not in primitive.kinds:
            raise DtypeError(f"{name} does not take {short_dtype(x.dtype)}")
        return apply(name, (x,), BOOL if primitive.to_bool else x.dtype)

    def _expansion(self, name: str, *operands: Expression) -> Expression:
        dtype = operands[0].dtype
        if len(operands) != EXPANSIONS[name] or dtype.kind != "f" or any(x.dtype != dtype for x in operands):
            listed = ", ".join(short_dtype(x.dtype) for x in operands)
            raise DtypeError(f"{name} takes {EXPANSIONS[name]} floats of one dtype, got {listed}")
        return apply(name, operands, dtype)

    def _binary(self, name: str, x: Scalar, y: Scalar) -> Expression:
        x, y = self._pair(x, y)
        primitive = PRIMITIVES[name]
        if x.dtype != y.dtype or x.dtype.kind not in primitive.kinds:
            raise DtypeError(f"{name} does not take {short_dtype(x.dtype)} and {short_dtype(y.dtype)}")
        if x.dtype == I64:
            folded = _folded(name, x, y)
            if folded is not None:
                return folded
        return apply(name, (x, y), BOOL if primitive.to_bool else x.dtype)


_LAWS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "floor_div": lambda x, y: x // y if y else 0,
    "mod": lambda x, y: x % y if y else 0,
    "minimum": min,
    "maximum": max,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
}


def _folded(name: str, x: Expression, y: Expression) -> Expression | None:
    """Exact simplifications of i64 arithmetic: constants, neutral elements, ``(x + 1) + 2``."""
    left = x.value if isinstance(x, Constant) else None
    right = y.value if isinstance(y, Constant) else None
    if left is not None and right is not None and name in _LAWS:
        value = _LAWS[name](left, right)
        if -(2**63) <= value < 2**63:
            return constant(value, BOOL if isinstance(value, bool) else I64)
        return None
    if name == "add":
        if left == 0:
            return y
        if left is not None:
            return b.add(y, x)
        if right == 0:
            return x
        if right is not None and isinstance(x, Apply) and x.primitive == "add" and isinstance(x.arguments[1], Constant):
            return b.add(x.arguments[0], b.add(x.arguments[1], y))
    if name == "sub" and right is not None:
        return b.add(x, -right)
    if name == "sub" and x is y:
        return constant(0, I64)
    if name == "sub" and isinstance(x, Apply) and x.primitive == "add" and x.arguments[0] is y:
        return x.arguments[1]
    if name == "mul":
        if left is not None:
            return b.mul(y, x)
        if right is not None and right in (0, 1):
            return x if right else y
    if name == "floor_div" and right == 1:
        return x
    if name == "mod" and right == 1:
        return constant(0, I64)
    return None


b: Final = ExpressionBuilder()

"""Pieces of generated code as syntax trees: an op's template filled with operands, literals, exact constants."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from gradc.errors import CompileError
from gradc.ir.aval import Dim


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of the generated code.

    tree    its syntax tree; trees are shared, never changed
    width   about how many columns it takes
    shape   the shape that NumPy gives it: it broadcasts to the shape of its node, and may be smaller
    weak    a Python number, which takes the dtype of what it meets
    fresh   evaluating it makes a new array, which nothing else refers to
    """

    tree: ast.expr
    width: int
    shape: tuple[Dim, ...] = ()
    weak: bool = False
    fresh: bool = False

    @property
    def atomic(self) -> bool:
        """A name or a number: nothing is computed when it is repeated."""
        return self.weak or isinstance(self.tree, ast.Name)

    @property
    def text(self) -> str:
        return ast.unparse(self.tree)

    def shaped(self, shape: tuple[Dim, ...]) -> Expression:
        """The same expression, said to have another shape."""
        return replace(self, shape=shape)


def variable(name: str, shape: tuple[Dim, ...]) -> Expression:
    """A local name."""
    return Expression(ast.Name(name), len(name), shape)


def filled(template: str, operands: Sequence[Expression], shape: tuple[Dim, ...] = ()) -> Expression:
    """A template such as ``"np.exp({0})"`` with operands in its places. Parentheses come from the syntax tree."""
    tree = _parsed(template, len(operands))
    new = _with_places(tree, {f"_operand{k}": operand.tree for k, operand in enumerate(operands)})
    width = len(template) + sum(template.count(f"{{{k}}}") * (o.width - 3) for k, o in enumerate(operands))
    compound = sum(1 for o in operands if isinstance(o.tree, ast.BinOp | ast.Compare | ast.UnaryOp))
    return Expression(new, width + compound, shape, fresh=True)


@lru_cache(maxsize=4096)
def _parsed(template: str, count: int) -> ast.expr:
    try:
        text = template.format(*(f"_operand{k}" for k in range(count)))
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, IndexError, KeyError) as error:
        raise CompileError(f"the NumPy template {template!r} is not an expression of {count} operands") from error


def _with_places(tree: Any, places: Mapping[str, ast.expr]) -> Any:
    """The template's tree with operands for its places; the template itself is copied, for it is used again."""
    if isinstance(tree, list):
        return [_with_places(item, places) for item in tree]
    if not isinstance(tree, ast.AST) or isinstance(tree, ast.Constant):
        return tree
    if isinstance(tree, ast.Name):
        return places.get(tree.id, tree)
    return type(tree)(**{name: _with_places(value, places) for name, value in ast.iter_fields(tree)})


def literal(number: np.generic) -> Expression:
    """A number as Python's literal where that is exact to the last bit, else through its bits."""
    text = number_text(number)
    if text is None:
        if number.dtype.kind == "c":
            parts = [float_text(part) for part in (number.real, number.imag)]
            return filled(f"{dtype_text(number.dtype)}(complex({', '.join(parts)}))", [])
        if number.dtype.kind != "f":
            raise CompileError(f"a constant of dtype {number.dtype} has no literal")
        unsigned = f"uint{8 * number.dtype.itemsize}"
        return filled(f"np.{unsigned}({int(number.view(unsigned)):#x}).view({dtype_text(number.dtype)})", [])
    return Expression(ast.parse(text, mode="eval").body, len(text), weak=True)


def number_text(number: np.generic) -> str | None:
    """A literal that NumPy turns into exactly this number when it meets its dtype; None for a NaN with other bits."""
    if number.dtype.kind in "iub":
        return repr(number.item())
    if number.dtype.kind == "c":
        text = repr(complex(number))
        exact = np.asarray(eval_complex(text), number.dtype) if np.isfinite(number) else np.zeros(())
        return text if exact.tobytes() == number.tobytes() else None
    for text in (_special(number), repr(float(str(number))), repr(float(number))):
        if text and np.asarray(eval_float(text), number.dtype).tobytes() == number.tobytes():
            return text
    return None


def float_text(number: np.generic) -> str:
    """The literal of a part of a complex number; of a NaN with other bits that of NaN."""
    return number_text(number) or "np.nan"


def _special(number: np.generic) -> str:
    if np.isnan(number):
        return "np.nan"
    if np.isinf(number):
        return "-np.inf" if np.signbit(number) else "np.inf"
    return ""


def eval_complex(text: str) -> complex:
    """The complex number that Python makes of a literal of ours, which adds or subtracts the imaginary part."""
    tree = ast.parse(text, mode="eval").body
    if isinstance(tree, ast.BinOp):
        left, right = ast.literal_eval(tree.left), ast.literal_eval(tree.right)
        return complex(left + right if isinstance(tree.op, ast.Add) else left - right)
    return complex(ast.literal_eval(tree))


def eval_float(text: str) -> float:
    """The float of a literal of ours."""
    return float(text.replace("np.", ""))


def dtype_text(dtype: np.dtype) -> str:
    """``np.float64``; bool is ``np.bool_``."""
    return "np.bool_" if dtype == np.dtype(bool) else f"np.{dtype.name}"


def typed(expression: Expression, dtype: np.dtype) -> Expression:
    """A Python number as a NumPy scalar of ``dtype``; other expressions as they are."""
    if not expression.weak:
        return expression
    return filled(f"{dtype_text(dtype)}({{0}})", [expression])


def whole(expression: Expression) -> Expression:
    """A literal such as ``0.0`` as ``0``, where no dtype hangs on it: in comparisons."""
    text = expression.text if expression.weak else ""
    if not text.endswith(".0"):
        return expression
    text = "0" if text == "-0.0" else text.removesuffix(".0")
    return Expression(ast.parse(text, mode="eval").body, len(text), weak=True)

"""Rounding to integers, and signs. A step function has the derivative 0, at its steps too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradc.ir.op import Op
from gradc.ops.elementwise import elementwise


def _ceil(b: Any, x: Any) -> Any:
    return b.neg(b.floor(b.neg(x)))


def _trunc(b: Any, x: Any) -> Any:
    return b.select(b.lt(x, 0.0), _ceil(b, x), b.floor(x))


def _rint(b: Any, x: Any) -> Any:
    """Half to even: a sum with a number of as many bits as there are leaves the nearest integer of it."""
    limit = 2.0 ** np.finfo(x.dtype).nmant
    size = b.abs(x)
    nearest = b.sub(b.add(size, limit), limit)
    signed = b.select(b.lt(x, 0.0), b.neg(nearest), nearest)
    return b.select(b.logical_and(b.lt(size, limit), b.ne(x, 0.0)), signed, x)


def _step(name: str, ufunc: np.ufunc, loops: Callable[..., Any] | None = None, latex: str = "") -> Op:
    return elementwise(name, ufunc, f"np.{name}({{0}})", lambda c: [None], kinds="f", loops=loops, latex=latex)


floor = _step("floor", np.floor, latex=r"\left\lfloor {0} \right\rfloor")
ceil = _step("ceil", np.ceil, _ceil, latex=r"\left\lceil {0} \right\rceil")
trunc = _step("trunc", np.trunc, _trunc, latex=r"\operatorname{{trunc}} {0}")
rint = _step("rint", np.rint, _rint, latex=r"\operatorname{{rint}} {0}")


def _copysign_partials(c: Any) -> list[Any]:
    """The sign of x times that of y."""
    x, y = c.operands
    one = x.builder.full(1.0, x.aval)
    return [copysign(one, x) * copysign(one, y), None]


copysign: Op = elementwise(
    "copysign",
    np.copysign,
    "np.copysign({0}, {1})",
    _copysign_partials,
    kinds="f",
    latex=r"\left|{0}\right| \operatorname{{sign}} {1}",
)

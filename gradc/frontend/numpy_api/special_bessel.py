"""Bessel functions of a known order, by those of the orders 0 and 1 or by ``bessel_orders``; Airy's functions."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.numpy_api import bessel_orders
from gradc.frontend.numpy_api.notation import Array, composed, told
from gradc.frontend.numpy_api.registry import implements
from gradc.frontend.numpy_api.special import as_special
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import bessel, bessel_waves
from gradc.ops.airy import airy as airy_op

HIGHEST: Final = 100
"""The highest order, each of which takes a step."""


def known_order(name: str, order: Any) -> int:
    """An order as an int; one that is traced becomes fixed. Raises TraceError for one that is data, or is not taken."""
    if isinstance(order, Array):  # a number that NumPy handed over
        order = order.value.builder.scalar(order.value)
    if issubclass(type(order), (float, np.floating)) and order == int(order):
        order = int(order)
    try:
        found = operator.index(order)
    except (TypeError, TraceError):
        found = -1
    if not 0 <= found <= HIGHEST:
        raise TraceError(f"scipy.special.{name}: the order is an int from 0 to {HIGHEST} that is known, got {order!r}")
    return found


@composed("scipy.special:jv", arrays=("z",), keeps_weak=True)  # jn is the same object
def jv(v: Any, z: Any) -> Any:
    """The Bessel function of an order that is an int up to 100. Raises TraceError for other orders."""
    order = known_order("jv", v)
    ops = (bessel_waves.j0, bessel_waves.j1)
    x = as_special("j1", z.value)
    return Array(ops[order](x)) if order < 2 else _in_double(lambda y: bessel_orders.first_kind(order, y), x)


@composed("scipy.special:spherical_jn", arrays=("z",))
def spherical_jn(n: Any, z: Any, derivative: Any = False) -> Any:
    """The spherical function of an order that is an int up to 100, or its derivative. Raises TraceError for others."""
    order = known_order("spherical_jn", n)
    x = as_special("j1", z.value)
    if not derivative:
        return _in_double(lambda y: bessel_orders.spherical_first_kind(order, y), x)
    if not order:
        return _in_double(lambda y: -bessel_orders.spherical_first_kind(1, y), x)
    return _in_double(
        lambda y: (
            (
                order * bessel_orders.spherical_first_kind(order - 1, y)
                - (order + 1) * bessel_orders.spherical_first_kind(order + 1, y)
            )
            / (2 * order + 1)
        ),
        x,
    )


def _modified(name: str, ops: tuple[Op, Op], *, scaled: bool) -> None:
    """The modified function of the first kind."""

    @composed(f"scipy.special:{name}", arrays=("z",), keeps_weak=True)
    def function(v: Any, z: Any) -> Any:
        """The Bessel function of an order that is a number from 0 to 100. Raises TraceError for other orders."""
        x = as_special(ops[1].name, z.value)
        if isinstance(v, (float, np.floating)) and 0 < v < HIGHEST and not float(v).is_integer():
            order = float(v)
        else:
            order = float(known_order(name, v))
        if order in (0.0, 1.0):
            return Array(ops[int(order)](x))
        return _in_double(lambda y: bessel_orders.modified_first_kind(order, y, scaled=scaled), x)


def _in_double(function: Callable[[Any], Any], x: Value) -> Any:
    return function(Array(x).astype(np.float64)).astype(x.aval.dtype)


_modified("iv", (bessel.i0, bessel.i1), scaled=False)
_modified("ive", (bessel.i0e, bessel.i1e), scaled=True)


def _recurring(name: str, order: Any, x: Any, ops: tuple[Op, Op], sign: int) -> Any:
    """``f(n + 1) = 2 n / x f(n) + sign f(n - 1)``: digits are kept where f grows with n (DLMF 10.6.1, 10.29.1)."""
    count = known_order(name, order)
    at: Any = Array(as_special(ops[0].name, x.value))
    before, found = [told(op(at.value)) for op in ops]
    if count < 2:
        return found if count else before
    pole = np.isinf(found)
    apart = np.where(pole, found.dtype.type(1), at)
    for k in range(1, count):
        before, found = found, (2.0 * k) / apart * found + sign * before
    return np.where(pole, found.dtype.type(sign * math.inf), found)


def _second_kind(name: str, parameters: tuple[str, str], ops: tuple[Op, Op], sign: int) -> None:
    """A function of all orders, whose parameters have SciPy's names."""

    def function(n: Any, x: Any) -> Any:
        """The Bessel function of an order that is an int up to 100. Raises TraceError for other orders."""
        return _recurring(name, n, x, ops, sign)

    def by_other_names(v: Any, z: Any) -> Any:
        return _recurring(name, v, z, ops, sign)

    by_other_names.__doc__ = function.__doc__
    chosen = function if parameters == ("n", "x") else by_other_names
    composed(f"scipy.special:{name}", arrays=parameters[1:], keeps_weak=True)(chosen)


_second_kind("yn", ("n", "x"), (bessel_waves.y0, bessel_waves.y1), -1)
_second_kind("kn", ("n", "x"), (bessel.k0, bessel.k1), 1)
_second_kind("yv", ("v", "z"), (bessel_waves.y0, bessel_waves.y1), -1)
_second_kind("kv", ("v", "z"), (bessel.k0, bessel.k1), 1)
_second_kind("kve", ("v", "z"), (bessel.k0e, bessel.k1e), 1)


@implements("scipy.special:airy", arrays=("x",))
def airy(x: Value) -> tuple[Value, ...]:
    """Ai, its slope, Bi and its slope, of real numbers."""
    return _airy("airy", x, scaled=False)


@implements("scipy.special:airye", arrays=("x",))
def airye(x: Value) -> tuple[Value, ...]:
    """Ai and its slope times ``exp(2/3 x**1.5)``, NaN left of 0, and Bi and its slope over that, of real numbers."""
    return _airy("airye", x, scaled=True)


def _airy(name: str, x: Value, *, scaled: bool) -> tuple[Value, ...]:
    operand = as_special(name, x)
    return tuple(
        airy_op(operand, kind=kind, slope=slope, scaled=scaled) for kind in ("ai", "bi") for slope in (False, True)
    )

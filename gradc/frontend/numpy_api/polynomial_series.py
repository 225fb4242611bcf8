"""``numpy.polynomial``'s functions over Values: series whose coefficients begin with that of the lowest order.

Sums are those of Clenshaw's recurrences, step by step as NumPy has them. Highest coefficients that are 0, which NumPy
drops, stay, for that depends on data.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.notation import composed

_EACH = "its coefficients are gone through one by one"

Step = Callable[[int, Any, Any, Any, Any], tuple[Any, Any]]
"""Of the order, the coefficient, both sums so far and x: the next sums."""


def _floats(x: Any) -> Any:
    """Coefficients as NumPy takes them: integers and bools as f64, and at least one axis."""
    found = np.atleast_1d(x)
    return found.astype(np.float64) if found.dtype.kind in "iub" else found


def _series(name: str, x: Any, c: Any, tensor: Any) -> tuple[list[Any], Any]:
    """The coefficients one by one; with ``tensor`` each for all elements of ``x``."""
    coefficients = _floats(c)
    count = require_size(name, coefficients.shape[0], _EACH)
    if not count:
        raise ShapeError(f"{name}: {c.value.aval} has no coefficients")
    if tensor:
        coefficients = coefficients.reshape((*coefficients.shape, *(1,) * x.ndim))
    return [coefficients[k] for k in range(count)], x


# Values.


@composed("numpy.polynomial.polynomial:polyval", arrays=("x", "c"))
def polyval(x: Any, c: Any, tensor: Any = True) -> Any:
    """The polynomial at ``x``; coefficients along the first axis, those of other axes for all elements of ``x``."""
    listed, x = _series("np.polynomial.polynomial.polyval", x, c, tensor)
    total = listed[-1] + x * 0
    for coefficient in reversed(listed[:-1]):
        total = coefficient + total * x
    return total


@composed("numpy.polynomial.polynomial:polyvalfromroots", arrays=("x", "r"))
def polyvalfromroots(x: Any, r: Any, tensor: Any = True) -> Any:
    """The product of the distances of ``x`` from each root."""
    roots = _floats(r)
    if tensor:
        roots = roots.reshape((*roots.shape, *(1,) * x.ndim))
    elif x.ndim >= roots.ndim:
        raise ShapeError(f"np.polynomial.polynomial.polyvalfromroots: {x.value.aval} needs fewer axes than the roots")
    return np.prod(x - roots, axis=0)


def _clenshaw(place: str, step: Step, last: Callable[[Any, Any, Any], Any]) -> None:
    module, word = place.split(":")
    name = f"{module.replace('numpy', 'np', 1)}.{word}"

    def value(x: Any, c: Any, tensor: Any = True) -> Any:
        """The series at ``x``, as ``polyval``, by Clenshaw's recurrence."""
        listed, x = _series(name, x, c, tensor)
        if len(listed) == 1:
            return last(listed[0], listed[0] * 0, x)
        low, high = listed[-2], listed[-1]
        for order in range(len(listed) - 1, 1, -1):
            low, high = step(order, listed[order - 2], low, high, x)
        return last(low, high, x)

    composed(place, arrays=("x", "c"))(value)


_clenshaw(
    "numpy.polynomial.chebyshev:chebval",
    lambda n, c, low, high, x: (c - high, low + high * (2 * x)),
    lambda low, high, x: low + high * x,
)
_clenshaw(
    "numpy.polynomial.legendre:legval",
    lambda n, c, low, high, x: (c - high * ((n - 1) / n), low + high * x * ((2 * n - 1) / n)),
    lambda low, high, x: low + high * x,
)
_clenshaw(
    "numpy.polynomial.hermite:hermval",
    lambda n, c, low, high, x: (c - high * (2 * (n - 1)), low + high * (2 * x)),
    lambda low, high, x: low + high * (2 * x),
)
_clenshaw(
    "numpy.polynomial.hermite_e:hermeval",
    lambda n, c, low, high, x: (c - high * (n - 1), low + high * x),
    lambda low, high, x: low + high * x,
)
_clenshaw(
    "numpy.polynomial.laguerre:lagval",
    lambda n, c, low, high, x: (c - (high * (n - 1)) / n, low + (high * ((2 * n - 1) - x)) / n),
    lambda low, high, x: low + high * (1 - x),
)


# Coefficients.


def _two(name: str, c1: Any, c2: Any) -> tuple[Any, Any]:
    first, second = _floats(c1), _floats(c2)
    for c in (first, second):
        if c.ndim != 1 or require_size(name, c.shape[0], _EACH) == 0:
            raise ShapeError(f"{name}: {c.value.aval} is no vector of coefficients")
    kind = np.result_type(first.dtype, second.dtype)
    return first.astype(kind), second.astype(kind)


def _sum_of_two(name: str, c1: Any, c2: Any, sign: int) -> Any:
    both = _two(name, c1, c2)
    size = max(int(c.shape[0]) for c in both)
    first, second = (np.concatenate([c, np.zeros(size - int(c.shape[0]), c.dtype)]) for c in both)
    return first + second if sign > 0 else first - second


@composed("numpy.polynomial.polynomial:polyadd", arrays=("c1", "c2"))
def polyadd(c1: Any, c2: Any) -> Any:
    """The sum of two polynomials."""
    return _sum_of_two("np.polynomial.polynomial.polyadd", c1, c2, 1)


@composed("numpy.polynomial.polynomial:polysub", arrays=("c1", "c2"))
def polysub(c1: Any, c2: Any) -> Any:
    """The difference of two polynomials."""
    return _sum_of_two("np.polynomial.polynomial.polysub", c1, c2, -1)


@composed("numpy.polynomial.polynomial:polymul", arrays=("c1", "c2"))
def polymul(c1: Any, c2: Any) -> Any:
    """The product of two polynomials."""
    return np.convolve(*_two("np.polynomial.polynomial.polymul", c1, c2))


@composed("numpy.polynomial.polynomial:polyfromroots", arrays=("roots",))
def polyfromroots(roots: Any) -> Any:
    """The polynomial with these zeros, whose highest coefficient is 1."""
    name = "np.polynomial.polynomial.polyfromroots"
    zeros = _floats(roots)
    if zeros.ndim != 1:
        raise ShapeError(f"{name}: {roots.value.aval} is no vector of zeros")
    found: Any = np.ones(1, zeros.dtype)
    nothing = np.zeros(1, zeros.dtype)
    for k in range(require_size(name, zeros.shape[0], _EACH)):
        found = np.concatenate([nothing, found]) - zeros[k] * np.concatenate([found, nothing])
    return found


@composed("numpy.polynomial.polynomial:polyvander", arrays=("x",))
def polyvander(x: Any, deg: Any) -> Any:
    """The powers of each element up to ``deg`` along a new last axis."""
    order = operator.index(deg)
    if order < 0:
        raise TraceError(f"np.polynomial.polynomial.polyvander: deg={order} is negative")
    points = _floats(x)
    powers = [points * 0 + 1]
    while len(powers) <= order:
        powers.append(powers[-1] * points)
    return np.stack(powers, axis=-1)


def _orders(name: str, c: Any, m: Any, axis: Any) -> tuple[Any, int, int]:
    """The coefficients along the first axis, how often, and which axis it was."""
    coefficients = _floats(c)
    count, place = operator.index(m), one_axis(name, axis, coefficients.ndim, str(c.value.aval))
    if count < 0:
        raise TraceError(f"{name}: the order m must not be negative, not {m}")
    return np.moveaxis(coefficients, place, 0), count, place


@composed("numpy.polynomial.polynomial:polyder", arrays=("c", "scl"))
def polyder(c: Any, m: Any = 1, scl: Any = None, axis: Any = 0) -> Any:
    """The derivative of order ``m``, each multiplied by ``scl``; one coefficient 0 where nothing is left."""
    name = "np.polynomial.polynomial.polyder"
    rows, count, place = _orders(name, c, m, axis)
    for _ in range(count):
        size = require_size(name, rows.shape[0], _EACH)
        if size <= 1:
            rows = rows[:1] * 0
            break
        numbers = np.arange(1, size).reshape(-1, *(1,) * (rows.ndim - 1))
        rows = rows[1:] * numbers if scl is None else rows[1:] * scl * numbers
    return np.moveaxis(rows, 0, place)


@composed("numpy.polynomial.polynomial:polyint", arrays=("c", "lbnd", "scl"), sequences=("k",))
def polyint(c: Any, m: Any = 1, k: Any = (), lbnd: Any = None, scl: Any = None, axis: Any = 0) -> Any:
    """The antiderivative of order ``m``, each multiplied by ``scl`` before, with the values ``k`` at ``lbnd``."""
    name = "np.polynomial.polynomial.polyint"
    rows, count, place = _orders(name, c, m, axis)
    values = list(k) if isinstance(k, (list, tuple)) else [k]
    if len(values) > count:
        raise TraceError(f"{name}: {len(values)} constants k= for an order of {count}")
    for step in range(count):
        size = require_size(name, rows.shape[0], _EACH)
        scaled = rows if scl is None else rows * scl
        numbers = np.arange(1, size + 1).reshape(-1, *(1,) * (rows.ndim - 1))
        behind = np.concatenate([scaled[:1] * 0, scaled / numbers])
        value: Any = values[step] if step < len(values) else 0.0
        constant = value if lbnd is None else value - polyval(lbnd, behind)
        rows = np.concatenate([behind[:1] + constant, behind[1:]])
    return np.moveaxis(rows, 0, place)

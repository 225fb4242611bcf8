"""Complex numbers and their parts. None of these ops is holomorphic: their derivatives are linear over the reals.

The convention is JAX's (docs/complex.md): a tangent is what the value moves by, and cotangents pair with tangents by
``Re(ct * t)``, so that no holomorphic function conjugates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import REGISTRY, Context, Op, RealLinear, register

_COMPLEX: Final[dict[np.dtype, np.dtype]] = {
    np.dtype(np.float32): np.dtype(np.complex64),
    np.dtype(np.float64): np.dtype(np.complex128),
}
_REAL: Final = {wide: narrow for narrow, wide in _COMPLEX.items()}


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of the parts of a complex one; any other is its own."""
    return _REAL.get(dtype, dtype)


def complex_dtype(dtype: np.dtype) -> np.dtype:
    """The complex dtype whose parts have this one."""
    return _COMPLEX[dtype]


def is_complex(x: Value) -> bool:
    """Whether the dtype is complex."""
    return x.aval.dtype.kind == "c"


def squared(x: Value) -> Value:
    """``|x|**2``, real."""
    if not is_complex(x):
        return x * x
    re, im = real(x), imag(x)
    return re * re + im * im


def _part(name: str, evaluate: Callable[..., Any], latex: str, partial: RealLinear) -> Op:
    def infer(z: Aval) -> Aval:
        if z.dtype not in _REAL:
            raise DtypeError(f"{name}: {z} is not complex")
        return Aval(z.shape, _REAL[z.dtype])

    return register(
        Op(
            name,
            infer,
            lambda z: evaluate(z).copy(),
            f"{{0}}.{name}",
            partials=lambda c: [partial],
            elementwise=True,
            latex=rf"\operatorname{{{{{latex}}}}} {{0}}",
        )
    )


def _zero(x: Value) -> Value:
    return x.builder.full(0.0, x.aval)


real: Op = _part("real", np.real, "Re", RealLinear(lambda t: real(t), lambda ct: make_complex(ct, _zero(ct))))
imag: Op = _part("imag", np.imag, "Im", RealLinear(lambda t: imag(t), lambda ct: make_complex(_zero(ct), -ct)))


def real_part(x: Value) -> Value:
    """The real part; a real array itself."""
    return real(x) if is_complex(x) else x


def _infer_conj(z: Aval) -> Aval:
    if z.dtype not in _REAL:
        raise DtypeError(f"conj: {z} is not complex")
    return Aval(z.shape, z.dtype)


conj: Op = register(
    Op(
        "conj",
        _infer_conj,
        np.conjugate,
        "np.conj({0})",
        partials=lambda c: [RealLinear(lambda t: conj(t), lambda ct: conj(ct))],
        elementwise=True,
        latex=r"\overline{{{0}}}",
    )
)


def conjugated(x: Value) -> Value:
    """The conjugate; a real array itself."""
    return conj(x) if is_complex(x) else x


def _infer_complex(re: Aval, im: Aval) -> Aval:
    if re.shape != im.shape:
        raise ShapeError(f"complex: operands differ: {re} and {im}")
    if re.dtype != im.dtype or re.dtype not in _COMPLEX:
        raise DtypeError(f"complex: {re} and {im} are not both f32 or both f64")
    return Aval(re.shape, _COMPLEX[re.dtype])


def _evaluate_complex(re: Any, im: Any) -> Any:
    """Not ``re + 1j * im``, which makes NaN of infinities."""
    made = np.empty(np.shape(re), complex_dtype(np.asarray(re).dtype))
    made.real, made.imag = re, im
    return made


def _complex_partials(c: Context) -> list[RealLinear]:
    return [
        RealLinear(lambda t: make_complex(t, _zero(t)), lambda ct: real(ct)),
        RealLinear(lambda t: make_complex(_zero(t), t), lambda ct: -imag(ct)),
    ]


make_complex: Op = register(
    Op(
        "complex",
        _infer_complex,
        _evaluate_complex,
        "_complex({0}, {1})",
        partials=_complex_partials,
        elementwise=True,
        latex=r"{0} + i \, {1}",
        text="complex({0}, {1})",
    )
)


def magnitude_partial(z: Value, length: Value) -> RealLinear:
    """The partial derivative of ``length = abs(z)``: along ``conj(z) / |z|``, and 0 where z is 0."""
    zero = _zero(length)
    at_zero = REGISTRY["eq"](length, zero)
    along = [REGISTRY["select"](at_zero, zero, part / length) for part in (real(z), -imag(z))]
    direction = make_complex(*along)
    return RealLinear(lambda t: real(direction * t), lambda ct: make_complex(*[ct * part for part in along]))


def converted_back(ct: Value, dtype: np.dtype) -> Value:
    """The cotangent of what was converted from ``dtype``: of a real number, that of the real part."""
    narrowed = real(ct) if is_complex(ct) and dtype.kind == "f" else ct
    return REGISTRY["convert"](narrowed, dtype=dtype)

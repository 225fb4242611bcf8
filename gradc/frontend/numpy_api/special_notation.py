"""How functions of ``scipy.special`` are told in NumPy's functions and in ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradc.errors import DtypeError
from gradc.frontend.numpy_api.notation import Array, Told, composed
from gradc.frontend.numpy_api.promote import broadcasted, converted, marker, operand_dtype, ufunc_of_scipy
from gradc.ir.op import Op


def operands_of(name: str, *values: Any, as_in: str = "") -> list[Any]:
    """Arrays in the dtype that the SciPy in use takes for them, broadcast together.

    ``as_in`` is another function by which that is decided: one whose operands have one dtype.
    """
    ufunc = ufunc_of_scipy(as_in or name)
    given = [x.value for x in values]
    dtype = given[0].aval.dtype if ufunc is None else operand_dtype(ufunc, *map(marker, given))
    if dtype.kind != "f":
        raise DtypeError(f"scipy.special.{name}: {given[0].aval} is not of a floating-point dtype; convert it first")
    return [Array(x) for x in broadcasted(f"scipy.special.{name}", *[converted(x, dtype) for x in given])]


def number_of(x: Any, value: float) -> Any:
    """A number of the dtype of ``x``."""
    return x.dtype.type(value)


def of_scipy(name: str, *parameters: str) -> Callable[[Told], Told]:
    return composed(f"scipy.special:{name}", arrays=parameters, keeps_weak=True)


def applied(op: Op, *operands: Any) -> Any:
    """An op that is a ufunc of SciPy."""
    return Array(op(*[x.value for x in operands_of(op.name, *operands)]))

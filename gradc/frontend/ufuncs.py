"""NEP 13: NumPy's ufuncs and their methods on traced arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError, TraceError
from gradc.frontend import core_axes, ufunc_methods
from gradc.frontend.numpy_api import promote
from gradc.frontend.numpy_api.registry import lookup
from gradc.frontend.numpy_api.taking_complex import check_complex
from gradc.frontend.refusals import refusal
from gradc.frontend.session import Session, Traced, is_traced
from gradc.ir.graph import Value

PLAIN_TARGET: Final = (
    "this writes a traced value into a plain array, made outside the function or by a call that is not traced; "
    "make the array inside with np.zeros or np.empty, or copy it there with np.array(x)"
)

_ALONG_AXES: Final[dict[str, Callable[..., Any]]] = {
    "reduce": ufunc_methods.reduced,
    "accumulate": ufunc_methods.accumulated,
    "reduceat": ufunc_methods.reduced_at,
}


def apply(session: Session, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """What ``ufunc.method(*inputs, **keywords)`` gives: a Value, or traced arrays.

    Raises TraceError for what is not supported on traced values.
    """
    if method == "__call__":
        if not keywords:
            return _called(session, ufunc, inputs)
        return _with_keywords(session, ufunc, inputs, dict(keywords))
    if method in _ALONG_AXES:
        given = dict(keywords)
        (out,) = given.pop("out", None) or (None,)
        result = _ALONG_AXES[method](session, ufunc, *inputs, given)
        return result if out is None else written(out, result, f"np.{ufunc.__name__}.{method}")
    if method == "outer":
        return ufunc_methods.outer(ufunc, *inputs, **keywords)
    if method == "at":
        if not is_traced(inputs[0]):
            written(inputs[0], None, f"np.{ufunc.__name__}.at")
        return ufunc_methods.at(ufunc, *inputs)
    found = evaluated(session, getattr(ufunc, method), inputs, keywords)
    if found is None:
        raise TraceError(f"np.{ufunc.__name__}.{method} is not supported on traced arrays; write it with np functions")
    return session.lift(found)


def _called(session: Session, ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    record = lookup(ufunc)
    if record is None:
        found = evaluated(session, ufunc, inputs, {})
        if found is None:
            raise TraceError(refusal(ufunc.__name__, _written(ufunc)))
        return tuple([session.lift(x) for x in found]) if type(found) is tuple else session.lift(found)
    values = [session.lift(x) for x in inputs]
    if not record.is_ufunc:
        check_complex(record.name, values)
    return record.function(*values)


def _written(ufunc: np.ufunc) -> str:
    """A ufunc as one writes it, with its module where that is known."""
    for short, module in (("np", np), ("scipy.special", sys.modules.get("scipy.special"))):
        if getattr(module, ufunc.__name__, None) is ufunc:
            return f"{short}.{ufunc.__name__}"
    return ufunc.__name__


def _with_keywords(session: Session, ufunc: np.ufunc, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    out = keywords.pop("out", (None,) * ufunc.nout)
    where = keywords.pop("where", True)
    dtype = keywords.pop("dtype", None)
    casting = keywords.pop("casting", "same_kind")
    for word in ("order", "subok"):  # about memory and classes, which a trace does not know
        keywords.pop(word, None)
    values = [session.lift(x) for x in inputs]
    if dtype is not None or casting != "same_kind":
        values = _cast(ufunc, values, dtype, casting)
    result: Any
    if ufunc.signature is not None:
        result = core_axes.applied(ufunc, values, keywords, lambda given: _called(session, ufunc, given))
    else:
        for word in keywords:
            raise TraceError(f"np.{ufunc.__name__}: {word}= is not supported on traced arrays")
        result = _called(session, ufunc, tuple(values))
    if ufunc.nout == 1:
        return _stored(session, ufunc, result, out[0], where)
    return tuple([_stored(session, ufunc, r, target, where) for r, target in zip(result, out, strict=True)])


def _cast(ufunc: np.ufunc, values: list[Value], dtype: Any, casting: str) -> list[Value]:
    """The operands in the dtypes that NumPy computes in. Raises DtypeError where the casting does not allow that."""
    kinds = [promote.marker(v) for v in values]
    signature = (None,) * ufunc.nin + ((None if dtype is None else np.dtype(dtype)),) * ufunc.nout
    resolved = tuple([m if isinstance(m, type) else np.dtype(m) for m in kinds]) + (None,) * ufunc.nout
    try:
        found = ufunc.resolve_dtypes(resolved, signature=signature, casting=casting)  # type: ignore[arg-type]
    except TypeError as error:
        told = str(error).split("\n", 1)[0]
        raise DtypeError(f"np.{ufunc.__name__}: {told}; convert the operands with astype") from None
    return [promote.astype(value, kind) for value, kind in zip(values, found, strict=False)]


def _stored(session: Session, ufunc: np.ufunc, result: Any, target: Any, where: Any) -> Any:
    """A result, in the array that it was asked in, where a mask says so."""
    if where is not True:
        if target is None:
            raise TraceError(
                f"np.{ufunc.__name__}: where= without out= leaves elements that were never written; "
                "use np.where(condition, result, other)"
            )
        selecting = lookup(np.where)
        assert selecting is not None
        result = selecting.call(session.lift, (where, result, target), {})
    return result if target is None else written(target, result, f"np.{ufunc.__name__}")


def written(target: Any, result: Any, name: str) -> Traced:
    """``target`` after ``out=target`` has received the result. Raises TraceError for an array made outside."""
    if not is_traced(target):
        raise TraceError(f"{name}: {PLAIN_TARGET}")
    target.assign(result)
    return target


def evaluated(session: Session, function: Any, args: Any, kwargs: Any) -> Any:
    """What NumPy itself gives where every traced array among the arguments is in truth a constant; else None."""
    constants: list[Any] = []

    def concrete(x: Any) -> Any:
        if is_traced(x):
            constants.append(x.constant())
            return constants[-1]
        if isinstance(x, Value):
            constants.append(session.concrete(x))
            return constants[-1]
        if type(x) in (list, tuple):
            return type(x)([concrete(item) for item in x])
        return x

    plain_args = [concrete(x) for x in args]
    plain_kwargs = {name: concrete(x) for name, x in kwargs.items()}
    if any(c is None for c in constants):
        return None
    return function(*plain_args, **plain_kwargs)

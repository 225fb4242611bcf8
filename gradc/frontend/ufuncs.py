"""NEP 13: NumPy's ufuncs and their methods on traced arrays."""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np

from gradc.errors import TraceError
from gradc.frontend import ufunc_methods
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


def apply(session: Session, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """What ``ufunc.method(*inputs, **keywords)`` gives: a Value, or traced arrays.

    Raises TraceError for what is not supported on traced values.
    """
    if method == "__call__":
        if not keywords:
            return _called(session, ufunc, inputs)
        return _with_keywords(session, ufunc, inputs, dict(keywords))
    if method == "reduce":
        return ufunc_methods.reduced(session, ufunc, inputs[0], dict(keywords))
    if method == "accumulate":
        return ufunc_methods.accumulated(session, ufunc, inputs[0], dict(keywords))
    if method == "reduceat":
        return ufunc_methods.reduced_at(session, ufunc, inputs[0], inputs[1], dict(keywords))
    if method == "outer" and not keywords:
        return ufunc_methods.outer(ufunc, *inputs)
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
    out = keywords.pop("out", (None,))
    where = keywords.pop("where", True)
    dtype = keywords.pop("dtype", None)
    if keywords.pop("casting", "same_kind") != "same_kind" or keywords.pop("order", "K") != "K":
        raise TraceError(f"np.{ufunc.__name__}: casting= and order= are not supported on traced arrays")
    keywords.pop("subok", None)
    if keywords:
        raise TraceError(f"np.{ufunc.__name__}: {next(iter(keywords))}= is not supported on traced arrays")
    values = [session.lift(x) for x in inputs]
    if dtype is not None:
        values = [promote.astype(value, dtype) for value in values]
    result = _called(session, ufunc, tuple(values))
    (target,) = out if len(out) == 1 else (None,)
    if len(out) > 1 and any(t is not None for t in out):
        raise TraceError(f"np.{ufunc.__name__}: out= with several arrays is not supported on traced arrays")
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

"""``type``, ``isinstance``, ``hasattr``, ``getattr`` and ``map`` as the code of a traced function has them.

Of a traced array or number they say what they say of what NumPy or Python has there: an element has no ``__len__``, a
Python float no ``shape``, and neither is an ``Iterable``. ``map`` calls what stands for
a function of NumPy, which takes no other compiled code for the user's.
"""

from __future__ import annotations

import typing
from abc import ABCMeta
from collections.abc import Callable
from typing import Any, Final

from gradc.frontend.iterators import standing_for
from gradc.frontend.methods import Flat
from gradc.frontend.selected import Selected
from gradc.frontend.session import is_traced
from gradc.frontend.sizes import Size

_SHOWN_AS_OTHERS: Final = (Size, Selected, Flat)
"""Classes, beside that of traced arrays, whose objects stand for those of another."""


class _Asking(type):
    """The class of ``TypeOf``. Its subclasses are metaclasses of the user's, which are as ``type`` would have them."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is not TypeOf:
            return type.__call__(cls, *args, **kwargs)
        if len(args) != 1 or kwargs:
            return type(*args, **kwargs)
        kind = type(args[0])
        if kind in _SHOWN_AS_OTHERS or is_traced(args[0]):
            return args[0].__class__
        return (
            TypeOf if kind in (type, _Asking) else kind
        )  # so that `type(cls) is type` holds where `type` is this class

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, type) if cls is TypeOf else type.__instancecheck__(cls, x)

    def __subclasscheck__(cls, x: Any) -> bool:
        return issubclass(x, type) if cls is TypeOf else type.__subclasscheck__(cls, x)

    def __eq__(cls, other: object) -> bool:
        return other is cls or (cls is TypeOf and other is type)

    def __hash__(cls) -> int:
        return hash(type) if cls is TypeOf else type.__hash__(cls)

    def __repr__(cls) -> str:
        return repr(type) if cls is TypeOf else type.__repr__(cls)


class TypeOf(type, metaclass=_Asking):
    """Stands for ``type`` in the globals of functions while they are traced.

    It is ``type`` in all else: it makes classes, classes derive from it, and it knows its instances.
    """


TypeOf.__name__ = TypeOf.__qualname__ = "type"
TypeOf.__module__ = "builtins"


def _is_instance(x: Any, kinds: Any) -> bool:
    """``isinstance``, by what ``x`` stands for."""
    if not is_traced(x):
        return isinstance(x, kinds)
    return any(_is_one(x, kind) for kind in _listed(kinds))


def _is_one(x: Any, kind: Any) -> bool:
    """Whether a traced array is an instance of one class. An abstract one asks the class of traced arrays, which has
    more methods than that of a number."""
    if not isinstance(x, kind):
        return False
    if not any(type(kind).__instancecheck__ is check for check in _BY_METHODS) or kind in type(x).__mro__:
        return True
    try:
        return issubclass(x.__class__, kind)
    except TypeError:  # a protocol with attributes
        return True


def _listed(kinds: Any) -> list[Any]:
    """The classes that the second argument of ``isinstance`` says."""
    parts = kinds if isinstance(kinds, tuple) else () if isinstance(kinds, type) else typing.get_args(kinds)
    return [kind for part in parts for kind in _listed(part)] if parts else [kinds]


_BY_METHODS: Final[tuple[Any, ...]] = (ABCMeta.__instancecheck__, type(typing.SupportsInt).__instancecheck__)
"""How abstract classes and protocols say what their instances are."""


def _has_attribute(x: Any, name: str) -> bool:
    """``hasattr``, by what ``x`` stands for."""
    return hasattr(x.__class__ if is_traced(x) else x, name)


def _attribute(x: Any, name: str, *default: Any) -> Any:
    """``getattr``, by what ``x`` stands for."""
    if is_traced(x) and not hasattr(x.__class__, name):
        if default:
            return default[0]
        raise AttributeError(f"{x.__class__.__name__!r} object has no attribute {name!r}", name=name, obj=x)
    return getattr(x, name, *default)


DIRECT: Final[dict[int, Callable[..., Any]]] = {}
"""What ``map`` calls in the place of stand-ins that look at who calls them, by the identity of these."""


def _mapped(function: Any, *iterables: Any) -> Any:
    return map(DIRECT[id(function)], *iterables)


BUILTINS: Final[dict[str, Any]] = {
    "type": type, "isinstance": isinstance, "hasattr": hasattr, "getattr": getattr, "map": map,
}  # fmt: skip
"""The builtins for which something else stands while a function is traced, by name."""

STAND_INS: Final = {
    id(type): TypeOf,
    id(isinstance): _is_instance,
    id(hasattr): _has_attribute,
    id(getattr): _attribute,
    id(map): standing_for(map, _mapped, lambda given: id(given[0]) in DIRECT if given else False),
}
"""What stands for them, by their identity."""

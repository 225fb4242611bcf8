"""``type``, the builtin, as the code of a traced function has it: of a traced array it gives what NumPy has there."""

from __future__ import annotations

from typing import Any, Final

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

BUILTINS: Final[dict[str, Any]] = {"type": type}
"""The builtins for which something else stands while a function is traced, by name."""

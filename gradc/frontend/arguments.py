"""The arguments of a function that is traced: how each leaf is reached, and that they are left as they are."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.bytecode import origin_of
from gradc.frontend.lines import told
from gradc.frontend.session import is_traced
from gradc.frontend.tree import TreeDef, flatten


def paths_of(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
    """The path of every leaf, from the names of the parameters: ``w['hidden'][0]``."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        parameters = []
    places: list[str] = []
    named = set()
    rest = ""
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            places += [f"{parameter.name}[{k}]" for k in range(len(args) - len(places))]
        elif parameter.kind is parameter.VAR_KEYWORD:
            rest = parameter.name
        else:
            named.add(parameter.name)
            if parameter.kind is not parameter.KEYWORD_ONLY:
                places.append(parameter.name)
    places += [f"x{k}" for k in range(len(places), len(args))]
    found: list[str] = []
    for place, argument in zip(places, args, strict=False):
        found += flatten(argument)[1].paths(place)
    for name, argument in kwargs.items():
        found += flatten(argument)[1].paths(f"{rest}[{name!r}]" if rest and name not in named else name)
    return found


def check_arguments(
    function: Callable[..., Any],
    own: tuple[Sequence[Any], Sequence[str], TreeDef],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Raise TraceError where the function has put something else into its arguments than their ``own``.

    These are the leaves, how each is reached, and their structure.
    """
    leaves, tree = flatten((args, kwargs))
    if tree == own[2] and all(x is y for x, y in zip(leaves, own[0], strict=True)):
        return
    given = dict(zip(own[1], own[0], strict=True))
    paths = paths_of(function, args, kwargs)
    changed = [p for p, x in zip(paths, leaves, strict=True) if given.get(p, leaves) is not x]
    path = [*changed, *[p for p in given if p not in paths], *paths][0]
    root = _root(path)
    if _is_memo(function, root, given) and all(
        _is_constant_array(x) for p, x in zip(paths, leaves, strict=True) if _root(p) == root
    ):
        return
    code = getattr(function, "__code__", None)
    line = "" if code is None else told(origin_of(code, code.co_firstlineno, function.__globals__))
    raise TraceError(
        f"the function changes {path} of its argument, and that of the caller would stay; copy it first, as in "
        f"{root} = copy.deepcopy({root}), and return it",
        line=line,
    )


def _is_memo(function: Callable[..., Any], name: str, given: Mapping[str, Any]) -> bool:
    """Whether an argument is the empty dict that is the default of its parameter: a cache."""
    parameters = inspect.signature(function).parameters
    default = parameters[name].default if name in parameters else None
    return isinstance(default, dict) and not any(_root(p) == name for p in given)


def _is_constant_array(x: Any) -> bool:
    if not is_traced(x):
        return isinstance(x, np.ndarray)
    return not x.scalar and x.session.concrete(x.current(), fixing=False) is not None


def _root(path: str) -> str:
    """The parameter that a path begins with."""
    return re.split(r"[.\[]", path)[0]

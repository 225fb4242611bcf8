"""The arguments that a function is compiled for: from --spec, example_args, annotations, or scalars of f64."""

from __future__ import annotations

import ast
import inspect
import itertools
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradc.cli.failure import Failure, UserCode
from gradc.cli.source import Target
from gradc.errors import DtypeError, ParseError
from gradc.frontend.tree import flatten
from gradc.ir.aval import Aval, aval, aval_of

SCALAR = aval("f64[]")

_SPEC = re.compile(
    r"""\s* ([^\W\d]\w*) ((?: \.[^\W\d]\w* | \[\d+\] | \['[^']*'\] | \["[^"]*"\] )*) \s* = \s* (.+)""", re.X
)
_STEP = re.compile(r"""\.(\w+) | \[(\d+)\] | \['([^']*)'\] | \["([^"]*)"\]""", re.X)


@dataclass(frozen=True)
class Arguments:
    """Values by parameter (arrays, numbers, avals and trees of them), and where they come from.

    ``guessed`` are the parameters of which nothing was known: scalars of f64 stand for them.
    """

    values: dict[str, Any]
    sources: dict[str, str]
    guessed: tuple[str, ...]
    signature: inspect.Signature

    def in_dtype(self, dtype: np.dtype) -> Arguments:
        """The same with every floating-point number and array in another precision."""

        def converted(leaf: Any) -> Any:
            if isinstance(leaf, Aval):
                return leaf.with_dtype(dtype) if leaf.is_float else leaf
            if isinstance(leaf, float) and not isinstance(leaf, np.generic):
                return dtype.type(leaf)
            if isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind == "f":
                return leaf.astype(dtype)
            return leaf

        values = {}
        for name, value in self.values.items():
            leaves, tree = flatten(value, _is_aval)
            values[name] = tree.unflatten([converted(leaf) for leaf in leaves])
        return replace(self, values=values)

    def bound(self) -> inspect.BoundArguments:
        """The arguments as a call binds them."""
        bound = inspect.BoundArguments(self.signature, {})
        bound.arguments.update((name, self.values[name]) for name in self.signature.parameters if name in self.values)
        return bound

    def described(self) -> str:
        """One line: what is assumed of each argument, and on whose word."""
        parts = []
        for source, names in itertools.groupby(self.sources, key=self.sources.__getitem__):
            leaves = [leaf for name in names for leaf in describe(name, self.values[name])]
            groups = itertools.groupby(leaves, key=operator.itemgetter(1))
            parts.append(
                "; ".join(f"{', '.join(p for p, _ in group)}: {what}" for what, group in groups) + f" ({source})"
            )
        return "; ".join(parts)

    def differentiable(self) -> tuple[str, ...]:
        """The parameters whose leaves are all floating-point numbers; Python ints count as numbers."""
        return tuple(
            name
            for name, value in self.values.items()
            if (leaves := flatten(value, _is_aval)[0]) and all(_is_number(leaf) for leaf in leaves)
        )


def arguments_of(target: Target, specs: Sequence[str]) -> Arguments:
    """What the function of ``target`` is to be compiled for. Raises Failure for a --spec that does not fit."""
    signature = target.signature
    given = _from_specs(target, signature, specs)
    example = example_of(target) if set(given) != set(signature.parameters) else {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    guessed = []
    for name, parameter in signature.parameters.items():
        annotated = _annotation(parameter)
        if name in given:
            values[name], sources[name] = given[name], "--spec"
        elif name in example:
            values[name], sources[name] = example[name], "example_args"
        elif annotated is not None:
            values[name], sources[name] = annotated, "annotation"
        elif parameter.default is not parameter.empty:
            values[name], sources[name] = parameter.default, "default"
        elif parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            values[name], sources[name] = SCALAR, "assumed"
            guessed.append(name)
    return Arguments(values, sources, tuple(guessed), signature)


def example_of(target: Target) -> dict[str, Any]:
    """The arguments that the file's ``example_args`` gives for the function, by parameter; none where they do not fit.

    ``example_args`` returns a tuple of positional arguments or a dict by name. A file may hold several functions: an
    example that does not bind to this one is not for it.
    """
    if target.example is None:
        return {}
    with UserCode(target.path):
        found = target.example()
    if not isinstance(found, (tuple, Mapping)):
        raise Failure(f"example_args of {target.path.name} returns a {type(found).__name__}, not a tuple or a dict")
    try:
        bound = target.signature.bind(**found) if isinstance(found, Mapping) else target.signature.bind(*found)
    except TypeError:
        return {}
    return dict(bound.arguments)


def describe(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each leaf of an argument and what it is: ``("w['hidden']", "f64[4,2]")``; a Python number by its type."""
    leaves, tree = flatten(value, _is_aval)
    for path, leaf in zip(tree.paths(name), leaves, strict=True):
        yield path, _shown(leaf)


def _shown(leaf: Any) -> str:
    if isinstance(leaf, (bool, int, float)) and not isinstance(leaf, np.generic):
        return type(leaf).__name__
    try:
        return str(leaf if isinstance(leaf, Aval) else aval_of(leaf))
    except DtypeError:
        return repr(leaf)


def _is_aval(leaf: Any) -> bool:
    return isinstance(leaf, Aval)


def _is_number(leaf: Any) -> bool:
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        return True
    try:
        return (leaf if isinstance(leaf, Aval) else aval_of(leaf)).is_float
    except DtypeError:
        return False


def _annotation(parameter: inspect.Parameter) -> Aval | None:
    """The aval that an annotation is or states: gradc.aval(...), a string such as "f64[2,3]", or float."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        # Under ``from __future__ import annotations`` a string stands in quotes of its own.
        text = annotation.strip().strip("'\"")
        if text == "float":
            return SCALAR
        try:
            return aval(text)
        except ParseError:
            return None
    if isinstance(annotation, Aval):
        return annotation
    return SCALAR if annotation is float else None


def _from_specs(target: Target, signature: inspect.Signature, specs: Sequence[str]) -> dict[str, Any]:
    trees: dict[str, Any] = {}
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise Failure(f"--spec {spec!r} is not NAME=AVAL; write for example 'x=f64[2,3]' or 'w.hidden=f64[4,2]'")
        name, steps, text = match.groups()
        if name not in signature.parameters:
            raise Failure(
                f"--spec {spec!r}: {target.name} has no argument {name!r}, only {', '.join(signature.parameters)}"
            )
        _plant(trees, [name, *_steps(steps)], _leaf(spec, text), spec)
    return {name: _grown(tree) for name, tree in trees.items()}


def _steps(text: str) -> list[str | int]:
    return [int(m[2]) if m[2] else m[1] or m[3] or m[4] or "" for m in _STEP.finditer(text)]


def _leaf(spec: str, text: str) -> Any:
    """An aval, or the literal of a static argument such as 3 or True."""
    try:
        return aval(text)
    except ParseError as error:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            if text.lstrip().startswith(("{", "[", "(")):
                name = spec.partition("=")[0].strip()
                raise Failure(
                    f"--spec {spec!r}: what holds arrays takes a --spec for each of them, such as "
                    f"'{name}.hidden=f64[4,2]' in a dict or '{name}[0]=f64[4,2]' in a list"
                ) from error
            raise Failure(f"--spec {spec!r}: {error}") from error


class _Node(dict[str | int, Any]):
    """A container while its entries come in."""


def _plant(tree: dict[Any, Any], path: Sequence[str | int], leaf: Any, spec: str) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(step, _Node())
        if not isinstance(tree, _Node):
            raise Failure(f"--spec {spec!r}: {step!r} is an array already, by an earlier --spec")
    if path[-1] in tree:
        raise Failure(f"--spec {spec!r}: this argument was given already")
    tree[path[-1]] = leaf


def _grown(tree: Any) -> Any:
    """Entries 0, 1, 2, ... make a list, others a dict."""
    if not isinstance(tree, _Node):
        return tree
    if set(tree) == set(range(len(tree))):
        return [_grown(tree[k]) for k in range(len(tree))]
    return {key: _grown(child) for key, child in tree.items()}

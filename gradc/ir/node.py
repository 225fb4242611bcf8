"""What a graph is made of: nodes, the user's source lines, the log of laws, and the keys that make equal nodes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from gradc.errors import GradcError
from gradc.ir.aval import Aval
from gradc.ir.op import Op, register


class Origin(NamedTuple):
    """A place in the user's source: file name as shown, line number, the text of the line."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Fired(NamedTuple):
    """One firing of a law: its name, the node that it replaced (printed), the replacement, the user's lines."""

    law: str
    before: str
    after: str
    origins: tuple[Origin, ...]
    result: int


class Node(NamedTuple):
    """An application of an op. ``operands`` are ids of earlier nodes."""

    id: int
    op: Op
    operands: tuple[int, ...]
    params: dict[str, Any]
    aval: Aval


def _infer_input(*, aval: Aval, **_: Any) -> Aval:
    return aval


def _evaluate_input(**_: Any) -> Any:
    raise GradcError("an input has no value of its own")


def _infer_constant(*, value: np.ndarray, weak: bool = False) -> Aval:
    return Aval(tuple(value.shape), value.dtype, weak)


def _evaluate_constant(*, value: np.ndarray, weak: bool = False) -> np.ndarray:
    return value


INPUT = register(Op("input", _infer_input, _evaluate_input))
CONSTANT = register(Op("constant", _infer_constant, _evaluate_constant))


@dataclass
class Tables:
    """Facts about nodes that are many-to-one: they survive passes by union."""

    names: dict[int, str]
    origins: dict[int, tuple[Origin, ...]]
    cotangents: dict[int, int]

    @staticmethod
    def empty() -> Tables:
        return Tables({}, {}, {})


class Params(dict[str, Any]):
    """The static keywords of a node. Nodes are made again and again from the same ones, so the key is kept."""

    __slots__ = ("_key",)
    _key: tuple[Any, ...]

    @property
    def key(self) -> tuple[Any, ...]:
        """What stands for the keywords in the key of a node."""
        try:
            return self._key
        except AttributeError:
            self._key = tuple([(k, _frozen(self[k])) for k in sorted(self)])
            return self._key


def new_node(index: int, op: Op, operands: tuple[int, ...], params: dict[str, Any], aval: Aval) -> Node:
    """A node, without the cost of a NamedTuple's constructor."""
    return tuple.__new__(Node, (index, op, operands, params, aval))


def node_key(op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """Typed and bitwise, so that True, 1, 1.0 and 0.0, -0.0 stay apart."""
    if op.commutative and len(ids) >= 2 and ids[0] > ids[1]:
        ids = (ids[1], ids[0], *ids[2:])
    if not params:
        return (op.name, ids)
    return (op.name, ids, params.key if type(params) is Params else Params(params).key)


_INTS: Final = {int}


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.str, value.shape, value.tobytes())
    if type(value) is tuple and {*map(type, value)} <= _INTS:
        return value  # no other tuple of ints is among keys
    if isinstance(value, (tuple, list)):
        return tuple([_frozen(v) for v in value])
    if isinstance(value, float):
        return ("float", np.float64(value).tobytes())
    return (type(value).__name__, value)

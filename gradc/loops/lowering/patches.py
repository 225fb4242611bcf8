"""Contractions with the patches of an array, as of a convolution, told as contractions with its windows.

Patches are a concatenation of slices of one array that begin at equal steps (``im2col``), or a gather by indices that
count so, reshaped to a matrix. That would be an array of its own, several times as large as the one that it repeats.
With a letter for each axis of the windows in place of one for several, a contraction reads the array where it stands.
It is done where the other operand and the result are dense along a letter of their own, as kernels and channels that
come last are: vectors run along it, whatever the windows are.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradc.ir.aval import Dim, size_of
from gradc.ir.graph import Value
from gradc.ir.node import Node
from gradc.loops.lowering.windows import Steps, windows
from gradc.ops.contraction import contract
from gradc.ops.index import index_position
from gradc.ops.shape import concatenate, reshape, reshaped, slice_, transpose

LEAST_COLUMNS: Final = 4
WIDE_BYTES: Final = 64
WHOLE_BYTES: Final = 32
SHORT_RUN: Final = 4
"""Fewer columns than the first number want vectors along the rows of patches. So do rows of less than the second number
of bytes that are no multiple of the third, unless patches are written in pieces of fewer elements than the last: those
take longer to write than is lost. Measured (Zen 4) on convolutions of 1 to 128 channels with 1 to 128 columns."""


@dataclass(frozen=True, slots=True)
class Patches:
    """An operand as windows: a value with more axes, of which each axis of the operand is ``groups[axis]`` in one."""

    windows: Value
    groups: tuple[int, ...]

    def lengths(self, axis: int) -> tuple[Dim, ...]:
        """The lengths of the axes of the windows that an axis of the operand is."""
        start = sum(self.groups[:axis])
        return self.windows.aval.shape[start : start + self.groups[axis]]


def contraction_of_windows(operands: Sequence[Value], params: dict[str, Any], result: tuple[Dim, ...]) -> Value | None:
    """A contraction that has patches for an operand as one with windows; None where it has not, or nothing is won."""
    words = [params["lhs"], params["rhs"]]
    for position, x in enumerate(operands):
        other = operands[1 - position]
        if not _is_dense(words[position], words[1 - position], params["out"], other):
            continue
        found = _patches(x)
        if found is not None and _counts(found, words[position], params["out"]) and _pays(found, other):
            return _told(found, other, position, params, result)
    return None


def _is_dense(word: str, other: str, out: str, x: Value) -> bool:
    """Whether the other operand ``x`` and the result are dense along a letter that the patches lack."""
    if not other or other[-1:] != out[-1:] or other[-1] in word:
        return False
    columns = x.aval.shape[-1]
    return isinstance(columns, int) and columns >= LEAST_COLUMNS


def _counts(found: Patches, word: str, out: str) -> bool:
    """Whether the axes that are summed have known lengths, but perhaps for the one around all others."""
    summed = [axis for axis, letter in enumerate(word) if letter not in out]
    inside = [length for axis in summed for length in found.lengths(axis)[axis == 0 :]]
    return all(isinstance(length, int) for length in inside)


def _pays(found: Patches, other: Value) -> bool:
    """Whether vectors along the columns of the other operand are full enough."""
    row = int(other.aval.shape[-1]) * other.aval.dtype.itemsize
    run = found.windows.aval.shape[-1]
    return row >= WIDE_BYTES or row % WHOLE_BYTES == 0 or (isinstance(run, int) and run < SHORT_RUN)


def _told(found: Patches, other: Value, position: int, params: dict[str, Any], result: tuple[Dim, ...]) -> Value | None:
    """The contraction with windows at ``position``; None where letters do not suffice."""
    words = [params["lhs"], params["rhs"]]
    free = [letter for letter in string.ascii_letters if letter not in words[0] + words[1]]
    if sum(found.groups) > len(free):
        return None
    letters = iter(free)
    several = {x: "".join(itertools.islice(letters, n)) for x, n in zip(words[position], found.groups, strict=True)}
    lengths = {x: found.lengths(axis) for axis, x in enumerate(words[position])}
    shape = [d for x, n in zip(words[1 - position], other.aval.shape, strict=True) for d in lengths.get(x, (n,))]
    both = [found.windows, reshaped(other, tuple(shape))]
    lhs, rhs, out = ("".join(several.get(x, x) for x in word) for word in (*words, params["out"]))
    return reshaped(contract(*both[:: 1 - 2 * position], lhs=lhs, rhs=rhs, out=out), result)


def _patches(x: Value) -> Patches | None:
    """A value as windows of another, which no strides into that express as it is; None where it is something else."""
    builder, node = x.builder, x.node
    source = builder.value(node.operands[0]) if node.op is reshape else x
    if source.node.op is windows:
        if source.id == x.id:
            return None
        found = source
    elif source.node.op is concatenate:
        slices = _slices_of(builder.nodes, source.node)
        if slices is None:
            return None
        found = slices.windows(builder.value(slices.source))
    else:
        return None
    groups = _groups(found.aval.shape, x.aval.shape)
    return Patches(found, groups) if groups is not None else None


def _groups(lengths: Sequence[Dim], shape: Sequence[Dim]) -> tuple[int, ...] | None:
    """How many axes in order make each axis of ``shape``; None where some would have to be cut."""
    groups: list[int] = []
    start = 0
    for length in shape:
        stop = start + 1
        while stop < len(lengths) and size_of(tuple(lengths[start:stop])) != length:
            stop += 1
        groups.append(stop - start)
        start = stop
    while groups and start < len(lengths) and lengths[start] == 1:
        groups[-1] += 1
        start += 1
    parts = itertools.pairwise(itertools.accumulate(groups, initial=0))
    whole = start == len(lengths) and [size_of(tuple(lengths[a:b])) for a, b in parts] == list(shape)
    return tuple(groups) if whole and all(groups) else None


@dataclass(frozen=True, slots=True)
class _Slices:
    """Slices of one value that begin at equal steps.

    source  the value
    first   the parameters of the slice that comes first
    counts  how many slices begin along an axis of the value, and how far apart, the axis that changes last first
    axis    along which they are concatenated
    shape   what is concatenated: a slice, perhaps with more or fewer axes of one place
    """

    source: int
    first: dict[str, Any]
    counts: dict[int, tuple[int, int]]
    axis: int
    shape: tuple[Dim, ...]

    def windows(self, x: Value) -> Value:
        """The value's windows: axes as of the slices, those of the windows' places where they are concatenated."""
        starts, sizes, steps = (self.first[key] for key in ("starts", "sizes", "steps"))
        axes, order = sorted(self.counts), list(self.counts)
        rest = {
            "starts": tuple(0 if a in axes else s for a, s in enumerate(starts)),
            "sizes": tuple(x.aval.shape[a] if a in axes else d for a, d in enumerate(sizes)),
            "steps": tuple(1 if a in axes else s for a, s in enumerate(steps)),
        }
        if rest["sizes"] != x.aval.shape or set(rest["steps"]) != {1}:
            x = slice_(x, **rest)
        shape = (*[int(sizes[a]) for a in axes], *[self.counts[a][0] for a in order])
        tables: list[Steps] = []
        for a in axes:
            places = [steps[a] if b == a else 0 for b in axes] + [self.counts[a][1] if b == a else 0 for b in order]
            tables.append((int(starts[a]), tuple(places)))
        found = windows(x, axes=tuple(axes), tables=tuple(tables), shape=shape)
        moved = self._order(sizes, axes)
        return found if moved == tuple(range(len(moved))) else transpose(found, axes=moved)

    def _order(self, sizes: Sequence[Dim], axes: list[int]) -> tuple[int, ...]:
        """Where each axis, in the order of the concatenation, is among those that the windows come with."""
        begin = index_position(tuple(axes))
        others = [a for a in range(len(sizes)) if a not in axes]
        places = {a: begin + k for k, a in enumerate(axes)}
        places |= {a: k if k < begin else k + len(axes) + len(self.counts) for k, a in enumerate(others)}
        before = 0
        for length in self.shape[: self.axis]:
            before = _next(sizes, before, length)
        window = [begin + len(axes) + k for k in range(len(self.counts))]
        kept = [places[a] for a in range(len(sizes))]
        return (*kept[:before], *window, *kept[before:])


def _slices_of(nodes: Sequence[Node], node: Node) -> _Slices | None:
    """The slices that a concatenation is made of; None where it is of something else, or they begin otherwise."""
    axis = node.params["axis"]
    parts = [_slice(nodes, nodes[i]) for i in node.operands]
    slices = [part for part in parts if part is not None]
    if len(slices) < len(parts) or len(parts) < 2 or len({nodes[i].aval.shape for i in node.operands}) > 1:
        return None
    first = slices[0]
    if any(part.operands != first.operands or part.aval.shape != first.aval.shape for part in slices):
        return None
    starts = [part.params["starts"] for part in slices]
    if any(part.params["steps"] != first.params["steps"] for part in slices) or 0 in first.aval.shape:
        return None
    moving = [a for a in range(first.aval.ndim) if any(start[a] != starts[0][a] for start in starts)]
    fixed = all(isinstance(start[a], int) and isinstance(first.aval.shape[a], int) for start in starts for a in moving)
    for order in itertools.permutations(moving) if fixed and len(moving) <= 3 else ():
        counts = _counted([tuple(int(start[a]) for a in order) for start in starts])
        if counts is not None:
            shape = nodes[node.operands[0]].aval.shape
            return _Slices(first.operands[0], first.params, dict(zip(order, counts, strict=True)), axis, shape)
    return None


def _next(sizes: Sequence[Dim], start: int, length: Dim) -> int:
    """The axis after the one of ``length``, from ``start`` on, where others of one place may stand before it."""
    while length != 1 and sizes[start] != length:
        start += 1
    return start + (start < len(sizes) and sizes[start] == length)


def _slice(nodes: Sequence[Node], node: Node) -> Node | None:
    """The slice that a piece is, perhaps with more or fewer axes of one place; None where it is something else."""
    found = nodes[node.operands[0]] if node.op is reshape else node
    shapes = [[d for d in each.aval.shape if d != 1] for each in (found, node)]
    return found if found.op is slice_ and shapes[0] == shapes[1] else None


def _counted(places: Sequence[tuple[int, ...]]) -> list[tuple[int, int]] | None:
    """How many steps places make along each axis, the last one first, and how long they are; None where they differ."""
    columns = list(zip(*places, strict=True))
    counts = []
    for column in columns:
        values = list(dict.fromkeys(column))
        step = values[1] - values[0]
        if step < 1 or values != [values[0] + k * step for k in range(len(values))]:
            return None
        counts.append((len(values), step))
    expected = itertools.product(*[range(c[0], c[0] + n * s, s) for c, (n, s) in zip(columns, counts, strict=True)])
    return counts if list(expected) == list(places) else None

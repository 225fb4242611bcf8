"""Index algebra of the lowering: integer forms of loop axes in a normal form that can be compared.

An index is an ``int`` or an ``Index``, a sum of integer multiples of atoms. The rules of view ops (``Op.loops`` in
``gradc.ops.shape``) are plain arithmetic on these, and the normal form undoes what reshapes do: flattening and
unflattening again gives back the very axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradc.loops.program import Expression, b


@dataclass(frozen=True, slots=True)
class Axis:
    """The loop variable of axis ``position`` of a stage, from 0 to ``extent - 1``."""

    position: int
    extent: int


@dataclass(frozen=True, slots=True)
class Quotient:
    """``of // by``."""

    of: Index
    by: int


@dataclass(frozen=True, slots=True)
class Remainder:
    """``of % by``."""

    of: Index
    by: int


@dataclass(frozen=True, slots=True)
class Datum:
    """An index that is data: the element ``at`` of ``node``, into axis ``axis`` of length ``extent`` of an array.

    Negative ones count from the end.
    """

    node: int
    at: Indices
    extent: int
    axis: int


Atom = Axis | Quotient | Remainder | Datum


class Index:
    """A sum of integer multiples of atoms and an integer, with at least one atom. Compared and hashed by value."""

    __slots__ = ("_hash", "atoms", "constant", "range")

    def __init__(self, atoms: dict[Atom, int], constant: int) -> None:
        self.atoms = atoms
        self.constant = constant
        self._hash = hash((frozenset(atoms.items()), constant))
        low = high = constant
        for atom, factor in atoms.items():
            ends = [factor * end for end in _range(atom)]
            low, high = low + min(ends), high + max(ends)
        self.range = (low, high)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Index)
            and self._hash == other._hash
            and self.constant == other.constant
            and self.atoms == other.atoms
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Index({self.atoms}, {self.constant})"

    def __add__(self, other: AnyIndex) -> AnyIndex:
        if isinstance(other, int):
            return Index(self.atoms, self.constant + other) if other else self
        atoms = dict(self.atoms)
        for atom, factor in other.atoms.items():
            atoms[atom] = atoms.get(atom, 0) + factor
        return _rejoined(atoms, self.constant + other.constant)

    __radd__ = __add__

    def __mul__(self, other: int) -> AnyIndex:
        if other == 1:
            return self
        return _made({atom: factor * other for atom, factor in self.atoms.items()}, self.constant * other)

    __rmul__ = __mul__

    def __sub__(self, other: AnyIndex) -> AnyIndex:
        return self + other * -1

    def __rsub__(self, other: int) -> AnyIndex:
        return self * -1 + other

    def __floordiv__(self, by: int) -> AnyIndex:
        whole, rest = self._split(by)
        if isinstance(rest, int):
            return whole + rest // by
        low, high = rest.range
        if low // by == high // by:
            return whole + low // by
        shared = math.gcd(by, *rest.atoms.values())
        if shared > 1:
            atoms = {atom: factor // shared for atom, factor in rest.atoms.items()}
            return whole + _made(atoms, rest.constant // shared) // (by // shared)
        if rest.constant == 0 and len(rest.atoms) == 1:
            ((atom, factor),) = rest.atoms.items()
            if isinstance(atom, Quotient) and factor == 1:
                return whole + _made({Quotient(atom.of, atom.by * by): 1}, 0)
        return whole + _made({Quotient(rest, by): 1}, 0)

    def __mod__(self, by: int) -> AnyIndex:
        _, rest = self._split(by)
        if isinstance(rest, int):
            return rest % by
        low, high = rest.range
        if low // by == high // by:
            return rest - low // by * by
        return _made({Remainder(rest, by): 1}, 0)

    def _split(self, by: int) -> tuple[AnyIndex, AnyIndex]:
        """``whole, rest`` with ``self == whole * by + rest``: the multiples of ``by`` are in ``whole``."""
        whole = {atom: factor // by for atom, factor in self.atoms.items() if factor % by == 0}
        rest = {atom: factor for atom, factor in self.atoms.items() if factor % by != 0}
        return _made(whole, self.constant // by), _made(rest, self.constant % by)


AnyIndex = Index | int
Indices = tuple[AnyIndex, ...]


def axis(position: int, extent: int) -> AnyIndex:
    """The index that runs along an axis; 0 where the axis has one element."""
    return 0 if extent == 1 else Index({Axis(position, extent): 1}, 0)


def datum(node: int, at: Indices, extent: int, axis: int) -> AnyIndex:
    """The index that is the element ``at`` of a node, into an axis of an array."""
    return Index({Datum(node, at, extent, axis): 1}, 0)


def flat_index(indices: Indices, shape: Sequence[int]) -> AnyIndex:
    """The place of an element, counted row by row."""
    flat: AnyIndex = 0
    for index, length in zip(indices, shape, strict=True):
        flat = flat * length + index
    return flat


def axes_of(indices: Indices) -> set[int]:
    """The positions of the axes that the indices depend on."""
    found: set[int] = set()
    for index in indices:
        if isinstance(index, Index):
            for atom in index.atoms:
                match atom:
                    case Axis(position=position):
                        found.add(position)
                    case Datum(at=at):
                        found |= axes_of(at)
                    case _:
                        found |= axes_of((atom.of,))
    return found


def is_data(indices: Indices) -> bool:
    """Whether an index among them is data."""
    return any(
        isinstance(atom, Datum) or (not isinstance(atom, Axis) and is_data((atom.of,)))
        for index in indices
        if isinstance(index, Index)
        for atom in index.atoms
    )


def strides_of(index: AnyIndex, positions: int) -> tuple[list[int], int] | None:
    """The factor of each axis, and the constant, of an affine index; None where it is not affine."""
    strides = [0] * positions
    if isinstance(index, int):
        return strides, index
    for atom, factor in index.atoms.items():
        if not isinstance(atom, Axis):
            return None
        strides[atom.position] = factor
    return strides, index.constant


def express(index: AnyIndex, atom_of: Callable[[Axis | Datum], Expression]) -> Expression:
    """The index as an expression; ``atom_of`` gives the expression of an axis or a datum."""
    if isinstance(index, int):
        return b.constant(index)
    terms = sorted(index.atoms.items(), key=lambda term: -term[1])
    negative = terms[0][1] < 0
    result: Expression | None = b.constant(index.constant) if negative else None
    for atom, factor in terms:
        part = _expressed(atom, atom_of)
        if factor not in (1, -1):
            part = b.mul(part, abs(factor))
        join = b.add if factor > 0 else b.sub
        result = part if result is None else join(result, part)
    assert result is not None, "an Index has at least one atom"
    return result if negative or not index.constant else b.add(result, index.constant)


def _expressed(atom: Atom, atom_of: Callable[[Axis | Datum], Expression]) -> Expression:
    match atom:
        case Quotient(of=of, by=by):
            return b.floor_div(express(of, atom_of), by)
        case Remainder(of=of, by=by):
            return b.mod(express(of, atom_of), by)
        case _:
            return atom_of(atom)


def _range(atom: Atom) -> tuple[int, int]:
    match atom:
        case Axis(extent=extent) | Datum(extent=extent):
            return 0, max(extent - 1, 0)
        case Quotient(of=of, by=by):
            return of.range[0] // by, of.range[1] // by
        case Remainder(by=by):
            return 0, by - 1


def _made(atoms: dict[Atom, int], constant: int) -> AnyIndex:
    left = {atom: factor for atom, factor in atoms.items() if factor}
    return Index(left, constant) if left else constant


def _rejoined(atoms: dict[Atom, int], constant: int) -> AnyIndex:
    """``f * (e % m) + f * m * (e // m)`` is ``f * e``: an index taken apart by a reshape becomes whole again."""
    for atom, factor in atoms.items():
        if not isinstance(atom, Remainder):
            continue
        quotient = atom.of // atom.by
        if isinstance(quotient, int) or quotient.constant or len(quotient.atoms) != 1:
            continue
        ((other, one),) = quotient.atoms.items()
        if one == 1 and atoms.get(other) == factor * atom.by:
            rest = {a: f for a, f in atoms.items() if a not in (atom, other)}
            return _made(rest, constant) + atom.of * factor
    return _made(atoms, constant)


def is_split(indices: Indices) -> bool:
    """Whether an index among them has a quotient or a remainder."""
    return any(
        isinstance(atom, (Quotient, Remainder)) for index in indices if isinstance(index, Index) for atom in index.atoms
    )

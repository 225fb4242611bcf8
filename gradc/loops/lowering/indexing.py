"""Index algebra of the lowering: integer forms of loop axes in a normal form that can be compared.

An index is a size or an ``Index``, a sum of multiples of atoms. The rules of view ops (``Op.loops`` in
``gradc.ops.shape``) are plain arithmetic on these, and the normal form undoes what reshapes do: flattening and
unflattening again gives back the very axes. Factors and constants may be symbolic sizes; what is known of them is what
their form tells (``is_nonnegative``), and that they are not 0 inside a loop over them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradc.ir.aval import Dim, is_nonnegative
from gradc.loops.language.program import Expression, b, size


@dataclass(frozen=True, slots=True)
class Axis:
    """The loop variable of axis ``position`` of a stage, from 0 to ``extent - 1``."""

    position: int
    extent: Dim


@dataclass(frozen=True, slots=True)
class Quotient:
    """``of // by``."""

    of: Index
    by: Dim


@dataclass(frozen=True, slots=True)
class Remainder:
    """``of % by``."""

    of: Index
    by: Dim


@dataclass(frozen=True, slots=True)
class Datum:
    """An index that is data: the element ``at`` of ``node``, into axis ``axis`` of length ``extent`` of an array.

    Negative ones count from the end.
    """

    node: int
    at: Indices
    extent: Dim
    axis: int


Atom = Axis | Quotient | Remainder | Datum
Range = tuple[Dim, Dim] | None
"""The smallest and the largest value; None where the forms of sizes do not tell."""


class Index:
    """A sum of multiples of atoms and a constant, with at least one atom. Compared and hashed by value."""

    __slots__ = ("_hash", "atoms", "constant", "range")

    def __init__(self, atoms: dict[Atom, Dim], constant: Dim) -> None:
        self.atoms = atoms
        self.constant = constant
        self._hash = hash((frozenset(atoms.items()), constant))
        self.range = _sum_range(atoms, constant)

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
        if not isinstance(other, Index):
            return Index(self.atoms, self.constant + other) if other != 0 else self
        atoms = dict(self.atoms)
        for atom, factor in other.atoms.items():
            atoms[atom] = atoms.get(atom, 0) + factor
        return _rejoined(atoms, self.constant + other.constant)

    __radd__ = __add__

    def __mul__(self, other: Dim) -> AnyIndex:
        if other == 1:
            return self
        return _made({atom: factor * other for atom, factor in self.atoms.items()}, self.constant * other)

    __rmul__ = __mul__

    def __sub__(self, other: AnyIndex) -> AnyIndex:
        return self + other * -1

    def __rsub__(self, other: Dim) -> AnyIndex:
        return self * -1 + other

    def __floordiv__(self, by: Dim) -> AnyIndex:
        whole, rest = self._split(by)
        if not isinstance(rest, Index):
            return whole + _floor(rest, by)
        common = rest._common_quotient(by)
        if common is not None:
            return whole + common
        shared = _common_factor(by, rest.atoms)
        if shared > 1:
            atoms = {atom: factor // shared for atom, factor in rest.atoms.items()}
            return whole + _made(atoms, rest.constant // shared) // (by // shared)
        if rest.constant == 0 and len(rest.atoms) == 1:
            ((atom, factor),) = rest.atoms.items()
            if isinstance(atom, Quotient) and factor == 1:
                return whole + _made({Quotient(atom.of, atom.by * by): 1}, 0)
        return whole + _made({Quotient(rest, by): 1}, 0)

    def __mod__(self, by: Dim) -> AnyIndex:
        _, rest = self._split(by)
        if not isinstance(rest, Index):
            return rest % by
        common = rest._common_quotient(by)
        if common is not None:
            return rest - common * by
        return _made({Remainder(rest, by): 1}, 0)

    def _split(self, by: Dim) -> tuple[AnyIndex, AnyIndex]:
        """``whole, rest`` with ``self == whole * by + rest``: the multiples of ``by`` are in ``whole``."""
        whole = {atom: factor // by for atom, factor in self.atoms.items() if factor % by == 0}
        rest = {atom: factor for atom, factor in self.atoms.items() if factor % by != 0}
        times, left = _divided(self.constant, by)
        return _made(whole, times), _made(rest, left)

    def _common_quotient(self, by: Dim) -> Dim | None:
        """``value // by`` where it is the same for all values of the index; None where it is not, or is not known."""
        if self.range is None:
            return None
        low, high = self.range
        if isinstance(low, int) and isinstance(high, int) and isinstance(by, int):
            return low // by if low // by == high // by else None
        for quotient in (0, -1):
            if is_nonnegative(low - quotient * by) and is_nonnegative((quotient + 1) * by - 1 - high):
                return quotient
        return None


AnyIndex = Index | Dim
Indices = tuple[AnyIndex, ...]


def axis(position: int, extent: Dim) -> AnyIndex:
    """The index that runs along an axis; 0 where the axis has one element."""
    return 0 if extent == 1 else Index({Axis(position, extent): 1}, 0)


def datum(node: int, at: Indices, extent: Dim, axis: int) -> AnyIndex:
    """The index that is the element ``at`` of a node, into an axis of an array."""
    return Index({Datum(node, at, extent, axis): 1}, 0)


def flat_index(indices: Indices, shape: Sequence[Dim]) -> AnyIndex:
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


def strides_of(index: AnyIndex, positions: int) -> tuple[list[Dim], Dim] | None:
    """The factor of each axis, and the constant, of an affine index; None where it is not affine."""
    strides: list[Dim] = [0] * positions
    if not isinstance(index, Index):
        return strides, index
    for atom, factor in index.atoms.items():
        if not isinstance(atom, Axis):
            return None
        strides[atom.position] = factor
    return strides, index.constant


def express(index: AnyIndex, atom_of: Callable[[Axis | Datum], Expression]) -> Expression:
    """The index as an expression; ``atom_of`` gives the expression of an axis or a datum."""
    if not isinstance(index, Index):
        return size(index)
    terms = sorted(index.atoms.items(), key=lambda term: _rank(term[1]))
    negative = _is_negative(terms[0][1])
    result: Expression | None = size(index.constant) if negative else None
    for atom, factor in terms:
        part = _expressed(atom, atom_of)
        if factor not in (1, -1):
            part = b.mul(part, size(-factor if _is_negative(factor) else factor))
        join = b.sub if _is_negative(factor) else b.add
        result = part if result is None else join(result, part)
    assert result is not None, "an Index has at least one atom"
    return result if negative or index.constant == 0 else b.add(result, size(index.constant))


def _rank(factor: Dim) -> tuple[bool, bool, int]:
    """Sorts factors: those below 0 last, before them the symbolic ones, then the largest."""
    return (_is_negative(factor), isinstance(factor, int), -factor if isinstance(factor, int) else 0)


def _is_negative(factor: Dim) -> bool:
    """Whether a factor is a negative number, or minus a size."""
    return is_nonnegative(-factor) and factor != 0


def _expressed(atom: Atom, atom_of: Callable[[Axis | Datum], Expression]) -> Expression:
    match atom:
        case Quotient(of=of, by=by):
            return b.floor_div(express(of, atom_of), size(by))
        case Remainder(of=of, by=by):
            return b.mod(express(of, atom_of), size(by))
        case _:
            return atom_of(atom)


def _range(atom: Atom) -> Range:
    match atom:
        case Axis(extent=extent) | Datum(extent=extent):
            return 0, max(extent - 1, 0) if isinstance(extent, int) else extent - 1
        case Quotient(of=of, by=by):
            return (_floor(of.range[0], by), _floor(of.range[1], by)) if of.range is not None else None
        case Remainder(by=by):
            return 0, by - 1


def _sum_range(atoms: dict[Atom, Dim], constant: Dim) -> Range:
    low = high = constant
    for atom, factor in atoms.items():
        found = _range(atom)
        if found is None:
            return None
        if is_nonnegative(factor):
            low, high = low + factor * found[0], high + factor * found[1]
        elif is_nonnegative(-factor):
            low, high = low + factor * found[1], high + factor * found[0]
        else:
            return None
    return low, high


def _divided(value: Dim, by: Dim) -> tuple[Dim, Dim]:
    """``times, rest`` with ``value == times * by + rest``; the rest of a number lies between 0 and ``by``."""
    if isinstance(value, int):
        return (value // by, value % by) if isinstance(by, int) else (0, value)
    times: Dim = 0
    rest: Dim = 0
    for term in value.parts:
        if term % by == 0:
            times = times + term // by
        else:
            rest = rest + term
    return times, rest


def _floor(value: Dim, by: Dim) -> Dim:
    """``value // by``, the whole multiples taken out; a symbolic ``by`` is at least 1."""
    times, rest = _divided(value, by)
    if isinstance(rest, int) and not isinstance(by, int) and rest in (-1, 0):
        return times + rest
    return times + rest // by


def _common_factor(by: Dim, atoms: dict[Atom, Dim]) -> int:
    """The largest number that divides ``by`` and all factors; 1 where one of them is symbolic."""
    numbers = [by, *atoms.values()]
    return math.gcd(*[n for n in numbers if isinstance(n, int)]) if all(isinstance(n, int) for n in numbers) else 1


def _made(atoms: dict[Atom, Dim], constant: Dim) -> AnyIndex:
    left = {atom: factor for atom, factor in atoms.items() if factor != 0}
    return Index(left, constant) if left else constant


def _rejoined(atoms: dict[Atom, Dim], constant: Dim) -> AnyIndex:
    """``f * (e % m) + f * m * (e // m)`` is ``f * e``: an index taken apart by a reshape becomes whole again."""
    for atom, factor in atoms.items():
        if not isinstance(atom, Remainder):
            continue
        quotient = atom.of // atom.by
        if not isinstance(quotient, Index) or quotient.constant != 0 or len(quotient.atoms) != 1:
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

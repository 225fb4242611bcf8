"""Abstract values: what is known of an array before it exists. Sizes may be symbolic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, reduce
from math import gcd
from typing import Final

import numpy as np

from gradc.errors import DtypeError, ParseError, ShapeError, TraceError
from gradc.ir.monomials import atom_key, monomial_key, monomial_text

_SHORT: Final = {
    "f16": "float16", "f32": "float32", "f64": "float64", "bool": "bool",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "c64": "complex64", "c128": "complex128",
}  # fmt: skip
_LONG: Final = {long: short for short, long in _SHORT.items()}


class SymbolicDim:
    """A size known only when the kernel is called: a polynomial with integer coefficients.

    The atoms of a monomial are names such as ``"batch"`` or calls ``(operation, left, right)`` of
    ``//``, ``%``, ``min`` and ``max``, which stay unevaluated. Two dims are equal when their
    polynomials are. Every symbol stands for a size of at least 0.
    """

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: dict[tuple[object, ...], int]) -> None:
        self.terms = tuple(sorted(((m, c) for m, c in terms.items() if c), key=monomial_key))
        self._hash = hash(self.terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolicDim) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[object, ...]:
        """Made anew in another process, where strings hash otherwise."""
        return SymbolicDim, (dict(self.terms),)

    def __add__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        total = dict(self.terms)
        for monomial, coefficient in _terms(other).items():
            total[monomial] = total.get(monomial, 0) + coefficient
        return _folded(total)

    def __mul__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        product: dict[tuple[object, ...], int] = {}
        for left, a in self.terms:
            for right, b in _terms(other).items():
                monomial = tuple(sorted(left + right, key=atom_key))
                product[monomial] = product.get(monomial, 0) + a * b
        return _folded(product)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        return self + other * -1

    def __rsub__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        return self * -1 + other

    def __floordiv__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        if other == 1:
            return self
        if isinstance(other, int) and other and all(c % other == 0 for _, c in self.terms):
            return _folded({m: c // other for m, c in self.terms})
        if isinstance(other, SymbolicDim) and other == self:
            return 1
        exact = _divided(self, other)
        return exact if exact is not None else _call("//", self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        return 0 if other == 0 else _call("//", other, self)

    def __mod__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        if other == 1 or other == self:
            return 0
        if isinstance(other, int) and other and all(c % other == 0 for _, c in self.terms):
            return 0
        return 0 if _divided(self, other) is not None else _call("%", self, other)

    def __rmod__(self, other: Dim) -> Dim:
        if not _is_dim(other):
            return NotImplemented
        return 0 if other == 0 else _call("%", other, self)

    def __index__(self) -> int:
        raise TraceError(
            f"the size {self} is symbolic and Python needs a number here; "
            "compile with a fixed size, or keep the code free of range(), int() and indices of it"
        )

    __int__ = __index__

    def __bool__(self) -> bool:
        raise TraceError(f"the truth of the symbolic size {self} is not known while tracing")

    def __str__(self) -> str:
        return " + ".join(monomial_text(m, c) for m, c in self.terms).replace("+ -", "- ")

    def __repr__(self) -> str:
        return f"SymbolicDim({self})"

    @property
    def parts(self) -> tuple[Dim, ...]:
        """The terms of the sum that the size is."""
        return tuple(_folded({monomial: coefficient}) for monomial, coefficient in self.terms)

    @property
    def symbols(self) -> frozenset[str]:
        """The names that the size depends on."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                if isinstance(atom, str):
                    found.add(atom)
                elif isinstance(atom, tuple):
                    found.update(*(d.symbols for d in atom[1:] if isinstance(d, SymbolicDim)))
        return frozenset(found)

    @property
    def content(self) -> int:
        """The largest number that divides the size whatever its symbols are."""
        return gcd(*[c for _, c in self.terms])

    def evaluate(self, sizes: dict[str, int]) -> int:
        """The size as a number, for given numbers of all its symbols."""
        return sum(c * reduce(lambda p, a: p * _atom_value(a, sizes), m, 1) for m, c in self.terms)


Dim = int | SymbolicDim


def symbol(name: str) -> SymbolicDim:
    """The symbolic size called ``name``."""
    return SymbolicDim({(name,): 1})


def minimum_dim(left: Dim, right: Dim) -> Dim:
    """The smaller of two sizes."""
    return _extremum("min", left, right)


def maximum_dim(left: Dim, right: Dim) -> Dim:
    """The larger of two sizes."""
    return _extremum("max", left, right)


def is_nonnegative(dim: Dim) -> bool:
    """Whether a size is at least 0 by its form, whatever its symbols are. False says nothing."""
    if isinstance(dim, int):
        return dim >= 0
    if all(c > 0 and all(map(_is_nonnegative_atom, monomial)) for monomial, c in dim.terms):
        return True
    less = _less(dim)
    return less != dim and is_nonnegative(less)


def ceildiv(left: Dim, right: Dim) -> Dim:
    """``left / right``, rounded up."""
    return -(-left // right)


def dim_value(dim: Dim, sizes: dict[str, int]) -> int:
    """``dim`` as a number, for given numbers of its symbols."""
    return dim.evaluate(sizes) if isinstance(dim, SymbolicDim) else dim


def size_of(shape: tuple[Dim, ...]) -> Dim:
    """The number of elements of an array of this shape."""
    total: Dim = 1
    for dim in shape:
        total = total * dim
    return total


def _is_dim(value: object) -> bool:
    """Whether a value is a size: arithmetic with anything else (a float, an array) is not for sizes to do."""
    return isinstance(value, (int, SymbolicDim)) and not isinstance(value, bool)


def _extremum(which: str, left: Dim, right: Dim) -> Dim:
    for smaller, larger in ((left, right), (right, left)):
        if is_nonnegative(larger - smaller):
            return smaller if which == "min" else larger
    return _call(which, left, right)


def _divided(left: SymbolicDim, right: Dim) -> Dim | None:
    """The exact quotient where ``right`` is one monomial that divides every term of ``left``."""
    terms = _terms(right)
    if len(terms) != 1:
        return None
    ((divisor, coefficient),) = terms.items()
    quotient: dict[tuple[object, ...], int] = {}
    for monomial, c in left.terms:
        rest = list(monomial)
        for atom in divisor:
            if atom not in rest:
                return None
            rest.remove(atom)
        if coefficient == 0 or c % coefficient:
            return None
        quotient[tuple(rest)] = c // coefficient
    return _folded(quotient)


def _call(operation: str, left: Dim, right: Dim) -> Dim:
    return SymbolicDim({((operation, left, right),): 1})


def _terms(dim: Dim) -> dict[tuple[object, ...], int]:
    return dict(dim.terms) if isinstance(dim, SymbolicDim) else {(): int(dim)}


def _folded(terms: dict[tuple[object, ...], int]) -> Dim:
    left = {m: c for m, c in terms.items() if c}
    if not left:
        return 0
    return left[()] if set(left) == {()} else SymbolicDim(left)


def _less(dim: SymbolicDim) -> Dim:
    """A smaller size without what is rounded down: ``k * (a // k)`` is at least ``a - k + 1``."""
    total: Dim = 0
    for monomial, c in dim.terms:
        match monomial:
            case (("//", int() | SymbolicDim() as a, int(k)),) if k > 0 and c > 0 and c % k == 0:
                total = total + (a + (1 - k)) * (c // k)
            case _:
                total = total + _folded({monomial: c})
    return total


def _is_nonnegative_atom(atom: object) -> bool:
    if not isinstance(atom, tuple):
        return True
    operation, left, right = atom
    found = [is_nonnegative(left), is_nonnegative(right)]
    return {"//": all(found), "%": found[1], "min": all(found), "max": any(found)}[operation]


def _atom_value(atom: object, sizes: dict[str, int]) -> int:
    if isinstance(atom, tuple):
        operation, left, right = atom
        a, b = dim_value(left, sizes), dim_value(right, sizes)
        return {"//": lambda: a // b, "%": lambda: a % b, "min": lambda: min(a, b), "max": lambda: max(a, b)}[
            operation
        ]()
    return sizes[str(atom)]


def short_dtype(dtype: np.dtype) -> str:
    """The short name of a dtype: ``f64``, ``i32``, ``bool``."""
    name = _name(dtype)
    return _LONG.get(name, name)


def is_supported(dtype: np.dtype) -> bool:
    """Whether arrays of a dtype can be traced and compiled."""
    return _name(dtype) in _LONG


@lru_cache(maxsize=256)
def _name(dtype: np.dtype) -> str:
    """NumPy puts the name together in Python, every time."""
    return dtype.name


@dataclass(frozen=True, slots=True)
class Aval:
    """Shape and dtype of a value. ``weak`` is NEP 50's: a Python number that gives way to arrays."""

    shape: tuple[Dim, ...]
    dtype: np.dtype
    weak: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        return size_of(self.shape)

    @property
    def is_symbolic(self) -> bool:
        return any(isinstance(d, SymbolicDim) for d in self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype.kind in "fc"

    def with_shape(self, shape: tuple[Dim, ...]) -> Aval:
        """The same dtype in another shape."""
        return Aval(shape, self.dtype, False)

    def with_dtype(self, dtype: np.dtype | str | type) -> Aval:
        """The same shape with another dtype."""
        return Aval(self.shape, np.dtype(dtype), False)

    def __str__(self) -> str:
        weak = "~" if self.weak else ""
        return f"{weak}{short_dtype(self.dtype)}[{','.join(str(d) for d in self.shape)}]"


_AVAL = re.compile(r"^(~?)([a-z]+\d*)\[([^\]]*)\]$")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z_0-9]*$")


def aval(text: str) -> Aval:
    """Parse an abstract value: ``aval("f32[batch,784]")``, ``aval("f64[]")``, ``aval("i64[10]")``.

    A size is a non-negative integer or a name, which makes it symbolic. Raises ParseError otherwise.
    """
    if str(text) in _SHORT:
        sizes = f"write {text}[] for a number, {text}[2,batch] for an array"
        raise ParseError(f"{text!r} is not an abstract value without sizes; {sizes}")
    match = _AVAL.match(str(text).replace(" ", ""))
    if not match or match[2] not in _SHORT:
        raise ParseError(
            f"{text!r} is not an abstract value; write dtype[sizes], for example f64[2,3] or f32[batch,784], "
            f"with a dtype among {', '.join(_SHORT)}"
        )
    return Aval(
        tuple(_parse_dim(d, text) for d in match[3].split(",") if d), np.dtype(_SHORT[match[2]]), bool(match[1])
    )


def _parse_dim(text: str, whole: str) -> Dim:
    if text.isdigit():
        return int(text)
    if _NAME.match(text):
        return symbol(text)
    raise ParseError(f"the size {text!r} in {whole!r} is neither a non-negative integer nor a name")


def aval_of(value: object) -> Aval:
    """The abstract value of an array or a Python number; Python numbers are weak.

    Raises DtypeError for values that are neither (object arrays, strings, None).
    """
    if isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic):
        return Aval((), np.dtype(type(value)), not isinstance(value, bool))
    if isinstance(value, (np.ndarray, np.generic)):
        if isinstance(value, np.ndarray) and type(value) not in (np.ndarray, np.memmap):
            raise DtypeError(f"a {type(value).__name__} has a meaning of its own; pass np.asarray(...) of it")
        if not is_supported(value.dtype):
            raise DtypeError(
                f"an array of dtype {value.dtype} cannot be compiled; convert it to one of {', '.join(_LONG)} first"
            )
        return Aval(tuple(value.shape), value.dtype.newbyteorder("="), False)
    raise DtypeError(f"{type(value).__name__} is neither an array nor a number")


def broadcast_shapes(*shapes: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """NumPy's broadcast of shapes; a symbolic size never stretches. Raises ShapeError."""
    rank = max((len(s) for s in shapes), default=0)
    result: list[Dim] = []
    for position in range(-rank, 0):
        sizes = [s[position] for s in shapes if len(s) >= -position]
        chosen = next((d for d in sizes if d != 1), 1)
        if any(d != 1 and d != chosen for d in sizes):
            listed = " and ".join(shape_text(s) for s in shapes)
            raise ShapeError(f"shapes {listed} do not broadcast together")
        result.append(chosen)
    return tuple(result)


def shape_text(shape: tuple[Dim, ...]) -> str:
    """A shape as it stands in messages: ``(2, batch)``."""
    return f"({', '.join(str(d) for d in shape)}{',' if len(shape) == 1 else ''})"

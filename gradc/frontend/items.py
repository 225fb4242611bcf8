"""Basic indexing of a traced array where ints and plain slices say all: entries on the tape.

An element is a number of its own; what keeps an axis is a view, which shares the memory. What kind of array an index
gives depends on the kind of the array and on the index, of whose ints nothing counts but that they are in range.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from gradc.frontend.again import Place, fresh
from gradc.frontend.bytecode import Site
from gradc.frontend.numpy_api.basic import known_item
from gradc.frontend.session import Session
from gradc.frontend.storage import Way
from gradc.frontend.tape import Kind, Tape
from gradc.ir.graph import Value

if TYPE_CHECKING:
    from gradc.frontend.tracer import Tracer

_INTS: Final = {int}
_BASIC: Final = {int, slice}
_BOUNDS: Final = {int, type(None)}

ITEM: Final = object()
"""What an instruction does, at its place, that took an element which had been taken before: ``left`` is the number of
the array, ``right`` the index, and ``other`` the number of the element."""


class Item:
    """An array at an index: at ``index``, or at integers that stand in the entry. A row of an array is taken once."""

    __slots__ = ("element", "index", "integers", "site", "takes")

    def __init__(self, site: Site, index: Any, integers: int, element: bool = False) -> None:
        self.site = site
        self.index = index
        self.integers = integers
        self.element = element
        self.takes = 1 + integers

    def settle(self, tape: Tape, given: Sequence[int]) -> None:
        builder = tape.builder
        builder.origin = self.site.origin
        array = Value(builder, tape.image[given[0]])
        index: Any = self.index
        if self.integers:
            index = tuple(given[1:]) if type(index) is tuple else given[1]

        def taken() -> Value:
            value = known_item(array, index)
            assert value is not None
            return value

        once = bool(self.integers) and not self.element
        value = builder.once(("getitem", array.id, index), taken) if once else taken()
        tape.made(value.id, self.site)

    def told(self) -> Any:
        index = repr(self.index) if not self.integers else type(self.index).__name__
        return ["item", *self.site, index, self.integers, self.element]


class Met:
    """A traced value that is met again."""

    __slots__ = ("site",)
    takes = 1

    def __init__(self, site: Site) -> None:
        self.site = site

    def settle(self, tape: Tape, given: Sequence[int]) -> None:
        tape.builder.origin = self.site.origin
        node = tape.image[given[0]]
        tape.builder.note(node)
        tape.made(node, self.site)

    def told(self) -> Any:
        return ["met", *self.site]


def item(session: Session, array: Tracer, index: Any, frame: FrameType | None) -> Tracer | None:
    """``array[index]``; None where the index, or an axis that it is for, wants more than is known here."""
    if array.session is not session or array.scalar:
        return None
    kind = array.kind
    if kind is None:  # it was written: what stands there now is read at this line
        session.follower.enter(frame)
        array.current()
        kind = array.kind
        assert kind is not None
    items = index if type(index) is tuple else (index,)
    types = {*map(type, items)}
    if types <= _INTS:
        return _of_integers(session, array, kind, index, items, frame)
    return _of_slices(session, array, kind, index, items, frame) if types <= _BASIC else None


def _of_integers(
    session: Session, array: Tracer, kind: Kind, index: Any, items: tuple[int, ...], frame: FrameType | None
) -> Tracer | None:
    shape, count = kind.aval.shape, len(items)
    if count > len(shape):
        return None
    for integer, length in zip(items, shape, strict=False):
        if type(length) is not int or not -length <= integer < length:
            return None
    site = session.follower.locate(frame)
    if site is None:
        return None
    base, element = array.known, count == len(shape)
    number = session.elements.get((base, index)) if element else None
    form = count if type(index) is tuple else -1
    word = session.words.get((id(site), form, number is None))  # the word keeps the site, and with it its id
    if word is None:
        word = session.tape.word(Met(site) if number is not None else Item(site, index, count, element))
        session.words[id(site), form, number is None] = word
    given = session.items.get((kind, count))
    if given is None:
        given = session.items[kind, count] = session.kind_of(kind.aval.with_shape(shape[count:]))
    if number is not None:
        assert session.frame is not None
        session.places[session.frame.f_lasti] = Place(ITEM, base, index, number, word, given)
        session.record((word, number))
    else:
        session.record((word, base, *items))
        if element:
            session.elements[base, index] = session.count
    return fresh(session, type(array), given) if element else _view(session, array, given)


def _of_slices(
    session: Session, array: Tracer, kind: Kind, index: Any, items: tuple[Any, ...], frame: FrameType | None
) -> Tracer | None:
    parts = [(part.start, part.stop, part.step) if type(part) is slice else part for part in items]
    pattern = (type(index), *parts)
    try:
        given = session.items.get((kind, pattern))
    except TypeError:  # a bound that is traced
        return None
    if given is None:
        shape = _sliced(kind.aval.shape, items)
        if shape is None:
            return None
        given = session.items[kind, pattern] = session.kind_of(kind.aval.with_shape(shape))
    site = session.follower.locate(frame)
    if site is None:
        return None
    word = session.words.get((id(site), pattern))
    if word is None:
        word = session.words[id(site), pattern] = session.tape.word(Item(site, index, 0))
    session.record((word, array.known))
    return _view(session, array, given)


def _sliced(shape: tuple[Any, ...], items: tuple[Any, ...]) -> tuple[int, ...] | None:
    """The shape of an array of ``shape`` at ints and slices."""
    if len(items) > len(shape):
        return None
    kept = list[int]()
    for part, length in zip(items, shape, strict=False):
        if type(length) is not int:
            return None
        if type(part) is int:
            if not -length <= part < length:
                return None
        elif part.step == 0 or not {type(part.start), type(part.stop), type(part.step)} <= _BOUNDS:
            return None
        else:
            kept.append(len(range(*part.indices(length))))
    return (*kept, *shape[len(items) :])


def _view(session: Session, array: Tracer, kind: Kind) -> Tracer:
    """The traced array of the entry that was just recorded, in the memory of another."""
    made = fresh(session, type(array), kind)
    made.memory = array.storage
    made.way = Way(array.way, session, array.known, made.known)
    made.memory.read_by(made)
    return made

"""Follows the user's frames while a function is traced: which one runs, from where it was called, what it leaves.

What is seen is written to the tape of the trace; ``names`` makes names and calls of it.
"""

from __future__ import annotations

from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gradc.frontend.bytecode import CodeTable, Site, table_of
from gradc.frontend.frames import is_internal, user_frame
from gradc.frontend.tape import NOTHING, Entered, Left, TracedBase

if TYPE_CHECKING:
    from gradc.frontend.again import Place
    from gradc.frontend.session import Session

NO_SITE: Final = Site((), ())


class _Running(NamedTuple):
    """A frame of the user's, and what is remembered of operations in its code by instruction offset."""

    frame: FrameType
    table: CodeTable
    places: dict[int, Place]


class Follower:
    """Follows the frames of one trace. ``root`` is the frame below which they stand.

    The innermost frame that was met last is the ``frame`` of the session, the places of its code its ``places``.
    """

    __slots__ = ("_places", "_sites", "_words", "root", "session", "stack")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.root: FrameType | None = None
        self.stack: list[_Running] = []
        self._sites: dict[int, Site] = {}
        self._places: dict[int, tuple[CodeTable, dict[int, Place]]] = {}
        self._words: dict[Any, tuple[int, Any]] = {}

    def enter(self, frame: FrameType | None) -> Site:
        """The site of the user's code that runs at or above ``frame``; its line becomes the origin of new nodes."""
        site = self.locate(frame)
        builder = self.session.builder
        if site is None:
            return NO_SITE
        builder.origin = site.origin
        return site

    def locate(self, frame: FrameType | None) -> Site | None:
        """The site of the user's code that runs at or above ``frame``; None where there is no such code."""
        session = self.session
        if frame is not session.frame or frame is None:
            frame = user_frame(frame, self.root)
            if frame is None:
                return None
            if frame is not session.frame:
                self._switch(frame)
        return self._sites.get(frame.f_lasti, NO_SITE)

    def follow(self, frame: FrameType) -> bool:
        """Whether ``frame`` is of the user's code; it is the one that runs then."""
        if is_internal(frame.f_code.co_filename) or user_frame(frame, self.root) is None:
            return False
        self._switch(frame)
        return True

    def finish(self) -> None:
        """The traced function has returned: let go of all frames, with what they leave."""
        while self.stack:
            self._leave()

    def abandon(self) -> None:
        """The traced function has returned or raised: let go of all frames."""
        self.stack.clear()
        self.session.frame = self.root = None

    def _switch(self, frame: FrameType) -> None:
        stack = self.stack
        if len(stack) > 1 and stack[-2].frame is frame:
            self._leave()
        elif stack and user_frame(frame.f_back, self.root) is stack[-1].frame:
            self._enter(frame)
        else:
            self._walk(frame)
        _, table, places = stack[-1]
        self.session.frame, self.session.places, self._sites = frame, places, table.sites

    def _walk(self, frame: FrameType) -> None:
        standing = {id(running.frame): k for k, running in enumerate(self.stack)}
        entered: list[FrameType] = []
        current: FrameType | None = frame
        while current is not None and id(current) not in standing:
            entered.append(current)
            current = user_frame(current.f_back, self.root)
        kept = 0 if current is None else standing[id(current)] + 1
        while len(self.stack) > kept:
            self._leave()
        for new in reversed(entered):
            self._enter(new)

    def _enter(self, frame: FrameType) -> None:
        code = frame.f_code
        known = self._places.get(id(code))
        if known is None:  # the table keeps the code, and with it its id
            known = self._places[id(code)] = (table_of(code, frame.f_globals), {})
        table, places = known
        site, marks = NO_SITE, list[int]()
        if self.stack:
            caller = self.stack[-1]
            site = caller.table.sites.get(caller.frame.f_lasti, NO_SITE)
            if table.call:
                variables = frame.f_locals
                for name in table.parameters:
                    self._collect(variables.get(name), marks)
        self.stack.append(_Running(frame, table, places))
        key = (id(table), id(site), len(marks))
        found = self._words.get(key)
        if found is None:
            word = Entered(table, site, len(marks))
            found = self._words[key] = (self.session.tape.word(word), word)
        self.session.record((found[0], *marks))

    def _leave(self) -> None:
        frame, table, _ = self.stack.pop()
        session = self.session
        session.frame = None
        variables = frame.f_locals
        results = table.returns.get(frame.f_lasti, ())
        marks = [session.mark(variables.get(name)) for name in results]
        held = [(name, x) for name, x in variables.items() if isinstance(x, TracedBase)]
        names = [name for name, _ in held]
        marks += [session.mark(x) for _, x in held]
        key = (len(results), *names)
        found = self._words.get(key)
        if found is None:
            word = Left(len(results), tuple(names))
            found = self._words[key] = (session.tape.word(word), word)
        session.record((found[0], *marks))

    def _collect(self, content: Any, marks: list[int]) -> None:
        own = self.session.mark(content)
        if own != NOTHING:
            marks.append(own)
        elif type(content) in (list, tuple):
            for item in content:
                self._collect(item, marks)
        elif type(content) is dict:
            for item in content.values():
                self._collect(item, marks)

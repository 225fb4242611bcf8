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


class _Code(NamedTuple):
    """A code object of the user's, and what is remembered of operations in it by instruction offset.

    ``words`` are those of frames that are entered, by the identity of the site and the number of arguments.
    """

    table: CodeTable
    places: dict[int, Place]
    words: dict[tuple[int, int], int]


class Follower:
    """Follows the frames of one trace. ``root`` is the frame below which they stand.

    The innermost frame that was met last is the ``frame`` of the session, the places of its code its ``places``.
    """

    __slots__ = ("_codes", "_sites", "_words", "root", "session", "stack")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.root: FrameType | None = None
        self.stack: list[tuple[FrameType, _Code]] = []
        self._sites: dict[int, Site] = {}
        self._codes: dict[int, _Code] = {}
        self._words: dict[tuple[Any, ...], int] = {}

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
        if id(frame.f_code) not in self._codes and is_internal(frame.f_code.co_filename):
            return False
        if frame is self.root:
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
        if len(stack) > 1 and stack[-2][0] is frame:
            self._leave()
        else:
            caller = user_frame(frame.f_back, self.root)
            if len(stack) > 1 and caller is stack[-2][0]:  # one call after the other
                self._leave()
                self._enter(frame)
            elif stack and caller is stack[-1][0]:
                self._enter(frame)
            else:
                self._walk(frame)
        table, places, _ = stack[-1][1]
        self.session.frame, self.session.places, self._sites = frame, places, table.sites

    def _walk(self, frame: FrameType) -> None:
        standing = {id(running): k for k, (running, _) in enumerate(self.stack)}
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
        code, stack, session = frame.f_code, self.stack, self.session
        known = self._codes.get(id(code))
        if known is None:  # the table keeps the code, and with it its id
            known = self._codes[id(code)] = _Code(table_of(code, frame.f_globals), {}, {})
        table = known.table
        site, entry = NO_SITE, [0]
        if stack:
            caller, called_from = stack[-1]
            site = called_from.table.sites.get(caller.f_lasti, NO_SITE)
            if table.call:
                variables = frame.f_locals
                for name in table.parameters:
                    content = variables.get(name)
                    mark = session.mark(content)
                    if mark != NOTHING:
                        entry.append(mark)
                    elif content is not None:
                        self._collect(content, entry)
        stack.append((frame, known))
        key = (id(site), len(entry))  # a site stands in a table, which keeps it
        word = known.words.get(key)
        if word is None:
            word = known.words[key] = session.tape.word(Entered(table, site, len(entry) - 1))
        entry[0] = word
        session.record(entry)

    def _leave(self) -> None:
        frame, code = self.stack.pop()
        session = self.session
        session.frame = None
        variables = frame.f_locals
        results = code.table.returns.get(frame.f_lasti, ())
        entry = [0, *[session.mark(variables.get(name)) for name in results]]
        held: list[Any] = [len(results)]
        for name, x in variables.items():
            if isinstance(x, TracedBase):
                held.append(name)
                entry.append(session.mark(x))
        key = tuple(held)
        word = self._words.get(key)
        if word is None:
            word = self._words[key] = session.tape.word(Left(len(results), key[1:]))
        entry[0] = word
        session.record(entry)

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

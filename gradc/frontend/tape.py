"""What a trace has met and not made nodes of yet.

An operation that is known by its place and its operands needs no working out: it is written down as a few integers, the
number of a word, which says what it is and where it stands, and the numbers of the traced values that it takes. So are
the user's frames as they are entered and left. Nodes, names and calls are made of them, in order, when somebody asks
for a node; a trace whose machine code is on disk never does. Two traces whose nodes, words and integers are the same
have the same graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from gradc.frontend.bytecode import CodeTable, Site
from gradc.frontend.names import Recorder
from gradc.ir.aval import Aval
from gradc.ir.graph import Builder

if TYPE_CHECKING:
    from gradc.frontend.session import Session

NOTHING: Final = -1
"""Stands where no traced value is. Numbers of traced values are not negative; below stand nodes, see ``mark_of``."""


def mark_of(node: int) -> int:
    """What stands for a node among the numbers of traced values."""
    return -2 - node


class TracedBase:
    """The class of every traced array, by which it is recognised where its own class is not known."""

    __slots__ = ()


class Kind:
    """What the results of operations depend on: an abstract value, the same object for all of one trace."""

    __slots__ = ("aval", "scalar")

    def __init__(self, aval: Aval) -> None:
        self.aval = aval
        self.scalar = not aval.shape


class Word(Protocol):
    """What an entry says besides its integers, of which there are ``takes``."""

    @property
    def takes(self) -> int: ...

    def settle(self, tape: Tape, given: Sequence[int]) -> None:
        """Make what the entry stands for."""

    def told(self) -> Any:
        """All of it, in plain data."""


class Tape:
    """Entries in order, flat, and what has been made of those before.

    ``image`` has the node of each traced value by its number, and ``names`` the name that the user's instruction gave
    it, with the depth of the frame.
    """

    __slots__ = ("builder", "entries", "image", "names", "recorder", "session", "words")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.builder = Builder()
        self.recorder = Recorder(self.builder)
        self.entries: list[int] = []
        self.words: list[Word] = []
        self.image: list[int] = []
        self.names: list[tuple[int, str] | None] = []

    def word(self, word: Word) -> int:
        """The number of a new word."""
        self.words.append(word)
        return len(self.words) - 1

    def settle(self) -> None:
        """Make nodes of all entries."""
        entries, words = [*self.entries], self.words
        self.entries.clear()
        position, end = 0, len(entries)
        while position < end:
            word = words[entries[position]]
            following = position + 1 + word.takes
            word.settle(self, entries[position + 1 : following])
            position = following

    def made(self, node: int, site: Site) -> None:
        """Give the next traced value its node."""
        self.image.append(node)
        self.names.append(self.recorder.name(site, (node,)) if site.targets else None)

    def node(self, mark: int) -> int | None:
        """The node that a mark stands for; None for nothing."""
        if self.entries:
            self.settle()
        return self.image[mark] if mark >= 0 else None if mark == NOTHING else -2 - mark

    def told(self) -> list[Any]:
        """What the entries say besides their integers."""
        return [word.told() for word in self.words] if self.entries else []


class Entered:
    """A frame of the user's that is entered from ``site``, with what stands for its arguments in the entry."""

    __slots__ = ("site", "table", "takes")

    def __init__(self, table: CodeTable, site: Site, arguments: int) -> None:
        self.table = table
        self.site = site
        self.takes = arguments

    def settle(self, tape: Tape, given: Sequence[int]) -> None:
        arguments = [node for mark in given if (node := tape.node(mark)) is not None]
        tape.recorder.entered(self.table.call, self.site, tuple(arguments))

    def told(self) -> Any:
        return ["entered", *self.site, self.table.call, self.takes]


class Left:
    """A frame that is left: what stands for its results is in the entry, then what stands for its variables."""

    __slots__ = ("results", "takes", "variables")

    def __init__(self, results: int, variables: tuple[str, ...]) -> None:
        self.results = results
        self.variables = variables
        self.takes = results + len(variables)

    def settle(self, tape: Tape, given: Sequence[int]) -> None:
        nodes = [tape.node(mark) for mark in given]
        variables = zip(self.variables, nodes[self.results :], strict=True)
        tape.recorder.left(nodes[: self.results], [(name, node) for name, node in variables if node is not None])

    def told(self) -> Any:
        return ["left", self.results, self.variables]

"""Reading ``.gir``, the text of a graph that ``text.py`` writes. Nothing in it is executed."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import numpy as np

from gradc.errors import ParseError
from gradc.ir.aval import Aval, Dim, aval, maximum_dim, minimum_dim, symbol
from gradc.ir.graph import CONSTANT, INPUT, Graph, Node, Origin
from gradc.ir.op import REGISTRY
from gradc.ir.text import HEADER

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<node>%\d+)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<number>-?(?:nan:0x[0-9a-f]+|nan\b|inf\b|\d+(?:\.\d*)?(?:e[+-]?\d+)?))
    | (?P<word>[A-Za-z_~][A-Za-z_0-9~]*)
    | (?P<mark>//|[\[\](){},=:#+\-*%/.\\])
    )""",
    re.VERBOSE,
)


def parse_graph(text: str) -> Graph:
    """The graph of a ``.gir`` text. Raises ParseError with the line that does not follow the grammar."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines[0].strip() != HEADER:
        raise ParseError(f"a graph begins with the line {HEADER!r}")
    reader = _GraphReader()
    for number, line in enumerate(lines[1:], 2):
        try:
            reader.read(line)
        except (ParseError, ValueError, TypeError, OverflowError) as error:
            raise ParseError(f"line {number} of a graph: {error}", line=line.strip()) from error
    return reader.finished()


class _GraphReader:
    """The graph as far as it is read."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.outputs: list[int] | None = None
        self.output_names: list[str] = []
        self.names: dict[int, str] = {}
        self.origins: dict[int, tuple[Origin, ...]] = {}
        self.cotangents: dict[int, int] = {}

    def read(self, line: str) -> None:
        if self.outputs is not None:
            raise ParseError("nothing may follow the return line")
        tokens = Tokens(line)
        if tokens.accept("return"):
            self._returned(tokens)
        else:
            self._node(tokens)
        tokens.end()

    def _node(self, tokens: Tokens) -> None:
        index = len(self.nodes)
        if tokens.node() != index:
            raise ParseError(f"the next node is %{index}")
        tokens.expect("=")
        name = tokens.take("word")
        op = REGISTRY.get(name)
        if op is None:
            raise ParseError(f"no op is named {name!r}")
        operands = []
        while tokens.kind == "node":
            operands.append(self._known(tokens.node()))
        literal = _literal(tokens) if op is CONSTANT else None
        params: dict[str, Any] = {}
        while tokens.kind == "word":
            key = tokens.take("word")
            tokens.expect("=")
            params[key] = _param(tokens)
        tokens.expect(":")
        result = _aval(tokens)
        if op is CONSTANT:
            params = {"value": _array(literal, result), "weak": result.weak}
        elif op is INPUT:
            params["aval"] = result
        self.nodes.append(Node(index, op, tuple(operands), params, result))
        if tokens.accept("#"):
            self._notes(tokens, index)

    def _notes(self, tokens: Tokens, index: int) -> None:
        if tokens.kind == "string":
            self.names[index] = tokens.string()
        elif tokens.kind == "word" and tokens.text not in ("at", "cotangent"):
            self.names[index] = tokens.take("word")
        if tokens.accept("cotangent"):
            tokens.expect("of")
            self.cotangents[tokens.node()] = index
            while tokens.accept(","):
                self.cotangents[tokens.node()] = index
        if tokens.accept("at"):
            found = [_origin(tokens)]
            while tokens.accept(","):
                found.append(_origin(tokens))
            self.origins[index] = tuple(found)

    def _returned(self, tokens: Tokens) -> None:
        self.outputs = []
        while tokens.kind == "node":
            self.outputs.append(self._known(tokens.node()))
            tokens.expect("as")
            self.output_names.append(tokens.string())
            if not tokens.accept(","):
                break

    def _known(self, node: int) -> int:
        if node >= len(self.nodes):
            raise ParseError(f"%{node} is used before it is made")
        return node

    def finished(self) -> Graph:
        if self.outputs is None:
            raise ParseError("a graph ends with a return line")
        for primal in self.cotangents:
            self._known(primal)
        return Graph(
            nodes=tuple(self.nodes),
            inputs=tuple(n.id for n in self.nodes if n.op is INPUT),
            outputs=tuple(self.outputs),
            output_names=tuple(self.output_names),
            names=self.names,
            origins=self.origins,
            cotangents=self.cotangents,
        )


class Tokens:
    """The words of a line, one ahead."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.position = 0
        self.kind = ""
        self.text = ""
        self._advance()

    def _advance(self) -> None:
        if not self.line[self.position :].strip():
            self.kind = self.text = ""
            self.position = len(self.line)
            return
        found = _TOKEN.match(self.line, self.position)
        if found is None:
            raise ParseError(f"{self.line[self.position :].strip()[:20]!r} is no part of a graph")
        self.kind = found.lastgroup or ""
        self.text = found[self.kind]
        self.position = found.end()

    def take(self, kind: str) -> str:
        """The next token, which is of this kind."""
        if self.kind != kind:
            raise ParseError(f"a {kind} is expected and {self.text or 'the end of the line'!r} found")
        text = self.text
        self._advance()
        return text

    def accept(self, text: str) -> bool:
        """Whether the next token is this one, which is then read."""
        if self.text != text or self.kind == "string":
            return False
        self._advance()
        return True

    def expect(self, text: str) -> None:
        """Read this token."""
        if not self.accept(text):
            raise ParseError(f"{text!r} is expected and {self.text or 'the end of the line'!r} found")

    def node(self) -> int:
        """A node's id."""
        return int(self.take("node")[1:])

    def string(self) -> str:
        """A quoted string."""
        return str(json.loads(self.take("string")))

    def end(self) -> None:
        """Nothing follows."""
        if self.kind:
            raise ParseError(f"{self.text!r} is not expected")


def _origin(tokens: Tokens) -> Origin:
    if tokens.kind == "string":
        file = tokens.string()
        tokens.expect(":")
    else:
        # A plain file name is not made of tokens: read it from the line, up to the colon before the line number.
        start = tokens.position - len(tokens.text)
        found = re.compile(r"([A-Za-z0-9_./\\-]+):").match(tokens.line, start)
        if found is None:
            raise ParseError("a file name is expected after 'at'")
        file = found[1]
        tokens.position = found.end()
        tokens._advance()
    line = int(tokens.take("number"))
    return Origin(file, line, tokens.string())


def _param(tokens: Tokens) -> Any:
    if tokens.kind == "string":
        return tokens.string()
    if tokens.kind == "number":
        text = tokens.take("number")
        return int(text) if re.fullmatch(r"-?\d+", text) else float(_number(text, np.dtype(np.float64)))
    if tokens.accept("("):
        items = []
        while not tokens.accept(")"):
            items.append(_param(tokens))
            if not tokens.accept(","):
                tokens.expect(")")
                break
        return tuple(items)
    if tokens.accept("{"):
        dim = _dim(tokens)
        tokens.expect("}")
        return dim
    word = tokens.take("word")
    constants = {"True": True, "False": False, "None": None}
    return constants[word] if word in constants else aval(f"{word}[]").dtype


def _aval(tokens: Tokens) -> Aval:
    head = aval(f"{tokens.take('word')}[]")
    tokens.expect("[")
    shape: list[Dim] = []
    while not tokens.accept("]"):
        shape.append(_dim(tokens))
        if not tokens.accept(","):
            tokens.expect("]")
            break
    return Aval(tuple(shape), head.dtype, head.weak)


# Sizes


def _dim(tokens: Tokens) -> Dim:
    """A sum of products."""
    total = _dim_product(tokens)
    while True:
        if tokens.accept("+"):
            total = total + _dim_product(tokens)
        elif tokens.accept("-"):
            total = total - _dim_product(tokens)
        elif tokens.kind == "number" and tokens.text.startswith("-"):
            total = total + _dim_product(tokens)
        else:
            return total


def _dim_product(tokens: Tokens) -> Dim:
    product = _dim_atom(tokens)
    while True:
        if tokens.accept("*"):
            product = product * _dim_atom(tokens)
        elif tokens.accept("//"):
            product = product // _dim_atom(tokens)
        elif tokens.accept("%"):
            product = product % _dim_atom(tokens)
        else:
            return product


def _dim_atom(tokens: Tokens) -> Dim:
    if tokens.kind == "number":
        return int(tokens.take("number"))
    if tokens.accept("("):
        inner = _dim(tokens)
        tokens.expect(")")
        return inner
    word = tokens.take("word")
    if word in ("min", "max") and tokens.accept("("):
        left = _dim(tokens)
        tokens.expect(",")
        right = _dim(tokens)
        tokens.expect(")")
        return minimum_dim(left, right) if word == "min" else maximum_dim(left, right)
    return symbol(word)


# Constants

Literal = str | tuple[Any, ...] | list[Any] | bytes


def _literal(tokens: Tokens) -> Literal:
    """A number as text, a complex number as a pair, an array as lists, or its bytes."""
    if tokens.accept("base64"):
        try:
            return base64.b64decode(tokens.string(), validate=True)
        except binascii.Error as error:
            raise ParseError("the bytes of the constant are not valid base64") from error
    if tokens.accept("["):
        items = []
        while not tokens.accept("]"):
            items.append(_literal(tokens))
            if not tokens.accept(","):
                tokens.expect("]")
                break
        return items
    if tokens.accept("("):
        real = tokens.take("number")
        tokens.expect(",")
        imaginary = tokens.take("number")
        tokens.expect(")")
        return (real, imaginary)
    return tokens.take("number" if tokens.kind == "number" else "word")


def _array(literal: Literal | None, result: Aval) -> np.ndarray:
    shape = tuple(d for d in result.shape if isinstance(d, int))
    if len(shape) != len(result.shape):
        raise ParseError("a constant has no symbolic sizes")
    if isinstance(literal, bytes):
        array = np.frombuffer(literal, result.dtype.newbyteorder("<")).astype(result.dtype)
        made = array.reshape(shape)
    else:
        made = np.empty(shape, result.dtype)
        flat = made.reshape(-1)
        elements = _elements(literal, result.shape)
        for k, element in enumerate(elements):
            flat[k] = _number(element, result.dtype)
    made.setflags(write=False)
    return made


def _elements(literal: Any, shape: tuple[Dim, ...]) -> list[Any]:
    if not shape:
        if isinstance(literal, list):
            raise ParseError("the constant has more axes than its shape")
        return [literal]
    if not isinstance(literal, list) or len(literal) != shape[0]:
        raise ParseError("the elements of the constant do not fill its shape")
    return [element for row in literal for element in _elements(row, shape[1:])]


def _number(text: Any, dtype: np.dtype) -> Any:
    if dtype.kind == "c":
        real, imaginary = text
        part = np.empty(0, dtype).real.dtype
        pair = np.array([_number(real, part), _number(imaginary, part)], part)
        return pair.view(dtype)[0]
    if dtype.kind == "b":
        if text not in ("True", "False"):
            raise ParseError(f"{text!r} is neither True nor False")
        return text == "True"
    if dtype.kind in "iu":
        return dtype.type(int(text))
    if text.startswith("nan:"):
        return np.array(int(text[4:], 16), f"u{dtype.itemsize}").view(dtype)[()]
    return dtype.type(text)

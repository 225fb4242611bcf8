"""The page about a kernel has all of its texts, links lines that come from the same line, and needs nothing else."""

from __future__ import annotations

import itertools
import linecache
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.inspect.drawing import drawn
from gradc.inspect.report import MOST_DRAWN

VOID = {"meta", "path", "rect"}


def loss(w: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w["hidden"])
    z = h @ w["out"]
    y_hat = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


FIRST = loss.__code__.co_firstlineno


class Page(HTMLParser):
    """The panels of a page by title: rows of text and the numbers that they are linked by."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.panels: dict[str, list[tuple[str, set[str]]]] = {}
        self.title = ""
        self.label = False
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.title = ""
        if given.get("class") == "row":
            self.panels.setdefault(self.title, []).append(("", set((given.get("data-of") or "").split())))
        self.label = given.get("class") == "label"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.label = False

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["h3"] and "section" in self.open:
            self.title = self.title or data.strip()
        if self.open[-1:] in (["span"], ["i"]) and "pre" in self.open and not self.label:
            text, links = self.panels[self.title][-1]
            self.panels[self.title][-1] = (text + data, links)

    def text(self, title: str) -> str:
        return "\n".join(text.rstrip() for text, _ in self.panels[title])

    def linked(self, title: str, part: str) -> list[set[str]]:
        return [links for text, links in self.panels[title] if part in text]


@pytest.fixture(scope="module")
def kernel() -> gradc.Kernel:
    w = {"hidden": np.ones((2, 3)), "out": np.ones(3)}
    return gradc.value_and_grad(loss, wrt="w").compile(w, np.ones((4, 2)), np.ones(4))


@pytest.fixture(scope="module")
def page(kernel: gradc.Kernel) -> Page:
    return Page(kernel.report())


def stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def test_every_text_stands_on_the_page_whole(kernel: gradc.Kernel, page: Page) -> None:
    assert list(page.panels) == ["As written", "NumPy", "Loops", "Graph", "LLVM IR", "Assembly"]
    assert page.text("NumPy") == stripped(kernel.numpy_source)
    assert page.text("Loops") == stripped(kernel.loops)
    assert page.text("LLVM IR") == stripped(kernel.llvm_ir)
    assert page.text("Assembly") == stripped(kernel.assembly).expandtabs(8)
    assert len(page.panels["Graph"]) == len(kernel.graph.nodes) + 1
    assert "dL/dz" in kernel.report()


def test_lines_are_linked_with_the_user_s_line(page: Page) -> None:
    (tanh,) = page.linked("As written", "np.tanh(")
    (last,) = page.linked("As written", "return -np.mean")
    assert len(tanh) == len(last) == 1
    assert tanh != last
    assert tanh <= page.linked("NumPy", "np.tanh(")[0]
    assert tanh <= page.linked("Graph", "= tanh(")[0]
    assert any(tanh <= links for links in page.linked("Loops", "tanh("))
    assert any(tanh <= links for links in page.linked("LLVM IR", "  store double "))
    assert any(last <= links for links in page.linked("LLVM IR", " = fmul "))
    assert last <= page.linked("NumPy", "L = ")[0]
    (slope,) = page.linked("NumPy", "d_z = ")
    (z,) = page.linked("As written", "z = h @")
    assert z <= slope
    assert page.linked("NumPy", "def _arguments") == [set()]


def test_it_needs_nothing_else_and_is_the_same_again(kernel: gradc.Kernel, page: Page) -> None:
    text = kernel.report()
    assert not {name for name, _ in page.attributes} & {"src", "href", "xlink:href"}
    assert "http" not in text
    assert "url(" not in text
    assert text == kernel.report()


def test_what_is_written_is_never_markup() -> None:
    def marked(x: Any) -> Any:
        names = {"</pre><script>alert(1)</script>": x}
        return names["</pre><script>alert(1)</script>"] * 2.0  # & <b>

    report = gradc.grad(marked).compile(1.0).report(written=[("<i>.py", 1, "a < b && '<script>'")])
    found = Page(report)
    assert report.count("<script>") == 1
    assert found.text("As written") == "a < b && '<script>'"
    nested = gradc.grad(lambda w: w["<script>"] * 2.0).compile({"<script>": 1.0}).report()
    assert nested.count("<script>") == 1


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_sizes_that_are_symbolic_and_long_graphs(backend: Any) -> None:
    kernel = gradc.grad(lambda x: np.sum(np.sin(x) ** 2)).compile(gradc.aval("f64[n]"), backend=backend)
    assert "f64[n]" in kernel.report()

    def long(x: Any) -> Any:
        for k in range(MOST_DRAWN):
            x = np.sin(x * (k + 0.5))
        return x

    report = gradc.grad(long).compile(1.0, backend=backend).report()
    assert "<svg" not in report
    assert f"more than {MOST_DRAWN} nodes" in report


def test_complex_numbers_have_no_derivation_but_a_page() -> None:
    kernel = gradc.grad(lambda z: np.abs(z) ** 2).compile(1.0 + 2.0j)
    assert "complex" in kernel.report()


def test_operands_stand_above_and_nothing_overlaps(kernel: gradc.Kernel) -> None:
    drawing = drawn(kernel.graph, lambda _: "")
    rows: dict[float, list[Any]] = {}
    for box in drawing.boxes:
        rows.setdefault(box.y, []).append(box)
        assert box.width / 2 <= box.x <= drawing.width - box.width / 2
    for row in rows.values():
        row.sort(key=lambda box: box.x)
        for left, right in itertools.pairwise(row):
            assert left.x + left.width / 2 < right.x - right.width / 2
    for edge in drawing.edges:
        numbers = edge.path.replace("M", "").replace("C", " ").split()
        assert float(numbers[1]) < float(numbers[-1])
    assert len(rows) > 5
    assert {box.kind for box in drawing.boxes} == {"input", "value", "adjoint", "output"}


@pytest.mark.parametrize("file", ["my model.py", "<a console, 3-b>", "model.py"])
def test_lines_are_linked_whatever_the_file_is_called(file: str) -> None:
    written = "def doubled(x):\n    y = x * 2.0\n    return y + x[0]\n"
    made: dict[str, Any] = {}
    exec(compile(written, file, "exec"), made)  # noqa: S102
    linecache.cache[file] = (len(written), None, written.splitlines(keepends=True), file)
    try:
        page = Page(gradc.jit(made["doubled"], backend="numpy").compile(np.ones(3)).report())
    finally:
        del linecache.cache[file]
    ((_, wanted),) = [row for row in page.panels["As written"] if "return y" in row[0]]
    assert wanted
    for title in ("NumPy", "Loops", "Graph", "LLVM IR"):
        assert any(wanted & links for _, links in page.panels[title]), title

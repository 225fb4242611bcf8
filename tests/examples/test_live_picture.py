"""The picture of the page that trains the 2-2-1 network: what is drawn, where, and in which colour."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.examples.browser import FIRST, POINTS, Look, descent, look, mean_loss, needs_browser, needs_linker

Example = Callable[[str], ModuleType]

pytestmark = [needs_browser, needs_linker]

SIZE = (1160, 1120)
EDGE_OPACITY = 0.55
REACH = 2.6  # of the map, from its middle up and down


@pytest.fixture(scope="module")
def untrained(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Look:
    return look(page, tmp_path_factory.mktemp("untrained"), "#steps=0&at=6.5", SIZE)


@pytest.fixture(scope="module")
def trained(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Look:
    return look(page, tmp_path_factory.mktemp("trained"), "#steps=200&at=6.5", SIZE)


@pytest.fixture(scope="module")
def dark(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Look:
    return look(page, tmp_path_factory.mktemp("dark"), "#steps=200&at=6.5", SIZE, dark=True)


@pytest.fixture(params=["untrained", "trained", "dark"])
def drawn(request: pytest.FixtureRequest) -> Look:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Look)
    return found


def segment(drawn: Look, edge: dict[str, object]) -> tuple[np.ndarray, np.ndarray]:
    """The ends of an edge where it leaves one node and meets the other."""
    a, b = (drawn.nodes[str(edge[end])] for end in ("from", "to"))
    start, end = np.array(a["middle"]), np.array(b["middle"])
    along = (end - start) / np.hypot(*(end - start))
    return start + (a["radius"] + 2) * along, end - (b["radius"] + 2) * along


def weight(drawn: Look, edge: dict[str, object]) -> float | None:
    """The weight that the text of an edge tells; the edge to the loss has none."""
    if edge["weight"] is None:
        return None
    name = str(edge["weight"]).translate({ord("1"): "₁", ord("2"): "₂"})
    [text] = [text["text"] for text in drawn.texts if text["text"].startswith(f"{name} = ")]
    return float(text.removeprefix(f"{name} = ").replace("−", "-"))


def width(drawn: Look, edge: dict[str, object]) -> float:
    found = weight(drawn, edge)
    return drawn.zoom * (3 if found is None else min(1 + 4 * abs(found), 14))


def overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two convex shapes of the plane meet: no edge of theirs separates them."""
    for corners in (first, second):
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            normal = np.array([a[1] - b[1], b[0] - a[0]])
            one, other = first @ normal, second @ normal
            if one.max() <= other.min() or other.max() <= one.min():
                return False
    return True


def band(start: np.ndarray, end: np.ndarray, width: float) -> np.ndarray:
    along = (end - start) / np.hypot(*(end - start))
    across = np.array([-along[1], along[0]]) * width / 2
    return np.array([start + across, end + across, end - across, start - across])


def test_nodes_are_drawn_where_they_stand(drawn: Look) -> None:
    node, ink = drawn.colours["node"], drawn.colours["ink"]
    for name, found in drawn.nodes.items():
        middle, radius = np.array(found["middle"]), found["radius"]
        turns = np.linspace(0, 2 * np.pi, 24, endpoint=False) + 0.05
        directions = np.stack([np.cos(turns), np.sin(turns)], axis=1)
        if found["square"]:  # dashes: some of the outline is ink
            outline = [middle + radius * np.array([1.0, share]) for share in np.linspace(-0.7, 0.7, 57)]
            share = np.mean([drawn.is_near(place, ink, 0.25, reach=1) for place in outline])
            assert 0.4 < share < 1.0, name
        else:
            assert all(drawn.is_near(middle + radius * way, ink, 0.25, reach=1) for way in directions), name
        assert all(drawn.is_near(middle + (radius - 5) * way, node) for way in directions), name


def test_edges_are_as_wide_as_their_weights_and_have_their_sign(drawn: Look) -> None:
    card = drawn.colours["card"]
    for edge in drawn.edges:
        start, end = segment(drawn, edge)
        across = np.array([start[1] - end[1], end[0] - start[0]]) / np.hypot(*(end - start))
        signs = {
            name: drawn.colours[name] * EDGE_OPACITY + card * (1 - EDGE_OPACITY)
            for name in ("positive", "negative", "zero")
        }
        for share in (0.08, 0.75, 0.92):  # away from where two edges cross
            place = start + share * (end - start)
            line = [np.max(np.abs(drawn.at(place + step * across) - card)) > 0.12 for step in np.arange(-9, 9.01, 0.25)]
            assert sum(line) / 4 == pytest.approx(width(drawn, edge), abs=1.6), edge
            if width(drawn, edge) >= 3:  # else no pixel is all of it
                value = weight(drawn, edge)
                sign = "zero" if value is None else "negative" if value < 0 else "positive"
                assert [name for name in signs if drawn.is_near(place, signs[name], 0.06)] == [sign], edge


def test_colours_change_with_training(untrained: Look, trained: Look) -> None:
    """Lines are green for positive weights and orange for negative ones, and the first weight turns negative."""
    for before, after in zip(untrained.edges, trained.edges, strict=True):
        first, last = weight(untrained, before), weight(trained, after)
        if first is None or last is None:
            continue
        start, end = segment(trained, after)
        place = start + 0.75 * (end - start)
        for drawn, value in ((untrained, first), (trained, last)):
            red, green, blue = drawn.at(place)
            assert (red > green > blue) == (value < 0), after  # orange
            assert (green > blue > red) == (value > 0), after  # green
        assert abs(last) > abs(first)
    assert weight(untrained, untrained.edges[0]) == 0.1
    assert weight(trained, trained.edges[0]) == -0.89


def assert_apart(drawn: Look) -> None:
    """No text overlaps another one, a line or a node, or leaves the drawing."""
    texts = [(text["text"], text["inside"], np.array(text["corners"])) for text in drawn.texts]
    for (one, _, first), (other, _, second) in itertools.combinations(texts, 2):
        assert not overlap(first, second), f"{one} and {other}"
    left, top, right, bottom = drawn.boxes["network"]
    bands = {f"{e['from']} to {e['to']}": band(*segment(drawn, e), width(drawn, e)) for e in drawn.edges}
    for text, inside, corners in texts:
        assert left <= corners[:, 0].min() < corners[:, 0].max() <= right, text
        assert top <= corners[:, 1].min() < corners[:, 1].max() <= bottom, text
        for name, line in bands.items():
            assert not overlap(corners, line), f"{text} on the line from {name}"
        for name, node in drawn.nodes.items():
            away = np.hypot(*(corners - node["middle"]).T)
            if name == inside:
                assert away.max() < node["radius"] - 2, f"{text} leaves {name}"
            elif not node["square"]:
                assert away.min() > node["radius"], f"{text} in {name}"


def test_nothing_overlaps_and_nothing_is_cut(drawn: Look) -> None:
    assert_apart(drawn)
    assert drawn.page[0] <= SIZE[0]
    assert drawn.page[1] <= SIZE[1]


@pytest.mark.parametrize("steps", [0, 40, 200])
def test_a_narrow_drawing_stands_upright_and_fits(page: Path, tmp_path: Path, steps: int) -> None:
    drawn = look(page, tmp_path, f"#steps={steps}&at=6.5", (500, 1900))
    left, top, right, bottom = drawn.boxes["network"]
    assert 0 <= left < right <= 500
    assert bottom - top > 2 * (right - left)
    assert drawn.nodes["x1"]["middle"][1] < drawn.nodes["h1"]["middle"][1] < drawn.nodes["L"]["middle"][1]
    assert_apart(drawn)


def test_every_text_is_drawn(drawn: Look) -> None:
    for text in drawn.texts:
        corners = np.array(text["corners"])
        (left, top), (right, bottom) = (
            np.floor(corners.min(axis=0)).astype(int),
            np.ceil(corners.max(axis=0)).astype(int),
        )
        pixels = drawn.pixels[top:bottom, left:right].reshape(-1, 3)
        ground = drawn.colours["node" if text["inside"] else "card"]
        assert np.mean(np.max(np.abs(pixels - ground), axis=1) > 0.3) > 0.03, text["text"]


def columns_of(drawn: Look) -> tuple[np.ndarray, list[int]]:
    """The mean row of the curve in each column of its canvas, NaN where there is none, and the rows of the grid."""
    left, top, right, bottom = (round(edge) for edge in drawn.boxes["curve"])
    area = drawn.pixels[top:bottom, left:right]
    curve = np.max(np.abs(area - drawn.colours["forward"]), axis=2) < 0.2
    rows = np.arange(area.shape[0])[:, None]
    with np.errstate(invalid="ignore"):
        found = np.where(curve.any(axis=0), (curve * rows).sum(axis=0) / curve.sum(axis=0), np.nan)
    ground = np.max(np.abs(area - drawn.colours["card"]), axis=2) > 0.04
    lines = [int(row) for row in rows[:, 0] if ground[row, 100:].mean() > 0.8]
    return found, [row for row in lines if row - 1 not in lines]


def test_the_curve_is_that_of_the_losses(example: Example, trained: Look, dark: Look) -> None:
    kernel = example("embedding/live_network").kernel()
    losses = [mean_loss(kernel, weights) for weights in descent(kernel, 200)]
    for drawn in (trained, dark):
        found, grid = columns_of(drawn)
        assert len(grid) == 5  # losses of 1, 0.75 ... 0
        highest, lowest = grid[0], grid[-1]
        columns = np.flatnonzero(~np.isnan(found))
        assert np.all(np.diff(columns) == 1)  # without gaps
        first, last = columns[0] + 1, columns[-1] - 4.5  # the end is a dot
        at = (columns - first) / (last - first) * 200
        expected = lowest + (highest - lowest) * np.interp(at, np.arange(201), losses)
        assert np.max(np.abs(found[columns] - expected)) < 3.5


def test_the_curve_begins_with_a_dot(example: Example, untrained: Look) -> None:
    kernel = example("embedding/live_network").kernel()
    found, grid = columns_of(untrained)
    columns = np.flatnonzero(~np.isnan(found))
    assert 7 <= len(columns) <= 11
    expected = grid[-1] + (grid[0] - grid[-1]) * mean_loss(kernel, FIRST)
    assert np.mean(found[columns]) == pytest.approx(expected, abs=1.5)


def grid_of_map(drawn: Look) -> Iterator[tuple[np.ndarray, float, float]]:
    """Places on the map, in pixels and in the two numbers, away from its axes, its points and its diagonal."""
    left, top, right, bottom = drawn.boxes["map"]
    scale = (bottom - top) / (2 * REACH)
    for x1 in np.arange(-4.2, 4.21, 0.6):
        for x2 in np.arange(-2.3, 2.31, 0.46):
            far = (
                all(np.hypot(x1 - p[0], x2 - p[1]) > 0.45 for p in POINTS) and min(abs(x1), abs(x2), abs(x1 - x2)) > 0.2
            )
            label = (x1 > 3.6 and 0 < x2 < 0.6) or (-0.7 < x1 < 0 and x2 > 1.9)
            if far and not label:
                yield np.array([(left + right) / 2 + x1 * scale, (top + bottom) / 2 - x2 * scale]), x1, x2


@pytest.mark.parametrize("state", ["untrained", "trained", "dark"])
def test_the_map_shows_what_the_kernel_answers(example: Example, request: pytest.FixtureRequest, state: str) -> None:
    drawn: Look = request.getfixturevalue(state)
    kernel = example("embedding/live_network").kernel()
    weights = descent(kernel, 0 if state == "untrained" else 200)[-1]
    kinds = set()
    for place, x1, x2 in grid_of_map(drawn):
        answer = float(kernel(*weights.values(), x1, x2, 1.0)["y_hat"])
        opacity = 0.06 + 1.2 * abs(answer - 0.5)
        expected = drawn.colours["class1" if answer > 0.5 else "class0"] * opacity + drawn.colours["card"] * (
            1 - opacity
        )
        near = [
            float(kernel(*weights.values(), x1 + dx, x2 + dy, 1.0)["y_hat"])
            for dx in (-0.07, 0.07)
            for dy in (-0.07, 0.07)
        ]
        if max(near) - min(near) < 0.03:  # squares have one colour each
            assert drawn.is_near(place, expected, 0.03), (x1, x2, drawn.at(place), expected)
            kinds.add(answer > 0.5)
    assert kinds == {True, False}


def test_a_narrow_page_is_not_wider_than_its_window(page: Path, tmp_path: Path) -> None:
    drawn = look(page, tmp_path, "#steps=40&at=6.5", (520, 2100))
    assert drawn.page[0] <= 520
    found, grid = columns_of(drawn)
    assert len(grid) == 5
    assert np.nanmax(found) <= grid[-1] + 1

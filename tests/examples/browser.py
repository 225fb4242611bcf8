"""The page that trains the 2-2-1 network in a headless browser: its document and its picture."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=3000",
    "--run-all-compositor-stages-before-draw", "--force-prefers-reduced-motion", "--force-device-scale-factor=1",
]  # fmt: skip
needs_linker = pytest.mark.skipif(
    shutil.which("wasm-ld") is None and importlib.util.find_spec("ziglang") is None,
    reason="there is no wasm-ld, nor ziglang, which has one",
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")

# What the page begins with.
POINTS = ((1.0, 2.0, 1.0), (2.0, 1.0, 0.0), (-1.0, 1.0, 1.0), (1.0, -1.0, 0.0))
FIRST = {"w11": 0.1, "w12": 0.2, "w21": 0.3, "w22": 0.4, "v1": 0.5, "v2": -0.6}
RATE = 0.2

LAST_LINE = "document.body.dataset.selftest = backprop.selftest();\n"
PROBE = """
const toScreen = (element, x, y) => {
    const place = new DOMPoint(x, y).matrixTransform(element.getScreenCTM());
    return [place.x, place.y];
};
const corners = (element) => {
    const { x, y, width, height } = element.getBBox();
    const found = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
    return found.map((corner) => toScreen(element, ...corner));
};
const box = (element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return [left, top, right, bottom];
};
const drawing = at("network"), zoom = drawing.getScreenCTM().a;
const owns = (node, text) => [node.said, node.back].includes(text) || text.textContent === node.symbol;
const names = ["card", "ink", "node", "positive", "negative", "zero", "forward", "class1", "class0"];
const probe = document.createElement("pre");
probe.id = "probe";
probe.hidden = true;
probe.textContent = JSON.stringify({
    nodes: Object.fromEntries(Object.entries(NODES).map(([name, node]) =>
        [name, { middle: toScreen(drawing, node.x, node.y), radius: node.r * zoom, square: Boolean(node.box) }])),
    edges: EDGES.map(({ from, to, weight }) => ({ from, to, weight: weight ?? null })),
    zoom,
    texts: [...drawing.querySelectorAll("text")].map((text) => ({
        text: text.textContent,
        corners: corners(text),
        inside: Object.keys(NODES).find((name) => owns(NODES[name], text)) ?? null,
    })),
    colours: Object.fromEntries(names.map((name) => [name, colour(`--${name}`)])),
    boxes: Object.fromEntries(["network", "curve", "map"].map((id) => [id, box(at(id))])),
    page: [document.documentElement.scrollWidth, document.documentElement.scrollHeight],
});
document.body.append(probe);
"""


def descent(kernel: gradc.Kernel, steps: int) -> list[dict[str, float]]:
    """The weights before each step of gradient descent and after the last."""
    found = [dict(FIRST)]
    for step in range(steps):
        slopes = kernel(*found[-1].values(), *POINTS[step % 4])
        found.append({name: value - RATE * float(slopes[f"d_{name}"]) for name, value in found[-1].items()})
    return found


def mean_loss(kernel: gradc.Kernel, weights: dict[str, float]) -> float:
    return float(np.mean([kernel(*weights.values(), *point)["L"] for point in POINTS]))


def run(page: Path, profile: Path, place: str, *options: str) -> str:
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={profile}", *options, f"{page.as_uri()}{place}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(page: Path, profile: Path, place: str = "") -> str:
    """The document after its scripts have run."""
    return run(page, profile, place, "--dump-dom")


@dataclass(frozen=True)
class Look:
    """A picture of the page, ``[rows, columns, rgb]`` from 0 to 1, and where it says that things stand, in pixels."""

    pixels: np.ndarray
    nodes: dict[str, Any]
    edges: list[dict[str, Any]]
    zoom: float
    texts: list[dict[str, Any]]
    colours: dict[str, np.ndarray]
    boxes: dict[str, list[float]]
    page: list[int]

    def at(self, point: Any) -> np.ndarray:
        """The colour of the pixel that holds the point."""
        x, y = point
        return self.pixels[int(y), int(x)]

    def is_near(self, point: Any, expected: np.ndarray, within: float = 0.04, reach: int = 0) -> bool:
        """Whether a pixel of at most ``reach`` from that of the point has the colour."""
        x, y = (int(value) for value in point)
        around = self.pixels[y - reach : y + reach + 1, x - reach : x + reach + 1]
        return bool(np.min(np.max(np.abs(around - expected), axis=-1)) <= within)


def colour(text: str) -> np.ndarray:
    """The colour of ``#1b2130`` or ``10, 102, 194``."""
    if text.startswith("#"):
        return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.array([float(part) for part in text.split(",")]) / 255


def look(page: Path, folder: Path, place: str, size: tuple[int, int] = (1160, 1040), dark: bool = False) -> Look:
    """The page drawn in a window of that size, at that place of the training."""
    image = pytest.importorskip("matplotlib.image")
    text = page.read_text(encoding="utf-8")
    assert text.count(LAST_LINE) == 1
    probed = folder / "probed.html"
    probed.write_text(text.replace(LAST_LINE, LAST_LINE + PROBE), encoding="utf-8")
    options = [f"--window-size={size[0]},{size[1]}", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    run(probed, folder, place, *options, f"--screenshot={folder / 'page.png'}")
    document = run(probed, folder, place, *options, "--dump-dom")
    found = re.search(r'<pre id="probe"[^>]*>(.*?)</pre>', document, re.DOTALL)
    assert found is not None, "the scripts of the page did not end"
    facts = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    facts["colours"] = {name: colour(value) for name, value in facts["colours"].items()}
    pixels = image.imread(folder / "page.png")[..., :3]
    assert pixels.shape == (size[1], size[0], 3)
    return Look(pixels, **facts)

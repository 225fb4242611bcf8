"""A web page on which the 2-2-1 network learns: values flow forward, gradients flow back, in WebAssembly.

Run it with ``python examples/embedding/live_network.py [FOLDER]`` and open ``FOLDER/live_network.html``, by default in
``embedding_output``. The page is one file that needs no server: the kernel stands in it as text.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import gradc

PAGE = Path(__file__).with_name("live_network.html")
WEIGHTS = ("w11", "w12", "w21", "w22", "v1", "v2")
PLACES = ("z1", "z2", "a1", "a2", "z", "y_hat")


def network(w11, w12, w21, w22, v1, v2, x1, x2, y, nudges):
    """The loss L of one point, and the values on the way to it; a nudge is added to each."""
    z1 = w11 * x1 + w12 * x2 + nudges["z1"]
    z2 = w21 * x1 + w22 * x2 + nudges["z2"]
    a1 = np.maximum(z1, 0) + nudges["a1"]
    a2 = np.maximum(z2, 0) + nudges["a2"]
    z = v1 * a1 + v2 * a2 + nudges["z"]
    y_hat = 1 / (1 + np.exp(-z)) + nudges["y_hat"]
    L = -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))
    return L, {"z1": z1, "z2": z2, "a1": a1, "a2": a2, "z": z, "y_hat": y_hat}


def backprop(w11, w12, w21, w22, v1, v2, x1, x2, y):
    """All that the page shows of one point: values, and the slope of L in each weight and each value, by its nudge."""
    weights = dict(zip(WEIGHTS, (w11, w12, w21, w22, v1, v2), strict=True))
    nudges = dict.fromkeys(PLACES, 0.0)
    slopes = gradc.value_and_grad(network, wrt=(*WEIGHTS, "nudges"), has_aux=True)
    (L, values), (*of_weights, of_values) = slopes(**weights, x1=x1, x2=x2, y=y, nudges=nudges)
    slope = dict(zip(WEIGHTS, of_weights, strict=True)) | of_values
    return {"L": L, **values, **{f"d_{name}": slope[name] for name in (*WEIGHTS, *PLACES)}}


def kernel() -> gradc.Kernel:
    """The kernel of the page: nine numbers in, nineteen out."""
    example: list[Any] = [0.1, 0.2, 0.3, 0.4, 0.5, -0.6, 1.0, 2.0, 1.0]
    return gradc.jit(backprop).compile(*example)


def page() -> str:
    """The page, with the module for JavaScript and the code of the kernel in it."""
    with tempfile.TemporaryDirectory() as folder:
        kernel().save(folder, format="wasm")
        module = (Path(folder) / "backprop.mjs").read_text(encoding="utf-8")
        code = base64.b64encode((Path(folder) / "backprop.wasm").read_bytes()).decode()
    text = PAGE.read_text(encoding="utf-8")
    parts = {"// {{ backprop.mjs }}\n": module.replace("export ", ""), "{{ backprop.wasm }}": code}
    for place, part in parts.items():
        if text.count(place) != 1:
            raise ValueError(f"{PAGE.name} has {text.count(place)} places for {place.strip()}, expected one")
        text = text.replace(place, part)
    return text


def main(folder: Path = Path("embedding_output")) -> Path:
    """Write the page, and give its path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "live_network.html"
    target.write_text(page(), encoding="utf-8")
    print(f"wrote {target}; open it in a browser")
    return target


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))

"""What the Rust program in ``rust`` fits with: the squared error of a damped oscillation, and its gradient, as a crate.

Run ``make fit`` in this folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import gradc


def oscillation_error(p, t, y):
    """Mean squared error of ``height * exp(-decay t) * cos(frequency t)`` at the times t, for p = those three."""
    height, decay, frequency = p
    return np.mean((height * np.exp(-decay * t) * np.cos(frequency * t) - y) ** 2)


def main(folder: Path) -> None:
    times, heights = gradc.aval("f64[n]"), gradc.aval("f64[n]")
    kernel = gradc.value_and_grad(oscillation_error).compile(gradc.aval("f64[3]"), times, heights, name="fit")
    kernel.save(folder, format="lib", bindings=("rust",))
    print(f"wrote the crate {folder / 'fit-rs'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build"))

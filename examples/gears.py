"""The chain rule in three meshed gears of radius 6, 2 and 1.

Where gears mesh, the same length of rim passes on both sides: ``2 pi r * turns`` is equal. So a gear of a third of
the radius makes three times the turns, and rates of change along a train multiply: that is the chain rule. The sense
of rotation, which flips from gear to gear, is left out. Run it with ``python examples/gears.py``.
"""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

import gradc

LARGE, MIDDLE, SMALL = 6.0, 2.0, 1.0


def driven(turns, r_driving, r_driven):
    """How often a gear turns that meshes with another one: the arc lengths are equal."""
    arc = 2 * np.pi * r_driving * turns
    return arc / (2 * np.pi * r_driven)


def middle(large):
    """Turns of the middle gear, for turns of the large one."""
    return driven(large, LARGE, MIDDLE)


def small(middle_turns):
    """Turns of the small gear, for turns of the middle one."""
    return driven(middle_turns, MIDDLE, SMALL)


def train(large):
    """Turns of the small gear, for turns of the large one: the composition."""
    return small(middle(large))


def ratios() -> dict[str, tuple[float, float]]:
    """For each pair of gears the turns after one turn of the first, and the derivative."""
    return {
        "middle / large": (middle(1.0), float(gradc.grad(middle)(1.0))),
        "small / middle": (small(1.0), float(gradc.grad(small)(3.0))),
        "small / large": (train(1.0), float(gradc.grad(train)(1.0))),
    }


def main() -> None:
    console = Console()
    found = ratios()
    table = Table("gears", "turns for one turn", "derivative", title=f"radii {LARGE:g}, {MIDDLE:g} and {SMALL:g}")
    for column in table.columns[1:]:
        column.justify = "right"
    for pair, (turns, derivative) in found.items():
        table.add_row(pair, f"{turns:g}", f"{derivative:g}")
    console.print(table)
    outer, inner, whole = (found[pair][1] for pair in ("small / middle", "middle / large", "small / large"))
    console.print(
        f"d small/d large = d small/d middle · d middle/d large = {outer:g} · {inner:g} = {outer * inner:g}; "
        f"gradc says {whole:g} for the whole train.",
        highlight=False,
        soft_wrap=True,
    )
    console.print("Equal arc length gives the ratios; the sense of rotation is left out.", soft_wrap=True)


if __name__ == "__main__":
    main()

"""Three gears: the turns by equal arc length, the derivatives by gradc, the chain rule between them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Example = Callable[[str], ModuleType]


def test_one_turn_of_the_large_gear(example: Example) -> None:
    gears = example("gears")
    assert gears.middle(1.0) == pytest.approx(3, rel=1e-15)
    assert gears.train(1.0) == pytest.approx(6, rel=1e-15)


def test_the_derivatives_multiply_along_the_train(example: Example) -> None:
    derivative = {pair: slope for pair, (_, slope) in example("gears").ratios().items()}
    assert derivative["middle / large"] == pytest.approx(3, rel=1e-15)
    assert derivative["small / middle"] == pytest.approx(2, rel=1e-15)
    assert derivative["small / large"] == pytest.approx(6, rel=1e-15)
    assert derivative["small / large"] == pytest.approx(
        derivative["small / middle"] * derivative["middle / large"], rel=1e-15
    )


def test_the_arc_lengths_are_equal(example: Example) -> None:
    gears = example("gears")
    arcs = [gears.LARGE * 1.0, gears.MIDDLE * gears.middle(1.0), gears.SMALL * gears.train(1.0)]
    assert arcs == pytest.approx([6.0] * 3, rel=1e-15)


def test_what_it_prints(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    example("gears").main()
    printed = capsys.readouterr().out
    assert "d small/d large = d small/d middle · d middle/d large = 2 · 3 = 6" in printed
    assert "the sense of rotation is left out" in printed

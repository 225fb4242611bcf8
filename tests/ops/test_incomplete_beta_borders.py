"""The incomplete beta function of a small order beside a larger one, where its fraction changes sides."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
from gradc.request import BACKENDS

mp = mpmath.mp


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "reference"])
def test_the_fraction_does_not_cancel_where_it_changes_sides(backend: str) -> None:
    """Within 32 units of 2**-52; taken from the other side it had 106."""
    draw = np.random.default_rng(2)
    a, b = 10 ** draw.uniform(1.01, 3, 60), 10 ** draw.uniform(-5, 0, 60)
    x = (a - 1 + draw.uniform(-0.2, 1.5, 60)) / (a + b + 2)
    a[0], b[0], x[0] = 36.64426628816044, 0.00014351987670580284, 0.9223800725638098
    found = gradc.jit(lambda a, b, x: scipy.special.betaincc(a, b, x), backend=backend)(a, b, x)
    with mpmath.workdps(40):
        for got, *numbers in zip(found, a, b, x, strict=True):
            first, second, place = [mp.mpf(float(number)) for number in numbers]
            wanted = mp.betainc(second, first, 0, 1 - place, regularized=True)
            assert abs(mp.mpf(float(got)) - wanted) <= 32 * mp.mpf(2) ** -52, numbers

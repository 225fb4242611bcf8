"""The subtracted maximum has no slope where nothing feels it, and has one where something does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradc.inspect.derivation import Derivation

Z = np.array([[0.3, -0.2, 1.0], [0.1, 0.8, -0.5]])
Y = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


def named_exp(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.sum(Y * np.log(p))


def added_axis(z):
    s = z - z.max(axis=1)[:, None]
    logp = s - np.log(np.exp(s).sum(axis=1)[:, None])
    return -np.sum(Y * logp)


def one_row(z):
    e = np.exp(z[0] - z[0].max())
    row = z[1]
    f = np.exp(row - row.max())
    p = f / np.sum(f)
    return np.sum(p * Y[1]) + np.sum(e)


def used_elsewhere(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return np.sum(p * Y) + np.sum(e)


def other_axis(z):
    e = np.exp(z - np.max(z, axis=0, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return np.sum(p * Y)


def laws(derivation: Derivation) -> str:
    return " ".join(step["law"] for record in derivation.json() for step in record["steps"])


@pytest.mark.parametrize(
    ("function", "harmless", "felt"),
    [
        (named_exp, True, False),
        (added_axis, True, False),
        (one_row, True, True),
        (used_elsewhere, False, True),
        (other_axis, False, True),
    ],
)
def test_the_maximum_counts_as_a_constant_only_where_it_changes_nothing(
    tell: Callable[..., Derivation], function: Callable[..., object], harmless: bool, felt: bool
) -> None:
    told = laws(tell(function, Z))
    assert ("does not change with max" in told) == harmless
    assert ("the rule of max" in told) == felt

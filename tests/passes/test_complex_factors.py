"""Pseudo-inverses of complex matrices by their own singular values."""

from __future__ import annotations

import numpy as np
import pytest

import gradc


def numbers(*shape: int) -> np.ndarray:
    re, im = np.random.default_rng(shape).normal(size=(2, *shape))
    return re + 1j * im


@pytest.mark.parametrize(
    "a",
    [
        numbers(3, 3),
        numbers(5, 2),
        numbers(2, 5),
        numbers(4, 2) @ numbers(2, 3),
        numbers(2, 3) @ numbers(3, 2) * 0,
        numbers(2, 4, 3),
        np.zeros((0, 3), complex),
    ],
    ids=["square", "tall", "wide", "rank 2", "zeros", "batch", "empty"],
)
def test_pseudo_inverses(a: np.ndarray) -> None:
    found = gradc.jit(lambda a: np.linalg.pinv(a, 1e-12))(a)
    expected = np.linalg.pinv(a, 1e-12)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_no_matrix_of_twice_the_size() -> None:
    program = gradc.jit(lambda a: (np.linalg.pinv(a), np.linalg.svd(a, full_matrices=False)[1])).compile(numbers(5, 4))
    assert program.loops.count("call two_diagonals_4_kept_complex") == 1
    assert "two_diagonals_8" not in program.loops

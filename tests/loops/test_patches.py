"""Contractions read the patches of an array where it stands; what losses take apart and put together is not copied."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import gradc
from gradc.loops.language.program import Load, LoopProgram, Store
from gradc.loops.language.traversal import statements_of

Array = npt.NDArray[Any]
Function = Callable[..., Any]
RNG = np.random.default_rng(3)


def draw(*shape: int) -> Array:
    return RNG.normal(size=shape)


def slices(x: Array, size: tuple[int, int], step: int = 1, apart: int = 1) -> list[Array]:
    """The slices of images [n, h, w, c] whose windows of 3 by 3 begin ``step`` places apart, dilated by ``apart``."""
    h, w = size
    return [
        x[:, i : i + (h - 1) * step + 1 : step, j : j + (w - 1) * step + 1 : step, :]
        for i in range(0, 3 * apart, apart)
        for j in range(0, 3 * apart, apart)
    ]


def in_a_row(x: Array, w: Array) -> Array:
    patches = np.concatenate(slices(x, (7, 5)), axis=3)
    return np.reshape(np.reshape(patches, (-1, w.shape[0])) @ w, (2, 7, 5, -1))


def not_reshaped(x: Array, w: Array) -> Array:
    return np.concatenate(slices(x, (7, 5)), axis=3) @ w


def by_steps(x: Array, w: Array) -> Array:
    return np.reshape(np.concatenate(slices(x, (4, 3), step=2), axis=3), (-1, w.shape[0])) @ w


def dilated(x: Array, w: Array) -> Array:
    return np.reshape(np.concatenate(slices(x, (5, 3), apart=2), axis=3), (-1, w.shape[0])) @ w


def stacked(x: Array, w: Array) -> Array:
    return np.tensordot(np.stack(slices(x, (7, 5)), axis=3), np.reshape(w, (9, 4, 8)), axes=2)


def columns_first(x: Array, w: Array) -> Array:
    patches = [x[:, i : i + 7, j : j + 5, :] for j in range(3) for i in range(3)]
    return np.reshape(np.concatenate(patches, axis=3), (-1, w.shape[0])) @ w


def of_a_part(x: Array, w: Array) -> Array:
    patches = [x[1:, i : i + 7, j : j + 5, 1:3] for i in range(3) for j in range(3)]
    return np.reshape(np.concatenate(patches, axis=3), (35, 18)) @ w[:18]


def gathered(x: Array, w: Array) -> Array:
    i, j = np.arange(7)[:, None] + np.arange(3), np.arange(5)[:, None] + np.arange(3)
    patches = x[:, i[:, None, :, None], j[None, :, None, :], :]
    return np.reshape(patches, (-1, w.shape[0])) @ w


def along_a_line(x: Array, w: Array) -> Array:
    patches = [x[:, 0, j : j + 5, :] for j in range(3)]
    return np.reshape(np.concatenate(patches, axis=2), (10, 12)) @ w[:12]


PATCHES: list[Function] = [
    in_a_row, not_reshaped, by_steps, dilated, stacked, columns_first, of_a_part, gathered, along_a_line,
]  # fmt: skip


def moves(program: LoopProgram, sources: Container[str] = ("input", "arena", "output", "constant")) -> list[str]:
    """The arrays of scratch memory into which elements of arrays of these kinds are stored as they are."""
    kinds = {buffer.name: buffer.kind for buffer in program.buffers}
    stores = [s for s in statements_of(program.body) if isinstance(s, Store) and kinds.get(s.buffer) == "arena"]
    return [s.buffer for s in stores if isinstance(s.value, Load) and kinds.get(s.value.buffer, "local") in sources]


def program_of(kernel: gradc.Kernel) -> LoopProgram:
    return kernel._compiled.program


@pytest.mark.parametrize("f", PATCHES, ids=lambda f: f.__name__)
def test_a_convolution_reads_its_input_in_place(f: Function) -> None:
    x, w = draw(2, 9, 7, 4), draw(36, 8)
    kernel = gradc.jit(f).compile(x, w)
    assert moves(program_of(kernel)) == []
    assert kernel.cost.arena == 0
    np.testing.assert_allclose(kernel(x, w), f(x, w), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("f", PATCHES, ids=lambda f: f.__name__)
def test_so_does_its_gradient(f: Function) -> None:
    def loss(x: Array, w: Array) -> Array:
        return np.sum(np.tanh(f(x, w)))

    x, w = draw(2, 9, 7, 4), draw(36, 8)
    kernel = gradc.grad(loss, argnums=(0, 1)).compile(x, w)
    assert moves(program_of(gradc.grad(loss, argnums=1).compile(x, w))) == []
    d_x, d_w = kernel(x, w)
    for found, moved in ((d_x, 0), (d_w, 1)):
        direction = draw(*found.shape)
        shift = [1e-6 * direction if k == moved else 0.0 for k in range(2)]
        slope = (loss(x + shift[0], w + shift[1]) - loss(x - shift[0], w - shift[1])) / 2e-6
        np.testing.assert_allclose(np.sum(found * direction), slope, rtol=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 7, 33])
def test_any_number_of_images(rows: int) -> None:
    kernel = gradc.jit(not_reshaped).compile(gradc.aval("f64[batch,9,7,4]"), draw(36, 8))
    x, w = draw(rows, 9, 7, 4), draw(36, 8)
    assert moves(program_of(kernel)) == []
    np.testing.assert_allclose(kernel(x, w), not_reshaped(x, w), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 7, 33])
def test_the_gradient_of_any_number_of_images(rows: int) -> None:
    def loss(w: Array, x: Array) -> Array:
        return np.sum(not_reshaped(x, w) ** 2)

    kernel = gradc.grad(loss).compile(draw(36, 8), gradc.aval("f64[batch,9,7,4]"))
    x, w = draw(rows, 9, 7, 4), draw(36, 8)
    patches = np.concatenate(slices(x, (7, 5)), axis=3).reshape(-1, 36)
    np.testing.assert_allclose(kernel(w, x), 2 * patches.T @ (patches @ w), rtol=1e-12, atol=1e-12)


def unequal(x: Array, w: Array) -> Array:
    patches = [x[:, i : i + 5, :5, :] for i in (0, 1, 3)]
    return np.reshape(np.concatenate(patches, axis=3), (50, 12)) @ w[:12]


def of_two(x: Array, w: Array) -> Array:
    patches = [x[:, :5, :5, :], 2 * x[:, 1:6, :5, :]]
    return np.reshape(np.concatenate(patches, axis=3), (50, 8)) @ w[:8]


def channels_first(x: Array, w: Array) -> Array:
    patches = np.concatenate([x[:, i : i + 7, j : j + 2, :] for i in range(3) for j in range(3)], axis=1)
    return w[:2].T @ np.reshape(np.moveaxis(patches, 2, 0), (2, -1))


def few_columns(x: Array, w: Array) -> Array:
    return np.concatenate(slices(x, (7, 5)), axis=3) @ w[:, :2]


def ragged_columns(x: Array, w: Array) -> Array:
    return np.concatenate(slices(x, (7, 5)), axis=3) @ w[:, :5]


OTHERS: list[Function] = [unequal, of_two, channels_first, few_columns, ragged_columns]


@pytest.mark.parametrize("f", OTHERS, ids=lambda f: f.__name__)
def test_other_concatenations_stay(f: Function) -> None:
    x, w = draw(2, 9, 7, 4), draw(36, 8)
    np.testing.assert_allclose(gradc.jit(f)(x, w), f(x, w), rtol=1e-12, atol=1e-12)


def rosenbrock(x: Array) -> Array:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def adjustment(cameras: Array, points: Array, of_camera: Array, of_point: Array, seen: Array) -> Array:
    """Rotations by Rodrigues' formula, a perspective division, radial distortion, a focal length."""
    camera, point = cameras[of_camera], points[of_point]
    axis = camera[:, :3]
    angle = np.sqrt(np.sum(axis**2, axis=1, keepdims=True) + 1e-12)
    unit = axis / angle
    turned = (
        point * np.cos(angle)
        + np.cross(unit, point) * np.sin(angle)
        + unit * np.sum(unit * point, axis=1, keepdims=True) * (1.0 - np.cos(angle))
    )
    moved = turned + camera[:, 3:6]
    flat = -moved[:, :2] / moved[:, 2:3]
    square = np.sum(flat**2, axis=1, keepdims=True)
    distorted = flat * (1.0 + square * (camera[:, 7:8] + square * camera[:, 8:9]))
    return np.sum((camera[:, 6:7] * distorted - seen) ** 2)


def mixture(logits: Array, means: Array, diagonal: Array, below: Array, x: Array) -> Array:
    """Gaussians whose inverse covariances have triangular factors, packed: the diagonal's logarithms, what is below."""
    d = x.shape[1]
    place = np.full((d, d), d * (d + 1) // 2)
    place[np.diag_indices(d)] = np.arange(d)
    place[np.tril_indices(d, -1)] = np.arange(d, d * (d + 1) // 2)
    packed = np.concatenate([np.exp(diagonal), below, np.zeros((len(logits), 1))], axis=1)
    factors = packed[:, place]
    away = (x[None] - means[:, None]) @ np.swapaxes(factors, 1, 2)
    each = (logits + np.sum(diagonal, axis=1))[:, None] - 0.5 * np.sum(away**2, axis=2)
    largest = np.max(each, axis=0)
    return np.sum(np.log(np.sum(np.exp(each - largest), axis=0)) + largest)


def test_a_loss_over_neighbours_has_no_array_but_its_gradient() -> None:
    kernel = gradc.value_and_grad(rosenbrock).compile(draw(5000))
    assert moves(program_of(kernel)) == []
    assert kernel.cost.arena <= 64  # the sums of the parts that threads take


def test_bundle_adjustment_reads_cameras_and_points_where_they_stand() -> None:
    count = 400
    indices = RNG.integers(0, 20, count), RNG.integers(0, 90, count)
    points = draw(90, 3) + np.array([0.0, 0.0, 5.0])
    kernel = gradc.value_and_grad(adjustment, argnums=(0, 1)).compile(draw(20, 9), points, *indices, draw(count, 2))
    assert moves(program_of(kernel), ["input"]) == []


def test_triangular_factors_are_gathered_once_for_their_products() -> None:
    """As large as the factors, not as the data: what is packed, and the matrices that a product reads by rows."""
    k, d = 5, 6
    arguments = (draw(k), draw(k, d), draw(k, d), draw(k, d * (d - 1) // 2), draw(200, d))
    kernel = gradc.value_and_grad(mixture, argnums=(0, 1, 2, 3)).compile(*arguments)
    assert sorted(set(moves(program_of(kernel)))) == ["factors", "packed"]

"""Every hand-written program verifies, prints, parses, and runs right."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.errors import IndexBoundsError
from gradc.ir.target import GENERIC, Target
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.loops.shaping.expand import expand

PROGRAMS = Path(__file__).parent / "programs"
Arrays = list[np.ndarray]


def softmax(z: np.ndarray) -> Arrays:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return [e / e.sum(axis=1, keepdims=True)]


def layer_norm(x: np.ndarray, gain: np.ndarray, shift: np.ndarray) -> Arrays:
    wide = x.astype(np.float64)
    normal = (wide - wide.mean(axis=1, keepdims=True)) / np.sqrt(wide.var(axis=1, keepdims=True) + 1e-5)
    return [normal.astype(np.float32) * gain + shift]


def convolution(image: np.ndarray, kernel: np.ndarray) -> Arrays:
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return [np.einsum("ncrsij,ocij->nors", windows, kernel)]


def scatter_add(base: np.ndarray, place: np.ndarray, value: np.ndarray) -> Arrays:
    y = base.copy()
    np.add.at(y, place, value)
    return [y]


def cholesky(a: np.ndarray) -> Arrays:
    return [np.linalg.cholesky(a)]


def packed_triangle(packed: np.ndarray, x: np.ndarray) -> Arrays:
    full = np.zeros((5, 5))
    full[np.tril_indices(5)] = packed
    return [full @ x]


def scan(w: np.ndarray, x: np.ndarray) -> Arrays:
    h, sums = np.zeros(4), []
    for row in x:
        h = np.tanh(w @ h + row)
        sums.append(h.sum())
    return [h, np.array(sums)]


def repeats(x: np.ndarray) -> Arrays:
    weight = np.array([0.5, -0.0, 1.0], np.float32)
    return [np.concatenate([x.reshape(4, 3)[s] * weight + np.float32(10 * r) for r, s in enumerate((2, 0, 3, 1))])]


def attention_mask(score: np.ndarray, keep: np.ndarray) -> Arrays:
    best = np.where(keep, score, -np.inf).max(axis=1)
    return [keep.any(axis=1), best, np.array((keep & (score >= 0)).sum(), np.int32)]


def layers(w: np.ndarray, x: np.ndarray) -> Arrays:
    for number, m in enumerate(w):
        r = x @ m.T
        x = r / (1 + np.abs(r.sum(axis=1, keepdims=True))) + np.array([[1.0], [-1.0]]) * number
    return [x]


def chosen(x: np.ndarray, *ws: np.ndarray) -> Arrays:
    h = [x + 1]
    for w in ws:
        h.append(np.tanh(w @ h[-1]))
    return [h[3], h[2]]


def positive_definite(rng: np.random.Generator) -> Arrays:
    a = rng.standard_normal((8, 8))
    return [a @ a.T + 8 * np.eye(8)]


RUNS: dict[str, tuple[Callable[..., Arrays], Callable[[np.random.Generator], Arrays]]] = {
    "softmax": (softmax, lambda rng: [rng.standard_normal((7, 100)) * 30]),
    "layer_norm": (
        layer_norm,
        lambda rng: [(rng.standard_normal(s) + 3).astype(np.float32) for s in ((5, 37), (37,), (37,))],
    ),
    "convolution": (convolution, lambda rng: [rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 3))]),
    "scatter_add": (
        scatter_add,
        lambda rng: [rng.standard_normal((10, 3)), np.array([3, -1, 3, 0, -10, 9]), rng.standard_normal((6, 3))],
    ),
    "cholesky": (cholesky, positive_definite),
    "packed_triangle": (packed_triangle, lambda rng: [rng.standard_normal(15), rng.standard_normal(5)]),
    "scan": (scan, lambda rng: [rng.standard_normal((4, 4)), rng.standard_normal((6, 4))]),
    "layers": (layers, lambda rng: [rng.standard_normal((3, 4, 4)), rng.standard_normal((2, 4))]),
    "chosen": (chosen, lambda rng: [rng.standard_normal(3), *rng.standard_normal((3, 3, 3))]),
    "repeats": (repeats, lambda rng: [rng.standard_normal(12).astype(np.float32)]),
    "attention_mask": (attention_mask, lambda rng: [rng.standard_normal((3, 3)), rng.random((3, 3)) < 0.5]),
}


def text_of(name: str) -> str:
    return (PROGRAMS / f"{name}.loops").read_text(encoding="utf-8")


def test_every_program_has_a_row() -> None:
    assert {path.stem for path in PROGRAMS.glob("*.loops")} == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_text_is_printed_as_it_was_written(name: str) -> None:
    assert str(parse_program(text_of(name))) == text_of(name)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("target", [host(), GENERIC], ids=["host", "generic"])
def test_program_and_its_expansion_keep_the_laws_and_parse_back(name: str, target: Target) -> None:
    program = verify(parse_program(text_of(name)))
    expanded = verify(expand(program, target))
    assert parse_program(str(expanded)) == expanded


@pytest.mark.parametrize("name", RUNS)
def test_program_runs(name: str) -> None:
    program = parse_program(text_of(name))
    reference, make = RUNS[name]
    inputs = [np.ascontiguousarray(a) for a in make(np.random.default_rng(7))]
    results = load(emit(program, host()), program)(inputs)
    for result, expected in zip(results, reference(*inputs), strict=True):
        assert result.dtype == expected.dtype
        assert result.shape == expected.shape
        tolerance = 1e-5 if result.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)


def test_index_out_of_range_raises_the_message_and_the_next_call_works() -> None:
    program = parse_program(text_of("scatter_add"))
    entry = load(emit(program, host()), program)
    base, value = np.zeros((10, 3)), np.ones((6, 3))
    for bad, told in ((10, "10"), (-11, "-11"), (2**62, f"beyond {2**46}")):
        with pytest.raises(IndexBoundsError) as caught:
            entry([base, np.array([0, 1, bad, 2, 3, 4]), value])
        assert str(caught.value) == program.messages[0].replace("{}", told)
    assert entry([base, np.arange(6), value])[0].sum() == 18

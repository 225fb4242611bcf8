"""Products over windows of an array that is read where it stands: several axes are summed, one inside the other."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.functions import kernel_of
from gradc.backends.llvm.matmul.order import sum_order
from gradc.backends.llvm.matmul.shares import share_contractions, shares_of
from gradc.backends.llvm.matmul.ways import TilePlan
from gradc.backends.llvm.matmul.windows import nest_of
from gradc.ir.aval import dim_value
from gradc.ir.target import GENERIC, Target
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Call, LoopProgram
from gradc.loops.language.verify import verify
from gradc.loops.lowering.products import with_products

AVX2 = Target(host().triple, "haswell", "", 256, 16, True)
TARGETS = [host(), GENERIC] + ([AVX2] if host().triple.startswith("x86_64") and host().fma else [])

Sizes = dict[str, int]
"""Images n of h by w places with c channels, windows of u by v places, every ``step`` places, and f columns."""

SIZES: list[Sizes] = [
    {"n": 2, "h": 9, "w": 9, "c": 3, "u": 3, "v": 3, "f": 16, "step": 1},
    {"n": 1, "h": 5, "w": 30, "c": 1, "u": 2, "v": 5, "f": 8, "step": 1},
    {"n": 3, "h": 11, "w": 8, "c": 5, "u": 4, "v": 1, "f": 10, "step": 2},
    {"n": 2, "h": 14, "w": 7, "c": 2, "u": 3, "v": 4, "f": 37, "step": 1},
    {"n": 5, "h": 25, "w": 19, "c": 1, "u": 2, "v": 2, "f": 4, "step": 1},
    {"n": 1, "h": 4, "w": 4, "c": 7, "u": 4, "v": 3, "f": 100, "step": 1},
]


def places(sizes: Sizes) -> tuple[int, int]:
    return (sizes["h"] - sizes["u"]) // sizes["step"] + 1, (sizes["w"] - sizes["v"]) // sizes["step"] + 1


def steps(lengths: tuple[int, ...]) -> str:
    return ", ".join(str(math.prod(lengths[k + 1 :])) for k in range(len(lengths)))


def program(kind: str, sizes: Sizes, dtype: str, epilogue: bool = False) -> LoopProgram:
    """``forward``: y[n, i, j, f]; ``kernel``: the gradient of the kernel; ``swapped``: the same, operands exchanged."""
    n, h, w, c, u, v, f, step = sizes.values()
    p, q = places(sizes)
    row, place = w * c, c
    x = f"x{{0; {h * row}, {step * row}, {step * place}, {row}, {place}, 1}}"
    y, k = f"{{0; {steps((n, p, q, f))}}}", f"{{0; {steps((u, v, c, f))}}}"
    numbers = f"[n={n}, i={p}, j={q}, u={u}, v={v}, c={c}, f={f}] {dtype}"
    forward = kind == "forward"
    other = f"f{dtype[1:]}[{u},{v},{c},{f}]" if forward else f"{dtype}[{n},{p},{q},{f}]"
    shape = f"{n},{p},{q},{f}" if forward else f"{u},{v},{c},{f}"
    call = {
        "forward": f"r{y} = contract nijuvc,uvcf->nijf {numbers} ({x}, o{k})",
        "kernel": f"r{k} = contract nijuvc,nijf->uvcf {numbers} ({x}, o{y})",
        "swapped": f"r{k} = contract nijf,nijuvc->uvcf {numbers} (o{y}, {x})",
    }[kind]
    bias = f"input b: {dtype}[{f}]\n" if epilogue else ""
    then = (
        " then z of n, i, j, f:\n    let s = z + b[f]\n    r[n, i, j, f] = maximum(s, 0.0) * s\n" if epilogue else "\n"
    )
    if dtype == "f32":
        then = then.replace("0.0", "0.0_f32")
    text = (
        f"program p\ninput x: {dtype}[{n},{h},{w},{c}]\ninput o: {other}\n{bias}output r: {dtype}[{shape}]\n\nbegin\n"
    )
    return parse_program(f"{text}  {call}{then}")


def arrays_of(wanted: LoopProgram, sizes: dict[str, int] | None = None) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal([dim_value(d, sizes or {}) for d in x.shape]).astype(x.dtype) for x in wanted.inputs]
    for array in arrays:
        array[rng.random(array.shape) < 0.2] = -0.0
    return arrays


def windows_of(x: np.ndarray, sizes: Sizes) -> np.ndarray:
    """n, i, j, u, v, c"""
    found = np.lib.stride_tricks.sliding_window_view(x, (sizes["u"], sizes["v"]), axis=(1, 2))
    step = sizes["step"]
    return found[:, ::step, ::step].transpose(0, 1, 2, 4, 5, 3)


def expected(kind: str, x: np.ndarray, other: np.ndarray, sizes: Sizes) -> np.ndarray:
    form = "nijuvc,uvcf->nijf" if kind == "forward" else "nijuvc,nijf->uvcf"
    return np.einsum(form, windows_of(x.astype("f8"), sizes), other.astype("f8"))


def the_call(wanted: LoopProgram) -> Call:
    (call,) = wanted.body
    assert isinstance(call, Call)
    return call


def in_stated_order(wanted: LoopProgram) -> LoopProgram:
    """The program with its contraction as loops that add up in the order that is stated for it."""
    return with_products(wanted, host(), lambda call: sum_order(call, wanted.buffer, host()))


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu or "generic")
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("kind", ["forward", "kernel", "swapped"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda s: "x".join(map(str, s.values())))
def test_windows_are_read_in_tiles(sizes: Sizes, kind: str, dtype: str, target: Target) -> None:
    wanted = program(kind, sizes, dtype)
    kernel = kernel_of(the_call(wanted), wanted.buffer, target)
    assert kernel is not None
    arrays = arrays_of(wanted)
    (found,) = load(emit(wanted, target), wanted)(arrays)
    scale = expected(kind, *(np.abs(a) for a in arrays), sizes)
    terms = expected(kind, *(np.ones_like(a) for a in arrays), sizes).max()
    bound = np.finfo(found.dtype).eps * (terms + 2) * scale
    assert np.all(np.abs(found - expected(kind, *arrays, sizes)) <= bound)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("kind", ["forward", "kernel", "swapped"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda s: "x".join(map(str, s.values())))
def test_their_order_is_stated(sizes: Sizes, kind: str, dtype: str) -> None:
    wanted = program(kind, sizes, dtype)
    loops = in_stated_order(wanted)
    verify(loops)
    arrays = arrays_of(wanted)
    (found,), (stated,) = (load(emit(p, host()), p)(arrays) for p in (wanted, loops))
    assert found.tobytes() == stated.tobytes()


@pytest.mark.parametrize("images", [0, 1, 7, 33])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda s: "x".join(map(str, s.values())))
def test_the_number_of_images_may_be_the_calls(sizes: Sizes, dtype: str, images: int) -> None:
    n = sizes["n"]
    for kind in ("forward", "kernel", "swapped"):
        text = str(program(kind, sizes, dtype))
        text = text.replace(f"[n={n}, ", "[n=batch, ").replace(f"x: {dtype}[{n},", f"x: {dtype}[batch,")
        grown = "r" if kind == "forward" else "o"
        text = re.sub(rf"( {grown}: {dtype}\[){n},", r"\g<1>batch,", text)
        wanted = parse_program(text)
        arrays = arrays_of(wanted, {"batch": images})
        loops = in_stated_order(wanted)
        assert loops != wanted
        verify(loops)
        (found,), (stated,) = (load(emit(p, host()), p)(arrays) for p in (wanted, loops))
        assert found.tobytes() == stated.tobytes()
        right = expected(kind, *arrays, sizes)
        terms = expected(kind, *(np.ones_like(a) for a in arrays), sizes).max(initial=0.0)
        scale = expected(kind, *(np.abs(a) for a in arrays), sizes)
        assert np.all(np.abs(found - right) <= np.finfo(found.dtype).eps * (terms + 2) * scale)


LONG: Sizes = {"n": 7, "h": 40, "w": 36, "c": 2, "u": 3, "v": 3, "f": 8, "step": 1}


def test_long_sums_are_cut_into_equal_blocks() -> None:
    wanted = program("kernel", LONG, "f32")
    kernel = kernel_of(the_call(wanted), wanted.buffer, host())
    assert kernel is not None
    assert isinstance(kernel.plan, TilePlan)
    blocks, inner = nest_of(kernel.product, kernel.plan.depth)
    assert [axis.length for axis in blocks] == [7, 2]
    assert [axis.length for axis in inner] == [19, 34]
    arrays = arrays_of(wanted)
    loops = in_stated_order(wanted)
    (found,), (stated,) = (load(emit(p, host()), p)(arrays) for p in (wanted, loops))
    assert found.tobytes() == stated.tobytes()
    scale = expected("kernel", *(np.abs(a) for a in arrays), LONG)
    assert np.all(np.abs(found - expected("kernel", *arrays, LONG)) <= np.finfo("f4").eps * 40 * scale)


@pytest.mark.parametrize("sizes", SIZES, ids=lambda s: "x".join(map(str, s.values())))
def test_epilogues_run_where_the_sums_are_stored(sizes: Sizes) -> None:
    wanted = program("forward", sizes, "f32", epilogue=True)
    kernel = kernel_of(the_call(wanted), wanted.buffer, host())
    assert kernel is not None
    assert kernel.finish is not None
    arrays = arrays_of(wanted)
    x, o, b = arrays
    (found,) = load(emit(wanted, host()), wanted)(arrays)
    (plain,) = load(emit(program("forward", sizes, "f32"), host()), program("forward", sizes, "f32"))([x, o])
    s = plain + b
    np.testing.assert_array_equal(found, np.maximum(s, np.float32(0)) * s)
    loops = in_stated_order(wanted)
    assert load(emit(loops, host()), loops)(arrays)[0].tobytes() == found.tobytes()


@pytest.mark.parametrize("kind", ["forward", "kernel"])
def test_shares_have_the_same_bits(kind: str) -> None:
    sizes = {**LONG, "f": 64}
    wanted = program(kind, sizes, "f32")
    shared = share_contractions(wanted, host(), 2)
    assert shared != wanted
    arrays = arrays_of(wanted)
    (found,), (one,) = (load(emit(p, host()), p)(arrays) for p in (shared, wanted))
    assert found.tobytes() == one.tobytes()


def test_shares_leave_the_rows_of_tiles_whole() -> None:
    """Channels and places of a window that follow on from each other are rows of one tile: shares take columns."""
    sizes: Sizes = {"n": 32, "h": 13, "w": 13, "c": 8, "u": 3, "v": 3, "f": 16, "step": 1}
    wanted = program("kernel", sizes, "f32")
    found = shares_of(the_call(wanted), wanted.buffer, host(), 2, 0)
    assert found is not None
    assert found.letter in "fu"


def test_rows_of_a_prime_length_are_left_to_loops() -> None:
    """No part of 2,003 makes blocks of a fair length: the sums run as loops, in blocks of their own."""
    sizes: Sizes = {"n": 1, "h": 3, "w": 2005, "c": 1, "u": 2, "v": 3, "f": 8, "step": 1}
    wanted = program("kernel", sizes, "f32")
    assert kernel_of(the_call(wanted), wanted.buffer, host()) is None
    arrays = arrays_of(wanted)
    (found,) = load(emit(wanted, host()), wanted)(arrays)
    scale = expected("kernel", *(np.abs(a) for a in arrays), sizes)
    assert np.all(np.abs(found - expected("kernel", *arrays, sizes)) <= np.finfo("f4").eps * 80 * scale)

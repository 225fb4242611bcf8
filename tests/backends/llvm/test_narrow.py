"""Arithmetic of i64 as functions, against what the machine computes."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest

from gradc.backends.llvm.jit import link, object_code
from gradc.backends.llvm.narrow import without_wide_arithmetic

WHOLE = [
    0,
    1,
    2,
    3,
    7,
    64,
    1000,
    2**24 + 1,
    2**31,
    2**32 - 1,
    2**32,
    2**40 + 2**16 + 1,
    2**53 + 1,
    2**62 + 3,
    2**63 - 1,
]
SIGNED = [*WHOLE, *[-n for n in WHOLE], -(2**63)]
REAL = [0.0, 0.5, -0.5, 1.9, -1.9, 2.0**31, 2.0**32, -(2.0**32), 2.0**40 + 4096, 2.0**62, -(2.0**62), 1e30, -1e30]


def call(body: str, head: str, kinds: list[type], arguments: list[object]) -> object:
    """What a function of one instruction gives, after the instruction has become a call."""
    ir = without_wide_arithmetic(f"define {head} {{\n{body}\n}}\n")
    assert "@gradc." in ir
    library = link(object_code(ir), {}, ["f"], "narrow")
    return [ctypes.CFUNCTYPE(*kinds)(library["f"])(*given) for given in arguments]


@pytest.mark.parametrize("operation", ["udiv", "urem", "sdiv", "srem"])
def test_division(operation: str) -> None:
    signed = operation[0] == "s"
    numbers = SIGNED if signed else [n % 2**64 for n in SIGNED]
    pairs = [(n, d) for n, d in itertools.product(numbers, numbers) if d and (n, d) != (-(2**63), -1)]
    kind = ctypes.c_int64 if signed else ctypes.c_uint64
    body = f"  %r = {operation} i64 %n, %d\n  ret i64 %r"
    found = call(body, "i64 @f(i64 %n, i64 %d)", [kind] * 3, pairs)
    quotients = [abs(n) // abs(d) * (1 if (n < 0) == (d < 0) else -1) for n, d in pairs]
    expected = quotients if "div" in operation else [n - q * d for (n, d), q in zip(pairs, quotients, strict=True)]
    assert found == expected


@pytest.mark.parametrize(("kind", "dtype", "c"), [("float", "f4", ctypes.c_float), ("double", "f8", ctypes.c_double)])
def test_conversion_to_floats_rounds_once(kind: str, dtype: str, c: type) -> None:
    near = [2**k + d for k in range(23, 63) for d in (-1, 1, 2 ** max(k - 24, 0), 2 ** max(k - 24, 0) + 1)]
    for operation, numbers, whole in (
        ("sitofp", [*SIGNED, *near, *[-n for n in near]], np.int64),
        ("uitofp", near, np.uint64),
    ):
        body = f"  %r = {operation} i64 %n to {kind}\n  ret {kind} %r"
        found = call(body, f"{kind} @f(i64 %n)", [c, ctypes.c_int64], [(n,) for n in numbers])
        assert np.array(found, dtype).tolist() == np.array(numbers, whole).astype(dtype).tolist()


@pytest.mark.parametrize(("kind", "size", "c"), [("float", 32, ctypes.c_float), ("double", 64, ctypes.c_double)])
def test_conversion_from_floats_truncates_and_saturates(kind: str, size: int, c: type) -> None:
    body = f"  %r = call i64 @llvm.fptosi.sat.i64.f{size}({kind} %x)\n  ret i64 %r"
    numbers = [*REAL, float("nan"), float("inf"), float("-inf")]
    found = call(body, f"i64 @f({kind} %x)", [ctypes.c_int64, c], [(x,) for x in numbers])
    rounded = [c(x).value for x in numbers]
    expected = [
        0 if x != x else max(-(2**63), min(2**63 - 1, int(x))) if abs(x) < 1e300 else (2**63 - 1 if x > 0 else -(2**63))
        for x in rounded
    ]
    assert found == expected


def test_other_text_stays_as_it_is() -> None:
    ir = "define i32 @f(i32 %x) {\n  %r = udiv i32 %x, 3\n  ret i32 %r\n}\n"
    assert without_wide_arithmetic(ir) is ir

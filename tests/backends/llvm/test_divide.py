"""Dividing modules: products of matrices go their own way through LLVM, and come back internal."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.divide import divide
from gradc.backends.llvm.jit import object_code, optimised_ir
from gradc.backends.llvm.machine import host, parse


def product(x, w):
    return np.tanh(x @ w) @ w


@pytest.fixture(scope="module")
def ir() -> str:
    x = np.ones((64, 64))
    return str(gradc.jit(product).compile(x, x).llvm_ir)


def defined(text: str) -> set[str]:
    return set(re.findall(r"^define .*?(@[\w.]+)\(", text, re.MULTILINE))


def test_products_stand_apart_and_are_declared_in_the_rest(ir):
    rest, written, shared = divide(ir)
    products = {name for name in defined(ir) if ".matmul." in name}
    assert products
    assert defined(rest) == defined(ir) - products
    assert products <= defined(written)
    assert "@product.kernel" not in defined(written)
    assert shared
    for name in shared:
        assert re.search(rf"^declare void @{name}\(", rest, re.MULTILINE)
        assert re.search(rf"^define void @{name}\(", written, re.MULTILINE)


def test_both_modules_are_valid_alone(ir):
    rest, written, _ = divide(ir)
    parse(rest, host())
    parse(written, host())


def test_the_kernel_alone_is_visible_in_the_end(ir):
    finished = optimised_ir(ir, host())
    visible = [line for line in finished.splitlines() if line.startswith("define ") and " internal " not in line]
    assert len(visible) == 1
    assert "@product.kernel" in visible[0]


def test_a_function_that_a_product_calls_is_in_both():
    ir = """@llvm.compiler.used = appending global [1 x ptr] [ptr @gradc.half], section "llvm.metadata"

define internal double @gradc.half(double %x) {
  ret double %x
}

define internal double @gradc.twice(double %x) alwaysinline {
  %y = fadd double %x, %x
  ret double %y
}

define internal void @f.matmul.1(ptr %p) noinline {
  %x = load double, ptr %p
  %y = call double @gradc.twice(double %x)
  store double %y, ptr %p
  ret void
}

define i64 @f.kernel(ptr %p) {
  %x = load double, ptr %p
  %y = call double @gradc.twice(double %x)
  store double %y, ptr %p
  call void @f.matmul.1(ptr %p)
  ret i64 0
}
"""
    rest, written, shared = divide(ir)
    assert "@gradc.twice" in defined(rest) & defined(written)
    assert "@gradc.half" not in written
    assert shared == ("f.matmul.1",)
    parse(rest, host())
    parse(written, host())


def test_a_module_without_products_stays_whole():
    ir = str(gradc.jit(lambda x: np.exp(x)).compile(np.ones(100)).llvm_ir)
    assert divide(ir) == (ir, "", ())


def test_object_code_is_the_same_every_time(ir):
    assert object_code(ir) == object_code(ir)

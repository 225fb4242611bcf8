"""The crate: built without a warning or the network, it computes the kernel's bits."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import CompileError
from tests.artifacts.bindings.conftest import NAMES, Saved, flat
from tests.artifacts.bindings.programs import About

Bound = Callable[[str], Saved]
CARGO = shutil.which("cargo")
needs_cargo = pytest.mark.skipif(CARGO is None, reason="there is no cargo")


@pytest.fixture(scope="module")
def cargo(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``cargo(crate, "test")``, offline, where warnings are errors."""
    built = tmp_path_factory.mktemp("target")

    def run(crate: Path, *command: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"CARGO_TARGET_DIR": str(built), "RUSTFLAGS": "-D warnings"}
        return subprocess.run(
            [str(CARGO), *command, "--offline"], cwd=crate, env=environment, capture_output=True, text=True, check=False
        )

    return run


def crate_of(saved: Saved) -> Path:
    return saved.folder / f"{saved.kernel.name}-rs"


def number(value: Any) -> str:
    """A literal that loses no bit."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, np.float32):
        return f"f32::from_bits({struct.unpack('<I', struct.pack('<f', value))[0]:#x})"
    if isinstance(value, float | np.floating):
        return f"f64::from_bits({struct.unpack('<Q', struct.pack('<d', value))[0]:#x})"
    return str(value)


def array(value: Any) -> str:
    return f"[{', '.join(map(number, np.ravel(value)))}]"


def comparison(about: About, expected: list[Any]) -> str:
    """A test of cargo's that calls the function and compares bits with those of the kernel."""
    kind = "".join(part.capitalize() for part in about.name.split("_"))
    given = []
    for argument, value in zip(about.inputs, about.arguments(), strict=True):
        one = argument["layout"] == "number"
        text = number(np.dtype(argument["dtype"]).type(value)) if one else f"&{array(value)}"
        given.append(f"{argument['name']}: {text}" if about.in_structs else text)
    listed = ", ".join([*map(str, about.sizes.values()), *given])
    call = f"&Input {{ {listed} }}" if about.in_structs else listed
    lines = [
        f"use {about.name}::*;",
        "#[test]",
        "fn results_are_the_kernels_to_the_bit() {",
        f"    let mut function = {kind}::new();",
        f"    let found = function.call({call}).unwrap();",
    ]
    for argument, leaf in zip(about.outputs, expected, strict=True):
        place = f"found.{argument['name']}"
        if argument["layout"] == "number":
            bits = ".to_bits()" if leaf.dtype.kind == "f" else ""
            lines.append(f"    assert_eq!({place}{bits}, {number(leaf)}{bits});")
        else:
            each = ".map(|x| x.to_bits())" if leaf.dtype.kind == "f" else ""
            lines.append(f"    assert_eq!({place}{each}, {array(leaf)}{each});")
    return "\n".join([*lines, "}", ""])


@needs_cargo
@pytest.mark.parametrize("name", NAMES)
def test_a_program_computes_the_kernels_bits(name: str, bound: Bound, cargo: Callable[..., Any]) -> None:
    saved = bound(name)
    crate = crate_of(saved)
    (crate / "tests").mkdir(exist_ok=True)
    text = comparison(About(saved), flat(saved.kernel(*saved.args)))
    (crate / "tests" / "bits.rs").write_text(text, encoding="utf-8")
    done = cargo(crate, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = set(re.findall(r"test (\S+) \.\.\. ok", done.stdout))
    assert passed >= {f"{saved.kernel.name}::tests::selftest_passes", "results_are_the_kernels_to_the_bit"}


CHECKS = """use regression_grad::*;
#[test]
fn lengths_and_sizes_are_checked() {
    let mut function = RegressionGrad::default();
    let found = function.call(3, &[0.0; 6], &[0.0; 2], &[0.0; 9], &[0.0; 5], 2.0);
    assert_eq!(found, Err(Error::Length { argument: "y", found: 5, expected: 6 }));
    assert_eq!(found.unwrap_err().to_string(), "y has 5 elements, expected 6");
    let found = function.call(usize::MAX / 2 + 1, &[0.0; 6], &[0.0; 2], &[], &[], 2.0);
    assert_eq!(found, Err(Error::Size(usize::MAX / 2 + 1)));
    let mut gradient = [7.0; 6];
    let y = [1.0; 2000];
    function.reserve(1000);
    function.call_into(1000, &[0.0; 6], &[0.5; 2], &[0.5; 3000], &y, 2.0, None, Some(&mut gradient), None).unwrap();
    assert!(gradient.iter().all(|slope| *slope != 7.0));
}
"""


@needs_cargo
def test_lengths_and_sizes_are_checked(bound: Bound, cargo: Callable[..., Any]) -> None:
    crate = crate_of(bound("regression"))
    (crate / "tests").mkdir(exist_ok=True)
    (crate / "tests" / "checks.rs").write_text(CHECKS, encoding="utf-8")
    done = cargo(crate, "test", "--test", "checks")
    assert done.returncode == 0, done.stdout + done.stderr


FAILS = """use classifier_grad::*;
#[test]
fn a_failed_check_is_an_error() {
    let mut function = ClassifierGrad::new();
    let found = function.call(&[0.0; 20], &[0.0; 5], &[0.0; 15], &[0.0; 3], &[0.0; 24], &[3; 6]);
    match found {
        Err(Error::Failed { status, message }) => {
            assert!(status >= 16);
            assert!(message.starts_with("index is out of bounds"));
        }
        Ok(_) => panic!("an index beyond its axis was taken"),
    }
}
"""


@needs_cargo
def test_a_failed_check_is_an_error(bound: Bound, cargo: Callable[..., Any]) -> None:
    crate = crate_of(bound("classifier"))
    (crate / "tests").mkdir(exist_ok=True)
    (crate / "tests" / "fails.rs").write_text(FAILS, encoding="utf-8")
    done = cargo(crate, "test", "--test", "fails")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_cargo
def test_several_functions_and_versions(tmp_path: Path, bound: Bound, cargo: Callable[..., Any]) -> None:
    first, second = bound("matrices"), bound("loss")
    library = gradc.Library("control").add(first.kernel, name="net").add(second.kernel, name="small")
    library.save(tmp_path, target="x86_64-linux", bindings=("rust",))
    done = cargo(tmp_path / "control-rs", "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(re.findall(r"test (\S+) \.\.\. ok", done.stdout)) == [
        "control_net::tests::selftest_passes", "control_small::tests::selftest_passes",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["loss", "classifier", "regression"])
def test_the_text(name: str, bound: Bound, golden: Callable[[str, str], None]) -> None:
    saved = bound(name)
    golden(f"bindings/{saved.kernel.name}.rs", (crate_of(saved) / "src" / "lib.rs").read_text())


def words(type: Any, self: Any, require: Any, wide: Any, blocks: Any) -> Any:
    return np.sum(np.sin(type * self + require) * wide) + np.sum(np.exp(blocks))


@needs_cargo
def test_names_that_are_words_of_rust(tmp_path: Path, cargo: Callable[..., Any]) -> None:
    sized = gradc.aval("f64[require_length]")
    kernel = gradc.value_and_grad(words, wrt=("type", "self")).compile(np.ones(3), np.ones(3), 1.0, 2.0, sized)
    kernel.save(tmp_path, format="lib", bindings=("rust",))
    done = cargo(tmp_path / "words_grad-rs", "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "type_: &[f64; 3]" in (tmp_path / "words_grad-rs" / "src" / "lib.rs").read_text()
    with pytest.raises(CompileError, match="'impl' is a name of Rust's own"):
        kernel.save(tmp_path, format="lib", name="impl", bindings=("rust",))


def train(w: Any, velocity: Any, x: Any, y: Any, rate: Any) -> Any:
    L, grads = gradc.value_and_grad(lambda w: np.mean((np.tanh(x @ w["a"]) @ w["b"] - y) ** 2))(w)
    w, velocity = gradc.optim.momentum(w, grads, velocity, rate=rate)
    return L, w, velocity


UPDATES = """use train::*;
#[test]
fn weights_are_updated_in_place() {
    let (x, y) = ([0.5; 21], [1.0; 7]);
    let (mut a, mut b) = ([0.1; 12], [0.2; 4]);
    let (mut va, mut vb) = ([0.0; 12], [0.0; 4]);
    let mut step = Train::new();
    let mut losses = [0.0; 3];
    for loss in &mut losses {
        let fresh = step.call(7, &a, &b, &va, &vb, &x, &y, 0.1).unwrap();
        step.update(7, &mut a, &mut b, &mut va, &mut vb, &x, &y, 0.1, Some(loss)).unwrap();
        assert_eq!((fresh.L, fresh.w_a_new, fresh.w_b_new), (*loss, a, b));
        assert_eq!((fresh.velocity_a_new, fresh.velocity_b_new), (va, vb));
    }
    assert!(losses[2] < losses[1] && losses[1] < losses[0]);
}
"""


@needs_cargo
def test_donated_inputs_are_updated_in_place(tmp_path: Path, cargo: Callable[..., Any]) -> None:
    w = {"a": gradc.aval("f64[3,4]"), "b": gradc.aval("f64[4]")}
    step = gradc.jit(train, donate=("w", "velocity"))
    kernel = step.compile(w, w, gradc.aval("f64[n,3]"), gradc.aval("f64[n]"), gradc.aval("f64[]"))
    kernel.save(tmp_path, format="lib", bindings=("rust",))
    (tmp_path / "train-rs" / "tests").mkdir()
    (tmp_path / "train-rs" / "tests" / "updates.rs").write_text(UPDATES, encoding="utf-8")
    done = cargo(tmp_path / "train-rs", "test")
    assert done.returncode == 0, done.stdout + done.stderr

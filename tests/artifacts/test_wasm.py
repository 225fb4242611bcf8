"""WebAssembly modules, run by node, and LLVM IR, compiled by clang and by LLVM here."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import llvmlite.binding as binding
import numpy as np
import pytest

import gradc
from gradc.artifacts.library import build
from gradc.backends.llvm.library import object_and_assembly
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.targets import WASM
from gradc.errors import ArgumentError, CompileError

linkable = pytest.mark.skipif(
    shutil.which("wasm-ld") is None and importlib.util.find_spec("ziglang") is None,
    reason="there is no wasm-ld, nor ziglang, which has one",
)

RUN = """
const fs = require('fs');
const [file, selftest, size] = process.argv.slice(2);
const code = new WebAssembly.Module(fs.readFileSync(file));
if (WebAssembly.Module.imports(code).length) throw new Error('the module imports something');
const instance = new WebAssembly.Instance(code, {});
const api = instance.exports;
const start = (api.__heap_base.value + 63) & ~63;
const missing = start + Number(size) - api.memory.buffer.byteLength;
if (missing > 0) api.memory.grow(Math.ceil(missing / 65536));
console.log(api[selftest](start));
"""


def network(w: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w["a"])
    return np.mean((h @ w["b"] - y) ** 2)


def kernel(dtype: str, batch: str = "32") -> gradc.Kernel:
    weights = {"a": gradc.aval(f"{dtype}[24,40]"), "b": gradc.aval(f"{dtype}[40,5]")}
    rows = [gradc.aval(f"{dtype}[{batch},{n}]") for n in (24, 5)]
    return gradc.value_and_grad(network).compile(weights, *rows)


@linkable
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not there")
@pytest.mark.parametrize(("dtype", "batch"), [("f64", "32"), ("f32", "32"), ("f64", "batch")])
def test_selftest_passes_in_node(dtype: str, batch: str, tmp_path: Path) -> None:
    found = kernel(dtype, batch)
    found.save(tmp_path, format="wasm")
    size = build(found._compiled, WASM, name="network_grad").selftest_bytes
    (tmp_path / "run.cjs").write_text(RUN)
    command = ["node", "run.cjs", "network_grad.wasm", "network_grad_selftest", str(size)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert json.loads((tmp_path / "network_grad.json").read_text())["target"]["triple"].startswith("wasm32")


@linkable
def test_module_is_the_same_again(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        kernel("f64").save(tmp_path / folder, format="wasm")
    one, other = ((tmp_path / f / "network_grad.wasm").read_bytes() for f in ("one", "other"))
    assert one == other
    assert one.startswith(b"\0asm")


def test_modules_compute_in_vectors() -> None:
    _, assembly = object_and_assembly(build(kernel("f32")._compiled, WASM, name="network_grad").codes)
    assert assembly.count("f32x4.mul") > 10
    assert assembly.count("f32.mul") < assembly.count("f32x4.mul")


def test_without_a_linker_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CompileError, match=r"needs the linker wasm-ld, .*pip install 'gradc\[cross\]'"):
        kernel("f64").save(tmp_path, format="wasm")


def test_the_memory_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="'memory' is what the module calls its memory; choose another name"):
        kernel("f64").save(tmp_path, format="wasm", name="memory")
    assert not list(tmp_path.iterdir())


def test_wasm_has_no_other_machine(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match='not for format="wasm"; leave it out'):
        kernel("f64").save(tmp_path, format="wasm", target="cortex-m4")


def test_ir_is_text_and_bitcode_of_one_module(tmp_path: Path) -> None:
    kernel("f64").save(tmp_path, format="ir", name="step")
    text = (tmp_path / "step.ll").read_text()
    assert f'target triple = "{host().triple}"' in text
    head = (tmp_path / "step.h").read_text().split("*/")[0].removeprefix("/*").replace("\n *", "\n;")
    assert text.startswith(f";{head.rstrip()}\n")
    assert "No libm, no allocation" in head
    assert "libc" not in head
    read = binding.parse_bitcode((tmp_path / "step.bc").read_bytes())
    again = binding.parse_assembly(text)
    assert str(read).partition("\n@")[2] == str(again).partition("\n@")[2]
    assert sorted(f.name for f in read.functions if f.linkage.name == "external" and not f.is_declaration) == [
        "step", "step_selftest",
    ]  # fmt: skip
    assert "step_status step(" in (tmp_path / "step.h").read_text()


COMPILE = """
import sys
import llvmlite.binding as binding
binding.initialize_native_target()
binding.initialize_native_asmprinter()
machine = binding.Target.from_triple("x86_64-unknown-linux-gnu").create_target_machine(cpu="x86-64", reloc="pic")
module = binding.parse_bitcode(open(sys.argv[1], "rb").read())
sys.stdout.write(str(len(machine.emit_object(module)) > 0))
"""


def test_every_function_of_ir_names_its_processor(tmp_path: Path) -> None:
    kernel("f64").save(tmp_path, format="ir", name="step", target="x86_64-linux", cpu="haswell")
    module = binding.parse_assembly((tmp_path / "step.ll").read_text())
    functions = [f for f in module.functions if not f.is_declaration]
    assert len(functions) > 3
    for function in functions:
        assert '"target-cpu"="haswell"' in "".join(map(str, function.attributes)), function.name


@pytest.mark.skipif("+avx512f" not in host().features, reason="this machine has no AVX-512")
def test_bitcode_can_be_compiled_among_code_for_older_processors(tmp_path: Path) -> None:
    """LLVM ends the process where a function uses instructions that it does not name."""
    step = gradc.jit(lambda x: np.log1p(np.exp(-x))).compile(gradc.aval("f64[]"))
    step.save(tmp_path, format="ir", name="step")
    command = [sys.executable, "-c", COMPILE, tmp_path / "step.bc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True"), done.stderr[:500]


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="the versions are for x86-64")
def test_ir_has_a_pair_of_files_for_each_version(tmp_path: Path) -> None:
    kernel("f64").save(tmp_path, format="ir", target="x86_64-linux")
    names = sorted(f.name for f in tmp_path.iterdir())
    stems = ["network_grad", "network_grad_avx2", "network_grad_avx512"]
    assert names == sorted([*[f"{s}.ll" for s in stems], *[f"{s}.bc" for s in stems], "network_grad.h"])
    assert '"target-cpu"="x86-64-v3"' in (tmp_path / "network_grad_avx2.ll").read_text()


@pytest.mark.parametrize("form", ["lib", "ir"])
def test_command_line_writes_for_a_machine(form: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def loss(x: float, y: float):\n    return (x * y - 1) ** 2\n")
    command = [sys.executable, "-m", "gradc", "compile", "net.py:loss", "--format", form, "-o", "build"]
    done = subprocess.run([*command, "--target", "vax"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "target='vax' is not one of" in done.stderr
    small = [*command, "--target", "cortex-m4", "--dtype", "f32"]
    assert subprocess.run(small, cwd=tmp_path, check=False).returncode == 0
    assert "float x, y;" in (tmp_path / "build" / "loss_grad.h").read_text()
    done = subprocess.run([*command, "--target", "x86_64-linux", "--cpu", "haswell"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert (tmp_path / "build" / "loss_grad.h").read_text().count("haswell") == 1

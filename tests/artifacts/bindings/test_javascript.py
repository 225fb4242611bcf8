"""The module for JavaScript, in node: the kernel's numbers, and clear refusals."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gradc
from tests.artifacts.bindings.conftest import NAMES, Saved, flat
from tests.artifacts.bindings.programs import About

Bound = Callable[[str], Saved]
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(
        shutil.which("wasm-ld") is None and importlib.util.find_spec("ziglang") is None,
        reason="there is no wasm-ld, nor ziglang, which has one",
    ),
]
needs_node = pytest.mark.skipif(NODE is None, reason="there is no node")

SHOW = """
const shown = (value) => typeof value === "bigint" ? Number(value)
    : ArrayBuffer.isView(value) ? Array.from(value, Number) : value;
const show = (found) => console.log(JSON.stringify(Object.fromEntries(
    Object.entries(found).map(([name, value]) => [name, shown(value)]))));
"""


@pytest.fixture(scope="module")
def web(bound: Bound, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Saved]:
    """``web("loss")``: the kernel of ``bound`` as WebAssembly."""
    made: dict[str, Saved] = {}

    def make(name: str) -> Saved:
        if name not in made:
            saved = bound(name)
            folder = tmp_path_factory.mktemp(f"{name}-wasm")
            saved.kernel.save(folder, format="wasm")
            made[name] = saved._replace(folder=folder)
        return made[name]

    return make


def run(folder: Path, name: str, program: str) -> list[str]:
    """The lines that a program prints which has loaded the kernel."""
    text = f'import {{ load }} from "./{name}.mjs";\n{SHOW}\nconst kernel = await load();\n{program}'
    (folder / "main.mjs").write_text(text, encoding="utf-8")
    command = [str(NODE), str(folder / "main.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


ARRAYS = {
    "float64": "Float64Array", "float32": "Float32Array", "bool": "Uint8Array", "int16": "Int16Array",
    "int64": "BigInt64Array",
}  # fmt: skip


def given(about: About) -> dict[str, str]:
    """The arguments of a call as expressions."""
    found = {size: str(value) for size, value in about.sizes.items()}
    for argument, value in zip(about.inputs, about.arguments(), strict=True):
        big = "n" if argument["dtype"] == "int64" else ""
        if argument["layout"] == "number":
            found[argument["name"]] = (
                str(bool(value)).lower() if argument["dtype"] == "bool" else f"{float(value)!r}{big}"
            )
        else:
            numbers = ", ".join(
                f"{n!r}{big}" for n in (int(v) if v.dtype.kind in "bi" else float(v) for v in np.ravel(value))
            )
            found[argument["name"]] = f"{ARRAYS[argument['dtype']]}.of({numbers})"
    return found


def called(arguments: dict[str, str], **changed: str) -> str:
    return f"kernel({{ {', '.join(f'{name}: {value}' for name, value in (arguments | changed).items())} }})"


@needs_node
@pytest.mark.parametrize("name", NAMES)
def test_node_gets_the_kernels_numbers(name: str, web: Bound) -> None:
    saved = web(name)
    about = About(saved)
    program = f"show({called(given(about))});\nshow({called(given(about))});\nconsole.log(kernel.selftest());"
    first, second, test = run(saved.folder, about.name, program)
    assert test == "true"
    assert first == second
    found = json.loads(first)
    assert list(found) == [a["name"] for a in about.outputs]
    for number, expected in zip(found.values(), flat(saved.kernel(*saved.args)), strict=True):
        assert np.size(number) == np.size(expected)
        tolerance = 1e-6 if expected.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(number, np.ravel(expected) if np.ndim(expected) else expected, rtol=tolerance)


@needs_node
def test_memory_grows_with_the_batch(web: Bound) -> None:
    saved = web("regression")
    sizes = {"batch": "50000", "x": "new Float64Array(150000)", "y": "new Float64Array(100000).fill(1)"}
    program = f"show({called(given(About(saved)), **sizes)});"
    (found,) = map(json.loads, run(saved.folder, "regression_grad", program))
    expected = saved.kernel(saved.args[0], np.zeros((50000, 3)), np.ones((50000, 2)))
    assert found["L"] == pytest.approx(expected[0], rel=1e-12)


REFUSED = {
    "no array": ("x", "[1, 2]", "TypeError: x is no Float64Array of 24 elements"),
    "another dtype": ("labels", "new Int32Array(6)", "TypeError: labels is no BigInt64Array of 6 elements"),
    "another length": ("x", "new Float64Array(23)", "RangeError: x has 23 elements, expected 24"),
    "a failed check": ("labels", "new BigInt64Array(6).fill(3n)", "RangeError: index is out of bounds for axis 1"),
    "nothing": ("x", "undefined", "TypeError: x is no Float64Array"),
}


@needs_node
@pytest.mark.parametrize(("name", "value", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused(name: str, value: str, message: str, web: Bound) -> None:
    saved = web("classifier")
    call = called(given(About(saved)), **{name: value})
    (line,) = run(saved.folder, "classifier_grad", f"try {{ {call} }} catch (error) {{ console.log(String(error)) }}")
    assert line.startswith(message)


@needs_node
@pytest.mark.parametrize("batch", ["1e8", "2 ** 40", "2 ** 53"])
def test_a_size_that_no_argument_has_takes_no_memory(batch: str, web: Bound) -> None:
    saved = web("regression")
    call = called(given(About(saved)), batch=batch)
    program = (
        "const before = process.memoryUsage().external;\n"
        f"try {{ {call} }} catch (error) {{ console.log(String(error)) }}\n"
        "console.log(process.memoryUsage().external - before < 1e7);"
    )
    told, small = run(saved.folder, "regression_grad", program)
    assert told.startswith("RangeError: x has ")
    assert small == "true"


NUMBERS = {
    "rate": ('"fast"', "TypeError: rate is fast, expected a number"),
    "on": ("1", "TypeError: on is 1, expected a boolean"),
}


@needs_node
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_checked_too(name: str, web: Bound) -> None:
    value, message = NUMBERS[name]
    call = called(given(About(web("typed"))), **{name: value})
    (line,) = run(web("typed").folder, "typed", f"try {{ {call} }} catch (error) {{ console.log(String(error)) }}")
    assert line == message


@needs_node
def test_whole_numbers_must_fit(tmp_path: Path) -> None:
    gradc.jit(lambda n: n + np.int16(1), name="next").compile(np.int16(0)).save(tmp_path, format="wasm")
    program = (
        "show(kernel({ n: 41 }));\n"
        "for (const n of [70000, 0.5]) try { kernel({ n }) } catch (error) { console.log(String(error)) }"
    )
    found, *refused = run(tmp_path, "next", program)
    assert list(json.loads(found).values()) == [42]
    assert refused == [f"RangeError: n is {n}, which no element of Int16Array is" for n in (70000, 0.5)]


@needs_node
def test_the_code_comes_as_bytes_too(web: Bound) -> None:
    saved = web("loss")
    program = (
        'import { readFile } from "node:fs/promises";\n'
        'const bytes = await readFile(new URL("loss_grad.wasm", import.meta.url));\n'
        "for (const source of [bytes, new Response(bytes), new URL('loss_grad.wasm', import.meta.url)])\n"
        "    console.log((await load(source)).selftest());"
    )
    assert run(saved.folder, "loss_grad", program) == ["true"] * 3


@pytest.mark.parametrize("name", ["loss", "classifier", "regression"])
@pytest.mark.parametrize("ending", ["mjs", "d.mts"])
def test_the_text(name: str, ending: str, web: Bound, golden: Callable[[str, str], None]) -> None:
    saved = web(name)
    file = f"{saved.kernel.name}.{ending}"
    golden(f"bindings/{file}", (saved.folder / file).read_text())


TYPED = """
import {{ load, type Kernel, type Results }} from "./{name}.mjs";
const kernel: Kernel = await load();
const found: Results = kernel({given});
export const one: number = found.L, passed: boolean = kernel.selftest();
// @ts-expect-error: an argument is missing
kernel({{}});
// @ts-expect-error: a number is no source of code
load(7);
"""
GIVEN = {
    "loss": "{ w11: 0.1, w12: 0.2, w21: 0.3, w22: 0.4, v1: 0.5, v2: 0.6, x1: 1, x2: 2, y: 1 }",
    "regression": "{ batch: 1, w_a: new Float64Array(6), w_b: new Float64Array(2), x: new Float64Array(3), "
    "y: new Float64Array(2), scale: 2 }",
}


@pytest.mark.skipif(shutil.which("tsc") is None, reason="there is no TypeScript")
@pytest.mark.parametrize("name", GIVEN)
def test_programs_in_typescript_compile(name: str, web: Bound) -> None:
    saved = web(name)
    (saved.folder / "main.mts").write_text(TYPED.format(name=saved.kernel.name, given=GIVEN[name]))
    options = [
        "--strict",
        "--noEmit",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2022,dom",
        "--types",
        "",
    ]
    command = [str(shutil.which("tsc")), *options, "main.mts"]
    done = subprocess.run(command, cwd=saved.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")

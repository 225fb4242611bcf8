"""JavaScript: a module around the WebAssembly kernel, for node and browsers, and its types for TypeScript."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gradc.artifacts.bindings.bound import Bound
from gradc.artifacts.bindings.sizes import JAVASCRIPT, expression
from gradc.artifacts.templates import rendered
from gradc.backends.abi import Argument
from gradc.backends.c_names import in_comment
from gradc.ir.aval import Dim, SymbolicDim

_ARRAYS: Final = {
    "float64": "Float64Array", "float32": "Float32Array", "bool": "Uint8Array",
    "int8": "Int8Array", "int16": "Int16Array", "int32": "Int32Array", "int64": "BigInt64Array",
    "uint8": "Uint8Array", "uint16": "Uint16Array", "uint32": "Uint32Array", "uint64": "BigUint64Array",
}  # fmt: skip
"""The typed array of a dtype's elements. That of bool holds 0 and 1."""

_NUMBERS: Final = {"bool": "boolean", "int64": "bigint", "uint64": "bigint"}
"""What a single number is where it is no ``number``."""


def javascript_files(function: Bound, name: str) -> dict[str, str]:
    """``NAME.mjs`` and its types ``NAME.d.mts``, which need ``NAME.wasm`` beside them, or its bytes."""
    from gradc import __version__

    interface = function.interface
    names = {symbol: f"sizes.{size}" for size, symbol in interface.sizes}
    plain = {symbol: size for size, symbol in interface.sizes}
    values = {
        "name": name,
        "version": __version__,
        "head": in_comment(function.head),
        "sizes": list(plain.values()),
        "inputs": _rows(interface.inputs, names, plain),
        "outputs": _rows(interface.outputs, names, plain),
        "in_structs": interface.in_structs,
        "workspace": expression(interface.workspace, names, JAVASCRIPT),
        "selftest": function.selftest,
        "failures": [(f.status, json.dumps(f.message.replace(" {}", ""))) for f in interface.failures],
    }
    return {
        f"{name}.mjs": rendered("javascript/module.mjs.j2", **values),
        f"{name}.d.mts": rendered("javascript/module.d.mts.j2", **values),
    }


@dataclass(frozen=True)
class _Row:
    """An input or a result: the entry of the module's table, and the property in TypeScript, each with a remark."""

    entry: str
    name: str
    type: str
    remark: str


def _rows(arguments: Sequence[Argument], names: dict[str, str], plain: dict[str, str]) -> list[_Row]:
    rows = []
    for argument in arguments:
        array = _ARRAYS[argument.dtype.name]
        facts = [f'name: "{argument.name}"', f"array: {array}"]
        if argument.dtype == bool and argument.is_number:
            facts.append("boolean: true")
        if not argument.is_number:
            facts.append(f"size: {_size(argument.aval.size, names)}")
        shape = "".join(f"[{expression(dim, plain, JAVASCRIPT)}]" for dim in argument.aval.shape)
        path = in_comment(argument.path) if argument.path != argument.name else ""
        remark = "  ".join(part for part in (shape, path) if part)
        kind = array if not argument.is_number else _NUMBERS.get(argument.dtype.name, "number")
        rows.append(_Row(f"{{ {', '.join(facts)} }}", argument.name, kind, remark))
    return rows


def _size(size: Dim, names: dict[str, str]) -> str:
    """A number, or a function of the symbolic sizes."""
    text = expression(size, names, JAVASCRIPT)
    return f"(sizes) => {text}" if isinstance(size, SymbolicDim) else text

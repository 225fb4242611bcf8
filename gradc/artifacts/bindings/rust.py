"""Rust: a crate without dependencies that links the library, with a safe wrapper around each function."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gradc.artifacts.bindings.bound import Bound
from gradc.artifacts.bindings.sizes import RUST, expression
from gradc.artifacts.templates import rendered
from gradc.backends.abi import Argument, Interface
from gradc.backends.c_names import in_comment
from gradc.errors import CompileError
from gradc.ir.aval import Dim

_KEYWORDS: Final = """
Self abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen if
impl in let loop macro match mod move mut override priv pub raw ref return self static struct super trait true try type
typeof unsafe unsized use virtual where while yield
"""
KEYWORDS: Final = frozenset(_KEYWORDS.split())
"""The keywords of Rust up to the edition 2024, and the name of the module of C functions."""

CRATES: Final = frozenset({"alloc", "core", "proc_macro", "std", "test"})
"""The crates of Rust's own."""

_TYPES: Final = {"float64": "f64", "float32": "f32", "bool": "bool"}
_ZEROS: Final = {"float64": "0.0", "float32": "0.0", "bool": "false"}


def rust_files(functions: Sequence[Bound], name: str) -> dict[str, str]:
    """The crate in ``NAME-rs``, but for the library. Raises CompileError for a name that no crate can have."""
    from gradc import __version__

    for own in (name, *(function.interface.name for function in functions)):
        if own in KEYWORDS or own in CRATES:
            raise CompileError(f"{own!r} is a name of Rust's own; choose another name")
    wrappers = [_wrapper(function) for function in functions]
    text = rendered(
        "rust/lib.rs.j2", library=name, version=__version__, functions=wrappers,
        heads=[f"{f.interface.name}: {in_comment(f.head)}." for f in functions],
        grows=any(wrapper.grows for wrapper in wrappers),
        blocks=any(wrapper.workspace != "0" or wrapper.selftest for wrapper in wrappers),
        lengths=any(wrapper.checks for wrapper in wrappers),
    )  # fmt: skip
    folder = f"{name}-rs"
    return {
        f"{folder}/Cargo.toml": rendered("rust/Cargo.toml.j2", library=name, version=__version__),
        f"{folder}/build.rs": rendered("rust/build.rs.j2", library=name),
        f"{folder}/src/lib.rs": text,
    }


@dataclass(frozen=True)
class _Update:
    """The call that puts results into donated inputs: its parameters, these inputs, and what C gets."""

    parameters: list[str]
    places: list[str]
    checks: list[str]
    passed: list[str]


@dataclass(frozen=True)
class _Wrapper:
    """What the template lays out of one function. ``workspace`` is its size in blocks of 64 bytes, as an expression."""

    name: str
    type: str
    head: str
    in_structs: bool
    fixed: bool
    members: list[list[str]]
    c_parameters: list[str]
    inputs: list[str]
    outputs: list[str]
    zeros: list[str]
    given: list[str]
    into: list[str]
    passed: list[str]
    sizes: list[str]
    checks: list[str]
    update: _Update | None
    failures: list[tuple[int, str]]
    workspace: str
    grows: bool
    selects: bool
    selftest: int


def _wrapper(function: Bound) -> _Wrapper:
    interface = function.interface
    names = _identifiers(interface)
    sizes = {symbol: names[size] for size, symbol in interface.sizes}
    grows = not isinstance(interface.workspace, int)
    arguments = (*interface.inputs, *interface.outputs)
    sides = [interface.inputs, interface.outputs]
    fixed = all(isinstance(a.aval.size, int) for a in interface.outputs)
    checks = [
        _check(a, names[a.name], sizes, wanted=a in interface.outputs)
        for a in arguments
        if not isinstance(a.aval.size, int)
    ]
    return _Wrapper(
        name=interface.name,
        type="".join(part.capitalize() for part in interface.name.split("_")),
        head=in_comment(function.head[0].upper() + function.head[1:]),
        in_structs=interface.in_structs,
        fixed=fixed,
        members=[[line for a in side for line in _member(a, names[a.name], sizes)] for side in sides],
        c_parameters=_c_parameters(interface, names),
        inputs=[*(f"{size}: usize" for size in sizes.values()), *(_input(a, names[a.name]) for a in interface.inputs)],
        outputs=[_output(a, names[a.name]) for a in interface.outputs],
        zeros=[f"{names[a.name]}: {_zero(a)}" for a in interface.outputs] if fixed else [],
        given=[*sizes.values(), *(names[a.name] for a in interface.inputs)],
        into=[f"Some(&mut results_.{names[a.name]})" for a in interface.outputs],
        passed=[*sizes.values(), *(_passed(a, names[a.name]) for a in interface.inputs)]
        + [_written(a, names[a.name]) for a in interface.outputs],
        sizes=list(sizes.values()),
        checks=checks,
        update=_update(interface, names, sizes) if any(_in_place(a) for a in interface.outputs) else None,
        failures=[(f.status, json.dumps(f.message.replace(" {}", ""))) for f in interface.failures],
        workspace=_blocks(interface.workspace, sizes),
        grows=grows,
        selects=function.selects,
        selftest=-(-function.selftest // 64),
    )


def _identifiers(interface: Interface) -> dict[str, str]:
    """A name in Rust for each name in C."""
    listed = [*(size for size, _ in interface.sizes), *(a.name for a in (*interface.inputs, *interface.outputs))]
    return {name: f"{name}_" if name in KEYWORDS else name for name in listed}


def _type(argument: Argument) -> str:
    """The type of an element."""
    name = argument.dtype.name
    return _TYPES.get(name, name.replace("uint", "u").replace("int", "i"))


def _array(argument: Argument) -> str:
    size = argument.aval.size
    return f"[{_type(argument)}; {size}]" if isinstance(size, int) else f"[{_type(argument)}]"


def _input(argument: Argument, name: str) -> str:
    return f"{name}: {_type(argument)}" if argument.is_number else f"{name}: &{_array(argument)}"


def _output(argument: Argument, name: str) -> str:
    return f"{name}: Option<&mut {_type(argument) if argument.is_number else _array(argument)}>"


def _member(argument: Argument, name: str, sizes: dict[str, str]) -> list[str]:
    shape = "".join(f"[{expression(dim, sizes, RUST)}]" for dim in argument.aval.shape)
    path = in_comment(argument.path) if argument.path != argument.name else ""
    remark = ", ".join(f"`{part}`" for part in (shape, path) if part)
    kind = _type(argument) if argument.is_number else _array(argument)
    return [*([f"/// {remark}"] if remark else []), f"pub {name}: {kind},"]


def _zero(argument: Argument) -> str:
    zero = _ZEROS.get(argument.dtype.name, "0")
    return zero if argument.is_number else f"[{zero}; {argument.aval.size}]"


def _passed(argument: Argument, name: str) -> str:
    return name if argument.is_number else f"{name}.as_ptr()"


def _written(argument: Argument, name: str) -> str:
    pointer = "|number| number" if argument.is_number else "|array| array.as_mut_ptr()"
    return f"{name}.map_or(core::ptr::null_mut(), {pointer})"


def _c_parameters(interface: Interface, names: dict[str, str]) -> list[str]:
    if interface.in_structs:
        return ["input: *const Input", "output: *mut Output", "workspace: *mut c_void"]
    inputs = [
        f"{names[a.name]}: {_type(a)}" if a.is_number else f"{names[a.name]}: *const {_type(a)}"
        for a in interface.inputs
    ]
    outputs = [f"{names[a.name]}: *mut {_type(a)}" for a in interface.outputs]
    return [*(f"{names[size]}: usize" for size, _ in interface.sizes), *inputs, *outputs, "workspace: *mut c_void"]


def _check(argument: Argument, name: str, sizes: dict[str, str], *, wanted: bool) -> str:
    """The statement that checks a length known only in a call."""
    expected = expression(argument.aval.size, {symbol: f"super::wide({size})" for symbol, size in sizes.items()}, RUST)
    if wanted:
        return f'if let Some(array) = &{name} {{ super::require_length("{argument.name}", array.len(), {expected})?; }}'
    return f'super::require_length("{argument.name}", {name}.len(), {expected})?;'


def _in_place(result: Argument) -> bool:
    """Whether a result can be written into the array of an input."""
    return bool(result.place) and not result.is_number


def _update(interface: Interface, names: dict[str, str], sizes: dict[str, str]) -> _Update:
    places = [a.place for a in interface.outputs if _in_place(a)]
    others = [a for a in interface.outputs if not _in_place(a)]
    inputs = [
        f"{names[a.name]}: &mut {_array(a)}" if a.name in places else _input(a, names[a.name]) for a in interface.inputs
    ]
    given = [names[a.name] if a.name in places else _passed(a, names[a.name]) for a in interface.inputs]
    written = [names[a.place] if _in_place(a) else _written(a, names[a.name]) for a in interface.outputs]
    return _Update(
        parameters=[
            *(f"{size}: usize" for size in sizes.values()), *inputs, *(_output(a, names[a.name]) for a in others)
        ],
        places=[names[place] for place in places],
        checks=[
            _check(a, names[a.name], sizes, wanted=a in interface.outputs)
            for a in (*interface.inputs, *others)
            if not isinstance(a.aval.size, int)
        ],
        passed=[*sizes.values(), *given, *written],
    )  # fmt: skip


def _blocks(workspace: Dim, sizes: dict[str, str]) -> str:
    """Blocks of 64 bytes that hold a workspace."""
    if isinstance(workspace, int):
        return str(-(-workspace // 64))
    bytes_ = expression(workspace, {symbol: f"super::wide({size})" for symbol, size in sizes.items()}, RUST)
    return f"super::blocks({bytes_})"

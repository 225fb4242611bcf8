"""Python without gradc: a module that calls the shared library beside it through ctypes, with the user's arguments.

Checks and containers are those of a standalone NumPy module. Arrays with gaps are copied, results are new, and each
thread has scratch memory of its own.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gradc.artifacts.bindings.bound import Bound
from gradc.artifacts.templates import rendered
from gradc.backends.abi import Argument, Interface
from gradc.backends.llvm.status import failure
from gradc.backends.numpy.annotations import result_type
from gradc.backends.numpy.boundary import OWN_NAMES as HELPERS
from gradc.backends.numpy.boundary import ending, new_classes, parameters, quoted
from gradc.backends.numpy.checking import argument_rows, leaf_order
from gradc.backends.numpy.comments import printable
from gradc.backends.numpy.documentation import LICENCE, docstring
from gradc.backends.numpy.expressions import dtype_text
from gradc.backends.numpy.layout import heading, listed, wrapped
from gradc.backends.numpy.naming import Names
from gradc.backends.numpy.render import helpers_of
from gradc.backends.numpy.symbols import renamed
from gradc.errors import CompileError
from gradc.ir.aval import Dim

OWN_NAMES: Final = frozenset(
    {"ctypes", "threading", "Path", "namedtuple", "_at", "_dense", "_library", "_Scratch", "_scratch"}
)
"""What the modules call their own things."""

_IMPORTED: Final = frozenset({"collections", "ctypes", "numpy", "pathlib", "threading"})
"""The modules that the modules import: one of these names would import itself."""

_NO_FUNCTION: Final = frozenset(dir(builtins)) | HELPERS | {"np"}
"""What the modules call, so that no function of theirs is called so."""

_CTYPES: Final = {"float64": "c_double", "float32": "c_float", "bool": "c_bool"}


def python_files(functions: Sequence[Bound], name: str) -> dict[str, str]:
    """``NAME.py``, which needs NumPy and ``libNAME.so`` beside it. Raises CompileError for names it could not have."""
    if name in _IMPORTED:
        raise CompileError(f"a module {name!r} would take the place of the one that it imports; choose another name")
    parts = [_function(function) for function in functions]
    classes: dict[str, tuple[str, ...]] = {}
    for function in functions:
        for own, fields in new_classes(function.interface.signature).items():
            if classes.setdefault(own, fields) != fields:
                raise CompileError(f"two classes of the results are called {own}; rename one")
    text = rendered(
        "python/ctypes.py.j2",
        library=name,
        documentation=_documentation(functions, name),
        functions=parts,
        group=len(functions) > 1,
        classes=[f'{own} = namedtuple("{own}", {list(fields)!r})' for own, fields in classes.items()],
        helpers=helpers_of([row for part in parts for row in part.checks]),
        addresses=any("_at(" in line for part in parts for line in part.lines),
        scratch=any(function.interface.workspace != 0 for function in functions),
        dense=any("_dense" in line for part in parts for line in part.lines),
    )
    return {f"{name}.py": text}


def _documentation(functions: Sequence[Bound], name: str) -> list[str]:
    """The docstring of the module: of its one function, or what there is of several."""
    needs = f"Needs NumPy and lib{name}.so beside it"
    if len(functions) == 1:
        (only,) = functions
        return docstring(only.graph, only.interface.signature, only.interface.name, needs=needs)
    told = [f"{f.interface.name}: {f.head}." for f in functions]
    from gradc import __version__

    return [f"{name}: {len(functions)} functions. gradc {__version__}. {needs}. {LICENCE}.", "", *map(printable, told)]


@dataclass(frozen=True)
class _Function:
    """What the template lays out of one function."""

    name: str
    heading: list[str]
    documentation: list[str]
    lines: list[str]
    passed: str
    checks: list[str]
    structs: list[list[str]]
    types: list[str]
    selects: bool
    failures: list[str]


def _function(function: Bound) -> _Function:
    interface, signature = function.interface, function.interface.signature
    names = Names()
    names.reserve(OWN_NAMES)
    if interface.name in _NO_FUNCTION or keyword.iskeyword(interface.name):
        raise CompileError(f"{interface.name!r} cannot be a function of a generated module; choose another name")
    for own in (interface.name, *(argument.name for argument in signature.arguments)):
        if own in OWN_NAMES or own.startswith(f"_{interface.name}"):
            raise CompileError(f"{own!r} cannot be a name in a generated module, whose code uses it; rename it")
        names.take(own)
    avals = function.graph.input_avals
    returns = result_type(signature.output, function.graph.output_avals, new_classes(signature))
    return _Function(
        name=interface.name,
        heading=heading(interface.name, parameters(signature.arguments, avals), returns),
        documentation=docstring(function.graph, signature, interface.name, needs=""),
        lines=[line for row in _body(interface, names) for line in ([row] if row.startswith(" ") else wrapped(row))],
        passed=", ".join(argument.name for argument in signature.arguments),
        checks=argument_rows(signature, avals),
        structs=_structs(interface) if interface.in_structs else [],
        types=listed(", ".join(_types(interface))),
        selects=function.selects,
        failures=_failures(interface),
    )


def _body(interface: Interface, names: Names) -> list[str]:
    """The statements: check, make the results, call, tell a failure, return."""
    name = interface.name
    local = {a.name: names.take(a.name) for a in interface.inputs if a.path != a.name}
    local |= {a.name: a.name for a in interface.inputs if a.path == a.name}
    rows = _checked(interface, local)
    sizes = {}
    for c_name, symbol in interface.sizes:
        sizes[symbol] = names.take(c_name, "n")
        rows.append(f"{sizes[symbol]} = {_read_off(symbol, interface, local)}")
    results = {a.name: names.take(a.name) for a in interface.outputs}
    if interface.in_structs:
        given, found = names.take("given"), names.take("found")
        rows.append(f"{given} = _{name}_in({', '.join(f'{local[a.name]}.item()' for a in interface.inputs)})")
        rows.append(f"{found} = _{name}_out()")
        passed = [f"ctypes.byref({given})", f"ctypes.byref({found})"]
        texts = {a.position: f"{dtype_text(a.dtype)}({found}.{a.name})" for a in interface.outputs}
    else:
        for a in interface.outputs:
            rows.append(f"{results[a.name]} = np.empty({_shape(a, sizes)}, {dtype_text(_dtype(a))})")
        passed = [sizes[symbol] for _, symbol in interface.sizes]
        passed += [f"{local[a.name]}.item()" if a.is_number else f"_at({local[a.name]})" for a in interface.inputs]
        passed += [f"_at({results[a.name]})" for a in interface.outputs]
        texts = {a.position: results[a.name] if _dims(a) else f"{results[a.name]}[()]" for a in interface.outputs}
    passed.append("None" if interface.workspace == 0 else f"_scratch.address({renamed(interface.workspace, sizes)})")
    status = names.take("status")
    rows.append(f"{status} = _{name}({', '.join(passed)})")
    rows += _raised(interface, status, names)
    return [*rows, *ending(interface.signature, [texts[k] for k in sorted(texts)], names)]


def _checked(interface: Interface, local: dict[str, str]) -> list[str]:
    """The first statements: the checked arrays under local names, without gaps."""
    signature = interface.signature
    if not signature.arguments:
        return []
    call = f"_{interface.name}_arguments({', '.join(argument.name for argument in signature.arguments)})"
    at = {a.position: a for a in interface.inputs}
    order = [at[leaf] for leaf in leaf_order(signature, [at[k].aval for k in range(len(at))])]
    rows = [f"{', '.join(local[a.name] for a in order)} = {call}" if order else call]
    numbers = [a for a in order if a.is_complex and a.aval.ndim == 1]
    rows += [f"{local[a.name]} = np.array({local[a.name]})" for a in numbers]
    return rows + [f"{local[a.name]} = _dense({local[a.name]})" for a in order if not a.is_number and a not in numbers]


def _read_off(symbol: str, interface: Interface, local: dict[str, str]) -> str:
    for argument in interface.inputs:
        for axis, dim in enumerate(argument.aval.shape):
            if str(dim) == symbol:
                return f"{local[argument.name]}.shape[{axis}]"
    raise CompileError(f"the size {symbol} cannot be read off the arguments: none has an axis of that size")


def _shape(argument: Argument, sizes: dict[str, str]) -> str:
    dims = [str(renamed(dim, sizes)) for dim in _dims(argument)]
    return dims[0] if len(dims) == 1 else f"({', '.join(dims)})"


def _dims(argument: Argument) -> tuple[Dim, ...]:
    """The shape that NumPy gives it."""
    return argument.aval.shape[:-1] if argument.is_complex else argument.aval.shape


def _dtype(argument: Argument) -> np.dtype:
    """The dtype that NumPy gives it."""
    return np.dtype(f"c{2 * argument.dtype.itemsize}") if argument.is_complex else argument.dtype


def _ctype(argument: Argument) -> str:
    return f"ctypes.{_CTYPES.get(argument.dtype.name, f'c_{argument.dtype.name}')}"


def _structs(interface: Interface) -> list[list[str]]:
    made = []
    for side, arguments in (("in", interface.inputs), ("out", interface.outputs)):
        fields = ", ".join(f'("{a.name}", {_ctype(a)})' for a in arguments)
        rows = wrapped(f"_fields_ = [{fields}]")
        made.append([f"class _{interface.name}_{side}(ctypes.Structure):", *(f"    {row}" for row in rows)])
    return made


def _types(interface: Interface) -> list[str]:
    """The types of the parameters in C."""
    if interface.in_structs:
        return ["ctypes.c_void_p"] * 3
    inputs = [_ctype(a) if a.is_number else "ctypes.c_void_p" for a in interface.inputs]
    pointers = ["ctypes.c_void_p"] * (len(interface.outputs) + 1)
    return [*["ctypes.c_size_t"] * len(interface.sizes), *inputs, *pointers]


def _raised(interface: Interface, status: str, names: Names) -> list[str]:
    """What a status other than 0 becomes: the exception of the check that failed. No other can be, called as it is."""
    if not interface.failures:
        return [f"if {status}:", f'    raise RuntimeError(f"{interface.name}: status {{{status}}}")']
    kind, message = names.take("kind"), names.take("message")
    table = f"_{interface.name}_failures[{status}]"
    return [f"if {status}:", f"    {kind}, {message} = {table}", f"    raise {kind}({message})"]


def _failures(interface: Interface) -> list[str]:
    """The exception and what it says, by status."""
    rows = []
    for found in interface.failures:
        error = failure(1, (found.message.replace(" {}", ""),))
        kind = "IndexError" if isinstance(error, IndexError) else "ValueError"
        rows.append(f"{found.status}: ({kind}, {quoted(printable(str(error)))}),")
    return rows

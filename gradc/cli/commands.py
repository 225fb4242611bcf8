"""The commands of ``gradc``. Results go to stdout, what was assumed to stderr."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rich_click as click
from rich.table import Table
from rich.text import Text

from gradc import __version__
from gradc.artifacts.files import write_file
from gradc.cli.arguments import example_of
from gradc.cli.check import Row, compare, concrete
from gradc.cli.failure import Failure, UserCode, one_line
from gradc.cli.request import Request, request
from gradc.cli.source import lines_of
from gradc.cli.stages import EMITS, STAGES, emitted
from gradc.cli.terminal import note, show, show_table
from gradc.errors import GradcError
from gradc.request import ABIS, BACKENDS, FORMATS, STABILIZE, Format
from gradc.transforms.derivative import DERIVATIVES, Derivative

Command = TypeVar("Command", bound=Callable[..., Any])


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line and give its exit code; what goes wrong is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Greek letters still gets the rest
    try:
        status = gradc.main(arguments, prog_name="gradc", standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except (click.ClickException, GradcError) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else one_line(error)
        sys.stderr.write(f"gradc: {message}\n")
        return 2
    except click.Abort:
        return 130
    except BrokenPipeError:
        # The reader of our output has enough.
        _forget_stdout()
        return 1
    except OSError as error:
        _forget_stdout()
        sys.stderr.write(f"gradc: {error.strerror or error}\n")
        return 2


def _forget_stdout() -> None:
    """Let what is left in the buffer go nowhere: Python flushes it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_derivative = click.option(
    "--derivative", type=click.Choice([d for d in DERIVATIVES if d != "vjp"]), default="value_and_grad",
    show_default=True, help="What to make of the function.",
)  # fmt: skip
_common = _options(
    click.argument("target", metavar="FILE:FUNC"),
    click.option("--spec", "specs", multiple=True, metavar="NAME=AVAL", help="An argument, as in 'x=f64[2]' or "
                 "'w.hidden=f64[4,2]'; also a literal, as in 'n=3'. May be repeated."),
    click.option("--wrt", metavar="NAME,...", help="The arguments to differentiate with respect to."),
    click.option("--stabilize", type=click.Choice(STABILIZE), default="safe", show_default=True,
                 help="Which laws may replace a formula by one that does not overflow or cancel."),
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradc")
def gradc() -> None:
    """Compile a NumPy function to its gradient, look at what comes out, and check it.

    FILE:FUNC names a function in a Python file, such as net.py:loss. Its arguments are those of --spec, of the file's
    function example_args, or of annotations such as "f64[2,3]" or float; where nothing is said, scalars of f64.
    """


@gradc.command("compile")
@_common
@_derivative
@click.option(
    "-o", "--output", "written", required=True, metavar="PATH", type=click.Path(),
    help="For py the file to write, for the other formats the directory to write into.",
)  # fmt: skip
@click.option("--name", metavar="SYMBOL", help="The name of the generated function.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="py", show_default=True,
              help="py: a standalone NumPy module. lib: a C library with its header. c: C source with that header. "
              "ir: LLVM IR of the same. wasm: WebAssembly.")  # fmt: skip
@click.option("--target", "machine", metavar="MACHINE", help="For lib, c and ir: x86_64-linux, cortex-m4 ... "
              "[default: this machine].")  # fmt: skip
@click.option("--abi", type=click.Choice(ABIS), help="For lib: how the function is called [default: c].")
@click.option("--cpu", metavar="CPU", help="For lib, c and ir: the processor, such as haswell or x86-64-v3.")
@click.option(
    "--dtype", type=click.Choice(["f32", "f64"]), help="Take every floating-point argument in this precision."
)
@click.option("--bindings", metavar="LANGUAGES", help="For lib: languages to call it from, with commas between.")
@click.option("--selftest", is_flag=True, default=None,
              help="In a NumPy module: a call with known results, which python -m runs.")  # fmt: skip
@click.option("--style", type=click.Choice(["readable", "fast"]),
              help="For py: fast computes into arrays that it needs no more [default: readable].")  # fmt: skip
def compile_(
    target: str, specs: tuple[str, ...], wrt: str | None, stabilize: str, derivative: Derivative, written: str,
    name: str | None, format_: Format, style: str | None, selftest: bool | None, machine: str | None, cpu: str | None,
    abi: str | None, dtype: str | None, bindings: str | None,
) -> None:  # fmt: skip
    """Write the derivative of FILE:FUNC as a file, or a C library, that does not need gradc."""
    if not written:
        raise Failure("-o is empty; write '-o .' for the working directory")
    output = Path(written)
    asked = request(target, specs, wrt, derivative, dtype=dtype)
    if output.resolve() == asked.target.path:
        raise Failure(f"-o {output} is the file of {asked.target.name} itself; write to another")
    backend = "numpy" if format_ == "py" else "llvm"
    kernel = asked.compile(backend=backend, stabilize=stabilize, name=name)
    if name is None and not kernel.name.startswith(asked.target.name.lstrip("_")):
        note(f"{asked.target.name} as {kernel.name}, in ASCII letters, digits and underscores; --name chooses others")
    languages = None if bindings is None else tuple(bindings.replace(" ", "").split(","))
    try:
        kernel.save(
            output, format=format_, style=style, selftest=selftest, target=machine, cpu=cpu, abi=abi, bindings=languages
        )
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror or error}") from error
    stem = output / kernel.name
    made = {
        "py": f"{output}",
        "c": f"{stem}.c and .h",
        "lib": f"{stem}.h and the library beside it",
        "ir": f"{stem}.h, .ll and .bc",
        "wasm": f"{stem}.wasm, .mjs for JavaScript and .h",
    }
    note(f"wrote {made[format_]}")


@gradc.command("show")
@_common
@_derivative
@click.option("--emit", type=click.Choice(list(EMITS)), default="numpy", show_default=True, help="What to print.")
@click.option("--after", type=click.Choice(STAGES), help="For graph and dot: the stage after which to look.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="For llvm and asm.")
def show_(
    target: str,
    specs: tuple[str, ...],
    wrt: str | None,
    stabilize: str,
    derivative: Derivative,
    emit: str,
    after: str | None,
    threads: int,
) -> None:
    """Print one form of the derivative of FILE:FUNC: a graph, NumPy or C source, loops, LLVM IR, assembly."""
    if after is not None and emit not in ("graph", "dot"):
        raise Failure(f"--after chooses among graphs; use it with --emit graph or dot, not {emit}")
    asked = request(target, specs, wrt, derivative)
    backend = "llvm" if emit in ("loops", "llvm", "asm", "c") else "numpy"
    kernel = asked.compile(backend=backend, stabilize=stabilize, threads=threads)
    show(emitted(kernel, emit, after, stabilize), EMITS[emit])


@gradc.command("report")
@_common
@_derivative
@click.option("-o", "--output", "written", metavar="PATH", type=click.Path(), help="The file to write, in the place of "
              "printing the page.")  # fmt: skip
def report_(
    target: str, specs: tuple[str, ...], wrt: str | None, stabilize: str, derivative: Derivative, written: str | None
) -> None:
    """Make one HTML page of FILE:FUNC: derivation, source, NumPy, loops, LLVM IR and assembly side by side."""
    if written == "":
        raise Failure("-o is empty; leave it out to print the page")
    asked = request(target, specs, wrt, derivative)
    if written is not None and Path(written).resolve() == asked.target.path:
        raise Failure(f"-o {written} is the file of {asked.target.name} itself; write to another")
    kernel = asked.compile(backend="llvm", stabilize=stabilize)
    page = kernel.report(written=lines_of(asked.target, kernel.trace))
    if written is None:
        sys.stdout.write(page)
        return
    try:
        write_file(page.encode(), os.path.abspath(written))
    except OSError as error:
        raise Failure(f"{written} cannot be written: {error.strerror or error}") from error
    note(f"wrote {written}")


@gradc.command("explain")
@_common
@click.option("--format", "format_", type=click.Choice(["text", "latex", "json"]), default="text", show_default=True)
@click.option("--at", metavar="example", help="Fill in numbers: those of the file's function example_args.")
def explain_(
    target: str, specs: tuple[str, ...], wrt: str | None, stabilize: str, format_: str, at: str | None
) -> None:
    """Tell how the gradient of FILE:FUNC comes about, step by step."""
    asked = request(target, specs, wrt, "value_and_grad", every=True)
    kernel = asked.compile(backend="numpy", stabilize=stabilize)
    derivation = kernel.explain(at=_values(asked, at))
    texts: dict[str, Callable[[], str]] = {
        "text": derivation.text,
        "latex": derivation.latex,
        "json": lambda: json.dumps(derivation.json(), indent=2, ensure_ascii=False),
    }
    show(texts[format_](), format_)


def _values(asked: Request, at: str | None) -> dict[str, Any] | None:
    if at is None:
        return None
    if at != "example":
        raise Failure(f"--at {at}: write --at example, and give the numbers in a function example_args of the file")
    found = example_of(asked.target)
    if not found:
        raise Failure(f"--at example: {asked.target.path.name} has no example_args that fits {asked.target.name}")
    return found


@gradc.command("check")
@_common
@click.option(
    "--backend", type=click.Choice(BACKENDS), default="llvm", show_default=True, help="Whose gradient to check."
)
@click.option("--tolerance", type=float, help="The largest relative error to accept [default: 1e-9; 1e-4 in f32].")
@click.option("--seed", type=int, default=0, show_default=True, help="For the numbers of arguments given as shapes.")
def check_(
    target: str,
    specs: tuple[str, ...],
    wrt: str | None,
    stabilize: str,
    backend: str,
    tolerance: float | None,
    seed: int,
) -> int:
    """Compare the gradient of FILE:FUNC with finite differences of the function as written.

    The exit code is 1 where they differ.
    """
    if tolerance is not None and not tolerance >= 0:
        raise Failure(f"--tolerance {tolerance}: give a number from 0")
    asked = request(target, specs, wrt, "grad", every=True)
    rng = np.random.default_rng(seed)
    values = {name: concrete(value, rng) for name, value in asked.arguments.values.items()}
    asked = replace(asked, arguments=replace(asked.arguments, values=values))
    call = asked.arguments.bound()
    found = asked.compile(backend=backend, stabilize=stabilize)(*call.args, **call.kwargs)
    gradients = [found] if len(asked.wrt) == 1 else found
    with UserCode(asked.target.path):
        rows = list(compare(asked.target.function, call, asked.wrt, gradients, rng))
    passed = [row.error <= row.rounding + _limit(row, tolerance) for row in rows]
    show_table(_table(rows, passed))
    if not all(passed):
        wrong = ", ".join(row.path for row, good in zip(rows, passed, strict=True) if not good)
        note(f"the gradient of {asked.target.name} is not that of finite differences in {wrong}")
    return 0 if all(passed) else 1


def _limit(row: Row, tolerance: float | None) -> float:
    """The relative error that is accepted, by default for the precision of the gradient."""
    if tolerance is not None:
        return tolerance
    return 1e-9 if row.aval.dtype.itemsize == 8 else 1e-4


def _table(rows: Sequence[Row], passed: Sequence[bool]) -> Table:
    table = Table("argument", "aval", "checked", "worst error", "gradient there", "differences", "")
    for column in table.columns[2:6]:
        column.justify = "right"
    for row, good in zip(rows, passed, strict=True):
        what = "float" if row.aval.weak else str(row.aval)
        numbers = (f"{row.error:.1e}", f"{row.gradient:.10g}", f"{row.reference:.10g}")
        verdict = Text("ok", style="green") if good else Text("wrong", style="red")
        table.add_row(Text(row.path), Text(what), str(row.checked), *numbers, verdict)
    return table

"""The machines that libraries are made for, by name, and what each processor can do.

Numbers of lanes and registers are those of ``gradc.ir.target.Target``. A machine without vectors counts as one of 128
bits: LLVM takes its vectors apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gradc.backends.llvm.machine import host
from gradc.errors import ArgumentError, CompileError
from gradc.ir.target import Target


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine to make code for.

    processors  what the code of each named processor may use; the first is the default
    emulation   the linker's name of it; empty where no shared library is made
    parts       the processors that a library for all of them has code for, by the suffix of the function
    """

    name: str
    processors: dict[str, Target]
    emulation: str = ""
    parts: tuple[tuple[str, str], ...] = ()

    @property
    def default(self) -> Target:
        """The target of the default processor."""
        return next(iter(self.processors.values()))


@dataclass(frozen=True, slots=True)
class Part:
    """The code of a function for one kind of processor; ``suffix`` is behind the function's name."""

    suffix: str
    target: Target


@dataclass(frozen=True, slots=True)
class Choice:
    """What a library is made for: the linker's name of the machine, and one part or several, the least able first.

    Machines whose ``emulation`` is empty get no shared library.
    """

    name: str
    emulation: str
    parts: tuple[Part, ...]
    is_host: bool = False

    @property
    def base(self) -> Target:
        """The target of what every processor of the machine can run."""
        return self.parts[0].target

    @property
    def is_native(self) -> bool:
        """Whether the linker of the system that we run on links for it."""
        own, other = host().triple, self.base.triple
        return own.split("-")[0] == other.split("-")[0] and "linux" in own and "linux" in other


_V2: Final = "+cx16,+popcnt,+sahf,+sse3,+sse4.1,+sse4.2,+ssse3"
_V3: Final = f"{_V2},+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"
_V4: Final = f"{_V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"
"""What the levels of x86-64 have beyond the first, by the psABI, section 3.1.1, in LLVM's words.

LLVM knows them of a processor by its name, but tells nobody; here they choose the form of functions, and stand in
manifests. That the processors below have what their level has is compared with LLVM's tables in the tests.
"""


def _x86(triple: str) -> dict[str, Target]:
    least = Target(triple, "x86-64", "", 128, 16, False)
    second = replace(least, cpu="x86-64-v2", features=_V2)
    third = Target(triple, "x86-64-v3", _V3, 256, 16, True)
    fourth = Target(triple, "x86-64-v4", _V4, 512, 32, True)
    named = {"x86-64": least, "x86-64-v2": second, "x86-64-v3": third, "x86-64-v4": fourth}
    for cpu in ("haswell", "broadwell", "skylake", "alderlake", "znver1", "znver2", "znver3"):
        named[cpu] = replace(third, cpu=cpu)
    for cpu in ("skylake-avx512", "icelake-server", "sapphirerapids", "znver4", "znver5"):
        named[cpu] = replace(fourth, cpu=cpu)
    return named


def _same(target: Target, *cpus: str) -> dict[str, Target]:
    """Processors that differ in nothing that loops are cut to."""
    return {cpu: replace(target, cpu=cpu) for cpu in (target.cpu, *cpus)}


_X86_PARTS: Final = (("", "x86-64"), ("_avx2", "x86-64-v3"), ("_avx512", "x86-64-v4"))

SUFFIXES: Final = tuple(suffix for suffix, _ in _X86_PARTS if suffix)
"""What the names of versions for abler processors end in."""

_ARM64: Final = Target("aarch64-unknown-linux-gnu", "generic", "", 128, 32, True)
_ARMV7: Final = Target("armv7-unknown-linux-gnueabihf", "generic", "+vfp3d16,-neon", 128, 16, False, vectors=False)
_RISCV64: Final = Target("riscv64-unknown-linux-gnu", "generic-rv64", "+m,+a,+f,+d,+c", 128, 32, True, "lp64d")
_CORTEX_M4: Final = replace(
    Target("thumbv7em-unknown-none-eabihf", "cortex-m4", "-fp64", 128, 16, True), doubles=False, vectors=False
)
_APPLE: Final = replace(_ARM64, triple="arm64-apple-macosx11.0.0", cpu="apple-m1")

WASM: Final = Choice("wasm32", "", (Part("", Target("wasm32-unknown-unknown", "generic", "+simd128", 128, 16, False)),))
"""WebAssembly with vectors of 128 bits, which every browser has since 2021."""

MACHINES: Final = {
    machine.name: machine
    for machine in (
        Machine("x86_64-linux", _x86("x86_64-unknown-linux-gnu"), "elf_x86_64", _X86_PARTS),
        Machine("x86_64-macos", _x86("x86_64-apple-macosx11.0.0"), "", _X86_PARTS),
        Machine("x86_64-windows", _x86("x86_64-w64-windows-gnu"), "", _X86_PARTS),
        Machine("aarch64-linux", _same(_ARM64, "cortex-a53", "cortex-a72", "neoverse-n1"), "aarch64linux"),
        Machine("aarch64-macos", _same(_APPLE, "apple-m2", "apple-m3")),
        Machine("armv7-linux", _same(_ARMV7, "cortex-a9"), "armelf_linux_eabi"),
        Machine("riscv64-linux", _same(_RISCV64), "elf64lriscv"),
        Machine("cortex-m4", _same(_CORTEX_M4, "cortex-m7")),
    )
}
"""The machines by the names that ``target=`` takes."""


def choose(target: str | None, cpu: str | None) -> Choice:
    """What ``target=`` and ``cpu=`` mean: nothing is this machine, a target alone all processors of that machine.

    Raises ArgumentError for names that are not known, CompileError where LLVM cannot write the choice here.
    """
    if target is None and cpu is None:
        own = host()
        return Choice("this machine", _emulation(own.triple), (Part("", own),), is_host=True)
    machine = MACHINES.get(target) if target is not None else _own_machine()
    if machine is None:
        raise ArgumentError(f"target={target!r} is not one of {', '.join(map(repr, MACHINES))}")
    if cpu is None:
        parts = machine.parts or (("", machine.default.cpu),)
        if machine.parts and not host().triple.startswith("x86_64"):
            known = ", ".join(map(repr, machine.processors))
            raise CompileError(
                f"a library that chooses among the processors of {machine.name} is made on x86-64 alone, where LLVM "
                f"reads its instructions; choose one with cpu=, of {known}"
            )
        chosen = tuple(Part(suffix, machine.processors[name]) for suffix, name in parts)
        return Choice(machine.name, machine.emulation, chosen)
    if cpu not in machine.processors:
        known = ", ".join(map(repr, machine.processors))
        raise ArgumentError(f"cpu={cpu!r} is not one that {machine.name} is known to have: {known}")
    return Choice(machine.name, machine.emulation, (Part("", machine.processors[cpu]),))


def _emulation(triple: str) -> str:
    """The linker's name of the machine of a triple; empty for one that is not known."""
    for machine in MACHINES.values():
        if machine.default.triple.split("-")[0] == triple.split("-")[0] and machine.name.split("-")[-1] in triple:
            return machine.emulation
    return ""


def _own_machine() -> Machine:
    """The machine that we run on, by name."""
    own = host().triple
    for machine in MACHINES.values():
        if machine.default.triple.split("-")[0] == own.split("-")[0] and machine.name.split("-")[1] in own:
            return machine
    raise ArgumentError(f"the processors of this machine, {own}, are not known by name; leave cpu out")

"""Parallel loops of a kernel as tasks: what the pool of threads calls, and how the kernel calls the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradc.backends.llvm.threads.kernels import KERNEL_WORDS
from gradc.backends.llvm.threads.sites import SITE_WORDS
from gradc.backends.llvm.threads.text import PARALLEL
from gradc.backends.llvm.types import symbol_name
from gradc.backends.llvm.writer import Writer

CONTEXT = "%.context"


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of the kernel ``name``. Their context has its ``arguments``, then their status: the largest of all."""

    name: str
    arguments: Sequence[str]
    threads: int

    def task(self, position: int) -> str:
        """The symbol of the function that is one iteration, of the part at a position."""
        return symbol_name(f"{self.name}.task.{position}")

    def _runner(self, position: int) -> str:
        return symbol_name(f"{self.name}.task.{position}.run")

    def run(self, position: int) -> str:
        """The definition of what the pool calls with the context and the number of an iteration."""
        count = len(self.arguments)
        lines = [f"define internal void {self._runner(position)}(ptr {CONTEXT}, i64 %.index) nounwind {{"]
        typed = []
        for k, argument in enumerate(self.arguments):
            kind = argument.split()[0]
            typed.append(f"{kind} %.argument.{k}")
            lines.append(f"  %.place.{k} = getelementptr inbounds i64, ptr {CONTEXT}, i64 {k}")
            lines.append(f"  %.argument.{k} = load {kind}, ptr %.place.{k}")
        lines += [
            f"  %.status = call i64 {self.task(position)}({', '.join(typed)}, i64 %.index)",
            "  %.failed = icmp ne i64 %.status, 0",
            "  br i1 %.failed, label %told, label %end",
            "told:",
            f"  %.place = getelementptr inbounds i64, ptr {CONTEXT}, i64 {count}",
            "  %.before = atomicrmw umax ptr %.place, i64 %.status monotonic",
            "  br label %end",
            "end:",
            "  ret void",
            "}",
        ]
        return "\n".join(lines)

    def begin(self, writer: Writer) -> None:
        """Make the context, and ask how many threads this call of the kernel has, in its entry block, once."""
        count = len(self.arguments)
        if any(CONTEXT in line for line in writer.entry):
            return
        writer.entry.append(f"  {CONTEXT} = alloca [{count + 1} x i64], align 8")
        for k, argument in enumerate(self.arguments):
            writer.entry.append(f"  {CONTEXT}.{k} = getelementptr inbounds i64, ptr {CONTEXT}, i64 {k}")
            writer.entry.append(f"  store {argument}, ptr {CONTEXT}.{k}")
        writer.entry.append(f"  {CONTEXT}.status = getelementptr inbounds i64, ptr {CONTEXT}, i64 {count}")
        writer.entry.append(f"  store i64 0, ptr {CONTEXT}.status")
        writer.entry.append("  %.start = alloca i64")
        arguments = f"ptr {self._calls()}, i64 {self.threads}, ptr %.start"
        writer.entry.append(f"  %.threads = call i64 @gradc.threads({arguments})")
        writer.module.declare("declare i64 @gradc.threads(ptr, i64, ptr)")
        writer.module.globals.append(
            f"{self._calls()} = internal global [{KERNEL_WORDS} x i64] zeroinitializer, align 64"
        )

    def call(self, writer: Writer, position: int, count: str) -> str:
        """Have all iterations done; the status so far."""
        self.begin(writer)
        writer.module.declare(f"declare void @{PARALLEL}(ptr, ptr, i64, i64, ptr)")
        site = symbol_name(f"{self.name}.site.{position}")
        writer.module.globals.append(f"{site} = internal global [{SITE_WORDS} x i64] zeroinitializer, align 64")
        numbers = f"i64 {count}, i64 %.threads, ptr {site}"
        writer.line(f"call void @{PARALLEL}(ptr {self._runner(position)}, ptr {CONTEXT}, {numbers})")
        return writer.value(f"load i64, ptr {CONTEXT}.status")

    def end(self, writer: Writer) -> None:
        """After the last statement of the kernel."""
        writer.module.declare("declare void @gradc.called(ptr, i64, ptr)")
        writer.line(f"call void @gradc.called(ptr {self._calls()}, i64 %.threads, ptr %.start)")

    def _calls(self) -> str:
        return symbol_name(f"{self.name}.calls")

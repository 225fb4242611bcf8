"""The pool of threads as the text of an LLVM module that is linked once in a process.

    void gradc.parallel(ptr task, ptr context, i64 count, i64 threads, ptr site)

calls ``task(context, index)`` for every index from 0 to ``count - 1``, on at most ``threads`` threads, the caller's
among them, and returns when all are done. It never waits for a thread that has not begun: the caller takes indices as
the workers do, so that a worker which is asleep, or has no processor to run on, only does less. One call at a time has
the workers. Another, from a second thread or from within a task, takes all of its indices itself.

``site`` is what is known of the calls from one place of a kernel, words that are 0 at first
(``gradc.backends.llvm.threads.sites``): how long they took alone and shared. So what is not faster on several threads,
because it is short or because its data lie in the caller's cache, runs on one; now and then the slower way is tried, in
case that it no longer is.

Whether a call of a kernel uses the pool at all is decided once for all of its loops (``threads.kernels``).

A ticket is the number of the call in its upper half, and the range of indices that are left in the lower. The caller
takes the first of them and workers the last, so that in loop after loop each finds most of its data where it left them.
Whoever narrows the range has an index, and what was read of the call before is still this call's: the next begins only
when all are done. So a worker that comes late does no harm.

A worker without work spins for a while, then sleeps on ``wake``, which counts the calls. Waking it may cost the caller
more than a short call takes (tens of microseconds on virtual machines), so a call that finds them asleep wakes them
only where that pays. The caller, when no index is left, spins for a while and then sleeps on ``done``. Where it has
waited long for a worker, the processors have other work, and the next calls run alone. A worker computes under the
caller's floating-point mode.

Workers are started by the call that first wants them. They block the signals that are for the process: a handler of
the interpreter's runs on threads that it knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gradc.backends.llvm.threads import caller, kernels, sites, workers


@dataclass(frozen=True)
class System:
    """What differs between processors on Linux: the number of the futex call, the pause, the floating-point mode."""

    futex: int
    pause: str
    mode: tuple[str, str]
    declarations: str


_X86: Final = System(
    202,
    "call void @llvm.x86.sse2.pause()",
    ("call void @llvm.x86.sse.stmxcsr(ptr @pool.mode)", "call void @llvm.x86.sse.ldmxcsr(ptr @pool.mode)"),
    "declare void @llvm.x86.sse2.pause()\n"
    "declare void @llvm.x86.sse.stmxcsr(ptr)\n"
    "declare void @llvm.x86.sse.ldmxcsr(ptr)",
)
_ARM: Final = System(
    98,
    "call void @llvm.aarch64.isb(i32 15)",
    (
        "%mode.now = call i64 @llvm.aarch64.get.fpcr()\n  store i64 %mode.now, ptr @pool.mode",
        "%mode.now = load i64, ptr @pool.mode\n  call void @llvm.aarch64.set.fpcr(i64 %mode.now)",
    ),
    "declare void @llvm.aarch64.isb(i32)\n"
    "declare i64 @llvm.aarch64.get.fpcr()\n"
    "declare void @llvm.aarch64.set.fpcr(i64)",
)
SYSTEMS: Final = {"x86_64": _X86, "aarch64": _ARM}
"""By the machine's name as the platform tells it."""

PARALLEL: Final = "gradc.parallel"
CALLED: Final = ("gradc.threads", PARALLEL, "gradc.called")
"""What a kernel with parallel loops calls."""

EXPORTS: Final = (*CALLED, "gradc.pool.limit", "gradc.pool.forget", "gradc.pool.stop", "gradc.pool.workers")


def text(system: System) -> str:
    """The module. What several threads write stands on cache lines of its own."""
    words = {"PAUSE": system.pause, "READ_MODE": system.mode[0], "WRITE_MODE": system.mode[1], "FUTEX": system.futex}
    values = {**words, **caller.NUMBERS, **sites.NUMBERS, **kernels.NUMBERS, **workers.NUMBERS}
    module = f"{_GLOBALS}{caller.CALLER}{sites.SITES}{kernels.KERNELS}{workers.WORKERS}{system.declarations}\n"
    return re.sub(rf"\b({'|'.join(values)})\b", lambda found: str(values[found[0]]), module)


_GLOBALS: Final = """
@pool.ticket = internal global i64 0, align 128
@pool.done = internal global i32 0, align 128
@pool.waiting = internal global i32 0, align 4
@pool.wake = internal global i32 0, align 128
@pool.asleep = internal global i32 0, align 4
@pool.busy = internal global i32 0, align 128
@pool.call = internal global i64 0, align 8
@pool.task = internal global ptr null, align 128
@pool.context = internal global ptr null, align 8
@pool.total = internal global i64 0, align 8
@pool.taking = internal global i64 0, align 8
@pool.mode = internal global i64 0, align 8
@pool.started = internal global i64 0, align 128
@pool.most = internal global i64 0, align 8
@pool.stopped = internal global i32 0, align 4
@pool.until = internal global i64 0, align 8
@pool.factor = internal global i64 LEAST_FACTOR, align 8
@pool.ended = internal global i64 0, align 8
@pool.streak = internal global i64 0, align 8
@pool.cost = internal global i64 FIRST_COST, align 8
@pool.threads = internal global [MOST_WORKERS x i64] zeroinitializer, align 128

declare i64 @syscall(i64, ...)
declare i32 @clock_gettime(i32, ptr)
declare i32 @pthread_attr_init(ptr)
declare i32 @pthread_attr_setstacksize(ptr, i64)
declare i32 @pthread_attr_destroy(ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""

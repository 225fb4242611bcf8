"""The workers' side of the pool: taking indices, spinning, sleeping; how they are started and ended."""

from __future__ import annotations

from typing import Final

MOST_WORKERS: Final = 63
"""Workers beyond this many are not started."""

SPINS: Final = 2000
"""How often a thread looks for what it waits for before it sleeps: some 50 microseconds."""

STACK_BYTES: Final = 8 << 20

FAULTS: Final = (3, 4, 5, 6, 7, 8, 11)
"""Signals that a fault of the thread itself raises (Linux's numbers): workers block all but those."""

NUMBERS: Final = {
    "MOST_WORKERS": MOST_WORKERS,
    "SPINS": SPINS,
    "STACK_BYTES": STACK_BYTES,
    "BLOCKED": -1 - sum(1 << (number - 1) for number in FAULTS),
}
"""What stands in the text for them."""

WORKERS: Final = """
; Takes indices while there are any, the caller the first and workers the last: how many it did. Worker numbers beyond
; those that the call wants take none.
define internal i64 @pool.work(i64 %number) noinline nounwind {
begin:
  br label %take
take:
  %own = phi i64 [ 0, %begin ], [ %own, %lower ], [ %one.more, %run ], [ %one.more, %tell ], [ %one.more, %rouse ]
  %ticket = load atomic i64, ptr @pool.ticket acquire, align 8
  %first = and i64 %ticket, 65535
  %shifted = lshr i64 %ticket, 16
  %last = and i64 %shifted, 65535
  %none = icmp eq i64 %first, %last
  br i1 %none, label %end, label %read
read:
  %task = load atomic ptr, ptr @pool.task monotonic, align 8
  %context = load atomic ptr, ptr @pool.context monotonic, align 8
  %total = load atomic i64, ptr @pool.total monotonic, align 8
  %taking = load atomic i64, ptr @pool.taking monotonic, align 8
  %meant = icmp slt i64 %number, %taking
  br i1 %meant, label %lower, label %end
lower:
  %worker = icmp sge i64 %number, 0
  %step = select i1 %worker, i64 -65536, i64 1
  %fewer = add i64 %ticket, %step
  %taken = cmpxchg ptr @pool.ticket, i64 %ticket, i64 %fewer acq_rel monotonic
  %got = extractvalue { i64, i1 } %taken, 1
  br i1 %got, label %mode, label %take
mode:
  br i1 %worker, label %adopt, label %run
adopt:
  WRITE_MODE
  br label %run
run:
  %one.more = add i64 %own, 1
  %behind = sub i64 %last, 1
  %index = select i1 %worker, i64 %behind, i64 %first
  call void %task(ptr %context, i64 %index)
  %before = atomicrmw add ptr @pool.done, i32 1 seq_cst
  %done = add i32 %before, 1
  %all = trunc i64 %total to i32
  %finished = icmp eq i32 %done, %all
  br i1 %finished, label %tell, label %take
tell:
  %waiting = load atomic i32, ptr @pool.waiting seq_cst, align 4
  %sleeps = icmp ne i32 %waiting, 0
  br i1 %sleeps, label %rouse, label %take
rouse:
  %roused = call i64 (i64, ...) @syscall(i64 FUTEX, ptr @pool.done, i64 129, i64 1, ptr null, ptr null, i64 0)
  br label %take
end:
  ret i64 %own
}

define internal ptr @pool.worker(ptr %argument) nounwind {
begin:
  %number = ptrtoint ptr %argument to i64
  br label %look
look:
  %seen = load atomic i32, ptr @pool.wake acquire, align 4
  %stopped = load atomic i32, ptr @pool.stopped acquire, align 4
  %leaves = icmp ne i32 %stopped, 0
  br i1 %leaves, label %end, label %work
work:
  %own = call i64 @pool.work(i64 %number)
  br label %watch
watch:
  %round = phi i32 [ 0, %work ], [ %again, %spin ]
  %now = load atomic i32, ptr @pool.wake acquire, align 4
  %same = icmp eq i32 %now, %seen
  br i1 %same, label %spin, label %look
spin:
  PAUSE
  %again = add i32 %round, 1
  %patient = icmp slt i32 %again, SPINS
  br i1 %patient, label %watch, label %sleep
sleep:
  %more = atomicrmw add ptr @pool.asleep, i32 1 seq_cst
  %slept = call i64 (i64, ...) @syscall(i64 FUTEX, ptr @pool.wake, i64 128, i32 %seen, ptr null, ptr null, i64 0)
  %fewer = atomicrmw sub ptr @pool.asleep, i32 1 seq_cst
  br label %look
end:
  ret ptr null
}

; Starts workers until there are so many. Where the system gives no more, those there are have to do.
define internal void @pool.start(i64 %wanted) noinline nounwind {
begin:
  %attributes = alloca [128 x i8], align 16
  %blocked = alloca [16 x i64], align 16
  %signals = alloca [16 x i64], align 16
  %stopped = load atomic i32, ptr @pool.stopped acquire, align 4
  %closed = icmp ne i32 %stopped, 0
  br i1 %closed, label %end, label %prepare
prepare:
  call void @llvm.memset.p0.i64(ptr %blocked, i8 -1, i64 128, i1 false)
  store i64 BLOCKED, ptr %blocked
  %masked = call i32 @pthread_sigmask(i32 2, ptr %blocked, ptr %signals)
  %initialised = call i32 @pthread_attr_init(ptr %attributes)
  %sized = call i32 @pthread_attr_setstacksize(ptr %attributes, i64 STACK_BYTES)
  br label %create
create:
  %number = load i64, ptr @pool.started
  %enough = icmp sge i64 %number, %wanted
  br i1 %enough, label %restore, label %next
next:
  %place = getelementptr inbounds i64, ptr @pool.threads, i64 %number
  %argument = inttoptr i64 %number to ptr
  %failed = call i32 @pthread_create(ptr %place, ptr %attributes, ptr @pool.worker, ptr %argument)
  %fine = icmp eq i32 %failed, 0
  br i1 %fine, label %count, label %refused
count:
  %one.more = add i64 %number, 1
  store i64 %one.more, ptr @pool.started
  br label %create
refused:
  store i64 %number, ptr @pool.most
  br label %restore
restore:
  %destroyed = call i32 @pthread_attr_destroy(ptr %attributes)
  %unmasked = call i32 @pthread_sigmask(i32 2, ptr %signals, ptr null)
  br label %end
end:
  ret void
}
; At most so many workers from now on; whether processors have other work is found out anew.
define i64 @gradc.pool.limit(i64 %most) nounwind {
  %fewer = call i64 @llvm.smin.i64(i64 %most, i64 MOST_WORKERS)
  store i64 %fewer, ptr @pool.most
  store i64 0, ptr @pool.until
  ret i64 0
}

; After a fork, in the child: its parent's workers are not there, whatever they were at.
define i64 @gradc.pool.forget() nounwind {
  store i32 0, ptr @pool.busy
  store i64 0, ptr @pool.ticket
  store i64 0, ptr @pool.started
  store i32 0, ptr @pool.asleep
  ret i64 0
}

; Ends the workers and waits for them; none is started after.
define i64 @gradc.pool.stop() nounwind {
begin:
  store atomic i32 1, ptr @pool.stopped seq_cst, align 4
  %woken = atomicrmw add ptr @pool.wake, i32 1 seq_cst
  call void @pool.wake.all()
  br label %join
join:
  %left = load i64, ptr @pool.started
  %none = icmp eq i64 %left, 0
  br i1 %none, label %end, label %next
next:
  %fewer = sub i64 %left, 1
  store i64 %fewer, ptr @pool.started
  %place = getelementptr inbounds i64, ptr @pool.threads, i64 %fewer
  %thread = load i64, ptr %place
  %joined = call i32 @pthread_join(i64 %thread, ptr null)
  br label %join
end:
  ret i64 0
}

define i64 @gradc.pool.workers() nounwind {
  %started = load i64, ptr @pool.started
  ret i64 %started
}

define internal void @pool.wake.all() nounwind {
  %woken = call i64 (i64, ...) @syscall(i64 FUTEX, ptr @pool.wake, i64 129, i64 2147483647, ptr null, ptr null, i64 0)
  ret void
}
"""

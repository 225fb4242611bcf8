"""The caller's side of the pool: taking a call's indices alone or with the workers, and waiting for the last."""

from __future__ import annotations

from typing import Final

SPUN: Final = 50_000
"""Nanoseconds within which a call finds the workers of the one before still spinning."""

JOB_COSTS: Final = 4
STREAK_COSTS: Final = 10
"""Sleeping workers are woken where what is left of the call takes the caller so many times what waking costs it, or
where calls in close succession did."""

FIRST_COST: Final = 20_000
MOST_COST: Final = 200_000
"""Nanoseconds that waking costs the caller: what is taken for it before it is measured, and at most."""

NUMBERS: Final = {
    "SPUN": SPUN,
    "JOB_COSTS": JOB_COSTS,
    "STREAK_COSTS": STREAK_COSTS,
    "FIRST_COST": FIRST_COST,
    "MOST_COST": MOST_COST,
}
"""What stands in the text for them."""

CALLER: Final = """
define void @gradc.parallel(ptr %task, ptr %context, i64 %count, i64 %threads) nounwind {
  %most = load i64, ptr @pool.most
  %others = sub i64 %threads, 1
  %rest = sub i64 %count, 1
  %useful = call i64 @llvm.smin.i64(i64 %others, i64 %rest)
  %wanted = call i64 @llvm.smin.i64(i64 %useful, i64 %most)
  %shared = icmp sgt i64 %wanted, 0
  br i1 %shared, label %claim, label %alone
claim:
  %claimed = cmpxchg ptr @pool.busy, i32 0, i32 1 acquire monotonic
  %owns = extractvalue { i32, i1 } %claimed, 1
  br i1 %owns, label %owner, label %alone
owner:
  %awake = call i64 @pool.awake()
  %twice = shl i64 %awake, 1
  %enough = icmp sge i64 %twice, %wanted
  br i1 %enough, label %ready, label %first
first:
  %done = call i64 @pool.solo(ptr %task, ptr %context, i64 %count)
  %left = icmp slt i64 %done, %count
  br i1 %left, label %summon, label %free
ready:
  call void @pool.publish(ptr %task, ptr %context, i64 %count, i64 0, i64 %wanted)
  br label %join
summon:
  call void @pool.start(i64 %wanted)
  call void @pool.publish(ptr %task, ptr %context, i64 %count, i64 %done, i64 %wanted)
  call void @pool.rouse()
  br label %join
join:
  call void @pool.work(i64 -1)
  call void @pool.wait()
  %end = call i64 @pool.clock()
  store i64 %end, ptr @pool.ended
  br label %free
free:
  store atomic i32 0, ptr @pool.busy release, align 4
  ret void
alone:
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %own, label %over
own:
  %index = phi i64 [ 0, %alone ], [ %next, %own ]
  call void %task(ptr %context, i64 %index)
  %next = add i64 %index, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %own, label %over
over:
  ret void
}

define internal i64 @pool.clock() nounwind {
  %time = alloca [2 x i64]
  %got = call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time
  %place = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %place
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %rest
  ret i64 %now
}

define internal i64 @pool.awake() nounwind {
  %started = load i64, ptr @pool.started
  %asleep = load atomic i32, ptr @pool.asleep seq_cst, align 4
  %many = zext i32 %asleep to i64
  %awake = sub i64 %started, %many
  ret i64 %awake
}

; The caller's indices while it is not worth its time to wake the workers: how many it did.
define internal i64 @pool.solo(ptr %task, ptr %context, i64 %count) noinline nounwind {
begin:
  %start = call i64 @pool.clock()
  %ended = load i64, ptr @pool.ended
  %gap = sub i64 %start, %ended
  %near = icmp slt i64 %gap, SPUN
  %before = load i64, ptr @pool.streak
  %streak = select i1 %near, i64 %before, i64 0
  %cost = load i64, ptr @pool.cost
  %worth = mul i64 %cost, JOB_COSTS
  %patience = mul i64 %cost, STREAK_COSTS
  br label %run
run:
  %index = phi i64 [ 0, %begin ], [ %done, %ask ]
  call void %task(ptr %context, i64 %index)
  %done = add i64 %index, 1
  %now = call i64 @pool.clock()
  %spent = sub i64 %now, %start
  %all = add i64 %streak, %spent
  %left = sub i64 %count, %done
  %none = icmp eq i64 %left, 0
  br i1 %none, label %end, label %ask
ask:
  %scaled = mul i64 %spent, %left
  %to.come = sdiv i64 %scaled, %done
  %long = icmp sgt i64 %to.come, %worth
  %weary = icmp sgt i64 %all, %patience
  %summons = or i1 %long, %weary
  br i1 %summons, label %end, label %run
end:
  store i64 %now, ptr @pool.ended
  store i64 %all, ptr @pool.streak
  ret i64 %done
}

; The indices from %first on are there to be taken.
define internal void @pool.publish(ptr %task, ptr %context, i64 %count, i64 %first, i64 %wanted) nounwind {
  %left = sub i64 %count, %first
  store atomic ptr %task, ptr @pool.task monotonic, align 8
  store atomic ptr %context, ptr @pool.context monotonic, align 8
  store atomic i64 %count, ptr @pool.count monotonic, align 8
  store atomic i64 %left, ptr @pool.total monotonic, align 8
  store atomic i64 %wanted, ptr @pool.taking monotonic, align 8
  READ_MODE
  store atomic i32 0, ptr @pool.done monotonic, align 4
  store atomic i32 0, ptr @pool.waiting monotonic, align 4
  %last = load i64, ptr @pool.call
  %call = add i64 %last, 1
  store i64 %call, ptr @pool.call
  %upper = shl i64 %call, 32
  %ticket = or i64 %upper, %left
  store atomic i64 %ticket, ptr @pool.ticket release, align 8
  %woken = atomicrmw add ptr @pool.wake, i32 1 seq_cst
  ret void
}

; Wakes the workers, and keeps in mind what that cost.
define internal void @pool.rouse() nounwind {
begin:
  %asleep = load atomic i32, ptr @pool.asleep seq_cst, align 4
  %any = icmp ne i32 %asleep, 0
  br i1 %any, label %rouse, label %end
rouse:
  %start = call i64 @pool.clock()
  call void @pool.wake.all()
  %now = call i64 @pool.clock()
  %spent = sub i64 %now, %start
  %before = load i64, ptr @pool.cost
  %thrice = mul i64 %before, 3
  %sum = add i64 %thrice, %spent
  %mean = ashr i64 %sum, 2
  %cost = call i64 @llvm.smin.i64(i64 %mean, i64 MOST_COST)
  store i64 %cost, ptr @pool.cost
  br label %end
end:
  ret void
}

; The caller, until all indices are done.
define internal void @pool.wait() nounwind {
begin:
  %count = load i64, ptr @pool.total
  %total = trunc i64 %count to i32
  br label %look
look:
  %round = phi i32 [ 0, %begin ], [ %again, %spin ], [ 0, %wait ]
  %done = load atomic i32, ptr @pool.done acquire, align 4
  %all = icmp eq i32 %done, %total
  br i1 %all, label %end, label %spin
spin:
  PAUSE
  %again = add i32 %round, 1
  %patient = icmp slt i32 %again, SPINS
  br i1 %patient, label %look, label %sleep
sleep:
  %told = atomicrmw xchg ptr @pool.waiting, i32 1 seq_cst
  %now = load atomic i32, ptr @pool.done seq_cst, align 4
  %over = icmp eq i32 %now, %total
  br i1 %over, label %end, label %wait
wait:
  %waited = call i64 (i64, ...) @syscall(i64 FUTEX, ptr @pool.done, i64 128, i32 %now, ptr null, ptr null, i64 0)
  br label %look
end:
  ret void
}
"""

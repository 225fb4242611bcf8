"""The caller's side of the pool: taking a call's indices alone or with the workers, and waiting for the last."""

from __future__ import annotations

from typing import Final

FIRST_COST: Final = 20_000
MOST_COST: Final = 100_000
"""Nanoseconds that waking costs the caller: what is taken for it before it is measured, and at most."""

MOST_INDICES: Final = 0xFFFF
"""Calls with more indices run alone."""

LATE: Final = 100_000
LEAST_FACTOR: Final = 8
MOST_FACTOR: Final = 128
"""A call that waits for its workers this many nanoseconds longer than it should has lost them to something else. The
next run alone for so many times what it lost."""

NUMBERS: Final = {
    "FIRST_COST": FIRST_COST,
    "MOST_COST": MOST_COST,
    "MOST_INDICES": MOST_INDICES,
    "LATE": LATE,
    "LEAST_FACTOR": LEAST_FACTOR,
    "MOST_FACTOR": MOST_FACTOR,
}
"""What stands in the text for them."""

CALLER: Final = """
define void @gradc.parallel(ptr %task, ptr %context, i64 %count, i64 %threads, ptr %site) nounwind {
  %most = load i64, ptr @pool.most
  %others = sub i64 %threads, 1
  %rest = sub i64 %count, 1
  %useful = call i64 @llvm.smin.i64(i64 %others, i64 %rest)
  %wanted = call i64 @llvm.smin.i64(i64 %useful, i64 %most)
  %several = icmp sgt i64 %wanted, 0
  %numbered = icmp sle i64 %count, MOST_INDICES
  %shared = and i1 %several, %numbered
  br i1 %shared, label %claim, label %alone
claim:
  %claimed = cmpxchg ptr @pool.busy, i32 0, i32 1 acquire monotonic
  %owns = extractvalue { i32, i1 } %claimed, 1
  br i1 %owns, label %owner, label %alone
owner:
  %start = call i64 @pool.clock()
  %until = load i64, ptr @pool.until
  %crowded = icmp slt i64 %start, %until
  br i1 %crowded, label %decline, label %choose
decline:
  store atomic i32 0, ptr @pool.busy release, align 4
  br label %alone
choose:
  %awake = call i64 @pool.awake()
  %twice = shl i64 %awake, 1
  %enough = icmp sge i64 %twice, %wanted
  %shares = call i1 @pool.choose(ptr %site, i64 %start, i1 %enough)
  br i1 %shares, label %share, label %first
first:
  %done = call i64 @pool.solo(ptr %task, ptr %context, i64 %count, i64 %start, ptr %site)
  %left = icmp slt i64 %done, %count
  br i1 %left, label %share, label %free
share:
  %from = phi i64 [ 0, %choose ], [ %done, %first ]
  %asleep = xor i1 %enough, true
  %late = icmp sgt i64 %from, 0
  %summons = or i1 %asleep, %late
  br i1 %summons, label %summon, label %ready
ready:
  call void @pool.publish(ptr %task, ptr %context, i64 %count, i64 0, i64 %wanted)
  br label %join
summon:
  store i64 0, ptr @pool.streak
  call void @pool.start(i64 %wanted)
  call void @pool.publish(ptr %task, ptr %context, i64 %count, i64 %from, i64 %wanted)
  call void @pool.rouse()
  br label %join
join:
  %way = phi i64 [ SHARED, %ready ], [ WOKEN, %summon ]
  %joined = call i64 @pool.clock()
  %own = call i64 @pool.work(i64 -1)
  %end = call i64 @pool.wait(i64 %joined, i64 %own)
  %whole = icmp eq i64 %from, 0
  br i1 %whole, label %learn, label %free
learn:
  %time = sub i64 %end, %start
  call void @pool.learn(ptr %site, i64 %way, i64 %time)
  br label %free
free:
  store atomic i32 0, ptr @pool.busy release, align 4
  ret void
alone:
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %each, label %over
each:
  %index = phi i64 [ 0, %alone ], [ %next, %each ]
  call void %task(ptr %context, i64 %index)
  %next = add i64 %index, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %each, label %over
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

; The caller alone: how many indices it did, all but where the first call of a site turns out to be long.
define internal i64 @pool.solo(ptr %task, ptr %context, i64 %count, i64 %start, ptr %site) nounwind {
begin:
  %streak = call i64 @pool.streak.at(i64 %start)
  %cost.before = load i64, ptr @pool.cost
  %part = ashr i64 %cost.before, 6
  %cost = sub i64 %cost.before, %part
  store i64 %cost, ptr @pool.cost
  %worth = mul i64 %cost, CALL_COSTS
  %mean = load i64, ptr %site
  %known = icmp ne i64 %mean, 0
  br label %run
run:
  %done = phi i64 [ 0, %begin ], [ %next, %told ]
  call void %task(ptr %context, i64 %done)
  %next = add i64 %done, 1
  %now = call i64 @pool.clock()
  %spent = sub i64 %now, %start
  %left = sub i64 %count, %next
  %none = icmp eq i64 %left, 0
  br i1 %none, label %end, label %told
told:
  %scaled = mul i64 %spent, %left
  %to.come = sdiv i64 %scaled, %next
  %short = icmp sle i64 %to.come, %worth
  %stays = or i1 %known, %short
  br i1 %stays, label %run, label %leave
leave:
  %whole = add i64 %spent, %to.come
  call void @pool.learn(ptr %site, i64 0, i64 %whole)
  ret i64 %next
end:
  call void @pool.learn(ptr %site, i64 0, i64 %spent)
  %prefers = call i1 @pool.prefers(ptr %site)
  %missed = select i1 %prefers, i64 %spent, i64 0
  %all = add i64 %streak, %missed
  store i64 %now, ptr @pool.ended
  store i64 %all, ptr @pool.streak
  ret i64 %count
}

; The indices from %first on are there to be taken.
define internal void @pool.publish(ptr %task, ptr %context, i64 %count, i64 %first, i64 %wanted) nounwind {
  %left = sub i64 %count, %first
  store atomic ptr %task, ptr @pool.task monotonic, align 8
  store atomic ptr %context, ptr @pool.context monotonic, align 8
  store atomic i64 %left, ptr @pool.total monotonic, align 8
  store atomic i64 %wanted, ptr @pool.taking monotonic, align 8
  READ_MODE
  store atomic i32 0, ptr @pool.done monotonic, align 4
  store atomic i32 0, ptr @pool.waiting monotonic, align 4
  %last = load i64, ptr @pool.call
  %call = add i64 %last, 1
  store i64 %call, ptr @pool.call
  %upper = shl i64 %call, 32
  %last.index = shl i64 %count, 16
  %range = or i64 %last.index, %first
  %ticket = or i64 %upper, %range
  store atomic i64 %ticket, ptr @pool.ticket release, align 8
  %woken = atomicrmw add ptr @pool.wake, i32 1 seq_cst
  ret void
}

; Wakes the workers, and keeps in mind what that cost. Calls alone forget it little by little, so that it is measured
; again.
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
  %clipped = call i64 @llvm.smin.i64(i64 %spent, i64 MOST_COST)
  %thrice = mul i64 %before, 3
  %sum = add i64 %thrice, %clipped
  %cost = ashr i64 %sum, 2
  store i64 %cost, ptr @pool.cost
  br label %end
end:
  ret void
}

; The caller, which did %own indices since %shared, until all are done. Where that takes much longer than an index of
; its own did, a worker has lost its processor: calls run alone for a while, longer each time that it happens again.
define internal i64 @pool.wait(i64 %shared, i64 %own) nounwind {
begin:
  %count = load i64, ptr @pool.total
  %total = trunc i64 %count to i32
  %start = call i64 @pool.clock()
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
  %finished = call i64 @pool.clock()
  store i64 %finished, ptr @pool.ended
  %lost = sub i64 %finished, %start
  %working = sub i64 %start, %shared
  %some = call i64 @llvm.smax.i64(i64 %own, i64 1)
  %each = sdiv i64 %working, %some
  %thrice = mul i64 %each, 3
  %fair = add i64 %thrice, LATE
  %late = icmp sgt i64 %lost, %fair
  %factor = load i64, ptr @pool.factor
  %double = shl i64 %factor, 1
  %half = ashr i64 %factor, 1
  %more = call i64 @llvm.smin.i64(i64 %double, i64 MOST_FACTOR)
  %less = call i64 @llvm.smax.i64(i64 %half, i64 LEAST_FACTOR)
  %following = select i1 %late, i64 %more, i64 %less
  store i64 %following, ptr @pool.factor
  br i1 %late, label %shun, label %return
shun:
  %for = mul i64 %lost, %factor
  %until = add i64 %finished, %for
  store i64 %until, ptr @pool.until
  br label %return
return:
  ret i64 %finished
}
"""

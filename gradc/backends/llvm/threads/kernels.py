"""Whether a whole call of a kernel uses the pool.

A loop that is faster on two threads leaves half of its result in the other's cache, where the next loop has to fetch
it: what is better for each loop need not be so for all of them. So a kernel measures its calls with the pool and
without.

    i64 gradc.threads(ptr kernel, i64 threads, ptr start)      before: how many threads to use, the number or 1
    void gradc.called(ptr kernel, i64 used, ptr start)         after

``kernel`` is what is known, words that are 0 at first, and ``start`` a word of the call. Several threads may be in a
kernel; what they write over each other are means.
"""

from __future__ import annotations

from typing import Final

DUE: Final = 2
REST: Final = 3
CALLS: Final = 4
KERNEL_WORDS: Final = 5
"""The words of a kernel: the mean time without the pool and with it, in how many calls the slower way is tried, how
many calls there are before the time after that, and the number of calls."""

SETTLED: Final = 24
TAUGHT: Final = 32
TRIED: Final = 36
"""The first calls use the pool, and its loops learn; from ``SETTLED`` on they are measured, from ``TAUGHT`` on those
without it, from ``TRIED`` on the faster way is taken."""

LEAST_REST: Final = 32
MOST_REST: Final = 512
"""Calls of a kernel between two times that the slower way is tried."""

TRIALS: Final = 6
COUNTED: Final = 3
"""Calls in which it is tried, and how many of them count, the last."""

NUMBERS: Final = {
    "DUE_WORD": DUE,
    "REST_WORD": REST,
    "CALLS_WORD": CALLS,
    "SETTLED": SETTLED,
    "TAUGHT": TAUGHT,
    "TRIED": TRIED,
    "LEAST_REST": LEAST_REST,
    "MOST_REST": MOST_REST,
    "LAST_DUE": 1 - TRIALS,
    "COUNTED_DUE": COUNTED - TRIALS,
}
"""What stands in the text for them."""

KERNELS: Final = """
define i64 @gradc.threads(ptr %kernel, i64 %threads, ptr %start) nounwind {
begin:
  store i64 0, ptr %start
  %most = load i64, ptr @pool.most
  %none = icmp sle i64 %most, 0
  br i1 %none, label %alone, label %count
count:
  %now = call i64 @pool.clock()
  store i64 %now, ptr %start
  %calls.at = getelementptr i64, ptr %kernel, i64 CALLS_WORD
  %calls = load atomic i64, ptr %calls.at monotonic, align 8
  %more = add i64 %calls, 1
  store atomic i64 %more, ptr %calls.at monotonic, align 8
  %learns = icmp slt i64 %more, TAUGHT
  br i1 %learns, label %shared, label %taught
taught:
  %tests = icmp slt i64 %more, TRIED
  br i1 %tests, label %alone, label %choose
choose:
  %prefers = call i1 @pool.kernel.prefers(ptr %kernel)
  %due.at = getelementptr i64, ptr %kernel, i64 DUE_WORD
  %rest.at = getelementptr i64, ptr %kernel, i64 REST_WORD
  %due = load atomic i64, ptr %due.at monotonic, align 8
  %sooner = sub i64 %due, 1
  store atomic i64 %sooner, ptr %due.at monotonic, align 8
  %tries = icmp sle i64 %sooner, 0
  %ends = icmp sle i64 %sooner, LAST_DUE
  br i1 %ends, label %end, label %decide
end:
  %rest = load atomic i64, ptr %rest.at monotonic, align 8
  %double = shl i64 %rest, 1
  %some = call i64 @llvm.smax.i64(i64 %double, i64 LEAST_REST)
  %longer = call i64 @llvm.smin.i64(i64 %some, i64 MOST_REST)
  store atomic i64 %longer, ptr %rest.at monotonic, align 8
  store atomic i64 %longer, ptr %due.at monotonic, align 8
  br label %decide
decide:
  %shares = xor i1 %prefers, %tries
  br i1 %shares, label %shared, label %alone
shared:
  ret i64 %threads
alone:
  ret i64 1
}

define internal i1 @pool.kernel.prefers(ptr %kernel) nounwind {
  %shared.at = getelementptr i64, ptr %kernel, i64 1
  %alone = load atomic i64, ptr %kernel monotonic, align 8
  %shared = load atomic i64, ptr %shared.at monotonic, align 8
  %prefers = icmp slt i64 %shared, %alone
  ret i1 %prefers
}

define void @gradc.called(ptr %kernel, i64 %used, ptr %start) nounwind {
begin:
  %began = load i64, ptr %start
  %unknown = icmp eq i64 %began, 0
  br i1 %unknown, label %end, label %look
look:
  %calls.at = getelementptr i64, ptr %kernel, i64 CALLS_WORD
  %due.at = getelementptr i64, ptr %kernel, i64 DUE_WORD
  %rest.at = getelementptr i64, ptr %kernel, i64 REST_WORD
  %calls = load atomic i64, ptr %calls.at monotonic, align 8
  %due = load atomic i64, ptr %due.at monotonic, align 8
  %early = icmp slt i64 %calls, SETTLED
  %tries = icmp sle i64 %due, 0
  %uncounted = icmp sgt i64 %due, COUNTED_DUE
  %late = icmp sge i64 %calls, TRIED
  %first = and i1 %tries, %uncounted
  %switched = and i1 %first, %late
  %skipped = or i1 %early, %switched
  br i1 %skipped, label %end, label %learn
learn:
  %now = call i64 @pool.clock()
  %time = sub i64 %now, %began
  %several = icmp sgt i64 %used, 1
  %way = zext i1 %several to i64
  %place = getelementptr i64, ptr %kernel, i64 %way
  %before = call i1 @pool.kernel.prefers(ptr %kernel)
  %mean = load atomic i64, ptr %place monotonic, align 8
  %following = call i64 @pool.mean(i64 %mean, i64 %time)
  store atomic i64 %following, ptr %place monotonic, align 8
  %after = call i1 @pool.kernel.prefers(ptr %kernel)
  %turned = icmp ne i1 %before, %after
  %turns = and i1 %turned, %late
  br i1 %turns, label %soon, label %end
soon:
  store atomic i64 LEAST_REST, ptr %due.at monotonic, align 8
  store atomic i64 LEAST_REST, ptr %rest.at monotonic, align 8
  br label %end
end:
  ret void
}

; A mean that follows: single times that are very long, of a thread that lost its processor, count less.
define internal i64 @pool.mean(i64 %mean, i64 %time) nounwind {
  %none = icmp eq i64 %mean, 0
  %four = shl i64 %mean, 2
  %clipped = call i64 @llvm.smin.i64(i64 %time, i64 %four)
  %thrice = mul i64 %mean, 3
  %sum = add i64 %thrice, %clipped
  %quarter = ashr i64 %sum, 2
  %following = select i1 %none, i64 %time, i64 %quarter
  %positive = call i64 @llvm.smax.i64(i64 %following, i64 1)
  ret i64 %positive
}
"""

"""What the pool knows of the calls from one place of a kernel, and whether to share the next one."""

from __future__ import annotations

from typing import Final

SHARED: Final = 1
WOKEN: Final = 2
DUE: Final = 3
REST: Final = 4
SITE_WORDS: Final = 5
"""The words of a site: the mean time alone, shared with workers that are awake, and with such that are woken; in how
many calls the slower way is tried, and how many there are before the time after that."""

SPUN: Final = 50_000
"""Nanoseconds within which a call finds the workers of the one before still spinning."""

CALL_COSTS: Final = 8
STREAK_COSTS: Final = 10
"""Sleeping workers are woken where the call takes the caller so many times what waking costs it, or where calls in
close succession did."""

LEAST_PAUSE: Final = 8
MOST_PAUSE: Final = 64
"""Calls of a site between two that try the slower way."""

NUMBERS: Final = {
    "SHARED": SHARED,
    "WOKEN": WOKEN,
    "DUE": DUE,
    "REST": REST,
    "SPUN": SPUN,
    "CALL_COSTS": CALL_COSTS,
    "STREAK_COSTS": STREAK_COSTS,
    "LEAST_PAUSE": LEAST_PAUSE,
    "MOST_PAUSE": MOST_PAUSE,
}
"""What stands in the text for them."""

SITES: Final = """
; Whether a call is to be shared: as was faster so far, and now and then the other way. Sleeping workers are woken where
; that was faster too, where it is not known and the call is long, and where calls in close succession were.
define internal i1 @pool.choose(ptr %site, i64 %start, i1 %enough) nounwind {
begin:
  %shared.at = getelementptr i64, ptr %site, i64 SHARED
  %woken.at = getelementptr i64, ptr %site, i64 WOKEN
  %alone = load i64, ptr %site
  %shared = load i64, ptr %shared.at
  %woken = load i64, ptr %woken.at
  %tries = call i1 @pool.tries(ptr %site)
  br i1 %enough, label %spinning, label %sleeping
spinning:
  %prefers = call i1 @pool.prefers(ptr %site)
  %known = icmp ne i64 %shared, 0
  %flips = and i1 %tries, %known
  %shares = xor i1 %prefers, %flips
  ret i1 %shares
sleeping:
  %streak = call i64 @pool.streak.at(i64 %start)
  %cost = load i64, ptr @pool.cost
  %worth = mul i64 %cost, CALL_COSTS
  %patience = mul i64 %cost, STREAK_COSTS
  %long = icmp sgt i64 %alone, %worth
  %faster = icmp slt i64 %woken, %alone
  %tested = icmp ne i64 %woken, 0
  %wakes = select i1 %tested, i1 %faster, i1 %long
  %turns = and i1 %tries, %tested
  %calls = xor i1 %wakes, %turns
  %weary = icmp sgt i64 %streak, %patience
  %summons = or i1 %calls, %weary
  ret i1 %summons
}

; Whether a site's calls are faster shared, with workers that are awake, or may be.
define internal i1 @pool.prefers(ptr %site) nounwind {
  %shared.at = getelementptr i64, ptr %site, i64 SHARED
  %alone = load i64, ptr %site
  %shared = load i64, ptr %shared.at
  %less = icmp slt i64 %shared, %alone
  %unknown = icmp eq i64 %shared, 0
  %prefers = or i1 %less, %unknown
  ret i1 %prefers
}

; Whether it is time to try the slower way of a site.
define internal i1 @pool.tries(ptr %site) nounwind {
begin:
  %due.at = getelementptr i64, ptr %site, i64 DUE
  %rest.at = getelementptr i64, ptr %site, i64 REST
  %due = load i64, ptr %due.at
  %sooner = sub i64 %due, 1
  store i64 %sooner, ptr %due.at
  %tries = icmp slt i64 %sooner, 0
  br i1 %tries, label %try, label %end
try:
  %rest = load i64, ptr %rest.at
  %double = shl i64 %rest, 1
  %some = call i64 @llvm.smax.i64(i64 %double, i64 LEAST_PAUSE)
  %longer = call i64 @llvm.smin.i64(i64 %some, i64 MOST_PAUSE)
  store i64 %longer, ptr %rest.at
  store i64 %longer, ptr %due.at
  br label %end
end:
  ret i1 %tries
}

; The time that calls in close succession took alone where they had better been shared.
define internal i64 @pool.streak.at(i64 %start) nounwind {
  %ended = load i64, ptr @pool.ended
  %gap = sub i64 %start, %ended
  %near = icmp slt i64 %gap, SPUN
  %before = load i64, ptr @pool.streak
  %streak = select i1 %near, i64 %before, i64 0
  ret i64 %streak
}

; Keeps the mean time of a site's calls. Where the other way becomes the faster one, it is soon tried again.
define internal void @pool.learn(ptr %site, i64 %way, i64 %time) nounwind {
begin:
  %place = getelementptr i64, ptr %site, i64 %way
  %due.at = getelementptr i64, ptr %site, i64 DUE
  %rest.at = getelementptr i64, ptr %site, i64 REST
  %before = call i1 @pool.prefers(ptr %site)
  %mean = load i64, ptr %place
  %following = call i64 @pool.mean(i64 %mean, i64 %time)
  store i64 %following, ptr %place
  %after = call i1 @pool.prefers(ptr %site)
  %turned = icmp ne i1 %before, %after
  br i1 %turned, label %soon, label %end
soon:
  store i64 LEAST_PAUSE, ptr %due.at
  store i64 LEAST_PAUSE, ptr %rest.at
  br label %end
end:
  ret void
}
"""

"""Whether results that the caller gave lie apart from the arguments and from each other.

A kernel may write a result before it has read all arguments, so only such arrays are written directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gradc.backends.llvm.dims import Dims
from gradc.backends.llvm.entry.plan import Data, Plan
from gradc.backends.llvm.entry.text import EntryText
from gradc.ir.aval import Aval

IN_PLACE: Final = 64
"""Pairs of arrays up to which each is compared where it is needed; a loop over a table is slower for a few."""

LANES: Final = 8

APART: Final = f"""\
; Whether each interval from number %given on lies apart from all in front of it. Tables are padded to {LANES} numbers.
define i1 @gradc.apart(ptr %starts, ptr %ends, i64 %given, i64 %total) {{
  br label %next
next:
  %k = phi i64 [ %given, %0 ], [ %k.next, %apart ]
  %more = icmp ult i64 %k, %total
  br i1 %more, label %one, label %yes
one:
  %start.at = getelementptr i64, ptr %starts, i64 %k
  %start.own = load i64, ptr %start.at
  %end.at = getelementptr i64, ptr %ends, i64 %k
  %end.own = load i64, ptr %end.at
  %start.0 = insertelement <{LANES} x i64> poison, i64 %start.own, i64 0
  %start = shufflevector <{LANES} x i64> %start.0, <{LANES} x i64> poison, <{LANES} x i32> zeroinitializer
  %end.0 = insertelement <{LANES} x i64> poison, i64 %end.own, i64 0
  %end = shufflevector <{LANES} x i64> %end.0, <{LANES} x i64> poison, <{LANES} x i32> zeroinitializer
  %k.0 = insertelement <{LANES} x i64> poison, i64 %k, i64 0
  %own = shufflevector <{LANES} x i64> %k.0, <{LANES} x i64> poison, <{LANES} x i32> zeroinitializer
  br label %block
block:
  %j = phi i64 [ 0, %one ], [ %j.next, %compared ]
  %before = icmp ult i64 %j, %k
  br i1 %before, label %compare, label %apart
compare:
  %j.0 = insertelement <{LANES} x i64> poison, i64 %j, i64 0
  %base = shufflevector <{LANES} x i64> %j.0, <{LANES} x i64> poison, <{LANES} x i32> zeroinitializer
  %number = add <{LANES} x i64> %base, <{", ".join(f"i64 {lane}" for lane in range(LANES))}>
  %earlier = icmp ult <{LANES} x i64> %number, %own
  %starts.at = getelementptr i64, ptr %starts, i64 %j
  %others.start = load <{LANES} x i64>, ptr %starts.at, align 8
  %ends.at = getelementptr i64, ptr %ends, i64 %j
  %others.end = load <{LANES} x i64>, ptr %ends.at, align 8
  %below = icmp ult <{LANES} x i64> %start, %others.end
  %above = icmp ult <{LANES} x i64> %others.start, %end
  %meets = and <{LANES} x i1> %below, %above
  %meets.earlier = and <{LANES} x i1> %meets, %earlier
  %bits = bitcast <{LANES} x i1> %meets.earlier to i{LANES}
  %none = icmp eq i{LANES} %bits, 0
  br i1 %none, label %compared, label %no
compared:
  %j.next = add i64 %j, {LANES}
  br label %block
apart:
  %k.next = add i64 %k, 1
  br label %next
yes:
  ret i1 true
no:
  ret i1 false
}}
"""


def guard_apart(text: EntryText, plan: Plan, inputs: Mapping[int, str], given: Mapping[int, str], dims: Dims) -> None:
    """Miss where a given result shares memory with an argument or another one. The addresses are of their elements.

    A donated argument is a given result, and not compared with itself.
    """
    donated = set(plan.donated.values())
    leaves = [leaf for place in plan.places for leaf in place.leaves if isinstance(leaf, Data)]
    read = [(inputs[k], aval) for k, aval in ((d.index, d.aval) for d in leaves) if not aval.weak and k not in donated]
    written = [(address, plan.results[index]) for index, address in given.items()]
    arrays = [_interval(text, address, aval, dims) for address, aval in [*read, *written] if aval.size != 0]
    first = len(arrays) - sum(aval.size != 0 for _, aval in written)
    if first * len(written) + len(written) ** 2 // 2 > IN_PLACE:
        _guard_table(text, arrays, first)
        return
    meets = "false"
    for k in range(first, len(arrays)):
        for start, end in arrays[:k]:
            below = text.value(f"icmp ult i64 {start}, {arrays[k][1]}")
            above = text.value(f"icmp ult i64 {arrays[k][0]}, {end}")
            meets = text.value(f"or i1 {meets}, {text.value(f'and i1 {below}, {above}')}")
    if meets != "false":
        text.guard(text.value(f"icmp eq i1 {meets}, false"))


def _interval(text: EntryText, address: str, aval: Aval, dims: Dims) -> tuple[str, str]:
    start = text.value(f"ptrtoint ptr {address} to i64")
    return start, text.value(f"add i64 {start}, {dims.operand(aval.size * aval.dtype.itemsize)}")


def _guard_table(text: EntryText, arrays: list[tuple[str, str]], first: int) -> None:
    padded = -(-len(arrays) // LANES) * LANES
    starts, ends = text.alloca(f"[{padded} x i64]"), text.alloca(f"[{padded} x i64]")
    for row, side in ((starts, 0), (ends, 1)):
        for position, interval in enumerate(arrays):
            text.line(f"store i64 {interval[side]}, ptr {text.at(row, 8 * position)}")
    apart = f"call i1 @gradc.apart(ptr {starts}, ptr {ends}, i64 {first}, i64 {len(arrays)})"
    text.guard(text.value(apart))

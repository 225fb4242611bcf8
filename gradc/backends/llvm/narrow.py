"""Arithmetic of i64 that machines of 32 bits have no instructions for, as functions of the module itself.

LLVM would call a runtime library for it: division, and conversion from and to floats. Sizes and indices are i64, so it
is met seldom and outside of inner loops.
"""

from __future__ import annotations

import re
from typing import Final

_DIVISION: Final = re.compile(r"= (udiv|urem|sdiv|srem) i64 (\S+), (\S+)$", re.MULTILINE)
_TO_FLOAT: Final = re.compile(r"= (sitofp|uitofp) i64 (\S+) to (float|double)$", re.MULTILINE)
_FROM_FLOAT: Final = re.compile(
    r"= call i64 @llvm\.fptosi\.sat\.i64\.f(?:32|64)\((float|double) (\S+)\)$", re.MULTILINE
)

_UNSIGNED: Final = """
define internal i64 @gradc.OPERATION.i64(i64 %n, i64 %d) noinline nounwind {
entry:
  br label %bit
bit:
  ; the remainder and the quotient of the bits so far
  %left = phi i32 [ 64, %entry ], [ %left.next, %bit ]
  %rest = phi i64 [ %n, %entry ], [ %rest.next, %bit ]
  %r = phi i64 [ 0, %entry ], [ %r.next, %bit ]
  %q = phi i64 [ 0, %entry ], [ %q.next, %bit ]
  %first = lshr i64 %rest, 63
  %rest.next = shl i64 %rest, 1
  %over = icmp slt i64 %r, 0
  %r.shifted = shl i64 %r, 1
  %r.more = or i64 %r.shifted, %first
  %reaches = icmp uge i64 %r.more, %d
  %takes = or i1 %over, %reaches
  %r.less = sub i64 %r.more, %d
  %r.next = select i1 %takes, i64 %r.less, i64 %r.more
  %one = zext i1 %takes to i64
  %q.shifted = shl i64 %q, 1
  %q.next = or i64 %q.shifted, %one
  %left.next = sub i32 %left, 1
  %more = icmp ne i32 %left.next, 0
  br i1 %more, label %bit, label %end
end:
  ret i64 %RESULT
}
"""

_SIGNED: Final = """
define internal i64 @gradc.sOPERATION.i64(i64 %n, i64 %d) noinline nounwind {
  %n.sign = ashr i64 %n, 63
  %d.sign = ashr i64 %d, 63
  %n.flipped = xor i64 %n, %n.sign
  %d.flipped = xor i64 %d, %d.sign
  %n.size = sub i64 %n.flipped, %n.sign
  %d.size = sub i64 %d.flipped, %d.sign
  %size = call i64 @gradc.uOPERATION.i64(i64 %n.size, i64 %d.size)
  %both = xor i64 %n.sign, %d.sign
  %flipped = xor i64 %size, %SIGN
  %result = sub i64 %flipped, %SIGN
  ret i64 %result
}
"""

_UNSIGNED_TO_DOUBLE: Final = """
define internal double @gradc.uitofp.double(i64 %x) noinline nounwind {
  %upper = lshr i64 %x, 32
  %high = trunc i64 %upper to i32
  %low = trunc i64 %x to i32
  %high.float = uitofp i32 %high to double
  %low.float = uitofp i32 %low to double
  %scaled = fmul double %high.float, 0x41F0000000000000
  %result = fadd double %scaled, %low.float
  ret double %result
}
"""

_UNSIGNED_TO_FLOAT: Final = """
define internal float @gradc.uitofp.float(i64 %x) noinline nounwind {
entry:
  br label %halve
halve:
  ; down to 32 bits, the last of which says whether any beyond it was 1: rounding sees no difference
  %left = phi i64 [ %x, %entry ], [ %left.next, %again ]
  %scale = phi float [ 1.0, %entry ], [ %scale.next, %again ]
  %upper = lshr i64 %left, 32
  %fits = icmp eq i64 %upper, 0
  br i1 %fits, label %end, label %again
again:
  %last = and i64 %left, 1
  %half = lshr i64 %left, 1
  %left.next = or i64 %half, %last
  %scale.next = fmul float %scale, 2.0
  br label %halve
end:
  %low = trunc i64 %left to i32
  %float = uitofp i32 %low to float
  %result = fmul float %float, %scale
  ret float %result
}
"""

_SIGNED_TO_FLOAT: Final = """
define internal TYPE @gradc.sitofp.TYPE(i64 %x) noinline nounwind {
  %sign = ashr i64 %x, 63
  %flipped = xor i64 %x, %sign
  %size = sub i64 %flipped, %sign
  %float = call TYPE @gradc.uitofp.TYPE(i64 %size)
  %negative = icmp slt i64 %x, 0
  %negated = fneg TYPE %float
  %result = select i1 %negative, TYPE %negated, TYPE %float
  ret TYPE %result
}
"""

_FROM: Final = """
define internal i64 @gradc.fptosi.TYPE(TYPE %x) noinline nounwind {
  %negative = fcmp olt TYPE %x, 0.0
  %negated = fneg TYPE %x
  %size = select i1 %negative, TYPE %negated, TYPE %x
  ; NaN is 0, and what lies beyond i64 its nearest end
  %inside = fcmp olt TYPE %size, 0x43E0000000000000
  %known = select i1 %inside, TYPE %size, TYPE 0.0
  %scaled = fmul TYPE %known, 0x3DF0000000000000
  %high = fptoui TYPE %scaled to i32
  %high.float = uitofp i32 %high to TYPE
  %whole = fmul TYPE %high.float, 0x41F0000000000000
  %rest = fsub TYPE %known, %whole
  %low = fptoui TYPE %rest to i32
  %high.wide = zext i32 %high to i64
  %low.wide = zext i32 %low to i64
  %upper = shl i64 %high.wide, 32
  %whole.size = or i64 %upper, %low.wide
  %less = sub i64 0, %whole.size
  %between = select i1 %negative, i64 %less, i64 %whole.size
  %end = select i1 %negative, i64 -9223372036854775808, i64 9223372036854775807
  %beyond = fcmp oge TYPE %size, 0x43E0000000000000
  %result = select i1 %beyond, i64 %end, i64 %between
  ret i64 %result
}
"""


def without_wide_arithmetic(ir: str) -> str:
    """The text of a module with calls of functions of its own where i64 is divided or converted, lane by lane alone."""
    text = _DIVISION.sub(r"= call i64 @gradc.\1.i64(i64 \2, i64 \3)", ir)
    text = _TO_FLOAT.sub(r"= call \3 @gradc.\1.\3(i64 \2)", text)
    text = _FROM_FLOAT.sub(r"= call i64 @gradc.fptosi.\1(\1 \2)", text)
    if text == ir:
        return ir
    added = []
    for operation, result in (("div", "q.next"), ("rem", "r.next")):
        if f"{operation}.i64(" in text:
            sign = "both" if operation == "div" else "n.sign"
            added.append(_UNSIGNED.replace("OPERATION", f"u{operation}").replace("RESULT", result))
            added.append(_SIGNED.replace("OPERATION", operation).replace("SIGN", sign))
    for kind, unsigned in (("float", _UNSIGNED_TO_FLOAT), ("double", _UNSIGNED_TO_DOUBLE)):
        if f"itofp.{kind}(" in text:
            added += [unsigned, _SIGNED_TO_FLOAT.replace("TYPE", kind)]
        if f"fptosi.{kind}(" in text:
            added.append(_FROM.replace("TYPE", kind))
    return text + "".join(added)

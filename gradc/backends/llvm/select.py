"""``NAME_select``: which of a function's versions the processor that runs it is able to run, for x86-64.

Bits of cpuid and xgetbv are those of the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A,
"CPUID" and volume 1, 13.3; levels v3 and v4 those of the x86-64 psABI, section 3.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_BITS: Final = {
    # name: leaf, word of eax, ebx, ecx, edx, bits
    "features": ("1", 2, (12, 22, 27, 28, 29)),  # fma, movbe, osxsave, avx, f16c
    "avx2": ("7", 1, (3, 5, 8)),  # bmi1, avx2, bmi2
    "avx512": ("7", 1, (16, 17, 28, 30, 31)),  # f, dq, cd, bw, vl
    "lzcnt": ("2147483649", 2, (5,)),
}
_STATE_AVX: Final = 0x6
_STATE_AVX512: Final = 0xE6

_CPUID: Final = 'asm sideeffect "cpuid", "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}"'
_XGETBV: Final = 'asm sideeffect "xgetbv", "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}"'


def select_code(name: str, suffixes: Sequence[str]) -> str:
    """The definition of ``NAME_select``, which returns the address of the ablest version; suffixes from least to most.

    The versions ``_avx2`` and ``_avx512`` are declared, the one without a suffix is defined elsewhere in the module.
    """
    lines = [f"declare i32 @{name}{suffix}()" for suffix in suffixes if suffix]
    lines += [f"define ptr @{name}_select() nounwind {{", ".entry:"]
    lines += _cpuid("most", "0")
    lines += [
        "  %most = extractvalue { i32, i32, i32, i32 } %most.all, 0",
        "  %old = icmp ult i32 %most, 7",
        "  br i1 %old, label %plain, label %leaves",
        "plain:",
        f"  ret ptr @{name}",
        "leaves:",
    ]
    for leaf in dict.fromkeys(leaf for leaf, _, _ in _BITS.values()):
        lines += _cpuid(f"leaf.{leaf}", leaf)
    for what, (leaf, word, bits) in _BITS.items():
        mask = sum(1 << bit for bit in bits)
        lines += [
            f"  %{what}.word = extractvalue {{ i32, i32, i32, i32 }} %leaf.{leaf}.all, {word}",
            f"  %{what}.bits = and i32 %{what}.word, {mask}",
            f"  %{what} = icmp eq i32 %{what}.bits, {mask}",
        ]
    lines += [
        # xgetbv is there where the system saves what avx needs, bit 27 among the features
        "  br i1 %features, label %state, label %plain",
        "state:",
        f"  %saved.both = call {{ i32, i32 }} {_XGETBV}(i32 0)",
        "  %saved = extractvalue { i32, i32 } %saved.both, 0",
        f"  %saved.avx = and i32 %saved, {_STATE_AVX}",
        f"  %keeps.avx = icmp eq i32 %saved.avx, {_STATE_AVX}",
        f"  %saved.avx512 = and i32 %saved, {_STATE_AVX512}",
        f"  %keeps.avx512 = icmp eq i32 %saved.avx512, {_STATE_AVX512}",
        "  %third.found = and i1 %avx2, %lzcnt",
        "  %third = and i1 %third.found, %keeps.avx",
        "  %fourth.found = and i1 %avx512, %keeps.avx512",
        "  %fourth = and i1 %fourth.found, %third",
    ]
    chosen = f"@{name}"
    for suffix, able in (("_avx2", "%third"), ("_avx512", "%fourth")):
        if suffix in suffixes:
            lines.append(f"  %with{suffix} = select i1 {able}, ptr @{name}{suffix}, ptr {chosen}")
            chosen = f"%with{suffix}"
    return "\n".join([*lines, f"  ret ptr {chosen}", "}"])


def _cpuid(name: str, leaf: str) -> list[str]:
    return [f"  %{name}.all = call {{ i32, i32, i32, i32 }} {_CPUID}(i32 {leaf}, i32 0)"]

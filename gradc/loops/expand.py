"""Expanding what is stated into what is done: reductions in lanes, and contractions.

Backends expand first, so that the order of every sum is the same for all of them.
"""

from __future__ import annotations

from dataclasses import replace

from gradc.ir.target import Target
from gradc.loops.program import LoopProgram


def expand(program: LoopProgram, target: Target) -> LoopProgram:
    return program

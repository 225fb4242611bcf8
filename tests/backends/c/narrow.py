"""What a machine without f64 computes: the source for Cortex-M4, compiled for this machine, which has the same fused
multiply-adds."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import gradc
from tests.backends.c.conftest import COMPILERS, STRICT


def in_f32_alone(program: Any, folder: Path, *operands: np.ndarray) -> np.ndarray:
    """The result of a function called ``tried`` of arrays of f32 of one shape, which it has too."""
    aval = gradc.aval(f"f32[{operands[0].size}]")
    program.compile(*[aval] * len(operands)).save(folder, format="c", target="cortex-m4")
    library = folder / "tried.so"
    command = [COMPILERS[0], *STRICT, "-O1", "-shared", "-fPIC", "-o", str(library), str(folder / "tried.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = np.empty_like(operands[0])
    workspace = np.zeros(1 << 20, np.uint8)
    place = workspace.ctypes.data + -workspace.ctypes.data % 64
    pointers = [ctypes.c_void_p(at) for at in (*[x.ctypes.data for x in operands], found.ctypes.data, place)]
    assert ctypes.CDLL(str(library)).tried(*pointers) == 0
    return found

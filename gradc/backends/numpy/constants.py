"""Constant arrays as source text, exact to the last bit."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from typing import Final

import numpy as np

from gradc.backends.numpy.expressions import dtype_text, number_text
from gradc.errors import CompileError

COLUMNS = 100
MOST_LITERALS: Final = 256
"""A constant of more elements is written as its bytes, with a digest by which the module knows that they are whole."""


def uniform(value: np.ndarray) -> np.generic | None:
    """The one number that all elements are, bit for bit; None where there is none."""
    if value.size == 0:
        return None
    flat = np.ascontiguousarray(value).reshape(-1)
    first = flat[:1]
    same = bool(np.all(flat.view(f"V{flat.itemsize}") == first.view(f"V{flat.itemsize}")))
    return first[0] if same else None


def array_text(value: np.ndarray) -> str:
    """An expression for the array: its elements as literals, or as their bits where literals do not tell them."""
    dtype = dtype_text(value.dtype)
    if value.dtype.kind not in "fiubc":
        raise CompileError(f"a constant array of dtype {value.dtype} has no text")
    if value.size == 0:
        return f"np.zeros({value.shape}, {dtype})"
    items = [number_text(number) for number in value.reshape(-1)]
    suffix = ""
    if None in items:
        unsigned = f"uint{8 * value.real.dtype.itemsize}"  # a complex number is two of them
        items = [f"{int(bits):#x}" for bits in np.ascontiguousarray(value).reshape(-1).view(unsigned)]
        suffix, dtype = f".view({dtype})", f"np.{unsigned}"
    text = ", ".join(item for item in items if item is not None)
    reshape = f".reshape{value.shape}" if value.ndim != 1 else ""
    if len(text) < COLUMNS - 40:
        return f"np.array([{text}], {dtype}){suffix}{reshape}"
    lines = textwrap.fill(text, COLUMNS - 4, break_long_words=False, break_on_hyphens=False)
    return f"np.array([\n{textwrap.indent(lines, '    ')},\n], {dtype}){suffix}{reshape}"


def embedded_text(name: str, value: np.ndarray) -> str:
    """An expression for an array of many elements: its bytes in base 64, checked against their SHA-256 on import."""
    content = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<")).tobytes()
    head = f'"{name}", "{value.dtype.name}", {value.shape}'
    digest = hashlib.sha256(f"{value.dtype.name} {value.shape} ".encode() + content).hexdigest()
    word = base64.b64encode(content).decode()
    text = "\n".join(word[k : k + COLUMNS] for k in range(0, len(word), COLUMNS))  # textwrap takes the square of this
    return f'_constant(\n    {head},\n    "{digest}",\n    """\n{text}\n""",\n)'


def small(value: np.ndarray) -> bool:
    """Whether the array is written where it is used."""
    return value.size <= 4 and value.ndim == 1

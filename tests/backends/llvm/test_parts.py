"""Long kernels are cut into parts that share a frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.parts import NESTS, split
from gradc.loops.language.parse import parse_program

Run = Callable[..., list[np.ndarray]]


def chain(length: int) -> str:
    """Nests that add 1, between a scalar, a local buffer and a carried state made before them and used after."""
    lines = [
        "program chain",
        "input x: f64[4]",
        "input place: i64[]",
        "output y: f64[4]",
        "arena t: f64[4] at 0",
        "arena a: f64[4] at 64",
        "arena b: f64[4] at 128",
        "arena 192 bytes",
        'message 1 "index {} is out of range"',
        "",
        "begin",
        "  let early = x[0] > 0.0",
        "  let kept = x[1] * 3.0",
        "  local box: f64[2]",
        "  box[0] = x[2]",
        "  box[1] = x[3]",
        "  check place[] < 4 else 1 of place[]",
        "  for i in 0 to 4:",
        "    t[i] = x[i]",
        "    a[i] = 1.0",
        "  for s in 0 to 3 carry now, following = a, b:",
        "    for i in 0 to 4:",
        "      following[i] = now[i] * 2.0",
    ]
    for _ in range(length):
        lines += ["  for i in 0 to 4 vector:", "    t[i] = t[i] + 1.0"]
    lines += ["  for i in 0 to 4:", "    y[i] = t[i] + kept + box[1] + now[i] + select(early, 100.0, 0.0)", ""]
    return "\n".join(lines)


def test_parts_compute_what_the_whole_computes(run: Run) -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    for length in (3, 3 * NESTS):
        program = parse_program(chain(length))
        (y,) = run(program, x, np.array(3))
        np.testing.assert_array_equal(y, x + length + 6 + 4 + 8 + 100)


def test_the_status_of_a_part_is_the_kernels() -> None:
    program = parse_program(chain(3 * NESTS))
    pieces, frame = split(program)
    assert len(pieces) == 4
    assert set(frame.scalars) == {"early", "kept"}
    assert set(frame.locals) == {"box"}
    assert set(frame.carried) == {"now"}
    ir = emit(program, host())
    assert ir.count("define internal i64 @chain.part.") == 4
    assert ir.count("@llvm.umax.i64(i64") >= 4


def test_straight_line_code_is_cut_too(run: Run) -> None:
    count = 3000
    lines = ["program line", "input x: f64[]", "output y: f64[]", "", "begin", "  let v0 = x[]"]
    lines += [f"  let v{k} = v{k - 1} * 0.5 + v{max(0, k - 7)}" for k in range(1, count)]
    program = parse_program("\n".join([*lines, f"  y[] = v{count - 1}", ""]))
    values = [0.75]
    for k in range(1, count):
        values.append(values[k - 1] * 0.5 + values[max(0, k - 7)])
        if values[-1] == np.inf:
            break
    assert len(split(program)[0]) > 1
    (y,) = run(program, np.array(0.75))
    assert float(y) == values[-1]

"""Which results are computed where the donated input stands, and which in scratch memory first."""

from __future__ import annotations

import pytest

from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.loops.shaping.donate import in_place

HEAD = "program p\ninput w: f64[4,5]\ninput x: f64[4,5]\noutput y: f64[4,5]\noutput s: f64[]\nbegin\n"

DIRECT = {
    "element by element": "for i in 0 to 4:\n  for j in 0 to 5 vector:\n    y[i, j] = w[i, j] * x[i, j] + w[i, j]",
    "transposed loops": "for j in 0 to 5:\n  for i in 0 to 4:\n    y[i, j] = w[i, j] * 2.0",
    "read before": "s[] = w[0, 0]\nfor i in 0 to 4:\n  for j in 0 to 5 vector:\n    y[i, j] = x[i, j] + s[]",
    "through a let": "for i in 0 to 4:\n  for j in 0 to 5:\n    let t = w[i, j]\n    y[i, j] = t * t",
}
STAGED = {
    "read after": "for i in 0 to 4:\n  for j in 0 to 5 vector:\n    y[i, j] = x[i, j]\ns[] = w[0, 0]",
    "another element": "for i in 0 to 4:\n  for j in 0 to 5:\n    y[i, j] = w[3 - i, j]",
    "the row's first": "for i in 0 to 4:\n  let t = w[i, 0]\n  for j in 0 to 5:\n    y[i, j] = w[i, j] - t",
    "after its own write": "for i in 0 to 4:\n  for j in 0 to 5:\n    y[i, j] = x[i, j]\n    s[] = w[i, j]",
    "written twice": "for i in 0 to 4:\n  for j in 0 to 5:\n    y[i, j] = x[i, j]\n    y[i, j] = w[i, j]",
    "for a third time": "for k in 0 to 2:\n  for i in 0 to 4:\n    for j in 0 to 5:\n      y[i, j] = w[i, j] + 1.0",
    "in two loops": (
        "for i in 0 to 4:\n  for j in 0 to 5:\n    y[i, j] = 1.0\n  for k in 0 to 5:\n    y[i, k] = w[i, k]"
    ),
    "a product": "y{0; 5, 1} = contract ij,ij->ij [i=4, j=5] f64 (w{0; 5, 1}, x{0; 5, 1})\ns[] = w[1, 1]",
}


def donated(body: str):
    lines = "\n".join("  " + line for line in body.splitlines())
    return verify(in_place(parse_program(f"{HEAD}{lines}\n"), ((0, 0),)))


@pytest.mark.parametrize("case", DIRECT)
def test_a_result_of_its_own_element_is_written_where_the_input_stands(case: str) -> None:
    made = donated(DIRECT[case])
    assert made.outputs[0].place == "w"
    assert made.arena_bytes == 0
    assert " w[" not in str(made)


@pytest.mark.parametrize("case", STAGED)
def test_a_result_that_would_overwrite_what_is_read_waits_in_scratch_memory(case: str) -> None:
    made = donated(STAGED[case])
    assert made.outputs[0].place == "w"
    assert made.arena_bytes == 192
    *_, copy = str(made).splitlines()
    assert copy.strip().startswith("y[")
    assert " = y_new[" in copy


def test_a_program_with_checks_stays_as_it_is() -> None:
    text = (
        HEAD.replace("begin", 'message 1 "{} is wrong"\nbegin') + "  check w[0, 0] < 1.0 else 1 of 0\n  y[0, 0] = 1.0\n"
    )
    program = parse_program(text)
    assert in_place(program, ((0, 0),)) is program

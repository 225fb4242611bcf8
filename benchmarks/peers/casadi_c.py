"""Writes the C of value and gradient of a network by CasADi.

    casadi_c.py SX|MX tanh|sigmoid|softplus|relu|entropy inputs hidden outputs batch DIRECTORY

Prints the sizes of the work arrays. For an interpreter that has CasADi; see ``benchmarks/embedding.py``.
"""

from __future__ import annotations

import os
import sys


def main(kind: str, form: str, inputs: int, hidden: int, outputs: int, batch: int, folder: str) -> None:
    import casadi as ca

    symbol = getattr(ca, kind).sym
    w1, w2 = symbol("w1", hidden, inputs), symbol("w2", outputs, hidden)
    x, y = symbol("x", inputs, batch), symbol("y", outputs, batch)
    z = ca.mtimes(w1, x)
    activations = {
        "tanh": ca.tanh,
        "sigmoid": lambda z: 1 / (1 + ca.exp(-z)),
        "softplus": lambda z: ca.log(1 + ca.exp(z)),
        "relu": lambda z: ca.fmax(z, 0),
    }
    if form in activations:
        error = ca.mtimes(w2, activations[form](z)) - y
        value = ca.sumsqr(error) / (outputs * batch)
    else:
        y_hat = 1 / (1 + ca.exp(-ca.mtimes(w2, ca.fmax(z, 0))))
        value = -(y * ca.log(y_hat) + (1 - y) * ca.log(1 - y_hat))
    # Row by row, as C has them: a matrix of CasADi's is stored by columns.
    rows = [symbol(f"{name}_rows", *m.shape[::-1]) for name, m in (("w1", w1), ("w2", w2), ("x", x), ("y", y))]
    results = [value, ca.gradient(value, w1).T, ca.gradient(value, w2).T]
    plain = ca.Function("plain", [w1, w2, x, y], results)
    name = f"casadi_{kind.lower()}"
    taken = plain.call([m.T for m in rows], True, False)
    function = ca.Function(name, rows, taken)
    os.chdir(folder)
    function.generate(f"{name}.c", {"with_header": False})
    sys.stdout.write(" ".join(map(str, (function.sz_arg(), function.sz_res(), function.sz_iw(), function.sz_w()))))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:7]), sys.argv[7])

"""Value and gradient called from C: gradc's library beside the C that CasADi generates, compiled by the same compiler.

    python benchmarks/embedding.py [--python casadi=/path/to/python] [--rounds 200] [--most 5]

Networks in f64, from 2-2-1 (numbers, relu, sigmoid, cross entropy) to 784-256-10 for a batch of 64, with tanh, sigmoid,
softplus or relu and squares. CasADi writes C in an interpreter of its own, from scalar (SX) or matrix (MX) expressions,
whichever runs faster; it is compiled with ``cc -O3 -march=native``. One C program calls both in turn; times are the
least of the rounds, in microseconds.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import gradc

PEER = Path(__file__).parent / "peers" / "casadi_c.py"


@dataclass(frozen=True)
class Network:
    """Sizes of a network, the samples of a call, and its activation.

    ``form`` is a key of ACTIVATIONS, or "entropy", where every weight is an argument. ``scalar`` says that CasADi's
    scalar expressions are tried too.
    """

    inputs: int
    hidden: int
    outputs: int
    batch: int
    form: str = "tanh"
    scalar: bool = True

    @property
    def numbers(self) -> bool:
        return self.form == "entropy"

    def __str__(self) -> str:
        return f"{self.inputs}-{self.hidden}-{self.outputs}, {self.form}, batch {self.batch}"


NETWORKS = (
    Network(2, 2, 1, 1, "entropy"),
    Network(1, 2, 1, 1),
    Network(2, 2, 2, 2, "sigmoid"),
    Network(2, 3, 1, 1, "softplus"),
    Network(2, 4, 1, 4, "relu"),
    Network(3, 3, 1, 1, "sigmoid"),
    Network(3, 3, 2, 3, "softplus"),
    Network(3, 4, 2, 2),
    Network(3, 4, 2, 2, "sigmoid"),
    Network(3, 4, 2, 2, "relu"),
    Network(3, 5, 2, 1),
    Network(4, 4, 1, 4),
    Network(4, 5, 3, 1, "sigmoid"),
    Network(5, 5, 2, 4, "sigmoid"),
    Network(5, 4, 3, 3, "softplus"),
    Network(5, 5, 5, 1, "relu"),
    Network(4, 8, 3, 1),
    Network(8, 16, 4, 8),
    Network(32, 32, 10, 16, scalar=False),
    Network(128, 64, 10, 32, scalar=False),
    Network(784, 256, 10, 64, scalar=False),
)


ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "relu": lambda z: np.maximum(z, 0),
}


def squares(form):
    """The loss of a network with an activation, as a user writes it."""
    activation = ACTIVATIONS[form]

    def loss(w1, w2, x, y):
        return np.mean((w2 @ activation(w1 @ x) - y) ** 2)

    return loss


def entropy(w11, w12, w21, w22, v1, v2, x1, x2, y):
    z1 = w11 * x1 + w12 * x2
    z2 = w21 * x1 + w22 * x2
    a1 = np.maximum(z1, 0)
    a2 = np.maximum(z2, 0)
    z = v1 * a1 + v2 * a2
    y_hat = 1 / (1 + np.exp(-z))
    return -(y * np.log(y_hat) + (1 - y) * np.log(1 - y_hat))


ARRAYS = """
static void ours(void) {
    loss_grad(w1, w2, x, y, mine, mine + 1, mine + 1 + W1, memory + (64 - (size_t)memory % 64) % 64);
}
"""

NUMBERS = """
static void ours(void) {
    loss_grad_in in = {w1[0], w1[1], w1[2], w1[3], w2[0], w2[1], x[0], x[1], y[0]};
    loss_grad_out out;
    loss_grad(&in, &out, NULL);
    mine[0] = out.L, mine[1] = out.d_w11, mine[2] = out.d_w12, mine[3] = out.d_w21, mine[4] = out.d_w22;
    mine[5] = out.d_v1, mine[6] = out.d_v2;
}
"""

DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <math.h>
#include "loss_grad.h"
enum {{ W1 = {w1}, W2 = {w2}, X = {x}, Y = {y}, ROUNDS = {rounds} }};
{declared}
static double w1[W1], w2[W2], x[X], y[Y], mine[1 + W1 + W2], theirs[1 + W1 + W2];
static unsigned char memory[LOSS_GRAD_WORKSPACE_SIZE + 64];
static double now(void) {{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}}
{own}
{other}
typedef void (*call)(void);
static double timed(call f, long n) {{
    double start = now();
    for (long i = 0; i < n; i++) f();
    return (now() - start) / (double)n;
}}
int main(void) {{
    call calls[] = {{ {calls} }};
    enum {{ CALLS = sizeof calls / sizeof *calls }};
    double best[CALLS];
    long counts[CALLS];
    for (int i = 0; i < W1; i++) w1[i] = 0.02 * (i % 17) - 0.15;
    for (int i = 0; i < W2; i++) w2[i] = 0.03 * (i % 13) - 0.2;
    for (int i = 0; i < X; i++) x[i] = 0.1 * (i % 7) - 0.3;
    for (int i = 0; i < Y; i++) y[i] = 0.2 * (i % 3);
    for (int k = 0; k < CALLS; k++) {{
        double once = timed(calls[k], 1);
        counts[k] = once > 2e6 ? 1 : (long)(2e6 / (once + 10.0)) + 1;
        best[k] = 1e300;
    }}
    for (int round = 0; round < ROUNDS; round++)
        for (int k = 0; k < CALLS; k++) {{
            double t = timed(calls[k], counts[k]);
            if (t < best[k]) best[k] = t;
        }}
    double far = 0;
    for (int i = 0; i < 1 + W1 + W2; i++) far = fmax(far, fabs(mine[i] - theirs[i]));
    for (int k = 0; k < CALLS; k++) printf("%.17g ", best[k]);
    printf("%.17g\\n", far);
    return 0;
}}
"""

THEIRS = """
static void {name}(void) {{
    static const double *arg[{args}];
    static double *res[{results}], w[{w} + 1];
    static long long iw[{iw} + 1];
    arg[0] = w1; arg[1] = w2; arg[2] = x; arg[3] = y;
    res[0] = theirs; res[1] = theirs + 1; res[2] = theirs + 1 + W1;
    {function}(arg, res, iw, w, 0);
}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="the interpreter of casadi")
    parser.add_argument("--rounds", type=int, default=200, help="turns of each side, of some 2 ms")
    parser.add_argument("--most", type=int, help="only networks of so many hidden units")
    options = parser.parse_args()
    peers = dict(part.split("=", 1) for part in options.python)
    table = Table("network", "gradc us", "CasADi us", "ratio", "linked bytes", "workspace", "largest difference")
    for network in (n for n in NETWORKS if options.most is None or n.hidden <= options.most):
        table.add_row(str(network), *measured(network, peers.get("casadi"), options.rounds))
    Console().print(table)


def measured(network: Network, peer: str | None, rounds: int) -> list[str]:
    """The cells of a row."""
    shapes = [
        (network.hidden, network.inputs), (network.outputs, network.hidden), (network.inputs, network.batch),
        (network.outputs, network.batch),
    ]  # fmt: skip
    if network.numbers:
        kernel = gradc.value_and_grad(entropy, wrt=range(6), name="loss_grad").compile(*[gradc.aval("f64[]")] * 9)
    else:
        kernel = gradc.value_and_grad(squares(network.form), wrt=("w1", "w2"), threads=1).compile(
            *[gradc.aval(f"f64[{rows},{columns}]") for rows, columns in shapes]
        )
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        kernel.save(place, format="lib")
        objects, declared, other, calls = theirs(network, peer, place) if peer else ([], "", "", [])
        values = dict(zip(("w1", "w2", "x", "y"), (rows * columns for rows, columns in shapes), strict=True))
        text = DRIVER.format(
            **values, rounds=rounds, declared=declared, other=other,
            own=NUMBERS if network.numbers else ARRAYS, calls=", ".join(["ours", *calls])
        )  # fmt: skip
        (place / "main.c").write_text(text)
        compiler = shutil.which("cc") or "gcc"
        command = [compiler, "-O2", "-o", "main", "main.c", "libloss_grad.a", *objects, "-lm"]
        subprocess.run(command, cwd=place, check=True)
        found = subprocess.run([place / "main"], capture_output=True, text=True, check=True).stdout.split()
        times, far = [float(t) / 1000 for t in found[:-1]], float(found[-1])
        header = (place / "loss_grad.h").read_text()
        workspace = re.search(r"_WORKSPACE_SIZE +(\d+)", header)
        size = linked_bytes(place / "loss_grad.o")
    ours = times[0]
    best = min(times[1:], default=float("nan"))
    return [
        f"{ours:.3f}", f"{best:.3f}", f"{ours / best:.2f}", str(size), workspace[1] if workspace else "",
        f"{far:.1e}" if peer else "",
    ]  # fmt: skip


def theirs(network: Network, peer: str, place: Path) -> tuple[list[str], str, str, list[str]]:
    """CasADi's objects, their declarations, and the functions that call them."""
    objects, declared, other, calls = [], "", "", []
    for kind in ("SX", "MX") if network.scalar else ("MX",):
        sizes = [network.inputs, network.hidden, network.outputs, network.batch]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        asked = [peer, str(PEER), kind, network.form, *map(str, sizes), str(place)]
        done = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment)
        args, results, iw, w = done.stdout.split()
        name = f"casadi_{kind.lower()}"
        compile_it = [shutil.which("cc") or "gcc", "-O3", "-march=native", "-c", f"{name}.c", "-o", f"{name}.o"]
        subprocess.run(compile_it, cwd=place, check=True)
        objects.append(f"{name}.o")
        declared += f"int {name}(const double **arg, double **res, long long *iw, double *w, int mem);\n"
        other += THEIRS.format(name=f"call_{kind}", function=name, args=args, results=results, iw=iw, w=w)
        calls.append(f"call_{kind}")
    return objects, declared, other, calls


def linked_bytes(file: Path) -> int:
    """Code and constants of an object file: what it adds to a program."""
    listed = subprocess.run(["size", file], capture_output=True, text=True, check=True).stdout.splitlines()[1]
    return sum(int(number) for number in listed.split()[:3])


if __name__ == "__main__":
    main()

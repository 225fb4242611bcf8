"""gradc beside its peers: the same gradients in one run, as ratios, with the floor of the machine.

    python benchmarks/compare.py                                   everything that is installed
    python benchmarks/compare.py --workloads gmm,ba --peers gradc,jax
    python benchmarks/compare.py --python jax=/path/to/python --python torch=/path/to/python
    python benchmarks/compare.py --threads 2 --markdown table.md

Every tool runs in a process of its own, on the same processors, and the processes take turns, so that a slow moment of
the machine falls on all of them. With one thread, times are processor time, so that other load does not count; with
more they are the wall's. First calls and their memory are those of a process that has compiled something small before:
libraries are loaded, nothing of the workload is. Results are held against a reference in double precision: beyond 1e-4
(single) or 1e-8 (double) a cell reads WRONG. A tool in another environment is named with ``--python``.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
SETTLE = 0.4
"""Seconds between turns on several threads: those of the tool before spin for a while when they have nothing to do."""

THREAD_KNOBS = ("OMP", "OPENBLAS", "MKL", "NUMBA")


class Tool:
    """A worker process of a peer on a workload."""

    def __init__(self, workload: str, peer: str, options: argparse.Namespace, folder: Path) -> None:
        self.folder = folder / f"{workload}-{peer}"
        self.folder.mkdir()
        count = str(options.threads)
        environment = dict(os.environ, COMPARE_FOLDER=str(self.folder), JAX_PLATFORMS="cpu", JAX_ENABLE_X64="1")
        environment |= {f"{knob}_NUM_THREADS": count for knob in THREAD_KNOBS} | {"GRADC_THREADS": count}
        environment |= {"NUMBA_CACHE_DIR": str(self.folder), "PYTENSOR_FLAGS": f"base_compiledir={self.folder}"}
        environment.pop("GRADC_CACHE_DIR", None)
        if options.threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        command = [options.python.get(peer, sys.executable), str(HERE), "--worker", workload, peer, count]
        self.log = (self.folder / "log").open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, env=environment,
            start_new_session=True,
        )  # fmt: skip
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, set(sorted(os.sched_getaffinity(0))[: options.threads]))
        self.rest = b""

    def answer(self, limit: float, **command: Any) -> dict[str, Any]:
        """Send a command, if any, and wait at most ``limit`` seconds for what the worker says."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if command:
            try:
                self.process.stdin.write(json.dumps(command).encode() + b"\n")
                self.process.stdin.flush()
            except OSError:
                return {"status": "failed", "why": f"the process ended: {self.last_words()}"}
        end = time.monotonic() + limit
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return {"status": "timeout", "why": f"over {limit:.0f} s"}
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                return {"status": "failed", "why": f"the process ended: {self.last_words()}"}
            self.rest += part
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)  # type: ignore[no-any-return]

    def last_words(self) -> str:
        self.log.flush()
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"

    def stop(self) -> None:
        """End the process and the compilers that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def run(workload: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Times of all peers on one workload."""
    from peers.reference import make_reference
    from peers.workloads import WORKLOADS

    reference = folder / f"{workload}.npz"
    work = make_reference(WORKLOADS[workload], reference)
    clock = "cpu" if options.threads == 1 else "wall"
    rows: dict[str, dict[str, Any]] = {}
    live: dict[str, Tool] = {}
    try:
        for peer in options.peers:
            tool = live[peer] = Tool(workload, peer, options, folder)
            row = tool.answer(options.limit)
            if row["status"] == "ready":
                row = tool.answer(options.limit, do="build", reference=str(reference))
            rows[peer] = row
            if row["status"] == "ok":
                row.update(first=row[f"first_{clock}"], seen=[])
            else:
                live.pop(peer).stop()
            told(f"  {workload}, {peer}: {row['status']} {row.get('why', '')}")
        for turn in range(options.rounds):
            order = list(live)
            for peer in order if turn % 2 else reversed(order):
                time.sleep(SETTLE if options.threads > 1 else 0.0)
                answer = live[peer].answer(options.limit, do="time", seconds=options.seconds)
                if answer["status"] != "ok":
                    rows[peer].update(answer)
                    live.pop(peer).stop()
                    continue
                rows[peer]["seen"].append(answer[clock])
    finally:
        for tool in live.values():
            tool.stop()
    for row in rows.values():
        if row["status"] == "ok":
            row["seconds"] = statistics.median(row.pop("seen"))
    return {"peers": rows, "work": work}


def told(line: str) -> None:
    """Say on the standard error how far the run is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command's options, names resolved."""
    from peers.adapters import PEERS
    from peers.workloads import WORKLOADS

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="names, with commas between them")
    parser.add_argument("--peers", default=",".join(PEERS), help="the same")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each tool")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for any one step of a tool")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="the interpreter of a peer")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    parser.add_argument("--list", action="store_true", help="name workloads and peers, and stop")
    options = parser.parse_args(argv)
    options.python = dict(pair.split("=", 1) for pair in options.python)
    for field, known in (("workloads", WORKLOADS), ("peers", PEERS)):
        chosen = getattr(options, field).split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            parser.error(f"{unknown[0]!r} is not one of {', '.join(known)}")
        setattr(options, field, chosen)
    return options


def show(report: dict[str, Any]) -> None:
    """Print the tables, and what did not run."""
    from peers.tables import faults, tables
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, head, rows in tables(report):
        table = Table(title=title)
        for position, word in enumerate(head):
            table.add_column(word, justify="right" if position else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        Console(width=max(console.width, 150)).print(table)
    for line in faults(report):
        console.print(line, markup=False)


def main(argv: list[str]) -> int:
    if argv[:1] == ["--worker"]:
        from peers.worker import serve

        serve(argv[1], argv[2], int(argv[3]))
        return 0
    from peers.adapters import PEERS
    from peers.floors import floor, measure
    from peers.tables import markdown, tables
    from peers.workloads import WORKLOADS

    options = arguments(argv)
    if options.list:
        lines = [f"{name:18} {w.dtype.name}  {w.about}" for name, w in WORKLOADS.items()]
        sys.stdout.write("\n".join([*lines, *(f"{name:18} {peer.about}" for name, peer in PEERS.items()), ""]))
        return 0
    machine = measure(options.threads)
    report: dict[str, Any] = {"threads": options.threads, "peers": options.peers, "workloads": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.workloads:
            found = run(name, options, Path(folder))
            found["floor"] = floor(found["work"], WORKLOADS[name].dtype, machine)
            report["workloads"][name] = found
    show(report)
    if options.markdown is not None:
        pages = [f"### {title}\n\n{markdown(head, rows)}\n" for title, head, rows in tables(report)]
        options.markdown.write_text("\n".join(pages), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The report of a run as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from peers.adapters import PEERS

Report = dict[str, Any]
"""``threads``, ``workloads``: by name ``floor`` in seconds and ``peers``: by name what a worker said of itself."""

SUBJECT = "gradc"
OURS = frozenset(name for name in PEERS if name.startswith(SUBJECT))
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (0.0, "ns"))


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    scale, unit = next((scale, unit) for scale, unit in UNITS if seconds >= scale)
    return f"{seconds / (scale or 1e-9):.3g} {unit}"


def times_of(report: Report, workload: str) -> dict[str, float]:
    """Seconds a call, of the peers whose results are right."""
    rows = report["workloads"][workload]["peers"]
    return {name: row["seconds"] for name, row in rows.items() if row["status"] == "ok"}


def best_peer(times: dict[str, float]) -> tuple[str, float] | None:
    """The fastest of those that are not gradc, hand-written code included."""
    rivals = [(seconds, name) for name, seconds in times.items() if name not in OURS]
    return (min(rivals)[1], min(rivals)[0]) if rivals else None


def tables(report: Report) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Title, head and rows of each table."""
    yield _verdict(report)
    yield _each(report, "time of a call", "seconds")
    yield _each(report, "time of the first call: trace, compile, run", "first")
    yield _each(report, "peak memory of the first call over what was there before it, in MiB", "peak")


def _verdict(report: Report) -> tuple[str, list[str], list[list[str]]]:
    """gradc against the floor, and against the fastest of the others, hand-written code among them."""
    rows, ratios = [], []
    for name, found in report["workloads"].items():
        times = times_of(report, name)
        own, rival = times.get(SUBJECT), best_peer(times)
        if own is None:
            rows.append([name, _status(found["peers"].get(SUBJECT)), "", "", "", ""])
            continue
        row = [name, duration(own), f"{own / found['floor']:.1f}"]
        if rival:
            ratios.append(rival[1] / own)
            row += [rival[0], duration(rival[1]), f"{ratios[-1]:.2f}"]
        rows.append([*row, *[""] * (6 - len(row))])
    if ratios:
        ahead = f"level or ahead on {sum(r >= 1 for r in ratios)} of {len(ratios)}"
        rows.append(["geometric mean", "", "", ahead, "", f"{statistics.geometric_mean(ratios):.2f}"])
    head = ["workload", SUBJECT, "over the floor", "best peer", "its time", "over gradc's"]
    return f"a call: gradc and the best peer, {report['threads']} thread(s)", head, rows


def _each(report: Report, title: str, field: str) -> tuple[str, list[str], list[list[str]]]:
    """A field of every peer: memory as it is, seconds over gradc's."""
    peers = [peer for peer in report["peers"] if peer != SUBJECT]
    rows = []
    for name, found in report["workloads"].items():
        own = found["peers"].get(SUBJECT)
        if own is None or own["status"] != "ok":
            continue
        scale, first = (1.0, f"{own[field]:.0f}") if field == "peak" else (own[field], duration(own[field]))
        digits = 0 if field == "peak" else 2
        rows.append([name, first, *(_number(found["peers"].get(peer), field, scale, digits) for peer in peers)])
    return title if field == "peak" else f"{title}, over gradc's", ["workload", SUBJECT, *peers], rows


def _number(row: dict[str, Any] | None, field: str, scale: float, digits: int) -> str:
    return f"{row[field] / scale:.{digits}f}" if row is not None and row["status"] == "ok" else _status(row)


def _status(row: dict[str, Any] | None) -> str:
    """Why there is no number."""
    if row is None:
        return ""
    return {"missing": "-", "unavailable": "-", "wrong": "WRONG", "timeout": "t/o"}.get(row["status"], row["status"])


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def faults(report: Report) -> list[str]:
    """What did not run, and why."""
    return [
        f"{name}, {peer}: {row['status']}: {row.get('why', '')}"
        for name, found in report["workloads"].items()
        for peer, row in found["peers"].items()
        if row["status"] in ("failed", "wrong", "timeout")
    ]

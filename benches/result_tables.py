"""Render the stored results of the benchmarks as the tables of docs/benchmarks.md, for `tools/generate.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benches.measure import RESULTS

MARK = "figures of its own"
TITLES = {
    "startup": "Start-up: CPU time against that of `python -c pass`",
    "native_engine": "The native engine by itself",
    "two_cores": "The native engine on two cores against one",
    "scenarios": "Scenarios: a journey of three steps, native engine",
    "soak": "20 million requests",
    "long_run": "A run of 24 hours with 50 endpoints",
    "asyncio_engine": "The asyncio engine: CPU time for each request against that of wrk, and of a bare loop",
    "python_code": "Scenarios in Python and locustfiles: a journey of three steps, asyncio engine",
    "storage": "Storage: SQLite, 100,000 runs, wall time",
    "control_plane": "The Control API: one worker, SQLite, 100,000 runs, wall time seen by a client",
}


def tables() -> str:
    """Return the text between the marks: a table for each benchmark with results."""
    parts = []
    for bench, title in TITLES.items():
        path = RESULTS / f"{bench}.json"
        if not path.exists():
            parts.append(f"### {title}\n\nNot measured yet: `make bench-{bench}`.\n")
            continue
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = "".join(_line(row) for row in document["rows"])
        place = f"[raw output](../benches/results/{path.name})"
        machine = document["machine"]
        on = f"{document['measured_at'][:10]}, {machine['processor']}, {machine['cores']} cores, {machine['system']}"
        head = "| measure | figure | bar | |\n|---|---|---|---|\n"
        parts.append(f"### {title}\n\n`make bench-{bench}`: {on}; {place}.\n\n{head}{rows}")
    return "\n" + "\n".join(parts) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    if "ratio" in row:
        figure = f"{row['ratio']:.2f} × ({row['lowest']:.2f}–{row['highest']:.2f})"
        bar = f"≤ {row['bar']:g} ×"
    elif "p95_ms" in row:
        figure = f"p50 {row['p50_ms']:.1f}, p95 {row['p95_ms']:.1f}, most {row['highest_ms']:.1f} ms"
        bar = f"p95 ≤ {row['bar_ms']:g} ms"
    else:
        unit = f" {row['unit']}" if row["unit"] else ""
        figure = f"{_rounded(row['value'])}{unit}"
        bar = "" if row["bar"] is None else f"≤ {row['bar']:,g}{unit}"
    verdict = "" if not bar else "reached" if row["holds"] else "**missed**"
    return f"| {row['name']} | {figure} | {bar} | {verdict} |\n"


def _rounded(value: float) -> str:
    """Format with three significant digits; from 1000 as an integer."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"

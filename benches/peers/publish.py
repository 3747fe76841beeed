"""Publish the newest stored document: the generated part of docs/benchmarks.md and its picture.

`tools/generate.py` renders both, so `make lint` detects docs that differ from the measurement.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benches.measure import RESULTS, ROOT
from benches.peers.plot import svg
from benches.peers.table import markdown

PAGE = "docs/benchmarks.md"
PICTURE = "docs/benchmarks-peers.svg"
MARK = "figures of the peers"
_NOTHING_YET = (
    "Nothing has been measured yet: `make bench-peers`, then `.venv/bin/python -m benches.peers --publish`.\n"
)


def newest() -> Path | None:
    """Return the newest document in benches/results/, by the date in its name."""
    found = sorted(RESULTS.glob("peers-*.json"))
    return found[-1] if found else None


def load(path: Path) -> dict[str, Any]:
    """Read a stored document."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def keep(path: Path) -> Path:
    """Copy a document to benches/results/, named after the date of its measurement."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    place = RESULTS / f"peers-{load(path)['measured_at'][:10]}.json"
    if path.resolve() != place.resolve():
        shutil.copyfile(path, place)
    return place


def figures_block() -> str:
    """Return the text between the marks in docs/benchmarks.md."""
    path = newest()
    if path is None:
        return _NOTHING_YET
    picture = f"![CPU seconds per 100,000 requests of every client]({Path(PICTURE).name})"
    raw = f"Raw output, commands included: [`{path.relative_to(ROOT)}`](../{path.relative_to(ROOT)})."
    return f"{picture}\n\n{raw}\n\n{markdown(load(path))}"


def picture() -> str:
    """Return the text of the SVG. Raises LookupError without a document."""
    path = newest()
    if path is None:
        raise LookupError("nothing has been measured yet")
    return svg(load(path))

"""From the newest kept document to the docs: the generated part of docs/benchmarks.md and its picture.

`tools/generate.py` renders both from here, so `make lint` finds docs that are not what was measured.
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
    """The newest document in benches/results/, by the date in its name."""
    found = sorted(RESULTS.glob("peers-*.json"))
    return found[-1] if found else None


def load(path: Path) -> dict[str, Any]:
    """A kept document."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def keep(path: Path) -> Path:
    """Copy a document from elsewhere to its place in benches/results/, named after the day it was measured."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    place = RESULTS / f"peers-{load(path)['measured_at'][:10]}.json"
    if path.resolve() != place.resolve():
        shutil.copyfile(path, place)
    return place


def figures_block() -> str:
    """What stands between the marks in docs/benchmarks.md."""
    path = newest()
    if path is None:
        return _NOTHING_YET
    picture = f"![CPU seconds per 100,000 requests of every client]({Path(PICTURE).name})"
    raw = f"Raw output, commands included: [`{path.relative_to(ROOT)}`](../{path.relative_to(ROOT)})."
    return f"{picture}\n\n{raw}\n\n{markdown(load(path))}"


def picture() -> str:
    """The text of the SVG. Raises LookupError where nothing has been measured."""
    path = newest()
    if path is None:
        raise LookupError("nothing has been measured yet")
    return svg(load(path))

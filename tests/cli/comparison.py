"""Whole outputs, compared with files beside the tests. `ATM_UPDATE_SNAPSHOTS=1 pytest tests/cli` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"


def assert_snapshot(name: str, text: str) -> None:
    """Fail with a diff where `text` is not what `snapshots/name` holds."""
    path = FOLDER / name
    if os.environ.get("ATM_UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"not as in {path.name}; look at both, then update the snapshot"

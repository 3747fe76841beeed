"""Cases that several languages share: each file says in `about` what it holds, and every implementation is held to it.

Python reads them here, Rust by `include_str!` in the unit tests of `loadgen`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def vectors(name: str) -> Any:
    """The cases of `tests/vectors/NAME.json`."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))

"""The random numbers of the user that runs: they repeat with the seed of the run."""

from __future__ import annotations

import random

from greenlet import getcurrent


def chance() -> random.Random:
    """Return the generator of the user whose greenlet runs, or else the one of the process."""
    generator: random.Random | None = getattr(getcurrent(), "random", None)
    return generator or _of_process


_of_process = random.Random()

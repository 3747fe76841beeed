"""How the interpreter is set while load runs: quick thread switches, and no garbage collection over old objects."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_INTERVAL = 0.0002
"""Seconds; another thread (the live view) gives the interpreter back after this long, instead of 5 ms."""

# A run's objects die by their reference counts; collecting is for the rare cycle (an exception and its frame). Ten
# thousand objects are looked through in under a millisecond, and what was there before the run is never looked at.
_YOUNG_OBJECTS = 10_000

_lock = threading.Lock()
_runs = 0
_before: tuple[float, tuple[int, int, int]] = (0.0, (0, 0, 0))


@contextmanager
def tuned_interpreter() -> Iterator[None]:
    """Keep the interpreter tuned for a run; the settings are those of the whole process, so runs share them."""
    global _runs, _before  # noqa: PLW0603  # the interpreter's settings are global themselves
    with _lock:
        _runs += 1
        if _runs == 1:
            _before = (sys.getswitchinterval(), gc.get_threshold())
            sys.setswitchinterval(SWITCH_INTERVAL)
            gc.freeze()
            gc.set_threshold(_YOUNG_OBJECTS, 50, 1_000)
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if _runs == 0:
                sys.setswitchinterval(_before[0])
                gc.set_threshold(*_before[1])
                gc.unfreeze()

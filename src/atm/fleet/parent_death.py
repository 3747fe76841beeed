"""A signal to this process when its parent dies, also if this process cannot read the end of its pipe. Linux only."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def signal_at_parents_death(number: signal.Signals) -> None:
    """Ask the kernel for a signal when the thread that started this process ends, as at the death of its process.

    Elsewhere than on Linux, or where the kernel refuses, nothing happens. A parent that has died already sends none.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)

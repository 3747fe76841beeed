"""The signals that end a foreground command like Ctrl-C."""

from __future__ import annotations

import signal


def ending_signals() -> list[signal.Signals]:
    """Return SIGINT, SIGTERM and, unless ignored (`nohup`), SIGHUP."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    return numbers

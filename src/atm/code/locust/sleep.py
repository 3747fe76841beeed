"""`time.sleep` in a process that runs a locustfile: a user that sleeps lets the others run."""

from __future__ import annotations

import time

from atm.code.locust.switch import in_user, pause

_original = time.sleep


def sleep(seconds: float) -> None:
    """Sleep: in a user's code on the event loop, everywhere else as ever."""
    if in_user():
        pause(seconds)
    else:
        _original(seconds)


def replace_sleep() -> None:
    """Let `time.sleep` yield in the code of users from now on."""
    time.sleep = sleep  # type: ignore[assignment]

"""Describe an exception of code: in one line to group by, and as a traceback that begins in the user's file."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from atm.code.module import last_line
from atm.code.user import IterationFailedError
from atm.models.sanitize import printable

_LONGEST_MESSAGE = 200
_LONGEST_TRACEBACK = 8_000
_MOST_FRAMES = 20


def described(error: BaseException, path: Path, wants_traceback: Callable[[str], bool]) -> tuple[str, str]:
    """Return `ValueError: no stock (shop.py:12)`, and the traceback if it is wanted for this message."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, IterationFailedError):
        message = text
    else:
        kind = type(error).__name__
        message = f"{kind}: {text}" if text else kind
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 1] + "…"
    line = last_line(error.__traceback__, path)
    message = printable(f"{message} ({path.name}:{line})" if line else message)
    return message, _traceback(error, path) if wants_traceback(message) else ""


def _traceback(error: BaseException, path: Path) -> str:
    """Return the traceback from the first frame in the user's file on."""
    inner = error.__traceback__
    while inner is not None and inner.tb_frame.f_code.co_filename != str(path):
        inner = inner.tb_next
    lines = traceback.format_exception(type(error), error, inner or error.__traceback__, limit=_MOST_FRAMES)
    return printable("".join(lines)[-_LONGEST_TRACEBACK:], layout=True)

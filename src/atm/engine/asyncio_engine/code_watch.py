"""Watch the load's thread while code runs on it: name calls that block it, and end a run that it blocks for good."""

from __future__ import annotations

import ctypes
import linecache
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic_ns
from types import FrameType

from atm.dataclass import dataclass

POLL_SECONDS = 0.02
BLOCKED_NS = 100_000_000
"""A step of the code that takes longer is reported as blocking."""
_LONGEST_SOURCE = 100
GIVE_UP_SECONDS = 1.0
"""After a command, code that blocks the loop for this long is given up."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where code blocks."""

    function: str
    """The outermost function of the file: that of the scenario."""
    text: str
    """`checkout (shop.py:12): time.sleep(1)`."""


class CodeBlockedError(BaseException):
    """Raised in code that blocks the loop when the run must end; nothing but the thread's end catches it."""


class CodeWatch(threading.Thread):
    """Samples the stack of the load's thread whenever its loop has not turned for some time."""

    def __init__(self, thread: int, files: Sequence[Path], heartbeat: Callable[[], int]) -> None:
        """`heartbeat` returns when the loop turned last (ns of the monotonic clock)."""
        super().__init__(name="atm-code-watch", daemon=True)
        self._thread = thread
        self._files = frozenset(str(path) for path in files)
        self._heartbeat = heartbeat
        self._ended = threading.Event()
        self.report: Callable[[Place, int], None] = _ignored
        """Called with the place and the length (ns) of each blocking call, on this thread."""

    def run(self) -> None:
        """Watch until `end`."""
        beat, place = 0, None
        while not self._ended.wait(POLL_SECONDS):
            now, seen = monotonic_ns(), self._heartbeat()
            if seen != beat and place is not None:
                self.report(place, max(seen - beat, 0))
                place = None
            beat = seen
            if place is None and beat and now - beat > BLOCKED_NS:
                place = self.place()

    def end(self) -> None:
        """End watching."""
        self._ended.set()

    def place(self) -> Place | None:
        """Return where the thread is now; None outside of the code."""
        frame: FrameType | None = sys._current_frames().get(self._thread)
        innermost: FrameType | None = None
        line = 0
        outermost = ""
        while frame is not None:
            if frame.f_code.co_filename in self._files:
                if innermost is None:
                    innermost, line = frame, frame.f_lineno
                outermost = frame.f_code.co_name
            frame = frame.f_back
        if innermost is None:
            return None
        code = innermost.f_code
        source = linecache.getline(code.co_filename, line).strip()[:_LONGEST_SOURCE]
        where = f"{code.co_name} ({Path(code.co_filename).name}:{line})"
        return Place(outermost, f"{where}: {source}" if source else where)

    def interrupt(self) -> None:
        """Raise CodeBlockedError in the thread: it ends Python code, but no call into C."""
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(CodeBlockedError))


def _ignored(_place: Place, _duration: int) -> None:
    """Ignore a report."""

"""Control pipe: `stop` and `cancel` commands, one per line, sent to a run's process by its parent.

Imports nothing slow, so that a process reads commands soon after it starts.
"""

from __future__ import annotations

import os


class CommandInput:
    """Read lines from a descriptor. (A thread blocked in `sys.stdin` would keep the interpreter from exiting.)"""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()

    def line(self) -> bytes:
        """Return the next line with its line feed; empty at the end of the input."""
        while b"\n" not in self._buffer:
            data = os.read(self._descriptor, 1 << 20)
            if not data:
                return b""
            self._buffer += data
        end = self._buffer.index(b"\n") + 1
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        return line

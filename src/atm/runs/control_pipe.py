"""Words by pipe: `stop` and `cancel`, a line each, from whoever started a process of a run to that process.

Nothing here imports anything that takes time: who starts soon listens soon.
"""

from __future__ import annotations

import os


class CommandInput:
    """The lines of a descriptor. (A thread that waits in `sys.stdin` would keep the interpreter from ending.)"""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._pieces = bytearray()

    def line(self) -> bytes:
        """The next line with its line feed; empty when the input has ended."""
        while b"\n" not in self._pieces:
            piece = os.read(self._descriptor, 1 << 20)
            if not piece:
                return b""
            self._pieces += piece
        end = self._pieces.index(b"\n") + 1
        line = bytes(self._pieces[:end])
        del self._pieces[:end]
        return line

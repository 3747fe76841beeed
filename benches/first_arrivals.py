"""A target that takes the kernel's time of the first request of each connection, which no busy program delays.

Requests say their number in the path: `/7`.
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import Self

_TIMESTAMPS = 35
"""SO_TIMESTAMPNS of Linux, also the kind of the control message; Python has no name for it."""
_TIME = struct.Struct("@ll")
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class FirstArrivals:
    """Context manager of a server on 127.0.0.1."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        # Connections inherit it.
        self._listener.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        self._times_ns: dict[int, int] = {}

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def taken(self) -> dict[int, int]:
        """Return when the first request of each connection arrived, in ns, by its number, and forget them."""
        times, self._times_ns = self._times_ns, {}
        return times

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        is_first = True
        with connection:
            while True:
                request, notes, _, _ = connection.recvmsg(65_536, 256)
                if not request:
                    return
                if is_first:
                    [seconds, ns] = next(_TIME.unpack(data) for _, kind, data in notes if kind == _TIMESTAMPS)
                    self._times_ns[int(request.split()[1][1:])] = seconds * 1_000_000_000 + ns
                    is_first = False
                connection.sendall(_RESPONSE)

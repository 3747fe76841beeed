"""Find the process that listens on a TCP port of this machine through `/proc`, for error messages."""

from __future__ import annotations

import os
from pathlib import Path

from atm.dataclass import dataclass

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class PortOwner:
    """A process that listens on a port."""

    pid: int
    name: str


def port_owner(port: int) -> PortOwner | None:
    """Return the process that listens on `port`, or None if unknown (another user's, no `/proc`)."""
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _inodes(table, port)}
    if not sockets:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process, sockets):
            try:
                return PortOwner(int(process.name), (process / "comm").read_text().strip())
            except OSError:  # It ended meanwhile.
                return None
    return None


def _inodes(table: str, port: int) -> list[str]:
    try:
        lines = Path("/proc/net", table).read_text().splitlines()[1:]
    except OSError:  # No /proc on this system.
        return []
    rows = (line.split() for line in lines)
    return [row[9] for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port]


def _holds(process: Path, sockets: set[str]) -> bool:
    try:
        return any(os.readlink(entry) in sockets for entry in (process / "fd").iterdir())
    except OSError:  # Another user's process, or one that ended meanwhile.
        return False

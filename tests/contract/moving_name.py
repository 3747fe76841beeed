"""An engine whose target, or its proxy, moves to another address while load runs; the name stays.

Run where /etc/hosts can be another file: unshare --user --map-root-user --mount python -m tests.contract.moving_name
ENGINE origin|proxy. Writes what `tests.contract.child` writes.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from atm.engine.base import Control
from atm.plan.connections import Connections, Origin, Proxy
from atm.testing import TargetServer
from tests.contract.child import run_here
from tests.contract.plans import ANY_STATUS, closed, plan, step

NAME = "moving.test"
IN_A_MOUNT_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
BEFORE = 10
"""Requests at the first address, at least."""


def move(target: TargetServer, second: socket.socket, hosts: Path, control: Control) -> None:
    """Wait for load at the first address, give the name the second one, and stop at the first connection there."""
    while target.stats().received < BEFORE:
        time.sleep(0.01)
    # In one write over the old line, so that every lookup finds one of the two addresses.
    with hosts.open("r+") as file:
        file.write(f"127.0.0.2 {NAME}\n")
    second.accept()[0].close()
    control.stop()


def main(engine: str, what_moves: str) -> None:
    with tempfile.NamedTemporaryFile() as file, TargetServer() as target, socket.socket() as second:
        hosts = Path(file.name)
        hosts.write_text(f"127.0.0.1 {NAME}\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        second.bind(("127.0.0.2", target.port))
        second.listen()
        control = Control()
        threading.Thread(target=move, args=(target, second, hosts, control), daemon=True).start()
        place = Origin("http", NAME, target.port, addresses=("127.0.0.1",))
        # Only the proxy knows the names behind it.
        origin = place if what_moves == "origin" else Origin("http", "behind.invalid", 80)
        connections = Connections(
            resolve_every_ns=30_000_000, keep_alive=False, proxy=None if what_moves == "origin" else Proxy(place)
        )
        one = step("/fixed", expected=ANY_STATUS, timeout=600)
        made = plan(origin, one, load=closed(1, max_rate=200), duration=600, connections=connections)
        run_here(engine, made, control)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""An engine on a machine with eight local ports and nothing but a loopback interface.

Run in a network of its own: unshare --user --map-root-user --net python -m tests.contract.few_ports ENGINE. Writes what
`tests.contract.child` writes.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from pathlib import Path

from atm.testing import TargetServer
from tests.contract.child import run_here
from tests.contract.plans import closed, http, plan, step

PORTS = 8
USERS = 20
IN_A_NETWORK_OF_ITS_OWN = ("unshare", "--user", "--map-root-user", "--net")
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def loopback_up() -> None:
    """What `ip link set lo up` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def main(name: str) -> None:
    loopback_up()
    with TargetServer() as target:
        # Only now: a target server looks for a port that no client will be given.
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"40000 {40000 + PORTS - 1}\n")
        run_here(name, plan(http(target), step("/delay/50"), load=closed(USERS), duration=0.3))


if __name__ == "__main__":
    main(sys.argv[1])

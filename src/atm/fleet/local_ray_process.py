"""A Ray of one node that ends with the process that started it: it runs until standard input ends.

All of it listens on 127.0.0.1 and demands the token in its environment. `ray stop` would end every Ray of this user on
the machine, so the process group is ended instead; Ray's own processes follow the one that started them.

Usage: python -m atm.fleet.local_ray_process PORT CORES DIRECTORY (started by ray_local)
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading

from atm import child_process

_PATIENCE_SECONDS = 10
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
"""The least that Ray accepts is 75 MiB; messages are the only objects."""


def arguments_of_ray(port: int, cores: int, directory: str) -> list[str]:
    """Return the arguments of `ray` with which it starts and stays in the foreground."""
    return [
        *("start", "--head", "--block", "--disable-usage-stats"),
        *("--node-ip-address=127.0.0.1", "--port=0", f"--ray-client-server-port={port}", "--include-dashboard=false"),
        *(f"--num-cpus={cores}", f"--object-store-memory={_OBJECT_STORE_BYTES}", f"--temp-dir={directory}"),
    ]


def main(arguments: list[str]) -> int:
    """Run Ray until standard input ends or Ray does; its directory is removed."""
    port, cores, directory = int(arguments[0]), int(arguments[1]), arguments[2]
    ray = child_process.start(
        "ray.scripts.scripts",
        *arguments_of_ray(port, cores, directory),
        variables=os.environ,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )

    def end_ray() -> None:
        sys.stdin.buffer.read()
        ray.terminate()
        try:
            ray.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(ray.pid, signal.SIGKILL)

    threading.Thread(target=end_ray, daemon=True).start()
    try:
        return ray.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

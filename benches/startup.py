"""Measure start-up: CPU time of short commands compared with `python -c pass` and `python -c "import asyncio"`.

`atm run` is measured until it ends, without the process that stores the run afterwards.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from atm.testing import TargetServer
from benches.measure import (
    BIN,
    ROOT,
    MeasurementError,
    against,
    cpu_seconds,
    cpu_seconds_so_far,
    interleaved,
    keep,
    table,
)

ATM = BIN / "atm"
ROUNDS = 15
BASELINE = "python -c pass"
FELT_BASELINE = 'python -c "import asyncio"'
FELT_BARS = {
    "atm --help": 3.0,
    "atm list": 6.0,
    "atm status last": 6.0,
    "atm show last": 6.0,
    "atm run URL -n 64, with its history": 8.0,
    "atm serve, until it listens, and its end": 20.0,
}
BARS = {"atm --version": 2.0, "atm --help": 12.0, "atm run URL, to its first request": 18.0}

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
_PATIENCE_SECONDS = 20.0


def until_first_request() -> float:
    """Return the CPU time of `atm run URL` when the first bytes of its first request arrive at the server."""
    # These runs must not appear in the user's history.
    with tempfile.TemporaryDirectory(prefix="atm-startup-") as folder, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_PATIENCE_SECONDS)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        command = [str(ATM), "run", url, "--requests", "1", "--concurrency", "1", "--quiet"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "ATM_DATA_DIR": folder},
        )
        with process:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(_PATIENCE_SECONDS)
                    request = connection.recv(65536)
                    seconds = cpu_seconds_so_far(process.pid)
                    connection.sendall(_ANSWER)
                    _, said = process.communicate(timeout=_PATIENCE_SECONDS)
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                process.kill()
                raise MeasurementError(f"atm run {url} neither sent a request nor ended in time") from error
    if not request.startswith(b"GET / HTTP/1.1\r\n") or process.returncode != 0:
        raise MeasurementError(f"atm run ended with {process.returncode}, sent {request[:60]!r}: {said.strip()[-400:]}")
    return seconds


def main() -> int:
    if sys.platform != "linux":
        print("error: this benchmark reads the CPU clock of another process, which only Linux has", file=sys.stderr)
        return 2
    print(f"startup: {ROUNDS} rounds, median of the ratios within each")
    try:
        with tempfile.TemporaryDirectory(prefix="atm-startup-") as folder, TargetServer() as target:
            samples = interleaved(subjects(folder, target.url), ROUNDS)
            # The last history process ends before its directory is removed.
            cpu_seconds([ATM, "list"], folder)
    except (MeasurementError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = against(samples, BASELINE, BARS)
    felt = against(samples, FELT_BASELINE, FELT_BARS)
    print(table(rows, BASELINE))
    print(table(felt, FELT_BASELINE))
    # Row names are unique: those of the other baseline include it.
    rows += [replace(row, name=f"{row.name}, against {FELT_BASELINE}") for row in felt]
    print(f"samples: {keep('startup', samples, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


def subjects(folder: str, url: str) -> dict[str, Callable[[], float]]:
    """Return the measured commands by name; they use the history in `folder`."""

    def of(*command: str | Path) -> Callable[[], float]:
        return lambda: cpu_seconds(command, folder)

    run = of(ATM, "run", url, "-n", "64", "--quiet", "--no-fail")
    run()
    return {
        BASELINE: of(BIN / "python", "-c", "pass"),
        FELT_BASELINE: of(BIN / "python", "-c", "import asyncio"),
        "atm --version": of(ATM, "--version"),
        "atm --help": of(ATM, "--help"),
        "atm run URL, to its first request": until_first_request,
        "atm run URL -n 64, with its history": run,
        "atm list": of(ATM, "list"),
        "atm status last": of(ATM, "status", "last"),
        "atm show last": of(ATM, "show", "last"),
        # Its standard input is at its end, so it ends when it listens.
        "atm serve, until it listens, and its end": of("sh", "-c", f": | {ATM} serve --port 0 --for-parent"),
    }


if __name__ == "__main__":
    sys.exit(main())

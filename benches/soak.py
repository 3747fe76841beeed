"""Measure memory over a long run: 20 million requests (20 minutes at 16,667 requests/s), sent as fast as possible.

`atm run` runs on one core, nginx on another; writing the history at the end is included. The kernel reports the memory
during the run, and the benchmark compares it after one million requests with that after all.
Other lengths: python -m benches.soak MILLIONS
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from atm.engine.native_engine import load_native_engine
from benches.measure import BIN, ROOT, Figure, MeasurementError, figures, keep
from benches.nginx import Nginx

CLIENT_CORE, SERVER_CORE = 0, 1
MILLIONS = 20
MOST_GROWTH_MEGABYTES = 5
MOST_MEGABYTES = 90
_EVERY_SECONDS = 0.5
_PATIENCE_SECONDS = 3600


def main(millions: int = MILLIONS) -> int:
    if sys.platform != "linux" or load_native_engine() is None:
        print("error: this benchmark needs Linux and the native engine (`atm doctor` says why it is not there)")
        return 2
    print(f"soak: {millions} million requests, some minutes")
    with Nginx(SERVER_CORE) as nginx:
        try:
            marks, peak = memory_during(nginx, millions * 1_000_000)
        except (MeasurementError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    first, last = marks[0], marks[-1]
    rows = [
        Figure("requests", last.requests / 1e6, "million"),
        Figure("took", last.seconds, "s"),
        Figure(f"memory after {first.requests / 1e6:.2f} million", first.memory_bytes / 1e6, "MB"),
        Figure("memory before the last ones", last.memory_bytes / 1e6, "MB"),
        Figure("growth", (last.memory_bytes - first.memory_bytes) / 1e6, "MB", MOST_GROWTH_MEGABYTES),
        Figure("peak memory, history and report included", peak / 1e6, "MB", MOST_MEGABYTES),
    ]
    print(figures(rows))
    samples = {f"{mark.requests / 1e6:.2f} million: MB": [mark.memory_bytes / 1e6] for mark in marks}
    print(f"samples: {keep('soak', samples, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


@dataclass(frozen=True, slots=True)
class Mark:
    """Memory after a number of requests, and the time."""

    requests: int
    memory_bytes: int
    seconds: float


def memory_during(nginx: Nginx, total: int) -> tuple[list[Mark], int]:
    """Return the memory after each twentieth of the requests and before the last ones, and the peak in bytes."""
    with tempfile.TemporaryDirectory(prefix="atm-soak-") as folder, (Path(folder) / "result.json").open("w+b") as said:
        url = f"http://127.0.0.1:{nginx.port}/users/4711?page=1"
        options = ("--requests", str(total), "--concurrency", "64", "--engine", "native")
        command = ["taskset", "-c", str(CLIENT_CORE), str(BIN / "atm"), "run", url, *options, "--json", "--quiet"]
        environment = {"ATM_DATA_DIR": folder, "PATH": "/usr/bin:/bin"}
        start = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            marks, last, peak = list[Mark](), Mark(0, 0, 0.0), 0
            while process.poll() is None:
                if time.monotonic() - start > _PATIENCE_SECONDS:
                    raise MeasurementError(f"{total:,} requests took longer than {_PATIENCE_SECONDS} s")
                time.sleep(_EVERY_SECONDS)
                memory, requests = resident_bytes(process.pid), nginx.requests()
                peak = max(peak, memory or 0)
                # After the last request, memory belongs to the report.
                if memory is not None and requests < total:
                    last = Mark(requests, memory, time.monotonic() - start)
                    if requests >= (len(marks) + 1) * total // 20:
                        marks.append(last)
        finally:
            process.kill()
            process.wait()
        if process.returncode not in (0, 4) or not marks:  # 4: the measurement was judged invalid
            said.seek(0)
            raise MeasurementError(f"atm run ended with {process.returncode}: {said.read()[-400:]!r}")
    return [*marks, last], peak


def resident_bytes(pid: int) -> int | None:
    """Return the current memory of a process, or None if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), None)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

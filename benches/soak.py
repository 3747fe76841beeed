"""Memory over a long run: 20 million requests, what 20 minutes at 16,667 requests/s are, as fast as they go.

The whole command line on one core, nginx on another, without writing the run to the history at its end. Memory is read
from the kernel while the run goes on; what is compared is how much there is after one million requests, and after all.
Other lengths: python -m benches.soak MILLIONS
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
            marks = list(memory_after(nginx, millions))
        except (MeasurementError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    # The million whose end was not seen, as requests went by too fast, is in the next.
    (first_requests, first, _), (requests, last, seconds) = marks[0], marks[-1]
    rows = [
        Figure("requests", requests / 1e6, "million"),
        Figure("took", seconds, "s"),
        Figure(f"memory after {first_requests / 1e6:.1f} million", first / 1e6, "MB"),
        Figure("memory at the end", last / 1e6, "MB"),
        Figure("growth", (last - first) / 1e6, "MB", MOST_GROWTH_MEGABYTES),
        Figure("peak memory", max(memory for _, memory, _ in marks) / 1e6, "MB", MOST_MEGABYTES),
    ]
    print(figures(rows))
    samples = {f"{done / 1e6:.1f} million: MB": [memory / 1e6] for done, memory, _ in marks}
    print(f"samples: {keep('soak', samples, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


def memory_after(nginx: Nginx, millions: int) -> Iterator[tuple[int, int, float]]:
    """(requests so far, bytes of memory, seconds) at the end of each million, and at the end of all."""
    with tempfile.TemporaryDirectory(prefix="atm-soak-") as folder, (Path(folder) / "result.json").open("w+b") as said:
        url = f"http://127.0.0.1:{nginx.port}/users/4711?page=1"
        options = ("--requests", str(millions * 1_000_000), "--concurrency", "64", "--engine", "native")
        command = [
            "taskset",
            "-c",
            str(CLIENT_CORE),
            str(BIN / "atm"),
            "run",
            url,
            *options,
            "--json",
            "--quiet",
            "--no-history",
        ]
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            env={"ATM_DATA_DIR": folder, "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            mark, last = 1_000_000, None
            while process.poll() is None:
                if time.monotonic() - start > _PATIENCE_SECONDS:
                    raise MeasurementError(f"{millions} million requests took longer than {_PATIENCE_SECONDS} s")
                time.sleep(_EVERY_SECONDS)
                memory = resident_bytes(process.pid)
                if memory is None:
                    continue
                last = (nginx.requests(), memory, time.monotonic() - start)
                if last[0] >= mark:
                    yield last
                    mark = (last[0] // 1_000_000 + 1) * 1_000_000
            if process.returncode not in (0, 4) or last is None:  # 4: the measurement was judged invalid
                said.seek(0)
                raise MeasurementError(f"atm run ended with {process.returncode}: {said.read()[-400:]!r}")
            yield last
        finally:
            process.kill()
            process.wait()


def resident_bytes(pid: int) -> int | None:
    """The memory of a process now; None when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), None)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

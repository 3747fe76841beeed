"""A real Ray cluster of three nodes, in processes of its own, for all tests of a process."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from atm import child_process
from atm.fleet.ray_local import loopback_environment
from atm.models.ray_address import RayAddress

MISSING = "no Ray here to test with: sh tools/ray.sh .venv/.ray-installed (`make test` does it by itself)"


def is_installed() -> bool:
    return importlib.util.find_spec("ray") is not None


class RayCluster:
    """The cluster. It demands `token`, which is in the environment of this process from then on, as a user has it."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(32)
        os.environ["RAY_AUTH_TOKEN"] = self.token
        self._folder = tempfile.mkdtemp(prefix="atm-ray-", dir="/tmp")
        variables = {
            **child_process.environment(),
            **loopback_environment(self.token),
            "RAY_TMPDIR": self._folder,
            # Five of these without an answer, and Ray gives a node up: in 5 seconds in place of 15.
            "RAY_health_check_period_ms": "1000",
        }
        self._log = (Path(self._folder) / "cluster.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fleet.ray_cluster_process"],
            env={**variables, "PYTHONSAFEPATH": ""},
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        description = json.loads(self._line() or self._log_text())
        self.address = RayAddress("127.0.0.1", description["port"])
        self.session_directory = Path(description["session"])
        self._head: int = description["head"]

    def away_from_head(self, workers: list[int]) -> int:
        """Return the index of the first of these workers that is not on the head, which must stay."""
        return next(index for index, worker in enumerate(workers) if parent(parent(worker)) != self._head)

    def remove_node_of(self, worker: int) -> None:
        """Remove the node on which a worker process runs, without warning."""
        self._command(f"remove {parent(parent(worker))}")

    def replace_node(self, raylet: int) -> None:
        """Remove a node by its process, which may have ended, and add another one."""
        self._command(f"remove {raylet}")
        self.add_node()

    def processes_of_node(self, worker: int) -> list[int]:
        """Return the processes of the node on which a worker process runs."""
        raylet = parent(parent(worker))
        return [raylet, *descendants(raylet)]

    def remove_newest_node(self) -> None:
        """Have the newest node leave the cluster."""
        self._command("remove")

    def add_node(self, imports_from: Path | None = None) -> None:
        self._command(f"add {imports_from or ''}")

    def processes(self) -> list[int]:
        """All processes of the cluster."""
        return descendants(self.process.pid)

    def workers(self) -> list[int]:
        """The worker processes on all nodes."""
        found = []
        for pid in self.processes():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"atm.fleet.worker_process" in command:
                found.append(pid)
        return found

    def logs_with(self, text: str) -> list[Path]:
        """The files of Ray that contain a text."""
        files = [path for path in self.session_directory.rglob("*") if path.is_file()]
        assert any(path.name == "gcs_server.out" for path in files)
        return [path for path in files if text.encode() in path.read_bytes()]

    def close(self) -> None:
        with self.process:  # closes its pipes and waits
            assert self.process.stdin is not None
            self.process.stdin.write(b"end\n")
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _command(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()
        assert self._line() == "done\n", self._log_text()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode()

    def _log_text(self) -> str:
        raise RuntimeError((Path(self._folder) / "cluster.log").read_text()[-2000:])


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def descendants(pid: int) -> list[int]:
    """The processes below one, from /proc; those that end meanwhile are left out."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(parent(int(entry.name)), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found

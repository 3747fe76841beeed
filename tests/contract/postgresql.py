"""A real PostgreSQL server of our own: on loopback, in a temporary folder, as an unprivileged user, gone at the end.

`python -m tools.postgresql` (part of `make test`) installs one where that can be done; where not, tests say so.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tools.postgresql import MISSING, binaries

START_SECONDS = 30.0


class PostgresqlServer:
    """A server that can be started, killed and started again on the same data."""

    def __init__(self) -> None:
        found = binaries()
        if found is None:
            raise RuntimeError(MISSING)
        self._binaries = found
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _unprivileged_user()
        self.folder = Path(tempfile.mkdtemp(prefix="atm-postgresql-"))
        self._data = self.folder / "data"
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        command = [
            "initdb",
            "-U",
            "atm",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
            str(self._data),
        ]
        self._run(command)
        self.start()

    def url(self, database: str) -> str:
        """What ATM_DATABASE_URL would be."""
        return f"postgresql://atm@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_connections": "60",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [str(self._binaries / "postgres"), "-D", str(self._data), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
            **self._as_user(),
        )
        log.close()
        deadline = time.monotonic() + START_SECONDS
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the PostgreSQL server did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would: every process of it at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            # Nothing of it is needed again, so it need not write anything down.
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(timeout=100)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement with psql and give what it prints."""
        command = [
            "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "atm",
            "-d",
            database,
            "-qAt",
            "-c",
            statement,
        ]
        return self._run(command)

    def _run(self, command: list[str]) -> str:
        result: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self._binaries / command[0]), *command[1:]],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )
        if result.returncode != 0:
            raise RuntimeError(f"{command[0]}: {result.stderr}")
        return result.stdout

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Who shall run it when we are root, as whom PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return None
    known = {each.pw_name: each for each in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

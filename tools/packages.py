"""Install a Debian package for a test that needs a program; only as root, and only on request."""

from __future__ import annotations

import os
import shutil
import subprocess

_INSTALL_SECONDS = 300


def install(package: str) -> str | None:
    """Install `package`. Return None on success, the error message on failure, "" without root or apt-get."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return ""
    apt = ["apt-get", "--quiet", "--yes", "--option", "DPkg::Lock::Timeout=120"]
    wanted = ["install", "--no-install-recommends", package]
    if _run([*apt, *wanted]) is None:
        return None
    # The package lists may be stale or missing.
    return _run([*apt, "update"]) or _run([*apt, *wanted])


def _run(command: list[str]) -> str | None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} took more than {_INSTALL_SECONDS} s"
    lines = done.stderr.strip().splitlines()
    return None if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")

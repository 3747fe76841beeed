"""Installs a package of Debian's where a test needs a program that is not here: only as root, and only when asked."""

from __future__ import annotations

import os
import shutil
import subprocess

_INSTALL_SECONDS = 300


def install(package: str) -> str | None:
    """Install it; gives what went wrong, if anything did, and an empty text where we may not."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return ""
    apt = ["apt-get", "--quiet", "--yes", "--option", "DPkg::Lock::Timeout=120"]
    wanted = ["install", "--no-install-recommends", package]
    if _run([*apt, *wanted]) is None:
        return None
    # The lists of packages may be old, or there are none at all.
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

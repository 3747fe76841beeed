"""Find a PostgreSQL server for tests, or install Debian's package as root.

It configures and starts no server; the tests start one (tests/contract/postgresql.py). Without the programs they are
skipped, with a hint.

Usage: python -m tools.postgresql
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tools import packages

MISSING = "no PostgreSQL server here to test with: apt-get install postgresql (as root, `make test` does it by itself)"
_NEEDED = ("initdb", "postgres", "pg_isready", "psql")
_CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")


def binaries() -> Path | None:
    """Return the directory of the newest version's programs, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    folders += [Path("/opt/homebrew/bin"), Path("/usr/local/bin")]
    return next((each for each in folders if all((each / name).exists() for name in _NEEDED)), None)


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def install() -> str | None:
    """Install Debian's package; return the error message, or None."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return MISSING
    if not _CREATE_CLUSTER.exists():
        # By default the package creates and starts a server for the whole machine.
        _CREATE_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        _CREATE_CLUSTER.write_text("create_main_cluster = false\n", encoding="utf-8")
    error = packages.install("postgresql")
    return f"{MISSING} (tried: {error})" if error is not None else None


def main() -> int:
    if binaries() is not None:
        return 0
    print("set-up: PostgreSQL, to test with", flush=True)
    error = install()
    if error is not None:
        print(f"set-up: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

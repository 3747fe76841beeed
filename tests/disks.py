"""A disk of a few MiB, to be filled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@contextmanager
def mounted(disk: Path, megabytes: int) -> Iterator[Path]:
    """A disk of that size at `disk`. Skips the test where none can be mounted."""
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"no small disk could be mounted here (a container without the right?): {made.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, leaving: int = 0) -> Path:
    """Fill the disk except for this number of bytes; return the file."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            file.write(b"x" * (shutil.disk_usage(disk).free - leaving))
            while not leaving:
                file.write(b"x")
        except OSError:
            pass  # it is full, as it should be
    return filler

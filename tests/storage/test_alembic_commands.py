"""`alembic` in a checkout, on a machine on which nothing was ever run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from atm.storage.migrations import HEAD

ROOT = Path(__file__).parents[2]


def alembic(home: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "XDG_"))}
    command = [sys.executable, "-m", "alembic", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**environment, "HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_command_on_a_machine_creates_the_database(tmp_path: Path) -> None:
    alembic(tmp_path, "upgrade", "head")
    assert HEAD in alembic(tmp_path, "current")
    assert [path.name for path in tmp_path.rglob("atm.db")] == ["atm.db"]


def test_asking_for_the_revision_first_works_too(tmp_path: Path) -> None:
    assert HEAD not in alembic(tmp_path, "current")

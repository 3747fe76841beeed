from __future__ import annotations

import os
import subprocess
import sys

import pytest

from atm.cli.main import COMMANDS, load
from tests.cli.comparison import assert_snapshot


def help_of(*command: str) -> str:
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    process = subprocess.run(
        [sys.executable, "-m", "atm", *command, "--help"], capture_output=True, text=True, env=environment, check=True
    )
    assert process.stderr == ""
    return process.stdout


def test_the_help_is_as_it_was() -> None:
    assert_snapshot("help.txt", help_of())


@pytest.mark.parametrize("name", [entry.name for entry in COMMANDS])
def test_the_help_of_each_command_is_as_it_was(name: str) -> None:
    assert_snapshot(f"help-{name}.txt", help_of(name))


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_line_in_the_list_is_the_first_line_of_the_help(entry: object) -> None:
    from atm.cli.main import CommandEntry

    assert isinstance(entry, CommandEntry)
    assert str(load(entry.name).help).splitlines()[0] == entry.summary


def test_no_command_is_imported_for_the_list() -> None:
    code = "import sys; from atm.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = process.stderr.split()
    assert not [name for name in loaded if name.startswith("atm.cli.commands.")]
    assert not {"pydantic", "rich", "yaml", "httpx", "asyncio"} & set(loaded)

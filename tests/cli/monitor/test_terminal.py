"""`atm top` in a pseudo-terminal of 80 × 24: it draws, ends in every way, and leaves the terminal as it was."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.cli.program import atm, environment


def started(data_dir: Path, **more: str) -> pexpect.spawn[str]:
    variables = {name: value for name, value in environment(data_dir).items() if name not in ("NO_COLOR", "COLUMNS")}
    return pexpect.spawn(
        sys.executable,
        ["-m", "atm", "top"],
        env={**variables, "TERM": "xterm-256color", **more},
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=100,
    )


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda terminal: terminal.send("q"), 0),
        (lambda terminal: terminal.send("\x03"), 130),
        (lambda terminal: os.kill(terminal.pid, signal.SIGTERM), 130),
    ],
    ids=["q", "ctrl-c", "sigterm"],
)
def test_it_draws_and_restores_the_terminal(
    tmp_path: Path, leave: Callable[[pexpect.spawn[str]], object], code: int
) -> None:
    terminal = started(tmp_path)
    before = termios.tcgetattr(terminal.child_fd)
    terminal.expect("no runs yet")
    terminal.expect("Quit")
    assert termios.tcgetattr(terminal.child_fd) != before
    leave(terminal)
    terminal.expect(re.escape("\x1b[?1049l"))
    terminal.expect(pexpect.EOF)
    assert "\x1b[?25h" in str(terminal.before)
    terminal.close()
    assert terminal.exitstatus == code


def test_only_the_colours_of_the_terminal_are_used(tmp_path: Path) -> None:
    terminal = started(tmp_path)
    terminal.expect("Quit")
    drawn = str(terminal.before)
    terminal.send("q")
    terminal.expect(pexpect.EOF)
    assert not re.search(r"\x1b\[[0-9;]*[34]8;[25];", drawn + str(terminal.before))
    plain = started(tmp_path, NO_COLOR="1")
    plain.expect("Quit")
    drawn = str(plain.before)
    plain.send("q")
    plain.expect(pexpect.EOF)
    assert not re.search(r"\x1b\[([0-9]+;)*(3[0-8]|4[0-8]|9[0-7])[;m]", drawn + str(plain.before))


def test_without_a_terminal_it_names_the_commands_that_need_none(tmp_path: Path) -> None:
    said = atm(tmp_path, "top")
    assert (said.code, said.out) == (2, "")
    assert "[no_terminal]" in said.err
    assert "`atm list`" in said.err
    assert "`atm watch RUN`" in said.err

"""Output streams and their capabilities: colour, width, character set, interactivity, closed pipes.

The only module of the command line that reads NO_COLOR, FORCE_COLOR, TERM, CI, COLUMNS and isatty.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from enum import StrEnum
from typing import Any, TextIO

from atm.cli.text import Line, Paper, Style, joined
from atm.dataclass import dataclass
from atm.errors import OutputError, Problem

NARROWEST = 40
WIDEST = 120
USUAL = 80


class Color(StrEnum):
    """The values of `--color`."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def wants_color(choice: Color, stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Decide by `--color`, then NO_COLOR, then FORCE_COLOR, then whether the stream is a capable terminal."""
    if choice != Color.AUTO:
        return choice == Color.ALWAYS
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in ("", "0", "false"):
        return True
    return _is_tty(stream) and environment.get("TERM") != "dumb"


def speaks_unicode(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream is UTF-8 and LC_ALL does not request plain ASCII (C or POSIX)."""
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return encoding == "utf8" and environment.get("LC_ALL") not in ("C", "POSIX")


def width_of(stream: TextIO, environment: Mapping[str, str]) -> int:
    """Return the line width: the terminal's, else COLUMNS, else 80; at most 120."""
    columns = 0
    if _is_tty(stream):
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except OSError:
            columns = 0
    if not columns and environment.get("COLUMNS", "").isdecimal():
        columns = int(environment["COLUMNS"])
    return min(max(columns or USUAL, NARROWEST), WIDEST)


def has_whole_terminal(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a program can take over the screen and the keyboard: all three streams are a capable terminal."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream is not None and _is_tty(stream) for stream in streams) and environment.get("TERM") != "dumb"


@dataclass(slots=True)
class Surface:
    """An output stream with its capabilities."""

    stream: TextIO
    color: bool
    paper: Paper
    interactive: bool
    """A terminal that can redraw in place: a tty, not TERM=dumb, not CI."""
    gone: bool = False
    """The reader has closed the pipe; further output is dropped."""

    def write(self, text: str) -> None:
        """Write and flush. A broken pipe is not an error; further output is dropped.

        Raises OutputError when standard output cannot be written for another reason, such as a full disk.
        """
        if self.gone:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            self._give_up()
        except OSError as error:
            self._give_up()
            if self.stream is sys.stdout:
                what = f"cannot write to standard output: {error.strerror or error}"
                raise OutputError(Problem(what, "unwritable")) from error

    def _give_up(self) -> None:
        self.gone = True
        # Python flushes again at exit, which needs a descriptor that accepts writes.
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, self.stream.fileno())
        os.close(descriptor)

    def passing(self, text: str = "") -> None:
        """On a terminal, overwrite the current line with `text`; without text, erase it."""
        if self.interactive:
            self.write(f"\r\x1b[2K{text}")

    def lines(self, lines: Iterable[Line]) -> None:
        self.write(joined(lines, self.color))


@dataclass(slots=True)
class Output:
    """Both streams of a command and its output options."""

    out: Surface
    err: Surface
    json: bool = False
    """stdout gets exactly one JSON document, also for errors."""
    quiet: bool = False
    github: bool = False
    """Running under GitHub Actions: write annotations and a step summary."""

    @classmethod
    def of(
        cls,
        color: Color = Color.AUTO,
        *,
        json: bool = False,
        quiet: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> Output:
        """Build the output of this process."""
        ci = environment.get("CI", "").lower() not in ("", "0", "false")

        def surface(stream: TextIO | None) -> Surface:
            if stream is None:  # closed by the parent process
                return Surface(io.StringIO(), False, Paper(USUAL, True), False, gone=True)
            return Surface(
                stream,
                wants_color(color, stream, environment),
                Paper(width_of(stream, environment), speaks_unicode(stream, environment)),
                _is_tty(stream) and not ci and environment.get("TERM") != "dumb",
            )

        github = environment.get("GITHUB_ACTIONS") == "true"
        return cls(surface(sys.stdout), surface(sys.stderr), json, quiet, github)

    def code_prints(self) -> AbstractContextManager[object]:
        """Return the block in which code of users runs: with `--json`, what it prints goes to stderr."""
        return redirect_stdout(sys.stderr) if self.json else nullcontext()

    def document(self, document: Any) -> None:
        """Print one JSON document on stdout."""
        self.out.write(json.dumps(document, indent=2, ensure_ascii=not self.out.paper.unicode) + "\n")

    def note(self, problem: Problem) -> None:
        """Print a note on stderr."""
        self.err.lines(problem_lines(problem, self.err.paper, "note", Style.WARN))

    def problems(self, problems: Iterable[Problem]) -> None:
        """Print errors on stderr, or with `--json` as the document on stdout."""
        problems = tuple(problems)
        if self.json:
            self.document(error_document(problems))
        else:
            self.failures(problems)

    def failures(self, problems: Iterable[Problem]) -> None:
        """Print errors on stderr, also when stdout already has a result."""
        self.err.lines([line for problem in problems for line in problem_lines(problem, self.err.paper)])


def error_document(problems: Iterable[Problem]) -> dict[str, Any]:
    """Return the JSON document of an error: the first problem, and all of them."""
    entries = [
        {"code": problem.code, "message": problem.what, "where": problem.where or None, "hint": problem.hint or None}
        for problem in problems
    ]
    return {"error": {**entries[0], "problems": entries}}


def problem_lines(problem: Problem, paper: Paper, word: str = "error", style: Style = Style.FAIL) -> list[Line]:
    """Format a problem: `error: what [code]`, then `at:`, then `hint:`."""
    lines = [paper.line(f"{word}: ", style).add(problem.what).add(f" [{problem.code}]", Style.DIM)]
    if problem.where:
        lines.append(paper.line("  at: ", Style.DIM).add(problem.where))
    if problem.hint:
        lines.append(paper.line("  hint: ", Style.DIM).hint(problem.hint))
    return lines
